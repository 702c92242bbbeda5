"""The share of the ill who are found, and Clopper and Pearson's interval for it."""

from __future__ import annotations

import functools

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.stats import beta, binom, norm
from torch import Tensor

from modelsec_course import statistics
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _ward(found: int, ill: int, healthy: int = 0, refused: int = 0) -> tuple[Tensor, Tensor]:
    """said, y: `found` of the ill are found, `refused` sent on, the rest missed; all the healthy are cleared."""
    said = torch.cat([torch.zeros(found), -torch.ones(refused), torch.ones(ill - found - refused + healthy)])
    return said.long(), torch.cat([torch.zeros(ill), torch.ones(healthy)]).long()


def _numbers(result) -> Tensor:
    """Share, low and high as one tensor, whether they came as a tuple, a list, a tensor or an array."""
    return torch.tensor([float(part) for part in result])


def _published(sensitivity_interval):
    """95 of 100 found: 0.95, and from 0.8872 to 0.9836, as published"""
    expect_close(_numbers(sensitivity_interval(*_ward(95, 100))), [0.95, 0.887165, 0.983568], 1e-5, "the result")


def _none_and_all(sensitivity_interval):
    """None or all of 20: one end is exactly 0 or 1, and the other says what 20 cannot rule out"""
    other = 0.025 ** (1 / 20)
    expect_close(_numbers(sensitivity_interval(*_ward(0, 20))), [0, 0, 1 - other], 1e-5, "nobody found")
    expect_close(_numbers(sensitivity_interval(*_ward(20, 20))), [1, other, 1], 1e-5, "all found")


def _only_the_ill_count(sensitivity_interval):
    """The healthy change nothing, whatever the model says of them"""
    alone = _numbers(sensitivity_interval(*_ward(30, 40)))
    said, y = _ward(30, 40, healthy=400)
    for healthy in (1, 0, -1):
        said[40:] = healthy
        got = _numbers(sensitivity_interval(said, y))
        expect_close(got, alone, 1e-6, f"40 ill, and 400 healthy of whom it says {healthy}")


def _refused_is_not_found(sensitivity_interval):
    """Someone ill who is refused has not been found, and is still one of the ill"""
    got = _numbers(sensitivity_interval(*_ward(30, 40, refused=10)))
    expect_close(got[0], 0.75, 1e-6, "30 of 40 found, 10 refused: the share")
    expect_close(got[1:], statistics.clopper_pearson(30, 40), 1e-5, "30 of 40 found, 10 refused: the interval")


def _each_end(sensitivity_interval):
    """Each end leaves (1 − confidence) / 2: of as many found or more, and of as many or fewer"""
    for confidence in (0.8, 0.99):
        _, low, high = sensitivity_interval(*_ward(7, 25), 0, confidence)
        tails = [binom.sf(6, 25, low), binom.cdf(7, 25, high)]
        expect_close(torch.tensor(tails), [(1 - confidence) / 2] * 2, 1e-5, f"the tails at confidence {confidence}")


def _any_class(sensitivity_interval):
    """`positive` names the class that must be found"""
    said, y = _ward(30, 40, healthy=10)
    got = _numbers(sensitivity_interval(said, y, 1))
    expect_close(got, [1.0, *statistics.clopper_pearson(10, 10)], 1e-5, "for positive = 1")


def _three_numbers(result, args, kwargs) -> None:
    three = isinstance(result, tuple | list | Tensor | np.ndarray) and len(result) == 3
    expect(three, "return three numbers: share, low, high")
    low, high = float(result[1]), float(result[2])
    expect(low == low and high == high, "an end is NaN: the beta distribution needs both parameters above 0")


def sensitivity_interval(said, y, positive=0, confidence=0.95):
    return statistics.sensitivity_interval(said, y, positive=positive, confidence=confidence)


def _by_search(said, y, positive=0, confidence=0.95):
    """The ends by their definition."""
    answers = [int(s) == positive for s, truth in zip(said, y, strict=True) if int(truth) == positive]
    k, n, tail = sum(answers), len(answers), (1 - confidence) / 2
    low = brentq(lambda p: binom.sf(k - 1, n, p) - tail, 1e-12, 1 - 1e-12, xtol=1e-9) if k else 0
    high = brentq(lambda p: binom.cdf(k, n, p) - tail, 1e-12, 1 - 1e-12, xtol=1e-9) if k < n else 1
    return [k / n, low, high]


def _wrong(said, y, positive=0, confidence=0.95, *, among="ill", sides=2, edges=True, shift=1, right=False, wald=False):
    members = {"ill": y == positive, "all": torch.ones_like(y, dtype=torch.bool), "answered": said >= 0}[among]
    members = members & (y == positive) if among == "answered" else members
    hits = (said == y) if right else (said == positive)
    k, n, tail = int(hits[members].sum()), int(members.sum()), (1 - confidence) / sides
    if wald:
        half = norm.isf(tail) * (k / n * (1 - k / n) / n) ** 0.5
        return k / n, k / n - half, k / n + half
    low, high = beta.ppf(tail, k, n - k + shift), beta.ppf(1 - tail, k + shift, n - k)
    if edges:
        low, high = (low if k else 0.0), (high if k < n else 1.0)
    return k / n, float(low), float(high)


EXERCISE = Exercise(
    "07.sensitivity_interval",
    title="Sensitivity, with its interval",
    reference=sensitivity_interval,
    properties=[_published, _none_and_all, _only_the_ill_count, _refused_is_not_found, _each_end, _any_class],
    hints=[
        "Only the members of the class `positive` count: n of them, k of whom were given that class. A refusal is −1, "
        "so it is not among the k, but it is among the n.",
        "The low end is a quantile of the beta distribution with parameters k and n − k + 1, the high end one with "
        "k + 1 and n − k. Each leaves half of 1 − confidence outside.",
        "```python\ntail = (1 - confidence) / 2\nlow = beta.ppf(tail, k, n - k + 1) if k else 0.0\n"
        "high = beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0\n```",
    ],
    returns=_three_numbers,
    second=_by_search,
    mutants={
        "the normal approximation": functools.partial(_wrong, wald=True),
        "counts all patients": functools.partial(_wrong, among="all"),
        "accuracy, not sensitivity": functools.partial(_wrong, among="all", right=True),
        "leaves the refused out": functools.partial(_wrong, among="answered"),
        "all of the doubt on either side": functools.partial(_wrong, sides=1),
        "forgets the + 1": functools.partial(_wrong, shift=1e-9),
        "does not think of none and all": functools.partial(_wrong, edges=False),
        "counts the refused as found": lambda said, y, positive=0, confidence=0.95: sensitivity_interval(
            torch.where(said < 0, positive, said), y, positive, confidence
        ),
    },
)
