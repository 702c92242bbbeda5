"""LiRA: a likelihood ratio of two Gaussians for each record, fitted to shadow models with and without it."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor

from modelsec_course import membership, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _world(n: int = 4000, shadows: int = 32, shift: float = 1.0, seed: int = 6) -> tuple[Tensor, ...]:
    """Records of very different difficulty: an answer is N(difficulty + shift, 1) with the record, without it lower."""
    draw = runtime.generator(seed)
    difficulty, members = 3 * torch.randn(n, generator=draw), torch.rand(shadows + 1, n, generator=draw) < 0.5
    answers = difficulty + shift * members + torch.randn(shadows + 1, n, generator=draw)
    return answers[0], answers[1:], members[1:], members[0]


def _lira_exact(lira):
    """Equal spreads: 0 half-way between the two means, and higher on the side of the members"""
    middle, half = torch.tensor([0.0, 5.0, -40.0]), torch.tensor([1.0, 2.0, 0.5])
    wobble = torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None]
    members = torch.tensor([True, True, False, False])[:, None].expand(4, 3)
    shadows = torch.where(members, middle + half, middle - half) + wobble
    expect_close(lira(middle, shadows, members), torch.zeros(3), 1e-4, "half-way between the two means, the score")
    up, down = lira(middle + 0.3, shadows, members), lira(middle - 0.3, shadows, members)
    expect(
        up > 0,
        f"nearer to the models with the record the score must be above 0, got {[round(v, 3) for v in up.tolist()]}",
    )
    expect_close(
        up, -torch.as_tensor(down), 1e-4, "the scores on both sides of the middle, the second with its sign turned"
    )
    expect_close(
        up / half, (up / half)[:1].expand(3), 1e-4, "the score ÷ the distance of the means (one pooled spread)"
    )


def _lira_spread(lira):
    """Equal means: log(spread without ÷ spread with), since a density is 1/σ high"""
    wobble = torch.tensor([1.0, -1.0, 3.0, -3.0])[:, None]
    members = torch.tensor([True, True, False, False])[:, None].expand(4, 5)
    got = lira(torch.full((5,), 2.0), 2 + wobble.expand(4, 5), members)
    expect_close(got, torch.full((5,), math.log(3)), 1e-3, "spreads 1 with and 3 without, the score at the common mean")


def _lira_pooled(lira):
    """One spread for all records: what each deviates from its own mean, all deviations together"""
    sign = torch.tensor([1.0, -1.0]).repeat(200)[:, None]
    members = torch.arange(400)[:, None] < torch.tensor([300, 100])  # shadows with the record: 300 and 100
    shadows = torch.where(members, 1.0, -1.0) + sign * torch.where(members == torch.tensor([True, False]), 1.0, 3.0)
    got = lira(torch.full((2,), 3.0), shadows, members)  # with and without, spread² is (300 × 1² + 100 × 3²) / 400 = 3
    what = "two records' spreads are 1 over 300 shadows and 3 over 100, pooled √3, means 1 and −1: the scores at 3"
    expect_close(got, torch.full((2,), 2.0), 0.05, what)


def _lira_closed_form(lira):
    """Scores N(μ, 1) for members, N(0, 1) for others, μ = 1, moved by how hard a record is: finds 5 % to 10 % at 1 %"""
    target, shadows, members, truth = _world(n=20_000, shadows=64)
    found = membership.tpr_at_fpr(torch.as_tensor(lira(target, shadows, members)), truth, 0.01).value
    limit = "9.2 % with endless shadows, Φ(Φ⁻¹(0.01) + 1), about 7.6 % with these 64"
    say = f"at 1 % false accusations it finds {found:.1%}, expected {limit}"
    expect(0.05 < found < 0.1, f"{say} (one threshold for all finds {_plain(target, truth):.1%})")


def _plain(target: Tensor, truth: Tensor) -> float:
    return membership.tpr_at_fpr(target, truth, 0.01).value


def _lira_control(lira):
    """Where members and others are alike, it guesses: AUC 0.5"""
    target, shadows, members, truth = _world(shift=0.0, seed=7)
    got = membership.auc(torch.as_tensor(lira(target, shadows, members)), truth).value
    expect(abs(got - 0.5) < 0.04, f"shadows with and without a record are alike, but the AUC is {got:.2f}")


def _lira_far(lira):
    """Stays finite far away from both Gaussians"""
    _, shadows, members, _ = _world(n=50)
    got = torch.as_tensor(lira(torch.full((50,), 90.0), shadows, members))
    expect(
        got.isfinite(), "an answer 90 above all shadows gives infinity or NaN: subtract log-densities, do not divide"
    )


def _lira_many(lira):
    """Several models at once, (models, n), give what each gives alone"""
    target, shadows, members, _ = _world(n=60)
    both = lira(torch.stack([target, target + 1]), shadows, members)
    expect_close(both, torch.stack([lira(target, shadows, members), lira(target + 1, shadows, members)]), 1e-4,
                 "the scores of two models")  # fmt: skip


def lira(target, shadows, members):
    return membership.lira(target, shadows, members)


def _lira_by_hand(
    target, shadows, members, *, ignore="", swap=False, own=True, pool="deviations", densities=False, slack=1e-6
):
    """With nan-means in numpy, and the Gaussian written out."""
    t, s, m = np.asarray(target, float), np.asarray(shadows, float), np.asarray(members)
    inside, outside = np.where(m, s, np.nan), np.where(m, np.nan, s)
    means = [np.nanmean(part, 0 if own else None) for part in (inside, outside)]
    squares = [(part - mean) ** 2 for part, mean in zip((inside, outside), means, strict=True)]
    if pool != "deviations":  # each record's own variance, or the mean of these
        squares = [np.nanmean(part, 0) for part in squares]
    spreads = [np.sqrt(part if pool == "each" else np.nanmean(part)) + slack for part in squares]
    means, spreads = (means[::-1], spreads[::-1]) if swap else (means, spreads)
    logs = [-((t - mean) ** 2) / (2 * spread**2) - (0 if ignore == "height" else np.log(spread))
            for mean, spread in zip(means, spreads, strict=True)]  # fmt: skip
    if densities:
        with np.errstate(invalid="ignore"):  # 0 / 0, far away from both
            return torch.as_tensor(np.exp(logs[0]) / np.exp(logs[1]))
    return torch.as_tensor({"in": -logs[1], "out": logs[0]}.get(ignore, logs[0] - logs[1]))


EXERCISE = Exercise(
    "10.lira",
    title="The likelihood ratio",
    reference=lira,
    properties=[_lira_exact, _lira_spread, _lira_pooled, _lira_control, _lira_closed_form, _lira_many, _lira_far],
    hints=[
        "Two means for each record: over the shadows with it, and over those without. "
        "`torch.where(members, shadows, 0).sum(0) / members.sum(0)` is the first.",
        "Two spreads in all: `(shadows - mean_in)[members].std()`, and the same for `~members`.",
        "`Normal(mean_in, std_in).log_prob(target) - Normal(mean_out, std_out).log_prob(target)`, from "
        "`torch.distributions`.",
    ],
    second=_lira_by_hand,
    mutants={
        "with and without exchanged": functools.partial(_lira_by_hand, swap=True),
        "one mean for all records": functools.partial(_lira_by_hand, own=False),
        "a spread for each record": functools.partial(_lira_by_hand, pool="each"),
        "the mean of the records' variances": functools.partial(_lira_by_hand, pool="variances"),
        "forgets that a wide density is low": functools.partial(_lira_by_hand, ignore="height"),
        "looks at models without the record only": functools.partial(_lira_by_hand, ignore="in"),
        "looks at models with the record only": functools.partial(_lira_by_hand, ignore="out"),
        "divides densities": functools.partial(_lira_by_hand, densities=True),
        "one threshold for all": lambda target, shadows, members: target - shadows.mean(),
    },
)
