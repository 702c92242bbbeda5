"""Lab 13: a private count from two neighbouring databases, and how well the best attacker tells them apart."""

from __future__ import annotations

import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import laplace, norm

from modelsec_course.lab.style import ATTACK, BLUE, CONTROL, GREY, PROOF, STYLE
from modelsec_course.privacy import gaussian_sigma

DELTA = 1e-5


def two_neighbours(count: int, reach: int = 12) -> Callable[..., tuple[Figure, str]]:
    """A scene: the answers when the true count is `count` and when it is one more, within `reach` of it."""

    def draw(eps: float, mechanism: str) -> tuple[Figure, str]:
        density, tail = mechanisms(eps)[mechanism]
        false, true = tail(0), tail(1)
        best = float((true - false).max())
        bound = math.tanh(eps / 2) if mechanism != "Gaussian" else (math.expm1(eps) + 2 * DELTA) / (math.exp(eps) + 1)
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 2, figsize=(9.0, 3.6), width_ratios=(1.6, 1))
            _answers(axes[0], density, count, reach, whole=mechanism == "Geometric")
            _roc(axes[1], false, true, eps, 0.0 if mechanism != "Gaussian" else DELTA)
            fig.suptitle(f"{mechanism}, ε = {eps:.1f}: advantage {best:.3f}, at most {bound:.3f}", fontsize=11)
        plus = ", plus 10⁻⁵" if mechanism == "Gaussian" else ""
        beyond = _beyond(count, eps) if mechanism == "Gaussian" else ""
        spread = _deviation(mechanism, eps)
        words = (
            f"{mechanism} noise at ε = {eps:.1f}, of standard deviation {spread:.1f}. Any set of answers is at most "
            f"{math.exp(eps):.2f} times as likely with Bea as without{plus}. The best attacker's advantage is "
            f"**{best:.3f}**, and the bound is {bound:.3f}.{beyond}"
        )
        return fig, words

    return draw


def mechanisms(eps: float) -> dict[str, tuple[Callable, Callable]]:
    """By name: the noise's density or probability at z; and how often a count of 0 or 1 gives more than a threshold.

    The second is an array, one entry for each threshold. The best attackers here are those with one threshold: the two
    arrays are their ROC.
    """
    grid, ratio, sigma = np.linspace(-40 / eps, 40 / eps, 4001), math.exp(-eps), gaussian_sigma(eps, DELTA)
    whole = np.arange(-200, 201)

    def more(value: int) -> np.ndarray:  # P[value + z > threshold], for whole z
        gap = whole - value
        return np.where(gap >= 0, ratio ** (gap.clip(0) + 1), 1 + ratio - ratio ** (-gap).clip(0)) / (1 + ratio)

    return {
        "Laplace": (lambda z: laplace.pdf(z, scale=1 / eps), lambda value: laplace.sf(grid - value, scale=1 / eps)),
        "Geometric": (lambda z: (1 - ratio) / (1 + ratio) * ratio ** np.abs(z), more),
        "Gaussian": (lambda z: norm.pdf(z, scale=sigma), lambda value: norm.sf(grid - value, scale=sigma)),
    }


def _beyond(count: int, eps: float) -> str:
    """Where a Gaussian answer passes e^ε, too far out to be seen in the picture."""
    sigma = gaussian_sigma(eps, DELTA)
    edge = 0.5 + eps * sigma**2
    return (
        f" Above {count + edge:.1f} an answer is more than {math.exp(eps):.2f} times as likely with Bea: "
        f"with her, a share of {norm.sf((edge - 1) / sigma):.1e} lies there. For these there is δ."
    )


def _deviation(mechanism: str, eps: float) -> float:
    ratio = math.exp(-eps)
    return {
        "Laplace": math.sqrt(2) / eps,
        "Geometric": math.sqrt(2 * ratio) / (1 - ratio),
        "Gaussian": gaussian_sigma(eps, DELTA),
    }[mechanism]


def _answers(axes: Axes, density: Callable, count: int, reach: int, whole: bool) -> None:
    """The two distributions of the answer."""
    ends = count - reach, count + 1 + reach
    at = np.arange(ends[0], ends[1] + 1) if whole else np.linspace(*ends, 801)
    for value, name, colour, hatch in ((count, "without Bea", CONTROL, "//"), (count + 1, "with Bea", BLUE, "")):
        height = density(at - value)
        if whole:
            shift = -0.2 if hatch else 0.2
            axes.bar(at + shift, height, 0.4, color=colour, alpha=0.6, hatch=hatch, edgecolor=colour, label=name)
        else:
            axes.plot(at, height, color=colour, marker="", linestyle="--" if hatch else "-", label=name)
    axes.set(xlim=ends, ylim=(0, None), xlabel="published count", ylabel="probability" if whole else "density")
    axes.legend(fontsize=9)


def _roc(axes: Axes, false: np.ndarray, true: np.ndarray, eps: float, delta: float) -> None:
    """What the attackers with one threshold reach, and the region that (ε, δ) allows."""
    rates = np.linspace(0, 1, 401)
    limit = np.minimum(np.exp(eps) * rates + delta, 1 - np.exp(-eps) * (1 - delta - rates)).clip(0, 1)
    axes.fill_between(rates, limit, 1, color=GREY, alpha=0.25, linewidth=0)
    axes.plot(rates, limit, color=PROOF, marker="", linestyle=":", linewidth=3.5, label="the bound")
    axes.plot(false, true, color=ATTACK, marker="", linestyle="-", label="the attackers")
    axes.plot([0, 1], [0, 1], color=GREY, marker="", linestyle="--", linewidth=1, label="guessing")
    axes.set(xlim=(0, 1), ylim=(0, 1), title="ROC", xlabel="f: “in”, when she is not", ylabel="t: “in”, when she is")
    axes.legend(fontsize=8.5, loc="lower right")
