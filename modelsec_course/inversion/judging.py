"""Whether a reconstruction shows the person: asked of a judge who has seen neither the model nor its pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from scipy.stats import t as student
from torch import Tensor

from modelsec_course import validation
from modelsec_course.models import frozen

__all__ = ["Gain", "gain", "recognised"]


class Gain(NamedTuple):
    """value: a difference of two shares.  low, high: the ends of its interval."""

    value: float
    low: float
    high: float


@torch.no_grad()
def recognised(judge: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Which pictures the judge takes for the right person, bool (n,).

    judge: pictures (n, ...) -> logits (n, people).  y: int64 (n,).  It should know strangers too: one who must choose
    among the private people sees one of them in every picture.
    """
    validation.fits(judge, x)
    validation.labels(y, x)
    with frozen(judge):
        return judge(x).argmax(1) == y


def gain(hits: Tensor, control: Tensor, *, confidence: float = 0.95) -> Gain:
    """How much larger the share of hits is than the control's, with an interval over people.

    hits, control: bool (..., people), of the same people; other axes, such as models, are averaged for each person,
    since several models of one person are not several persons. The interval is Student's, of paired differences.
    """
    if hits.shape != control.shape or not hits.dim() or hits.shape[-1] < 2:
        raise ValueError(
            f"hits and control must both be (..., people) of the same two or more people, but have shapes "
            f"{tuple(hits.shape)} and {tuple(control.shape)}"
        )
    validation.number("confidence", confidence, low=0.0, high=1.0)
    each = (hits.double() - control.double()).reshape(-1, hits.shape[-1]).mean(0)
    half = student.ppf((1 + confidence) / 2, len(each) - 1) * each.std().item() / math.sqrt(len(each))
    return Gain(each.mean().item(), each.mean().item() - half, each.mean().item() + half)
