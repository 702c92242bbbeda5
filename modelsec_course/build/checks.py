"""The faults that a build refuses: in names, in solution markers, in exercise ids, and leaked solutions."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from modelsec_course.build.editions import clean
from modelsec_course.build.source import MARKER, BuildError, Cell, stem

NEARLY = re.compile(r"#\s*(BEGIN|END)[ _]*SOLUTION", re.I)
EXERCISE = re.compile(r"\bcheck\(\s*[\"']([^\"']*)[\"']")
WIDTH = 88  # characters of a line of code that a learner reads: more would wrap in JupyterLab
ROOM = re.compile(r"^lab_(\d\d)_[a-z0-9_]+$")
Lines = list[tuple[int, str]]  # (offset in the cell, line)
EXERCISE_ID = re.compile(r"^(\d\d)\.[a-z0-9_]+$")


def refuse_faults(labs: dict[Path, list[Cell]]) -> None:
    """Raise BuildError for the first fault of any lab."""
    for path, cells in labs.items():
        check_name(path, labs)
        for cell in cells:
            check_markers(cell)
            check_width(cell)
        check_leaks(cells)
    check_exercises(labs)


def check_name(path: Path, labs: dict[Path, list[Cell]]) -> None:
    place = f"{path.parent.name}/{path.name}:1"
    if not ROOM.match(path.parent.name):
        raise BuildError(f"{place}: a room is called lab_NN_name, in lower case: two digits, an underscore, a name")
    first = next(other for other in labs if stem(other)[:2] == stem(path)[:2])
    if first != path:
        raise BuildError(f"{place}: lab number {stem(path)[:2]} is taken by {first.parent.name}: choose another")


def check_markers(cell: Cell) -> None:
    """Markers stand in code cells, alone on their line, in pairs, with an indented solution between them."""
    begun = None
    for offset, line in enumerate(cell.lines):
        marker = MARKER.match(line)
        if not cell.code:
            if NEARLY.search(line):
                raise cell.error(offset, "a solution marker in a text cell does nothing: solutions stand in code cells")
        elif marker and marker[2] == "BEGIN":
            if begun is not None:
                raise cell.error(offset, f"BEGIN SOLUTION inside the solution begun in line {cell.start + begun}")
            if not marker[1] and "raises-exception" not in cell.tags:
                raise cell.error(offset, "a solution outside a function: its stub would stop the notebook; indent it")
            begun = offset
        elif marker:
            if begun is None:
                raise cell.error(offset, "END SOLUTION without a BEGIN SOLUTION in this cell")
            check_body(cell, begun, offset)
            begun = None
        elif NEARLY.search(line):
            raise cell.error(
                offset, "not quite a marker: write `### BEGIN SOLUTION` or `### END SOLUTION`, alone on a line"
            )
    if begun is not None:
        raise cell.error(begun, "BEGIN SOLUTION without an END SOLUTION in this cell")


def check_width(cell: Cell, width: int | None = None) -> None:
    """No line of code is too long for the page."""
    for offset, line in enumerate(cell.lines if cell.code else []):
        if (length := len(clean(line))) > (width or WIDTH):
            raise cell.error(offset, f"a line of {length} characters wraps on the page: at most {width or WIDTH}")


def check_body(cell: Cell, begun: int, ended: int) -> None:
    body = [line for line in cell.lines[begun + 1 : ended] if line.strip()]
    if not body:
        raise cell.error(begun, "an empty solution: write one, or remove its markers")
    indent = MARKER.match(cell.lines[begun])[1]
    if body[0][: len(body[0]) - len(body[0].lstrip())] != indent:
        raise cell.error(begun, "the marker and its solution differ in indentation: the stub would stand wrongly")


def check_exercises(labs: dict[Path, list[Cell]]) -> None:
    """An exercise's id begins with its lab's number and belongs to one cell (of each edition)."""
    owners: dict[tuple[str, str], tuple[Cell, int]] = {}
    for path, cells in labs.items():
        for cell in (cell for cell in cells if cell.code):
            for offset, name in exercises(cell):
                shape = EXERCISE_ID.match(name)
                if not shape or shape[1] != stem(path)[:2]:
                    raise cell.error(offset, f"exercise id {name!r} should be {stem(path)[:2]}.name, after its lab")
                for folder in cell.editions():
                    owner, line = owners.setdefault((folder, name), (cell, cell.start + offset))
                    if owner is not cell:
                        place = f"{owner.path.parent.name}:{line}"
                        raise cell.error(offset, f"exercise id {name!r} is taken by {place}: choose another")


def exercises(cell: Cell) -> list[tuple[int, str]]:
    """(offset of the line, id) of each check("...") in a code cell, comments aside."""
    text = "\n".join("" if line.lstrip().startswith("#") else line for line in cell.lines)
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in EXERCISE.finditer(text)]


def check_leaks(cells: list[Cell]) -> None:
    """No cell of the learner's edition repeats two consecutive telling lines of a solution."""
    secret = {}
    for cell in cells:
        for solution in split(cell)[0]:
            for (_, first), (number, second) in pairwise(telling(solution)):
                secret[first, second] = cell.start + number - 1
    for cell in cells:
        if "notebooks" not in cell.editions():
            continue
        for shown in split(cell)[1]:
            for (offset, first), (_, second) in pairwise(telling(shown)):
                if (first, second) in secret:
                    what = f"this repeats the solution of line {secret[first, second]} in the learner's edition"
                    raise cell.error(offset, f"{what}: remove it, or put it between markers")


def split(cell: Cell) -> tuple[list[Lines], list[Lines]]:
    """The stretches of a cell that only the instructor sees, and those that the learner sees too."""
    hidden, shown, inside = [], [[]], False
    for offset, line in enumerate(cell.lines):
        marker = MARKER.match(line) if cell.code else None
        if marker:
            inside = marker[2] == "BEGIN"
            (hidden if inside else shown).append([])
        else:
            (hidden if inside else shown)[-1].append((offset, line if cell.code else line.removeprefix("# ")))
    return hidden, shown


def telling(lines: Lines) -> Lines:
    """The lines that say something: no blanks, comments, lone brackets or `else:`."""
    stripped = [(offset, line.strip()) for offset, line in lines]
    return [(offset, line) for offset, line in stripped if len(line) > 8 and not line.startswith("#")]
