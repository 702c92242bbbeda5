"""The course's figures: one palette, one style, one way to show a figure with its caption and its words."""

from __future__ import annotations

import base64
import io
import struct
import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from modelsec_course.lab.markup import PROSE, Card, esc, inline, plain

# Okabe and Ito's colours, which colour-blind readers tell apart; lines also differ by dash and marker, for greyscale.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE, GREY = "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#767676"
# What a colour means, in every lab. Roles are drawn alike wherever they come: ROLES is what `roles=` takes.
CONTROL, ATTACK, DEFENCE, PROOF, TRUTH = GREY, VERMILION, BLUE, GREEN, BLACK
ROLES = {"control": CONTROL, "attack": ATTACK, "defence": DEFENCE, "proof": PROOF, "truth": TRUTH}
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
SPARE = (ORANGE, PURPLE, SKY, "#8C510A")  # for lines beside those that have a role: these stand for none
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (9, 3)), "-")
LABEL = 22  # characters in a line of a label at a curve's end
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
    "image.interpolation": "bicubic",  # 8×8 digits, enlarged: a person reads them better so
    "legend.fontsize": 10,
    "legend.framealpha": 0.9,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}

# One image serves both themes. On a page known to be dark its lightness is turned and its hues stay; pictures in it are
# laid over it as they are. A page that says nothing gets a white ground. `msec-auto` follows the reader's own setting.
DARK = ('body[data-jp-theme-light="false"]', "body.vscode-dark", 'html[data-theme="dark"]')
_TURNED = "{background:none;filter:invert(1) hue-rotate(180deg)}"


def when_dark(part: str, look: str) -> str:
    """A rule of a stylesheet that holds on dark pages only."""
    known = ",".join(f"{page} {part}" for page in DARK)
    return f"{known}{look}@media (prefers-color-scheme:dark){{.msec-auto {part}{look}}}"


THEMES = f"""<style>.msec-figure{{margin:.5rem 0;max-width:48rem}}
.msec-figure figcaption{{margin-top:.4rem;max-width:48rem}}
.widget-html-content:has(>.msec-figure){{min-width:0;max-width:100%}}
.msec-picture{{position:relative;display:block;max-width:100%}}
.msec-picture>img{{display:block;width:100%;max-width:none;height:auto;background:#fff;border-radius:4px}}
.msec-picture>span{{position:absolute;display:none;background-size:100% 100%}}
{when_dark(".msec-picture>img", _TURNED)}
{when_dark(".msec-picture>span", "{display:block}")}</style>"""


def use_style() -> None:
    """Make the course's style matplotlib's default."""
    plt.rcParams.update(STYLE)


class Shown(Card):
    """A figure as an image with words: the alternative text, and a caption. `tight` cuts empty margins off."""

    def __init__(self, fig: Figure, caption: str = "", alt: str | None = None, *, scale: float = 2.0, tight=False):
        buffer = io.BytesIO()
        box = {"bbox_inches": "tight", "pad_inches": 0.02} if tight else {}
        fig.savefig(buffer, format="png", dpi=100 * scale, transparent=True, **box)
        photographic = any(axes.images for axes in fig.axes)
        self.png, self.caption = buffer.getvalue() if photographic else few_colours(buffer), caption
        self.alt = plain(alt or caption) or "A figure without description"
        self.photographs = [] if tight else _photographs(fig, self.png)
        plt.close(fig)
        self.width, self.height = (round(pixels / scale) for pixels in struct.unpack(">II", self.png[16:24]))

    def text(self) -> str:
        return f"Figure: {plain(self.caption) or self.alt}"

    def image(self) -> str:
        return (
            f'<span class="msec-picture" style="width:{self.width}px"><img alt="{esc(self.alt)}" width="{self.width}" '
            f'height="{self.height}" decoding="sync" src="{data_address(self.png)}">{"".join(self.photographs)}</span>'
        )

    def html(self) -> str:
        caption = f'<figcaption style="{PROSE}">{inline(self.caption)}</figcaption>'
        return f'{THEMES}<figure class="msec-figure">{self.image()}{caption if self.caption else ""}</figure>'


def _photographs(fig: Figure, png: bytes) -> list[str]:
    """Parts that the dark theme must not turn: each picture in the figure, cut out, to lie over its place there."""
    whole, cuts = None, []
    for axes in fig.axes:
        if not axes.images:
            continue
        whole = whole or Image.open(io.BytesIO(png))
        width, height = whole.size
        box = axes.get_window_extent().transformed(fig.transFigure.inverted())
        left, right = round(box.x0 * width), round(box.x1 * width)
        top, bottom = round((1 - box.y1) * height), round((1 - box.y0) * height)
        buffer = io.BytesIO()
        whole.crop((left, top, right, bottom)).save(buffer, "PNG")  # `optimize` is 12 times as slow
        cuts.append(
            f'<span style="left:{left / width:.3%};top:{top / height:.3%};width:{(right - left) / width:.3%};'
            f'height:{(bottom - top) / height:.3%};background-image:url({data_address(buffer.getvalue())})"></span>'
        )
    return cuts


def few_colours(png: io.BytesIO) -> bytes:
    """A chart's image in 256 colours: a third of the size, and no eye sees it."""
    buffer = io.BytesIO()
    Image.open(png).quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, "PNG")
    return buffer.getvalue()


def data_address(png: bytes) -> str:
    """An image as an address that needs no file."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def show(fig: Figure, caption: str, alt: str | None = None, *, tight: bool = False) -> None:
    """Display the figure with its caption, and close it. `alt` says in words what a reader is to see in it."""
    display(Shown(fig, caption, alt, tight=tight))


def label_ends(axes: Axes, drawn: Mapping[str, Any]) -> None:
    """Each line's name at its right end, in lines of a few words, moved as little as keeps them apart."""
    axes.autoscale_view()
    ends = {}
    for label, line in drawn.items():
        xy = line.get_xydata()
        ends[label] = xy[np.isfinite(xy).all(1)][-1]
    wanted = {label: axes.transAxes.inverted().transform(axes.transData.transform(at))[1] for label, at in ends.items()}
    order = sorted(wanted, key=wanted.get)
    folded = [textwrap.wrap(label, LABEL) or [""] for label in order]
    places = _apart([wanted[label] for label in order], [0.085 + 0.065 * (len(lines) - 1) for lines in folded])
    for label, lines, height in zip(order, folded, places, strict=True):
        axes.annotate(
            "\n".join(lines), ends[label], (1.06, height), textcoords="axes fraction", va="center", color="#222222",
            arrowprops={"arrowstyle": "-", "color": drawn[label].get_color(), "linewidth": 1.3, "relpos": (0, 0.5),
                        "shrinkA": 0, "shrinkB": 4},
        )  # fmt: skip


def _apart(wanted: list[float], sizes: list[float]) -> list[float]:
    """Sorted middles, moved as little as keeps labels of these heights from touching: a group shares its move."""
    groups: list[tuple[float, list[float]]] = []  # (lower edge, heights of its members)
    for middle, size in zip(wanted, sizes, strict=True):
        low, members = middle - size / 2, [size]
        while groups and low < groups[-1][0] + sum(groups[-1][1]):
            under, others = groups.pop()
            low = (under * len(others) + (low - sum(others)) * len(members)) / (len(others) + len(members))
            members = others + members
            low = max(low, -members[0] / 2)
        groups.append((low, members))
    return [low + sum(members[:i]) + size / 2 for low, members in groups for i, size in enumerate(members)]
