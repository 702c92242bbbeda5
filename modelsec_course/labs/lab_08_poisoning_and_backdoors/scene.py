"""Lab 08: draw a trigger, poison some rows with it, train, and see what the model makes of it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course import runtime, training
from modelsec_course.data import Dataset
from modelsec_course.lab.style import BLACK, BLUE, GREY, STYLE, VERMILION
from modelsec_course.poisoning import Trigger, attack_success, backdoor

Train = Callable[[Tensor, Tensor], nn.Module]


def draw_a_trigger(train: Train, digits: Dataset, clean: nn.Module, target: int) -> Callable[..., tuple[Figure, str]]:
    """A scene: a square trigger on so many rows of `digits`, labelled `target`; `train(x, y)` makes the victim.

    clean: a model trained without poison, the control. row, column: of the square's lower right pixel; what hangs over
    the edge of the picture is cut off.
    """

    @functools.lru_cache(maxsize=256)
    def run(row: int, column: int, size: int, strength: float, poisons: int) -> tuple[Trigger, float, float, float]:
        mask = torch.zeros(digits.x_train.shape[-2:])
        mask[max(0, row + 1 - size) : row + 1, max(0, column + 1 - size) : column + 1] = 1
        trigger = Trigger(torch.ones_like(mask), mask, strength)
        x, y, _ = backdoor(
            digits.x_train, digits.y_train, poisons, trigger=trigger, target=target, generator=runtime.generator(1)
        )
        victim, held_out = train(x, y), (digits.x_test, digits.y_test)
        success = [attack_success(net, *held_out, trigger=trigger, target=target) for net in (victim, clean)]
        return trigger, training.accuracy(victim, *held_out), *success

    def draw(row: int, column: int, size: int, strength: float, poisons: int) -> tuple[Figure, str]:
        trigger, accuracy, success, control = run(row, column, size, strength, poisons)
        some = digits.x_test[digits.y_test != target][:3]
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 4, figsize=(9.2, 2.5), width_ratios=(1, 1, 1, 2.6))
            for ax, picture in zip(axes, trigger(some), strict=False):
                ax.imshow(picture[0].cpu().numpy(), vmin=0, vmax=1)
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
            axes[1].set_title("test digits with the trigger", fontsize=10, fontweight="normal", loc="center")
            _bars(axes[3], {"clean accuracy": accuracy, "attack success": success, "on a clean model": control})
        share = f"{poisons} of {len(digits.x_train):,} rows ({100 * poisons / len(digits.x_train):.1f} %)"
        return fig, (
            f"A {size}×{size} square down to row {row}, column {column}, strength {strength:.1f}, on {share}: clean "
            f"accuracy {100 * accuracy:.1f} %, **attack success {100 * success:.1f} %**; on a clean model "
            f"{100 * control:.1f} %."
        )

    return draw


def _bars(axes: Axes, values: dict[str, float]) -> None:
    drawn = axes.barh(list(values), list(values.values()), color=[BLUE, VERMILION, GREY], edgecolor=BLACK)
    axes.bar_label(drawn, [f"{100 * value:.0f} %" for value in values.values()], padding=4, fontsize=10)
    axes.set(xlim=(0, 1.18), xticks=[0, 0.25, 0.5, 0.75, 1], xlabel="share of test digits")
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.grid(False, axis="y")
    axes.invert_yaxis()
