"""`claim("FGSM at ε = 0.1 halves accuracy", acc < 0.6)`: a sentence of a lab, verified again at each run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from IPython.display import display

from modelsec_course.lab.markup import Card, box, esc, inline, plain
from modelsec_course.lab.predicting import Guess
from modelsec_course.lab.words import tidy

VERIFIED, UNTRUE = ("✔", "verified", "--good"), ("○", "not true of this run", "--wait")
CALM = "If you changed something, this is what your change does. The lab goes on."


class ClaimFailed(AssertionError):
    """A sentence of the lab is not true of this run. Raised only in the course's own tests."""


@dataclass(frozen=True)
class Claimed:
    """A sentence, whether it holds in this run, what was measured, and what the learner had guessed."""

    sentence: str
    holds: bool
    measured: str = ""
    guess: str = ""

    @property
    def facts(self) -> str:
        """The measured value and the guess, in words."""
        return "; ".join(
            f"{name}: {value}" for name, value in (("measured", self.measured), ("your guess", self.guess)) if value
        )

    def text(self) -> str:
        icon, words, _ = VERIFIED if self.holds else UNTRUE
        return f"{icon} {words}: {plain(self.sentence)}" + (f" ({self.facts})" if self.facts else "")

    def html(self) -> str:
        icon, words, colour = VERIFIED if self.holds else UNTRUE
        head = f'<span class="icon" aria-hidden="true" style="color:var({colour})">{icon}</span>'
        facts = f' <span class="soft">{esc(self.facts)}</span>' if self.facts else ""
        return f'<li>{head}<span style="font-weight:600">{words}:</span> {inline(self.sentence)}{facts}</li>'


_made: dict[str, Claimed] = {}  # by sentence


class Claims(Card):
    """Some claims in one card. One that does not hold is no alarm: the learner may be playing."""

    def __init__(self, rows: list[Claimed]):
        self.rows, self.hold = rows, all(row.holds for row in rows)

    def text(self) -> str:
        return "\n".join([row.text() for row in self.rows] + ([] if self.hold else [f"  {CALM}"]))

    def html(self) -> str:
        body = '<ul class="rows" style="margin:0">' + "".join(row.html() for row in self.rows) + "</ul>"
        body += "" if self.hold else f'<p class="soft" style="margin:0 0 0 1.7em">{CALM}</p>'
        card = box(body, tone="good" if self.hold else "wait", live=True)
        return card.replace('class="msec', 'style="padding:.3rem 1rem" class="msec', 1)


def claim(sentence: str, holds: Any, measured: str = "", guess: Guess | None = None) -> None:
    """Show whether the sentence holds, `measured` beside it, and what the learner had guessed.

    holds: a bool, numpy.bool_ or a tensor with one bool. Raises TypeError for anything else.
    A sentence that does not hold stops only the course's own tests, with ClaimFailed.
    """
    claims((sentence, holds, measured, guess))


def claims(*rows: tuple) -> None:
    """Show several claims in one card, each (sentence, holds), (…, measured) or (…, measured, guess): see `claim`."""
    shown = Claims([_claimed(*row) for row in rows])
    _made.update({row.sentence: row for row in shown.rows})
    display(shown)
    if os.environ.get("MODELSEC_EXPECT") and not shown.hold:
        raise ClaimFailed("\n".join(row.text() for row in shown.rows if not row.holds))


def made() -> list[Claimed]:
    """The claims of this kernel's run, in the order of their first showing; a rerun replaces what it said before."""
    return list(_made.values())


def _claimed(sentence: str, holds: Any, measured: str = "", guess: Guess | None = None) -> Claimed:
    if isinstance(holds, torch.Tensor | np.ndarray) and holds.ndim == 0 and str(holds.dtype).endswith("bool"):
        holds = bool(holds)
    if not isinstance(holds, bool | np.bool_):
        raise TypeError(
            f"holds must be one True or False, not {_kind(holds)}: write a comparison such as `accuracy < 0.6`, "
            "with .all() or .any() if it compares several values"
        )
    return Claimed(sentence, bool(holds), tidy(measured), guess.words if guess is not None else "")


def _kind(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)} and type {value.dtype}" if hasattr(value, "shape") else ""
    return f"a {type(value).__name__}{shape}"
