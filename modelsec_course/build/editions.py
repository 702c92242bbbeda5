"""One notebook file from a lab's cells: with stubs for the learner, with solutions for the instructor."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from modelsec_course.build.headline import attach
from modelsec_course.build.source import EDITIONS, MARKER, Cell

STUB = ("# YOUR CODE HERE", 'raise NotImplementedError("not attempted yet")')
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def edition(cells: list[Cell], folder: str, headline: Path | None = None) -> str:
    """The text of one notebook; headline: the picture that it opens with."""
    kinds = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}
    made, seen = [], {}
    for cell in cells:
        source = cell.notebook.source
        name = hashlib.sha1(source.encode()).hexdigest()[:8]  # an inserted cell renames no other
        seen[name] = seen.get(name, 0) + 1
        if folder not in cell.editions():
            continue
        if cell.code:
            source = "\n".join(with_stubs(source) if folder == "notebooks" else without_markers(source))
        new = kinds[cell.notebook.cell_type](source)
        new["id"] = name if seen[name] == 1 else f"{name}-{seen[name]}"
        tags = [tag for tag in cell.tags if tag not in EDITIONS.values()]
        if tags:
            new.metadata["tags"] = tags
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
