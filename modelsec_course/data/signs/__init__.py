"""Rendered road signs: drawn, then photographed in random streets by a camera that one can differentiate through."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from modelsec_course.data.dataset import Dataset, register
from modelsec_course.data.signs.camera import Conditions, homography, photograph
from modelsec_course.data.signs.drawings import CLASSES, templates
from modelsec_course.data.signs.drive import Drive, approach
from modelsec_course.data.signs.places import PLACES, plausible

__all__ = [
    "CLASSES", "PLACES", "Conditions", "Drive", "approach", "homography", "photograph", "plausible", "templates",
]  # fmt: skip


@register("signs")
def signs() -> Dataset:
    """European road signs: 32×32 colour pictures in [0, 1], shape (n, 3, 32, 32).

    4,800 for training, 1,200 for testing, as many of each class. Every picture is taken in a street of its own.
    """
    return Dataset(
        "signs",
        *(part.clone() for part in _rendered()),
        classes=CLASSES,
        provenance="Drawings of 24 European road signs, photographed in random streets by this course's own renderer.",
        licence="CC BY 4.0",
    )


@cache
@torch.no_grad()
def _rendered() -> tuple[Tensor, ...]:
    parts = []
    for seed, of_each in enumerate((200, 50)):
        generator = torch.Generator().manual_seed(seed)  # the same set always, whatever runtime.generator is made to do
        order = torch.randperm(of_each * len(CLASSES), generator=generator, device="cpu")
        labels = order % len(CLASSES)
        parts += [photograph(templates(), labels, generator=generator), labels]
    return tuple(parts)
