"""Lab 10: who was in the training data? The gap, LiRA, and what is found at few false accusations."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from sklearn.metrics import roc_curve
from torch import Tensor
from torch.distributions import Normal

from modelsec_course import membership, runtime
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close

LAB = Lab(
    number="10",
    title="Membership and attribute inference",
    question="Was this record used?",
    minutes=80,
    difficulty=3,
    prerequisites=("Lab 02, for what a query is", "a little probability: densities, and the Gaussian"),
    outcomes=(
        "name members of a training set from a model's answers, and say how sure you are",
        "measure an attack where it matters: at few false accusations, with intervals",
        "train seventy shadow models in the time of a few",
        "tell leakage of a record from what anybody could have guessed",
    ),
    seconds=40,
    part="Confidentiality",
    stage="API",
)

# ------------------------------------------------------------------------------------------------------ 10.gap_attack


def _answers(n: int = 120, classes: int = 5, inside: int = 30, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (n, classes) that are right more often for the first `inside` records, the members."""
    draw = runtime.generator(seed)
    y, members = torch.randint(classes, (n,), generator=draw), torch.arange(n) < inside
    right = torch.rand(n, generator=draw) < torch.where(members, 0.9, 0.6)
    said = torch.where(right, y, (y + 1) % classes)
    logits = torch.rand(n, classes, generator=draw)
    return logits.scatter_add(1, said[:, None], torch.full((n, 1), 1.5)), y, members


def _gap_exact(gap):
    """Is train minus test accuracy, for groups of any size"""
    for inside in (30, 90):
        logits, y, members = _answers(inside=inside)
        right = [bool(a == b) for a, b in zip(logits.argmax(1).tolist(), y.tolist(), strict=True)]
        train, test = sum(right[:inside]) / inside, sum(right[inside:]) / (len(right) - inside)
        what = f"the advantage (accuracy {train:.3f} on {inside} members, {test:.3f} on {len(right) - inside} others)"
        expect_close(gap(logits, y, members), train - test, 1e-5, what)


def _gap_extremes(gap):
    """1 for a model that knows its members only, 0 for one that is right, or wrong, about everybody"""
    y, members = torch.arange(40) % 4, torch.arange(40) % 3 == 0
    right, wrong = torch.eye(4)[y], torch.eye(4)[(y + 1) % 4]
    for logits, want, kind in (
        (torch.where(members[:, None], right, wrong), 1.0, "right about members only"),
        (right, 0.0, "right about everybody"),
        (wrong, 0.0, "wrong about everybody"),
        (torch.where(members[:, None], wrong, right), -1.0, "right about the others only"),
    ):
        expect_close(gap(logits, y, members), want, 1e-6, f"the advantage against a model that is {kind}")


def _gap_scale(gap):
    """Needs the label only: logits ten times as large change nothing"""
    logits, y, members = _answers(seed=1)
    expect_close(gap(10 * logits, y, members), gap(logits, y, members), 1e-6, "the advantage at ten times the logits")


def gap_attack(logits, y, members):
    guess = membership.gap_attack(logits, y)  # 1 says "a member"
    return (guess[members].mean() - guess[~members].mean()).item()


def _gap_by_counts(logits, y, members):
    hit = (logits.max(1).values == logits.gather(1, y[:, None])[:, 0]).double()
    inside = members.double()
    return float(hit @ inside / inside.sum() - hit @ (1 - inside) / (1 - inside).sum())


exercise(
    "10.gap_attack",
    title="The gap",
    reference=gap_attack,
    properties=[_gap_exact, _gap_extremes, _gap_scale],
    hints=[
        "When does this attacker say *member*? When `logits.argmax(1) == y`.",
        "The true-positive rate is the share of members of whom it says so: `right[members].float().mean()`. The "
        "false-positive rate is the same share among `~members`.",
    ],
    second=_gap_by_counts,
    mutants={
        "the other way round": lambda *a: -gap_attack(*a),
        "the accuracy on members": lambda logits, y, members: (logits.argmax(1) == y)[members].float().mean().item(),
        "compares with everybody": lambda logits, y, members: (
            (logits.argmax(1) == y)[members].float().mean() - (logits.argmax(1) == y).float().mean()
        ).item(),
        "divides by all records": lambda logits, y, members: (
            (2.0 * members - 1) * (logits.argmax(1) == y)
        ).mean().item(),
        "the share of right guesses": lambda logits, y, members: (
            ((logits.argmax(1) == y) == members).float().mean().item()
        ),
        "a threshold on the probability": lambda logits, y, members: (
            lambda sure: (sure[members].mean() - sure[~members].mean()).item()
        )((logits.softmax(1).gather(1, y[:, None])[:, 0] > 0.5).float()),
    },
)  # fmt: skip

