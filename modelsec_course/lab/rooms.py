"""Where the labs are: each is a room, a package `labs/lab_NN_name`, found by its number and loaded on demand."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from dataclasses import dataclass
from types import ModuleType

from modelsec_course.lab.exercise import Exercise, Lab, Planned, Question
from modelsec_course.lab.threat import Threat

__all__ = ["ROOMS", "Contents", "about", "find", "labs", "load", "planned", "rooms"]

ROOMS = "modelsec_course.labs"  # by name: the engine is imported by the labs, and imports none


@dataclass(frozen=True)
class Contents:
    """A loaded lab."""

    lab: Lab
    threat: Threat | None
    quiz: tuple[Question, ...]
    exercises: dict[str, Exercise]


def rooms() -> dict[str, str]:
    """The module of each lab that exists, by number, in order: {"00": "modelsec_course.labs.lab_00_start_here", …}."""
    found = sorted(module.name for module in pkgutil.iter_modules(importlib.import_module(ROOMS).__path__))
    return {name[4:6]: f"{ROOMS}.{name}" for name in found if re.fullmatch(r"lab_\d\d_[a-z0-9_]+", name)}


def labs() -> list[str]:
    """The numbers of the labs that exist, in order: ["00", "01", …]."""
    return list(rooms())


def planned() -> list[Planned]:
    """The labs that the course has announced and not yet built, in order."""
    listed = importlib.import_module(f"{ROOMS}.planned").PLANNED
    return sorted((one for one in listed if one.number not in labs()), key=lambda one: one.number)


def about(number: str | int) -> Lab:
    """The facts of the lab with this number, without its exercises. Raises ValueError as `load` does."""
    return _module(number, "about").LAB


def load(number: str | int) -> Contents:
    """The lab with this number. Raises ValueError, naming the labs there are, if there is none."""
    card, listed = _module(number, "about"), _module(number, "exercises").EXERCISES
    named = {exercise.id: exercise for exercise in listed}
    wrong = [exercise.id for exercise in listed if exercise.id[:2] != card.LAB.number]
    if wrong or len(named) < len(listed):
        raise ValueError(f"lab {card.LAB.number} lists an exercise twice or another lab's: {wrong or list(named)}")
    return Contents(card.LAB, getattr(card, "THREAT", None), tuple(getattr(card, "QUIZ", ())), named)


def find(id: str) -> Exercise:
    """The exercise with this id. Raises ValueError, naming the ids there are, if there is none."""
    number = str(id).split(".")[0]
    known = load(number).exercises if number in labs() else {i: e for n in labs() for i, e in load(n).exercises.items()}
    if id not in known:
        near = difflib.get_close_matches(str(id), known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no exercise {id!r}.{hint} There are: {', '.join(known) or '(none)'}")
    return known[id]


def _module(number: str | int, part: str) -> ModuleType:
    number, there = str(number).zfill(2), rooms()
    if number not in there:
        raise ValueError(f"there is no lab {number!r}: there are labs {', '.join(there) or '(none)'}")
    return importlib.import_module(f"{there[number]}.{part}")
