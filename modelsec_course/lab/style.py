"""The course's figures: one palette, one style, one way to show a figure with its caption and its words."""

from __future__ import annotations

import base64
import io

import matplotlib.pyplot as plt
from cycler import cycler
from IPython.display import display
from matplotlib.figure import Figure

from modelsec_course.lab.markup import Card, esc, inline

# Okabe and Ito's colours, which colour-blind readers tell apart; lines also differ by dash and marker, for greyscale.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE, GREY = "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#767676"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (9, 3)), "-")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

STYLE = {
    "axes.prop_cycle": cycler(color=PALETTE) + cycler(linestyle=DASHES) + cycler(marker=MARKERS),
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
    """A figure as an image with words: the alternative text, and a caption."""

    def __init__(self, fig: Figure, caption: str = "", alt: str | None = None, *, scale: float = 2.0):
        buffer = io.BytesIO()
        fig.savefig(buffer, format="png", dpi=100 * scale, facecolor=fig.get_facecolor())
        plt.close(fig)
        self.png, self.caption, self.alt = buffer.getvalue(), caption, alt or caption or "A figure without description"
        self.width, self.height = (round(100 * inches) for inches in fig.get_size_inches())

    def text(self) -> str:
        return f"Figure: {self.caption or self.alt}"

    def image(self) -> str:
        return (
            f'<img alt="{esc(self.alt)}" width="{self.width}" height="{self.height}" decoding="sync" '
            f'src="data:image/png;base64,{base64.b64encode(self.png).decode()}" '
            'style="display:block;box-sizing:content-box;max-width:calc(100% - 16px);height:auto;background:#fff;'
            'padding:8px;border-radius:8px">'
        )

    def html(self) -> str:
        caption = (
            '<figcaption style="margin-top:.4rem;max-width:46rem;color:var(--jp-content-font-color1,inherit);'
            'font-family:var(--jp-content-font-family,system-ui,sans-serif);line-height:1.45">'
            f"{inline(self.caption)}</figcaption>"
        )
        return f'<figure style="margin:.5rem 0">{self.image()}{caption if self.caption else ""}</figure>'


def show(fig: Figure, caption: str, alt: str | None = None) -> None:
    """Display the figure with its caption, and close it. `alt` says in words what a reader is to see in it."""
    display(Shown(fig, caption, alt))
