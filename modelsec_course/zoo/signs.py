"""How the road signs' victims were trained: with patches on half of the signs, since else any sticker breaks them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import models, runtime, training
from modelsec_course.data import signs
from modelsec_course.robustness.hardening import adversarial
from modelsec_course.robustness.patches import cut_outs
from modelsec_course.robustness.stickers import stickered

__all__ = ["against_pgd", "against_stickers", "behind_masks", "plain", "pooled"]


def plain(net: nn.Module) -> None:
    models.initialise(net, runtime.generator(0))
    _fit(net, ((2e-3, 10), (3e-4, 2)))


def pooled(net: nn.Module) -> None:
    models.initialise(net, runtime.generator(0))
    _fit(net, ((2e-3, 6), (3e-4, 2)))


def against_pgd(net: nn.Module) -> None:
    models.initialise(net, runtime.generator(0))
    _fit(net, ((2e-3, 6),))  # without this start it learns nothing
    _fit(net, ((1e-3, 3), (2e-4, 1)), loss=adversarial(8 / 255, steps=5, generator=runtime.generator(2)))


def against_stickers(net: nn.Module) -> None:
    models.initialise(net, runtime.generator(0))
    _fit(net, ((2e-3, 6),))
    textures = F.avg_pool2d(signs.templates(), 2)  # as fine as these pictures show them
    loss = stickered(signs.photograph, textures, generator=runtime.generator(2))
    _fit(net, ((1e-3, 8), (2e-4, 2)), loss=loss)


def behind_masks(net: nn.Module) -> None:
    models.initialise(net, runtime.generator(0))
    _fit(net, ((2e-3, 10), (3e-4, 3)), loss=cut_outs(generator=runtime.generator(2)))


def _fit(net: nn.Module, plan: Sequence[tuple[float, int]], **options) -> None:
    """Train by a plan of learning rates and epochs; small last steps settle the network."""
    labels = torch.arange(9600) % len(signs.CLASSES)
    pictures = signs.photograph(signs.templates(), labels, generator=runtime.generator(4), patches=0.5)
    for lr, epochs in plan:
        training.fit(net, pictures, labels, lr=lr, epochs=epochs, generator=runtime.generator(1), **options)
