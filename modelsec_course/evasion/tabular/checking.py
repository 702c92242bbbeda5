"""The checker and the penalty: whether a row could exist and an attacker could have made it, and how far it is off."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course import validation
from modelsec_course.data.tables import Schema

__all__ = ["broken_rules", "feasible", "penalty", "same_rows"]

TOLERANCE = 1e-5  # relative to 1 + |bound|


def feasible(x: Tensor, schema: Schema, reference: Tensor | None = None) -> Tensor:
    """Whether each row keeps every rule: bounds, whole numbers, derived columns, relations, one-hot groups.

    x: (n, d).  reference: (n, d), the rows that an attacker started from; then what they cannot set must be as it was.
    Returns bool (n,).
    """
    return torch.stack(list(_kept(x, schema, reference).values())).all(0)


def broken_rules(x: Tensor, schema: Schema, reference: Tensor | None = None) -> dict[str, int]:
    """How many rows break each rule, the most broken first; rules that all keep are left out."""
    broken = {name: int((~kept).sum()) for name, kept in _kept(x, schema, reference).items()}
    return {name: n for name, n in sorted(broken.items(), key=lambda item: -item[1]) if n}


def penalty(x: Tensor, schema: Schema, reference: Tensor | None = None) -> Tensor:
    """How far each row is from keeping the rules: the sum of their gaps, (n,), 0 where all hold; it has a gradient.

    Columns count in units of their scale. Whole numbers are left to the checker: rounding has no useful slope.
    """
    columns = schema.columns(x)
    low, high = _limits(x, schema, reference)
    scale = schema.vector("scale", x)
    outside = ((low - x).clamp_min(0) + (x - high).clamp_min(0)) / scale
    gaps = [rule.gap(columns) / _width(rule, schema) for rule in schema.rules.values()]
    return sum(gaps, outside.sum(1))


def same_rows(x: Tensor, reference: Tensor) -> None:
    """Raise unless x and reference hold the same number of rows and columns, of one kind, on one device."""
    validation.tensor("reference", reference)
    if x.shape != reference.shape:
        words = "give the row that each row of x was made from"
        raise ValueError(f"x has shape {tuple(x.shape)}, but reference has {tuple(reference.shape)}: {words}")
    if x.dtype != reference.dtype or x.device != reference.device:
        raise ValueError(f"x is {x.dtype} on {x.device}, but reference is {reference.dtype} on {reference.device}")


def _limits(x: Tensor, schema: Schema, reference: Tensor | None) -> tuple[Tensor, Tensor]:
    """The bounds; before an attacker, how far they can set each column. What is derived follows the others."""
    if reference is None:
        return schema.bounds(x)
    same_rows(x, reference)
    low, high = schema.limits(reference)
    derived = [schema.index(name) for name in schema.derived]
    low, high = low.clone(), high.clone()
    low[:, derived], high[:, derived] = -torch.inf, torch.inf
    return low, high


def _kept(x: Tensor, schema: Schema, reference: Tensor | None) -> dict[str, Tensor]:
    columns = schema.columns(x)
    low, high = _limits(x, schema, reference)
    slack = TOLERANCE * (1 + x.abs())
    inside = (x >= low - slack) & (x <= high + slack)
    kept = {f"{name} in its bounds": inside[:, k] for k, name in enumerate(schema.names) if name not in schema.derived}
    for k in schema.whole:
        kept[f"{schema.names[k]} is whole"] = x[:, k] == x[:, k].round()
    return kept | {name: rule.holds(columns) for name, rule in schema.rules.items()}


def _width(rule, schema: Schema) -> float:
    return sum(schema[name].scale for name in rule.names)
