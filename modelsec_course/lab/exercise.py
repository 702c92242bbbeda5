"""What a lab is made of, and the registry of exercises: `exercises/lab_NN.py` holds a lab's, loaded on demand."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelsec_course.lab import exercises
from modelsec_course.lab.expect import expect, expect_close

__all__ = [
    "PARTS", "STAGES", "Exercise", "Lab", "Planned", "Question", "exercise", "expect", "expect_close", "find", "labs",
    "load", "planned",
]  # fmt: skip

Property = Callable[[Callable], None]
ROOMS = "modelsec_course.labs"
PARTS = (
    "Integrity at test time",
    "Integrity at training time",
    "Confidentiality",
    "Privacy by design",
    "Running it",
)
STAGES = ("data", "training", "model", "API", "user")  # where an attacker may stand, in the order of a model's life


@dataclass(frozen=True)
class Lab:
    """The facts of a lab's header card. `seconds` estimates the computing on two CPU cores.

    part: the part of the course, one of PARTS.  stage: where the attacker stands, one of STAGES.
    """

    number: str
    title: str
    question: str
    minutes: int
    difficulty: int
    prerequisites: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    seconds: int = 30
    part: str = PARTS[0]
    stage: str = "model"

    def __post_init__(self):
        _check_place(self.part, self.stage)
        if not re.fullmatch(r"\d\d", self.number):
            raise ValueError(f"number must be two digits, like '01', not {self.number!r}")
        if self.difficulty not in range(1, 6):
            raise ValueError(f"difficulty must be 1 to 5, not {self.difficulty!r}")


@dataclass(frozen=True)
class Planned:
    """A lab that is not written yet: what the course's map says of it."""

    number: str
    title: str
    question: str
    part: str
    stage: str

    def __post_init__(self):
        _check_place(self.part, self.stage)


def _check_place(part: str, stage: str) -> None:
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, not {part!r}")
    if stage not in STAGES:
        raise ValueError(f"stage must be one of {', '.join(STAGES)}, not {stage!r}")


@dataclass(frozen=True)
class Question:
    """A quiz question: `answer` is the index of the right option, and `why` explains every option, right or wrong."""

    prompt: str
    options: tuple[str, ...]
    answer: int
    why: tuple[str, ...]

    def __post_init__(self):
        if len(self.why) != len(self.options):
            raise ValueError(f"why must explain each of the {len(self.options)} options of {self.prompt!r}")
        if self.answer not in range(len(self.options)):
            raise ValueError(f"answer must be the index of an option of {self.prompt!r}, not {self.answer!r}")


@dataclass(frozen=True)
class Exercise:
    id: str
    title: str
    reference: Callable
    properties: tuple[Property, ...]
    hints: tuple[str, ...] = ()
    mutants: Mapping[str, Callable] = field(default_factory=dict)
    second: Callable | None = None
    timeout: float = 20.0
    returns: Callable[[Any, tuple, dict], None] | None = None
    finite: bool = True
    mutates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """A loaded lab."""

    lab: Lab
    quiz: tuple[Question, ...]
    exercises: dict[str, Exercise]


_REGISTRY: dict[str, Exercise] = {}


def exercise(
    id: str,
    *,
    title: str,
    reference: Callable,
    properties: Sequence[Property],
    hints: Sequence[str] = (),
    mutants: Mapping[str, Callable] | None = None,
    second: Callable | None = None,
    timeout: float = 20.0,
    returns: Callable[[Any, tuple, dict], None] | None = None,
    finite: bool = True,
    mutates: Sequence[str] = (),
) -> Exercise:
    """Register an exercise; the first line of a property's docstring is the title that a learner sees.

    id: "01.fgsm", the lab's number and a name.  properties: functions of the learner's function that raise
    AssertionError with a message that helps.  hints: Markdown, from a nudge to almost the answer.
    mutants: plausible wrong answers by what is wrong with them; every one must fail.  second: another right answer.
    timeout: seconds for all properties together.  returns: called with (result, args, kwargs) after each call.
    finite: False lets results hold NaN and infinity.  mutates: parameters that the function is meant to change.
    Raises ValueError for an id that is malformed or taken.
    """
    if not re.fullmatch(r"\d\d\.[a-z]\w*", id):
        raise ValueError(f"id must look like '01.fgsm', not {id!r}")
    if id in _REGISTRY:
        raise ValueError(f"exercise {id!r} is registered twice: give one of them another id")
    if not properties:
        raise ValueError(f"exercise {id!r} has no properties: what would its check verify?")
    made = Exercise(
        id, title, reference, tuple(properties), tuple(hints), dict(mutants or {}), second, timeout, returns, finite,
        tuple(mutates),
    )  # fmt: skip
    _REGISTRY[id] = made
    return made


def labs() -> list[str]:
    """The numbers of the labs that exist, in order: ["00", "01", …]."""
    names = (module.name for module in pkgutil.iter_modules(exercises.__path__))
    return sorted(name[4:] for name in names if re.fullmatch(r"lab_\d\d", name))


def planned() -> list[Planned]:
    """The labs that the course has announced and not yet built, in order."""
    listed = importlib.import_module(f"{ROOMS}.planned").PLANNED
    return sorted((one for one in listed if one.number not in labs()), key=lambda one: one.number)


def load(number: str | int) -> Contents:
    """The lab with this number. Raises ValueError, naming the labs there are, if there is none."""
    number = str(number).zfill(2)
    if number not in labs():
        raise ValueError(f"there is no lab {number!r}: there are labs {', '.join(labs()) or '(none)'}")
    name = f"{exercises.__name__}.lab_{number}"
    if name not in sys.modules:
        for id in _of(number):  # left by an import that failed half-way
            del _REGISTRY[id]
    module = importlib.import_module(name)
    return Contents(module.LAB, tuple(getattr(module, "QUIZ", ())), _of(number))


def find(id: str) -> Exercise:
    """The exercise with this id. Raises ValueError, naming the ids there are, if there is none."""
    number = str(id).split(".")[0]
    known = load(number).exercises if number in labs() else {i: e for n in labs() for i, e in load(n).exercises.items()}
    if id not in known:
        near = difflib.get_close_matches(str(id), known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no exercise {id!r}.{hint} There are: {', '.join(known) or '(none)'}")
    return known[id]


def _of(number: str) -> dict[str, Exercise]:
    return {id: e for id, e in _REGISTRY.items() if id.startswith(f"{number}.")}
