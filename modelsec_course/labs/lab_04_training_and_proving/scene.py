"""Lab 04: a digit under noise, the vote of its noisy copies, and the radius that the vote proves."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course import runtime
from modelsec_course.lab.style import ATTACK, BLACK, CONTROL, DEFENCE, PROOF, STYLE
from modelsec_course.robustness import certified_radius, noisy_votes
from modelsec_course.statistics import clopper_pearson

COUNTS = np.unique(np.geomspace(20, 100_000, 60).astype(int))


def smooth_a_digit(model: nn.Module, x: Tensor, y: Tensor) -> Callable[..., tuple[Figure, str]]:
    """A scene: `n` copies of a digit of x (m, 1, 8, 8) with noise `sigma` vote, and what that proves at `alpha`."""

    def draw(digit: int, sigma: float, n: int, alpha: float) -> tuple[Figure, str]:
        one, generator = x[digit : digit + 1], runtime.generator(digit)
        chosen = int(noisy_votes(model, one, 100, sigma=sigma, generator=generator).argmax())
        votes = noisy_votes(model, one, n, sigma=sigma, generator=generator)[0].cpu().numpy()
        hits, true = int(votes[chosen]), int(y[digit])
        low, _ = clopper_pearson(hits, n, confidence=1 - 2 * alpha)
        radius = float(certified_radius(hits, n, sigma=sigma, alpha=alpha))
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 4, figsize=(9.4, 2.9), width_ratios=(0.9, 0.9, 1.7, 1.7))
            fig.get_layout_engine().set(w_pad=0.09)
            noise = torch.randn(one.shape, generator=generator).to(x.device)
            for ax, picture, title in zip(axes, (one, one + sigma * noise), ("clean", "one noisy copy"), strict=False):
                ax.imshow(picture[0, 0].cpu().numpy(), vmin=0, vmax=1)
                ax.set_title(title, fontsize=10, fontweight="normal")
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
            _vote(axes[2], votes / n, chosen, true, low)
            _radius(axes[3], hits / n, n, sigma, alpha, radius)
        share = f"{hits:,} of {n:,} noisy copies of this {true} are read as {chosen}"
        proved = f"so its share is above {low:.3f}, and no change shorter than **R = {radius:.3f}** turns the vote"
        if radius == 0:
            proved = f"its share may be as low as {low:.3f}: not above ½, so the answer is **abstain**"
        return fig, f"σ = {sigma:.2f}: {share}; {proved} (α = {alpha:g})."

    return draw


def _vote(axes: Axes, shares: np.ndarray, chosen: int, true: int, low: float) -> None:
    colours = [DEFENCE if k == true else ATTACK if k == chosen else "#BBBBBB" for k in range(len(shares))]
    bars = axes.bar(range(len(shares)), shares, color=colours)
    bars[true].set_hatch("//")
    bars[true].set_edgecolor("white")
    axes.axhline(0.5, color=CONTROL, linestyle=":", linewidth=1.5, marker="")
    axes.plot([chosen - 0.6, chosen + 0.6], [low, low], color=BLACK, linestyle="-", marker="", linewidth=2.5)
    axes.set(
        xticks=range(len(shares)), ylim=(0, 1.05), xlabel="class (hatched: the truth)", ylabel="share of the votes"
    )
    axes.set_title("black: surely above", fontsize=10, fontweight="normal")


def _radius(axes: Axes, share: float, n: int, sigma: float, alpha: float, radius: float) -> None:
    """The most that n copies can prove, and what a steady share would."""
    for same, label, colour, dash in ((1.0, "all agree", CONTROL, "--"), (share, "as many as here", PROOF, "-")):
        most = [certified_radius(int(same * count), int(count), sigma=sigma, alpha=alpha) for count in COUNTS]
        axes.plot(COUNTS, most, color=colour, linestyle=dash, marker="", label=label)
    axes.scatter([n], [radius], color=BLACK, marker="D", s=55, zorder=3)
    axes.set(xscale="log", xlabel="noisy copies n", ylabel="proved L2 radius R", ylim=(-0.04, 1.6))
    axes.legend(loc="upper left", fontsize=9)
    axes.set_title(f"R = {radius:.3f}" if radius else "abstains", fontsize=10)
