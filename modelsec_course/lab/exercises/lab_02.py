"""Lab 02: black-box evasion and transfer. NES, the Square attack, HopSkipJump, and what transfers."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import evasion, runtime
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close
from modelsec_course.lab.exercises.common import (
    class_distances,
    curved_model,
    digits_model,
    expect_inside,
    l2_length,
    linear_model,
    still_right,
)  # fmt: skip

LAB = Lab(
    number="02",
    title="Black-box evasion and transfer",
    question="Is secrecy protection?",
    minutes=75,
    difficulty=3,
    prerequisites=("Lab 01",),
    outcomes=(
        "attack a model through its scores, through its labels, and without asking it at all",
        "count queries exactly, and compare attacks at equal cost",
        "measure what transfers without counting what was wrong before",
        "build a defence that watches queries, and attack it again",
    ),
    seconds=40,
    part="Integrity at test time",
    stage="API",
)

# ---------------------------------------------------------------------------------------------------- 02.nes_gradient


class _Asked:
    """A function of rows that counts the rows."""

    def __init__(self, answer):
        self.answer, self.rows = answer, 0

    def __call__(self, x):
        self.rows += len(x)
        return self.answer(x)


def _quadratic():
    draw = runtime.generator(5)
    curvature, slope = torch.randn(4, 4, generator=draw), torch.randn(4, generator=draw)
    curvature, x = curvature + curvature.T, torch.randn(3, 4, generator=draw)
    return lambda z: 0.5 * ((z @ curvature) * z).sum(1) + z @ slope, x, x @ curvature + slope


def _nes_unbiased(estimate):
    """On a quadratic: right on average, whatever σ is"""
    scores, x, exact = _quadratic()
    for sigma in (0.05, 0.5):
        got = torch.stack([estimate(scores, x, sigma, 200, runtime.generator(k)) for k in range(30)])
        pairs = 30 * 200 / 2
        spread = ((exact.square().sum(1, keepdim=True) + exact.square()) / pairs).sqrt()  # of the mean, in closed form
        gap = ((got.mean(0) - exact) / spread).abs().max().item()
        share = ((got.mean(0) * exact).sum() / exact.square().sum()).item()
        say = f"with sigma = {sigma}, the mean of 30 estimates is {share:.2f} times the slope"
        expect(gap < 5, f"{say}, and {gap:.0f} standard errors off")


def _nes_pairs(estimate):
    """Where the score is the same on both sides of x: exactly 0"""
    centre = torch.full((2, 3), 0.4)
    got = estimate(lambda z: (z - centre).square().sum(1), centre, 0.1, 6, runtime.generator(0))
    expect_close(got, torch.zeros(2, 3), 1e-5, "the estimate where scores are symmetric about x")


def _nes_asks(estimate):
    """Asks exactly `samples` times about each input"""
    for samples in (2, 10):
        asked = _Asked(lambda z: z.flatten(1).sum(1))
        estimate(asked, torch.zeros(5, 1, 2, 2), 0.1, samples, runtime.generator(0))
        say = f"samples = {samples} for 5 inputs: asked {asked.rows} times in all"
        expect(asked.rows == 5 * samples, f"{say}, expected {5 * samples}")


def _nes_points_uphill(estimate):
    """On the lab's model: 200 samples point the gradient's way"""
    model, x, y = digits_model(20)
    _, gradient = evasion.losses.input_gradient(model, x, y, "margin")
    with torch.no_grad():
        got = estimate(lambda z: evasion.LOSSES["margin"](model(z), y), x, 0.02, 200, runtime.generator(1))
    cosine = F.cosine_similarity(got.flatten(1), gradient.flatten(1)).median().item()
    expect(cosine > 0.6, f"the median cosine to the true gradient is {cosine:.2f}, expected about 0.75")


def _nes_draws(estimate):
    """Draws from `generator`: the same seed, the same estimate"""
    scores, x, _ = _quadratic()
    one, same, other = (estimate(scores, x, 0.1, 4, runtime.generator(seed)) for seed in (1, 1, 2))
    expect_close(same, one, 1e-6, "the estimate when the seed is the same")
    expect((one != other).any(), "another seed gives the same estimate")


def nes_gradient(scores, x, sigma, samples, generator):
    return evasion.nes_gradient(scores, x, sigma=sigma, samples=samples, generator=generator)


def _nes_at_once(scores, x, sigma, samples, generator, *, both=True, divide=2.0, kind=None, average=True):
    estimate = torch.zeros_like(x)
    directions = torch.randn(samples // 2, *x.shape, generator=generator)
    for u in map(kind, directions) if kind else directions:
        ahead, behind = scores(x + sigma * u), scores(x - sigma * u) if both else scores(x)
        estimate = estimate + torch.einsum("b...,b->b...", u, (ahead - behind) / (divide * sigma))
    return estimate / (samples // 2 if average else 1)


exercise(
    "02.nes_gradient",
    title="A gradient from scores alone",
    reference=nes_gradient,
    properties=[_nes_pairs, _nes_asks, _nes_unbiased, _nes_draws, _nes_points_uphill],
    hints=[
        "Draw `u = torch.randn(x.shape, generator=generator)`, and move it with `.to(x.device)`. How much does the "
        "score rise from `x - sigma * u` to `x + sigma * u`?",
        "That rise over a distance of 2σ is the slope along u. Multiply u by it: "
        "`slope.view(-1, *[1] * (x.dim() - 1)) * u`.",
        "Add that up over `samples // 2` directions and divide by their number. Each direction costs two queries.",
    ],
    second=_nes_at_once,
    mutants={
        "compares with x itself, not with −u": functools.partial(_nes_at_once, both=False, divide=1.0),
        "forgets that the two points are 2σ apart": functools.partial(_nes_at_once, divide=1.0),
        "divides by samples, not by directions": lambda *a: nes_gradient(*a) / 2,
        "forgets to average": functools.partial(_nes_at_once, average=False),
        "asks twice as often": lambda scores, x, sigma, samples, generator: nes_gradient(
            scores, x, sigma, 2 * samples, generator
        ),
        "directions at length 1": functools.partial(_nes_at_once, kind=lambda u: F.normalize(u.flatten(1)).view_as(u)),
        "clamps what it asks": lambda scores, *a: nes_gradient(lambda z: scores(z.clamp(0, 1)), *a),
        "downhill": lambda *a: -nes_gradient(*a),
        "draws from nowhere": lambda scores, x, sigma, samples, generator: nes_gradient(
            scores, x, sigma, samples, runtime.generator(0)
        ),
    },
)

# --------------------------------------------------------------------------------------------------- 02.square_attack


def _square_ball(attack):
    """Never leaves the ball of radius ε, nor [0, 1]"""
    model, x, y = curved_model()
    for eps in (0.03, 0.3):
        x_adv, _ = attack(model, x, y, eps, 25, runtime.generator(0))
        expect_inside(x_adv, x, eps)


def _square_counts(attack):
    """`spent` is exactly what was asked: within the budget, and no more once an input has fallen"""
    model, x, y = digits_model(12)
    y = torch.cat([y[:9], (y[9:] + 1) % 10])  # the last three are read wrongly from the start
    for queries in (1, 2, 30):
        asked = _Asked(model)
        _, spent = attack(asked, x, y, 0.2, queries, runtime.generator(1))
        expect(spent.max() <= queries, f"queries = {queries}: one input was asked about {int(spent.max())} times")
        expect(
            asked.rows == int(spent.sum()),
            f"queries = {queries}: the model was asked {asked.rows} times, but spent adds up to {int(spent.sum())}",
        )
        expect(
            (spent[9:] == 1).all(),
            f"an input that is read wrongly needs one query, x itself, but spent says {spent[9:].tolist()}",
        )
    expect(spent[:9].min() > 1, "digits that are read correctly need more than one query")
    expect(spent[:9].min() < 30, "with ε = 0.2 and 30 queries no digit fell early: do earlier squares stay?")


def _square_best(attack):
    """The score never gets worse: what comes back is the best that was asked"""
    model, x, y = digits_model(12)
    margin = evasion.LOSSES["margin"]
    for i in range(6):
        seen = []
        watched = _Asked(lambda z, seen=seen: seen.append(z.clone()) or model(z))
        x_adv, _ = attack(watched, x[i : i + 1], y[i : i + 1], 0.05, 25, runtime.generator(i))
        with torch.no_grad():
            every, final = torch.cat(seen), margin(model(x_adv), y[i : i + 1]).item()
            best = margin(model(every), y[i : i + 1].expand(len(every))).max().item()
        expect(
            final > best - 1e-4, f"the best score that was asked is {best:.3f}, but the result's is only {final:.3f}"
        )


def _square_rejects(attack):
    """A square that is turned down leaves no trace: the best of a scripted row of scores comes back"""
    x, y = torch.full((1, 1, 6, 6), 0.5), torch.zeros(1, dtype=torch.int64)
    for script in ((-9, -2, -6, -4, -3, -5), (-9, -7, -8, -4, -6, -5)):
        seen = []

        def model(z, script=script, seen=seen):
            seen.append(z.clone())
            return torch.tensor([[0.0, script[min(len(seen), 6) - 1]]])

        x_adv, _ = attack(model, x, y, 0.1, 6, runtime.generator(0))
        same = torch.equal(x_adv, seen[script.index(max(script))])
        expect(
            same, f"the scores were {', '.join(map(str, script))}, but the picture of {max(script)} did not come back"
        )


def _square_fools(attack):
    """Fools more than a third of the digits at ε = 0.15 with 100 queries each, and random signs do not"""
    model, x, y = digits_model(60)
    x_adv, _ = attack(model, x, y, 0.15, 100, runtime.generator(2))
    fooled = (~still_right(model, x_adv, y)).float().mean().item()
    expect(fooled > 1 / 3, f"fooled {fooled:.0%} of 60 digits, expected more than a third")


def _pair(result, args, kwargs) -> None:
    x = kwargs.get("x", args[1] if len(args) > 1 else None)
    expect(
        isinstance(result, tuple) and len(result) == 2 and all(isinstance(part, Tensor) for part in result),
        "expected two tensors, x_adv and spent",
    )
    expect(
        result[0].shape == x.shape, f"x_adv: expected the shape of x, {tuple(x.shape)}, got {tuple(result[0].shape)}"
    )
    expect(result[1].shape == x.shape[:1], f"spent: expected {len(x)} numbers, got shape {tuple(result[1].shape)}")
    expect(not result[0].requires_grad, "x_adv drags a gradient along: the attack needs none, use torch.no_grad()")


def square_attack(model, x, y, eps, queries, generator):
    spent = torch.zeros_like(y)
    x_adv = evasion.square_attack(model, x, y, eps=eps, queries=queries, generator=generator, spent=spent)
    return x_adv, spent


@torch.no_grad()
def _square_one_by_one(
    model,
    x,
    y,
    eps,
    queries,
    generator,
    *,
    keep="better",
    late=0,
    stop=True,
    box=True,
    base="x",
    onto="current",
    move=True,
):
    """Input by input, with squares cut out by slices."""
    x_adv, spent, size = x.clone(), torch.zeros_like(y), x.shape[-1]
    for i in range(len(x)):
        picture, best, k = x[i : i + 1].clone(), -math.inf, 0
        trial = picture
        while k < queries:
            score = evasion.LOSSES["margin"](model(trial), y[i : i + 1]).item()
            k += 1
            if keep == "all" or k == 1 or (score > best) == (keep != "worse"):
                picture, best = trial, score
            best = score if keep == "above the last" else best
            if stop and best > 0:
                break
            side = max(1, round(size * math.sqrt(0.8 * (1 - k / queries) ** 2)))
            row, column = torch.randint(size - side + 1, (2,), generator=generator).tolist()
            sign = 2 * torch.randint(2, (1,), generator=generator).item() - 1
            here = (..., slice(row, row + side), slice(column, column + side))
            trial = (x[i : i + 1] if onto == "x" else picture).clone()
            trial[here] = (x[i : i + 1] if base == "x" else picture)[here] + eps * sign
            trial = trial.clamp(0, 1) if box else trial
        x_adv[i : i + 1], spent[i] = picture if move else x[i : i + 1], k - late
    return x_adv, spent


exercise(
    "02.square_attack",
    title="The Square attack",
    reference=square_attack,
    properties=[_square_ball, _square_counts, _square_best, _square_rejects, _square_fools],
    hints=[
        "Paint: `torch.where(mask, (x[standing] + eps * sign).clamp(0, 1), x_adv[standing])`. Start from **x**, not "
        "from x_adv: otherwise the second square on a pixel leaves the ball.",
        "Ask with `margin(model, proposal, y[standing])`: one query for each input in `standing`, so "
        "`spent[standing] += 1`.",
        "`better = new > best[standing]` and `rows = standing[better]`: there, write `proposal[better]` into `x_adv` "
        "and `new[better]` into `best`.",
    ],
    returns=_pair,
    second=_square_one_by_one,
    mutants={
        "keeps every square": functools.partial(_square_one_by_one, keep="all"),
        "compares with the last score, not the best": functools.partial(_square_one_by_one, keep="above the last"),
        "forgets earlier squares": functools.partial(_square_one_by_one, onto="x"),
        "keeps what lowers the score": functools.partial(_square_one_by_one, keep="worse"),
        "paints on x_adv and leaves the ball": functools.partial(_square_one_by_one, base="x_adv"),
        "forgets that pixels end at 0 and 1": functools.partial(_square_one_by_one, box=False),
        "forgets to count the look at x": functools.partial(_square_one_by_one, late=1),
        "goes on asking about what has fallen": functools.partial(_square_one_by_one, stop=False),
        "never changes anything": functools.partial(_square_one_by_one, move=False),
    },
)

# --------------------------------------------------------------------------------------------------- 02.transfer_rate


def _readers():
    """Eight inputs (8, 2): the surrogate reads the first number, the victim the second; both should be the label 1.

    The attack turns a row's numbers to 0 as the third and fourth say.
    """
    seen = torch.tensor([[1, 1], [1, 1], [1, 1], [1, 1], [0, 1], [1, 0], [0, 0], [1, 1]]).float()
    turns = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0], [1, 1], [1, 1], [0, 0], [0, 1]]).float()
    x, y = torch.cat([seen, turns], 1), torch.ones(8, dtype=torch.int64)
    surrogate = lambda z: torch.stack([0.5 - z[:, 0], z[:, 0] - 0.5], 1)  # noqa: E731
    victim = lambda z: torch.stack([0.5 - z[:, 1], z[:, 1] - 0.5], 1)  # noqa: E731
    return surrogate, victim, x, y


def _turn(model, x, y):
    return torch.cat([x[:, :2] * (1 - x[:, 2:]), x[:, 2:]], 1)


def _rate_exact(rate):
    """Counts only what both models read correctly before"""
    surrogate, victim, x, y = _readers()
    expect_close(rate(_turn, surrogate, victim, x, y), 3 / 5, 1e-6, "the rate (5 inputs count, 3 of them transfer)")
    expect_close(rate(_turn, surrogate, victim, x[[4, 5, 7]], y[:3]), 1.0, 1e-6, "the rate (1 input counts)")


def _rate_control(rate):
    """An attack that changes nothing transfers to nobody"""
    surrogate, victim, x, y = _readers()
    expect_close(rate(lambda model, x, y: x, surrogate, victim, x, y), 0.0, 1e-6, "the rate of doing nothing")


def _rate_none(rate):
    """Where no input counts, the rate is 0"""
    surrogate, victim, x, y = _readers()
    expect_close(rate(_turn, surrogate, victim, x[4:7], y[:3]), 0.0, 1e-6, "the rate when no input counts")


def _rate_crafts(rate):
    """The attack sees the surrogate, never the victim"""
    surrogate, victim, x, y = _readers()
    given = []

    def watched(model, x, y):
        given.append(model)
        return _turn(model, x, y)

    rate(watched, surrogate, victim, x, y)
    expect(given, "the attack was never called")
    expect(all(model is surrogate for model in given), "the attack was given the victim")


def _rate_own(rate):
    """On the lab's model as its own surrogate: the white-box success"""
    model, x, y = digits_model(40)
    attack = functools.partial(evasion.pgd, eps=0.1, steps=10, stop_early=False)
    success = (~still_right(model, attack(model, x, y), y)).float().mean()
    expect_close(rate(attack, model, model, x, y), success, 0.051, "the rate")


