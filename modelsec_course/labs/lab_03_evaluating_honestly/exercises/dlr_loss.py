"""The difference of logits ratio: a loss that no scale of the logits can hide from."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from modelsec_course import evasion, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.lab_03_evaluating_honestly.exercises.shared import shares


def _by_hand(loss):
    """Equals the formula: the margin over the first logit minus the third"""
    logits = shares(3.0, 1.0, 0.0, 2.0, -4.0).repeat(4, 1)
    want = shares(-1 / 2, 2 / 2, 3 / 2, 1 / 2)  # z₁ = 3, z₃ = 1; y is the first, the second, the third, the fourth
    expect_close(
        loss(logits, torch.tensor([0, 1, 2, 3])), want, 1e-5, "the loss of [3, 1, 0, 2, −4] with y = 0, 1, 2, 3"
    )


def _random_logits(n: int = 32, classes: int = 6) -> tuple[Tensor, Tensor]:
    draw = runtime.generator(0)
    return torch.randn(n, classes, generator=draw), torch.randint(classes, (n,), generator=draw)


def _blind(loss):
    """Neither the scale of the logits nor a shift changes it"""
    logits, y = _random_logits()
    for scale, shift in ((1000, 5), (1, -100)):
        got = loss(scale * logits + shift, y)
        expect_close(got, loss(logits, y), 0.02, f"the loss of {scale} · logits + ({shift})")
    tied = torch.zeros(1, 5)
    expect(loss(tied, torch.tensor([2])).abs() < 1e-6, "five logits that tie: expected 0; add 1e-12 below the line")


def _sign(loss):
    """Above 0 exactly where the model errs"""
    logits, y = _random_logits()
    got = loss(logits, y)
    expect(got.shape == y.shape, f"expected one number for each input, {tuple(y.shape)}, got {tuple(got.shape)}")
    expect((got > 0) == (logits.argmax(1) != y), "its sign does not say whether the model errs")


def _slope(loss):
    """Has a slope where a sure model's cross-entropy has none"""
    logits, y = _random_logits()
    logits[torch.arange(len(y)), y] = 4.0
    sure = (1000 * logits).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(sure, y).sum(), sure)
    expect((gradient.abs().sum(1) > 0).all(), "its gradient is 0 for logits 1000 times as large")


def dlr_loss(logits, y):
    return evasion.LOSSES["dlr"](logits, y)


def _dlr_sorted(logits, y):
    order, _ = logits.sort(dim=1)
    own = logits[torch.arange(len(y)), y]
    best = torch.where(own == order[:, -1], order[:, -2], order[:, -1])
    return (best - own) / (order[:, -1] - order[:, -3] + 1e-12)


def _dlr_wrong(logits, y, *, lowest=2, of=lambda logits: logits, exclude=True, sign=1, hidden=-torch.inf, floor=1e-12):
    logits = of(logits)
    others = logits.scatter(1, y[:, None], hidden) if exclude else logits
    ranked = logits.sort(dim=1, descending=True).values
    gap = others.amax(1) - logits.gather(1, y[:, None]).squeeze(1)
    return sign * gap / (ranked[:, 0] - ranked[:, lowest] + floor)


EXERCISE = Exercise(
    "03.dlr_loss",
    title="A loss that no scale hides from",
    reference=dlr_loss,
    properties=[_by_hand, _blind, _sign, _slope],
    hints=[
        "The numerator is lab 01's margin. `logits.scatter(1, y[:, None], -torch.inf)` takes class y out of the race, "
        "`.amax(1)` finds the best other.",
        "`logits.topk(3, dim=1).values` are the three largest, in order: you need `[:, 0]` and `[:, 2]`.",
        "```python\nown = logits.gather(1, y[:, None]).squeeze(1)\n"
        "other = logits.scatter(1, y[:, None], -torch.inf).amax(1)\n```",
    ],
    second=_dlr_sorted,
    mutants={
        "divides by the first minus the second": functools.partial(_dlr_wrong, lowest=1),
        "takes class y for its own rival": functools.partial(_dlr_wrong, exclude=False),
        "works on probabilities": functools.partial(_dlr_wrong, of=lambda logits: logits.softmax(1)),
        "falls where it should climb": functools.partial(_dlr_wrong, sign=-1),
        "averages over the batch": lambda logits, y: dlr_loss(logits, y).mean(),
        "hides class y behind a 0": lambda logits, y: _dlr_wrong(logits, y, hidden=0.0),
        "divides by 0 where logits tie": lambda logits, y: _dlr_wrong(logits, y, floor=0.0),
        "leaves the scale in": lambda logits, y: evasion.LOSSES["margin"](logits, y),
    },
)
