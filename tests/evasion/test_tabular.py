"""Evasion in tables: nothing that is infeasible ever leaves, and what is said of money adds up."""

import functools
import itertools

import numpy as np
import pytest
import torch
from random_schemas import worlds
from scipy.optimize import Bounds, LinearConstraint, milp
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import nn

from modelsec_course import runtime
from modelsec_course.data import payments
from modelsec_course.data.tables import Feature, Schema, feature
from modelsec_course.evasion import tabular
from modelsec_course.evasion.tabular.exact import distance, nearest

TABLE = payments.SCHEMA


@pytest.fixture(scope="module")
def bank():
    """(trees, the score that 1 % of honest payments reach, frauds that are caught)"""
    made = payments.simulate(customers=700, generator=runtime.generator(1))
    early = made.hours < 480
    trees = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(
        made.x[early].numpy(), made.y[early].numpy()
    )
    x, y = made.x[~early], made.y[~early]
    score = tabular.scorer(trees)(x)
    threshold = score[y == 0].quantile(0.99).item()
    return trees, threshold, x[(y == 1) & (score >= threshold)]


# --------------------------------------------------------------------------------------------------- projection


def test_ten_thousand_random_rows_are_projected_and_attacked_without_breaking_a_rule():
    rows = 0
    for k, (table, reference, x) in enumerate(worlds(280, 45)):
        rows += len(reference)
        made = tabular.project_feasible(x, reference, table)
        assert tabular.feasible(made, table, reference).all(), tabular.broken_rules(made, table, reference)
        again = tabular.project_feasible(made, reference, table)
        torch.testing.assert_close(again, made, rtol=0, atol=1e-6)
        weights = torch.randn(x.shape[1], generator=runtime.generator(k), dtype=x.dtype)
        budget = 2.0 if k % 2 else torch.inf
        found = tabular.feasible_evasion(
            lambda z, w=weights: z @ w, reference, table, threshold=-3.0, queries=12, at_once=6, budget=budget
        )
        assert tabular.feasible(found.x, table, reference).all()
        assert (table.price(found.x, reference) <= budget + 1e-9).all()
        assert (found.spent <= 12).all()
        assert ((found.x @ weights < -3.0) == found.evaded).all()
    assert rows >= 10_000


def test_rows_that_are_feasible_stay_as_they_are():
    for table, reference, _ in worlds(50, 10, seed=1):
        torch.testing.assert_close(tabular.project_feasible(reference, reference, table), reference)


def by_program(x, reference, table):
    """The least distance of a feasible row, by a program written from the rules' own words; one row."""
    d, free = len(table.names), set(table.free)
    low, high = (side[0].numpy().copy() for side in table.limits(reference[None]))
    eye, at, ref = np.eye(d), x.numpy(), reference.numpy()
    for k, column in enumerate(table.features):
        if column.name in table.derived:
            low[k], high[k] = column.low, column.high
        elif k not in free:
            low[k] = high[k] = ref[k]
    rows, most = [], []
    for name in ("linear", "derived"):
        ((weights, bound),) = table.relations[name].branches[0]
        rows.append([weights.get(column, 0.0) for column in table.names])
        most.append(bound)
    form = table.derived["sum"].weights
    follows = [form.get(column, 0.0) - (column == "sum") for column in table.names]
    zeros = np.zeros((1, d))
    constraints = [
        LinearConstraint(np.hstack([eye, -eye]), -np.inf, at),
        LinearConstraint(np.hstack([eye, eye]), at, np.inf),
        LinearConstraint(np.hstack([np.array(rows), np.zeros((len(rows), d))]), -np.inf, most),
        LinearConstraint(np.hstack([[follows], zeros]), 0, 0),
    ]
    for group in table.one_hot:
        member = np.array([[float(name in group) for name in table.names]])
        constraints.append(LinearConstraint(np.hstack([member, zeros]), 1, 1))
    price = [1 / column.scale if k in free else 0.0 for k, column in enumerate(table.features)]
    ends = Bounds(np.r_[low, np.zeros(d)], np.r_[high, np.full(d, np.inf)])
    kinds = np.r_[[column.kind != "real" for column in table.features], np.zeros(d)]
    return milp(np.r_[np.zeros(d), price], integrality=kinds, bounds=ends, constraints=constraints).fun


