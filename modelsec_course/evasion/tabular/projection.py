"""The fixer: from any row to one that exists and that an attacker can make."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from modelsec_course import validation
from modelsec_course.data.tables import Halfspace, Relation, Schema
from modelsec_course.evasion.tabular.checking import feasible, same_rows

__all__ = ["distance", "entered", "fixed_point", "project_feasible", "separable", "substituted"]


@torch.no_grad()
def project_feasible(x: Tensor, reference: Tensor, schema: Schema, *, rounds: int = 10) -> Tensor:
    """Rows near x that keep every rule of the table, and that an attacker can make out of `reference`.

    Columns that cannot be set are put back, the others into their limits, counts are rounded, of a one-hot group the
    largest wins, and derived columns follow. Then each broken relation is mended by the least change, in units of
    the columns' scales, until nothing is broken (a fixed point).
    x: (n, d), anything, NaN apart.  reference: (n, d), rows that keep the rules themselves.  rounds: the most passes
    over the relations; a row that is still broken then becomes its reference, so that the result is always feasible.
    Raises ValueError where a reference is broken. See `nearest` for the nearest row of all where the rules are linear.
    """
    same_rows(x, reference)
    validation.count("rounds", rounds)
    if x.isnan().any():
        raise ValueError("x holds NaN: a row must say what it wants, if only something impossible")
    if not (sound := feasible(reference, schema)).all():
        row = int((~sound).nonzero()[0])
        raise ValueError(f"row {row} of reference breaks the table's rules: ask evasion.broken_rules which")
    return fixed_point(x, reference, *schema.limits(reference), schema, rounds)


def entered(x: Tensor, reference: Tensor, schema: Schema) -> Tensor:
    """Rows as an attacker can enter them: own columns within their limits, counts rounded; derived columns follow.

    x, reference: (n, d), see `project_feasible`, of which this is the first half: a relation may still be broken.
    """
    same_rows(x, reference)
    return separable(x, *schema.limits(reference), schema)


def fixed_point(x: Tensor, reference: Tensor, low: Tensor, high: Tensor, schema: Schema, rounds: int = 10) -> Tensor:
    """`project_feasible` without its checks, for limits that are known: a search calls it again and again."""
    found = separable(x, low, high, schema)
    broken = (~_related(found, schema)).nonzero().flatten()
    for _ in range(rounds):
        if not len(broken):
            break
        mended = schema.derive(_repair(found[broken], low[broken], high[broken], schema))
        found[broken] = mended
        broken = broken[~_related(mended, schema)]
    return torch.where(feasible(found, schema, reference)[:, None], found, reference)


def distance(x: Tensor, made: Tensor, schema: Schema) -> Tensor:
    """How far two rows are apart: the sum over the columns that can be set, in units of their scales, (n,)."""
    return ((made - x).abs() / schema.vector("scale", x))[:, list(schema.free)].sum(1)


def separable(x: Tensor, low: Tensor, high: Tensor, schema: Schema) -> Tensor:
    """The nearest row column by column: inside its limits, counts rounded, one flag of a group set; others follow."""
    x = x.clamp(low, high)
    grouped = {schema.index(name) for group in schema.one_hot for name in group}
    whole = [k for k in schema.whole if k not in grouped]
    x[:, whole] = x[:, whole].round().clamp(low[:, whole].ceil(), high[:, whole].floor())
    for group in schema.one_hot:
        k = [schema.index(name) for name in group]
        x[:, k] = _one_hot(x[:, k], low[:, k], high[:, k], schema.vector("scale", x)[k])
    return schema.derive(x)


def _one_hot(flags: Tensor, low: Tensor, high: Tensor, scale: Tensor) -> Tensor:
    """The flag that may be 1 while all others may be 0, and is nearest to it."""
    blocked = (high < 1) | ((low > 0).sum(1, keepdim=True) > (low > 0).long())
    gain = ((2 * flags - 1) / scale).masked_fill(blocked, -torch.inf)
    return torch.zeros_like(flags).scatter(1, gain.argmax(1, keepdim=True), 1.0)


def _related(x: Tensor, schema: Schema) -> Tensor:
    columns = schema.columns(x)
    return torch.stack([rule.holds(columns) for _, rule in _repairable(schema)] or [x[:, 0] == x[:, 0]]).all(0)


def _repair(x: Tensor, low: Tensor, high: Tensor, schema: Schema) -> Tensor:
    """One pass: each broken relation in turn is mended in the way that costs least and leaves least."""
    x = x.clone()
    for rule, relation in _repairable(schema):
        rows = (~relation.holds(schema.columns(x))).nonzero().flatten()
        if not len(rows) or rule is None:
            continue
        best, lowest = x[rows], torch.full_like(x[rows, 0], torch.inf)
        for branch in rule:
            tried = x[rows]
            for halfspace in branch:
                tried = schema.derive(_into(tried, low[rows], high[rows], halfspace, schema))
            left = relation.gap(schema.columns(tried))
            value = distance(x[rows], tried, schema) + torch.where(left > 0, 1e6 + left, left)
            best, lowest = torch.where((value < lowest)[:, None], tried, best), torch.minimum(value, lowest)
        x[rows] = best
    return x


def _into(x: Tensor, low: Tensor, high: Tensor, halfspace: Halfspace, schema: Schema) -> Tensor:
    """Move each row into weights · x <= bound, the cheapest column first: in units of scale, for the gap it closes."""
    weights, bound = halfspace
    k = [schema.index(name) for name in weights]
    w = torch.tensor(list(weights.values()), dtype=x.dtype, device=x.device)
    gap = ((x[:, k] * w).sum(1) - bound).clamp_min(0)
    flags = {schema.index(name) for group in schema.one_hot for name in group}
    movable = [j for j in range(len(k)) if k[j] in schema.free and k[j] not in flags]
    x = x.clone()
    for j in sorted(movable, key=lambda j: 1 / (abs(float(w[j])) * schema.features[k[j]].scale)):
        column, weight = k[j], w[j]
        target = x[:, column] - gap / weight
        if column in schema.whole:
            target = torch.where(weight > 0, (target + 1e-4).floor(), (target - 1e-4).ceil())
        target = target.clamp(low[:, column], high[:, column])
        gap = (gap - (x[:, column] - target) * weight).clamp_min(0)
        x[:, column] = torch.where(gap.isfinite(), target, x[:, column])
    return x


@functools.lru_cache(64)
def _repairable(schema: Schema) -> tuple[tuple[tuple[tuple[Halfspace, ...], ...] | None, Relation], ...]:
    """Every rule that is not kept by construction, and its halfspaces in columns that can be set."""
    made = {f"{name} follows" for name in schema.derived} | {f"one of {', '.join(group)}" for group in schema.one_hot}
    rules = (rule for name, rule in schema.rules.items() if name not in made)
    return tuple((substituted(rule, schema), rule) for rule in rules)


def substituted(rule: Relation, schema: Schema) -> tuple[tuple[Halfspace, ...], ...] | None:
    """The rule's halfspaces, with derived columns replaced by what they are computed from; None if not linear."""
    if rule.branches is None:
        return None
    branches = []
    for branch in rule.branches:
        spaces = [_plain(space, schema) for space in branch]
        if None in spaces:
            return None
        branches.append(tuple(spaces))
    return tuple(branches)


def _plain(halfspace: Halfspace, schema: Schema) -> Halfspace | None:
    weights, bound = dict(halfspace[0]), halfspace[1]
    for name in reversed(schema.order):
        if not (weight := weights.pop(name, 0.0)):
            continue
        form = schema.derived[name].weights
        if form is None:
            return None
        for other, inner in form.items():
            if other:
                weights[other] = weights.get(other, 0.0) + weight * inner
            else:
                bound -= weight * inner
    return {name: weight for name, weight in weights.items() if weight}, bound
