"""Small checks of arguments. Each raises an error that says what was wrong, what was expected and what to do."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn


def number(name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, hint: str = "") -> None:
    """Raise unless `value` is a finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, but it is {value!r}{_and(hint)}")
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}], but it is {value!r}{_and(hint)}")


def span(name: str, value: Any, *, low: float = -math.inf, high: float = math.inf) -> None:
    """Raise unless `value` is a tuple of two numbers in [low, high], the least and the greatest."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"{name} must be two numbers, the least and the greatest, but it is {value!r}")
    number(name, value[0], low=low, high=high)
    number(name, value[1], low=value[0], high=high)


def positive(name: str, value: Any, hint: str = "") -> None:
    """Raise unless `value` is a finite number above 0."""
    number(name, value, hint=hint)
    if value <= 0:
        raise ValueError(f"{name} must be above 0, but it is {value!r}{_and(hint)}")


def probability(name: str, value: Any) -> None:
    """Raise unless `value` is a number strictly between 0 and 1."""
    number(name, value, low=0, high=1)
    if value in (0, 1):
        raise ValueError(f"{name} must lie strictly between 0 and 1, but it is {value!r}")


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


def module(name: str, value: Any) -> None:
    """Raise unless `value` is a network."""
    if not isinstance(value, nn.Module):
        raise TypeError(f"{name} must be a torch.nn.Module, whose weights can be set, but it is a {_kind(value)}")


def function(name: str, value: Any, hint: str = "") -> None:
    """Raise unless `value` can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, but it is {value!r}, a {_kind(value)}{_and(hint)}")


def device(name: str, value: Any) -> torch.device:
    """`value` as a device; raise unless it names one."""
    if not isinstance(value, (str, torch.device)):
        raise TypeError(f"{name} must be a device such as 'cpu' or 'cuda', but it is {value!r}: use runtime.device()")
    try:
        return torch.device(value)
    except RuntimeError as error:
        raise ValueError(f"{name} must be a device such as 'cpu' or 'cuda', but it is {value!r}") from error


def fits(model: Any, x: torch.Tensor) -> None:
    """Raise unless `model` can be asked about x: callable and, if it is a network, of x's kind and on x's device."""
    function("model", model, hint="it takes inputs (batch, ...) and returns logits (batch, classes)")
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    if parameter is None or not parameter.is_floating_point():
        return
    if x.is_floating_point() and parameter.dtype != x.dtype:
        raise ValueError(f"x holds {x.dtype}, but the model computes in {parameter.dtype}: convert x with .to()")
    if parameter.device != x.device:
        raise ValueError(f"x is on {x.device}, but the model is on {parameter.device}: move one with .to(device)")


def tensor(name: str, value: Any) -> None:
    """Raise unless `value` is a tensor."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, but it is a {_kind(value)}: use torch.as_tensor({name})")


def labels(y: Any, x: torch.Tensor, name: str = "y", classes: int | None = None) -> None:
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
    if classes is not None and len(y) and y.max() >= classes:
        top = f"there are {classes} classes: 0 to {classes - 1}"
        raise ValueError(f"{name} holds the label {int(y.max())}, but {top}")


def targets(y: Any, x: torch.Tensor, name: str = "y") -> None:
    """Raise unless `y` holds one finite floating-point number for each row of `x`, on the same device."""
    tensor(name, y)
    if y.shape != x.shape[:1]:
        raise ValueError(f"{name} must have shape ({len(x)},), one number for each input, but it has {tuple(y.shape)}")
    if not y.is_floating_point():
        raise ValueError(f"{name} must hold floating-point numbers, but it holds {y.dtype}: use {name}.float()")
    if y.device != x.device:
        raise ValueError(f"{name} is on {y.device}, but x is on {x.device}: move one with .to(device)")
    if not y.isfinite().all():
        raise ValueError(f"{name} must be finite, but it holds infinity or NaN")


def _kind(value: Any) -> str:
    return type(value).__name__


def _and(hint: str) -> str:
    return f": {hint}" if hint else ""
