"""How far from a wrong answer, surely: margins in closed form for linear models, by interval bounds for networks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from modelsec_course import validation
from modelsec_course.evasion.norms import NORMS
from modelsec_course.models import frozen
from modelsec_course.robustness.bounds import worst_margins

__all__ = ["certified_answers", "certified_margin", "linear_margin"]


def linear_margin(x: Tensor, w: Tensor, b: Tensor | float, *, norm: str = "linf") -> Tensor:
    """Signed distance of each record to the boundary w·x + b = 0, (n,): positive where the score is.

    x: (n, d).  w: (d,), not all zero.  b: the intercept.  norm: "linf" or "l2", in which the distance is measured.
    A record crosses the boundary by a change longer than this, and by no shorter one: |w·x + b| / ‖w‖_dual.
    """
    validation.tensor("x", x)
    validation.tensor("w", w)
    validation.one_of("norm", norm, NORMS)
    if x.dim() != 2 or w.shape != x.shape[1:]:
        raise ValueError(f"x must be (n, d) and w (d,), but they are {tuple(x.shape)} and {tuple(w.shape)}")
    slope = NORMS[norm].dual(w[None])
    if not slope > 0:
        raise ValueError("w must not be all zero: a constant score has no boundary")
    return (x @ w + b) / slope


def certified_margin(
    model: nn.Module, x: Tensor, y: Tensor, eps: float, *, box: tuple[float, float] | None = (0.0, 1.0)
) -> Tensor:
    """The least that z_y is surely ahead of every other logit, (batch,), for all inputs within L∞ distance eps of x.

    model, x, y, eps, box: as in `worst_margins`. Positive means certified; negative proves nothing, unless the model
    is one linear layer, for which this is exact.
    """
    validation.tensor("x", x)
    validation.labels(y, x)
    validation.number("eps", eps, low=0)
    with frozen(model), torch.no_grad():
        worst = worst_margins(model, x, y, eps, box=box)
        return -worst.scatter(1, y[:, None], -torch.inf).amax(1)


def certified_answers(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    *,
    threshold: float,
    box: tuple[float, float] | None = (0.0, 1.0),
) -> tuple[Tensor, Tensor]:
    """What is proved about a model that refuses where its confidence is below `threshold`, as `selective_predict` does.

    model, x, y, eps, box: as in `worst_margins`.  threshold: in [0, 1].
    Returns two booleans (batch,), for all inputs within L∞ distance eps of x: `kept`, the answer is y and never
    refused; `never_wrong`, it is y or refused. For two classes and one linear layer both are exact, up to rounding.
    A wrong class k is answered only if z_k − z_y ≥ logit(threshold), since then p_k ≥ threshold and p_y ≤ 1 − p_k.
    """
    validation.tensor("x", x)
    validation.labels(y, x)
    validation.number("eps", eps, low=0)
    validation.number("threshold", threshold, low=0, high=1)
    odds = -math.inf if threshold == 0 else math.inf if threshold == 1 else math.log(threshold / (1 - threshold))
    with frozen(model), torch.no_grad():
        worst = worst_margins(model, x, y, eps, box=box).scatter(1, y[:, None], -torch.inf)
        never_wrong = (worst < max(0.0, odds)).all(1)
        kept = (worst < 0).all(1) & (worst.logsumexp(1) <= -odds)  # p_y = 1 / (1 + Σ exp(z_k − z_y))
    return kept, never_wrong
