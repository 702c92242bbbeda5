"""Lab 14: what a private training run would spend and reach, what inversion shows of people, and what audits catch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course import privacy, runtime
from modelsec_course.lab.charts import numbers
from modelsec_course.lab.style import BLACK, BLUE, GREY, PROOF, STYLE, VERMILION, show
from modelsec_course.lab.words import percent
from modelsec_course.models import initialise

SEEDS, CHECKS = 3, 10


def plan_a_run(
    architecture: Callable[[], nn.Module],
    x: Tensor,
    y: Tensor,
    x_test: Tensor,
    y_test: Tensor,
    *,
    delta: float,
    lr: float,
    budget: float,
) -> Callable[..., tuple[Figure, str]]:
    """A scene: ε and test accuracy, step by step, of private training with a sampling rate, a noise and so many steps.

    lr: the learning rate at sampling rate 1; it is taken in proportion.  budget: the ε to stay below, drawn as a line.
    The runs are trained when they are drawn, three of them, each from a seed of its own.
    """

    @functools.cache
    def trained(q: float, sigma: float, steps: int) -> tuple[list[int], list[float], list[list[float]]]:
        at = [max(1, round(steps * (i + 1) / CHECKS)) for i in range(CHECKS)]
        reached = []
        for seed in range(SEEDS):
            net, accuracy = initialise(architecture(), runtime.generator(seed)).to(x.device), []

            def note(step: int, _, net=net, accuracy=accuracy) -> None:
                if step in at:  # the weights are those after `step` steps
                    accuracy.append((net(x_test).argmax(1) == y_test).float().mean().item())

            history = privacy.dp_sgd(
                net, x, y, noise_multiplier=sigma, sampling_rate=q, steps=steps, lr=lr * q, delta=delta, progress=False,
                generator=runtime.generator(100 + seed), on_step=note,
            )  # fmt: skip
            note(steps, None)
            reached.append(accuracy)
        return at, history.epsilons, reached

    def draw(sampling_rate: float, noise: float, steps: int) -> tuple[Figure, str]:
        at, spent, reached = trained(sampling_rate, noise, steps)
        mean = [sum(values) / SEEDS for values in zip(*reached, strict=True)]
        last, expected = [values[-1] for values in reached], sampling_rate * len(x)
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 2, figsize=(9.0, 3.2))
            axes[0].plot(range(1, steps + 1), spent, color=PROOF, marker="")
            axes[0].axhline(budget, color=GREY, linestyle=":", linewidth=1.5)
            axes[0].annotate("budget", (203, budget), (0, 3), textcoords="offset points", ha="right", fontsize=9.5)
            axes[0].scatter([steps], [spent[-1]], color=BLACK, marker="D", zorder=3)
            axes[0].set(
                xlabel="steps", ylabel=f"ε spent, at δ = {delta:g}", xlim=(0, 205), ylim=(0, max(10, 1.1 * spent[-1]))
            )
            for values in reached:
                axes[1].plot(at, values, color=GREY, linewidth=1, marker="", linestyle="-")
            axes[1].plot(at, mean, color=BLUE, marker="o", linestyle="-")
            axes[1].set(
                xlabel="steps", ylabel="test accuracy", xlim=(0, 205), ylim=(min(0.7, *map(min, reached)) - 0.02, 1)
            )
            axes[1].yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        kept = "within" if spent[-1] <= budget else "over"
        words = (
            f"Sampling rate {sampling_rate:.2f}, noise σ = {noise:.2f}, {steps} steps: **ε = {spent[-1]:.2f}** at "
            f"δ = {delta:g}, {kept} the budget of {budget:g}. Expect an accuracy of **{100 * mean[-1]:.1f} %** "
            f"({SEEDS} runs: {100 * min(last):.1f} to {100 * max(last):.1f} %). A step takes {expected:.0f} records on "
            f"average; the noise on their mean gradient is {noise / expected:.4f} in each direction."
        )
        return fig, words

    return draw


def likenesses(
    photographs: Tensor,
    made: Mapping[str, tuple[Tensor, Tensor]],
    shares: Mapping[str, tuple[float, float]],
    caption: str,
) -> None:
    """Photographs of people, and in rows below what an attacker made of each of them.

    photographs: (n, c, h, w) in [0, 1].  made: by row, pictures of that shape, and n bools: which of them the judge
    recognises. They are framed.  shares: by row, how often the recogniser is right, and how many of all people the
    judge recognises.
    """
    rows = {"photograph": (photographs, None)} | dict(made)
    with plt.rc_context(STYLE | {"figure.constrained_layout.use": False}):
        fig, axes = plt.subplots(len(rows), len(photographs), figsize=(9.2, 0.92 * len(rows)), squeeze=False)
        fig.subplots_adjust(left=0.155, right=0.65, top=0.985, bottom=0.015, wspace=0.05, hspace=0.05)
        for line, (name, (pictures, known)) in zip(axes, rows.items(), strict=True):
            beside = {"transform": line[0].transAxes, "ha": "right", "va": "center", "fontsize": 13}
            line[0].text(-0.15, 0.5, name, **beside)
            if name in shares:
                right, shown = shares[name]
                words = f"{percent(right, 0)} right\n{percent(shown, 0)} of all people shown"
                line[-1].text(1.15, 0.5, words, **beside | {"transform": line[-1].transAxes, "ha": "left"})
            for k, ax in enumerate(line):
                _face(ax, pictures[k], framed=known is not None and bool(known[k]))
    said = [f"{name}: {int(known.sum())} of {len(known)}" for name, (_, known) in made.items()]
    show(fig, caption, f"Faces in rows: {', '.join(rows)}. Recognised by the judge: {'; '.join(said)}. {caption}")


def _face(axes: Axes, picture: Tensor, *, framed: bool) -> None:
    pixels = numbers(picture).transpose(1, 2, 0).clip(0, 1)
    axes.imshow(pixels.squeeze(), vmin=0, vmax=1, interpolation="bicubic")
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=framed, color=PROOF, linewidth=3)


def audit_table(bounds: Mapping[str, Mapping[str, float]], claims: Mapping[str, float], caption: str) -> None:
    """A table: the lower bound that each audit (column) proves of each implementation (row), marked where it is caught.

    bounds[row][column] and claims[column]: values of ε. Caught means above the claim.
    """
    cells = {row: {column: (values[column], values[column] > claims[column]) for column in claims}
             for row, values in bounds.items()}  # fmt: skip
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(figsize=(8.2, 0.55 + 0.42 * len(cells)))
        axes.set(xlim=(-1.15, len(claims)), ylim=(len(cells), -0.9))
        axes.axis("off")
        for c, (column, claim) in enumerate(claims.items()):
            axes.text(c + 0.5, -0.4, f"{column}\nclaims ε ≤ {claim:.2f}", ha="center", va="center", fontsize=10)
        for r, (row, values) in enumerate(cells.items()):
            axes.text(-0.05, r + 0.5, row, ha="right", va="center", fontsize=10.5)
            for c, (value, caught) in enumerate(values.values()):
                _cell(axes, r, c, f"ε ≥ {value:.2f}" + (", caught" if caught else ""), caught)
    said = [f"{row}: " + ", ".join(f"{column} {value:.2f}{' (caught)' if caught else ''}"
            for column, (value, caught) in values.items()) for row, values in cells.items()]  # fmt: skip
    show(fig, caption, f"Table of lower bounds on ε. {'; '.join(said)}. {caption}")


def _cell(axes: Axes, row: int, column: int, text: str, caught: bool) -> None:
    axes.add_patch(plt.Rectangle((column + 0.02, row + 0.04), 0.96, 0.92, color=VERMILION if caught else "#EEEEEE"))
    look = {"color": "white", "fontweight": "bold"} if caught else {"color": "#333333"}
    axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", **look)
