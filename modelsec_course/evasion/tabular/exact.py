"""The nearest feasible row of all, where the rules are linear: what `project_feasible` approximates.

A row that is mended column by column and then keeps every relation is the nearest: no rule was given up to find it. The
others are small mixed-integer linear programs.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import Tensor

from modelsec_course.data.tables import Halfspace, Schema
from modelsec_course.evasion.tabular.checking import feasible
from modelsec_course.evasion.tabular.projection import distance, project_feasible, separable, substituted

__all__ = ["distance", "nearest"]

WAYS = 64  # combinations of alternatives, `|`, that are tried one by one


@torch.no_grad()
def nearest(x: Tensor, reference: Tensor, schema: Schema) -> Tensor:
    """The feasible rows at the least `distance` from x: exact and slow, where `project_feasible` is fast.

    x, reference: (n, d), float64 for exact results.  Raises ValueError where a relation that the attacker can break
    is not linear, or where alternatives (`|`) combine in more than 64 ways.
    """
    near = project_feasible(x, reference, schema)
    low, high = schema.limits(reference)
    alone = separable(x, low, high, schema)
    settled = feasible(alone, schema, reference)
    found = torch.where(settled[:, None], alone, near)
    rules = [_linear(name, rule, schema) for name, rule in schema.rules.items() if not _made(name, schema)]
    ways = math.prod(len(rule) for rule in rules)
    if ways > WAYS:
        raise ValueError(f"the alternatives combine in {ways} ways, more than {WAYS}: use project_feasible")
    for row in (~settled).nonzero().flatten().tolist():
        best = torch.inf
        for way in product(*rules):
            spaces = [space for branch in way for space in branch]
            solved, far = _solve(x[row], reference[row], low[row], high[row], spaces, schema)
            if solved is not None and far < best:
                found[row], best = solved, far
    return torch.where(feasible(found, schema, reference)[:, None], found, near)


def _made(name: str, schema: Schema) -> bool:
    return any(name == f"{derived} follows" for derived in schema.derived)


def _linear(name, rule, schema: Schema) -> tuple[tuple[Halfspace, ...], ...]:
    branches = substituted(rule, schema)
    if branches is None:
        raise ValueError(f"the rule {name!r} is not linear in the columns that can be set: use project_feasible")
    return branches


def _solve(x, reference, low, high, spaces, schema: Schema) -> tuple[Tensor | None, float]:
    """Minimise the distance t over the free columns v, subject to v - t <= x <= v + t, limits and halfspaces."""
    free, k = list(schema.free), len(schema.free)
    place = {schema.names[column]: j for j, column in enumerate(free)}
    matrix, most = np.zeros((len(spaces), 2 * k)), np.empty(len(spaces))
    for i, (weights, bound) in enumerate(spaces):
        most[i] = bound
        for name, weight in weights.items():
            if name in place:
                matrix[i, place[name]] = weight
            else:
                most[i] -= weight * float(reference[schema.index(name)])
    at, one = x[free].double().numpy(), np.eye(k)
    constraints = [LinearConstraint(np.hstack([one, -one]), -np.inf, at), LinearConstraint(np.hstack([one, one]), at)]
    if spaces:
        constraints.append(LinearConstraint(matrix, -np.inf, most))
    ends = Bounds(
        np.r_[low[free].double().numpy(), np.zeros(k)], np.r_[high[free].double().numpy(), np.full(k, np.inf)]
    )
    scale = schema.vector("scale", x.double())[free].numpy()
    whole = np.r_[[column in schema.whole for column in free], np.zeros(k)]
    result = milp(np.r_[np.zeros(k), 1 / scale], integrality=whole, bounds=ends, constraints=constraints)
    if result.x is None:
        return None, torch.inf
    made = reference.clone()
    made[free] = torch.as_tensor(np.where(whole[:k] > 0, result.x[:k].round(), result.x[:k])).to(made)
    return schema.derive(made[None])[0], float(result.fun)