def transfer_rate(attack, surrogate, model, x, y, *, count="both", fooled="model", on="surrogate"):
    right = {"model": still_right(model, x, y), "surrogate": still_right(surrogate, x, y)}
    counted = {"both": right["model"] & right["surrogate"], "all": torch.ones_like(y, dtype=torch.bool), **right}[count]
    x_adv = attack({"surrogate": surrogate, "model": model}[on], x, y)
    fell = {"model": ~still_right(model, x_adv, y), "surrogate": ~still_right(surrogate, x_adv, y)}
    hit = fell["model"] & fell["surrogate"] if fooled == "both" else fell[fooled]
    return (hit & counted).float().sum().item() / max(int(counted.sum()), 1)


@torch.no_grad()
def _rate_rows(attack, surrogate, model, x, y):
    rows = [i for i in range(len(x)) if model(x[i : i + 1]).argmax() == y[i] == surrogate(x[i : i + 1]).argmax()]
    if not rows:
        return 0.0
    crafted = attack(surrogate, x[rows], y[rows])
    return 1 - (model(crafted).argmax(1) == y[rows]).double().mean()


exercise(
    "02.transfer_rate",
    title="What transfers",
    reference=transfer_rate,
    properties=[_rate_exact, _rate_control, _rate_none, _rate_crafts, _rate_own],
    hints=[
        "`both = (surrogate(x).argmax(1) == y) & (model(x).argmax(1) == y)` says which inputs count.",
        "Craft on the surrogate, for those inputs: `x_adv = attack(surrogate, x[both], y[both])`. Then ask the "
        "**victim**.",
        "The rate is the mean of `model(x_adv).argmax(1) != y[both]`; the mean of nothing is not a number, so return "
        "0.0 if `both` is all False.",
    ],
    second=_rate_rows,
    mutants={
        "counts every input": functools.partial(transfer_rate, count="all"),
        "counts what the victim alone reads correctly": functools.partial(transfer_rate, count="model"),
        "counts what the surrogate alone reads correctly": functools.partial(transfer_rate, count="surrogate"),
        "measures the surrogate's mistakes": functools.partial(transfer_rate, fooled="surrogate"),
        "leaves out what the surrogate withstood": functools.partial(transfer_rate, fooled="both"),
        "attacks the victim itself": functools.partial(transfer_rate, on="model"),
        "returns the accuracy that is left": lambda *a: 1 - transfer_rate(*a),
    },
)