# ----------------------------------------------------------------------------------------------------- 10.logit_scale


def _scale_exact(scale):
    """Is log p − log(1 − p), for one model and for many"""
    draw = runtime.generator(2)
    y = torch.randint(6, (50,), generator=draw)
    for shape in ((50, 6), (3, 50, 6), (2, 3, 50, 6)):
        logits = 2 * torch.randn(shape, generator=draw, dtype=torch.float64)
        p = logits.exp() / logits.exp().sum(-1, keepdim=True)
        own = (p * torch.eye(6, dtype=torch.float64)[y]).sum(-1)
        expect_close(scale(logits, y), own.log() - (1 - own).log(), 1e-5, f"the log-odds of logits {shape}")


def _scale_saturates(scale):
    """Stays exact when p rounds to 1, and when it rounds to 0"""
    z = torch.tensor([1.0, 20.0, 60.0, 500.0, -20.0, -200.0, -500.0])
    logits, y = torch.stack([torch.zeros_like(z), z], 1), torch.ones(len(z), dtype=torch.int64)
    got = scale(logits, y)
    bad = ~torch.isfinite(torch.as_tensor(got))
    if bad.any():
        raise AssertionError(f"with two classes and a margin of {z[bad][0]:g} it should be {z[bad][0]:g}, got "
                             f"{float(got[bad][0])}: do not go through p, which rounds")  # fmt: skip
    expect_close(got, z, 1e-4, "the log-odds of two classes, which are z_y − z_other")


def _scale_shift(scale):
    """Does not change when the same number is added to all logits"""
    logits, y, _ = _answers(n=30)
    expect_close(scale(logits + 300, y), scale(logits, y), 1e-3, "the log-odds of logits + 300")


def _scale_many(scale):
    """Among k equal logits it is −log(k − 1)"""
    for k in (2, 3, 10):
        got = scale(torch.full((4, k), 7.0), torch.zeros(4, dtype=torch.int64))
        expect_close(got, torch.full((4,), -math.log(k - 1)), 1e-5, f"the log-odds among {k} equal logits")


def _scale_by_softmax(logits, y):
    """log p, and log(1 − p) as a sum over the other classes of their log-probabilities."""
    mine = torch.nn.functional.one_hot(y, logits.shape[-1]).bool().expand_as(logits)
    log_p = logits.log_softmax(-1)
    return log_p[mine].view(logits.shape[:-1]) - log_p.masked_fill(mine, -torch.inf).logsumexp(-1)


def _own(values, y):
    return values.gather(-1, y.expand(values.shape[:-1])[..., None])[..., 0]


exercise(
    "10.logit_scale",
    title="Confidence on a scale that does not end",
    reference=membership.logit_scale,
    properties=[_scale_exact, _scale_many, _scale_shift, _scale_saturates],
    hints=[
        "With p = exp(z_y) / Σ exp(z_k), what is 1 − p? The *same* denominator cancels from p / (1 − p).",
        "So the log-odds are z_y − log Σ over k ≠ y of exp(z_k): `logsumexp` of the others. To leave y out, put −∞ in "
        "its place: `logits.scatter(-1, own, -torch.inf)`.",
        "`own = y.expand(logits.shape[:-1])[..., None]` has the shape that `gather` and `scatter` want; z_y is "
        "`logits.gather(-1, own)[..., 0]`.",
    ],
    second=_scale_by_softmax,
    mutants={
        "through p": lambda logits, y: (lambda p: (p / (1 - p)).log())(_own(logits.softmax(-1), y)),
        "through p, with a small number added": lambda logits, y: (
            lambda p: (p + 1e-9).log() - (1 - p + 1e-9).log()
        )(_own(logits.softmax(-1), y)),
        "the log-probability": lambda logits, y: _own(logits.log_softmax(-1), y),
        "the margin to the best other class": lambda logits, y: (
            _own(logits, y) - logits.scatter(-1, y.expand(logits.shape[:-1])[..., None], -torch.inf).amax(-1)
        ),
        "the probability": lambda logits, y: _own(logits.softmax(-1), y),
        "the model's label, not the record's": lambda logits, y: membership.logit_scale(
            logits, logits.argmax(-1).flatten()[: len(y)]
        ),
        "upside down": lambda logits, y: -membership.logit_scale(logits, y),
    },
)  # fmt: skip

# ----------------------------------------------------------------------------------------------------- 10.tpr_at_fpr


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


