"""Conformal prediction: sets of classes that hold the truth with a promised probability, for exchangeable inputs.

Exchangeable means that the new input might as well have been among those that set the threshold. An attacker's input
might not: the promise is void then, unless the sets allow for all that the attacker can do (`certified_sets`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from modelsec_course import validation
from modelsec_course.models import frozen
from modelsec_course.robustness.bounds import worst_margins

__all__ = ["certified_sets", "conformal_sets", "conformal_threshold", "conformal_thresholds"]


def conformal_threshold(scores: Tensor, alpha: float) -> float:
    """The score that a new exchangeable input exceeds with probability at most alpha.

    scores: (n,) how badly each input of the calibration set fits its true class; none of them was used in training.
    alpha: in (0, 1). Returns the ⌈(n + 1)(1 − alpha)⌉-th smallest score: infinity where n is too small for alpha.
    Source: Vovk, Gammerman & Shafer, 2005; Angelopoulos & Bates, 2021, "A Gentle Introduction to Conformal
    Prediction", section 1.
    """
    validation.tensor("scores", scores)
    validation.probability("alpha", alpha)
    if scores.dim() != 1 or not scores.is_floating_point():
        raise ValueError(f"scores must be floats (n,), but are {scores.dtype} {tuple(scores.shape)}")
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9)
    return math.inf if rank > len(scores) else float(scores.sort().values[rank - 1])


def conformal_thresholds(logits: Tensor, y: Tensor, alpha: float, *, by_class: bool = False) -> Tensor:
    """The least log-probability with which each class enters a set, (classes,), from a calibration set.

    logits: (n, classes).  y: (n,) true classes.  alpha: the share of sets that may miss the truth.
    by_class: keep the promise for the inputs of each class on their own; without it only for all together, so the
    sets of a rare class may miss it far more often.
    Source: as `conformal_threshold`, sections 1 and 4.3 (class-conditional).
    """
    validation.tensor("logits", logits)
    validation.flag("by_class", by_class)
    if logits.dim() != 2 or not logits.is_floating_point():
        raise ValueError(f"logits must be floats (n, classes), but are {logits.dtype} {tuple(logits.shape)}")
    validation.labels(y, logits, classes=logits.shape[1])
    scores = -logits.log_softmax(1).gather(1, y[:, None]).squeeze(1)
    groups = [y == k for k in range(logits.shape[1])] if by_class else [torch.ones_like(y, dtype=torch.bool)]
    found = [-conformal_threshold(scores[group], alpha) for group in groups]
    return torch.tensor(found, dtype=logits.dtype, device=logits.device).expand(logits.shape[1])


def conformal_sets(logits: Tensor, thresholds: Tensor) -> Tensor:
    """Which classes each set holds: boolean (batch, classes). A set may hold none, one or several.

    logits: (batch, classes).  thresholds: (classes,), from `conformal_thresholds`.
    """
    validation.tensor("logits", logits)
    validation.tensor("thresholds", thresholds)
    if logits.dim() != 2 or thresholds.shape != logits.shape[1:]:
        shapes = f"{tuple(logits.shape)} and {tuple(thresholds.shape)}"
        raise ValueError(f"logits must be (batch, classes) and thresholds (classes,), but they are {shapes}")
    return logits.log_softmax(1) >= thresholds


def certified_sets(
    model: nn.Module, x: Tensor, eps: float, thresholds: Tensor, *, box: tuple[float, float] | None = (0.0, 1.0)
) -> Tensor:
    """Sets that keep the promise of `conformal_sets` although x may have been moved by up to eps in L∞.

    model: as in `interval_bounds`, its last layer Linear.  x: (batch, ...), perhaps attacked.  thresholds: (classes,).
    A class is in if it would be in the set of *any* input within eps of x, the unattacked one among them.
    Returns boolean (batch, classes), larger than `conformal_sets`: the bounds say by how much, exactly so for two
    classes and one linear layer.
    Source: Jeary et al., 2024, "Verifiably Robust Conformal Prediction", section 3 (bounds when answering).
    """
    validation.tensor("x", x)
    validation.number("eps", eps, low=0)
    validation.tensor("thresholds", thresholds)
    with frozen(model), torch.no_grad():
        ahead = []  # ahead[j][:, k]: the most by which z_k can be ahead of z_j
        for j in range(len(thresholds)):
            y = torch.full((len(x),), j, dtype=torch.int64, device=x.device)
            ahead.append(worst_margins(model, x, y, eps, box=box))
        likeliest = -torch.stack([-most for most in ahead]).logsumexp(0)  # log p_k = −log Σ_j exp(z_j − z_k)
    return likeliest >= thresholds
