"""The least number that will do, and where the dice come from."""

from __future__ import annotations

from collections.abc import Callable

import torch

from modelsec_course import validation

__all__: list[str] = []


def least(holds: Callable[[float], bool], *, tolerance: float = 0.0) -> float:
    """The least number above 0 for which `holds` is true, where it is false below and true above.

    tolerance: relative; 0 goes on until no float lies between. The number returned always holds: it errs upwards.
    """
    high = 1.0
    while not holds(high):
        high *= 2
    low = high / 2 if high > 1 else 0.0
    while high - low > tolerance * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def source(generator: torch.Generator | None) -> torch.Generator:
    """`generator`, or one that the operating system has seeded: noise from a seed that is known protects nobody."""
    validation.randomness("generator", generator)
    if generator is None:
        generator = torch.Generator()
        generator.seed()
    return generator
