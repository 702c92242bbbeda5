"""`progress("01")`: what is solved and what is left, in words and as a bar; `progress()`: the whole course."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from IPython.display import display

from modelsec_course.lab import store
from modelsec_course.lab.learner import Standing, next_step, notebook, standing
from modelsec_course.lab.markup import Card, box, esc, inline, plain
from modelsec_course.lab.rooms import labs

WORDS = {"pass": ("✔", "solved"), "fail": ("✘", "tried, not yet right"), "todo": ("○", "not attempted")}


class Board(Card):
    """The progress of one lab, exercise by exercise."""

    def __init__(self, number: str):
        data, self.note = store.read()
        self.standing = standing(number, data)

    def text(self) -> str:
        one = self.standing
        lines = [f"Lab {one.number}: {one.lab.title}: {_summary(one)}"]
        lines += [f"  {WORDS[status][0]} {plain(title)}: {WORDS[status][1]}" for _, title, status in one.exercises]
        return "\n".join(lines + ([self.note] if self.note else []))

    def html(self) -> str:
        one = self.standing
        bar = f'<progress max="{one.total or 1}" value="{one.done}" aria-label="Lab {one.number}"></progress>'
        rows = (
            f'<li><span class="icon" aria-hidden="true">{WORDS[status][0]}</span>{inline(title)}'
            f'<span class="soft">: {WORDS[status][1]}</span></li>'
            for _, title, status in one.exercises
        )
        body = (
            '<p class="head">Your progress</p>'
            f"<p><strong>Lab {one.number}: {esc(one.lab.title)}</strong><br>{bar}{_summary(one)}</p>"
            f'<ul class="rows">{"".join(rows)}</ul>'
        )
        if self.note:
            body += f'<p class="soft">{esc(self.note)}</p>'
        return box(body, tone="good" if one.complete else "", label="Your progress", live=True)


class Course(Card):
    """The progress of every lab: a row each, the sum, and what to do next."""

    def __init__(self, folder: Path | None = None):
        data, self.note = store.read()
        self.folder = folder
        self.standings = [standing(number, data) for number in labs()]
        self.next = next_step(self.standings, folder)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """(lab, exercises, quiz, state) of each lab, then the sums."""
        made = [
            (
                f"{one.number}  {plain(one.lab.title)}",
                f"{one.solved} of {len(one.exercises)}",
                f"{one.right} of {len(one.answers)}",
                "done" if one.complete else "begun" if one.begun else "",
            )
            for one in self.standings
        ]
        solved, exercises = sum(one.solved for one in self.standings), sum(len(one.exercises) for one in self.standings)
        right, questions = sum(one.right for one in self.standings), sum(len(one.answers) for one in self.standings)
        done = sum(one.complete for one in self.standings)
        return [*made, ("Together", f"{solved} of {exercises}", f"{right} of {questions}", f"{done} done")]

    def step(self) -> str:
        """The next step in words."""
        if self.next is None:
            return "Every lab is done"
        verb = "go on with" if self.next.begun else "begin"
        return f"Next: {verb} lab {self.next.number}, {plain(self.next.lab.title)}"

    def text(self) -> str:
        header, rows = ("Lab", "Exercises", "Quiz", ""), self.rows()
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(3)]

        def line(row: tuple[str, ...]) -> str:
            return f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip()

        rule = "─" * (sum(widths) + 12)
        command = f" (`python3 course.py lab {self.next.number}`)" if self.next else ""
        lines = [line(header), rule, *map(line, rows[:-1]), rule, line(rows[-1]), "", f"{self.step()}{command}."]
        return "\n".join(lines + ([self.note] if self.note else []))

    def html(self) -> str:
        *rows, total = self.rows()
        body = "".join(self._row(one, row) for one, row in zip(self.standings, rows, strict=True))
        cells = "".join(f"<td>{esc(cell)}</td>" for cell in total[1:])
        table = (
            '<table class="labs"><thead><tr><th scope="col">Lab</th><th scope="col">Exercises</th>'
            '<th scope="col">Quiz</th><th scope="col"></th></tr></thead>'
            f'<tbody>{body}</tbody><tfoot><tr><th scope="row">{total[0]}</th>{cells}</tr></tfoot></table>'
        )
        link = lab_link(self.next.number, self.step(), self.folder) if self.next else esc(self.step())
        note = f'<p class="soft">{esc(self.note)}</p>' if self.note else ""
        tone = "" if self.next else "good"
        return box(f'<p class="head">Your progress</p>{table}<p>{link}</p>{note}', tone=tone, label="Your progress")

    def _row(self, one: Standing, row: tuple[str, ...]) -> str:
        name = lab_link(one.number, f"{one.number} · {plain(one.lab.title)}", self.folder)
        return f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{esc(cell)}</td>" for cell in row[1:]) + "</tr>"


def lab_link(number: str, words: str, folder: Path | None = None, style: str = "") -> str:
    """HTML: a link to a lab's notebook, or the bare words where the folder has none. `style` is a CSS class."""
    name, kind = notebook(number, folder), f' class="{style}"' if style else ""
    return f'<a{kind} href="{quote(name)}">{esc(words)}</a>' if name else f"<span>{esc(words)}</span>"


def progress(number: str | None = None) -> None:
    """Show the progress of one lab, or of the whole course."""
    display(Course() if number is None else Board(number))


def _summary(one: Standing) -> str:
    quiz = f", {one.right} of {len(one.answers)} quiz questions right" if one.answers else ""
    return f"{one.solved} of {len(one.exercises)} exercises solved{quiz}"
