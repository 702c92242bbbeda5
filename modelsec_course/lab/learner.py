"""Where the learner stands: what is solved in each lab, which notebook holds it, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelsec_course.lab import store
from modelsec_course.lab.exercise import Lab
from modelsec_course.lab.rooms import load


@dataclass(frozen=True)
class Standing:
    """A lab's progress: (id, title, status) of each exercise, and whether each quiz question was answered rightly."""

    lab: Lab
    exercises: tuple[tuple[str, str, str], ...]
    answers: tuple[bool | None, ...]  # None: not answered
    begun: bool

    @property
    def number(self) -> str:
        return self.lab.number

    @property
    def solved(self) -> int:
        return sum(status == "pass" for _, _, status in self.exercises)

    @property
    def right(self) -> int:
        return sum(answer is True for answer in self.answers)

    @property
    def done(self) -> int:
        return self.solved + self.right

    @property
    def total(self) -> int:
        return len(self.exercises) + len(self.answers)

    @property
    def complete(self) -> bool:
        return self.done == self.total


def standing(number: str, data: dict) -> Standing:
    """A lab's progress in `data`, as store.read() gives it."""
    contents = load(number)
    kept, chosen = data["exercises"], data["quizzes"].get(contents.lab.number, {})
    return Standing(
        lab=contents.lab,
        exercises=tuple(
            (id, exercise.title, kept.get(id, {}).get("status", "todo")) for id, exercise in contents.exercises.items()
        ),
        answers=tuple(chosen.get(store.question_key(question.prompt), {}).get("right") for question in contents.quiz),
        begun=bool(chosen) or any(id in kept for id in contents.exercises),
    )


def notebook(number: str, folder: Path | None = None) -> str:
    """The file name of a lab's notebook in a folder (the current one), or "" where there is none."""
    found = sorted(
        (folder or Path()).glob(f"{number}_*.ipynb"), key=lambda path: (len(path.stem.split(" (")), path.name)
    )
    return found[0].name if found else ""


def next_step(standings: list[Standing], folder: Path | None = None) -> Standing | None:
    """The lab to go on with: the one last worked on, or what follows it when it is done. None: all is done."""
    open_ones = [one for one in standings if not one.complete]
    begun = [one for one in standings if one.begun]
    if not open_ones or not begun:
        return open_ones[0] if open_ones else None

    def saved(one: Standing) -> float:
        name = notebook(one.number, folder)
        return ((folder or Path()) / name).stat().st_mtime if name else 0.0

    last = max(begun, key=lambda one: (saved(one), one.number))
    if not last.complete:
        return last
    return next((one for one in open_ones if one.number > last.number), open_ones[0])
