"""The box that ends a lab: what the defence guarantees, what it does not, and at what price."""

from __future__ import annotations

from IPython.display import display

from modelsec_course.lab.markup import Card, box, facts, inline, plain


class Guarantee(Card):
    def __init__(self, holds: str, does_not: str, adapts: str, cost: str):
        self.rows = [
            ("Holds", holds),
            ("Does not hold", does_not),
            ("The attacker adapts", adapts),
            ("Cost", cost),
        ]

    def text(self) -> str:
        return "\n".join(["Guarantee"] + [f"  {term}: {plain(what)}" for term, what in self.rows])

    def html(self) -> str:
        rows = [(term, inline(what)) for term, what in self.rows]
        return box('<p class="head">What is guaranteed, and what is not</p>' + facts(rows), label="Guarantee")


def guarantee(*, holds: str, does_not: str, adapts: str, cost: str) -> None:
    """Show a guarantee box. Each is a sentence or two, with `code` and **bold**."""
    display(Guarantee(holds, does_not, adapts, cost))