def test_the_projection_equals_a_linear_program_on_random_linear_schemas():
    exact, fast, best = [], [], []
    for table, reference, x in worlds(80, 4, linear=True, seed=2):
        made = nearest(x, reference, table)
        assert tabular.feasible(made, table, reference).all()
        exact += distance(x, made, table).tolist()
        fast += distance(x, tabular.project_feasible(x, reference, table), table).tolist()
        best += [by_program(x[k], reference[k], table) for k in range(len(x))]
    exact, fast, best = map(np.array, (exact, fast, best))
    np.testing.assert_allclose(exact, best, atol=2e-5)
    assert (fast >= best - 2e-5).all()
    assert (fast <= best + 2e-5).mean() > 0.85  # the fixed point is the nearest row, but for few
    assert fast.sum() < 1.05 * best.sum()


def test_a_broken_reference_is_refused_with_its_row():
    x = payments.simulate(customers=20, days=3).x
    x[2, 0] += 1
    with pytest.raises(ValueError, match="row 2 of reference"):
        tabular.project_feasible(x, x, TABLE)
    assert tabular.broken_rules(x, TABLE) == {"spent_24h follows": 1, "ratio follows": 1}


def test_the_penalty_is_zero_exactly_where_the_relations_hold_and_leads_back():
    x = payments.simulate(customers=50, days=5).x.double()
    x = TABLE.derive(x)
    assert tabular.penalty(x, TABLE).abs().max() == 0
    wrong = x.clone()
    wrong[:, TABLE.index("payments_1h")] += 5.5
    wrong[:, TABLE.index("spent_24h")] -= 30
    before = tabular.penalty(wrong, TABLE, x)
    assert (before > 0).all()
    wrong.requires_grad_()
    (slope,) = torch.autograd.grad(tabular.penalty(wrong, TABLE, x).sum(), wrong)
    after = tabular.penalty((wrong - 0.1 * slope).detach(), TABLE, x)
    assert (after < before).all()


# ------------------------------------------------------------------------------------------------------- search


def test_three_curves_over_the_budget(bank):
    trees, threshold, caught = bank
    curves = {
        rules: tabular.feasible_evasion(trees, caught, TABLE, threshold=threshold, queries=200, rules=rules)
        for rules in tabular.RULES
    }
    assert tabular.feasible(curves["project"].x, TABLE, caught).all()
    for kind in ("reject", "afterwards"):
        assert tabular.feasible(curves[kind].x, TABLE, caught).all()
    noise = 2 / len(caught) ** 0.5  # four standard errors
    for queries in (1, 10, 50, 200):
        rate = {rules: found.rate(queries) for rules, found in curves.items()}
        assert rate["reject"] <= rate["project"] + noise
        assert rate["project"] <= rate["ignore"] + noise
    assert rate["reject"] < 0.15 < 0.6 < rate["project"]
    rates = [curves["project"].rate(queries) for queries in range(1, 201)]
    assert rates == sorted(rates)
    assert rates[0] == 0


def test_the_attackers_own_columns_decide_not_what_becomes_of_broken_rows(bank):
    """Discarding finds as much as projecting when both move what can be set, and next to nothing when all moves."""
    trees, threshold, caught = bank
    search = functools.partial(tabular.feasible_evasion, trees, caught, TABLE, threshold=threshold, queries=200)
    found = {rules: search(rules=rules, columns="own") for rules in ("project", "reject", "afterwards")}
    for outcome in found.values():
        assert tabular.feasible(outcome.x, TABLE, caught).all()
    rates = {rules: outcome.rate(200) for rules, outcome in found.items()}
    assert min(rates.values()) > 0.6
    assert max(rates.values()) - min(rates.values()) < 0.15
    assert search(rules="reject").rate(200) < 0.15
    same = search(columns="all")  # what is projected has moved its own columns only
    assert torch.equal(same.x, found["project"].x)


