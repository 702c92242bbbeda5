"""How the defended victims were trained: the digits' networks of `recipes`, each against its own threat."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from modelsec_course import data, models, runtime, training
from modelsec_course.robustness.bounds import CertifiedLoss
from modelsec_course.robustness.hardening import adversarial, noisy, trades

__all__ = ["against_noise", "against_pgd", "by_bounds", "by_trades"]


def against_pgd(net: nn.Module) -> None:
    _fit(net, adversarial(0.15, generator=runtime.generator(2)))


def by_trades(net: nn.Module) -> None:
    _fit(net, trades(0.15, generator=runtime.generator(2)))


def against_noise(net: nn.Module) -> None:
    _fit(net, noisy(0.25, generator=runtime.generator(2)))


def by_bounds(net: nn.Module) -> None:
    batches = 100 * math.ceil(len(data.load("digits").x_train) / 64)
    _fit(net, CertifiedLoss(0.15, batches), epochs=100)


def _fit(net: nn.Module, loss: Callable, epochs: int = 30) -> None:
    digits = data.load("digits")
    models.initialise(net, runtime.generator(0))
    training.fit(net, digits.x_train, digits.y_train, loss=loss, epochs=epochs, generator=runtime.generator(1))