# --------------------------------------------------------------------------------------------------- 02.hop_skip_jump


def _walled():
    """A linear model, inputs it reads correctly, a start far behind the boundary, and the closed-form distance."""
    model, x, y = linear_model(classes=2, seed=2, n=64)
    right = still_right(model, x, y)
    x, y = x[right][:24], y[right][:24]
    draw = runtime.generator(9)
    pool = torch.rand(400, 1, 6, 6, generator=draw)
    says = model(pool).argmax(1)
    start = torch.stack([pool[says != label][i] for i, label in enumerate(y)])
    return model, x, y, start, class_distances(model, x, y).amin(1)


def _only_labels(model, y):
    @torch.no_grad()
    def fools(z):
        expect(z.shape[0] == len(y), f"fools takes one point for each of {len(y)} inputs, but got {tuple(z.shape)}")
        return model(z).argmax(1) != y

    return fools


def _hop_distance(attack):
    """On a linear model: within 10 % of the smallest distance there is, and with few probes within 19 %"""
    model, x, y, start, exact = _walled()
    for probes, most in ((150, 1.1), (20, 1.19)):
        ratio = l2_length(attack(_only_labels(model, y), x, start, 10, probes, runtime.generator(0)), x) / exact
        say = f"with {probes} probes the median distance is {ratio.median():.2f} times the closed form"
        expect(ratio.min() > 0.999, "some results lie before the boundary")
        why = "does a no count as much as a yes, and is the direction of the hop at length 1?"
        expect(ratio.median() < most, f"{say}, expected at most {most}: {why}")


