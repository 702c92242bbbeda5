"""Which signs a map expects where: what stands in a town does not stand on a motorway."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course import validation
from modelsec_course.data.signs.drawings import CLASSES

__all__ = ["PLACES", "plausible"]

PLACES: dict[str, tuple[str, ...]] = {
    "junction in a town": (
        "stop", "give way", "priority road", "no entry", "no vehicles", "limit 30", "limit 50", "no stopping",
        "turn right", "turn left", "straight on", "keep right", "roundabout", "cycle path", "pedestrian crossing",
        "parking", "roadworks", "danger", "traffic lights",
    ),
    "country road": (
        "stop", "give way", "priority road", "limit 50", "limit 80", "no overtaking", "end of limits", "keep right",
        "roundabout", "cycle path", "roadworks", "danger", "traffic lights", "uneven road",
    ),
    "motorway": (
        "limit 80", "limit 120", "no overtaking", "end of limits", "no stopping", "keep right", "parking", "roadworks",
        "danger", "uneven road",
    ),
}  # fmt: skip


def plausible(place: str, *, surprise: float = 0.0) -> Tensor:
    """(24,) floats that add up to 1: how likely each sign in `CLASSES` is at the place, on the CPU.

    place: one of `PLACES`; its signs are equally likely.  surprise: the share that is left for signs which the map does
    not expect there, because maps grow old; 0 rules them out.
    """
    validation.one_of("place", place, PLACES)
    validation.number("surprise", surprise, low=0, high=1)
    expected = torch.tensor([name in PLACES[place] for name in CLASSES], device="cpu")
    return torch.where(expected, (1 - surprise) / expected.sum(), surprise / (~expected).sum())
