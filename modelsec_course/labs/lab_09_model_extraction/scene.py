"""Lab 09: a copy that grows with its queries, and the digits on which it still differs from its victim."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course.lab.style import BLACK, GREY, STYLE, VERMILION
from modelsec_course.lab.words import percent

ROWS, COLUMNS = 3, 5


def grow_a_copy(
    victim: nn.Module,
    copy_of: Callable[[str, str, int], nn.Module],
    x: Tensor,
    y: Tensor,
    budgets: Sequence[int],
) -> Callable[..., tuple[Figure, str]]:
    """A scene: `copy_of(source, answers, queries)` beside its victim on test digits x (n, 1, 8, 8) with labels y.

    The line is drawn through the copies of all `budgets`, so let copy_of remember what it has trained.
    """

    @torch.no_grad()
    def says(model: nn.Module) -> Tensor:
        return model(x).argmax(1)

    @functools.cache
    def grown(source: str, answers: str) -> list[float]:
        return [(says(copy_of(source, answers, n)) == truth).double().mean().item() for n in budgets]

    truth = says(victim)
    own = (truth == y).double().mean().item()

    def draw(source: str, answers: str, queries: int) -> tuple[Figure, str]:
        said = says(copy_of(source, answers, queries))
        apart = (said != truth).nonzero().flatten().tolist()
        agreed, right = 1 - len(apart) / len(x), (said == y).double().mean().item()
        with plt.rc_context(STYLE):
            fig = plt.figure(figsize=(9.0, 3.4))
            left, right_side = fig.subfigures(1, 2, width_ratios=(1, 1.05))
            axes = left.subplots()
            axes.plot(budgets, grown(source, answers), color=VERMILION, label=f"{source}, {answers}")
            axes.scatter([queries], [agreed], color=BLACK, marker="D", s=60, zorder=3, label="this copy")
            axes.set(
                xscale="log", xlabel="queries", ylabel="agreement with the victim", ylim=(0, 1.04), xlim=(18, 1100)
            )
            axes.yaxis.set_major_formatter(lambda value, _: percent(value, None))
            axes.legend(loc="lower right", fontsize=9)
            _differences(right_side, x, said.tolist(), truth.tolist(), apart)
        return fig, (
            f"{queries} queries of {source}, answered with {answers}: the copy agrees on **{percent(agreed)}** of "
            f"{len(x)} test digits and differs on {len(apart)}. Its accuracy is {percent(right)}, "
            f"the victim's {percent(own)}."
        )

    return draw


def _differences(side, x: Tensor, said: list[int], truth: list[int], apart: list[int]) -> None:
    """The first digits on which the two differ, with both answers."""
    side.suptitle("where they differ (copy / victim)", fontsize=10.5, color=GREY)
    for axes, i in zip(side.subplots(ROWS, COLUMNS).flat, apart + [None] * ROWS * COLUMNS, strict=False):
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        if i is None:
            axes.axis("off")
            continue
        axes.imshow(x[i, 0].cpu().numpy(), vmin=0, vmax=1)
        axes.set_title(
            f"{said[i]} / {truth[i]}", fontsize=9.5, fontweight="normal", color=VERMILION, loc="center", pad=2
        )