def test_what_is_entered_keeps_limits_counts_and_what_follows_but_not_every_relation():
    draw = runtime.generator(3)
    x = payments.simulate(customers=100, days=10, generator=draw).x[:300]
    wild = x + 3 * TABLE.vector("scale", x) * torch.randn(x.shape, generator=draw)
    made = tabular.entered(wild, x, TABLE)
    low, high = TABLE.limits(x)
    own = list(TABLE.free)
    assert ((made >= low - 1e-4) & (made <= high + 1e-4))[:, own].all()
    fixed = [k for k in range(x.shape[1]) if k not in own and TABLE.names[k] not in TABLE.derived]
    assert torch.equal(made[:, fixed], x[:, fixed])
    whole = [k for k in TABLE.whole if k in own]
    assert torch.equal(made[:, whole], made[:, whole].round())
    torch.testing.assert_close(TABLE.derive(made.clone()), made)
    assert not tabular.feasible(made, TABLE, x).all()
    good = tabular.feasible(made, TABLE, x)
    torch.testing.assert_close(tabular.project_feasible(wild, x, TABLE)[good], made[good])
    with pytest.raises(ValueError, match="reference"):
        tabular.entered(wild[:5], x, TABLE)


def test_success_is_what_the_model_says_of_the_rows_that_are_returned(bank):
    trees, threshold, caught = bank
    found = tabular.feasible_evasion(trees, caught, TABLE, threshold=threshold, queries=60)
    assert torch.equal(tabular.scorer(trees)(found.x) < threshold, found.evaded)
    assert torch.equal(found.spent[found.evaded], found.first[found.evaded].long())
    assert (found.spent[~found.evaded] == 60).all()


def test_every_query_is_counted(bank):
    trees, threshold, caught = bank
    asked = []

    def watched(x):
        asked.append(len(x))
        return tabular.scorer(trees)(x)

    found = tabular.feasible_evasion(watched, caught, TABLE, threshold=threshold, queries=47, at_once=1)
    assert sum(asked) == int(found.spent.sum())


def test_with_a_value_the_search_goes_on_and_never_gives_back(bank):
    trees, threshold, caught = bank
    worth = lambda rows, x: rows[:, 0] - TABLE.price(rows, x)  # noqa: E731
    found = tabular.feasible_evasion(trees, caught, TABLE, threshold=threshold, queries=150, value=worth)
    assert (found.worth.diff(dim=0).nan_to_num() >= 0).all()
    torch.testing.assert_close(found.worth[-1][found.evaded], worth(found.x, caught)[found.evaded])
    plain = tabular.feasible_evasion(trees, caught, TABLE, threshold=threshold, queries=150)
    assert found.worth[-1].clamp_min(0).sum() > 1.5 * worth(plain.x, caught)[plain.evaded].clamp_min(0).sum()


