"""Attacking through a defence that hides its gradient: put a kinder one in its place, or average its dice away."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from modelsec_course import validation

__all__ = ["BPDA", "EOT"]


class BPDA(nn.Module):
    """Backward pass differentiable approximation: `defence` forwards, the identity backwards.

    defence: maps x (batch, ...) to something of the same shape that stays close to x, such as a quantiser; it may have
    no gradient, or a misleading one. `nn.Sequential(BPDA(defence), model)` is then what to attack.
    Raises ValueError when the defence changes the shape: the identity is no stand-in for it.
    Source: Athalye, Carlini & Wagner, 2018, "Obfuscated Gradients Give a False Sense of Security", section 4.1.
    """

    def __init__(self, defence: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        validation.function("defence", defence, hint="it maps inputs to inputs")
        self.defence = defence

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            passed = self.defence(x)
        if passed.shape != x.shape:
            raise ValueError(
                f"defence must keep the shape {tuple(x.shape)}, but it returned {tuple(passed.shape)}: "
                "put a differentiable stand-in of your own in its place"
            )
        return x + (passed - x).detach()


class EOT(nn.Module):
    """Expectation over transformations: the mean logits of `samples` answers of a model that rolls dice.

    model: answers x (batch, ...) with logits that differ from call to call.
    Its gradient is the mean gradient, so an attack climbs what holds for most draws. Costs `samples` queries for one.
    Source: Athalye, Engstrom, Ilyas & Kwok, 2018, "Synthesizing Robust Adversarial Examples", section 2.1.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], samples: int = 16) -> None:
        super().__init__()
        validation.function("model", model)
        validation.count("samples", samples)
        self.model, self.samples = model, samples

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.model(x) for _ in range(self.samples)]).mean(0)  # one call each: fresh dice
