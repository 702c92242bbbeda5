"""What an attack earns, in money: resold amounts less changes less every query."""

from __future__ import annotations

import functools

import torch

from modelsec_course import runtime
from modelsec_course.evasion import tabular
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import one_for_each_row


def _attempts(n=200):
    draw = runtime.generator(0)
    amount, changes = 500 * torch.rand(n, generator=draw), 40 * torch.rand(n, generator=draw)
    passed, queries = torch.rand(n, generator=draw) < 0.5, torch.randint(1, 300, (n,), generator=draw)
    return amount, passed, changes, queries


def _one(profit):
    """€100 passes after €10 of changes and 5 queries at €2, resold at 60 %: 60 − 10 − 10"""
    got = profit(torch.tensor([100.0]), torch.tensor([True]), torch.tensor([10.0]), torch.tensor([5]), 0.6, 2.0)
    expect_close(got, torch.tensor([40.0]), 1e-4, "the profit")


def _refused(profit):
    """A payment that is refused brings nothing, and its queries are paid all the same"""
    got = profit(torch.tensor([100.0]), torch.tensor([False]), torch.tensor([10.0]), torch.tensor([5]), 0.6, 2.0)
    expect_close(got, torch.tensor([-10.0]), 1e-4, "a refused payment after 5 queries at €2; its changes were not made")


def _loss(profit):
    """A loss is a loss, not nothing"""
    got = profit(torch.tensor([5.0]), torch.tensor([True]), torch.tensor([20.0]), torch.tensor([100]), 0.5, 0.1)
    expect_close(got, torch.tensor([-27.5]), 1e-4, "€5 passes after €20 of changes and 100 queries at €0.10")


def _linear(profit):
    """Free queries and full resale leave amounts less changes, where they passed"""
    amount, passed, changes, queries = _attempts()
    want = torch.where(passed, amount - changes, torch.zeros_like(amount))
    expect_close(profit(amount, passed, changes, queries, 1.0, 0.0), want, 1e-3, "the profit")
    dearer = profit(amount, passed, changes, queries, 1.0, 1.0)
    expect_close(want - dearer, queries.float(), 1e-3, "what queries at €1 cost, each payment its own")


def _infinite(profit):
    """A change that nobody can buy costs nothing where it was not made"""
    changes = torch.tensor([torch.inf, 3.0])
    got = profit(torch.tensor([50.0, 50.0]), torch.tensor([False, True]), changes, torch.tensor([1, 1]), 0.5, 1.0)
    expect(not got.isnan().any(), "the profit is NaN where nobody buys an infinite change (inf · 0): use torch.where")
    expect_close(got, torch.tensor([-1.0, 21.0]), 1e-4, "the profit")


def attacker_profit(amount, passed, changes, queries, resale, price):
    return tabular.attacker_profit(amount, passed, changes, queries, tabular.Prices(resale=resale, query=price))


def _one_by_one(amount, passed, changes, queries, resale, price, *, always=False, pay="passed", per="all", floor=None):
    rows = []
    for a, p, c, q in zip(amount.tolist(), passed.tolist(), changes.tolist(), queries.tolist(), strict=True):
        earned = resale * a if p or always else 0.0
        paid = c if p or pay == "always" else 0.0
        asked = {"all": q, "passed": q * p, "refused": q - 1, "one": 1}[per] * price
        rows.append(earned - paid - asked)
    result = torch.tensor(rows, dtype=amount.dtype, device=amount.device)
    return result if floor is None else result.clamp_min(floor)


EXERCISE = Exercise(
    "06.attacker_profit",
    title="The fraudster's ledger",
    reference=attacker_profit,
    properties=[_one, _refused, _loss, _linear, _infinite],
    hints=[
        "Three parts: what is resold, what changes cost, what queries cost. Which are paid when nothing passes?",
        "`torch.where(passed, resale * amount - changes, 0.0)`, less `price * queries`.",
    ],
    returns=one_for_each_row,
    second=_one_by_one,
    mutants={
        "counts what was refused": functools.partial(_one_by_one, always=True),
        "pays for changes that were not made": functools.partial(_one_by_one, pay="always"),
        "queries cost only if the payment passes": functools.partial(_one_by_one, per="passed"),
        "one query each": functools.partial(_one_by_one, per="one"),
        "the query that passes is free": functools.partial(_one_by_one, per="refused"),
        "no losses": functools.partial(_one_by_one, floor=0.0),
        "forgets resale": lambda a, p, c, q, resale, price: _one_by_one(a, p, c, q, 1.0, price),
        "forgets the queries": lambda a, p, c, q, resale, price: _one_by_one(a, p, c, q, resale, 0.0),
    },
)
