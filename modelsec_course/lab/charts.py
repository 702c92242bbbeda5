"""The pictures that labs need more than once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelsec_course.lab.expect import number
from modelsec_course.lab.style import BLACK, BLUE, DASHES, GREY, MARKERS, PALETTE, STYLE, label_ends, show


def pictures(
    rows: Sequence[Any],
    titles: Sequence[str] | Sequence[Sequence[str]] | None = None,
    row_labels: Sequence[str] | None = None,
    caption: str = "",
    alt: str | None = None,
    size: float = 1.05,
) -> None:
    """A grid of images, each of `rows` a batch: (n, c, h, w), (n, h, w) or flat squares (n, h·h), in [0, 1].

    titles: above the columns, or for every picture (a sequence for each row).  row_labels: left of each row.
    A row with negative values is a change: blue is less, red is more, white is none, scaled to its largest.
    """
    batches = [_images(row) for row in rows]
    titles = [titles] if titles and isinstance(titles[0], str) else list(titles or [])
    columns = max(map(len, batches))
    with plt.rc_context(STYLE):
        margin = 0.095 * max(map(len, row_labels), default=0) if row_labels else 0
        tall = size * len(batches) + 0.25 * max(len(titles), 1)
        fig, grid = plt.subplots(len(batches), columns, figsize=(size * columns + margin, tall), squeeze=False)
        for r, batch in enumerate(batches):
            for c in range(columns):
                axes = grid[r, c]
                axes.set_xticks([]), axes.set_yticks([])
                axes.grid(False)
                axes.spines[:].set(visible=c < len(batch), color="#BBBBBB", linewidth=0.8)
                if c < len(batch):
                    axes.imshow(_visible(batch)[c], **_scale(batch))
                if r < len(titles) and c < len(titles[r]):
                    axes.set_title(titles[r][c], fontsize=9.5, fontweight="normal", loc="center", pad=3)
            if row_labels:
                grid[r, 0].set_ylabel(row_labels[r], rotation=0, ha="right", va="center", labelpad=6, fontsize=10)
    words = f"{len(batches)} row(s) of pictures" + (f": {', '.join(row_labels)}" if row_labels else "")
    show(fig, caption, alt or f"{words}. {caption}", tight=True)


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
) -> None:
    """Lines over a common `x`, each labelled at its end.

    bands: (low, high) around a line, by its label.  marks: a dotted vertical line at x, by its text.
    percent: the values are shares, shown as %.  log: "x", "y" or "xy"; at most eight values of `x` are its ticks.
    """
    x = _numbers(x)
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots()
        drawn = {}
        for i, (label, y) in enumerate(ys.items()):
            look = {"color": PALETTE[i % 7], "linestyle": DASHES[i % 7], "marker": MARKERS[i % 7]}
            drawn[label] = axes.plot(x, _numbers(y), **look, markevery=max(1, len(x) // 12))[0]
            if bands and label in bands:
                low, high = map(_numbers, bands[label])
                axes.fill_between(x, low, high, color=PALETTE[i % 7], alpha=0.18, linewidth=0)
        axes.set(xlabel=xlabel, ylabel=ylabel, **({"ylim": ylim} if ylim else {}))  # None would stop the autoscaling
        _finish(fig, axes, percent, log)
        if "x" in log and 1 < len(x) <= 8:
            tick_at(axes, x)
        for text, at in (marks or {}).items():
            axes.axvline(at, color=GREY, linestyle=":", linewidth=1.5)
            where = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center"}
            axes.annotate(text, (at, 1), (0, 3), **where, fontsize=9.5, color="#444444")
        label_ends(axes, drawn)
    show(fig, caption, alt or f"Line chart of {ylabel} against {xlabel}. {_ends(x, ys, percent)} {caption}")


def bars(
    values: Mapping[str, float],
    ylabel: str,
    caption: str,
    errors: Mapping[str, tuple[float, float]] | None = None,
    horizontal: bool = False,
    *,
    alt: str | None = None,
    percent: bool = False,
    highlight: Sequence[str] = (),
) -> None:
    """One bar a label, its value written on it.

    errors: (low, high) ends of an interval, by label.  highlight: labels drawn solid among paler ones.
    """
    heights = np.array([float(value) for value in values.values()])
    ends = [(errors or {}).get(label, (h, h)) for label, h in zip(values, heights, strict=True)]
    spread = np.abs(np.array(ends, dtype=float).T - heights) if errors else None
    colours = [BLUE if not highlight or label in highlight else "#A9C6DB" for label in values]
    with plt.rc_context(STYLE):
        size = (6.4, 0.7 + 0.45 * len(values)) if horizontal else STYLE["figure.figsize"]
        fig, axes = plt.subplots(figsize=size)
        draw, error = (axes.barh, "xerr") if horizontal else (axes.bar, "yerr")
        whiskers = {"capsize": 4, "ecolor": BLACK, "error_kw": {"linewidth": 1.3}}
        drawn = draw(list(values), heights, color=colours, **({error: spread} | whiskers if errors else {}))
        words = [_text(height, percent) for height in heights]
        axes.bar_label(drawn, words, padding=4, fontsize=10)
        axes.set(**{"xlabel" if horizontal else "ylabel": ylabel})
        axes.grid(False, axis="y" if horizontal else "x")
        axes.margins(**{"x" if horizontal else "y": 0.14})
        if horizontal:
            axes.invert_yaxis()
        _finish(fig, axes, percent, "", axis=axes.xaxis if horizontal else axes.yaxis)
    said = ", ".join(f"{label}: {word}" for label, word in zip(values, words, strict=True))
    show(fig, caption, alt or f"Bar chart of {ylabel}. {said}. {caption}")


def _images(row: Any) -> np.ndarray:
    batch = _numbers(row)
    if batch.ndim == 2:
        side = round(batch.shape[1] ** 0.5)
        if side * side != batch.shape[1]:
            raise ValueError(
                f"a flat row must hold squares, but {batch.shape[1]} values make none: reshape it to (n, h, w)"
            )
        batch = batch.reshape(-1, side, side)
    if batch.ndim not in (3, 4):
        raise ValueError(f"a row must have shape (n, c, h, w), (n, h, w) or (n, h*h), not {batch.shape}")
    if batch.ndim == 4:
        batch = batch[:, 0] if batch.shape[1] == 1 else batch.transpose(0, 2, 3, 1)
    return batch


def _visible(batch: np.ndarray) -> np.ndarray:
    """Colour pictures have no colour map, so a change is shown around mid-grey."""
    if batch.ndim == 4 and batch.min() < 0:
        return 0.5 + batch / (2 * np.abs(batch).max())
    return batch.clip(0, 1) if batch.ndim == 4 else batch


def _scale(batch: np.ndarray) -> dict[str, Any]:
    if batch.min() < 0:
        most = np.abs(batch).max()
        return {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    return {"cmap": "gray", "vmin": 0, "vmax": max(1, batch.max())}


def _numbers(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values, dtype=float)


def _finish(fig: Figure, axes: Axes, percent: bool, log: str, axis: Any = None) -> None:
    for name in log:
        getattr(axes, f"set_{name}scale")("log")
    if percent:
        (axis or axes.yaxis).set_major_formatter(lambda value, _: f"{100 * value:g} %")


def tick_at(axes: Axes, x: np.ndarray, gap: float = 0.07) -> None:
    """Ticks of a logarithmic axis at the values themselves, less those that would touch their left neighbour."""
    where, kept = np.log(x / x[0]) / np.log(x[-1] / x[0]), [0]
    for i in range(1, len(x)):
        if where[i] - where[kept[-1]] >= gap:
            kept.append(i)
    axes.set_xticks(x[kept], [number(value) for value in x[kept]])
    axes.set_xticks([], minor=True)


def _ends(x: np.ndarray, ys: Mapping[str, Any], percent: bool) -> str:
    said = []
    for label, y in ys.items():
        y = _numbers(y)
        said.append(f"{label}: {_text(y[0], percent)} at {number(x[0])}, {_text(y[-1], percent)} at {number(x[-1])}.")
    return " ".join(said)


def _text(value: float, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else f"{value:.3g}"
