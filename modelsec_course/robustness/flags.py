"""Red flags: signs that an evaluation measures a weak attack and not a robust model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course.evasion import apgd, fooled
from modelsec_course.models import frozen

__all__ = ["Flag", "black_beats_white", "inspect_model", "stands_everything", "vanished"]

FEW = 0.02  # the share of the inputs that chance may explain


@dataclass(frozen=True)
class Flag:
    """name: what was seen, in two or three words.  words: the figures, what they may mean, and what to do."""

    name: str
    words: str

    def __str__(self) -> str:
        return f"{self.name}: {self.words}"


def inspect_model(model: nn.Module | Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> list[Flag]:
    """What a model (batch, ...) -> (batch, classes) shows before anybody attacks it; y (batch,) are true labels."""
    flags = []
    if isinstance(model, nn.Module) and any(module.training for module in model.modules()):
        flags.append(Flag("train mode", "dropout and batch norm behave as in training: call model.eval() first"))
    with frozen(model):
        with torch.no_grad():
            logits, again = model(x), model(x.flip(0)).flip(0)  # in other company, since batch norm mixes the rows
        spread = (logits - again).abs().amax().item()
        if spread > 1e-3 * logits.abs().amax().item():
            words = f"two answers to one question differ by up to {spread:.2g}: attack the expectation (evasion.EOT)"
            flags.append(Flag("randomness", words))
        if (logits >= 0).all() and (logits.sum(1) - 1).abs().amax() < 1e-3:
            words = "every row sums to 1: attacks that take logits see a flattened loss; leave the softmax out"
            flags.append(Flag("probabilities", words))
        dead = _without_slope(model, x, y)
    if dead > FEW:
        words = f"the loss has none, or none finite, for {dead:.0%} of the inputs: use the DLR loss, or evasion.BPDA"
        flags.append(Flag("no slope", words))
    return flags


def _without_slope(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    """The share of inputs at which the gradient of the cross-entropy is 0 everywhere, not finite, or hidden."""
    with torch.enable_grad():
        at = x.clone().requires_grad_()
        loss = F.cross_entropy(model(at), y, reduction="sum")
        gradient = torch.autograd.grad(loss, at, allow_unused=True)[0] if loss.requires_grad else None
    if gradient is None:
        return 1.0
    flat = gradient.flatten(1)
    return ((flat == 0).all(1) | ~flat.isfinite().all(1)).double().mean().item()


def black_beats_white(fallen: int, n: int) -> list[Flag]:
    """fallen: how many of the n inputs fell to an attack without gradients, after attacks with gradients had failed."""
    if fallen <= max(FEW * n, 1):
        return []
    words = f"{fallen} of {n} inputs fell only without gradients: the gradients mislead, or the attack is too weak"
    return [Flag("black box beats white box", words)]


def vanished(gone: int, fallen: int) -> list[Flag]:
    """gone: how many of the `fallen` inputs were classified correctly when they were shown again."""
    if not gone:
        return []
    return [Flag("success vanishes", f"{gone} of {fallen} successes do not show again: count over many answers")]


def stands_everything(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, *, steps: int = 40) -> list[Flag]:
    """At ε = 1 (L∞) every input may become any other, so a working attack leaves nothing; y (batch,) true labels."""
    x_adv = apgd(model, x, y, eps=1.0, steps=steps, loss="margin")
    with frozen(model), torch.no_grad():
        left = (~fooled(model(x_adv), y)).double().mean().item()
    if left <= FEW:
        return []
    return [Flag("stands ε = 1", f"{left:.0%} survive changes of any size: the attack does not find what must exist")]
