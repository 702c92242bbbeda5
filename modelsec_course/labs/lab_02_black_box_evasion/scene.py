"""Lab 02: what a black-box attack reaches with so many queries, and one digit that it attacks."""

from __future__ import annotations

import functools
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course.lab.style import ATTACK, BLACK, CONTROL, STYLE
from modelsec_course.lab.words import percent

Spend = Callable[[nn.Module, Tensor, Tensor, float, int], tuple[Tensor, Tensor]]


def spend_queries(
    model: nn.Module, x: Tensor, y: Tensor, attacks: dict[str, Spend], most: int
) -> Callable[..., tuple[Figure, str]]:
    """A scene: `attacks[name](model, x, y, eps, most) -> (x_adv, spent)` on digits x (n, 1, 8, 8), by queries spent.

    An attack is run once with `most` queries: what it had reached with fewer is read from `spent`.
    """

    @functools.cache
    def run(attack: str, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x_adv, spent = attacks[attack](model, x, y, eps, most)
        with torch.no_grad():
            said = model(x_adv).argmax(1)
        return x_adv, said, torch.where(said != y, spent, most + 1).cpu(), (x_adv - x).flatten(1).norm(dim=1).cpu()

    def draw(attack: str, eps: float, budget: int, digit: int) -> tuple[Figure, str]:
        x_adv, said, fell, length = run(attack, eps)
        down, true = fell <= budget, int(y[digit])
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 3, figsize=(9.0, 3.0), width_ratios=(2.1, 1, 1))
            _curve(axes[0], fell.numpy(), budget, most, CONTROL if "random" in attack else ATTACK)
            caught = bool(down[digit])
            shown = x_adv if caught else x
            words = f"{int(fell[digit])} queries: says {int(said[digit])}" if caught else "not fallen (clean shown)"
            for ax, picture, title in ((axes[1], x, f"clean: a {true}"), (axes[2], shown, words)):
                ax.imshow(picture[digit, 0].cpu().numpy(), vmin=0, vmax=1)
                ax.set_title(title, fontsize=10, color=ATTACK if caught and ax is axes[2] else BLACK)
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
        far = f", half of them by changes shorter than {length[down].median():.2f} (L2)" if down.any() else ""
        share = f"{percent(down.float().mean(), 0)} of {len(y)} digits fooled"
        fate = f"falls at query {int(fell[digit])}" if caught else "still stands"
        return fig, f"{attack}, ε = {eps:.2f}, {budget} queries: **{share}**{far}. Digit {digit}, a {true}, {fate}."

    return draw


def _curve(axes: Axes, fell: np.ndarray, budget: int, most: int, colour: str) -> None:
    queries = np.unique(np.geomspace(1, most, 80).astype(int))
    axes.plot(queries, [(fell <= q).mean() for q in queries], color=colour, marker="")
    axes.axvline(budget, color=BLACK, linestyle=":", linewidth=1.5, marker="")
    axes.scatter([budget], [(fell <= budget).mean()], color=BLACK, marker="D", s=50, zorder=3)
    axes.set(xscale="log", xlabel="queries for each digit", ylabel="share of digits fooled", ylim=(-0.03, 1.03))
    axes.yaxis.set_major_formatter(lambda value, _: percent(value, None))
