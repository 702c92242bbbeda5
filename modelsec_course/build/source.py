"""A lab's source, read twice: by jupytext for its cells, and line by line so that a complaint can name the line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat

EDITIONS = {"notebooks": "solution-only", "solutions": "student-only"}  # folder: the tag it leaves out
MARKER = re.compile(r"^([ \t]*)### (BEGIN|END) SOLUTION[ \t]*$")
HEAD = re.compile(r"^# ?%%(?!%)")


class BuildError(ValueError):
    """A source that cannot become a lab; the message starts with file:line."""


def stem(path: Path) -> str:
    """What the editions of a source are called: NN_name, after its room lab_NN_name."""
    return path.parent.name.removeprefix("lab_")


@dataclass
class Cell:
    """One cell as it stands in its source, so that a complaint can name the line."""

    path: Path
    start: int  # line of the first of `lines`, counted from 1
    lines: list[str]
    notebook: nbformat.NotebookNode  # the same cell as jupytext read it

    @property
    def code(self) -> bool:
        return self.notebook.cell_type == "code"

    @property
    def tags(self) -> list[str]:
        return self.notebook.metadata.get("tags", [])

    def editions(self) -> set[str]:
        return {folder for folder, other in EDITIONS.items() if other not in self.tags}

    def error(self, offset: int, what: str) -> BuildError:
        return BuildError(f"{self.path.parent.name}/{self.path.name}:{self.start + offset}: {what}")


def read(path: Path) -> list[Cell]:
    """The cells of a source, each with its place in the file."""
    name = f"{path.parent.name}/{path.name}"
    text = path.read_text(encoding="utf-8")
    try:
        found = jupytext.reads(text, fmt="py:percent").cells
    except Exception as error:
        raise BuildError(f"{name}:1: jupytext cannot read this file: {str(error).splitlines()[0]}") from error
    lines = text.split("\n")
    heads = [number for number, line in enumerate(lines) if HEAD.match(line)]
    pieces = [(start + 1, lines[start + 1 : end]) for start, end in zip(heads, [*heads[1:], None], strict=True)]
    if len(pieces) != len(found):
        raise BuildError(f"{name}:1: text stands before the first `# %%`: every cell starts with a line `# %%`")
    return [Cell(path, start + 1, piece, cell) for (start, piece), cell in zip(pieces, found, strict=True)]
