"""How the road signs' victims were trained: with patches on half of the signs, since else any sticker breaks them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelsec_course import models, runtime, training
from modelsec_course.data import signs
from modelsec_course.robustness.training import adversarial

__all__ = ["against_pgd", "plain", "pooled"]


def plain(net: nn.Module) -> None:
    models.initialise(net, runtime.generator(0))
    training.fit(net, *_photographs(), epochs=12, generator=runtime.generator(1))


def pooled(net: nn.Module) -> None:
    pictures = _photographs()
    models.initialise(net, runtime.generator(0))
    for lr, epochs in ((2e-3, 6), (3e-4, 2)):  # the last steps are small: they settle it
        training.fit(net, *pictures, lr=lr, epochs=epochs, generator=runtime.generator(1))


def against_pgd(net: nn.Module) -> None:
    pictures = _photographs()
    models.initialise(net, runtime.generator(0))
    training.fit(net, *pictures, epochs=6, generator=runtime.generator(1))  # without this start it learns nothing
    loss = adversarial(8 / 255, steps=5, generator=runtime.generator(2))
    training.fit(net, *pictures, lr=1e-3, epochs=4, loss=loss, generator=runtime.generator(3))


def _photographs() -> tuple[Tensor, Tensor]:
    labels = torch.arange(9600) % len(signs.CLASSES)
    return signs.photograph(signs.templates(), labels, generator=runtime.generator(4), patches=0.5), labels
