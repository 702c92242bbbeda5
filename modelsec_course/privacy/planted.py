"""Planted bugs: private training that claims its ε and breaks the promise in one place. For practising audits on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modelsec_course import runtime, validation
from modelsec_course.privacy.bookkeeping import clipped_sum
from modelsec_course.privacy.private_sgd import SAMPLINGS

__all__ = ["BUGS", "train_with_bug"]

BUGS = {
    "none": "right: each record clipped, Poisson sampling, fresh noise on the sum, divided by the expected batch",
    "noise / 4": "a quarter of the noise that the accountant was told",
    "noise / batch": "the noise is divided by the batch twice: as a part of the mean, and again when it is drawn",
    "batch clipped": "the mean gradient is clipped to the bound, and not each record's",
    "noise reused": "noise is drawn once and added again at every step",
    "seed repeated": "every run starts from the same seed, whatever generator it is given",
    "file order": "no dice: step t takes the rows t, t + 1/q, … of the file, but ε is computed for Poisson sampling",
    "shuffled": "the rows are shuffled for each pass and dealt into batches, but ε is computed for Poisson sampling",
}


def train_with_bug(
    bug: str,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    noise_multiplier: float,
    sampling_rate: float,
    steps: int,
    clip: float = 1.0,
    lr: float,
    generator: torch.Generator,
    on_step: Callable[[int, dict[str, Tensor]], None] | None = None,
) -> None:
    """`dp_sgd` with one of the BUGS, in place; what an accountant says of these arguments is what it claims.

    on_step(step, noisy_sum) is called at every step, as by `dp_sgd`.
    """
    validation.one_of("bug", bug, BUGS)
    draw = runtime.generator(0, generator.device) if bug == "seed repeated" else generator
    batches = _batches(bug, len(x), sampling_rate, draw)
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    factor = {"noise / 4": 1 / 4, "noise / batch": 1 / (sampling_rate * len(x))}.get(bug, 1.0)
    noise: dict[str, Tensor] = {}
    for step, rows in zip(range(steps), batches, strict=False):  # batches never end
        rows = rows.to(x.device)
        noisy = _summed(bug, model, x[rows], y[rows], clip, sampling_rate * len(x))
        if bug != "noise reused" or not noise:
            noise = {name: torch.randn(p.shape, generator=draw, device=draw.device) for name, p in weights.items()}
        for name, total in noisy.items():
            total += noise_multiplier * clip * factor * noise[name].to(total)
        if on_step:
            on_step(step, noisy)
        with torch.no_grad():
            for name, weight in weights.items():
                weight -= lr * noisy[name] / (sampling_rate * len(x))


def _batches(bug: str, n: int, rate: float, draw: torch.Generator) -> Iterator[Tensor]:
    """The rows that take part, step by step."""
    if bug != "file order":
        return SAMPLINGS["shuffled" if bug == "shuffled" else "poisson"](n, rate, draw)
    every = round(1 / rate)
    return (torch.arange(n, device=draw.device)[first::every] for first in cycle(range(every)))


def _summed(bug: str, model: nn.Module, x: Tensor, y: Tensor, clip: float, expected: float) -> dict[str, Tensor]:
    """The sum of clipped gradients."""
    if bug != "batch clipped":
        return clipped_sum(model, x, y, clip)[0]
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    sums = torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), list(weights.values()))
    norm = torch.cat([part.flatten() for part in sums]).norm() / expected  # of the mean
    return {name: part * (clip / norm).clamp_max(1) for name, part in zip(weights, sums, strict=True)}
