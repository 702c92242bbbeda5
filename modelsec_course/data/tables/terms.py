"""The language in which a table's rules are written: `feature("spent_1h") <= feature("spent_24h")`.

A Term is arithmetic on columns; a Relation compares two terms. Relations are joined by `&` and `|`. Nothing is computed
until `value`, `holds` or `gap` is called with columns: a mapping from names to tensors (n,).
Source: the constraint language of TabularBench (Simonetto, Ghamizi & Cordy, 2024), written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from numbers import Real

import torch
from torch import Tensor

from modelsec_course import validation

__all__ = ["Columns", "Halfspace", "Relation", "Term", "count", "feature", "near", "safe_divide"]

Columns = Mapping[str, Tensor]
Halfspace = tuple[Mapping[str, float], float]  # weights by name and a bound: weights · columns <= bound
TOLERANCE = 1e-5  # relative: float32 sums of money are good to about 1e-6


class Term:
    """Arithmetic on columns.

    value(columns) -> (n,).  names: the columns it reads.  weights: its linear form, by name, with the constant under
    ""; None where it is not linear.
    """

    def __init__(self, value: Callable[[Columns], Tensor], names: frozenset[str], weights: Mapping | None) -> None:
        self.value, self.names, self.weights = value, names, weights

    def __add__(self, other: Term | float) -> Term:
        other = term(other)
        return Term(lambda c: self.value(c) + other.value(c), self.names | other.names, _sum(self, other))

    def __mul__(self, other: Term | float) -> Term:
        other = term(other)
        return Term(lambda c: self.value(c) * other.value(c), self.names | other.names, _product(self, other))

    def __truediv__(self, other: Term | float) -> Term:
        if isinstance(other, Real) and other:
            return self * (1 / other)
        other = term(other)
        return Term(lambda c: self.value(c) / other.value(c), self.names | other.names, None)

    def __neg__(self) -> Term:
        return self * -1

    def __sub__(self, other: Term | float) -> Term:
        return self + term(other) * -1

    def __rsub__(self, other: float) -> Term:
        return term(other) - self

    def __rtruediv__(self, other: float) -> Term:
        return term(other) / self

    __radd__, __rmul__, __hash__ = __add__, __mul__, object.__hash__

    def __le__(self, other: Term | float) -> Relation:
        return _at_most(self, term(other))

    def __ge__(self, other: Term | float) -> Relation:
        return _at_most(term(other), self)

    def __lt__(self, other: Term | float) -> Relation:
        return _below(self, term(other))

    def __gt__(self, other: Term | float) -> Relation:
        return _below(term(other), self)

    def __eq__(self, other: Term | float) -> Relation:
        return near(self, other, TOLERANCE)

    def __ne__(self, other: object) -> None:
        raise TypeError("!= leaves no gap to measure: write (a < b) | (a > b)")

    def __bool__(self) -> bool:
        raise TypeError("a term has no truth of its own: compare it, as in feature('a') <= 1")


class Relation:
    """A rule that a row keeps or breaks.

    holds(columns) -> bool (n,).  gap(columns) -> (n,): 0 where it holds, else how far it is from holding;
    differentiable almost everywhere.  branches: the halfspaces of each way to keep it, None if one is not linear.
    """

    def __init__(
        self,
        holds: Callable[[Columns], Tensor],
        gap: Callable[[Columns], Tensor],
        names: frozenset[str],
        branches: tuple[tuple[Halfspace, ...], ...] | None,
    ) -> None:
        self.holds, self._gap, self.names, self.branches = holds, gap, names, branches

    def gap(self, columns: Columns) -> Tensor:
        gap = self._gap(columns)
        return torch.where(self.holds(columns), torch.zeros_like(gap), gap.clamp_min(TOLERANCE))

    def __or__(self, other: Relation) -> Relation:
        both = _relation(self, "|").branches, _relation(other, "|").branches
        return Relation(
            lambda c: self.holds(c) | other.holds(c),
            lambda c: torch.minimum(self.gap(c), other.gap(c)),
            self.names | other.names,
            None if None in both else both[0] + both[1],
        )

    def __and__(self, other: Relation) -> Relation:
        both = _relation(self, "&").branches, _relation(other, "&").branches
        return Relation(
            lambda c: self.holds(c) & other.holds(c),
            lambda c: self.gap(c) + other.gap(c),
            self.names | other.names,
            None if None in both else tuple(one + two for one, two in product(*both)),
        )

    def __bool__(self) -> bool:
        raise TypeError("relations are joined by & and |, with brackets: (a <= b) & (b <= c), not a <= b <= c or `and`")


def feature(name: str) -> Term:
    """The column called `name`."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"name must be a column's name, but it is {name!r}")
    return Term(lambda columns: columns[name], frozenset([name]), {name: 1.0})


