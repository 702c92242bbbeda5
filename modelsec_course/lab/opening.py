"""`start("01")`: a lab's header card."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from IPython.display import display

from modelsec_course.lab.exercise import Lab
from modelsec_course.lab.markup import Card, box, esc, facts, inline, plain
from modelsec_course.lab.rooms import labs, load
from modelsec_course.lab.style import use_style

LEVELS = ("", "a first step", "easy", "moderate", "demanding", "hard")


class Header(Card):
    def __init__(self, lab: Lab, device: str):
        self.lab, self.device = lab, device
        numbers = labs()
        at = numbers.index(lab.number)
        self.before = load(numbers[at - 1]).lab if at else None
        self.after = load(numbers[at + 1]).lab if at + 1 < len(numbers) else None

    def rows(self) -> list[tuple[str, str]]:
        lab = self.lab
        dots = "●" * lab.difficulty + "○" * (5 - lab.difficulty)
        return [
            ("Time", f"about {lab.minutes} minutes, of which {_seconds(lab.seconds)} computing on two CPU cores"),
            ("Difficulty", f"{dots} {lab.difficulty} of 5, {LEVELS[lab.difficulty]}"),
            ("Before this", "; ".join(lab.prerequisites) or "nothing"),
            ("Runs on", self.device),
        ]

    def text(self) -> str:
        lines = [f"Lab {self.lab.number}: {self.lab.title}. {self.lab.question}"]
        lines += [f"  {term}: {what}" for term, what in self.rows()]
        lines += [f"  You will: {plain(outcome)}" for outcome in self.lab.outcomes]
        return "\n".join(lines)

    def html(self) -> str:
        lab = self.lab
        outcomes = "<ul>" + "".join(f"<li>{inline(outcome)}</li>" for outcome in lab.outcomes) + "</ul>"
        links = [_link("← ", self.before, ""), _link("", self.after, " →")]
        body = (
            f'<p class="soft" style="margin:0">Lab {lab.number} · {inline(lab.title)}</p>'
            f'<p class="title">{inline(lab.question)}</p>'
            + facts(
                [(term, inline(what)) for term, what in self.rows()]
                + ([("You will", outcomes)] if lab.outcomes else [])
            )
            + '<p style="display:flex;justify-content:space-between;gap:1rem;flex-wrap:wrap;margin:.7rem 0 0">'
            + "".join(f"<span>{link}</span>" for link in links)
            + "</p>"
        )
        return box(body, label=f"Lab {lab.number}: {lab.title}")


def start(number: str) -> None:
    """Show the header card of a lab, and give figures the course's style."""
    lab = load(number).lab
    use_style()
    display(Header(lab, _device()))


def _device() -> str:
    from modelsec_course import runtime

    kind = runtime.device().type
    return {"cpu": "the CPU", "cuda": "a CUDA accelerator", "mps": "Apple's accelerator (mps)"}.get(kind, kind)


def _seconds(seconds: int) -> str:
    return f"{seconds} s" if seconds < 90 else f"{round(seconds / 60)} min"


def _link(before: str, lab: Lab | None, after: str) -> str:
    if lab is None:
        return ""
    words = f"{before}Lab {lab.number}: {esc(lab.title)}{after}"
    notebook = next(iter(sorted(Path().glob(f"{lab.number}_*.ipynb"))), None)
    return f'<a href="{quote(notebook.name)}">{words}</a>' if notebook else words
