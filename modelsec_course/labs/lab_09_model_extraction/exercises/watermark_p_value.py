"""How likely is an innocent model to hit so many of a watermark's secret labels?"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binom, norm

from modelsec_course import extraction
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _p_known(p_value):
    """Known values: none of n is 1, all of n is chanceⁿ, 12 of 20 at 1/10 is 5.81e-8"""
    expect_close(p_value(0, 20, 0.1), 1.0, 1e-6, "p for 0 of 20")
    expect_close(p_value(5, 5, 0.1) * 1e5, 1.0, 1e-6, "p for 5 of 5 at 1/10, times 10^5")
    expect_close(p_value(12, 20, 0.1) * 1e8, 5.81, 0.01, "p for 12 of 20 at 1/10, times 10^8")
    expect_close(p_value(1, 1, 0.25), 0.25, 1e-6, "p for 1 of 1 at 1/4")


def _p_steps(p_value):
    """One hit more lowers it by the probability of exactly that many"""
    for n, chance in ((10, 0.1), (30, 0.5)):
        for hits in range(n):
            step = p_value(hits, n, chance) - p_value(hits + 1, n, chance)
            want = binom.pmf(hits, n, chance)
            expect_close(1e3 * step, 1e3 * want, 1e-4, f"1,000 · (p({hits}) − p({hits + 1})), n = {n}, chance {chance}")


def _p_conservative(p_value):
    """Accuses an innocent model with probability at most α, for every α"""
    for n, chance in ((20, 0.1), (7, 0.5)):
        p = np.array([float(p_value(hits, n, chance)) for hits in range(n + 1)])
        for alpha in (0.001, 0.01, 0.05, 0.2, 0.5):
            accused = binom.pmf(np.arange(n + 1), n, chance)[p <= alpha].sum()
            expect(accused <= alpha + 1e-12, f"α = {alpha}: {accused:.4f} of innocent models have p <= α (n = {n})")


def _p_precise(p_value):
    """Small p-values are small numbers, not 0"""
    expect(p_value(20, 20, 0.1) > 0, "20 of 20 at 1/10 has p = 1e-20: 1 − (a sum) loses it")
    expect_close(math.log10(p_value(20, 20, 0.1)), -20, 1e-6, "log10 of p for 20 of 20 at 1/10")


def _a_number(result, args, kwargs) -> None:
    expect(np.ndim(result) == 0, f"expected a number, got a {type(result).__name__}")
    expect(-1e-9 <= float(result) <= 1 + 1e-9, f"expected a probability, got {float(result):.4g}")


def _p_sum(hits, n, chance):
    return math.fsum(math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(hits, n + 1))


EXERCISE = Exercise(
    "09.watermark_p_value",
    title="A p-value for the watermark",
    reference=extraction.watermark_p_value,
    properties=[_p_known, _p_steps, _p_conservative, _p_precise],
    hints=[
        "An innocent model hits each secret label with probability `chance`. Of how many hits is this the probability: "
        "exactly so many, or so many *or more*?",
        "Add up the binomial probabilities of hits, hits + 1, ..., n. `scipy.stats.binom.pmf(k, n, chance)` gives one.",
        "Or in one go: `binom.sf(k, n, chance)` is the probability of *more than* k.",
    ],
    returns=_a_number,
    second=_p_sum,
    mutants={
        "more than so many": lambda hits, n, chance: binom.sf(hits, n, chance),
        "exactly so many": lambda hits, n, chance: binom.pmf(hits, n, chance),
        "at most so many": lambda hits, n, chance: binom.cdf(hits, n, chance),
        "every hit at once": lambda hits, n, chance: chance**hits,
        "the normal approximation": lambda hits, n, chance: norm.sf(
            (hits - n * chance) / math.sqrt(n * chance * (1 - chance))
        ),
        "one minus a sum": lambda hits, n, chance: max(0.0, 1 - binom.cdf(hits - 1, n, chance)),
    },
)
