"""What an attack climbs, and when it has won. Scores have shape (batch,): one for each input, never averaged."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import validation

__all__ = [
    "LOSSES", "cross_entropy", "dlr", "dlr_targeted", "fooled", "input_gradient", "margin", "scored", "slope",
]  # fmt: skip

Model = Callable[[Tensor], Tensor]
TINY = 1e-12


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """−log p(y). Its gradient vanishes when the model is very sure: then climb the margin."""
    return F.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The best other logit minus the logit of y: above 0 when the model errs (Carlini & Wagner, 2017)."""
    own = logits.gather(1, y[:, None])
    others = logits.scatter(1, y[:, None], -torch.inf)
    return others.amax(1) - own.squeeze(1)


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """Difference of logits ratio: the margin, divided by how far the first logit is above the third.

    So neither the scale of the logits nor a shift of them changes it (Croce & Hein, 2020, eq. 6, with our sign).
    """
    ranked = _ranked(logits)
    return margin(logits, y) / (ranked[:, 0] - ranked[:, 2] + TINY)


def dlr_targeted(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """The same towards one class, `target` (batch,): (z_target − z_y) / (z₁ − (z₃ + z₄) / 2), eq. 7."""
    ranked = _ranked(logits)
    gap = logits.gather(1, target[:, None]) - logits.gather(1, y[:, None])
    return gap.squeeze(1) / (ranked[:, 0] - (ranked[:, 2] + ranked[:, 3]) / 2 + TINY)


def _ranked(logits: Tensor) -> Tensor:
    """The four largest logits, (batch, 4)."""
    if logits.shape[1] < 4:
        raise ValueError(
            f"the DLR losses compare four logits, but the model has {logits.shape[1]} classes: use loss='margin'"
        )
    return logits.topk(4, dim=1).values


LOSSES = {"ce": cross_entropy, "margin": margin, "dlr": dlr}


def fooled(logits: Tensor, y: Tensor, targeted: bool = False) -> Tensor:
    """(batch,) True where the attack has won: the class is not y, or is the target y when `targeted`."""
    validation.tensor("logits", logits)
    validation.tensor("y", y)
    if logits.dim() != 2 or y.shape != logits.shape[:1]:
        shapes = f"{tuple(logits.shape)} and {tuple(y.shape)}"
        raise ValueError(f"logits and y must have shapes (batch, classes) and (batch,), but they have {shapes}")
    hit = logits.argmax(1) == y
    return hit if targeted else ~hit


def slope(scores: Tensor, at: Tensor, retain_graph: bool = False) -> Tensor:
    """d(scores.sum()) / d(at), shaped like `at`. What is not finite counts as zero, so no attack leaves the numbers."""
    gradient = None
    if scores.requires_grad:
        (gradient,) = torch.autograd.grad(scores.sum(), at, retain_graph=retain_graph, allow_unused=True)
    if gradient is None:
        raise ValueError("model hides its gradient: its logits must be computed from x, without detach() or no_grad()")
    if 0 in gradient.stride():  # one number seen many times, as behind a sum: it cannot be written to
        gradient = gradient.clone()
    return gradient.nan_to_num_(0, 0, 0)


def scored(model: Model, x: Tensor, score: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The logits (batch, classes), score(logits) (batch,), and the score's gradient in x (batch, ...)."""
    at = x.detach().requires_grad_()
    logits = model(at)
    values = score(logits)
    return logits.detach(), values.detach(), slope(values, at)


def input_gradient(
    model: Model, x: Tensor, y: Tensor, loss: str = "ce", targeted: bool = False
) -> tuple[Tensor, Tensor]:
    """The logits (batch, classes) and the direction (batch, ...) in x that climbs the attacker's score fastest.

    The score is the loss at the true label y, or minus the loss at the target y.
    """
    logits, _, gradient = scored(model, x, lambda logits: LOSSES[loss](logits, y))
    return logits, gradient.neg_() if targeted else gradient
