"""A search that asks only about rows that can exist, within its budget of queries."""

from __future__ import annotations

import functools

import torch

from modelsec_course import runtime
from modelsec_course.data import payments
from modelsec_course.evasion import tabular
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import Watched, expect_draws, shaped_like_x
from modelsec_course.labs.lab_06_fraud.exercises.shared import suspicion

TABLE = payments.SCHEMA


def _budget(evade):
    """Asks about each payment at most `queries` times, and first about the payment as it is"""
    score, x, threshold = suspicion()
    for queries in (1, 7):
        score.rows, score.asked = 0, []
        evade(score, x, TABLE, threshold - 100, queries, runtime.generator(0))  # nothing passes
        asked = torch.cat(score.asked) if score.asked else x[:0]
        unasked = (~(x[:, None] == asked).all(2).any(1)).sum().item()
        expect(unasked == 0, f"it never asked about {unasked} of the {len(x)} payments as they are")
        expect(torch.equal(asked[0], x[0]), "the first row asked about must be the first of x, as it is")
        expect(
            score.rows <= queries * len(x),
            f"{len(x)} payments and {queries} queries each: it asked about {score.rows} rows, not {queries * len(x)}",
        )
        expect(
            score.rows == queries * len(x),
            f"nothing passed, yet it asked about {score.rows} rows where {queries * len(x)} were paid for",
        )


def _possible(evade):
    """Every row that is asked about keeps the table's rules: an impossible one is no query that anybody can make"""
    score, x, threshold = suspicion()
    evade(score, x, TABLE, threshold - 100, 12, runtime.generator(1))
    for rows in score.asked:
        broken = tabular.broken_rules(rows, TABLE)
        rule, n = next(iter(broken.items()), ("", 0))
        expect(not broken, f"{n} of {len(rows)} rows that it asked about break a rule: {rule}")


def _from_x(evade):
    """The result is made out of its own payment: what the attacker cannot set is as it was"""
    score, x, threshold = suspicion()
    made = evade(score, x, TABLE, threshold - 100, 15, runtime.generator(2))
    broken = tabular.broken_rules(made, TABLE, x)
    rule, n = next(iter(broken.items()), ("", 0))
    expect(not broken, f"{n} of {len(x)} results break a rule, seen from their own x: {rule}")


def _lower(evade):
    """No score ever rises, and more queries find lower ones"""
    score, x, threshold = suspicion()
    start, found = score.answer(x), []
    for queries in (10, 90):
        made = evade(score, x, TABLE, threshold - 100, queries, runtime.generator(3))
        rose = (score.answer(made) > start + 1e-4).sum().item()
        expect(rose == 0, f"with {queries} queries {rose} of {len(x)} results score above the payment they began with")
        found.append(score.answer(made).mean().item())
    few, many = found
    fell = start.mean().item()
    expect(
        few < fell - 0.05, f"the mean score starts at {fell:.2f}; after 10 queries it should be lower, not {few:.2f}"
    )
    expect(
        many < 0.5 * fell,
        f"the mean score falls from {fell:.2f} to {many:.2f} in 90 queries, not by half: does each move start from "
        "the best row so far?",
    )


def _best(evade):
    """Returns the best row that it asked about"""
    score, x, threshold = suspicion()
    made = evade(score, x[:1], TABLE, threshold - 100, 20, runtime.generator(4))
    lowest = min(score.answer(rows).min().item() for rows in score.asked)
    expect_close(score.answer(made)[0], lowest, 1e-4, "the score of the result, and the lowest that the model has said")


