"""Selective prediction: a model that may say "I do not know"."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from modelsec_course import validation

__all__ = ["confidence", "risk_coverage", "selective_predict", "threshold_for"]


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
    """
    validation.labels(y, logits, "y")
    if not len(y):
        raise ValueError("logits must hold at least one input")
    thresholds, group = confidence(logits).neg().unique(return_inverse=True)  # equal confidences stand or fall together
    answered = torch.bincount(group).cumsum(0)
    wrong = torch.bincount(group, (logits.argmax(1) != y).to(logits.dtype)).cumsum(0)
    return -thresholds, answered / len(y), wrong / answered


def threshold_for(logits: Tensor, coverage: float) -> float:
    """The highest threshold that answers at least the share `coverage`, in [0, 1], of these inputs, and at least one.

    Choose it on other data than those on which you report the risk.
    """
    validation.number("coverage", coverage, low=0, high=1)
    ranked = confidence(logits).sort(descending=True).values
    if not len(ranked):
        raise ValueError("logits must hold at least one input")
    return float(ranked[max(1, math.ceil(coverage * len(ranked) - 1e-9)) - 1])
