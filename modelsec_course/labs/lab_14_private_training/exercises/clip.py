"""Bound the norm of each record's gradient, over all parameters jointly."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from modelsec_course import privacy, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.lab_14_private_training.exercises.shared import Gradients


def _gradients(norms: Tensor, seed: int = 0) -> Gradients:
    """Gradients of two parameters, whose joint norms are these."""
    draw = runtime.generator(seed)
    parts = {
        "weight": torch.randn(len(norms), 4, 3, generator=draw),
        "bias": torch.randn(len(norms), 4, generator=draw),
    }
    scale = norms / _norms(parts)
    return {name: part * scale.view(-1, *[1] * (part.dim() - 1)) for name, part in parts.items()}


def _norms(gradients: Gradients) -> Tensor:
    return torch.cat([part.flatten(1) for part in gradients.values()], 1).norm(dim=1)


def _clip_budget(clip):
    """No record's norm, over all parameters together, is above the bound"""
    for bound in (0.5, 2.0):
        got = _norms(clip(_gradients(torch.tensor([0.1, 1.0, 3.0, 40.0])), bound))
        expect(got.max() <= bound * (1 + 1e-5), f"with bound {bound}, a record's norm is {got.max():.4f}")


def _clip_small(clip):
    """A record within the bound is left as it is, and a long one keeps its direction"""
    gradients = _gradients(torch.tensor([0.1, 0.9, 3.0, 5.0]), seed=1)
    got = clip(gradients, 1.0)
    for name, part in gradients.items():
        expect_close(got[name][:2], part[:2], 1e-6, f"norms 0.1 and 0.9, bound 1: {name}")
        expect_close(got[name][2:] * torch.tensor([3.0, 5.0]).view(-1, *[1] * (part.dim() - 1)), part[2:], 1e-4,
                     f"norms 3 and 5, bound 1, times 3 and 5: {name}")  # fmt: skip


def _clip_neighbours(clip):
    """What happens to a record depends on no other"""
    few, many = _gradients(torch.tensor([0.5, 3.0]), seed=2), _gradients(torch.tensor([0.5, 3.0]), seed=2)
    many = {name: torch.cat([part, 100 * part[:1]]) for name, part in many.items()}
    for name, part in clip(few, 1.0).items():
        expect_close(clip(many, 1.0)[name][:2], part, 1e-6, f"with a third record of norm 50 beside them: {name}")


def _clip_zero(clip):
    """A gradient of 0 stays 0, and one that is not finite becomes 0"""
    gradients = _gradients(torch.tensor([1.0, 1.0, 1.0, 1.0]), seed=3)
    gradients["weight"][0], gradients["bias"][0] = 0.0, 0.0
    gradients["bias"][1, 0], gradients["weight"][2, 0, 0] = math.nan, math.inf
    got = clip(gradients, 0.5)
    for name, part in got.items():
        expect(part.isfinite(), f"{name} holds NaN or infinity: a record with such a gradient must be left out")
        expect(not part[:3].any(), f"a record whose gradient is 0, or not finite, must become all 0 in {name}")
    expect(_norms(got)[3] > 0.4, "the record beside them was lost")


def clip(gradients, bound):
    factors = privacy.clip_factors(_norms(gradients), bound)
    return _scaled(gradients, factors)


def _scaled(gradients: Gradients, factors: Tensor) -> Gradients:
    return {name: part.nan_to_num(0.0, 0.0, 0.0) * factors.view(-1, *[1] * (part.dim() - 1))
            for name, part in gradients.items()}  # fmt: skip


def _clip_by_rows(gradients, bound, *, joint=True, up=False, guard=True, own=True, finite=True):
    """Record by record."""
    result = {name: part.clone() for name, part in gradients.items()}
    everybody = torch.cat([part.flatten() for part in gradients.values()]).norm()
    for i in range(len(next(iter(gradients.values())))):
        joined = torch.cat([part[i].flatten() for part in gradients.values()]).norm()
        for part in result.values():
            norm = (joined if joint else part[i].norm()) if own else everybody
            if finite and not norm.isfinite():
                part[i] = 0
            elif up or norm > bound:
                part[i] *= bound / (norm + 1e-12 if guard else norm)
    return result


EXERCISE = Exercise(
    "14.clip",
    title="Bound everybody's say",
    reference=clip,
    properties=[_clip_budget, _clip_small, _clip_neighbours, _clip_zero],
    hints=[
        "One norm for each record, over **all** its parameters: put `part.flatten(1)` of each side by side with "
        "`torch.cat(..., 1)`, then `.norm(dim=1)`.",
        "Multiply each record by min(1, bound / norm): `(bound / norm).clamp(max=1)`. With a norm of 0 that is 1.",
        "For NaN and infinity: `factors.nan_to_num(0)` is not enough, since 0 · NaN is NaN. Use "
        "`torch.where(norm.isfinite(), ...)` or `part.nan_to_num(0, 0, 0)` as well.",
    ],
    second=_clip_by_rows,
    finite=False,
    mutants={
        "clips each parameter by itself": functools.partial(_clip_by_rows, joint=False),
        "lengthens short gradients too": functools.partial(_clip_by_rows, up=True),
        "clips the batch's norm": functools.partial(_clip_by_rows, own=False),
        "lets NaN through": functools.partial(_clip_by_rows, finite=False),
        "clamps each number": lambda gradients, bound: {k: v.clamp(-bound, bound) for k, v in gradients.items()},
        "does nothing": lambda gradients, bound: gradients,
        "0 / 0": functools.partial(_clip_by_rows, up=True, guard=False),
    },
)
