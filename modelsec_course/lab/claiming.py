"""`claim("FGSM at ε = 0.1 halves accuracy", acc < 0.6)`: a sentence of a lab, verified again at each run."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from IPython.display import display

from modelsec_course.lab.markup import Card, box, esc, inline, plain


class ClaimFailed(AssertionError):
    """A sentence of the lab is not true of this run."""


class Claim(Card):
    def __init__(self, sentence: str, holds: bool, measured: str = ""):
        self.sentence, self.holds = sentence, holds
        self.measured = re.sub(r"(?<=\d)%", " %", measured)  # as the course writes it

    def text(self) -> str:
        measured = f" (measured: {self.measured})" if self.measured else ""
        return f"{'✔ verified' if self.holds else '✘ not true here'}: {plain(self.sentence)}{measured}"

    def html(self) -> str:
        icon, words, tone = ("✔", "verified", "good") if self.holds else ("✘", "not true here", "bad")
        measured = f' <span class="soft">measured: {esc(self.measured)}</span>' if self.measured else ""
        line = (
            '<p style="margin:0;padding-left:1.7em;text-indent:-1.7em">'
            f'<span class="icon" aria-hidden="true" style="color:var(--tone)">{icon}</span>'
            f'<span style="font-weight:600">{words}:</span> {inline(self.sentence)}{measured}</p>'
        )
        return box(line, tone=tone, live=True).replace('class="msec', 'style="padding:.3rem 1rem" class="msec', 1)


def claim(sentence: str, holds: Any, measured: str = "") -> None:
    """Show the sentence as verified, or raise ClaimFailed. `measured` is shown beside it.

    holds: a bool, numpy.bool_ or a tensor with one bool. Raises TypeError for anything else.
    """
    if isinstance(holds, torch.Tensor | np.ndarray) and holds.ndim == 0 and str(holds.dtype).endswith("bool"):
        holds = bool(holds)
    if not isinstance(holds, bool | np.bool_):
        raise TypeError(
            f"holds must be one True or False, not {_kind(holds)}: write a comparison such as `accuracy < 0.6`, "
            "with .all() or .any() if it compares several values"
        )
    shown = Claim(sentence, bool(holds), measured)
    display(shown)
    if not holds:
        raise ClaimFailed(repr(shown))


def _kind(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)} and type {value.dtype}" if hasattr(value, "shape") else ""
    return f"a {type(value).__name__}{shape}"