def _hop_near(attack):
    """Looks around near the boundary point: directions are at length 1"""
    model, x, y, start, _ = _walled()
    fools, asked = _only_labels(model, y), []
    watched = lambda z: asked.append(z.clone()) or fools(z)  # noqa: E731
    at = attack(fools, x, start, 0, 60, runtime.generator(4))
    attack(watched, x, start, 1, 60, runtime.generator(4))
    near = (torch.stack([l2_length(z, at) for z in asked]) < l2_length(at, x) / 5).float().sum(0).median().item()
    expect(
        near >= 60, f"only {near:.0f} of the points asked lie within distance / 5 of the boundary point, expected 60"
    )


def _hop_fools(attack):
    """Every result fools the model, and is a picture"""
    model, x, y, start, _ = _walled()
    for turns in (1, 4):
        x_adv = attack(_only_labels(model, y), x, start, turns, 20, runtime.generator(1))
        standing = int(still_right(model, x_adv, y).sum())
        expect(standing == 0, f"{standing} of {len(y)} results are read correctly")
        expect(x_adv.min() >= 0 and x_adv.max() <= 1, f"pixels from {x_adv.min():.3g} to {x_adv.max():.3g}")


def _hop_hops(attack):
    """Each hop comes closer: six are better than one, and one better than none"""
    model, x, y, start, exact = _walled()
    ratios = []
    for turns in (0, 1, 6):
        x_adv = attack(_only_labels(model, y), x, start, turns, 60, runtime.generator(2))
        ratios.append((l2_length(x_adv, x) / exact).median().item())
    said = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    expect(ratios[0] > ratios[1] > ratios[2], f"after 0, 1 and 6 turns the median is {said} times the closed form")


