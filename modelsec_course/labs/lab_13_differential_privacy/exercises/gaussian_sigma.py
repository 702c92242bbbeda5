"""The least Gaussian noise that makes an answer (ε, δ)-private, from the exact condition."""

from __future__ import annotations

import functools
import math

from scipy.optimize import brentq
from scipy.stats import norm

from modelsec_course import privacy
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _sigma_values(sigma):
    """The exact noise at δ = 10⁻⁵, to a relative 10⁻⁸: 3.73063163 for ε = 1, 0.60022885 for ε = 8, and others"""
    for eps in (0.1, 1.0, 3.0, 8.0, 50.0):
        want = privacy.gaussian_sigma(eps, 1e-5)
        expect_close(sigma(eps, 1e-5), want, 1.2e-8 * want, f"σ at ε = {eps:g}")


def _sigma_promise(sigma):
    """Keeps the promise, and only just: the δ that it spends is at most δ, and hardly less"""
    for eps, delta in ((0.5, 1e-3), (1.0, 1e-8), (4.0, 1e-5), (12.0, 1e-6), (0.01, 1e-5)):
        got = float(sigma(eps, delta))
        spent = privacy.gaussian_delta(eps, got) / delta
        case = f"with ε = {eps:g}, δ = {delta:g} it says σ = {got:.9g}, which spends {spent:.10f} δ"
        expect(spent <= 1 + 1e-9, f"{case}: more than was promised")
        expect(spent > 1 - 1e-4, f"{case}: more noise than is needed")


def _sigma_scale(sigma):
    """Scales with the sensitivity"""
    one, some = sigma(1.0, 1e-5), sigma(1.0, 1e-5, 7.5)
    expect_close(some / one, 7.5, 1e-6, "σ at sensitivity 7.5 over σ at 1")


def _sigma_root(eps, delta, sensitivity=1.0):
    """A root finder on the logarithm of σ, then a hair more noise."""

    def over(log_sigma):
        sigma = math.exp(log_sigma)
        ends = norm.logcdf(0.5 / sigma - eps * sigma), eps + norm.logcdf(-0.5 / sigma - eps * sigma)
        return ends[0] + math.log(max(-math.expm1(ends[1] - ends[0]), 1e-300)) - math.log(delta)

    return sensitivity * math.exp(brentq(over, -6, 12, xtol=1e-12)) * (1 + 1e-10)


def _sigma_wrong(eps, delta, sensitivity=1.0, *, weight=math.exp, end=1, steps=100, power=1, **change):
    shift, share, low = (change.get(name, usual) for name, usual in (("shift", 0.5), ("share", 1.0), ("low", 0.0)))

    def spent(sigma):
        return norm.cdf(shift / sigma - eps * sigma) - weight(eps) * norm.cdf(-shift / sigma - eps * sigma)

    ends = [low, 1.0]
    while spent(ends[1]) > delta * share:
        ends[1] *= 2
    for _ in range(steps):
        middle = sum(ends) / 2
        ends[int(spent(middle) <= delta * share)] = middle
    return sensitivity**power * ends[end]


EXERCISE = Exercise(
    "13.gaussian_sigma",
    title="Just enough Gaussian noise",
    reference=privacy.gaussian_sigma,
    properties=[_sigma_scale, _sigma_values, _sigma_promise],
    hints=[
        "Write `spent(sigma)`, the left side of the rule. For large σ it is below δ, for small σ above.",
        "Double `high` until `spent(high) <= delta`. Then halve the interval from 0: the middle is the new `high` if "
        "it is good enough, else the new `low`.",
        "After 100 halvings return `sensitivity * high`: `low` spends a little too much.",
    ],
    second=_sigma_root,
    mutants={
        "the textbook's formula": lambda e, d, s=1.0: s * math.sqrt(2 * math.log(1.25 / d)) / e,
        "forgets the sensitivity": functools.partial(_sigma_wrong, power=0),
        "the square of the sensitivity": functools.partial(_sigma_wrong, power=2),
        "stops after ten halvings": functools.partial(_sigma_wrong, steps=10),
        "ends on the wrong side": functools.partial(_sigma_wrong, steps=12, end=0),
        "stops after 25 halvings": functools.partial(_sigma_wrong, steps=25),
        "the wrong side of 30 halvings": functools.partial(_sigma_wrong, steps=30, end=0),
        "starts from 0.3": functools.partial(_sigma_wrong, low=0.3),
        "forgets e^ε": functools.partial(_sigma_wrong, weight=lambda e: 1.0),
        "1/σ for 1/2σ": functools.partial(_sigma_wrong, shift=1.0),
        "half of δ, to be safe": functools.partial(_sigma_wrong, share=0.5),
    },
)  # fmt: skip
