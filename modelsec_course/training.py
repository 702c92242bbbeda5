"""Training a classifier, and counting what it gets right."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from modelsec_course import runtime, validation
from modelsec_course.models import frozen

__all__ = ["History", "accuracy", "fit", "squared_error"]

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass
class History:
    """What a training run did: mean loss and, if asked for, validation accuracy after each epoch."""

    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best_epoch: int = 0


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The ordinary loss of a batch: a scalar."""
    return F.cross_entropy(model(x), y)


def squared_error(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The loss of a regressor, which predicts y (batch,) by its one output (batch, 1): a scalar."""
    return F.mse_loss(model(x).squeeze(1), y)


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epochs: int = 30,
    lr: float = 2e-3,
    batch_size: int = 64,
    loss: Loss = cross_entropy,
    validate: tuple[Tensor, Tensor] | None = None,
    patience: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place with Adam and leave it in eval mode.

    x: (n, ...) inputs.  y: (n,) int64 labels, both on the model's device.  loss(model, x, y) -> scalar may be any
    training objective (adversarial training passes its own); with `squared_error` y holds numbers to be predicted.
    validate=(x, y): accuracy after each epoch; with `patience` epochs without a better one, training stops and the best
    weights return.  generator: orders the batches (default: seed 0).
    """
    validation.module("model", model)
    checked(model, x, y, numbers=loss is squared_error)
    validation.count("epochs", epochs)
    validation.positive("lr", lr)
    validation.count("batch_size", batch_size)
    validation.function("loss", loss, hint="loss(model, x, y) returns a scalar")
    validation.randomness("generator", generator)
    validation.flag("progress", progress)
    if validate is not None:
        if not isinstance(validate, (tuple, list)) or len(validate) != 2:
            raise TypeError(f"validate must be a pair (x, y) of tensors, but it is a {type(validate).__name__}")
        checked(model, *validate)
    if patience is not None:
        validation.count("patience", patience)
        if validate is None:
            raise ValueError(f"patience={patience} needs validate=(x, y): without it nothing says what is better")
    generator = generator or runtime.generator(0)
    optimiser = torch.optim.Adam(model.parameters(), lr)
    history, best, best_weights = History(), -1.0, None
    bar = tqdm(range(epochs), desc="training", unit="epoch", leave=False, disable=not progress)
    for epoch in bar:
        model.train()
        total = 0.0
        order = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
        for batch in order.split(batch_size):
            objective = loss(model, x[batch], y[batch])
            optimiser.zero_grad(set_to_none=True)
            objective.backward()
            optimiser.step()
            total += objective.item() * len(batch)
        history.losses.append(total / len(x))
        if not math.isfinite(history.losses[-1]):
            raise FloatingPointError(f"the loss became {history.losses[-1]} in epoch {epoch + 1}: use an lr below {lr}")
        if validate is not None:
            history.validation.append(accuracy(model, *validate))
            if history.validation[-1] > best:
                best, history.best_epoch = history.validation[-1], epoch
                best_weights = copy.deepcopy(model.state_dict()) if patience else None
            elif patience and epoch - history.best_epoch >= patience:
                bar.total = epoch  # a notebook keeps a bar that stops short, in red
                break
    if best_weights is not None:
        model.load_state_dict(best_weights)
    model.eval()
    return history


@torch.no_grad()
def accuracy(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, batch_size: int = 1024) -> float:
    """The share of inputs (n, ...) whose largest logit is at their label, in eval mode; the mode is put back."""
    checked(model, x, y)
    validation.count("batch_size", batch_size)
    with frozen(model):
        batches = zip(x.split(batch_size), y.split(batch_size), strict=True)
        right = sum((model(some).argmax(1) == labels).sum() for some, labels in batches)
    return float(right) / len(x)


def checked(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, numbers: bool = False) -> None:
    """Raise unless `model` can be trained on x and y: labels, or with `numbers` what a regressor is to predict."""
    validation.tensor("x", x)
    if not x.dim() or not len(x):
        raise ValueError(f"x must hold at least one input, but its shape is {tuple(x.shape)}")
    validation.fits(model, x)
    (validation.targets if numbers else validation.labels)(y, x)
    with frozen(model), torch.no_grad():
        logits = model(x[:1])
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != 1:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"model must return logits (batch, classes), but for one input it returned {got}")
    if numbers and logits.shape[1] != 1:
        raise ValueError(f"model must return one number (batch, 1), but it returned {logits.shape[1]} for one input")
    if not numbers and y.max() >= logits.shape[1]:
        raise ValueError(f"y holds the label {int(y.max())}, but the model knows only 0 to {logits.shape[1] - 1}")