def _hop_asks(attack):
    """Asks no more than the budget: `probes` and a few halvings in each turn"""
    model, x, y, start, _ = _walled()
    fools = _Asked(_only_labels(model, y))
    attack(fools, x, start, 3, 40, runtime.generator(3))
    asked, most = fools.rows / len(x), 3 * (40 + 40) + 20
    expect(asked <= most, f"3 turns of 40 probes asked {asked:.0f} times about each input, expected at most {most}")
    expect(asked >= 3 * 40, f"3 turns of 40 probes asked only {asked:.0f} times about each input")


def _bisect(fools, x, point, halvings=12):
    low, high = torch.zeros(len(x), device=x.device), torch.ones(len(x), device=x.device)
    for _ in range(halvings):
        middle = (low + high) / 2
        wrong = fools(_between(x, point, middle))
        low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
    return _between(x, point, high)


def _between(x, point, share):
    return torch.lerp(x, point, share.view(-1, *[1] * (x.dim() - 1)))


def hop_skip_jump(
    fools, x, start, turns, probes, generator, *, toward=1.0, last=_bisect, look=True, against=None, short=True
):
    column = (-1, *[1] * (x.dim() - 1))
    unit = lambda v: v / v.flatten(1).norm(dim=1).clamp_min(1e-12).view(column)  # noqa: E731
    at = _bisect(fools, x, start)
    for turn in range(1, turns + 1):
        distance = l2_length(at, x)
        votes = torch.zeros_like(x)
        for _ in range(probes):
            u = torch.randn(x.shape, generator=generator, device=generator.device).to(x.device)
            u = unit(u) if short else u
            wrong = fools((at + (distance / 10).view(column) * u).clamp(0, 1))
            votes += u * torch.where(wrong, toward, -toward if against is None else against).view(column) if look else u
        step = distance / turn**0.5
        for _ in range(12):
            trial = (at + step.view(column) * unit(votes)).clamp(0, 1)
            step = torch.where(fools(trial), step, step / 2)
        trial = (at + step.view(column) * unit(votes)).clamp(0, 1)
        at = last(fools, x, torch.where(fools(trial).view(column), trial, at))
    return at


