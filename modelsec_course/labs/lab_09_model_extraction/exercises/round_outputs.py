"""Round probabilities so that they still sum to 1 and say the same label."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import extraction, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_tensor


def _probabilities() -> Tensor:
    """Sure and unsure rows, near ties, and rows where every class rounds the same way."""
    draw = runtime.generator(6)
    rows = [(scale * torch.randn(40, 20, generator=draw)).softmax(1) for scale in (0.05, 0.5, 2, 6)]
    tied = torch.full((1, 20), 0.0)
    tied[0, :3] = torch.tensor([0.3349, 0.3331, 0.3320])
    return torch.cat([*rows, tied]).double()


def _round_units(rounded):
    """Every number has at most that many decimals, from 0 to 1"""
    p = _probabilities()
    for decimals in (1, 2, 3):
        got = rounded(p, decimals) * 10**decimals
        expect_close(got, got.round(), 1e-6, f"numbers times 10^{decimals} must be whole")
        expect(got.min() > -1e-6 and got.max() < 10**decimals + 1e-6, f"decimals = {decimals}: outside of [0, 1]")


def _round_sums(rounded):
    """Each row still sums to 1"""
    p = _probabilities()
    for decimals in (1, 2):
        expect_close(rounded(p, decimals).sum(1), torch.ones(len(p)), 1e-6, f"row sums with {decimals} decimals")


def _round_label(rounded):
    """The label never changes: the largest stays the largest, and alone"""
    p = _probabilities()
    for decimals in (1, 2):
        first, second = rounded(p, decimals).topk(2, dim=1).values.T
        changed = int((rounded(p, decimals).argmax(1) != p.argmax(1)).sum())
        tied = int((first - second < 1e-6).sum())
        expect(
            changed == 0 and tied == 0, f"decimals = {decimals}, {len(p)} rows: {changed} labels changed, {tied} tied"
        )


def _round_down(rounded):
    """Every class but the largest is rounded down: it never rises, and falls by less than a unit, 10^-decimals"""
    p = _probabilities()
    others = ~F.one_hot(p.argmax(1), 20).bool()
    for decimals in (1, 2, 3):
        moved = (rounded(p, decimals) - p)[others]
        rose, fell = moved.max().item(), -moved.min().item()
        expect(rose < 1e-6, f"decimals = {decimals}: a class that is not the largest rose by {rose:.4f}: round it down")
        expect(fell < 10**-decimals, f"decimals = {decimals}: a class that is not the largest fell by {fell:.4f}")


def _same_shape(result, args, kwargs) -> None:
    expect_tensor(result, argument(args, kwargs, 0, "probabilities").shape)


def _round_rows(probabilities, decimals, *, how=math.floor, rest=True):
    """Row by row, in whole units."""
    unit, rows = 10**decimals, []
    for row in probabilities.tolist():
        top = row.index(max(row))
        units = [how(value * unit) for value in row]
        if rest:
            units[top] = unit - sum(units[:top]) - sum(units[top + 1 :])
        rows.append([value / unit for value in units])
    return torch.tensor(rows, dtype=probabilities.dtype, device=probabilities.device)


def _largest_remainders(probabilities, decimals):
    """The units left over go to the largest remainders, unless that would tie the top or change the label."""
    scaled = probabilities * 10**decimals
    units = scaled.floor()
    order = (scaled - units).argsort(1, descending=True).argsort(1)
    shared = (units + (order < (10**decimals - units.sum(1, keepdim=True)).round())) / 10**decimals
    first, second = shared.topk(2, dim=1).values.T
    good = (shared.argmax(1) == probabilities.argmax(1)) & (first - second > 1e-6)
    return torch.where(good[:, None], shared, _round_rows(probabilities, decimals))


EXERCISE = Exercise(
    "09.round_outputs",
    title="Rounded answers that stay answers",
    reference=extraction.round_outputs,
    properties=[_round_units, _round_sums, _round_label, _round_down],
    hints=[
        "Rounding to the nearest can lift many small classes at once. Which way of rounding never lifts one?",
        "Round every class *down*, `(p * 10**decimals).floor()`. The sum is now at most 1. Who should get the rest?",
        "The largest class: set it to 0 with `.scatter(1, top, 0.0)`, where `top = p.argmax(1, keepdim=True)`, then "
        "to one minus the sum of the others.",
    ],
    returns=_same_shape,
    second=_round_rows,
    mutants={
        "rounds each to the nearest": lambda p, decimals: p.round(decimals=decimals),
        "rounds, then divides by the sum": lambda p, d: (
            (p + 1e-9).round(decimals=d) / (p + 1e-9).round(decimals=d).sum(1, keepdim=True).clamp_min(10.0**-d)
        ),
        "rounds to the nearest, and gives the rest to the largest": functools.partial(_round_rows, how=round),
        "gives the rest to the largest remainders": _largest_remainders,
        "rounds down and keeps no rest": functools.partial(_round_rows, rest=False),
        "the label alone": lambda p, decimals: F.one_hot(p.argmax(1), p.shape[1]).to(p),
        "one decimal more": lambda p, decimals: _round_rows(p, decimals + 1),
        "does nothing": lambda p, decimals: p.clone(),
    },
)
