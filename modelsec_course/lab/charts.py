"""The charts that labs need more than once: lines and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from modelsec_course.lab import words
from modelsec_course.lab.predicting import Guess, mark
from modelsec_course.lab.style import BLACK, BLUE, DASHES, GREY, MARKERS, PALETTE, ROLES, SPARE, STYLE, label_ends, show


def curves(
    x: Any,
    ys: Mapping[str, Any],
    xlabel: str,
    ylabel: str,
    caption: str,
    bands: Mapping[str, tuple[Any, Any]] | None = None,
    marks: Mapping[str, float] | None = None,
    *,
    alt: str | None = None,
    percent: bool = False,
    log: str = "",
    ylim: tuple[float, float] | None = None,
    roles: Mapping[str, str] | None = None,
    guess: Guess | None = None,
) -> None:
    """Lines over a common `x`, each labelled at its end; one goes straight from point to point over what is NaN.

    bands: (low, high) around a line, by its label.  marks: a dotted vertical line at x, by its text.
    percent: the values are shares, shown as %.  log: "x", "y" or "xy"; at most eight values of `x` are its ticks.
    roles: what a line stands for, by its label: "control", "attack", "defence", "proof" or "truth" give its colour.
    guess: the learner's, from `predict`: a dashed line at that height.
    """
    x = numbers(x)
    every = max(1, len(x) // 12)
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(figsize=(7.2 if max(map(len, ys)) > 14 else 6.4, 3.6))
        drawn, colours = {}, _colours(ys, roles)
        for i, (label, y) in enumerate(ys.items()):
            look = {"color": colours[label], "linestyle": DASHES[i % 7], "marker": MARKERS[i % 7]}
            heights = numbers(y)
            measured = ~np.isnan(heights)
            drawn[label] = axes.plot(x[measured], heights[measured], **look, markevery=every)[0]
            if bands and label in bands:
                low, high = map(numbers, bands[label])
                axes.fill_between(x, low, high, color=colours[label], alpha=0.18, linewidth=0)
        axes.set(xlabel=xlabel, ylabel=ylabel, **({"ylim": ylim} if ylim else {}))  # None would stop the autoscaling
        _finish(fig, axes, percent, log)
        if "x" in log and 1 < len(x) <= 8:
            tick_at(axes, x)
        for text, at in (marks or {}).items():
            axes.axvline(at, color=GREY, linestyle=":", linewidth=1.5)
            where = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center"}
            axes.annotate(text, (at, 1), (0, 3), **where, fontsize=9.5, color="#444444")
        guessed = mark(axes, guess)
        label_ends(axes, drawn)
    alt = alt or f"Line chart of {ylabel} against {xlabel}. {_ends(x, ys, percent)} {caption}"
    show(fig, caption, f"{alt} {guessed}".strip())


def bars(
    values: Mapping[str, float],
    ylabel: str,
    caption: str,
    errors: Mapping[str, tuple[float, float]] | None = None,
    horizontal: bool = False,
    *,
    alt: str | None = None,
    percent: bool = False,
    points: bool = False,
    highlight: Sequence[str] = (),
    roles: Mapping[str, str] | None = None,
    guess: Guess | None = None,
) -> None:
    """One bar a label, its value written on it.

    errors: (low, high) ends of an interval, by label.  highlight: labels drawn solid among paler ones.
    percent: the values are shares, shown as %.  points: they are differences of shares, shown as percentage points.
    roles: what a bar stands for, by its label, as for `curves`; a bar without one is grey then.
    guess: the learner's, from `predict`: a dashed line across the bars.
    """
    heights = np.array([float(value) for value in values.values()])
    ends = [(errors or {}).get(label, (np.nan, np.nan)) for label in values]  # no whisker without an interval
    spread = np.abs(np.array(ends, dtype=float).T - heights) if errors else None
    colours = [_bar_colour(label, highlight, _known(roles, values)) for label in values]
    with plt.rc_context(STYLE):
        size = (6.4, 0.7 + 0.45 * len(values)) if horizontal else STYLE["figure.figsize"]
        fig, axes = plt.subplots(figsize=size)
        draw, error = (axes.barh, "xerr") if horizontal else (axes.bar, "yerr")
        whiskers = {"capsize": 4, "ecolor": BLACK, "error_kw": {"linewidth": 1.3}}
        drawn = draw(list(values), heights, color=colours, **({error: spread} | whiskers if errors else {}))
        written = [words.points(height) if points else _text(height, percent) for height in heights]
        axes.bar_label(drawn, written, padding=4, fontsize=10)
        axes.set(**{"xlabel" if horizontal else "ylabel": ylabel})
        axes.grid(False, axis="y" if horizontal else "x")
        axes.margins(**{"x" if horizontal else "y": 0.14 if heights.min() >= 0 else 0.18})
        if horizontal:
            axes.invert_yaxis()
        along = axes.xaxis if horizontal else axes.yaxis
        _finish(fig, axes, percent, "", axis=along)
        if points:
            along.set_major_formatter(lambda value, _: words.points(value))
        guessed = mark(axes, guess, vertical=horizontal)
    said = ", ".join(f"{label}: {word}" for label, word in zip(values, written, strict=True))
    alt = alt or f"Bar chart of {ylabel}. {said}. {caption}"
    show(fig, caption, f"{alt} {guessed}".strip())


def _finish(fig: Figure, axes: Axes, percent: bool, log: str, axis: Any = None) -> None:
    for name in log:
        getattr(axes, f"set_{name}scale")("log")
    if percent:
        (axis or axes.yaxis).set_major_formatter(lambda value, _: words.percent(value, None))


def _known(roles: Mapping[str, str] | None, labels: Mapping[str, Any]) -> dict[str, str]:
    for label, role in (roles or {}).items():
        if label not in labels or role not in ROLES:
            raise ValueError(f"roles: {label!r} must be a label and {role!r} one of {', '.join(ROLES)}")
    return dict(roles or {})


def _colours(labels: Mapping[str, Any], roles: Mapping[str, str] | None) -> dict[str, str]:
    """A line's colour is its role's; a second of the same role, and those without, get colours that mean nothing."""
    given = {label: ROLES[role] for label, role in _known(roles, labels).items()}
    chosen: dict[str, str] = {}
    for label in labels:
        if label in given and given[label] not in chosen.values():
            chosen[label] = given[label]
    free = (*SPARE, *PALETTE) if given else PALETTE
    spare = (colour for colour in free * (1 + len(labels) // 7) if colour not in given.values())
    return {label: chosen.get(label) or next(spare, GREY) for label in labels}


def _bar_colour(label: str, highlight: Sequence[str], roles: Mapping[str, str]) -> str:
    colour = ROLES[roles.get(label, "control")] if roles else BLUE
    return colour if not highlight or label in highlight else _pale(colour)


def _pale(colour: str) -> str:
    return to_hex(0.35 * np.array(to_rgb(colour)) + 0.65)


def tick_at(axes: Axes, x: np.ndarray, gap: float = 0.07) -> None:
    """Ticks of a logarithmic axis at the values themselves, less those that would touch their left neighbour."""
    where, kept = np.log(x / x[0]) / np.log(x[-1] / x[0]), [0]
    for i in range(1, len(x)):
        if where[i] - where[kept[-1]] >= gap:
            kept.append(i)
    axes.set_xticks(x[kept], [words.number(value) for value in x[kept]])
    axes.set_xticks([], minor=True)


def _ends(x: np.ndarray, ys: Mapping[str, Any], percent: bool) -> str:
    said = []
    for label, y in ys.items():
        y = numbers(y)
        first, last = (f"{_text(y[i], percent)} at {words.number(x[i])}" for i in (0, -1))
        said.append(f"{label}: {first}, {last}.")
    return " ".join(said)


def _text(value: float, percent: bool) -> str:
    return words.percent(value) if percent else words.number(value)


def numbers(values: Any) -> np.ndarray:
    """Values as an array, from wherever a tensor lives."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values, dtype=float)
