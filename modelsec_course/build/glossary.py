"""The glossary: labs/glossary.md becomes notebooks/glossary.ipynb, and a lab's first bold use of a term links to it.

An entry is one line: **term**, other forms. Lab 04. What it means.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell, new_notebook

from modelsec_course.build.editions import METADATA
from modelsec_course.build.links import link_labs
from modelsec_course.build.source import BuildError

SOURCE = Path("modelsec_course") / "labs" / "glossary.md"
ENTRY = re.compile(r"\*\*(?P<term>[^*]+)\*\*(?:, (?P<also>[^.]+))?\. Lab (?P<lab>\d\d)\. (?P<says>\S.+)")
INTRODUCTION = "# Glossary\n\nThe terms of the course, each with the lab that works with it first."


@dataclass(frozen=True)
class Term:
    name: str
    also: tuple[str, ...]
    lab: str
    says: str

    @property
    def anchor(self) -> str:
        """Where JupyterLab and the book find the term's heading."""
        return self.name.replace(" ", "-")


def terms(root: Path) -> list[Term]:
    """The entries of the glossary in alphabetical order; none where there is no glossary."""
    path = root / SOURCE
    found: list[Term] = []
    names: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n") if path.is_file() else [], 1):
        if not line.strip():
            continue
        entry = ENTRY.fullmatch(line)
        if not entry:
            shape = "`**term**, other forms. Lab 04. What it means.`"
            raise BuildError(f"labs/{path.name}:{number}: an entry is one line like {shape}")
        term = Term(entry["term"], tuple(filter(None, (entry["also"] or "").split(", "))), entry["lab"], entry["says"])
        for name in (term.name, *term.also):
            if name.casefold() in names:
                raise BuildError(f"labs/{path.name}:{number}: {name!r} has an entry already")
            names.add(name.casefold())
        found.append(term)
    return sorted(found, key=lambda term: term.name.casefold())


def anchors(entries: Sequence[Term]) -> dict[str, str]:
    """Every form of every term, in small letters, and its anchor."""
    return {name.casefold(): term.anchor for term in entries for name in (term.name, *term.also)}


def page(entries: Sequence[Term], notebooks: Mapping[str, str]) -> str:
    """The glossary as a notebook: a heading a term, so that a link can name it.

    notebooks: number of a lab: file name of its notebook.
    """
    texts = [INTRODUCTION]
    for term in entries:
        also = f" *Also:* {', '.join(term.also)}." if term.also else ""
        texts.append(f"### {term.name}\n\n{link_labs(f'{term.says}{also} See lab {term.lab}.', notebooks)}")
    cells = []
    for text in texts:
        cell = new_markdown_cell(text)
        cell["id"] = hashlib.sha1(text.encode()).hexdigest()[:8]
        cells.append(cell)
    notebook = new_notebook(cells=cells, metadata=METADATA)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n"
