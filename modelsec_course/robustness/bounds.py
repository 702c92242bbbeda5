"""Interval bound propagation: what a network can say about *every* input of a box, without asking about any.

A box goes through the layers one by one, each time as the smallest box that holds all it can become. So the bounds are
sound for any network, exact for one linear layer, and looser with every further layer, unless it was trained for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import validation
from modelsec_course.models import Normalize, frozen

__all__ = ["CertifiedLoss", "certified", "interval_bounds", "worst_margins"]

INCREASING = (nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.Flatten, nn.Identity, nn.Dropout, Normalize)
AFFINE = (nn.Linear, nn.Conv2d)


def interval_bounds(model: nn.Module, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds on the outputs of a network for all inputs from `low` to `high`.

    model: an nn.Sequential (or one layer) of Linear, Conv2d, ReLU, MaxPool2d, AvgPool2d, Flatten, Normalize, Identity,
    and Dropout in eval mode.  low, high: (batch, ...), low <= high.
    Returns (low, high), shaped like the output: each output's bounds on its own. Gradients pass through.
    Raises ValueError for a layer about which nothing is known.
    Source: Gowal et al., 2018, "On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust
    Models", section 3.
    """
    validation.tensor("low", low)
    validation.tensor("high", high)
    if low.shape != high.shape or not (low <= high).all():
        raise ValueError("low and high must have one shape, and low must be at most high everywhere: swap them?")
    for layer in _layers(model):
        low, high = _through(layer, low, high)
    return low, high


def certified(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> Tensor:
    """(batch,) True where no x' in [0, 1] within L∞ distance eps of x can be given another class than y. A proof.

    model: as in `interval_bounds`, its last layer Linear: that is merged into the differences of logits, which is
    tighter.  x: (batch, ...) in [0, 1].  y: (batch,) labels.  eps: in the units of x.
    False means only that this proof fails. Rounding errors of float32 are not accounted for.
    Source: Gowal et al., 2018, as in `interval_bounds`.
    """
    validation.tensor("x", x)
    validation.labels(y, x)
    validation.number("eps", eps, low=0)
    with frozen(model), torch.no_grad():
        margins = worst_margins(model, x, y, eps)
        return (margins.scatter(1, y[:, None], -torch.inf) < 0).all(1)


def worst_margins(
    model: nn.Module, x: Tensor, y: Tensor, eps: float, *, box: tuple[float, float] | None = (0.0, 1.0)
) -> Tensor:
    """Upper bounds of z_k − z_y over all inputs within L∞ distance eps of x, (batch, classes); 0 at k = y.

    model, x, y, eps: as in `certified`.  box: what every input lies in; None for records that have no natural limits.
    Exact where the model is one linear layer. Gradients pass through.
    Source: Gowal et al., 2018, as in `interval_bounds`, section 3.
    """
    *layers, last = _layers(model)
    if type(last) is not nn.Linear:
        raise ValueError(f"the last layer must be nn.Linear, which gives the logits, but it is {_name(last)}")
    low, high = x - eps, x + eps
    if box is not None:
        low, high = low.clamp(*box), high.clamp(*box)
    low, high = interval_bounds(nn.Sequential(*layers), low, high)
    centre, radius = (high + low) / 2, (high - low) / 2  # (batch, features)
    towards = last.weight - last.weight[y][:, None]  # (batch, classes, features)
    worst = (towards @ centre[:, :, None] + towards.abs() @ radius[:, :, None]).squeeze(2)
    return worst if last.bias is None else worst + last.bias - last.bias[y][:, None]


@dataclass
class CertifiedLoss:
    """A loss for `training.fit`: cross-entropy of the answers, and of the worst answers that the bounds allow.

    eps: L∞ radius to be proved in the end, in the units of x.  batches: how many the training has, epochs · ⌈n / batch
    size⌉; the object counts its calls, so use each for one training.  kappa: the final weight of the ordinary loss.
    box: what every input lies in; None for records that have no natural limits.
    For the first 5 % of the batches the loss is the ordinary one; until half of them eps and 1 − kappa grow linearly.
    Source: Gowal et al., 2018, as in `interval_bounds`.
    """

    eps: float
    batches: int
    kappa: float = 0.5
    box: tuple[float, float] | None = (0.0, 1.0)
    seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        validation.number("eps", self.eps, low=0)
        validation.count("batches", self.batches)
        validation.number("kappa", self.kappa, low=0, high=1)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        grown = min(1.0, max(0.0, (self.seen / self.batches - 0.05) / 0.45))
        self.seen += 1
        weight = (1 - self.kappa) * grown
        ordinary = F.cross_entropy(model(x), y)
        if not weight:
            return ordinary
        worst = worst_margins(model, x, y, self.eps * grown, box=self.box)
        return (1 - weight) * ordinary + weight * F.cross_entropy(worst, y)


def _through(layer: nn.Module, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    kind = type(layer)  # not isinstance: a subclass may compute something else
    if kind in INCREASING and not (kind is nn.Dropout and layer.training):
        return layer(low), layer(high)
    if kind not in AFFINE or getattr(layer, "padding_mode", "zeros") != "zeros":
        known = ", ".join(sorted(known.__name__ for known in (*AFFINE, *INCREASING)))
        raise ValueError(f"no interval bounds are known for {_name(layer)}: use {known} (Dropout in eval mode)")
    centre, radius, weight = layer((high + low) / 2), (high - low) / 2, layer.weight.abs()
    if kind is nn.Linear:
        radius = F.linear(radius, weight)
    else:
        radius = F.conv2d(radius, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
    return centre - radius, centre + radius


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    """The layers in order, those of nested nn.Sequentials among them."""
    validation.module("model", model)
    if type(model) is not nn.Sequential:
        yield model
        return
    for part in model:
        yield from _layers(part)


def _name(layer: nn.Module) -> str:
    return repr(layer).split("\n")[0].removesuffix("(")
