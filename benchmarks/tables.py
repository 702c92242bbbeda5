"""Evasion of boosted trees on simulated card payments: batched, beside one row at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from benchmarks import harness
from modelsec_course import runtime
from modelsec_course.data import payments
from modelsec_course.evasion import tabular

TABLE = payments.SCHEMA
ABOUT = """Frauds against 100 boosted trees, and the search's own candidates put back among possible payments.
seconds: median over the rounds.  ours ÷ it: median and quartiles of the ratios within a round; below 1, ours is faster.
success: share of frauds that pass, or of rows that are feasible.  Candidates a second: a title's number over ours."""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """The search, and the projection alone."""
    month = payments.simulate(customers=200 if quick else 1600, generator=runtime.generator(0))
    trees = HistGradientBoostingClassifier(max_iter=10 if quick else 100, random_state=0).fit(month.x, month.y)
    threshold = tabular.scorer(trees)(month.x[month.y == 0]).quantile(0.99).item()
    frauds = month.x[month.y == 1][: 5 if quick else 200].to(device)
    queries = 20 if quick else 300
    wild = frauds.repeat(queries, 1)
    wild = wild + torch.randn(wild.shape, generator=runtime.generator(1)).to(device) * TABLE.vector("scale", wild)
    runs = {
        harness.OURS: partial(_search, trees, threshold, frauds, queries),
        "bound: the model's answers alone": partial(tabular.scorer(trees), wild),
    }
    yield harness.Contest(f"Search, {len(wild):,} candidates", runs, _passed)
    few, less = frauds[:20], queries // 3
    runs = {
        harness.OURS: partial(_search, trees, threshold, few, less),
        "one fraud after the other": partial(_one_by_one, trees, threshold, few, less),
    }
    yield harness.Contest(f"Search, {len(few) * less:,} candidates", runs, _passed)
    runs = {
        harness.OURS: partial(tabular.project_feasible, wild, frauds.repeat(queries, 1), TABLE),
    }
    yield harness.Contest(f"Projection, {len(wild):,} rows", runs, _feasible)
    some, reference = wild[:500], frauds.repeat(queries, 1)[:500]
    runs = {
        harness.OURS: partial(tabular.project_feasible, some, reference, TABLE),
        "row by row": partial(_row_by_row, some, reference),
    }
    yield harness.Contest(f"Projection, {len(some):,} rows", runs, _feasible)


def _value(rows: Tensor, x: Tensor) -> Tensor:
    return 0.6 * rows[:, 0] - TABLE.price(rows, x)


def _search(trees, threshold: float, frauds: Tensor, queries: int) -> Tensor:
    found = tabular.feasible_evasion(trees, frauds, TABLE, threshold=threshold, queries=queries, value=_value)
    return found.evaded


def _passed(evaded: Tensor) -> dict[str, float]:
    return {"success": evaded.double().mean().item()} if evaded.dtype == torch.bool else {}


def _feasible(made: Tensor) -> dict[str, float]:
    return {"success": tabular.feasible(made, TABLE).double().mean().item()}


def _one_by_one(trees, threshold: float, frauds: Tensor, queries: int) -> Tensor:
    """What one writes first."""
    return torch.cat([_search(trees, threshold, frauds[k : k + 1], queries) for k in range(len(frauds))])


def _row_by_row(x: Tensor, reference: Tensor) -> Tensor:
    made = [tabular.project_feasible(x[k : k + 1], reference[k : k + 1], TABLE) for k in range(len(x))]
    return torch.cat(made)
