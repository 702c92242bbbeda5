"""Run an exercise's properties against a function, and put into words what happened."""

from __future__ import annotations

import linecache
import reprlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from modelsec_course.lab.exercise import Exercise
from modelsec_course.lab.guard import Guarded, enter
from modelsec_course.lab.markup import clip
from modelsec_course.lab.sandbox import OutOfTime, limited, quiet, random_state

MESSAGE_LIMIT = 1200


@dataclass(frozen=True)
class Row:
    """A property's outcome: "ok", "fail", "error", "timeout", "todo" or "skipped"."""

    title: str
    status: str
    message: str = ""


@dataclass(frozen=True)
class Report:
    """An exercise's outcome: "pass", "fail", "todo" or "reference"."""

    exercise: Exercise
    status: str
    rows: tuple[Row, ...] = ()
    printed: str = ""


def run(exercise: Exercise, f: Any) -> Report:
    """Check `f`. Only KeyboardInterrupt gets out."""
    if not callable(f):
        return Report(exercise, "fail", (Row("It is a function", "fail", _not_callable(exercise, f)),))
    rows: list[Row] = []
    with quiet() as printed:
        end = time.monotonic() + exercise.timeout
        for prop in exercise.properties:
            title = (prop.__doc__ or prop.__name__.replace("_", " ")).strip().splitlines()[0]
            if rows and rows[-1].status in ("timeout", "todo", "skipped"):
                rows.append(Row(title, "skipped"))
            else:
                rows.append(_one(exercise, prop, Guarded(f, exercise), title, end - time.monotonic(), bool(rows)))
    statuses = {row.status for row in rows}
    status = "pass" if statuses == {"ok"} else "todo" if rows[0].status == "todo" else "fail"
    return Report(exercise, status, tuple(rows), printed.getvalue())


def _one(exercise: Exercise, prop: Callable, f: Guarded, title: str, seconds: float, begun: bool) -> Row:
    try:
        with random_state():
            limited(lambda: prop(f), max(seconds, 0.5))
    except OutOfTime as stop:
        where = _where(stop.__traceback__, f.f) or _where(getattr(stop.__context__, "__traceback__", None), f.f)
        ask = "is there a loop that never ends? Or one that does the same work again and again?"
        return Row(title, "timeout", f"not done after {exercise.timeout:g} s{where}: {ask}")
    except AssertionError as error:
        where = _where(error.__traceback__, f.f)
        return Row(title, "fail", (_words(error) or "the assertion did not hold") + where)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        where = _where(error.__traceback__, f.f)
        if type(error) is NotImplementedError and _raised_on_purpose(error.__traceback__):
            if begun:
                return Row(title, "fail", f"this part still raises NotImplementedError{where}")
            return Row(title, "todo")
        return Row(title, "error", _explain(error, f, where))
    return Row(title, "ok")


def _explain(error: BaseException, f: Guarded, where: str) -> str:
    if isinstance(error, SystemExit):
        return f"your function called exit(){where}: return a result instead"
    words = _words(error)
    said = f"{type(error).__name__}: {words}" if words else type(error).__name__
    if not where and f.last is not None:  # the property could not work with what it got
        return f"{said}\nYour function returned {describe(f.last)}: is that what the docstring asks for?"
    return said + where


def describe(value: Any) -> str:
    """A value in a few words, whatever its repr does."""
    kind = type(value).__name__
    try:
        return f"a {kind} of shape {tuple(value.shape)}"
    except Exception:
        return f"{clip(reprlib.repr(value), 80, '…')} ({kind})"


def _not_callable(exercise: Exercise, f: Any) -> str:
    name = exercise.id.split(".")[1]
    hint = f' Did you write {name}(...) with its arguments? Pass the function itself: check("{exercise.id}", {name}).'
    return f"expected your function {name}, got {describe(f)}.{hint}"


def _words(error: BaseException) -> str:
    try:
        return clip(str(error), MESSAGE_LIMIT).strip()
    except Exception:
        return "(its message could not be read)"


def _where(trace: TracebackType | None, f: Callable) -> str:
    """Where in the learner's code it happened: ` (line 3 of your cell: x.foo())`, or nothing if it was not in there."""
    home = _home(f)
    last, inside = None, False
    for frame, line in _frames(trace):
        file = frame.f_code.co_filename
        if inside and (file == home or _is_cell(file)):
            last = file, line
        inside = inside or frame.f_code is enter.__code__
    if last is None:
        return ""
    code = clip(linecache.getline(*last).strip(), 120, "…")
    place = "your cell" if _is_cell(last[0]) else Path(last[0]).name
    return f" (line {last[1]} of {place}{': ' if code else ''}{code})"


def _home(f: Any) -> str:
    for _ in range(20):
        inner = getattr(f, "__wrapped__", None) or getattr(f, "func", None)
        if inner is None:
            break
        f = inner
    code = getattr(f, "__code__", None) or getattr(vars(type(f)).get("__call__"), "__code__", None)
    return getattr(code, "co_filename", "")


def _is_cell(file: str) -> bool:
    return "ipykernel_" in file or file.startswith("<ipython-input")


def _raised_on_purpose(trace: TracebackType | None) -> bool:
    """A stub's own `raise NotImplementedError`, not torch's for an operation that a device lacks."""
    *_, (frame, line) = _frames(trace)
    code = linecache.getline(frame.f_code.co_filename, line)
    return not code.strip() or "NotImplementedError" in code


def _frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
