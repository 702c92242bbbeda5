"""PATE: teachers on disjoint rows, votes that one record moves little, and what the answers cost."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from modelsec_course import data, models, runtime, training
from modelsec_course.privacy import (
    ORDERS,
    count_votes,
    gaussian_epsilon,
    indicative_epsilon,
    noisy_labels,
    pate,
    pate_epsilon,
    train_teachers,
)
from modelsec_course.privacy.accounting import converted


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def digits(n=400):
    bundle = data.load("digits")
    return bundle.x_train[:n], bundle.y_train[:n], bundle.x_test, bundle.y_test


def taught(x, y, teachers=7, **options):
    plan = {"epochs": 5, "generator": runtime.generator(0), "progress": False}
    return train_teachers(mlp, x, y, teachers, **(plan | options))


def test_each_row_teaches_exactly_one_teacher():
    x, y, *_ = digits(200)
    members = taught(x, y, epochs=1).members
    assert (members.sum(0) == 1).all()
    assert members.sum(1).tolist() == [29] * 4 + [28] * 3
    order = members.int().argmax(0)
    assert not torch.equal(order, order.sort().values)  # the parts are drawn, not cut from the file's order


def test_one_record_moves_one_vote():
    """The sensitivity of the counts: √2, however the record's label is changed."""
    x, y, x_test, _ = digits(140)
    before, wrong = taught(x, y, epochs=20), y.clone()
    wrong[11] = (wrong[11] + 5) % 10
    after = taught(x, wrong, epochs=20)
    moved = count_votes(before, x_test) - count_votes(after, x_test)
    lengths = moved.double().norm(dim=1)
    assert moved.any()
    assert (lengths <= math.sqrt(2) + 1e-9).all()


def test_votes_count_the_teachers():
    x, y, x_test, _ = digits(140)
    teachers = taught(x, y)
    votes = count_votes(teachers, x_test)
    assert votes.shape == (len(x_test), 10)
    assert (votes.sum(1) == 7).all()
    mine = torch.stack([teachers.model(i)(x_test[:5]).argmax(1) for i in range(7)])  # (teachers, 5)
    for row in range(5):
        assert votes[row].tolist() == [(mine[:, row] == label).sum().item() for label in range(10)]


@pytest.mark.parametrize("gap", [0, 5, 20])
def test_noise_overrules_a_majority_as_often_as_the_closed_form_says(gap):
    votes = torch.tensor([[50 + gap, 50]]).repeat(20_000, 1)
    lost = noisy_labels(votes, 10.0, generator=runtime.generator(0)).double().mean().item()
    expected = norm.cdf(-gap / (10 * math.sqrt(2)))
    assert lost == pytest.approx(expected, abs=4.5 * math.sqrt(expected * (1 - expected) / 20_000))


def test_with_hardly_any_noise_the_majority_wins():
    votes = torch.randint(0, 50, (100, 5), generator=runtime.generator(0)) * 5 + torch.arange(5)  # no ties
    assert torch.equal(noisy_labels(votes, 1e-6, generator=runtime.generator(1)), votes.argmax(1))


@pytest.mark.parametrize(("sigma", "queries", "delta"), [(10.0, 50, 1e-4), (20.0, 300, 1e-4), (40.0, 1000, 1e-5)])
def test_the_cost_is_that_of_gaussian_noise_on_two_counts(sigma, queries, delta):
    """By hand: Rényi divergence order / σ² for each answer. And never below the exact value of all answers together."""
    eps = pate_epsilon(sigma, queries, delta)
    orders = np.array(ORDERS)
    price = queries * orders / sigma**2 + np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)
    assert eps == pytest.approx(price.min(), rel=1e-9)
    exact = gaussian_epsilon(sigma, delta, math.sqrt(2 * queries))
    assert exact <= eps <= 1.3 * exact


def test_the_indication_falls_where_teachers_agree_and_is_never_above_the_guarantee():
    unanimous, split = torch.tensor([[100, 0, 0]]).repeat(200, 1), torch.tensor([[40, 35, 25]]).repeat(200, 1)
    guarantee = pate_epsilon(12.0, 200, 1e-5)
    assert indicative_epsilon(split, 12.0, 1e-5) == pytest.approx(guarantee, rel=1e-9)
    assert indicative_epsilon(unanimous, 12.0, 1e-5) < 0.1 * guarantee
    between = [indicative_epsilon(torch.tensor([[60 + k, 40 - k, 0]]).repeat(200, 1), 12.0, 1e-5) for k in (0, 20, 40)]
    assert guarantee * (1 + 1e-9) >= between[0] > between[1] > between[2]


