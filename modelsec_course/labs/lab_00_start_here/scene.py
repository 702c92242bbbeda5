"""Lab 00: tumour records in front of a linear boundary."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from modelsec_course.data import Dataset
from modelsec_course.lab.style import BLACK, BLUE, GREY, ORANGE, STYLE, show

BINS = np.linspace(-1.4, 1.4, 43)


def two_classes(distance: Tensor, y: Tensor, caption: str) -> None:
    """Histograms of signed L∞ distances (n,) to the boundary, malignant (y = 0) and benign (y = 1)."""
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(figsize=(6.4, 2.9))
        _histograms(axes, distance, y)
        axes.legend(loc="upper left")
    show(fig, caption, f"Two histograms on either side of a boundary at 0. {caption}")


def drag_a_record(data: Dataset, z: Tensor, w: Tensor, b: Tensor) -> Callable[..., tuple[Figure, str]]:
    """A scene: one record moves, by `step` standard deviations in every measurement, towards the boundary.

    data: the tumour records.  z: (n, 30) their standardised test rows.  w, b: the boundary, benign where w·z + b > 0.
    """
    slope = w.abs().sum()
    distances = (z @ w + b) / slope
    spread = data.x_train.std(0, correction=0)

    def draw(record: int, step: float) -> tuple[Figure, str]:
        side = distances[record].sign()
        moved = z[record] - side * step * w.sign()
        at = (moved @ w + b) / slope
        chance = torch.sigmoid(moved @ w + b).item()
        says = "benign" if at > 0 else "malignant"
        sure = chance if at > 0 else 1 - chance
        with plt.rc_context(STYLE):
            fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.4), width_ratios=(1.35, 1))
            _histograms(left, distances, data.y_test)
            top = left.get_ylim()[1]
            start = distances[record].item()
            if step:
                left.annotate(
                    "", (at.item(), top * 0.8), (start, top * 0.8), arrowprops={"arrowstyle": "->", "lw": 1.8}
                )
            left.scatter(at.item(), top * 0.8, marker="D" if at > 0 else "s", color=BLACK, s=70, zorder=3)
            left.set_title(f"The model says: {says}, {100 * sure:.0f} % sure", pad=18)
            left.legend(loc="upper left", fontsize=9)
            _changes(right, data, record, spread * (moved - z[record]), w)
        truth = data.classes[data.y_test[record]]
        return fig, (
            f"Record {record} is **{truth}**, {abs(start):.2f} away from the boundary. Each measurement moved by "
            f"{step:.2f} standard deviations, the way that hurts: the model says **{says}** ({100 * sure:.0f} % sure)."
        )

    return draw


def _histograms(axes: Axes, distance: Tensor, y: Tensor) -> None:
    shown, y = distance.clamp(-1.4, 1.4).numpy(), y.numpy()
    axes.hist(shown[y == 0], BINS, color=ORANGE, alpha=0.85, hatch="//", edgecolor="white", label="malignant")
    axes.hist(shown[y == 1], BINS, color=BLUE, alpha=0.7, edgecolor="white", label="benign")
    axes.axvline(0, color=BLACK, linewidth=1.6)
    axes.set(xlabel="signed L∞ distance to the boundary (standard deviations)", ylabel="records", xlim=(-1.45, 1.45))
    for words, x in (("says malignant", -0.05), ("says benign", 0.05)):
        axes.text(x, 1.0, words, transform=axes.get_xaxis_transform(), va="bottom", ha="right" if x < 0 else "left",
                  fontsize=9.5, color=GREY)  # fmt: skip


def _changes(axes: Axes, data: Dataset, record: int, change: Tensor, w: Tensor) -> None:
    """The five measurements that weigh most, before and after, in their own units."""
    axes.axis("off")
    axes.set_title("What a pathologist would see")
    axes.text(0, 0.93, "measurement", color=GREY, fontsize=9.5)
    axes.text(1, 0.93, "before → after", color=GREY, fontsize=9.5, ha="right")
    for row, i in enumerate(w.abs().topk(5).indices):
        before = data.x_test[record, i].item()
        axes.text(0, 0.79 - 0.155 * row, data.features[i])
        axes.text(1, 0.79 - 0.155 * row, f"{before:.4g} → {before + change[i].item():.4g}", ha="right")
