"""`guess = predict("01.fgsm", "What accuracy is left at ε = 0.1?")`: a guess, caught before the answer is shown."""

from __future__ import annotations

import os
import re
from typing import Any

import ipywidgets as widgets
from IPython.display import display
from matplotlib.axes import Axes

from modelsec_course.lab import store
from modelsec_course.lab.controls import slider
from modelsec_course.lab.markup import PROSE, esc, inline, plain
from modelsec_course.lab.words import number, percent

COLOUR, INK = "#CC79A7", "#8A3D68"
ASK = "Guess before you run on: move the slider. Or read on without a guess."


class Guess(widgets.VBox):
    """A question with its slider. `value` is None until the learner touches it, `words` the value as text."""

    def __init__(self, id: str, prompt: str, low: float, high: float, step: float, share: bool):
        self.id, self.prompt = id, prompt
        kept = None if os.environ.get("MODELSEC_EXPECT") else store.guess(id)
        kept = self._kept = kept if kept is not None and low <= kept <= high else None
        start = low + step * round((high - low) / step / 2) if kept is None else kept
        self.slider = slider(
            low, high, step, start, name=plain(prompt), percent=share, continuous=False, untouched="no guess yet"
        )
        self.slider.layout = widgets.Layout(width="min(100%, 30rem)")
        self.slider.touched = kept is not None
        self.said = widgets.HTML()
        self._say()
        self.slider.observe(self._changed, ["value", "touched"])
        question = f'<div style="{PROSE};font-weight:600;max-width:52rem;white-space:normal">{inline(prompt)}</div>'
        super().__init__([widgets.HTML(question), self.slider, self.said])
        self.add_class("msec-guess")

    @property
    def value(self) -> float | None:
        return self.slider.value if self.slider.touched else None

    @property
    def words(self) -> str:
        if self.value is None:
            return ""
        return percent(self.value, self.slider.decimals) if self.slider.percent else number(self.value)

    def _changed(self, _: Any) -> None:
        if self.value == self._kept:  # one message from the page tells of both, the touch and the value
            return
        self._kept = self.value
        self._say("" if os.environ.get("MODELSEC_EXPECT") else store.record_guess(self.id, self.value))

    def _say(self, note: str = "") -> None:
        words = ASK if self.value is None else f"Your guess: {self.words}. Run the cells below: they show it."
        self.said.value = (
            f'<div role="status" aria-live="polite" style="{PROSE};color:var(--jp-content-font-color2,inherit);'
            f'white-space:normal">{esc(f"{words} {note}".strip())}</div>'
        )

    def __repr__(self) -> str:
        return f"{plain(self.prompt)} {f'Your guess: {self.words}' if self.words else 'No guess yet.'}"

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle["text/plain"], bundle["text/html"] = repr(self), f'<p style="{PROSE}">{inline(repr(self))}</p>'
        return bundle


def predict(
    id: str, prompt: str, *, low: float = 0, high: float = 1, step: float | None = None, percent: bool = False
) -> Guess:
    """Ask the learner for a guess with a slider, and return it: `value` is None as long as there is none.

    id: "01.fgsm", the lab's number and a name; the guess is kept under it, so that a rerun knows it.
    low, high: the ends of the slider.  step: its step, by default a percent or a hundredth of its length.
    percent: the guess is a share, shown as %.  Raises ValueError for a malformed id and unless low < high, step > 0.
    """
    if not re.fullmatch(r"\d\d\.[a-z]\w*", id):
        raise ValueError(f"id must look like '01.fgsm', not {id!r}")
    if not low < high:
        raise ValueError(f"low must be less than high, not {low} and {high}")
    step = (high - low) / 100 if step is None else step
    if step <= 0:
        raise ValueError(f"step must be more than 0, not {step}")
    guess = Guess(id, prompt, low, high, step, percent)
    display(guess)
    return guess


def mark(axes: Axes, guess: Guess | None, *, vertical: bool = False) -> str:
    """Draw the guess dashed across the axes, and return it in words; nothing, and "", as long as there is none."""
    if guess is None or guess.value is None:
        return ""
    label = f"your guess: {guess.words}"
    look = {"color": COLOUR, "linestyle": (0, (6, 4)), "linewidth": 2, "zorder": 4}
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "boxstyle": "round,pad=0.2"}
    text = {"color": INK, "fontsize": 9.5, "textcoords": "offset points", "bbox": behind, "zorder": 5}
    if vertical:
        axes.axvline(guess.value, **look)
        axes.annotate(label, (guess.value, 1), (0, 3), xycoords=("data", "axes fraction"), ha="center", **text)
    else:
        axes.axhline(guess.value, **look)
        axes.annotate(label, (0, guess.value), (5, 6), xycoords=("axes fraction", "data"), **text)
    return f"Dashed: {label}."
