"""Lab 10: what models say of one person, those that were trained with the record and those that were not."""

from __future__ import annotations

import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm
from torch import Tensor

from modelsec_course.lab.style import BLACK, BLUE, STYLE, VERMILION
from modelsec_course.membership import lira
from modelsec_course.membership.likelihood import gaussian


def meet_a_person(
    x: Tensor, y: Tensor, wrong: Tensor, victims: Tensor, inside: Tensor, shadows: Tensor, members: Tensor
) -> Callable[..., tuple[Figure, str]]:
    """A scene: one record of x (n, 1, 8, 8), and the log-odds that shadows (models, n) and victims (v, n) give it.

    y: (n,) the labels it is trained with, of which those in `wrong` are wrong.  inside (v, n), members (models, n):
    bool, who was trained on whom.
    """
    scores = lira(victims, shadows, members)
    bells = [gaussian(shadows, group) for group in (~members, members)]
    ends = min(float(shadows.min()), float(victims.min())) - 1, max(float(shadows.max()), float(victims.max())) + 1

    def draw(person: int, victim: int, reveal: bool) -> tuple[Figure, str]:
        said, with_it = shadows[:, person].cpu().numpy(), members[:, person].cpu().numpy()
        answer, score = float(victims[victim, person]), float(scores[victim, person])
        told = (", a member" if inside[victim, person] else ", not a member") if reveal else ""
        truth = "was" if inside[victim, person] else "was **not**"
        label = f"labelled {int(y[person])}" + (", wrongly" if wrong[person] else "")
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 2, figsize=(9.0, 3.2), width_ratios=(1, 2.6))
            axes[0].imshow(x[person, 0].cpu().numpy(), vmin=0, vmax=1)
            axes[0].set_title(f"person {person}, {label}", fontsize=10, loc="center")
            axes[0].set(xticks=[], yticks=[])
            axes[0].grid(False)
            _groups(
                axes[1],
                said,
                with_it,
                answer,
                [(float(bell.mean[person]), float(bell.stddev[person])) for bell in bells],
                ends,
            )
            axes[1].set_title(
                f"victim {victim} says {_signed(answer)}: LiRA's score is {_signed(score)}{told}", fontsize=10
            )
        known = [_signed(said[group].mean()) for group in (with_it, ~with_it)]
        words = (
            f"Person {person}, {label}. Shadows with the record say {known[0]} on average, without it {known[1]}. "
            f"Victim {victim} says {_signed(answer)}, which is {_times(score)} likelier "
            f"**{'with it' if score > 0 else 'without it'}**."
        )
        return fig, words + (f" The truth: it {truth} trained on this person." if reveal else "")

    return draw


def _groups(
    axes: Axes,
    said: np.ndarray,
    with_it: np.ndarray,
    answer: float,
    bells: list[tuple[float, float]],
    ends: tuple[float, float],
) -> None:
    """Two histograms, the Gaussians that LiRA puts in their places, and the victim's answer as a line."""
    edges, grid = np.arange(math.floor(ends[0]), ends[1] + 0.75, 0.75), np.linspace(*ends, 300)
    looks = (("without the record", ~with_it, VERMILION, "//"), ("with the record", with_it, BLUE, ""))
    for (name, group, colour, hatch), (mean, spread) in zip(looks, bells, strict=True):
        axes.hist(said[group], edges, density=True, color=colour, alpha=0.35, hatch=hatch, edgecolor=colour, label=name)
        axes.plot(grid, norm.pdf(grid, mean, spread), color=colour, marker="", linestyle="--" if hatch else "-")
    axes.axvline(answer, color=BLACK, linewidth=2, marker="", linestyle=":", label="the victim's answer")
    axes.set(xlim=ends, xlabel="log-odds of the person's label", ylabel="density of shadow models")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, fontsize=8.5)


def _signed(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")


def _times(score: float) -> str:
    return f"{math.exp(abs(score)):.1f} times" if abs(score) < 7 else "more than a thousand times"
