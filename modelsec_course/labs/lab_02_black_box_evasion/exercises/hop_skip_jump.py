"""HopSkipJump: from labels alone, walk along the boundary towards x."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F

from modelsec_course import runtime
from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.labs.common import (
    Watched,
    class_distances,
    expect_pixels,
    l2_length,
    linear_model,
    shaped_like_x,
    still_right,
)


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
    fools = Watched(_only_labels(model, y))
    at = attack(fools.answer, x, start, 0, 60, runtime.generator(4))
    attack(fools, x, start, 1, 60, runtime.generator(4))
    near = (torch.stack([l2_length(z, at) for z in fools.asked]) < l2_length(at, x) / 5).float().sum(0).median().item()
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
        expect_pixels(x_adv)


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
    fools = Watched(_only_labels(model, y))
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
    return torch.lerp(x, point, _column(share, x))


def _column(v, x):
    return v.view(-1, *[1] * (x.dim() - 1))


def _step_out(fools, at, direction, step):
    """The farthest of at + step, at + step / 2, … that still fools, or `at` itself."""
    for _ in range(12):
        trial = (at + _column(step, at) * direction).clamp(0, 1)
        step = torch.where(fools(trial), step, step / 2)
    trial = (at + _column(step, at) * direction).clamp(0, 1)
    return torch.where(_column(fools(trial), at), trial, at)


def _unit(v):
    return v / _column(v.flatten(1).norm(dim=1).clamp_min(1e-12), v)


def _noise(at, generator):
    return torch.randn(at.shape, generator=generator, device=generator.device).to(at.device)


def hop_skip_jump(fools, x, start, turns, probes, generator):
    at = _bisect(fools, x, start)
    for turn in range(1, turns + 1):
        distance = l2_length(at, x)
        votes = torch.zeros_like(x)
        for _ in range(probes):
            u = _unit(_noise(x, generator))
            wrong = fools((at + _column(distance / 10, x) * u).clamp(0, 1))
            votes += _column(torch.where(wrong, 1.0, -1.0), x) * u
        at = _bisect(fools, x, _step_out(fools, at, _unit(votes), distance / turn**0.5))
    return at


def _hop_wrong(fools, x, start, turns, probes, generator, *, vote=(1.0, -1.0), unit=_unit, last=_bisect):
    """`vote`: what a yes counts and what a no does.  `unit`: a direction's length.  `last`: ends a hop."""
    at = _bisect(fools, x, start)
    for turn in range(1, turns + 1):
        distance, votes = l2_length(at, x), torch.zeros_like(x)
        for _ in range(probes):
            u = unit(_noise(x, generator))
            wrong = fools((at + _column(distance / 10, x) * u).clamp(0, 1))
            votes += _column(torch.where(wrong, *vote), x) * u
        at = last(fools, x, _step_out(fools, at, _unit(votes), distance / turn**0.5))
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


EXERCISE = Exercise(
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
    returns=shaped_like_x,
    timeout=30.0,
    second=_hop_counting,
    mutants={
        "votes the wrong way": functools.partial(_hop_wrong, vote=(-1.0, 1.0)),
        "counts a yes alone": functools.partial(_hop_wrong, vote=(1.0, 0.0)),
        "directions of any length": functools.partial(_hop_wrong, unit=lambda u: u),
        "ignores the answers": functools.partial(_hop_wrong, vote=(1.0, 1.0)),
        "does not bisect after the hop": functools.partial(_hop_wrong, last=lambda fools, x, point: point),
        "halves past the boundary": functools.partial(
            _hop_wrong, last=lambda fools, x, point: torch.lerp(x, _bisect(fools, x, point), 0.98)
        ),
        "stays where it started": lambda fools, x, start, turns, probes, generator: hop_skip_jump(
            fools, x, start, 0, probes, generator
        ),
    },
)
