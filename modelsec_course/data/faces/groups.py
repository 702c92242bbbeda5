"""Who is who: the private people, the public, and strangers whom only the judge knows; nobody is in two groups."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import validation
from modelsec_course.data.faces.album import kept
from modelsec_course.data.faces.camera import SIDE, photograph
from modelsec_course.data.faces.identity import People, invent

__all__ = ["GROUPS", "PRIVATE", "PUBLIC", "STRANGERS", "people", "pictures"]

PRIVATE, PUBLIC, STRANGERS = 100, 1000, 360  # how many people


class Group(NamedTuple):
    """crowds: (number, seed) of people each.  of_each: pictures of one person.  seed: of poses and light."""

    crowds: tuple[tuple[int, int], ...]
    of_each: int
    seed: int


GROUPS = {
    "train": Group(((PRIVATE, 1),), 12, 10),
    "test": Group(((PRIVATE, 1),), 8, 11),
    "public": Group(((PUBLIC, 2),), 4, 12),
    "judge": Group(((PRIVATE, 1), (STRANGERS, 3)), 12, 13),
}


def people(group: str) -> People:
    """The traits of the people in a group, each (n,)."""
    validation.one_of("group", group, tuple(GROUPS))
    crowds = [invent(n, seed) for n, seed in GROUPS[group].crowds]
    return {trait: torch.cat([crowd[trait] for crowd in crowds]) for trait in crowds[0]}


def pictures(group: str, *, size: int = 32) -> tuple[Tensor, Tensor]:
    """Pictures of a group of people, and who is seen on each; drawn once and then kept on disk.

    group: "train" and "test" show the 100 private people (12 and 8 pictures of each); "public" 1,000 others (4 of
    each); "judge" the private people on other pictures, and behind them, with labels from 100, 360 strangers (12).
    size: 32 or 64 pixels.  Returns float32 (n, 1, size, size) in [0, 1] and int64 (n,), on the CPU.
    """
    validation.one_of("group", group, tuple(GROUPS))
    if size not in (SIDE, SIDE // 2):
        raise ValueError(f"size must be {SIDE // 2} or {SIDE} pixels, but it is {size!r}")
    drawn = _drawn(group)
    x = drawn.float() / 255
    return (x if size == SIDE else F.avg_pool2d(x, 2)), _labels(group)


def _labels(group: str) -> Tensor:
    number = sum(n for n, _ in GROUPS[group].crowds)
    return torch.arange(number, device="cpu").repeat_interleave(GROUPS[group].of_each)


@cache
def _drawn(group: str) -> Tensor:
    return kept(group, lambda: photograph(people(group), _labels(group), seed=GROUPS[group].seed))
