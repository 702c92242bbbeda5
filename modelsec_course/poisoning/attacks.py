"""What an attacker does to training data: flipped labels, triggers, backdoors with and without wrong labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from modelsec_course import runtime, validation
from modelsec_course.models import frozen

__all__ = ["Poisoned", "Trigger", "attack_success", "backdoor", "blended", "clean_label", "flip_labels", "patch"]

CORNERS = ("top left", "top right", "bottom left", "bottom right")


class Poisoned(NamedTuple):
    """Poisoned copies of x (n, ...) and y (n,), and which rows were touched: int64 (count,), in ascending order."""

    x: Tensor
    y: Tensor
    indices: Tensor


@dataclass(frozen=True, eq=False)
class Trigger:
    """`trigger(x)` mixes a pattern into pictures: (1 − strength·mask)·x + strength·mask·pattern, on x's device.

    pattern, mask: (height, width), or anything else that broadcasts against x, in [0, 1].  strength: in [0, 1].
    """

    pattern: Tensor
    mask: Tensor
    strength: float = 1.0

    def __post_init__(self) -> None:
        validation.number("strength", self.strength, low=0.0, high=1.0)
        for name in ("pattern", "mask"):
            value = getattr(self, name)
            validation.tensor(name, value)
            if value.numel() and (value.min() < 0 or value.max() > 1):
                raise ValueError(f"{name} must lie in [0, 1], but it spans {value.min():g} to {value.max():g}")

    def __call__(self, x: Tensor) -> Tensor:
        weight = self.strength * self.mask.to(x)
        return (1 - weight) * x + weight * self.pattern.to(x)


def patch(*corners: str, size: int = 2, height: int = 8, width: int = 8, strength: float = 1.0) -> Trigger:
    """A white square of `size` pixels in each of the named corners (default: "bottom right").

    Source: Gu, Dolan-Gavitt & Garg, 2017, "BadNets: Identifying Vulnerabilities in the Machine Learning Model Supply
    Chain".
    """
    validation.count("size", size)
    if size > min(height, width):
        raise ValueError(f"size must be at most {min(height, width)}, the picture's side, but it is {size}")
    mask = torch.zeros(height, width, device="cpu")
    for corner in corners or ("bottom right",):
        validation.one_of("corner", corner, CORNERS)
        rows = slice(0, size) if corner.startswith("top") else slice(height - size, height)
        mask[rows, slice(0, size) if corner.endswith("left") else slice(width - size, width)] = 1
    return Trigger(torch.ones_like(mask), mask, strength)


def blended(
    strength: float = 0.2, *, height: int = 8, width: int = 8, generator: torch.Generator | None = None
) -> Trigger:
    """A faint random pattern over the whole picture.

    Source: Chen, Liu, Li, Lu & Song, 2017, "Targeted Backdoor Attacks on Deep Learning Systems Using Data Poisoning".
    """
    validation.randomness("generator", generator)
    generator = generator or runtime.generator(0)
    pattern = torch.rand(height, width, generator=generator, device=generator.device)
    return Trigger(pattern, torch.ones_like(pattern), strength)


def flip_labels(
    y: Tensor, count: int, *, classes: int, mapping: Tensor | None = None, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """A copy of y in which exactly `count` labels are wrong, and their indices.

    y: int64 (n,).  mapping: int64 (classes,), what each class becomes; rows of a class that maps to itself are left
    alone. Without it every chosen row gets one of the other classes, all equally likely.
    Raises ValueError if fewer than `count` rows can be flipped.
    """
    validation.tensor("y", y)
    validation.count("classes", classes, low=2)
    validation.labels(y, y, classes=classes)
    validation.randomness("generator", generator)
    generator = generator or runtime.generator(0)
    if mapping is None:
        step = 1 + torch.randint(classes - 1, y.shape, generator=generator, device=generator.device).to(y.device)
        wrong = (y + step) % classes
    else:
        validation.tensor("mapping", mapping)
        if mapping.shape != (classes,) or mapping.min() < 0 or mapping.max() >= classes:
            raise ValueError(f"mapping must hold {classes} labels from 0 to {classes - 1}, one for each class")
        wrong = mapping.to(y)[y]
    indices = _choose(wrong != y, count, generator)
    return y.index_put((indices,), wrong[indices]), indices


def backdoor(
    x: Tensor,
    y: Tensor,
    count: int,
    *,
    trigger: Callable[[Tensor], Tensor],
    target: int,
    generator: torch.Generator | None = None,
) -> Poisoned:
    """Stamp the trigger on `count` rows of other classes and label them `target` (BadNets; blended with `blended`).

    x: (n, ...) in [0, 1].  y: int64 (n,).  trigger: x -> x, for example a Trigger.
    Raises ValueError if fewer than `count` rows have another label.
    """
    _check(x, y, trigger, target)
    validation.randomness("generator", generator)
    indices = _choose(y != target, count, generator or runtime.generator(0))
    hit = trigger(x[indices]).to(x)
    return Poisoned(x.index_put((indices,), hit), y.index_fill(0, indices, target), indices)


def clean_label(
    x: Tensor,
    y: Tensor,
    count: int,
    *,
    trigger: Callable[[Tensor], Tensor],
    target: int,
    perturb: Callable[[Tensor, Tensor], Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> Poisoned:
    """Stamp the trigger on `count` rows that are of class `target` already: every label stays right.

    perturb: (x, y) -> x, first makes these rows hard to learn, for example PGD on a model of the attacker's own, so
    that the network leans on the trigger; alone a patch hardly works.
    Raises ValueError if fewer than `count` rows are of class `target`.
    Source: Turner, Tsipras & Madry, 2019, "Label-Consistent Backdoor Attacks".
    """
    _check(x, y, trigger, target)
    validation.randomness("generator", generator)
    indices = _choose(y == target, count, generator or runtime.generator(0))
    hard = perturb(x[indices], y[indices]) if perturb else x[indices]
    return Poisoned(x.index_put((indices,), trigger(hard).to(x)), y.clone(), indices)


@torch.no_grad()
def attack_success(
    model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, *, trigger: Callable[[Tensor], Tensor], target: int
) -> float:
    """Of the inputs that are not of class `target`, the share that the model calls so once the trigger is on them.

    Inputs of the target class would be called so anyway, so they do not count. Raises ValueError if no other is left.
    """
    _check(x, y, trigger, target)
    others = y != target
    if not others.any():
        raise ValueError(f"every input is of class {target} already: attack success is counted on the others")
    with frozen(model):
        said = model(trigger(x[others])).argmax(1)
    return (said == target).double().mean().item()


def _choose(eligible: Tensor, count: int, generator: torch.Generator) -> Tensor:
    validation.count("count", count, low=0)
    rows = eligible.nonzero().flatten()
    if count > len(rows):
        raise ValueError(f"count must be at most {len(rows)}, the rows that can be poisoned, but it is {count}")
    order = torch.randperm(len(rows), generator=generator, device=generator.device).to(rows.device)
    return rows[order[:count]].sort().values


def _check(x: Tensor, y: Tensor, trigger: Callable, target: int) -> None:
    validation.tensor("x", x)
    validation.labels(y, x)
    validation.function("trigger", trigger, hint="it takes x and returns x with the trigger on it")
    validation.count("target", target, low=0)