def _stops(evade):
    """A payment that passes is asked about no more, and a payment that passes as it is stays as it is"""
    score, x, threshold = suspicion()
    passes = score.answer(x) < threshold
    made = evade(score, x, TABLE, threshold, 15, runtime.generator(5))
    expect_close(made[passes], x[passes], 1e-6, "payments that pass as they are")
    score.rows = 0
    evade(score, x, TABLE, 1e9, 15, runtime.generator(5))
    expect(score.rows == len(x), f"all {len(x)} payments pass at once, yet it asked about {score.rows} rows")
    score.rows = 0
    evade(score, x, TABLE, threshold, 15, runtime.generator(5))
    expect(score.rows < 15 * len(x), "some passed on the way, yet it went on asking about them")
    flat = Watched(lambda rows: torch.full_like(rows[:, 0], threshold))
    evade(flat, x, TABLE, threshold, 3, runtime.generator(5))
    expect(
        flat.rows == 3 * len(x),
        f"a score of exactly the threshold is refused, yet of {3 * len(x)} queries it used {flat.rows}",
    )


def _seeded(evade):
    """Moves are drawn from `generator`"""
    score, x, threshold = suspicion()
    expect_draws(lambda draw: evade(score, x, TABLE, threshold - 100, 6, draw), "the result")


def feasible_evasion(score, x, schema, threshold, queries, generator):
    best, lowest = x.clone(), score(x)
    for _ in range(queries - 1):
        rows = (lowest >= threshold).nonzero().flatten()
        if not len(rows):
            break
        tried = tabular.random_moves(best[rows], schema, generator)
        tried = tabular.project_feasible(tried, x[rows], schema)
        answer = score(tried)
        better = answer < lowest[rows]
        best[rows[better]], lowest[rows[better]] = tried[better], answer[better]
    return best


def _masked(
    score, x, schema, threshold, queries, generator, *,
    project="asked", extra=0, keep="better", stop=True, base="best", start="ask", seeded=True, still=torch.ge,
):  # fmt: skip
    """With masks in place of numbers of rows."""
    best, lowest = x.clone(), torch.full_like(x[:, 0], torch.inf)
    if start == "ask":
        lowest = score(x)
    draw = generator if seeded else runtime.generator(0)
    for _ in range(queries - (start == "ask") + extra):
        standing = still(lowest, threshold) | (not stop)
        if not standing.any():
            break
        here = {"best": best, "x": x}[base][standing]
        tried = tabular.random_moves(here, schema, draw)
        if project == "asked":
            tried = tabular.project_feasible(tried, x[standing], schema)
        elif project == "from best":
            tried = tabular.project_feasible(tried, best[standing], schema.restricted())
        answer = score(tried)
        kept = {"better": answer < lowest[standing], "all": answer == answer, "worse": answer > lowest[standing]}[keep]
        best[standing] = torch.where(kept[:, None], tried, best[standing])
        lowest[standing] = torch.where(kept, answer, lowest[standing])
    if project == "at the end":
        best = tabular.project_feasible(best, x, schema)
    return best


EXERCISE = Exercise(
    "06.feasible_evasion",
    title="A search among possible payments",
    reference=feasible_evasion,
    properties=[_budget, _possible, _from_x, _lower, _best, _stops, _seeded],
    hints=[
        "`best, lowest = x.clone(), score(x)` is the first query. `queries - 1` are left for the loop.",
        "In the loop: `rows = (lowest >= threshold).nonzero().flatten()`. Move `best[rows]`, project towards "
        "`x[rows]`, then ask.",
        "Keep what is better: `better = answer < lowest[rows]`, then `best[rows[better]] = tried[better]` and the same "
        "for `lowest`.",
    ],
    returns=shaped_like_x,
    timeout=60,
    second=_masked,
    mutants={
        "asks once too often": functools.partial(_masked, extra=1),
        "asks about impossible rows": functools.partial(_masked, project=""),
        "projects only at the end": functools.partial(_masked, project="at the end"),
        "keeps whatever came last": functools.partial(_masked, keep="all"),
        "climbs": functools.partial(_masked, keep="worse"),
        "always starts from x": functools.partial(_masked, base="x"),
        "goes on after a payment passes": functools.partial(_masked, stop=False),
        "takes a score at the threshold for a pass": functools.partial(_masked, still=torch.gt),
        "never asks about x itself": functools.partial(_masked, start=""),
        "draws from a seed of its own": functools.partial(_masked, seeded=False),
        "does nothing": lambda score, x, schema, threshold, queries, generator: x.clone(),
    },
)
