"""Grids of pictures, as labs show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from modelsec_course.lab.charts import numbers
from modelsec_course.lab.style import GREEN, STYLE, show


def pictures(
    rows: Sequence[Any],
    titles: Sequence[str] | Sequence[Sequence[str]] | None = None,
    row_labels: Sequence[str] | None = None,
    caption: str = "",
    alt: str | None = None,
    size: float = 1.05,
    *,
    framed: Sequence[Any] | None = None,
) -> None:
    """A grid of images, each of `rows` a batch: (n, c, h, w), (n, h, w) or flat squares (n, h·h), in [0, 1].

    titles: above the columns, or for every picture (a sequence for each row).  row_labels: left of each row.
    framed: for each row, which of its pictures get a thick frame (bools, or None); the caption says what it means.
    A row with negative values is a change: blue is less, red is more, white is none, scaled to its largest.
    """
    batches = [_images(row) for row in rows]
    titles = [titles] if titles and isinstance(titles[0], str) else list(titles or [])
    frames = [list(map(bool, row if row is not None else ())) for row in framed or [None] * len(batches)]
    columns = max(map(len, batches))
    with plt.rc_context(STYLE):
        margin = 0.095 * max(map(len, row_labels), default=0) if row_labels else 0
        tall = size * len(batches) + 0.25 * max(len(titles), 1)
        fig, grid = plt.subplots(len(batches), columns, figsize=(size * columns + margin, tall), squeeze=False)
        for axes in grid.flat:
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            axes.spines[:].set_visible(False)
        for r, (batch, frame) in enumerate(zip(batches, frames, strict=True)):
            for c, axes in enumerate(grid[r, : len(batch)]):
                axes.imshow(_visible(batch)[c], **_scale(batch))
                look = (GREEN, 3.5) if c < len(frame) and frame[c] else ("#BBBBBB", 0.8)
                axes.spines[:].set(visible=True, color=look[0], linewidth=look[1])
                if r < len(titles) and c < len(titles[r]):
                    axes.set_title(titles[r][c], fontsize=9.5, fontweight="normal", loc="center", pad=3)
            if row_labels:
                grid[r, 0].set_ylabel(row_labels[r], rotation=0, ha="right", va="center", labelpad=6, fontsize=10)
    show(fig, caption, alt or f"{_words(row_labels, frames)} {caption}", tight=True)


def _words(row_labels: Sequence[str] | None, frames: list[list[bool]]) -> str:
    names = row_labels or [f"row {r}" for r in range(1, len(frames) + 1)]
    said = f"{len(frames)} row(s) of pictures" + (f": {', '.join(names)}." if row_labels else ".")
    counts = [f"{name} {sum(row)} of {len(row)}" for name, row in zip(names, frames, strict=True) if row]
    return f"{said} Framed: {', '.join(counts)}." if counts else said


def _images(row: Any) -> np.ndarray:
    batch = numbers(row)
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
