"""`progress("01")`: what is solved and what is left, in words and as a bar."""

from __future__ import annotations

from dataclasses import dataclass

from IPython.display import display

from modelsec_course.lab import store
from modelsec_course.lab.markup import Card, box, esc, inline
from modelsec_course.lab.rooms import labs, load

WORDS = {"pass": ("✔", "solved"), "fail": ("✘", "tried, not yet right"), "todo": ("○", "not attempted")}


@dataclass(frozen=True)
class Standing:
    """A lab's progress: (id, title, status) of each exercise, and the quiz answers that are right."""

    number: str
    title: str
    exercises: tuple[tuple[str, str, str], ...]
    right: int
    questions: int

    @property
    def solved(self) -> int:
        return sum(status == "pass" for _, _, status in self.exercises)


def standing(number: str, data: dict) -> Standing:
    """A lab's progress in `data`, as store.read() gives it."""
    contents = load(number)
    answers = data["quizzes"].get(contents.lab.number, {})
    return Standing(
        number=contents.lab.number,
        title=contents.lab.title,
        exercises=tuple(
            (id, exercise.title, data["exercises"].get(id, {}).get("status", "todo"))
            for id, exercise in contents.exercises.items()
        ),
        right=sum(
            answers.get(store.question_key(question.prompt), {}).get("right", False) for question in contents.quiz
        ),
        questions=len(contents.quiz),
    )


class Board(Card):
    """The progress of some labs; of a single one, exercise by exercise."""

    def __init__(self, numbers: list[str]):
        data, self.note = store.read()
        self.standings = [standing(number, data) for number in numbers]

    def text(self) -> str:
        lines = []
        for one in self.standings:
            lines.append(f"Lab {one.number}: {one.title}: {_summary(one)}")
            if len(self.standings) == 1:
                lines += [f"  {WORDS[status][0]} {title}: {WORDS[status][1]}" for _, title, status in one.exercises]
        return "\n".join(lines + ([self.note] if self.note else []))

    def html(self) -> str:
        body = '<p class="head">Your progress</p>'
        for one in self.standings:
            total = len(one.exercises) + one.questions
            done = one.solved + one.right
            bar = f'<progress max="{total or 1}" value="{done}" aria-label="Lab {one.number}"></progress>'
            body += f"<p><strong>Lab {one.number}: {esc(one.title)}</strong><br>{bar}{_summary(one)}</p>"
            if len(self.standings) == 1:
                rows = (
                    f'<li><span class="icon" aria-hidden="true">{WORDS[status][0]}</span>{inline(title)}'
                    f'<span class="soft">: {WORDS[status][1]}</span></li>'
                    for _, title, status in one.exercises
                )
                body += f'<ul class="rows">{"".join(rows)}</ul>'
        if self.note:
            body += f'<p class="soft">{esc(self.note)}</p>'
        complete = all(one.solved == len(one.exercises) and one.right == one.questions for one in self.standings)
        return box(body, tone="good" if complete and self.standings else "", label="Your progress", live=True)


def progress(number: str) -> None:
    """Show the progress of one lab."""
    display(Board([number]))


def board() -> None:
    """Show the progress of every lab."""
    display(Board(labs()))


def _summary(one: Standing) -> str:
    quiz = f", {one.right} of {one.questions} quiz questions right" if one.questions else ""
    return f"{one.solved} of {len(one.exercises)} exercises solved{quiz}"