@pytest.mark.parametrize("sigma", [4.0, 10.0])
@pytest.mark.parametrize("ahead", [30, 60, 100])
def test_the_bound_holds_for_two_classes_where_the_truth_can_be_computed(sigma, ahead):
    """The exact Rényi divergence between the answers for these votes and for a neighbour's, both ways."""
    wrong, orders = norm.sf(ahead / (sigma * math.sqrt(2))), np.array(ORDERS)
    bound = pate._spent(wrong, sigma)
    for moved in (-2, 2):
        other = norm.sf((ahead + moved) / (sigma * math.sqrt(2)))
        terms = [orders * math.log(a) + (1 - orders) * math.log(b) for a, b in ((wrong, other), (1 - wrong, 1 - other))]
        exact = np.logaddexp(*terms) / (orders - 1)
        assert (exact <= bound + 1e-12).all()
    assert (bound <= orders / sigma**2).all()


def test_one_answer_costs_what_theorem_6_says_in_the_papers_own_letters():
    q, sigma, order = 1e-6, 20.0, 8.0
    mu2 = sigma * math.sqrt(math.log(1 / q))
    mu1 = mu2 + 1
    e1, e2 = mu1 / sigma**2, mu2 / sigma**2
    a = (1 - q) / (1 - (q * math.exp(e2)) ** ((mu2 - 1) / mu2))
    b = math.exp(e1) / q ** (1 / (mu1 - 1))
    expected = math.log((1 - q) * a ** (order - 1) + q * b ** (order - 1)) / (order - 1)
    assert pate._spent(q, sigma)[ORDERS.index(8.0)] == pytest.approx(expected, rel=1e-9)
    assert expected < 0.1 * order / sigma**2


def test_a_wrong_answer_is_at_most_as_likely_as_each_rival_alone_summed():
    """Two votes' noise together has deviation σ √2."""
    votes, sigma = torch.tensor([[70, 20, 10], [5, 90, 5]]), 12.0
    chances = [sum(norm.sf(gap / (sigma * math.sqrt(2))) for gap in gaps) for gaps in ((50, 60), (85, 85))]
    expected = converted(sum(pate._spent(chance, sigma) for chance in chances), 1e-5)
    assert indicative_epsilon(votes, sigma, 1e-5) == pytest.approx(expected, rel=1e-9)


def test_teachers_that_are_too_many_and_votes_that_are_none_are_refused():
    x, y, *_ = digits(20)
    with pytest.raises(ValueError, match="21 teachers need"):
        taught(x, y, teachers=21)
    with pytest.raises(ValueError, match="at least 2"):
        taught(x, y, teachers=1)
    for votes in (torch.rand(3, 4), torch.ones(3, dtype=torch.int64), -torch.ones(3, 4, dtype=torch.int64)):
        for ask in (partial(noisy_labels, sigma=1.0), partial(indicative_epsilon, sigma=1.0, delta=1e-5)):
            with pytest.raises(ValueError, match="votes must be counts"):
                ask(votes)
    with pytest.raises(ValueError, match="sigma"):
        pate_epsilon(0.0, 10, 1e-5)
    with pytest.raises(ValueError, match="queries"):
        pate_epsilon(1.0, -1, 1e-5)


def test_a_student_learns_from_noisy_answers_and_nothing_from_noise():
    """Mediocre, since 1,137 rows are few for 100 teachers: about .82 at ε = 5.3. Control: noise without votes."""
    x, y, x_test, y_test = digits(None)
    reached, control = [], []
    for seed in range(3):
        draw = runtime.generator(seed)
        order = torch.randperm(len(x), generator=draw)
        private, public = order[:1137], order[1137:]
        teachers = taught(x[private], y[private], 100, epochs=100, batch_size=32, generator=draw)
        votes = count_votes(teachers, x[public])
        assert 5 < pate_epsilon(20.0, len(public), 1e-4) < 5.5
        for scores, asked in ((reached, votes), (control, torch.zeros_like(votes))):
            student = models.initialise(mlp(), draw)
            labels = noisy_labels(asked, 20.0, generator=draw)
            training.fit(student, x[public], labels, epochs=40, generator=draw, progress=False)
            scores.append(training.accuracy(student, x_test, y_test))
    assert sum(reached) / 3 > 0.72
    assert sum(control) / 3 < 0.25