@pytest.fixture(scope="module")
def network():
    """(a network of random weights, the score that a fifth of 100 frauds stay below, these frauds)"""
    made = payments.simulate(customers=500, generator=runtime.generator(3))
    mean, scale = made.x.mean(0), TABLE.vector("scale", made.x)
    net = nn.Sequential(nn.Linear(17, 32), nn.ReLU(), nn.Linear(32, 2))
    with torch.no_grad():
        for part in net.parameters():
            part.copy_(0.3 * torch.randn(part.shape, generator=runtime.generator(4)))

    class Standardised(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net((x - mean) / scale)

    model = Standardised().eval()
    x = made.x[made.y == 1][:100]
    return model, tabular.scorer(model)(x).quantile(0.2).item(), x


def test_a_gradient_finds_more_with_few_queries_than_evolution_alone(network):
    model, threshold, x = network
    rates = [
        tabular.feasible_evasion(model, x, TABLE, threshold=threshold, queries=12, steps=steps).rate(12)
        for steps in (0, 8)
    ]
    assert rates[1] > rates[0] + 0.1, rates
    with pytest.raises(ValueError, match="needs the gradient of a network"):
        tabular.feasible_evasion(lambda z: z[:, 0], x, TABLE, threshold=0.0, steps=3)


@pytest.mark.parametrize("columns", ["all", "own"])
@pytest.mark.parametrize("rules", tabular.RULES)
def test_every_gradient_step_asks_about_new_rows(network, rules, columns):
    model, _, x = network
    asked = []

    class Watched(nn.Module):
        def forward(self, rows):
            if not torch.is_grad_enabled():
                asked.append(rows.clone())
            return model(rows)

    options = {"threshold": -1e9, "queries": 4, "steps": 3, "rules": rules, "columns": columns}  # no row ever passes
    tabular.feasible_evasion(Watched().eval(), x, TABLE, **options)
    assert len(asked) == 4
    assert all((before != after).any(1).float().mean() > 0.8 for before, after in itertools.pairwise(asked))


def test_an_empty_batch_and_a_row_that_passes_cost_next_to_nothing():
    x = payments.simulate(customers=20, days=3).x
    none = tabular.feasible_evasion(lambda z: z[:, 0], x[:0], TABLE, threshold=1e9)
    assert none.x.shape == (0, 17)
    free = tabular.feasible_evasion(lambda z: z[:, 0], x, TABLE, threshold=1e9)
    assert (free.spent == 1).all()
    assert torch.equal(free.x, x)


def test_one_seed_gives_one_result(bank):
    trees, threshold, caught = bank
    one, same, other = (
        tabular.feasible_evasion(
            trees, caught[:20], TABLE, threshold=threshold, queries=40, generator=runtime.generator(seed)
        ).x
        for seed in (5, 5, 6)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


# -------------------------------------------------------------------------------------------------------- money


def test_profit_is_what_was_taken_less_changes_and_every_query():
    prices = tabular.Prices(resale=0.5, query=2.0)
    amount, changes = torch.tensor([100.0, 100.0, 10.0]), torch.tensor([10.0, 10.0, 20.0])
    passed, queries = torch.tensor([True, False, True]), torch.tensor([1, 5, 2])
    profit = tabular.attacker_profit(amount, passed, changes, queries, prices)
    assert profit.tolist() == [38.0, -10.0, -19.0]


def test_an_always_fraud_control_stops_everything_and_costs_the_most():
    amount = torch.tensor([100.0, 50.0, 20.0, 30.0])
    fraud = torch.tensor([True, False, False, False])
    prices = tabular.Prices(refusal=40.0, review=5.0)
    nothing = tabular.bank_loss(amount, fraud, torch.zeros(4, dtype=torch.bool), prices)
    everything = tabular.bank_loss(amount, fraud, torch.ones(4, dtype=torch.bool), prices)
    looked = tabular.bank_loss(amount, fraud, torch.zeros(4, dtype=torch.bool), prices, reviewed=fraud)
    assert (nothing["total"], everything["total"], looked["total"]) == (100.0, 120.0, 5.0)


def test_flags_of_a_group_go_to_the_one_that_may_be_set():
    table = Schema(
        (Feature("a", 0, 1, "flag"), Feature("b", 0, 1, "flag", cost=(0, torch.inf)), Feature("c", 0, 1, "flag")),
        one_hot=(("a", "b", "c"),),
    )
    reference = torch.tensor([[1.0, 0.0, 0.0]])
    made = tabular.project_feasible(torch.tensor([[0.1, 0.9, 0.2]]), reference, table)
    assert made.tolist() == [[0.0, 0.0, 1.0]]


def test_a_rule_that_cannot_be_mended_leaves_the_reference():
    table = Schema((Feature("a", 0, 9), Feature("b", 0, 9)), {"odd": feature("a") * feature("b") <= 4})
    reference = torch.tensor([[1.0, 2.0]])
    assert tabular.project_feasible(torch.tensor([[5.0, 6.0]]), reference, table).tolist() == [[1.0, 2.0]]
