"""One notebook file from a lab's cells: with stubs for the learner, with solutions for the instructor."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from modelsec_course.build.headline import attach
from modelsec_course.build.links import link_labs, link_terms
from modelsec_course.build.source import EDITIONS, MARKER, Cell

STUB = ("# YOUR CODE HERE", 'raise NotImplementedError("not attempted yet")')
# As JupyterLab fills it in, so that a notebook does not change by being opened; the version is the learner's Python's.
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
# Cells of nothing but these are folded: what they show says all that their code says.
MACHINERY = {"start", "threat.card", "guarantee", "quiz", "progress", "finish", "claim", "claims", "predict"}
DEVELOPERS = re.compile(r"[ \t]*# (?:fmt: (?:skip|off|on)|noqa(?:: [\w, ]+)?)$")


def edition(
    cells: list[Cell],
    folder: str,
    number: str = "",
    notebooks: Mapping[str, str] | None = None,
    headline: Path | None = None,
    anchors: Mapping[str, str] | None = None,
) -> str:
    """The text of one notebook.

    number: its lab's.  notebooks: number of a lab: file name, for links to it.  headline: the picture it opens with.
    anchors: terms of the glossary, in small letters, and their place in it.
    """
    kinds = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}
    made, seen, explained = [], {}, set()
    for cell in cells:
        source = cell.notebook.source
        name = hashlib.sha1(source.encode()).hexdigest()[:8]  # an inserted cell renames no other
        seen[name] = seen.get(name, 0) + 1
        if folder not in cell.editions():
            continue
        if cell.code:
            source = clean("\n".join(with_stubs(source) if folder == "notebooks" else without_markers(source)))
        elif cell.notebook.cell_type == "markdown":
            source = link_terms(link_labs(source, notebooks or {}, number), anchors or {}, explained)
        new = kinds[cell.notebook.cell_type](source)
        new["id"] = name if seen[name] == 1 else f"{name}-{seen[name]}"
        tags = [tag for tag in cell.tags if tag not in EDITIONS.values()]
        if tags:
            new.metadata["tags"] = tags
        if cell.code and machinery(source):
            new.metadata["jupyter"] = {"source_hidden": True}
        if headline and not made and new.cell_type == "markdown":
            attach(new, headline)
        made.append(new)
    notebook = new_notebook(cells=made, metadata=METADATA)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n"


def with_stubs(source: str) -> list[str]:
    kept, inside = [], False
    for line in source.split("\n"):
        marker = MARKER.match(line)
        if marker and marker[2] == "BEGIN":
            kept += [marker[1] + stub for stub in STUB]
        if not marker and not inside:
            kept.append(line)
        inside = marker[2] == "BEGIN" if marker else inside
    return kept


def without_markers(source: str) -> list[str]:
    return [line for line in source.split("\n") if not MARKER.match(line)]


def clean(source: str) -> str:
    """Code without the comments that only this project's tools read."""
    kept = []
    for line in source.split("\n"):
        bare = DEVELOPERS.sub("", line)
        if bare or not line.strip():  # a line that held nothing else goes
            kept.append(bare)
    return "\n".join(kept)


def machinery(source: str) -> bool:
    """Does the code do nothing but call the course's cards?"""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic of IPython
        return False
    return bool(statements) and all(map(_shows_a_card, statements))


def _shows_a_card(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
    if not isinstance(value, ast.Call) or ast.unparse(value.func) not in MACHINERY:
        return False
    return isinstance(statement, ast.Expr) or ast.unparse(value.func) == "predict"
