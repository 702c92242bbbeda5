"""The course's version of an exercise as code: what its notebook has where the learner's has a stub."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from modelsec_course.lab.exercise import Exercise
from modelsec_course.lab.rooms import rooms

CELL = re.compile(r"^# %%.*$", re.MULTILINE)
MARK = re.compile(r"^ *### (BEGIN|END) SOLUTION\n", re.MULTILINE)


def solution(exercise: Exercise) -> str:
    """The code of the notebook's solution; of the reference if no notebook asks for it; empty if there is neither."""
    call = re.compile(rf'^\w+ = check\("{re.escape(exercise.id)}", (\w+)\)$', re.MULTILINE)
    cells = _cells(exercise.id.split(".")[0])
    for checked in filter(None, map(call.search, cells)):
        start = re.compile(rf"^def {checked[1]}\(", re.MULTILINE)
        for cell in cells:
            if "### BEGIN SOLUTION" in cell and start.search(cell):
                return call.sub("", MARK.sub("", cell)).strip()
    return code(exercise.reference)


def code(f: Callable) -> str:
    """A function's own code, from the margin; empty for a lambda, whose line shows what is around it, too."""
    try:
        return textwrap.dedent(inspect.getsource(f)).strip() if getattr(f, "__name__", "") != "<lambda>" else ""
    except (OSError, TypeError):
        return ""


@functools.cache
def _cells(number: str) -> list[str]:
    room = rooms().get(number)
    notebook = room and Path(importlib.util.find_spec(room).origin).with_name("notebook.py")
    return CELL.split(notebook.read_text("utf-8")) if notebook and notebook.exists() else []