@torch.no_grad()
def _hop_counting(fools, x, start, turns, probes, generator):
    """Flat, keeps the closest of all, and subtracts the mean vote."""
    shape, flat = x.shape, x.flatten(1)
    ask = lambda z: fools(z.view(shape))  # noqa: E731
    best = _bisect(ask, flat, start.flatten(1))
    for turn in range(turns):
        gap = (best - flat).norm(dim=1, keepdim=True)
        u = F.normalize(torch.randn(probes, *flat.shape, generator=generator), dim=2)
        vote = torch.stack([ask((best + 0.05 * gap * some).clamp(0, 1)) for some in u]).float()  # (probes, n)
        direction = F.normalize(((vote - vote.mean(0)).unsqueeze(2) * u).sum(0) + 1e-9 * u[0], dim=1)
        reach = gap / math.sqrt(turn + 1)
        moved = best
        for _ in range(8):
            trial = (best + reach * direction).clamp(0, 1)
            moved = torch.where(ask(trial)[:, None] & (moved == best).all(1, keepdim=True), trial, moved)
            reach = reach / 2
        closer = _bisect(ask, flat, moved)
        nearer = (closer - flat).norm(dim=1, keepdim=True) < gap
        best = torch.where(nearer, closer, best)
    return best.view(shape)


