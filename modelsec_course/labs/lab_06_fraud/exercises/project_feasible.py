"""Mend a row: columns that cannot be set put back, counts whole, derived columns consistent."""

from __future__ import annotations

import functools

import torch

from modelsec_course.data import payments
from modelsec_course.evasion import tabular
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_tensor
from modelsec_course.labs.lab_06_fraud.exercises.shared import ORDER, orders, shaken, some_payments


def _fixed(project):
    """What the attacker cannot set is as it was"""
    reference = orders()
    made = project(shaken(reference, ORDER), reference, ORDER)
    moved = (made[:, 3] != reference[:, 3]).sum().item()
    expect(moved == 0, f"member_since cannot be set, yet it changed in {moved} of 60 rows: see schema.limits")
    fell = (made[:, 4] < reference[:, 4]).sum().item()
    expect(fell == 0, f"parcels can only be raised, yet it fell in {fell} of 60 rows: see schema.limits")


def _counts(project):
    """Counts and flags are whole numbers"""
    reference = orders()
    made = project(shaken(reference, ORDER), reference, ORDER)[:, [1, 2, 4]]
    expect_close(made, made.round(), 1e-6, "the columns schema.whole")


def _derived(project):
    """Derived columns are computed from the columns of the result"""
    reference = orders()
    made = project(shaken(reference, ORDER), reference, ORDER)
    expect_close(made[:, 5], made[:, 0] * made[:, 1] + 5 * made[:, 2], 1e-3, "total, price × items + 5 × gift")


def _nearest(project):
    """Where only bounds and counts are broken, nothing changes more than it must"""
    reference = orders()
    x = shaken(reference, ORDER)
    made = project(x.clone(), reference, ORDER)
    low, high = ORDER.limits(reference)
    want = x.clamp(low, high)
    want[:, [1, 2, 4]] = want[:, [1, 2, 4]].round()
    free = [0, 1, 2, 4]
    expect_close(made[:, free], want[:, free], 1e-4, "columns that can be set: into the limits, counts to the nearest")


def _sound(project):
    """Whatever comes in, the rows that come out keep every rule of the bank's table"""
    reference = some_payments().x[:400]
    for scales in (0.3, 3.0, 30.0):
        made = project(shaken(reference, payments.SCHEMA, scales=scales), reference, payments.SCHEMA)
        broken = tabular.broken_rules(made, payments.SCHEMA, reference)
        rule, rows = next(iter(broken.items()), ("", 0))
        expect(not broken, f"{rows} of 400 rows break a rule of the bank's table: {rule}")


def _idle(project):
    """A row that keeps the rules stays as it is"""
    reference = some_payments().x[:400]
    cheaper = reference.clone()
    cheaper[:, 0] = (cheaper[:, 0] * 0.9).clamp_min(0.5)
    cheaper = payments.SCHEMA.derive(cheaper)
    expect_close(project(cheaper.clone(), reference, payments.SCHEMA), cheaper, 1e-3, "payments of 10 % less")


def _alone(project):
    """Each row is mended by itself: what is in the batch with it does not matter"""
    reference = some_payments().x[:400]
    x = shaken(reference, payments.SCHEMA, scales=0.5)
    together = project(x.clone(), reference, payments.SCHEMA)
    alone = [project(x[k : k + 1].clone(), reference[k : k + 1], payments.SCHEMA) for k in range(40)]
    expect_close(together[:40], torch.cat(alone), 1e-3, "40 rows in a batch of 400, and the same rows one by one")


def _shaped(result, args, kwargs) -> None:
    x = argument(args, kwargs, 0, "x")
    expect_tensor(result, x.shape, "the mended rows")
    expect(result.dtype == x.dtype, f"the mended rows: return the dtype of x, {x.dtype}, not {result.dtype}")


def project_feasible(x, reference, schema):
    low, high = schema.limits(reference)
    x = x.clamp(low, high)
    x[:, list(schema.whole)] = x[:, list(schema.whole)].round()
    x = schema.derive(x)
    good = tabular.feasible(x, schema, reference)
    return torch.where(good[:, None], x, reference)


def _by_column(
    x, reference, schema, *, limits=True, whole="round", derive="after", fallback=True, bounds=True, where="broken"
):
    """Column by column, then row by row."""
    made = schema.derive(x.clone()) if derive == "before" else x.clone()
    low, high = schema.limits(reference)
    if not limits:
        low, high = (schema.vector(side, x).expand_as(x) for side in ("low", "high"))
    for k in range(x.shape[1]):
        if bounds:
            made[:, k] = torch.minimum(torch.maximum(made[:, k], low[:, k]), high[:, k])
        if k in schema.whole and whole:
            made[:, k] = getattr(torch, whole)(made[:, k])
    if derive == "after":
        made = schema.derive(made)
    good = tabular.feasible(made, schema, reference if limits else None)
    if where == "any":
        good = good & good.all()
    for row in range(len(x)) if fallback else ():
        if not good[row]:
            made[row] = reference[row]
    return made


EXERCISE = Exercise(
    "06.project_feasible",
    title="Rows that can exist",
    reference=project_feasible,
    properties=[_fixed, _counts, _derived, _nearest, _sound, _idle, _alone],
    hints=[
        "`low, high = schema.limits(reference)` are equal for a column that cannot be set, so `x.clamp(low, high)` "
        "puts it back.",
        "`whole = list(schema.whole)`, then round `x[:, whole]`. Derive afterwards: a total follows what was rounded.",
        "`good = tabular.feasible(x, schema, reference)` is (n,); `torch.where(good[:, None], x, reference)` keeps the "
        "good rows.",
    ],
    returns=_shaped,
    second=_by_column,
    mutants={
        "moves what cannot be set": functools.partial(_by_column, limits=False),
        "leaves counts as they are, and gives such rows up": functools.partial(_by_column, whole=""),
        "rounds counts down": functools.partial(_by_column, whole="floor"),
        "derives before it rounds": functools.partial(_by_column, derive="before", fallback=False),
        "never derives": functools.partial(_by_column, derive="", fallback=False),
        "leaves broken rows broken": functools.partial(_by_column, fallback=False),
        "one broken row sends all back": functools.partial(_by_column, where="any"),
        "gives every row up": lambda x, reference, schema: reference.clone(),
    },
)
