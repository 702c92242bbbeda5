"""The likelihood-ratio attack: is a model's answer more like that of models which saw the record, or which did not?"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from modelsec_course import validation

__all__ = ["gap_attack", "lira", "logit_scale"]


def logit_scale(logits: Tensor, y: Tensor) -> Tensor:
    """The log-odds of the true label, log p − log(1 − p): near Gaussian over models, and finite when p rounds to 1.

    logits: (..., n, classes), at least two classes.  y: (n,) int64 labels.  Returns (..., n); a threshold on it, the
    same for every record, is the baseline that LiRA has to beat.
    """
    _answers(logits, y)
    own = y.expand(logits.shape[:-1])[..., None]  # (..., n, 1)
    others = logits.scatter(-1, own, -math.inf).logsumexp(-1)
    return logits.gather(-1, own)[..., 0] - others


def gap_attack(logits: Tensor, y: Tensor) -> Tensor:
    """The baseline that needs a label only: 1 where the model is right ("a member"), else 0; (..., n).

    Its advantage, true minus false positives, is train minus test accuracy.
    Source: Yeom et al., 2018, "Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting".
    """
    _answers(logits, y)
    return (logits.argmax(-1) == y).to(logits.dtype)


def lira(
    target: Tensor,
    shadows: Tensor,
    members: Tensor,
    *,
    mode: str = "online",
    variance: str = "pooled",
    floor: float = 1e-3,
) -> Tensor:
    """How much more likely each record's answer is if the target was trained on it: a score, higher means member.

    target: (..., n) statistics of the attacked model(s), such as `logit_scale`.  shadows: (models, n) the same of
    shadow models.  members: bool (models, n), which of them were trained on which record.
    mode: "online" compares Gaussians of the shadows with and without the record, log N(in) − log N(out); "offline" has
    only those without and returns −log P(an answer as high or higher).  variance: "pooled", one over all records, or
    "each" record's own, which needs many shadows.  floor: the least standard deviation. A record that lacks shadows of
    one kind takes that kind's mean over all records.
    Source: Carlini et al., 2022, "Membership Inference Attacks From First Principles", algorithm 1 and section IV-C.
    """
    validation.one_of("mode", mode, ("online", "offline"))
    validation.one_of("variance", variance, ("pooled", "each"))
    validation.positive("floor", floor)
    fit_together(target, shadows, members)
    out = gaussian(shadows, ~members, variance, floor)
    if mode == "offline":
        return -torch.special.log_ndtr((out.mean - target) / out.stddev)
    return gaussian(shadows, members, variance, floor).log_prob(target) - out.log_prob(target)


def gaussian(
    shadows: Tensor, chosen: Tensor, variance: str = "pooled", floor: float = 1e-3
) -> torch.distributions.Normal:
    """What shadow models answer, over those that are `chosen` (models, n): a Gaussian for each record."""
    if not chosen.any():
        raise ValueError("members must leave at least one shadow model with and one without a record")
    count = chosen.sum(0)
    total = torch.where(chosen, shadows, 0).sum(0)
    mean = torch.where(count > 0, total / count.clamp_min(1), shadows[chosen].mean())
    squares = torch.where(chosen, shadows - mean, 0).square().sum(0)
    free = (count - 1).clamp_min(0)  # degrees of freedom
    pooled = squares.sum() / free.sum() if free.any() else shadows[chosen].var(correction=0)
    spread = pooled if variance == "pooled" else torch.where(free > 0, squares / free.clamp_min(1), pooled)
    return torch.distributions.Normal(mean, spread.sqrt().clamp_min(floor).expand_as(mean))


def _answers(logits: Tensor, y: Tensor) -> None:
    validation.tensor("logits", logits)
    if logits.dim() < 2 or logits.shape[-1] < 2:
        raise ValueError(f"logits must be (..., n, classes) with two classes or more, but are {tuple(logits.shape)}")
    validation.labels(y, logits.movedim(-2, 0))
    if len(y) and y.max() >= logits.shape[-1]:
        raise ValueError(f"y holds the label {int(y.max())}, but the logits are of {logits.shape[-1]} classes")


def fit_together(target: Tensor, shadows: Tensor, members: Tensor) -> None:
    """Raise ValueError unless target (..., n), shadows (models, n) and members, bool, are finite and of one n."""
    for name, value in (("target", target), ("shadows", shadows), ("members", members)):
        validation.tensor(name, value)
    if shadows.dim() != 2 or members.dtype != torch.bool or members.shape != shadows.shape:
        raise ValueError(
            f"shadows and members (bool) must both be (models, n), but are {tuple(shadows.shape)} and "
            f"{members.dtype} {tuple(members.shape)}"
        )
    if target.shape[-1:] != shadows.shape[1:]:
        raise ValueError(f"target must be (..., {shadows.shape[1]}), one for each record, but is {tuple(target.shape)}")
    if not (target.isfinite().all() and shadows.isfinite().all()):
        raise ValueError("target and shadows must be finite: use logit_scale, which does not overflow")
