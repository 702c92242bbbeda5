"""The course's figures: one palette, one style, one way to show a figure with its caption and its words."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelsec_course.lab.markup import PROSE, Card, esc, inline, plain

# Okabe and Ito's colours, which colour-blind readers tell apart; lines also differ by dash and marker, for greyscale.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE, GREY = "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#767676"
# What a colour means, in every lab. Roles are drawn alike wherever they come: ROLES is what `roles=` takes.
CONTROL, ATTACK, DEFENCE, PROOF, TRUTH = GREY, VERMILION, BLUE, GREEN, BLACK
ROLES = {"control": CONTROL, "attack": ATTACK, "defence": DEFENCE, "proof": PROOF, "truth": TRUTH}
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (9, 3)), "-")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

STYLE = {
    "axes.prop_cycle": cycler(color=PALETTE)
    + cycler(linestyle=DASHES)
    + cycler(marker=MARKERS)
    + cycler(markevery=[0.12] * 7),
    "axes.axisbelow": True,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.labelcolor": "#222222",
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.figsize": (6.4, 3.6),
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.8,
    "image.cmap": "gray",
    "legend.fontsize": 10,
    "legend.framealpha": 0.9,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


def use_style() -> None:
    """Make the course's style matplotlib's default."""
    plt.rcParams.update(STYLE)


class Shown(Card):
    """A figure as an image with words: the alternative text, and a caption. `tight` cuts empty margins off."""

    def __init__(self, fig: Figure, caption: str = "", alt: str | None = None, *, scale: float = 2.0, tight=False):
        buffer = io.BytesIO()
        box = {"bbox_inches": "tight", "pad_inches": 0.02} if tight else {}
        fig.savefig(buffer, format="png", dpi=100 * scale, facecolor=fig.get_facecolor(), **box)
        plt.close(fig)
        self.png, self.caption, self.alt = (
            buffer.getvalue(),
            caption,
            plain(alt or caption) or "A figure without description",
        )
        self.width, self.height = (round(pixels / scale) for pixels in struct.unpack(">II", self.png[16:24]))

    def text(self) -> str:
        return f"Figure: {plain(self.caption) or self.alt}"

    def image(self) -> str:
        return (
            f'<img alt="{esc(self.alt)}" width="{self.width}" height="{self.height}" decoding="sync" '
            f'src="data:image/png;base64,{base64.b64encode(self.png).decode()}" '
            'style="display:block;box-sizing:content-box;max-width:calc(100% - 16px);height:auto;background:#fff;'
            'padding:8px;border-radius:8px">'
        )

    def html(self) -> str:
        caption = f'<figcaption style="{PROSE};margin-top:.4rem;max-width:46rem">{inline(self.caption)}</figcaption>'
        return f'<figure style="margin:.5rem 0">{self.image()}{caption if self.caption else ""}</figure>'


def show(fig: Figure, caption: str, alt: str | None = None, *, tight: bool = False) -> None:
    """Display the figure with its caption, and close it. `alt` says in words what a reader is to see in it."""
    display(Shown(fig, caption, alt, tight=tight))


def label_ends(axes: Axes, drawn: Mapping[str, Any]) -> None:
    """Each line's name at its right end, moved as little as keeps them apart."""
    axes.autoscale_view()
    ends = {}
    for label, line in drawn.items():
        xy = line.get_xydata()
        ends[label] = xy[np.isfinite(xy).all(1)][-1]
    wanted = {label: axes.transAxes.inverted().transform(axes.transData.transform(at))[1] for label, at in ends.items()}
    order = sorted(wanted, key=wanted.get)
    for label, height in zip(order, _apart([wanted[label] for label in order]), strict=True):
        axes.annotate(
            label, ends[label], (1.06, height), textcoords="axes fraction", va="center", color="#222222",
            arrowprops={"arrowstyle": "-", "color": drawn[label].get_color(), "linewidth": 1.3, "relpos": (0, 0.5),
                        "shrinkA": 0, "shrinkB": 4},
        )  # fmt: skip


def _apart(wanted: list[float], gap: float = 0.085) -> list[float]:
    """Sorted heights, moved as little as keeps neighbours a gap apart: those that touch share their mean."""
    groups: list[list[float]] = []  # [mean height, members]
    for height in wanted:
        groups.append([height, 1])
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2:
            (low, n), (high, m) = groups[-2:]
            groups[-2:] = [[max((low * n + high * m) / (n + m), gap * (n + m - 1) / 2), n + m]]
    return [mean + gap * (i - (n - 1) / 2) for mean, n in groups for i in range(int(n))]
