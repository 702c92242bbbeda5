"""Lab 12: what a gradient gives away, by the size of the batch and the length of the noise on it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from modelsec_course import runtime
from modelsec_course.inversion import best_assignment, mse
from modelsec_course.lab.predicting import Guess, mark
from modelsec_course.lab.style import ATTACK, BLACK, STYLE
from modelsec_course.lab.words import number

FLOOR = 1e-12  # drawn no lower


def with_noise(gradient: Sequence[Tensor], lengths: Sequence[float], seed: int) -> list[Tensor]:
    """Each of k updates plus Gaussian noise whose length is so many times the update's own.

    gradient: one tensor (k, ...) for each parameter.  lengths: k multiples.
    """
    draw = runtime.generator(seed)
    noise = [torch.randn(part.shape, generator=draw).to(part) for part in gradient]
    size, own = (sum(part.flatten(1).square().sum(1) for part in parts).sqrt() for parts in (gradient, noise))
    share = torch.as_tensor(lengths, device=size.device) * size / own
    return [g + n * share.view(-1, *[1] * (n.dim() - 1)) for g, n in zip(gradient, noise, strict=True)]


def watch_it_leak(
    attack: Callable[[int], tuple[Tensor, Tensor]], levels: Sequence[float], guess: Guess | None = None
) -> Callable[..., tuple[Figure, str]]:
    """A scene: the pictures of a batch, what is found of each, and the error at each level of noise.

    attack(batch) -> x (batch, 1, h, w), and what is found at each of `levels`, (levels, batch, 1, h, w). It is run once
    for each size of batch.  levels: rising, 0 and others, drawn on an axis that is logarithmic from the first of them.
    guess: the learner's, of the noise that hides a picture: a dashed line.
    """

    @functools.cache
    def run(batch: int) -> tuple[Tensor, Tensor, Tensor]:
        x, found = attack(batch)
        paired = torch.stack([best_assignment(some, x) for some in found])
        return x.cpu(), paired.cpu(), torch.stack([mse(some, x) for some in found]).mean(1).cpu()

    def draw(batch: int, noise: float) -> tuple[Figure, str]:
        x, found, errors = run(batch)
        level = min(range(len(levels)), key=lambda i: abs(levels[i] - noise))
        with plt.rc_context(STYLE):
            fig = plt.figure(figsize=(9.0, 3.2))
            left, right = fig.subfigures(1, 2, width_ratios=(1.7, 1))
            grid = left.subplots(*((1, 2) if batch == 1 else (2, batch)), squeeze=False)
            for axes, picture in zip(grid.flat, torch.cat([x, found[level]]), strict=True):
                axes.set(xticks=[], yticks=[], frame_on=False)
                axes.imshow(picture[0].numpy(), vmin=0, vmax=1)
            where = "left: the patient; right" if batch == 1 else "above: the batch; below"
            left.suptitle(f"{where}: what is found", fontsize=10)
            curve = right.subplots()
            curve.plot(levels, errors.clamp_min(FLOOR), color=ATTACK, markevery=1)
            curve.scatter([levels[level]], [errors[level].clamp_min(FLOOR)], color=BLACK, marker="D", s=50, zorder=3)
            curve.set_xscale("symlog", linthresh=min(filter(None, levels)), linscale=0.3)
            curve.set_xticks(levels, [f"{level:g}" for level in levels])
            curve.set_xticks([], minor=True)
            curve.set(yscale="log", ylim=(FLOOR / 3, 1), xlabel="noise ÷ gradient", ylabel="mean squared error")
            mark(curve, guess, vertical=True)
        error = errors[level].clamp_min(FLOOR)
        length = f"noise {levels[level]:g} times as long as the gradient" if levels[level] else "no noise"
        return fig, (
            f"Batch of {batch}, {length}: mean squared error {number(error, 2)}, PSNR **{-10 * error.log10():.0f} dB**."
        )

    return draw
