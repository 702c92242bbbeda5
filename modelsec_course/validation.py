"""Small checks of arguments. Each raises an error that says what was wrong, what was expected and what to do."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import torch


def number(name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, hint: str = "") -> None:
    """Raise unless `value` is a finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, but it is {value!r}{_and(hint)}")
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}], but it is {value!r}{_and(hint)}")


def positive(name: str, value: Any, hint: str = "") -> None:
    """Raise unless `value` is a finite number above 0."""
    number(name, value, hint=hint)
    if value <= 0:
        raise ValueError(f"{name} must be above 0, but it is {value!r}{_and(hint)}")


def count(name: str, value: Any, *, low: int = 1, hint: str = "") -> None:
    """Raise unless `value` is a whole number of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, but it is {value!r}{_and(hint)}")
    if value < low:
        raise ValueError(f"{name} must be at least {low}, but it is {value!r}{_and(hint)}")


def one_of(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, but it is {value!r}")


def flag(name: str, value: Any) -> None:
    """Raise unless `value` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, but it is {value!r}")


def randomness(name: str, value: Any) -> None:
    """Raise unless `value` is None or a torch.Generator."""
    if value is not None and not isinstance(value, torch.Generator):
        raise TypeError(f"{name} must be a torch.Generator or None, but it is {value!r}: use runtime.generator(seed)")


def tensor(name: str, value: Any) -> None:
    """Raise unless `value` is a tensor."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, but it is a {type(value).__name__}: use torch.as_tensor({name})")


def labels(y: Any, x: torch.Tensor, name: str = "y") -> None:
    """Raise unless `y` holds one int64 label for each row of `x`, on the same device."""
    tensor(name, y)
    if y.shape != x.shape[:1]:
        raise ValueError(
            f"{name} must have shape ({len(x)},), one label for each input, but it has {tuple(y.shape)}: "
            "one-hot labels become indices by argmax(1)"
        )
    if y.dtype != torch.int64:
        raise ValueError(f"{name} must hold int64 labels, but it holds {y.dtype}: use {name}.long()")
    if y.device != x.device:
        raise ValueError(f"{name} is on {y.device}, but x is on {x.device}: move one with .to(device)")
    if len(y) and y.min() < 0:
        raise ValueError(f"{name} holds the label {int(y.min())}, but labels start at 0")


def _and(hint: str) -> str:
    return f": {hint}" if hint else ""
