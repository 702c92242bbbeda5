"""What a table's columns are, what an attacker may do to them, and which rules tie them together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

import torch
from torch import Tensor

from modelsec_course import validation
from modelsec_course.data.tables.terms import Columns, Relation, Term, feature

__all__ = ["Feature", "Schema"]

KINDS = ("real", "whole", "flag")


@dataclass(frozen=True)
class Feature:
    """One column, and what an attacker may do to it.

    kind: "real", "whole" (a count) or "flag" (0 or 1).  low, high: its bounds, in `unit`.  mutable: whether the
    attacker can set it.  known: whether they know its value.  cost: money for one unit down and one unit up; infinity
    where it cannot be moved that way.  scale: a typical difference, by which distances are measured.
    """

    name: str
    low: float
    high: float
    kind: str = "real"
    unit: str = ""
    mutable: bool = True
    known: bool = True
    cost: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0

    def __post_init__(self) -> None:
        validation.one_of(f"kind of {self.name}", self.kind, KINDS)
        validation.positive(f"scale of {self.name}", self.scale)
        if not self.low <= self.high:
            raise ValueError(f"{self.name} has the bounds {self.low} to {self.high}: low must not be above high")
        if self.kind != "real" and math.floor(self.high) < math.ceil(self.low):
            raise ValueError(f"no whole number lies between {self.low} and {self.high}, the bounds of {self.name}")
        if self.kind == "flag" and not {self.low, self.high} <= {0, 1}:
            raise ValueError(f"{self.name} is a flag, so its bounds lie at 0 or 1, not at {self.low} and {self.high}")
        if len(self.cost) != 2 or not min(self.cost) >= 0:
            raise ValueError(f"cost of {self.name} must be (down, up), both at least 0, but it is {self.cost}")


@dataclass(frozen=True, eq=False)
class Schema:
    """The columns of a table in order, and the rules that every real row keeps.

    relations: by a name that an error can say.  derived: columns that the system computes from others, by name; each
    is a rule too, and nobody sets it by hand.  one_hot: groups of flags of which exactly one is 1.
    """

    features: tuple[Feature, ...]
    relations: Mapping[str, Relation] = field(default_factory=dict)
    derived: Mapping[str, Term] = field(default_factory=dict)
    one_hot: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ValueError(f"every column needs a name of its own: {', '.join(self.names) or 'there is none'}")
        read = {name for rule in (*self.relations.values(), *self.derived.values()) for name in rule.names}
        if strangers := (read | set(self.derived) | set(sum(self.one_hot, ()))) - set(self.names):
            raise ValueError(f"the rules name columns that are not there: {', '.join(sorted(strangers))}")
        for group in self.one_hot:
            if wrong := [name for name in group if self[name].kind != "flag" or name in self.derived]:
                raise ValueError(f"one_hot groups flags that are set, not derived: {', '.join(wrong)}")
        _ = self.order

    def __getitem__(self, name: str) -> Feature:
        return self.features[self.index(name)]

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.features)

    def index(self, name: str) -> int:
        """The number of a column."""
        validation.one_of("name", name, self.names)
        return self.names.index(name)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The derived columns, each after those that it is computed from."""
        graph = {name: value.names & set(self.derived) for name, value in self.derived.items()}
        try:
            return tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise ValueError(f"these columns are derived from each other: {', '.join(error.args[1])}") from error

    @cached_property
    def free(self) -> tuple[int, ...]:
        """The numbers of the columns that the attacker can set."""
        kept = (k for k, column in enumerate(self.features) if column.mutable and column.name not in self.derived)
        return tuple(kept)

    @cached_property
    def whole(self) -> tuple[int, ...]:
        """The numbers of the columns that hold whole numbers, flags among them."""
        return tuple(k for k, column in enumerate(self.features) if column.kind != "real")

    @cached_property
    def rules(self) -> dict[str, Relation]:
        """Every rule that ties columns together: relations, derived columns and their bounds, one-hot groups."""
        found = dict(self.relations)
        for name, value in self.derived.items():
            found[f"{name} follows"] = feature(name) == value
            bounds = feature(name) >= self[name].low, feature(name) <= self[name].high
            found[f"{name} in its bounds"] = bounds[0] & bounds[1]
        for group in self.one_hot:
            found[f"one of {', '.join(group)}"] = sum(map(feature, group[1:]), feature(group[0])) == 1
        return found

    def columns(self, x: Tensor) -> Columns:
        """The columns of x (n, d), by name."""
        validation.tensor("x", x)
        if x.dim() != 2 or x.shape[1] != len(self.names):
            raise ValueError(f"x must have shape (n, {len(self.names)}), one column each, but it has {tuple(x.shape)}")
        return dict(zip(self.names, x.unbind(1), strict=True))

    def derive(self, x: Tensor) -> Tensor:
        """x (n, d) with every derived column computed anew from the others."""
        columns = dict(self.columns(x))
        for name in self.order:
            columns[name] = self.derived[name].value(columns)
        return torch.stack([columns[name] for name in self.names], 1)

    def vector(self, what: str, like: Tensor) -> Tensor:
        """An attribute of every feature, (d,): "low", "high", "scale", "down" or "up" (costs); of like's kind."""
        validation.one_of("what", what, ("low", "high", "scale", "down", "up"))
        side = {"down": 0, "up": 1}.get(what)
        values = [getattr(f, what) if side is None else f.cost[side] for f in self.features]
        return torch.tensor(values, dtype=like.dtype, device=like.device)

    def bounds(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """What every row keeps in each column, whoever made it: (low, high), shaped like `like` (n, d)."""
        return self.vector("low", like).expand_as(like), self.vector("high", like).expand_as(like)

    def limits(self, reference: Tensor) -> tuple[Tensor, Tensor]:
        """How far an attacker who starts at `reference` (n, d) can set each column: (low, high), (n, d) each.

        A column that is not free, or cannot move that way, ends at the reference's own value.
        """
        low, high = self.bounds(reference)
        down, up = (self.vector(what, reference) for what in ("down", "up"))
        fixed = torch.ones(len(self.names), dtype=torch.bool, device=reference.device)
        fixed[list(self.free)] = False
        low = torch.where(fixed | down.isinf(), reference, low)
        return low, torch.where(fixed | up.isinf(), reference, high)

    def price(self, x: Tensor, reference: Tensor) -> Tensor:
        """What it costs to turn `reference` into x, in money: (n,). Derived columns follow for nothing."""
        free = list(self.free)
        moved = (x - reference)[:, free]
        costs = ((-moved, "down"), (moved, "up"))
        paid = (way.clamp_min(0) * self.vector(what, x)[free] for way, what in costs)
        return sum(part.nan_to_num(0.0, posinf=torch.inf).sum(1) for part in paid)

    def restricted(self, *, names: tuple[str, ...] | None = None, only: str | None = None) -> Schema:
        """The same table before a weaker attacker: only these columns can be set, or only "up" or only "down"."""
        if only is not None:
            validation.one_of("only", only, ("up", "down"))
        for name in names or ():
            self.index(name)
        features = []
        for column in self.features:
            down, up = column.cost
            cost = {None: (down, up), "up": (math.inf, up), "down": (down, math.inf)}[only]
            may = column.mutable and (names is None or column.name in names)
            features.append(replace(column, mutable=may, cost=cost))
        return replace(self, features=tuple(features))
