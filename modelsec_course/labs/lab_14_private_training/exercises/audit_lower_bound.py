"""The largest ε that the counts of a membership attack refute with confidence."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.stats import beta

from modelsec_course import privacy
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.statistics import clopper_pearson


def _audit_perfect(audit):
    """All of n right, in closed form: log((1 − miss) / miss), miss = 1 − (α/2)^(1/n)"""
    for n, alpha, eps in ((500, 0.01, 4.5419), (500, 0.05, 4.9056), (50, 0.05, None)):
        miss = 1 - (alpha / 2) ** (1 / n)
        want = eps or math.log((1 - miss) / miss)
        what = f"{n} of {n} found, 0 of {n} accused, alpha {alpha}, of which each end may err with half"
        expect_close(audit(n, n, 0, n, 0.0, alpha), want, 1e-3, what)


def _audit_delta(audit):
    """A private algorithm may fail with probability δ: that part of the hits proves nothing"""
    low, high = clopper_pearson(90, 100)[0], clopper_pearson(2, 100)[1]
    for delta in (0.01, 0.2):
        want = max(math.log((low - delta) / high), math.log((1 - high - delta) / (1 - low)))
        expect_close(audit(90, 100, 2, 100, delta, 0.05), want, 1e-3, f"90 of 100 found, 2 accused, delta {delta}")


def _audit_both_sides(audit):
    """An attacker who is only sure of “without” proves as much"""
    want = audit(30, 100, 0, 100, 0.0, 0.05)
    what = "all 100 found and 70 of 100 accused, as against 30 found and none accused"
    expect_close(audit(100, 100, 70, 100, 0.0, 0.05), want, 1e-6, what)


def _audit_nothing(audit):
    """Guessing proves nothing, nor does an attacker who is mostly wrong: 0, never less, however large δ"""
    for counts in ((50, 100, 50, 100), (10, 100, 90, 100), (0, 20, 0, 20)):
        expect_close(audit(*counts, 0.0, 0.05), 0.0, 1e-9, f"found {counts[0]} of {counts[1]}, accused {counts[2]}")
    expect_close(audit(10, 100, 0, 100, 0.5, 0.05), 0.0, 1e-9, "with delta 0.5, 10 of 100 found")


def _audit_covers(audit):
    """Randomised response at ε = 1: a bound above 1 comes out in at most about α of many audits"""
    draw, p = np.random.default_rng(0), 1 / (1 + math.exp(-1))
    counts = list(zip(draw.binomial(60, p, 400).tolist(), draw.binomial(60, 1 - p, 400).tolist(), strict=True))
    wrong = sum(audit(found, 60, accused, 60, 0.0, 0.05) > 1 for found, accused in counts)
    expect(wrong <= 12, f"of 400 audits with alpha 0.05, {wrong} say more than the true ε = 1: is half of alpha left "
           "to each rate?")  # fmt: skip


def audit_lower_bound(found, present, accused, absent, delta, alpha):
    return privacy.audit_lower_bound(found, present, accused, absent, delta=delta, confidence=1 - alpha)


def _audit_by_beta(
    found, present, accused, absent, delta, alpha, *, tail=2.0, forget=False, sides=(0, 1), floor=True, exact=True
):
    """With the beta distribution written out."""
    hit = beta.ppf(alpha / tail, found, present - found + 1) if found else 0.0
    alarm = beta.ppf(1 - alpha / tail, accused + 1, absent - accused) if accused < absent else 1.0
    if not exact:
        hit, alarm = found / present, (accused + 0.5) / absent
    delta = 0.0 if forget else delta
    pairs = ((hit - delta, alarm), (1 - alarm - delta, 1 - hit))
    logs = [math.log(max(pairs[side][0], 1e-300) / max(pairs[side][1], 1e-300)) for side in sides]
    return max([0.0, *logs]) if floor else max(logs)


EXERCISE = Exercise(
    "14.audit_lower_bound",
    title="What guesses prove about ε",
    reference=audit_lower_bound,
    properties=[_audit_perfect, _audit_delta, _audit_both_sides, _audit_nothing, _audit_covers],
    hints=[
        "`clopper_pearson(found, present, confidence=1 - alpha)` returns the two ends of an interval, alpha / 2 on "
        "either side. Of the hits you need the lower end, of the false alarms the upper.",
        "Privacy says hit ≤ e^ε · alarm + δ. Solve for ε. The same holds for the other answer: "
        "1 − alarm ≤ e^ε · (1 − hit) + δ.",
        "`math.log(max(1, (hit - delta) / alarm, (1 - alarm - delta) / (1 - hit)))`",
    ],
    second=_audit_by_beta,
    mutants={
        "rates as they were counted": functools.partial(_audit_by_beta, exact=False),
        "the whole of alpha for each rate": functools.partial(_audit_by_beta, tail=1.0),
        "forgets delta": functools.partial(_audit_by_beta, forget=True),
        "looks at hits only": functools.partial(_audit_by_beta, sides=(0,)),
        "looks at the answer *without* only": functools.partial(_audit_by_beta, sides=(1,)),
        "less than nothing": functools.partial(_audit_by_beta, floor=False),
        "hits and alarms exchanged": lambda f, p, a, n, d, alpha: _audit_by_beta(a, n, f, p, d, alpha),
    },
)
