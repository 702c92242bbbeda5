"""Lab 08: draw a trigger and train on it; tables of what detectors say; an attack on one vote."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course import runtime, training
from modelsec_course.data import Dataset
from modelsec_course.lab import figures
from modelsec_course.lab.style import BLACK, BLUE, GREY, STYLE, VERMILION
from modelsec_course.lab.words import interval, percent
from modelsec_course.poisoning import PartitionEnsemble, Trigger, attack_success, backdoor, partition

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
        share = f"{poisons} of {len(digits.x_train):,} rows ({percent(poisons / len(digits.x_train))})"
        return fig, (
            f"A {size}×{size} square down to row {row}, column {column}, strength {strength:.1f}, on {share}: clean "
            f"accuracy {percent(accuracy)}, **attack success {percent(success)}**; on a clean model "
            f"{percent(control)}."
        )

    return draw


def _bars(axes: Axes, values: dict[str, float]) -> None:
    drawn = axes.barh(list(values), list(values.values()), color=[BLUE, VERMILION, GREY], edgecolor=BLACK)
    axes.bar_label(drawn, [percent(value, 0) for value in values.values()], padding=4, fontsize=10)
    axes.set(xlim=(0, 1.18), xticks=[0, 0.25, 0.5, 0.75, 1], xlabel="share of test digits")
    axes.xaxis.set_major_formatter(lambda value, _: percent(value, None))
    axes.grid(False, axis="y")
    axes.invert_yaxis()


def detectors(found: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """A table of the spectral and the clustering detector's (recall, false-positive rate), by what was inspected."""
    rows = [
        [name, *("–" if rate != rate else percent(rate, 0) for pair in rates for rate in pair)]
        for name, rates in found.items()
    ]
    names = [f"{detector}: {rate}" for detector in ("spectral", "clustering") for rate in ("recall", "FPR")]
    figures.table(rows, ["networks", *names])


def verdicts(indices: Mapping[str, Sequence[float]], sizes: Mapping[str, Sequence[float]]) -> None:
    """A table of anomaly indices, and of mask sizes as shares of the usual one, with how many models each accuses."""
    rows = []
    for name in indices:
        index, size = indices[name], sizes[name]
        rows.append(
            [
                name,
                f"{min(index):.1f} to {max(index):.1f}",
                f"{sum(n > 2 for n in index)} of {len(index)}",
                interval(min(size), max(size)),
                f"{sum(n < 0.8 for n in size)} of {len(size)}",
            ]
        )
    figures.table(rows, ["networks", "index", "accused: above 2", "size", "accused: below 80 %"])


def withstands(
    ensemble: PartitionEnsemble, x: Tensor, y: Tensor, digit: Tensor, label: Tensor, copies: int, draw: torch.Generator
) -> bool:
    """Is `digit` still read as `label` when `copies` of it are added to the rows x, y that the ensemble was trained on?

    Each copy bears the runner-up's label and a little noise, so that it falls into another part that votes for `label`.
    """
    choices, votes = ensemble.choices(digit[None])[0], ensemble.votes(digit[None])[0].index_fill(0, label, -1)
    noisy = (digit + 0.01 * torch.rand(600, *digit.shape, generator=draw).to(digit)).clamp(0, 1)
    parts = partition(noisy, len(choices)).tolist()
    mine = [parts.index(part) for part in set(parts) if choices[part] == label][:copies]
    added, wrong = torch.cat([x, noisy[mine]]), torch.cat([y, votes.argmax().expand(len(mine))])
    attacked = PartitionEnsemble(added, wrong, parts=len(choices), classes=ensemble.classes)
    return bool(attacked.votes(digit[None]).argmax(1) == label)
