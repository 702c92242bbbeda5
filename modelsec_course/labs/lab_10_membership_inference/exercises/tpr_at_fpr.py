"""How many members are found while at most a given share of the others is accused?"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from sklearn.metrics import roc_curve
from torch.distributions import Normal

from modelsec_course import membership, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _rate_by_hand(rate):
    """100 others with scores 0 to 99: at 1 % one of them may be accused, at 5 % five"""
    others, inside = torch.arange(100.0), torch.tensor([97.5, 98.5, 99.5, 94.5, 10.0])
    order = torch.randperm(105, generator=runtime.generator(3))
    scores = torch.cat([others, inside])[order]
    members = (torch.arange(105) >= 100)[order]
    for fpr, want in ((0.01, 2 / 5), (0.02, 3 / 5), (0.05, 4 / 5), (1.0, 1.0)):
        allowed = f"{round(100 * fpr)} of 100 others may be accused"
        expect_close(rate(scores, members, fpr), want, 1e-6, f"the share of 5 members found when {allowed}")


def _rate_gauss(rate):
    """Scores N(μ, 1) against N(0, 1): Φ(Φ⁻¹(FPR) + μ), the closed form"""
    draw, unit = runtime.generator(4), Normal(0.0, 1.0)
    noise, members = torch.randn(80_000, generator=draw), torch.arange(80_000) < 40_000
    for mu, fpr in ((1.0, 0.01), (2.0, 0.001), (0.0, 0.01)):
        want = unit.cdf(unit.icdf(torch.tensor(fpr)) + mu).item()
        got = rate(noise + mu * members, members, fpr)
        expect_close(got, want, 0.1 * want + 0.004, f"with μ = {mu:g} at a false-positive rate of {fpr:.1%}, the rate")


def _rate_ties(rate):
    """Never accuses more than it may, even when many scores are the same"""
    members = torch.arange(300) < 100
    got = rate((torch.arange(300) % 2).float(), members, 0.1)
    expect_close(got, 0.0, 1e-6, "scores of 0 and 1 only, half of the others at 1: the share found at 10 %")
    expect_close(rate(torch.zeros(300), members, 0.1), 0.0, 1e-6, "the same score for all: the share found at 10 %")


def _rate_rounds(rate):
    """Rounds what it may accuse down to whole people, but 29 % of 100 are 29"""
    for n, fpr, allowed in ((150, 0.01, 1), (150, 0.05, 7), (100, 0.29, 29)):
        last = n - 1 - allowed  # the highest score among the others that must stay below, or at, the threshold
        inside = torch.tensor([last + 0.3, last + 0.7, last - 0.3, last + 1.5])
        scores, members = torch.cat([torch.arange(float(n)), inside]), torch.arange(n + 4) >= n
        what = f"{allowed} of {n} others may be accused at {fpr:.0%}, {allowed + 1} are too many: the share of 4 found"
        expect_close(rate(scores, members, fpr), 3 / 4, 1e-6, what)


def _rate_order(rate):
    """Only the order counts, and a higher rate of false accusations finds no fewer"""
    draw = runtime.generator(5)
    scores, members = torch.randn(800, generator=draw), torch.rand(800, generator=draw) < 0.5
    scores = scores + members
    got = [float(rate(scores, members, fpr)) for fpr in (0.01, 0.05, 0.3, 1.0)]
    expect(got == sorted(got), f"at 1 %, 5 %, 30 % and 100 % it finds {', '.join(f'{g:.3f}' for g in got)}")
    expect_close(rate(scores.exp(), members, 0.05), got[1], 1e-6, "the share found by exp(score)")


def _rate_refuses(rate):
    """Refuses, with a ValueError, a rate that so few others cannot show"""
    scores, members = torch.arange(100.0), torch.arange(100) >= 50
    for fpr, enough in ((0.01, False), (0.02, True), (0.001, False)):
        try:
            got = rate(scores, members, fpr)
        except ValueError:
            expect(not enough, f"50 others can show a rate of {fpr:g}: one of them")
        else:
            expect(enough, f"50 others cannot show a rate of {fpr:g}, yet it answers {float(got):.3g}")


def tpr_at_fpr(scores, members, fpr):
    return membership.tpr_at_fpr(scores, members, fpr).value


def _rate_by_roc(scores, members, fpr):
    if fpr * int((~members).sum()) < 1 - 1e-9:
        raise ValueError("too few non-members")
    false, true, _ = roc_curve(members.numpy(), scores.numpy(), drop_intermediate=False)
    return float(true[false <= fpr + 1e-12].max())


def _rate_wrong(
    scores, members, fpr, *, of="others", strict=True, late=0, slack=1e-9, refuse=True, swap=False, interpolate=False,
):  # fmt: skip
    members = ~members if swap else members
    others = {"others": scores[~members], "all": scores, "members": scores[members]}[of].sort(descending=True).values
    allowed = math.floor(fpr * len(others) + slack)
    if refuse and allowed < 1:
        raise ValueError("too few non-members")
    if interpolate:
        false, true, _ = roc_curve(members.numpy(), scores.numpy())
        return float(np.interp(fpr, false, true))
    padded = torch.cat([others, torch.tensor([-torch.inf] * 2)])
    threshold = padded[max(0, min(allowed + late, len(others)))]
    return (scores[members] > threshold if strict else scores[members] >= threshold).float().mean().item()


def _rate_by_quantile(scores, members, fpr):
    others = scores[~members]
    if len(others) * fpr < 1:
        raise ValueError("too few non-members")
    return (scores[members] > torch.quantile(others, 1 - fpr)).float().mean().item()


EXERCISE = Exercise(
    "10.tpr_at_fpr",
    title="What is found at few false accusations",
    reference=tpr_at_fpr,
    properties=[_rate_by_hand, _rate_rounds, _rate_ties, _rate_order, _rate_gauss, _rate_refuses],
    hints=[
        "How many of the others may be accused? `fpr * n_others`, rounded down. None? Then raise a ValueError.",
        "Sort the others' scores downwards. If everything *above* `sorted[allowed]` is accused, at most the first "
        "`allowed` of them are. (With `allowed` = all of them there is no such score: accuse everybody.)",
        "What counts is the share of `scores[members]` above that threshold: `>`, not `>=`: ties are not accused. "
        "Beware of rounding: `0.29 * 100` is a little below 29, so add `1e-9` before you round down.",
    ],
    second=_rate_by_roc,
    mutants={
        "a quantile of all scores": functools.partial(_rate_wrong, of="all"),
        "the false-positive rate among members": functools.partial(_rate_wrong, of="members"),
        "accuses ties": functools.partial(_rate_wrong, strict=False),
        "one accusation too few": functools.partial(_rate_wrong, late=-1),
        "one accusation too many": functools.partial(_rate_wrong, late=1),
        "answers whatever it is asked": functools.partial(_rate_wrong, refuse=False),
        "members and others exchanged": functools.partial(_rate_wrong, swap=True),
        "interpolates between points of the ROC": functools.partial(_rate_wrong, interpolate=True),
        "a quantile, which lies between two scores": _rate_by_quantile,
        "rounds up": functools.partial(_rate_wrong, slack=1 - 1e-9),
        "forgets that 0.29 × 100 is a little below 29": functools.partial(_rate_wrong, slack=0),
    },
)
