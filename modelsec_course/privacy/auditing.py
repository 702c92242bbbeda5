"""Lower bounds on ε from experiments: what an attacker's guesses prove about an algorithm that claims to be private."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.stats import binom, norm
from torch import Tensor

from modelsec_course import validation
from modelsec_course.privacy.mechanisms import gaussian_epsilon
from modelsec_course.statistics import clopper_pearson

__all__ = ["audit_lower_bound", "audit_one_run", "audit_runs", "gdp_lower_bound", "one_run_lower_bound"]

LARGEST = 100.0  # there randomised response is right for certain, in floating point: nothing can refute more


def audit_lower_bound(
    found: int, present: int, accused: int, absent: int, *, delta: float = 0.0, confidence: float = 0.95
) -> float:
    """The ε that an attacker's hits prove: every (ε', δ)-private algorithm with ε' below it would hardly allow them.

    found: of `present` independent runs with the canary, in how many the attacker says "with".  accused: of `absent`
    runs without it, in how many.  The rule must be fixed before these runs are seen.  delta: in [0, 1).  confidence:
    that the bound is right; half of the error is left to each of the two rates.  Returns ε ≥ 0.
    Source: Jagielski, Ullman & Oprea, 2020, "Auditing Differentially Private Machine Learning: How Private is Private
    SGD?"; Nasr et al., 2021, "Adversary Instantiation: Lower Bounds for Differentially Private Machine Learning".
    """
    hit, alarm = _rates(found, present, accused, absent, delta, confidence)
    odds = [(hit - delta) / alarm, (1 - alarm - delta) / (1 - hit)]  # says "with" too often; says "without" too rarely
    return math.log(max(1.0, *odds))


def gdp_lower_bound(
    found: int, present: int, accused: int, absent: int, *, delta: float, confidence: float = 0.95
) -> float:
    """As `audit_lower_bound`, under an added assumption: that the algorithm's trade-off curve is a Gaussian's.

    Then the two rates at one threshold give the whole curve, μ ≥ Φ⁻¹(hits) − Φ⁻¹(alarms), and ε follows at any
    delta in (0, 1). Where the assumption fails, so may the bound.
    Source: Nasr et al., 2023, "Tight Auditing of Differentially Private Machine Learning".
    """
    hit, alarm = _rates(found, present, accused, absent, delta, confidence)
    mu = float(norm.ppf(hit) - norm.ppf(alarm))
    return gaussian_epsilon(1 / mu, delta) if mu > 0 else 0.0


def one_run_lower_bound(
    right: int, guesses: int, canaries: int, *, delta: float = 0.0, confidence: float = 0.95
) -> float:
    """The ε that one single run proves, whose canaries were each included or left out by a fair coin of its own.

    right: how many of the attacker's `guesses`, fixed in number before the coins are known, name the coin's side;
    about the other canaries it may keep silent.  delta: in [0, 1).  Returns ε ≥ 0.
    Source: Steinke, Nasr & Jagielski, 2023, "Privacy Auditing with One (1) Training Run", Theorem 5.2.
    """
    validation.count("canaries", canaries)
    validation.count("guesses", guesses)
    validation.count("right", right, low=0)
    if not right <= guesses <= canaries:
        got = f"right = {right}, guesses = {guesses}, canaries = {canaries}"
        raise ValueError(f"right must be at most guesses, and guesses at most canaries, but {got}")
    _levels(delta, confidence)

    def surplus(eps: float) -> float:
        return _chance(right, guesses, canaries, eps, delta) - (1 - confidence)

    if right == 0 or surplus(0.0) >= 0:
        return 0.0
    return float(brentq(surplus, 0.0, LARGEST, xtol=1e-9))


def audit_one_run(
    scores: Tensor,
    included: Tensor,
    *,
    delta: float = 0.0,
    confidence: float = 0.95,
    guesses: Sequence[int] = (20, 50, 100, 200, 500, 1000),
) -> float:
    """`one_run_lower_bound` of the attacker who calls the highest scores "in" and as many of the lowest "out".

    scores: (canaries,), higher means included.  included: bool (canaries,), the coins.  guesses: even numbers to
    try, those above the number of canaries left out; each gets an equal share of the error, so the best may be taken.
    """
    validation.tensor("scores", scores)
    validation.tensor("included", included)
    _coins(scores, included)
    possible = [number for number in guesses if number <= len(scores)]
    if not possible or any(number < 2 or number % 2 for number in guesses):
        raise ValueError(f"guesses must be even and some at most {len(scores)}, the canaries, but they are {guesses}")
    coins, n = included[scores.argsort(descending=True)], len(scores)
    each = 1 - (1 - confidence) / len(possible)
    right = {k: int(coins[: k // 2].sum() + (~coins[n - k // 2 :]).sum()) for k in possible}
    return max(one_run_lower_bound(right[k], k, n, delta=delta, confidence=each) for k in possible)


def audit_runs(scores: Tensor, present: Tensor, *, delta: float = 0.0, confidence: float = 0.95) -> float:
    """`audit_lower_bound` of repeated runs with one canary: the first half of them choose a threshold for the others.

    scores: (runs,), higher means that the canary was there.  present: bool (runs,), whether it was.
    """
    validation.tensor("scores", scores)
    validation.tensor("present", present)
    _coins(scores, present)
    half = len(scores) // 2

    def bound(threshold: float, runs: slice) -> float:
        says, truth = scores[runs] > threshold, present[runs]
        counts = (says & truth).sum(), truth.sum(), (says & ~truth).sum(), (~truth).sum()
        return audit_lower_bound(*map(int, counts), delta=delta, confidence=confidence)

    for part in (present[:half], present[half:]):
        if part.all() or not part.any():
            raise ValueError("each half of the runs needs some with the canary and some without: run more")
    ordered = scores[:half].sort().values
    middles = ((ordered[1:] + ordered[:-1]) / 2)[:: max(1, half // 25)].tolist()
    return bound(max(middles, key=lambda threshold: bound(threshold, slice(half))), slice(half, None))


def _chance(right: int, guesses: int, canaries: int, eps: float, delta: float) -> float:
    """How likely an (eps, delta)-private algorithm lets at least `right` guesses be right, at most."""
    p = 1 / (1 + math.exp(-eps))  # randomised response: the best that eps allows for one canary
    below = np.cumsum(binom.pmf(right - np.arange(1, right + 1), guesses, p))  # P(right − i ≤ guessed < right)
    spread = float((below / np.arange(1, right + 1)).max(initial=0.0))
    return min(1.0, float(binom.sf(right - 1, guesses, p)) + 2 * canaries * delta * spread)


def _rates(found: int, present: int, accused: int, absent: int, delta: float, confidence: float) -> tuple[float, float]:
    """The lowest rate of hits and the highest of false alarms that these counts allow."""
    _levels(delta, confidence)
    for name, hits, runs in (("found", found, present), ("accused", accused, absent)):
        validation.count(name, hits, low=0)
        if hits > runs:
            raise ValueError(f"{name} must be at most its number of runs, {runs}, but it is {hits}")
    hit = clopper_pearson(found, present, confidence=confidence)[0]
    return hit, clopper_pearson(accused, absent, confidence=confidence)[1]


def _levels(delta: float, confidence: float) -> None:
    validation.number("delta", delta, low=0, high=1)
    validation.number("confidence", confidence, low=0, high=1)
    if delta == 1 or confidence in (0, 1):
        raise ValueError(f"delta must be below 1 and confidence inside (0, 1), but they are {delta} and {confidence}")


def _coins(scores: Tensor, coins: Tensor) -> None:
    if scores.dim() != 1 or coins.shape != scores.shape or coins.dtype != torch.bool:
        got = f"{tuple(scores.shape)} scores and {coins.dtype} {tuple(coins.shape)} coins"
        raise ValueError(f"there must be one score and one bool for each canary or run, but there are {got}")
    if not scores.isfinite().all():
        raise ValueError("scores hold NaN or infinity: an attacker must score every one")
