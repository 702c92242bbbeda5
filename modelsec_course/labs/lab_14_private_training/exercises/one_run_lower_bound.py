"""The largest ε that guesses about the canaries of a single training run refute with confidence."""

from __future__ import annotations

import functools
import math

from scipy.optimize import brentq
from scipy.stats import binom

from modelsec_course import privacy
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _one_reference(one_run):
    """The values of the authors' own code"""
    for right, alpha, eps in ((100, 0.05, 3.479195), (100, 0.01, 3.023198), (60, 0.05, 0.050736)):
        expect_close(one_run(right, 100, 500, 1e-5, alpha), eps, 1e-3,
                     f"{right} of 100 guesses right, 500 canaries, delta 1e-5, alpha {alpha}")  # fmt: skip


def _one_closed_form(one_run):
    """All r right and δ = 0: p^r = α, so ε = log(p / (1 − p)) with p = α^(1/r)"""
    for r, alpha in ((10, 0.05), (300, 0.01)):
        p = alpha ** (1 / r)
        expect_close(one_run(r, r, 1000, 0.0, alpha), math.log(p / (1 - p)), 1e-3, f"{r} of {r} right, alpha {alpha}")


def _one_nothing(one_run):
    """A coin's guesses prove nothing"""
    for right, guesses in ((50, 100), (10, 100), (0, 20)):
        expect_close(one_run(right, guesses, 200, 1e-5, 0.05), 0.0, 1e-6, f"{right} of {guesses} right")


def _one_delta(one_run):
    """δ costs more the more canaries there are; without δ they do not matter"""
    few, many = one_run(90, 100, 200, 1e-4, 0.05), one_run(90, 100, 1000, 1e-4, 0.05)
    expect(few > many + 0.01, f"90 of 100 right, delta 1e-4: {few:.4f} with 200 canaries, {many:.4f} with 1,000")
    expect_close(one_run(90, 100, 1000, 0.0, 0.05), one_run(90, 100, 200, 0.0, 0.05), 1e-4, "the bound without delta")


def one_run_lower_bound(right, guesses, canaries, delta, alpha):
    return privacy.one_run_lower_bound(right, guesses, canaries, delta=delta, confidence=1 - alpha)


def _one_by_brent(
    right, guesses, canaries, delta, alpha, *, at_least=0, twice=2.0, share=True, scale=lambda m, r: m, odds=math.exp
):
    """The sum written out, the root by Brent's method."""

    def chance(eps):
        p = odds(eps) / (1 + odds(eps))
        below, worst = 0.0, 0.0
        for i in range(1, right + 1):
            below += binom.pmf(right - i, guesses, p)
            worst = max(worst, below / i if share else below)
        return binom.sf(right - 1 + at_least, guesses, p) + twice * scale(canaries, guesses) * delta * worst

    if right == 0 or chance(0.0) >= alpha:
        return 0.0
    return brentq(lambda eps: chance(eps) - alpha, 0.0, 30.0)


EXERCISE = Exercise(
    "14.one_run_lower_bound",
    title="One run is enough",
    reference=one_run_lower_bound,
    properties=[_one_reference, _one_closed_form, _one_nothing, _one_delta],
    hints=[
        "Write `chance(eps)` first. `binom.sf(right - 1, guesses, p)` is the probability of at least `right`, and "
        "`binom.pmf(right - i, guesses, p)`, added up over i = 1 … `right`, the P of the second term.",
        "`chance` rises with eps. If it is α or more at eps = 0 already, the answer is 0.",
        "Else halve an interval from 0 to 30 some 40 times: where `chance(middle) < alpha` is the new lower end.",
    ],
    second=_one_by_brent,
    mutants={
        "more than, not at least": functools.partial(_one_by_brent, at_least=1),
        "forgets delta": functools.partial(_one_by_brent, twice=0.0),
        "forgets the 2": functools.partial(_one_by_brent, twice=1.0),
        "forgets to divide by i": functools.partial(_one_by_brent, share=False),
        "counts guesses as canaries": functools.partial(_one_by_brent, scale=lambda m, r: r),
        "half of ε": functools.partial(_one_by_brent, odds=lambda eps: math.exp(eps / 2)),
        "a binomial of all canaries": lambda v, r, m, d, alpha: _one_by_brent(v, m, m, d, alpha),
        "no interval": lambda v, r, m, d, alpha: math.log(max(1.0, v / max(r - v, 1))),
    },
)  # fmt: skip
