"""The Square attack: paint random squares of ±ε, keep what raises the margin, and count every query."""

from __future__ import annotations

import functools
import itertools
import math

import torch

from modelsec_course import evasion, runtime
from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.labs.common import Watched, argument, digits_model, expect_tensors, stays_in_the_ball, still_right


def _square_ball(attack):
    """Never leaves the ball of radius ε, nor [0, 1]"""
    stays_in_the_ball(lambda model, x, y, eps: attack(model, x, y, eps, 25, runtime.generator(0))[0])


def _square_counts(attack):
    """`spent` is exactly what was asked: within the budget, and no more once an input has fallen"""
    model, x, y = digits_model(12)
    y = torch.cat([y[:9], (y[9:] + 1) % 10])  # the last three are read wrongly from the start
    for queries in (1, 2, 30):
        asked = Watched(model)
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
        watched = Watched(model)
        x_adv, _ = attack(watched, x[i : i + 1], y[i : i + 1], 0.05, 25, runtime.generator(i))
        with torch.no_grad():
            every, final = torch.cat(watched.asked), margin(model(x_adv), y[i : i + 1]).item()
            best = margin(model(every), y[i : i + 1].expand(len(every))).max().item()
        expect(
            final > best - 1e-4, f"the best score that was asked is {best:.3f}, but the result's is only {final:.3f}"
        )


def _square_rejects(attack):
    """A square that is turned down leaves no trace: the best of a scripted row of scores comes back"""
    x, y = torch.full((1, 1, 6, 6), 0.5), torch.zeros(1, dtype=torch.int64)
    for script in ((-9, -2, -6, -4, -3, -5), (-9, -7, -8, -4, -6, -5)):
        replies = itertools.chain(script, itertools.repeat(script[-1]))
        model = Watched(lambda z, replies=replies: torch.tensor([[0.0, next(replies)]]))
        x_adv, _ = attack(model, x, y, 0.1, 6, runtime.generator(0))
        same = torch.equal(x_adv, model.asked[script.index(max(script))])
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
    x = argument(args, kwargs, 1, "x")
    expect_tensors(result, x_adv=x.shape, spent=x.shape[:1])
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


EXERCISE = Exercise(
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
