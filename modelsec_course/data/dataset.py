"""What a data set is, and the registry that `load` looks into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from modelsec_course import validation

__all__ = ["Dataset", "load", "names", "register"]


@dataclass(frozen=True)
class Dataset:
    """A train/test split with what one should know before using it.

    x_train, x_test: float32 (n, ...).  y_train, y_test: int64 (n,).  classes: the label's names; empty where y is a
    number to be predicted, float32 (n,).  features: the columns' names and units, empty for pictures.
    provenance, licence: where it comes from.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: tuple[str, ...]
    provenance: str
    licence: str
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            validation.tensor(f"x_{part}", x)
            (validation.labels if self.classes else validation.targets)(y, x, f"y_{part}")
            if self.classes and len(y) and y.max() >= len(self.classes):
                raise ValueError(f"y_{part} holds the label {int(y.max())}, but classes names only {len(self.classes)}")

    def to(self, device: torch.device | str) -> Dataset:
        """The same data set with its tensors on `device`."""
        device = validation.device("device", device)
        moved = {part: getattr(self, part).to(device) for part in ("x_train", "y_train", "x_test", "y_test")}
        return replace(self, **moved)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.x_train.shape[1:]))
        answer = f"{len(self.classes)} classes" if self.classes else "a number to predict"
        return (
            f"{self.name}: {len(self.x_train)} training and {len(self.x_test)} test inputs of {shape}, "
            f"{answer}.\n{self.provenance}\nLicence: {self.licence}."
        )


_LOADERS: dict[str, Callable[[], Dataset]] = {}


def register(name: str) -> Callable[[Callable[[], Dataset]], Callable[[], Dataset]]:
    """Decorator: make a function without arguments the loader of the data set `name`."""

    if not isinstance(name, str) or not name:
        raise TypeError(f"name must be what load() is to be called with, but it is {name!r}: @register('digits')")

    def enter(loader: Callable[[], Dataset]) -> Callable[[], Dataset]:
        validation.function("loader", loader, hint="it takes no argument and returns a Dataset")
        if name in _LOADERS:
            raise ValueError(f"the data set {name!r} is registered twice: give one of the two another name")
        _LOADERS[name] = loader
        return loader

    return enter


def names() -> tuple[str, ...]:
    """The data sets that `load` knows."""
    return tuple(sorted(_LOADERS))


def load(name: str) -> Dataset:
    """The data set called `name`, in fresh tensors on the CPU (changing them harms nobody)."""
    validation.one_of("name", name, names())
    return _LOADERS[name]()
