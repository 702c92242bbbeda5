"""What a lab is made of: its facts, its questions, its exercises."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from modelsec_course.lab.expect import expect, expect_close

__all__ = ["PARTS", "STAGES", "Exercise", "Lab", "Planned", "Question", "expect", "expect_close"]

Property = Callable[[Callable], None]
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
    """An exercise; the first line of a property's docstring is the title that a learner sees.

    id: "01.fgsm", the lab's number and a name.  reference: what the lab goes on with until the learner's own passes.
    properties: functions of the learner's function that raise AssertionError with a message that helps.
    hints: Markdown, from a nudge to almost the answer.
    mutants: plausible wrong answers by what is wrong with them; every one must fail.  second: another right answer.
    timeout: seconds for all properties together.  returns: called with (result, args, kwargs) after each call.
    finite: False lets results hold NaN and infinity.  mutates: parameters that the function is meant to
    change, by the reference's names: what a learner calls them does not matter.
    Raises ValueError for an id that is malformed, and for an exercise without properties.
    """

    id: str
    _: KW_ONLY
    title: str
    reference: Callable
    properties: Sequence[Property]
    hints: Sequence[str] = ()
    mutants: Mapping[str, Callable] = field(default_factory=dict)
    second: Callable | None = None
    timeout: float = 20.0
    returns: Callable[[Any, tuple, dict], None] | None = None
    finite: bool = True
    mutates: Sequence[str] = ()

    def __post_init__(self):
        if not re.fullmatch(r"\d\d\.[a-z]\w*", self.id):
            raise ValueError(f"id must look like '01.fgsm', not {self.id!r}")
        if not self.properties:
            raise ValueError(f"exercise {self.id!r} has no properties: what would its check verify?")