exercise(
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

# -------------------------------------------------------------------------------------------------------------- 10.lira


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


exercise(
    "10.lira",
    title="The likelihood ratio",
    reference=membership.lira,
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

# -------------------------------------------------------------------------------------------------- 10.infer_attribute


def _people(n=8, seed=3):
    """Records with three columns, outcomes, and a plane whose slope along column 1 is 2."""
    draw = runtime.generator(seed)
    x, weight = torch.randn(n, 3, generator=draw), torch.tensor([0.5, 2.0, -1.0])
    return x, 3 * torch.randn(n, generator=draw), lambda rows: rows @ weight


EVEN = torch.tensor([0.5, 0.5])


def _attribute_prior(infer):
    """A model that ignores the column leaves the prior as it was"""
    x, y, _ = _people()
    each = torch.rand(8, 2, generator=runtime.generator(4)) + 0.1
    for prior in (torch.tensor([0.2, 0.8]), each / each.sum(1, keepdim=True)):
        got = infer(lambda rows: rows[:, 0], x, y, 1, (0.0, 1.0), prior, 0.5)
        expect_close(got, prior.expand(8, 2), 1e-4, f"with a prior of shape {tuple(prior.shape)}, the probabilities")


def _attribute_odds(infer):
    """On a plane: the odds of two Gaussians, in closed form"""
    x, y, plane = _people()
    for sigma, prior in ((2.0, 0.5), (4.0, 0.2)):
        got = infer(plane, x, y, 1, (1.0, 4.0), torch.tensor([1 - prior, prior]), sigma)
        rest = y - plane(x * torch.tensor([1.0, 0.0, 1.0]))  # ((rest − 2)² − (rest − 8)²) / 2σ²
        odds = math.log(prior / (1 - prior)) + (12 * rest - 60) / (2 * sigma**2)
        what = f"with sigma = {sigma} and a prior of {prior}, the probability of the second value"
        expect_close(got[:, 1], odds.sigmoid(), 1e-4, what)
        expect_close(got.sum(1), torch.ones(8), 1e-4, "the sum over the values")


def _attribute_hidden(infer):
    """Never looks at the hidden column, and leaves the records as they are"""
    x, y, plane = _people()
    want = infer(plane, x.clone(), y, 1, (0.0, 1.0), EVEN, 1.0)
    other = x.clone()
    other[:, 1] = 50.0
    before = other.clone()
    expect_close(infer(plane, other, y, 1, (0.0, 1.0), EVEN, 1.0), want, 1e-4, "with another number in the column")
    expect(torch.equal(other, before), "the caller's x was changed: work on x.clone()")


def _attribute_far(infer):
    """An outcome 1,000 σ from every answer still gives probabilities"""
    x, _, plane = _people()
    got = infer(plane, x, plane(x) + 1000, 1, (0.0, 1.0), EVEN, 1.0)
    expect(got.isfinite().all(), "the densities underflow to 0 / 0: add logarithms instead, and end with softmax")
    expect(got[:, 1].min() > 0.99, f"the nearer answer gets only {got[:, 1].min():.3f}")


def _attribute_table(infer):
    """A model that is a table of its members gives away all of them; of strangers it knows nothing"""
    draw = runtime.generator(6)
    x, y = torch.randn(400, 4, generator=draw), torch.randn(400, generator=draw)
    x[:, 2] = torch.randint(2, (400,), generator=draw).float()
    members = x[:200] * torch.tensor([1.0, 1, 9, 1])

    def table(rows):
        return y[:200][torch.cdist(rows * torch.tensor([1.0, 1, 9, 1]), members).argmin(1)]

    for who, rows, low, high in (("members", slice(0, 200), 0.95, 1), ("strangers", slice(200, 400), 0.35, 0.65)):
        got = infer(table, x[rows], y[rows], 2, (0.0, 1.0), EVEN, 0.05).argmax(1)
        right = (got == x[rows, 2]).float().mean().item()
        expect(low <= right <= high, f"of the {who}, {right:.0%} are guessed right, expected {low:.0%} to {high:.0%}")


def infer_attribute(model, x, y, column, values, prior, sigma):
    return membership.infer_attribute(model, x, y, column=column, values=values, prior=prior, sigma=sigma)


def _attribute_densities(
    model, x, y, column, values, prior, sigma,
    *, weigh=True, put=lambda x, i, value: value, power=2, twice=2, sign=-1, over=1, logs=True,
):  # fmt: skip
    """Density by density, in float64, the largest taken out before they are added."""
    parts = []
    for i, value in enumerate(values):
        asked = x.clone()
        asked[:, column] = put(x, i, value)
        parts.append(sign * (y - model(asked)).double() ** 2 / (twice * sigma**power))
    parts = torch.stack(parts, 1)
    weights = (parts - parts.amax(1, keepdim=True) if logs else parts).exp()
    weights = weights * prior if weigh else weights
    return (weights / weights.sum(over, keepdim=True)).float()


def _in_place(model, x, y, column, values, prior, sigma):
    parts = []
    for value in values:
        x[:, column] = value
        parts.append(-(y - model(x)).square() / (2 * sigma**2))
    return (prior.log() + torch.stack(parts, 1)).softmax(1)


exercise(
    "10.infer_attribute",
    title="Guess the column that is missing",
    reference=infer_attribute,
    properties=[_attribute_prior, _attribute_odds, _attribute_hidden, _attribute_far, _attribute_table],
    hints=[
        "Ask once for each value: `asked = x.clone()`, `asked[:, column] = value`, `model(asked)`. Which answer is "
        "closest to y?",
        "The logarithm of a Gaussian's density, but for a constant, is `-(y - answer) ** 2 / (2 * sigma**2)`. Add "
        "`prior.log()`.",
        "Put one such column for each value side by side with `torch.stack(..., 1)`. `.softmax(1)` takes the "
        "exponential and divides by the sum, without underflow.",
    ],
    second=_attribute_densities,
    mutants={
        "forgets the prior": functools.partial(_attribute_densities, weigh=False),
        "forgets the square of σ": functools.partial(_attribute_densities, power=1),
        "forgets the 2 of 2σ²": functools.partial(_attribute_densities, twice=1),
        "prefers the worst answer": functools.partial(_attribute_densities, sign=1),
        "asks with the value's index": functools.partial(_attribute_densities, put=lambda x, i, value: float(i)),
        "asks with what the column holds": functools.partial(
            _attribute_densities, put=lambda x, i, value: x[:, 1] + value
        ),
        "divides by the sum over people": functools.partial(_attribute_densities, over=0),
        "multiplies densities that underflow": functools.partial(_attribute_densities, logs=False),
        "writes into the caller's records": _in_place,
    },
)

# ---------------------------------------------------------------------------------------------------------------- quiz

QUIZ = (
    Question(
        "An attack has AUC 0.60 and finds 1 % of the members at 1 % false accusations. What can it do?",
        (
            "it names members a little better than chance, as 0.60 says",
            "nothing that matters: at an accusation rate where it may be believed, it guesses",
            "it needs a better threshold",
        ),
        1,
        (
            "On average over all thresholds, yes. But nobody is accused at a rate of 50 % false alarms.",
            "At 1 % false accusations, finding 1 % is what dice do. The 0.60 comes from the other end of the curve.",
            "This is the best threshold for that rate. What it lacks is a comparison of each record with itself.",
        ),
    ),
    Question(
        "Why does LiRA beat one threshold for all records?",
        (
            "it asks the model more often",
            "its shadow models are larger than the victim",
            "it compares each answer with what models say of the same record, so easy records do not look like members",
        ),
        2,
        (
            "One query for a record, like the threshold.",
            "They have the victim's architecture and size.",
            "Of some people all models are sure, with them or without. What counts is the change that the record made.",
        ),
    ),
    Question(
        "The service hides its scores and answers with a label only. Is membership safe?",
        (
            "no: shadows say which label to expect, and noisy copies how far the boundary is",
            "yes: a label is the same for members and others",
            "yes, if the model's test accuracy is high",
        ),
        0,
        (
            "It costs the attacker part of the finds, and queries win some back. The model has still memorised.",
            "It is wrong more often for others, and near the boundary more easily moved.",
            "Accuracy is an average. Who leaks is the odd record, of which the average says nothing.",
        ),
    ),
    Question(
        "A paper reports AUC 0.95. Its non-members were collected a year after its members. What do you ask for?",
        (
            "more shadow models",
            "the score of an attack that never asks the model",
            "the false-positive rate at AUC 0.95",
        ),
        1,
        (
            "They would make a better attack of a broken experiment.",
            "If that *blind* attack does as well, the score is about the year, and not about membership.",
            "An AUC has none: it runs over all of them.",
        ),
    ),
    Question(
        "An attack on a model guesses the sex of 70 % of its members. What has leaked?",
        (
            "their sex, with 70 % confidence",
            "nothing yet: compare with imputation, and with people whom the model has not seen",
            "the model's weights",
        ),
        1,
        (
            "What other columns tell anybody is no leak of the model's, and here they tell as much.",
            "Only what lies above both is memory of these records: much for the network, hardly any for ridge.",
            "The attack asks for predictions and learns no weight.",
        ),
    ),
)