def _one_shape(result, args, kwargs) -> None:
    x = kwargs.get("x", args[1] if len(args) > 1 else None)
    expect(isinstance(result, Tensor), f"expected a tensor, got a {type(result).__name__}")
    expect(result.shape == x.shape, f"expected the shape of x, {tuple(x.shape)}, got {tuple(result.shape)}")


exercise(
    "02.hop_skip_jump",
    title="HopSkipJump: labels are enough",
    reference=hop_skip_jump,
    properties=[_hop_fools, _hop_asks, _hop_near, _hop_hops, _hop_distance],
    hints=[
        "Look around: draw `u`, of length 1, and ask `fools(at + radius * u)`. Where the answer is yes, the wrong "
        "class lies that way: add u. Where it is no, subtract it.",
        "`vote = torch.where(fools(probe), 1.0, -1.0)`, then `votes += column(vote, x) * u`. After all probes, "
        "`unit(votes)` is the direction.",
        "Then `point = step_out(fools, at, unit(votes), step)`, and `at = bisect(fools, x, point)`.",
    ],
    returns=_one_shape,
    timeout=30.0,
    second=_hop_counting,
    mutants={
        "votes the wrong way": functools.partial(hop_skip_jump, toward=-1.0),
        "counts a yes alone": functools.partial(hop_skip_jump, against=0.0),
        "directions of any length": functools.partial(hop_skip_jump, short=False),
        "ignores the answers": functools.partial(hop_skip_jump, look=False),
        "does not bisect after the hop": functools.partial(hop_skip_jump, last=lambda fools, x, point: point),
        "halves past the boundary": functools.partial(
            hop_skip_jump, last=lambda fools, x, point: torch.lerp(x, _bisect(fools, x, point), 0.98)
        ),
        "stays where it started": lambda fools, x, start, turns, probes, generator: hop_skip_jump(
            fools, x, start, 0, probes, generator
        ),
    },
)

QUIZ = (
    Question(
        "Your model answers through an API and its weights are secret. What does that buy?",
        (
            "protection: without gradients there is no attack",
            "a bill for the attacker: queries, or a model of their own",
            "nothing at all: every attack works as before",
        ),
        1,
        (
            "Scores give an estimate of the gradient, labels give the boundary, and other models share its mistakes.",
            "Some hundred queries for a digit, or two for a picture that transfers. A price, not a wall.",
            "It buys the price. Attacks through the API are slower, and they can be seen.",
        ),
    ),
    Question(
        "The NES estimate averages (s(x + σu) − s(x − σu)) / 2σ · u. Why both +u and −u?",
        (
            "it halves the number of queries",
            "what is the same on both sides, the score itself and its curvature, cancels in each pair",
            "otherwise the estimate would be biased",
        ),
        1,
        (
            "It takes two queries for each direction.",
            "That part only adds noise to the estimate. On a score that is symmetric about x a pair gives exactly 0.",
            "s(x + σu) / σ · u alone is unbiased too, on average. Its noise is far larger.",
        ),
    ),
    Question(
        "A black-box attack breaks more digits than your white-box PGD at the same ε. What follows?",
        (
            "black-box attacks are stronger",
            "the white-box attack was too weak: it could have found these pictures, and did not",
            "the victim's gradients are wrong",
        ),
        1,
        (
            "Whoever knows the gradient may ignore it, so the best white-box attack is at least as strong.",
            "It is a warning sign about the evaluation. Lab 03 collects such signs.",
            "Possible, and then PGD would be far behind. Here it is a few points: PGD climbs a different hill.",
        ),
    ),
    Question(
        "Why does a full climb (stop_early=False) transfer better than the first success?",
        (
            "it is farther from x, within the same ε, and deep inside the wrong class",
            "it uses more queries to the victim",
            "it uses a larger ε",
        ),
        0,
        (
            "A first success stands just behind the surrogate's boundary, and the victim's lies a little elsewhere.",
            "Crafting asks the victim nothing.",
            "Both stay within ε. They differ in how far behind the boundary they end.",
        ),
    ),
    Question(
        "Near-duplicate detection bans nearly every account of a Square attacker. Is the API safe now?",
        (
            "yes, against query attacks in general",
            "no: an attacker who knows it asks queries that lie far apart, or asks once",
            "only if the budget for each client is raised",
        ),
        1,
        (
            "Only against attackers who do not know of it.",
            "NES with a large σ stays below the alarm, and a transferred picture needs no exploring at all.",
            "A larger budget helps the attacker.",
        ),
    ),
)
