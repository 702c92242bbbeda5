"""How well a membership attack separates members from others, where it matters: at few false accusations."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import norm, rankdata
from torch import Tensor

from modelsec_course import validation
from modelsec_course.statistics import clopper_pearson

__all__ = ["Rate", "auc", "tpr_at_fpr"]


class Rate(NamedTuple):
    """A measured rate in [0, 1] and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def tpr_at_fpr(scores: Tensor, members: Tensor, fpr: float) -> Rate:
    """The share of members found by the lowest threshold that accuses at most a share `fpr` of the others.

    scores: any shape, higher means member; a score must lie *above* the threshold.  members: bool, the same shape.
    fpr: in (0, 1]. Raises ValueError when there are fewer than 1/fpr non-members: they could not resolve it.
    The interval (Clopper & Pearson) takes records as independent and the threshold as given.
    Source: Carlini et al., 2022, "Membership Inference Attacks From First Principles", section III.
    """
    inside, outside = _parted(scores, members)
    validation.positive("fpr", fpr)
    validation.number("fpr", fpr, high=1)
    allowed = math.floor(fpr * len(outside) * (1 + 1e-12))  # 0.01 × 300 may come out below 3
    if allowed < 1:
        raise ValueError(
            f"fpr = {fpr:g} needs at least {math.ceil(1 / fpr)} non-members, but there are {len(outside)}: "
            "take more, or a higher fpr"
        )
    threshold = np.sort(outside)[::-1][allowed] if allowed < len(outside) else -np.inf
    hits = int((inside > threshold).sum())
    return Rate(hits / len(inside), *clopper_pearson(hits, len(inside)))


def auc(scores: Tensor, members: Tensor) -> Rate:
    """The chance that a random member scores above a random other (ties count half): 0.5 is guessing.

    scores, members: as in `tpr_at_fpr`. Returns it with the interval of DeLong, DeLong & Clarke-Pearson, 1988,
    "Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves".
    """
    inside, outside = _parted(scores, members)
    ranks = rankdata(np.concatenate([inside, outside]))
    beats = (ranks[: len(inside)] - rankdata(inside)) / len(outside)  # the share of others below each member
    beaten = 1 - (ranks[len(inside) :] - rankdata(outside)) / len(inside)  # the share of members above each other
    value = float(beats.mean())
    spread = sum(part.var(ddof=1) / len(part) if len(part) > 1 else 0.25 for part in (beats, beaten))
    half = float(norm.ppf(0.975) * math.sqrt(spread))
    return Rate(value, max(0.0, value - half), min(1.0, value + half))


def _parted(scores: Tensor, members: Tensor) -> tuple[np.ndarray, np.ndarray]:
    validation.tensor("scores", scores)
    validation.tensor("members", members)
    if members.dtype != torch.bool or members.shape != scores.shape:
        got = f"{members.dtype} {tuple(members.shape)}"
        raise ValueError(f"members must be bool and of the shape of scores, {tuple(scores.shape)}, but it is {got}")
    if members.all() or not members.any():
        raise ValueError("members must hold both True and False: without both there is nothing to tell apart")
    if scores.isnan().any():
        raise ValueError(f"scores hold NaN at {int(scores.isnan().sum())} places: an attack must score every record")
    scores = scores.detach().double()
    return scores[members].cpu().numpy(), scores[~members].cpu().numpy()
