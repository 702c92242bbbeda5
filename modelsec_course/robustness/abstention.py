"""Selective prediction: a model that may say "I do not know"."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from modelsec_course import validation
from modelsec_course.statistics import clopper_pearson

__all__ = [
    "confidence", "guaranteed_threshold", "risk_coverage", "risk_coverage_area", "selective_predict", "threshold_for",
]  # fmt: skip


def confidence(logits: Tensor) -> Tensor:
    """The probability of the likeliest class, (batch,), from logits (batch, classes)."""
    validation.tensor("logits", logits)
    if logits.dim() != 2 or not logits.is_floating_point():
        raise ValueError(f"logits must be floats (batch, classes), but are {logits.dtype} {tuple(logits.shape)}")
    return logits.softmax(1).amax(1)


def selective_predict(logits: Tensor, threshold: float) -> Tensor:
    """The class of each input, or -1 where the model's confidence is below `threshold` (0 answers all).

    Source: Geifman & El-Yaniv, 2017, "Selective Classification for Deep Neural Networks".
    """
    validation.number("threshold", threshold)
    return torch.where(confidence(logits) >= threshold, logits.argmax(1), -1)


def risk_coverage(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What each threshold would answer, and how often wrongly.

    logits: (batch, classes).  y: (batch,) true labels.
    Returns (thresholds, coverage, risk), from the strictest threshold to the mildest: the share of inputs that are
    answered, which never falls, and the share of wrong answers among them.
    Source: El-Yaniv & Wiener, 2010, "On the Foundations of Noise-free Selective Classification", section 2.
    """
    validation.labels(y, logits, "y")
    if not len(y):
        raise ValueError("logits must hold at least one input")
    thresholds, group = confidence(logits).neg().unique(return_inverse=True)  # equal confidences stand or fall together
    answered = torch.bincount(group).cumsum(0)
    wrong = torch.bincount(group, (logits.argmax(1) != y).to(logits.dtype)).cumsum(0)
    return -thresholds, answered / len(y), wrong / answered


def risk_coverage_area(logits: Tensor, y: Tensor) -> float:
    """The mean risk over all coverages: 0 is perfect; the overall error is what refusing at random would give.

    logits: (batch, classes).  y: (batch,) true labels.
    Source: Geifman, Uziel & El-Yaniv, 2019, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers".
    """
    _, coverage, risk = risk_coverage(logits, y)
    return float((risk * coverage.diff(prepend=coverage.new_zeros(1))).sum())


def guaranteed_threshold(
    logits: Tensor, y: Tensor, *, risk: float, confidence_level: float = 0.95
) -> tuple[float, float]:
    """A threshold whose answers are wrong with at most this risk, on inputs like these, and the risk that is proved.

    logits: (n, classes) of inputs that trained nothing.  y: (n,) true labels.  risk: in (0, 1).
    confidence_level: that the draw of these n inputs does not mislead. Searches by bisection, ⌈log₂ n⌉ tests that
    share the doubt. Returns (threshold, bound); 2 as the threshold, which refuses all, where no test reaches the risk.
    Few inputs prove little when few of them are answered: then the bisection may pass by a milder one that would do.
    Source: Geifman & El-Yaniv, 2017, "Selective Classification for Deep Neural Networks", algorithm 1.
    """
    validation.labels(y, logits, "y")
    validation.probability("risk", risk)
    validation.probability("confidence_level", confidence_level)
    sure, errs = confidence(logits), logits.argmax(1) != y
    ranked = sure.sort().values
    if not len(ranked):
        raise ValueError("logits must hold at least one input")
    tests = max(1, math.ceil(math.log2(len(ranked))))
    doubt = (1 - confidence_level) / tests
    best, bad, good = (2.0, 0.0), -1, len(ranked)  # positions in `ranked`: too mild, strict enough
    for _ in range(tests):
        middle = (bad + good + 1) // 2
        if middle == good:
            break
        answered = sure >= ranked[middle]
        wrong = int((answered & errs).sum())
        _, bound = clopper_pearson(wrong, int(answered.sum()), confidence=1 - 2 * doubt)
        if bound <= risk:
            good, best = middle, (float(ranked[middle]), bound)
        else:
            bad = middle
    return best


def threshold_for(logits: Tensor, coverage: float) -> float:
    """The highest threshold that answers at least the share `coverage`, in [0, 1], of these inputs, and at least one.

    Choose it on other data than those on which you report the risk.
    """
    validation.number("coverage", coverage, low=0, high=1)
    ranked = confidence(logits).sort(descending=True).values
    if not len(ranked):
        raise ValueError("logits must hold at least one input")
    return float(ranked[max(1, math.ceil(coverage * len(ranked) - 1e-9)) - 1])
