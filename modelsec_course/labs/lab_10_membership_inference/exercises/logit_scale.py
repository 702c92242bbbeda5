"""The log-odds of a label, exact even where its probability rounds to 1."""

from __future__ import annotations

import math

import torch

from modelsec_course import membership, runtime
from modelsec_course.lab.exercise import Exercise, expect_close
from modelsec_course.labs.lab_10_membership_inference.exercises.gap_attack import two_groups


def _scale_exact(scale):
    """Is log p − log(1 − p), for one model and for many"""
    draw = runtime.generator(2)
    y = torch.randint(6, (50,), generator=draw)
    for shape in ((50, 6), (3, 50, 6), (2, 3, 50, 6)):
        logits = 2 * torch.randn(shape, generator=draw, dtype=torch.float64)
        p = logits.exp() / logits.exp().sum(-1, keepdim=True)
        own = (p * torch.eye(6, dtype=torch.float64)[y]).sum(-1)
        expect_close(scale(logits, y), own.log() - (1 - own).log(), 1e-5, f"the log-odds of logits {shape}")


def _scale_saturates(scale):
    """Stays exact when p rounds to 1, and when it rounds to 0"""
    z = torch.tensor([1.0, 20.0, 60.0, 500.0, -20.0, -200.0, -500.0])
    logits, y = torch.stack([torch.zeros_like(z), z], 1), torch.ones(len(z), dtype=torch.int64)
    got = scale(logits, y)
    bad = ~torch.isfinite(torch.as_tensor(got))
    if bad.any():
        raise AssertionError(f"with two classes and a margin of {z[bad][0]:g} it should be {z[bad][0]:g}, got "
                             f"{float(got[bad][0])}: do not go through p, which rounds")  # fmt: skip
    expect_close(got, z, 1e-4, "the log-odds of two classes, which are z_y − z_other")


def _scale_shift(scale):
    """Does not change when the same number is added to all logits"""
    logits, y, _ = two_groups(n=30)
    expect_close(scale(logits + 300, y), scale(logits, y), 1e-3, "the log-odds of logits + 300")


def _scale_many(scale):
    """Among k equal logits it is −log(k − 1)"""
    for k in (2, 3, 10):
        got = scale(torch.full((4, k), 7.0), torch.zeros(4, dtype=torch.int64))
        expect_close(got, torch.full((4,), -math.log(k - 1)), 1e-5, f"the log-odds among {k} equal logits")


def _scale_by_softmax(logits, y):
    """log p, and log(1 − p) as a sum over the other classes of their log-probabilities."""
    mine = torch.nn.functional.one_hot(y, logits.shape[-1]).bool().expand_as(logits)
    log_p = logits.log_softmax(-1)
    return log_p[mine].view(logits.shape[:-1]) - log_p.masked_fill(mine, -torch.inf).logsumexp(-1)


def _own(values, y):
    return values.gather(-1, y.expand(values.shape[:-1])[..., None])[..., 0]


EXERCISE = Exercise(
    "10.logit_scale",
    title="Confidence on a scale that does not end",
    reference=membership.logit_scale,
    properties=[_scale_exact, _scale_many, _scale_shift, _scale_saturates],
    hints=[
        "With p = exp(z_y) / Σ exp(z_k), what is 1 − p? The *same* denominator cancels from p / (1 − p).",
        "So the log-odds are z_y − log Σ over k ≠ y of exp(z_k): `logsumexp` of the others. To leave y out, put −∞ in "
        "its place: `logits.scatter(-1, own, -torch.inf)`.",
        "`own = y.expand(logits.shape[:-1])[..., None]` has the shape that `gather` and `scatter` want; z_y is "
        "`logits.gather(-1, own)[..., 0]`.",
    ],
    second=_scale_by_softmax,
    mutants={
        "through p": lambda logits, y: (lambda p: (p / (1 - p)).log())(_own(logits.softmax(-1), y)),
        "through p, with a small number added": lambda logits, y: (
            lambda p: (p + 1e-9).log() - (1 - p + 1e-9).log()
        )(_own(logits.softmax(-1), y)),
        "the log-probability": lambda logits, y: _own(logits.log_softmax(-1), y),
        "the margin to the best other class": lambda logits, y: (
            _own(logits, y) - logits.scatter(-1, y.expand(logits.shape[:-1])[..., None], -torch.inf).amax(-1)
        ),
        "the probability": lambda logits, y: _own(logits.softmax(-1), y),
        "the model's label, not the record's": lambda logits, y: membership.logit_scale(
            logits, logits.argmax(-1).flatten()[: len(y)]
        ),
        "upside down": lambda logits, y: -membership.logit_scale(logits, y),
    },
)  # fmt: skip
