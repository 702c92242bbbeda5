"""One picture before and after a change, large, with what a model answers to each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from modelsec_course.lab.charts import numbers
from modelsec_course.lab.style import BLUE, STYLE, VERMILION, show

SHOWN = 5  # answers, the likeliest first


def before_after(
    before: Any, after: Any, chances: tuple[Any, Any], names: Sequence[str], truth: int, caption: str
) -> None:
    """Three large pictures: before, the change enlarged around grey, after; below, what a model answers to each.

    before, after: one picture (3, h, w) or (1, h, w) in [0, 1].  chances: for each, the probability of every class,
    (classes,).  names: of the classes.  truth: the right class; any other answer is coloured.
    """
    change = numbers(after) - numbers(before)
    times = enlargement(change)
    tops = [(int(values.argmax()), float(values.max())) for values in map(numbers, chances)]
    said = [f"{names[k]}, {100 * chance:.0f} %" for k, chance in tops]
    with plt.rc_context(STYLE | {"figure.constrained_layout.use": False}):
        fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.75))
        fig.subplots_adjust(left=0.004, right=0.996, top=0.995, bottom=0.17, wspace=0.09)
        for ax, picture in zip(axes, (before, 0.5 + times * change, after), strict=True):
            paint(ax, picture, smooth=ax is not axes[1])
        for ax, (k, _), answer in zip(axes[::2], tops, said, strict=True):
            _write(ax, "the model says", answer, "black" if k == truth else VERMILION)
        _write(axes[1], "the change", f"shown × {times}", "black")
        for ax, sign in zip(axes[1:], "+=", strict=True):
            ax.text(-0.045, 0.5, sign, transform=ax.transAxes, ha="center", va="center", fontsize=19, fontweight="bold")
    show(
        fig,
        caption,
        f"The same picture twice, of class {names[truth]}. Before, the model says {said[0]}. After, it says {said[1]}. "
        f"Between them the change, shown {times} times enlarged. {caption}",
    )


def enlargement(change: Any) -> int:
    """By how much a change can be multiplied and still be drawn around mid-grey: at most 20."""
    return int(min(20, 0.5 / max(float(np.abs(numbers(change)).max()), 1e-9)))


def paint(ax: Axes, picture: Any, *, smooth: bool = True) -> None:
    """Draw one picture (c, h, w) on `ax`, without ticks; smooth: enlarge it as a screen enlarges a photograph."""
    pixels = numbers(picture).transpose(1, 2, 0).clip(0, 1)
    ax.imshow(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), interpolation="bicubic" if smooth else "nearest")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)


def answer_bars(ax: Axes, chances: Tensor, names: Sequence[str], truth: int) -> None:
    """Draw the likeliest answers as bars; the truth in blue and hatched, a wrong first answer in vermilion.

    chances: the probability of every class, (classes,).  names: of the classes.  truth: the right class.
    """
    top = chances.topk(SHOWN).indices.tolist()
    colours = [BLUE if k == truth else VERMILION if k == top[0] else "#BBBBBB" for k in top]
    bars = ax.barh(range(SHOWN), chances[top].numpy(), color=colours)
    if truth in top:
        bars[top.index(truth)].set(hatch="//", edgecolor="white")
    ax.set(yticks=range(SHOWN), yticklabels=[names[k] for k in top], xlim=(0, 1.02), xticks=(0, 0.5, 1))
    ax.set_xticklabels(("0", "50 %", "100 %"))
    ax.invert_yaxis()
    ax.set_title("its answers", fontsize=10.5, fontweight="normal", loc="center")


def _write(ax: Axes, small: str, large: str, colour: str) -> None:
    where = {"transform": ax.transAxes, "ha": "center", "va": "top"}
    ax.text(0.5, -0.02, small, **where, fontsize=11, color="#444444")
    ax.text(0.5, -0.085, large, **where, fontsize=17, fontweight="bold", color=colour)
