"""Planted fake defences: each stops a careless attack and none that knows it. For practising evaluations on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from modelsec_course import runtime, validation
from modelsec_course.evasion import BPDA, EOT, apgd, pgd

__all__ = ["Fake", "InputNoise", "Quantise", "ScaleLogits", "Shatter", "knowing", "planted"]


class ScaleLogits(nn.Module):
    """Multiplies logits: the softmax saturates, and the gradient of the cross-entropy underflows to 0."""

    def __init__(self, factor: float = 1000.0) -> None:
        super().__init__()
        validation.positive("factor", factor)
        self.factor = factor

    def forward(self, logits: Tensor) -> Tensor:
        return self.factor * logits


class Quantise(nn.Module):
    """Rounds inputs in [0, 1] to `levels` evenly spaced values: the gradient is 0 wherever it exists."""

    def __init__(self, levels: int = 5) -> None:
        super().__init__()
        validation.count("levels", levels, low=2)
        self.steps = levels - 1

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.steps).round() / self.steps


class InputNoise(nn.Module):
    """Adds fresh normal noise of standard deviation `sigma` at every call, so that no answer comes twice."""

    def __init__(self, sigma: float = 0.2, generator: torch.Generator | None = None) -> None:
        super().__init__()
        validation.positive("sigma", sigma)
        validation.randomness("generator", generator)
        self.sigma, self.generator = sigma, generator or runtime.generator(0)

    def forward(self, x: Tensor) -> Tensor:
        draw = torch.randn(x.shape, generator=self.generator, device=self.generator.device, dtype=x.dtype)
        return x + self.sigma * draw.to(x.device)


class Shatter(nn.Module):
    """Adds a fine ripple that changes no pixel by more than `height`, while its slope swamps the model's own."""

    def __init__(self, height: float = 0.01, frequency: float = 5000.0) -> None:
        super().__init__()
        validation.positive("height", height)
        validation.positive("frequency", frequency)
        self.height, self.frequency = height, frequency

    def forward(self, x: Tensor) -> Tensor:
        return x + self.height * torch.sin(self.frequency * x)


@dataclass(frozen=True)
class Fake:
    """defended: what is shown to the world.  adaptive: what an attacker who knows the defence attacks in its place."""

    defended: nn.Module
    adaptive: nn.Module


def knowing(adaptive: nn.Module, *, eps: float, steps: int = 20) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """attack(model, x, y) -> x_adv within L∞ eps, by whoever knows the defence: it attacks `adaptive`, not `model`.

    Towards every class in turn; where dice are averaged it does not stop at a first success, which may be luck.
    """
    attack = partial(apgd, eps=eps, steps=steps, loss="dlr-targeted")
    if isinstance(adaptive, EOT):
        attack = partial(pgd, eps=eps, steps=steps, stop_early=False)
    return lambda _, x, y: attack(adaptive, x, y)


def planted(model: nn.Module) -> dict[str, Fake]:
    """The four fakes in front of, or behind, `model` (batch, ...) -> logits, by name; the model itself is shared."""
    validation.module("model", model)
    noisy = nn.Sequential(InputNoise(), model)
    fakes = {
        "scaled logits": Fake(nn.Sequential(model, ScaleLogits()), model),
        "quantised input": Fake(nn.Sequential(Quantise(), model), nn.Sequential(BPDA(Quantise()), model)),
        "input noise": Fake(noisy, EOT(noisy, samples=8)),
        "shattered gradient": Fake(nn.Sequential(Shatter(), model), nn.Sequential(BPDA(Shatter()), model)),
    }
    for fake in fakes.values():
        fake.defended.eval(), fake.adaptive.eval()
    return fakes