def near(left: Term | float, right: Term | float, tolerance: float) -> Relation:
    """`left` equals `right` but for `tolerance`, relative to 1 + |right|."""
    validation.number("tolerance", tolerance, low=0)
    left, right = term(left), term(right)
    away = left - right

    def holds(columns: Columns) -> Tensor:
        return away.value(columns).abs() <= tolerance * (1 + right.value(columns).abs())

    linear = None
    if away.weights is not None:
        linear = (_halfspace(away, +1), _halfspace(away, -1))
    return Relation(holds, lambda c: away.value(c).abs(), away.names, linear and (linear,))


def safe_divide(top: Term | float, bottom: Term | float, otherwise: float = 0.0) -> Term:
    """top / bottom, and `otherwise` where bottom is 0."""
    top, bottom = term(top), term(bottom)

    def value(columns: Columns) -> Tensor:
        below = bottom.value(columns)
        safe = torch.where(below == 0, torch.ones_like(below), below)  # so that no gradient is NaN
        return torch.where(below == 0, torch.full_like(below, otherwise), top.value(columns) / safe)

    return Term(value, top.names | bottom.names, None)


def count(*relations: Relation) -> Term:
    """How many of the relations hold: 0 to len(relations)."""
    if not relations:
        raise ValueError("count needs at least one relation: count(feature('a') > 0, feature('b') > 0)")
    names = frozenset().union(*(_relation(relation, "count").names for relation in relations))

    def value(columns: Columns) -> Tensor:
        kind = next(iter(columns.values())).dtype
        return sum(relation.holds(columns).to(kind) for relation in relations)

    return Term(value, names, None)


def term(value: Term | float) -> Term:
    """A number as a term; a term as it is."""
    if isinstance(value, Term):
        return value
    validation.number("a constant in a rule", value)
    constant = float(value)
    return Term(lambda c: torch.full_like(next(iter(c.values())), constant), frozenset(), {"": constant})


def _relation(value: object, where: str) -> Relation:
    if not isinstance(value, Relation):
        raise TypeError(f"{where} joins relations such as feature('a') <= 1, but it was given {value!r}: add brackets")
    return value


def _at_most(left: Term, right: Term) -> Relation:
    away = left - right

    def holds(columns: Columns) -> Tensor:
        return away.value(columns) <= TOLERANCE * (1 + right.value(columns).abs())

    linear = None if away.weights is None else ((_halfspace(away, +1),),)
    return Relation(holds, lambda c: away.value(c).clamp_min(0), away.names, linear)


def _below(left: Term, right: Term) -> Relation:
    away = left - right
    return Relation(lambda c: away.value(c) < 0, lambda c: away.value(c).clamp_min(0), away.names, None)


def _halfspace(away: Term, sign: int) -> Halfspace:
    weights = {name: sign * weight for name, weight in away.weights.items() if name and weight}
    return weights, -sign * away.weights.get("", 0.0)


def _sum(left: Term, right: Term) -> dict[str, float] | None:
    if left.weights is None or right.weights is None:
        return None
    return {name: left.weights.get(name, 0.0) + right.weights.get(name, 0.0) for name in left.weights | right.weights}


def _product(left: Term, right: Term) -> dict[str, float] | None:
    for one, other in ((left, right), (right, left)):
        if not one.names and other.weights is not None and one.weights is not None:
            return {name: one.weights[""] * weight for name, weight in other.weights.items()}
    return None
