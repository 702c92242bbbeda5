"""`doctor()`: what this computer runs the labs on, without its paths, so that the notebook can be shown around."""

from __future__ import annotations

from IPython.display import display

from modelsec_course.app.cli import ROOT
from modelsec_course.app.doctor import findings
from modelsec_course.lab.markup import Card, box, esc, facts
from modelsec_course.lab.rooms import about, labs

SHOWN = ("Python", "torch", "jupyterlab", "ipykernel", "device", "cores", "free disk", "trained models")


class Health(Card):
    def __init__(self) -> None:
        found, self.problems = findings(ROOT)
        self.rows = [(name, found[name].split()[0] if name == "Python" else found[name]) for name in SHOWN]
        seconds = [about(number).seconds for number in labs()]
        whole = max(1, round(sum(seconds) / 60))
        self.rows.append(
            ("computing", f"{min(seconds)} to {max(seconds)} s a lab on two CPU cores, {whole} min for all")
        )
        self.verdict = f"{len(self.problems)} to mend" if self.problems else "All is well"

    def text(self) -> str:
        lines = [f"{name}: {fact}" for name, fact in self.rows]
        return "\n".join([*lines, self.verdict, *self.problems])

    def html(self) -> str:
        problems = "".join(f"<p>{esc(problem)}</p>" for problem in self.problems)
        rows = [(name, esc(fact)) for name, fact in self.rows]
        tone = "bad" if self.problems else "good"
        return box(f'<p class="head">The doctor: {self.verdict}</p>{facts(rows)}{problems}', tone=tone, label="Doctor")


def doctor() -> None:
    """Show versions, device, an estimate of the time, and what is amiss with its remedy."""
    display(Health())
