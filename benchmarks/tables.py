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
success: share of frauds that pass, or of rows that are feasible.  Candidates a second are in each contest's title."""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """The search, and the projection alone."""
    month = payments.simulate(customers=200 if quick else 1600, generator=runtime.generator(0))
    trees = HistGradientBoostingClassifier(max_iter=10 if quick else 100, random_state=0).fit(month.x, month.y)
    threshold = tabular.scorer(trees)(month.x[month.y == 0]).quantile(0.99).item()
    frauds = month.x[month.y == 1][: 5 if quick else 200].to(device)
    queries = 20 if quick else 300
    value = lambda rows, x: 0.6 * rows[:, 0] - TABLE.price(rows, x)  # noqa: E731
    search = partial(tabular.feasible_evasion, trees, schema=TABLE, threshold=threshold, queries=queries, value=value)
    rate = lambda found: {"success": found if isinstance(found, float) else found.rate(queries)}  # noqa: E731
    runs = {
        harness.OURS: partial(search, frauds),
        "one fraud after the other (a tenth of them)": partial(_one_by_one, search, frauds[::10]),
    }
    yield harness.Contest(f"Search, {len(frauds) * queries:,} candidates", runs, rate)
    wild = frauds.repeat(queries, 1)
    wild = wild + torch.randn(wild.shape, generator=runtime.generator(1)).to(device) * TABLE.vector("scale", wild)
    sound = lambda made: {"success": tabular.feasible(made, TABLE).double().mean().item()}  # noqa: E731
    runs = {
        harness.OURS: partial(tabular.project_feasible, wild, frauds.repeat(queries, 1), TABLE),
        "row by row (a hundredth of them)": partial(_row_by_row, wild[::100], frauds.repeat(queries, 1)[::100]),
    }
    yield harness.Contest(f"Projection, {len(wild):,} rows", runs, sound)


def _one_by_one(search, frauds: Tensor) -> float:
    """What one writes first."""
    return sum(search(frauds[k : k + 1]).rate(10**6) for k in range(len(frauds))) / len(frauds)


def _row_by_row(x: Tensor, reference: Tensor) -> Tensor:
    made = [tabular.project_feasible(x[k : k + 1], reference[k : k + 1], TABLE) for k in range(len(x))]
    return torch.cat(made)
