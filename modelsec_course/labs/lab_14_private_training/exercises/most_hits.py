"""The most hits that (ε, δ)-privacy allows a membership attack at a given rate of false alarms."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.stats import norm

from modelsec_course import privacy
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _hits_none(most):
    """At ε = 0 and δ = 0 an attacker finds as many members as it accuses others"""
    for alarm in (0.0, 0.01, 0.5, 1.0):
        expect_close(most(alarm, 0.0, 0.0), alarm, 1e-9, f"alarm {alarm}, eps 0, delta 0")


def _hits_member(most):
    """Few alarms: e^ε times as many hits, and δ"""
    for alarm, eps, delta in ((0.01, 1.0, 0.0), (0.01, 2.0, 1e-3), (0.0, 3.0, 0.02)):
        want = math.exp(eps) * alarm + delta
        expect_close(most(alarm, eps, delta), want, 1e-9, f"alarm {alarm}, eps {eps}, delta {delta}")


def _hits_none_of_them(most):
    """Many alarms: the second inequality binds, 1 − e^−ε (1 − δ − alarm)"""
    for alarm, eps, delta in ((0.5, 1.0, 0.0), (0.3, 2.0, 1e-3), (0.01, 8.0, 1e-4)):
        want = 1 - math.exp(-eps) * (1 - delta - alarm)
        expect_close(most(alarm, eps, delta), want, 1e-9, f"alarm {alarm}, eps {eps}, delta {delta}")


def _hits_are_chances(most):
    """Is a chance: never above 1"""
    for alarm, eps, delta in ((1.0, 1.0, 0.0), (0.95, 0.5, 0.2), (0.9, 3.0, 0.3)):
        got = float(most(alarm, eps, delta))
        expect_close(got, 1.0, 1e-9, f"alarm {alarm}, eps {eps}, delta {delta}")


def _hits_gaussian(most):
    """No attacker on a Gaussian answer does better, and the best one does as well at some alarm"""
    sigma, eps = 1.3, 1.5
    delta = privacy.gaussian_delta(eps, sigma)
    room = []
    for alarm in np.linspace(0.005, 0.995, 199).tolist():
        hit = norm.cdf(norm.ppf(alarm) + 1 / sigma)  # the best attacker, by a threshold
        room.append(most(alarm, eps, delta) - hit)
        expect(room[-1] > -1e-9, f"noise {sigma}: an attacker has {hit:.4f} hits at alarm {alarm:.3f}, and you allow "
               f"{hit + room[-1]:.4f} at eps {eps}, delta {delta:.4f}")  # fmt: skip
    expect(min(room) < 1e-3, f"the bound is never reached: it is {min(room):.4f} above what is possible")


def most_hits(alarm, eps, delta):
    return min(1.0, math.exp(eps) * alarm + delta, 1 - math.exp(-eps) * (1 - delta - alarm))


def _hits_by_bisection(
    alarm, eps, delta, *, first=True, second=True, cap=1.0, spend=lambda delta: delta, odds=math.exp
):
    """Whether both inequalities hold, asked of ever closer chances."""

    def allowed(hit):
        return (not first or hit <= odds(eps) * alarm + spend(delta) + 1e-15) and (
            not second or 1 - alarm <= odds(eps) * (1 - hit) + spend(delta) + 1e-15
        )

    low, high = 0.0, cap
    if allowed(high):
        return high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if allowed(middle) else (low, middle)
    return high


EXERCISE = Exercise(
    "14.most_hits",
    title="What a promise says",
    reference=most_hits,
    properties=[_hits_none, _hits_member, _hits_none_of_them, _hits_are_chances, _hits_gaussian],
    hints=[
        "Both inequalities bound the hits from above. Solve each for hit; both must hold, so the smaller counts.",
        "The second one: e^ε (1 − hit) ≥ 1 − alarm − δ, so hit ≤ 1 − e^−ε (1 − δ − alarm).",
        "`min(1.0, math.exp(eps) * alarm + delta, 1 - math.exp(-eps) * (1 - delta - alarm))`",
    ],
    second=_hits_by_bisection,
    mutants={
        "the first inequality only": functools.partial(_hits_by_bisection, second=False),
        "the second inequality only": functools.partial(_hits_by_bisection, first=False),
        "forgets delta": functools.partial(_hits_by_bisection, spend=lambda delta: 0.0),
        "above 1": lambda alarm, eps, delta: min(
            math.exp(eps) * alarm + delta, 1 - math.exp(-eps) * (1 - delta - alarm)
        ),
        "ε for e^ε": functools.partial(_hits_by_bisection, odds=lambda eps: 1 + eps),
        "the larger of the two": lambda alarm, eps, delta: min(
            1.0, max(math.exp(eps) * alarm + delta, 1 - math.exp(-eps) * (1 - delta - alarm))
        ),
    },
)
