"""Lab 07: patients as small figures, each coloured by what became of them, and a threshold to choose under attack."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from torch import Tensor

from modelsec_course.lab.style import BLACK, BLUE, CONTROL, GREY, ORANGE, STYLE, VERMILION, show
from modelsec_course.lab.words import number, percent
from modelsec_course.labs.lab_07_diagnosis.clinic import BENIGN, MALIGNANT
from modelsec_course.statistics import clopper_pearson

REFUSED = -1
PALE, TITLE = "#C9CDD2", "Each figure is a patient with cancer"
FATES = {MALIGNANT: ("found", PALE), REFUSED: ("seen by a doctor", BLUE), BENIGN: ("sent home", VERMILION)}
AIMS = {"hide": "hides tumours", "fill": "makes it refuse the healthy"}
EDGES = np.linspace(-16, 16, 49)


def wards(groups: Mapping[str, Tensor], caption: str, columns: int = 9) -> None:
    """Each patient with cancer as a figure: `groups[title]` holds the model's answer to each (n,), −1 refused.

    Those sent home come first, then those seen by a doctor.
    """
    with plt.rc_context(STYLE):
        rows = math.ceil(max(map(len, groups.values())) / columns)
        fig, axes = plt.subplots(1, len(groups), figsize=(9.6, 1.75 + 0.42 * rows))
        counts = []
        for ax, (title, said) in zip(np.atleast_1d(axes), groups.items(), strict=True):
            order = sorted(said.tolist(), key=(BENIGN, REFUSED, MALIGNANT).index)
            _figures(ax, order, columns)
            home, doctor = order.count(BENIGN), order.count(REFUSED)
            ax.set_title(title, fontsize=12.5, pad=34, loc="left")
            ax.text(0, 1.02, str(home), transform=ax.transAxes, fontsize=25, fontweight="bold", color=VERMILION)
            ax.text(0.06 + 0.075 * len(str(home)), 1.03, f"of {len(order)} sent home", transform=ax.transAxes,
                    fontsize=11, color="#333333")  # fmt: skip
            counts.append(f"{title}: {home} of {len(order)} sent home, {doctor} seen by a doctor")
        marks = [Circle((0, 0), 1, color=colour) for _, colour in FATES.values()]
        fig.legend(marks, [words for words, _ in FATES.values()], loc="outside lower center", ncols=3, frameon=False,
                   fontsize=11, handlelength=1, title=TITLE, title_fontsize=11)  # fmt: skip
    show(fig, caption, f"Rows of small human figures, one for each patient with cancer. {'; '.join(counts)}.")


def _figures(axes: Axes, answers: list[int], columns: int) -> None:
    for k, answer in enumerate(answers):
        x, y = k % columns, -(k // columns) * 1.45
        body = FancyBboxPatch((x - 0.2, y - 0.42), 0.4, 0.5, boxstyle="round,pad=0.06,rounding_size=0.2")
        axes.add_collection(PatchCollection([Circle((x, y + 0.42), 0.2), body], color=FATES[answer][1], linewidth=0))
    axes.set(xlim=(-0.6, columns - 0.4), ylim=(-(math.ceil(len(answers) / columns) - 1) * 1.45 - 0.6, 0.75))
    axes.set_aspect("equal")
    axes.set_anchor("NW")
    axes.axis("off")


def choose_a_threshold(score: Tensor, y: Tensor, slope: float) -> Callable[..., tuple[Figure, str]]:
    """A scene: a refusal threshold against an attacker of the linear model.

    score: (n,) of the test records, positive means benign.  y: (n,).  slope: by how much one unit of ε moves a score.
    `threshold`: it refuses scores nearer to 0 than this.  `aim`: "hide" tumours, "fill" the band, "both".
    """
    ill, healthy = score[y == MALIGNANT].double(), score[y == BENIGN].double()

    def draw(threshold: float, eps: float, aim: str) -> tuple[Figure, str]:
        push = eps * slope
        ill_at, healthy_at = ill, healthy
        if aim != "fill":  # every tumour as far towards benign as ε allows
            ill_at = ill + push
        if aim != "hide":  # every healthy person into the band, as near to 0 as ε allows
            healthy_at = torch.where(healthy > 0, (healthy - push).clamp(min=0), healthy)
        said = {"ill": _answers(ill_at, threshold), "healthy": _answers(healthy_at, threshold)}
        with plt.rc_context(STYLE):
            fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.5), width_ratios=(1.35, 1))
            _scores(left, ill_at, healthy_at, threshold)
            _fates(right, said)
        return fig, _in_words(said, threshold, eps, aim)

    return draw


def _answers(score: Tensor, threshold: float) -> Tensor:
    return torch.where(score.abs() >= threshold, (score > 0).long(), REFUSED)


def _scores(axes: Axes, ill: Tensor, healthy: Tensor, threshold: float) -> None:
    axes.axvspan(-threshold, threshold, color=BLUE, alpha=0.13, linewidth=0)
    kept = (EDGES[0] + 1e-6, EDGES[-1] - 1e-6)
    look = {"bins": EDGES, "edgecolor": "white", "linewidth": 0.5}
    counts, _, _ = axes.hist(healthy.clamp(*kept).numpy(), color=PALE, hatch="//", label="healthy", **look)
    home = ill >= max(threshold, 1e-12)
    parts = [part.clamp(*kept).numpy() for part in (ill[~home], ill[home])]
    axes.hist(parts, color=["#6B7177", VERMILION], label=["tumours", "sent home"], stacked=True, **look)
    axes.axvline(0, color=BLACK, linewidth=1.2, marker="")
    top = max(14.0, float(counts.max()) * 1.02)
    axes.set(xlabel="score (log-odds of benign), ends collect the rest", ylabel="patients", ylim=(0, top * 1.16))
    axes.set(xlim=(EDGES[0], EDGES[-1]))
    for words, x, side in (("says malignant", -0.5, "right"), ("says benign", 0.5, "left")):
        axes.text(x, top * 1.08, words, ha=side, fontsize=9.5, color=GREY)
    axes.legend(loc="upper left", fontsize=9.5, bbox_to_anchor=(0, 0.9))


def _fates(axes: Axes, said: Mapping[str, Tensor]) -> None:
    """Two bars, each divided by what becomes of the patients."""
    parts = {
        "ill": ((MALIGNANT, "found", "#8D939A"), (REFUSED, "doctor", BLUE), (BENIGN, "sent home", VERMILION)),
        "healthy": ((BENIGN, "cleared", "#8D939A"), (REFUSED, "doctor", BLUE), (MALIGNANT, "alarm", ORANGE)),
    }
    for place, (who, answers) in enumerate(said.items()):
        start = 0.0
        for code, words, colour in parts[who]:
            share = float((answers == code).double().mean())
            axes.barh(place, share, left=start, color=colour, height=0.55, edgecolor="white")
            if share >= 0.075:
                count = int((answers == code).sum())
                axes.text(start + share / 2, place, str(count), ha="center", va="center", color="white",
                          fontweight="bold", fontsize=11)  # fmt: skip
            if share >= 0.02:
                axes.text(start + share / 2, place + 0.36 + 0.17 * (words == "alarm"), words, ha="center", va="center",
                          fontsize=9, color=BLACK)  # fmt: skip
            start += share
    axes.set(yticks=[0, 1], yticklabels=[f"{len(said['ill'])} tumours", f"{len(said['healthy'])} healthy"])
    axes.set(xlim=(0, 1.02), ylim=(1.75, -0.45), xlabel="share of each")
    axes.xaxis.set_major_formatter(lambda value, _: percent(value, None))
    axes.grid(False, axis="y")
    axes.spines["left"].set_color(CONTROL)


def _in_words(said: Mapping[str, Tensor], threshold: float, eps: float, aim: str) -> str:
    ill, healthy = said["ill"], said["healthy"]
    found, home = int((ill == MALIGNANT).sum()), int((ill == BENIGN).sum())
    low, high = clopper_pearson(home, len(ill))
    answered = float(torch.cat([ill != REFUSED, healthy != REFUSED]).double().mean())
    wants = " and ".join(AIMS[one] for one in (("hide", "fill") if aim == "both" else (aim,)))
    return (
        f"Refuses below a score of {threshold:.2f}, {percent(1 / (1 + math.exp(-threshold)))} sure; the attacker "
        f"{wants} with ε = {eps:.2f}. Coverage {percent(answered, 0)}, sensitivity {percent(found / len(ill), 0)}: "
        f"{found} of {len(ill)} tumours found, {int((ill == REFUSED).sum())} seen by a doctor, **{home} sent home** "
        f"({number(100 * low, 2)} to {number(100 * high, 2)} % of such patients); of {len(healthy)} healthy people "
        f"{int((healthy == REFUSED).sum())} are refused."
    )
