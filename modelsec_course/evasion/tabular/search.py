"""Evasion of a model of table rows: gradient first where there is one, then evolution on what still stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from modelsec_course import runtime, validation
from modelsec_course.data.tables import Schema
from modelsec_course.evasion.tabular.checking import feasible
from modelsec_course.evasion.tabular.projection import fixed_point, project_feasible, separable
from modelsec_course.evasion.tabular.scoring import scorer
from modelsec_course.evasion.tabular.variation import children, downhill

__all__ = ["RULES", "Evasion", "feasible_evasion"]

RULES = ("project", "reject", "afterwards", "ignore")
COLUMNS = ("all", "own")
PARENTS = 4


@dataclass(frozen=True)
class Evasion:
    """What a search found, for each of n rows.

    x: (n, d), the best row: one that passes if any did, else the one of the lowest score; where only what is feasible
    counts afterwards ("reject", "afterwards") it is then x itself.  evaded: bool (n,).  first: (n,), how many
    queries the first success took, infinity without one; a row that passes as it is took one.  spent: int64 (n,).
    asked, worth: (k,) and (k, n): after that many queries, the best value so far, -infinity before the first success.
    """

    x: Tensor
    evaded: Tensor
    first: Tensor
    spent: Tensor
    asked: Tensor
    worth: Tensor

    def rate(self, queries: int) -> float:
        """The share of rows that had passed after so many queries."""
        return (self.first <= queries).double().mean().item()


@torch.no_grad()
def feasible_evasion(
    model: Any,
    x: Tensor,
    schema: Schema,
    *,
    threshold: float,
    queries: int = 300,
    at_once: int = 10,
    steps: int = 0,
    budget: float = math.inf,
    value: Callable[[Tensor, Tensor], Tensor] | None = None,
    rules: str = "project",
    columns: str = "all",
    evolve: bool = True,
    generator: Generator | None = None,
) -> Evasion:
    """Rows that the model lets pass, made out of x by changes that an attacker can make and pay for.

    A row passes when its score is below `threshold`. It is asked about first as it is; then `steps` gradient steps,
    each one query, where the model is a network; then an evolutionary search, `at_once` queries a generation, on rows
    that have not passed. With `value` the search goes on after that, for the passing row that is worth most.
    model: a scikit-learn classifier, a network or a function, see `scorer`.  x: (n, d), rows that keep the rules.
    queries: the most for each row.  budget: the most that a change may cost, in the schema's money.
    value(rows, x) -> (n,): what a passing row is worth.
    rules: "project" makes every candidate feasible before it is asked about. The controls do not: "ignore" counts every
    one that passes, "reject" only those that are feasible as they are, "afterwards" projects those that pass and asks
    once more, which is not counted.
    columns: what these controls move: "all" columns inside their bounds, or the attacker's "own", as `entered`: within
    their limits, counts rounded, derived columns following.
    evolve: False moves x itself each time, the control without a search.
    Source: Simonetto, Ghamizi & Cordy, 2024, "Constrained Adaptive Attack: Effective Adversarial Attack Against Deep
    Neural Networks for Tabular Data" (gradient, then evolution).
    """
    for name, number, least in (("queries", queries, 1), ("at_once", at_once, 1), ("steps", steps, 0)):
        validation.count(name, number, low=least)
    validation.number("threshold", threshold)
    validation.one_of("rules", rules, RULES)
    validation.one_of("columns", columns, COLUMNS)
    validation.flag("evolve", evolve)
    validation.randomness("generator", generator)
    if not budget >= 0:
        raise ValueError(f"budget must be at least 0, but it is {budget}")
    if steps and not isinstance(model, nn.Module):
        raise ValueError(f"steps={steps} needs the gradient of a network: leave it for a {type(model).__name__}")
    project_feasible(x, x, schema)  # raises where a row breaks the rules itself
    own = rules == "project" or columns == "own"
    ask = _Asking(scorer(model), x, schema, threshold, budget, value, rules, own)
    ask(x[:, None], torch.arange(len(x), device=x.device))
    generator, current = generator or runtime.generator(0), x
    for _ in range(min(steps, queries - 1)):
        rows = ask.standing()
        current = downhill(ask.score, current, x, schema, every=not own)
        current = ask.allowed(current, torch.arange(len(x), device=x.device))
        ask(current[rows][:, None], rows)
    while len(rows := ask.standing()) and (left := queries - ask.used) > 0:
        parents = ask.best if evolve else x[:, None]
        candidates = children(parents[rows], schema, min(at_once, left), generator, every=not own)
        ask(candidates, rows)
    return ask.outcome()


class _Asking:
    """The model, what it was asked, and the best rows so far: `best` (n, parents, d), the first of them the best."""

    def __init__(self, score, x, schema, threshold, budget, value, rules, own) -> None:
        self.score, self.x, self.schema, self.threshold = score, x, schema, threshold
        self.budget, self.value, self.rules, self.own, self.used = budget, value, rules, own, 0
        self.low, self.high = schema.limits(x) if own else schema.bounds(x)
        n = len(x)
        self.best = x[:, None].expand(n, PARENTS, x.shape[1]).clone()
        self.key = torch.full((n, PARENTS), torch.inf, dtype=torch.float64, device=x.device)
        self.found, self.worth = x.clone(), torch.full((n,), -torch.inf, dtype=x.dtype, device=x.device)
        self.first, self.spent = torch.full_like(self.worth, torch.inf), torch.zeros_like(self.worth, dtype=torch.int64)
        self.history: list[tuple[int, Tensor]] = []

    def standing(self) -> Tensor:
        """The rows that are still worth a query."""
        if self.value is not None:
            return torch.arange(len(self.x), device=self.x.device)
        return self.first.isinf().nonzero().flatten()

    def allowed(self, candidates: Tensor, rows: Tensor) -> Tensor:
        """Candidates as they are asked about: projected and affordable, or as entered, or only inside their bounds."""
        low, high, x = self.low[rows], self.high[rows], self.x[rows]
        if not self.own:
            return candidates.clamp(low, high)
        if self.rules != "project":
            return separable(candidates, low, high, self.schema)
        made = fixed_point(candidates, x, low, high, self.schema)
        return affordable(made, x, low, high, self.schema, self.budget)

    def __call__(self, candidates: Tensor, rows: Tensor) -> None:
        """Ask about candidates (rows, k, d), and keep the best."""
        m, k, d = candidates.shape
        again = rows.repeat_interleave(k)
        flat = self.allowed(candidates.reshape(m * k, d), again)
        score = self.score(flat).to(self.worth)
        passes, made = score < self.threshold, flat
        if self.rules == "reject":
            passes = passes & self._possible(flat, again)
        elif self.rules == "afterwards" and passes.any():
            passes, made = self._mended(flat, again, passes)
        worth = torch.full_like(score, -torch.inf)
        if passes.any():
            worth[passes] = 0.0 if self.value is None else self.value(made[passes], self.x[again[passes]]).to(worth)
            if not worth[passes].isfinite().all():
                raise ValueError("value must be finite, but it is not for some rows: what does an impossible one cost?")
        self._note(rows, made.view(m, k, d), worth.view(m, k), k)
        key = torch.where(passes, -1e9 - worth.double(), score.double()).view(m, k)
        everyone = torch.cat([self.best[rows], flat.view(m, k, d)], 1)
        self.key[rows], order = torch.cat([self.key[rows], key], 1).topk(PARENTS, largest=False)
        self.best[rows] = everyone.gather(1, order[..., None].expand(-1, -1, d))

    def _note(self, rows: Tensor, made: Tensor, worth: Tensor, k: int) -> None:
        succeeded = worth > -torch.inf
        turn = self.used + 1 + succeeded.int().argmax(1)  # the first of this batch that passed
        self.first[rows] = torch.where(succeeded.any(1), torch.minimum(self.first[rows], turn), self.first[rows])
        self.used += k
        over = self.first[rows].isfinite() & (self.value is None)
        self.spent[rows] = torch.where(over, self.first[rows], self.used).long()
        top, which = worth.max(1)
        better = top > self.worth[rows]
        chosen = made[torch.arange(len(rows), device=rows.device), which]
        self.found[rows] = torch.where(better[:, None], chosen, self.found[rows])
        self.worth[rows] = torch.where(better, top, self.worth[rows])
        self.history.append((self.used, self.worth.clone()))

    def _possible(self, flat: Tensor, again: Tensor) -> Tensor:
        x = self.x[again]
        return feasible(flat, self.schema, x) & (self.schema.price(flat, x) <= self.budget)

    def _mended(self, flat: Tensor, again: Tensor, passes: Tensor) -> tuple[Tensor, Tensor]:
        some = passes.nonzero().flatten()
        x = self.x[again[some]]
        low, high = self.schema.limits(x)
        mended = affordable(fixed_point(flat[some], x, low, high, self.schema), x, low, high, self.schema, self.budget)
        passes, made = passes.clone(), flat.clone()
        passes[some], made[some] = self.score(mended).to(self.worth) < self.threshold, mended
        return passes, made

    def outcome(self) -> Evasion:
        asked = torch.tensor([used for used, _ in self.history], device=self.x.device)
        worth = torch.stack([best for _, best in self.history])
        x = self.found
        if self.rules in ("project", "ignore"):
            x = torch.where(self.first.isinf()[:, None], self.best[:, 0], x)
        return Evasion(x, self.first.isfinite(), self.first, self.spent, asked, worth)


def affordable(made: Tensor, x: Tensor, low: Tensor, high: Tensor, schema: Schema, budget: float) -> Tensor:
    """Rows that cost more than `budget` are drawn back towards x until they do not; at worst they become x."""
    if math.isinf(budget):
        return made
    for _ in range(3):
        price = schema.price(made, x)
        over = (price > budget).nonzero().flatten()
        if not len(over):
            return made
        share = (0.95 * budget / price[over]).nan_to_num(0.0)[:, None]
        nearer = x[over] + share * (made[over] - x[over])
        made = made.clone()
        made[over] = fixed_point(nearer, x[over], low[over], high[over], schema)
    return torch.where((schema.price(made, x) > budget)[:, None], x, made)
