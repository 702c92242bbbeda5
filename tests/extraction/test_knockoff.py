"""A knock-off asks exactly what it may, learns what it is told, and comes as near as measured."""

import os

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import data, models, runtime, training
from modelsec_course.extraction import OutOfQueries, Victim, active_knockoff, agreement, imitate, knockoff, mixtures

TRAIN = {"epochs": 40, "progress": False}


def mlp(seed):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    return models.initialise(net, runtime.generator(seed))


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def company(digits):
    """A victim trained on 700 private digits; the last 100 training digits are public."""
    net = mlp(0)
    training.fit(net, digits.x_train[:700], digits.y_train[:700], progress=False)
    return net


@pytest.fixture
def linear():
    net = models.initialise(models.linear(6, 3), runtime.generator(1)).eval()
    return net, torch.randn(400, 6, generator=runtime.generator(2))


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_public_queries_give_95_percent_agreement(seed, digits, company):
    pool = mixtures(digits.x_train[-100:], 1000, generator=runtime.generator(seed))
    victim = Victim(company, budget=1000)
    copy = knockoff(victim, pool, mlp(10 + seed), generator=runtime.generator(20 + seed), **TRAIN)
    assert agreement(copy, company, digits.x_test) >= 0.95
    own, copied = (training.accuracy(net, digits.x_test, digits.y_test) for net in (company, copy))
    assert abs(own - copied) < 0.03
    assert victim.left == 0


@pytest.mark.parametrize("seed", range(max(2, int(os.environ.get("MODELSEC_SEEDS", "0")))))
def test_a_convolutional_victim_is_copied_as_well(seed, digits):
    victim = models.initialise(models.cnn(), runtime.generator(10 + seed))
    training.fit(victim, digits.x_train[:700], digits.y_train[:700], generator=runtime.generator(seed), progress=False)
    pool = mixtures(digits.x_train[-100:], 1000, generator=runtime.generator(20 + seed))
    student = models.initialise(models.cnn(), runtime.generator(30 + seed))
    copy = knockoff(Victim(victim, budget=1000), pool, student, lr=2e-3, **TRAIN)
    assert agreement(copy, victim, digits.x_test) >= 0.95


def test_labels_say_less_and_noise_much_less(digits, company):
    public = digits.x_train[-100:]
    asked = {"blends": mixtures(public, 1000, generator=runtime.generator(0))}
    asked["noise"] = torch.rand(asked["blends"].shape, generator=runtime.generator(1))
    got = {
        (source, answers): agreement(
            knockoff(Victim(company, answers=answers), x, mlp(3), **TRAIN), company, digits.x_test
        )
        for source, x in asked.items()
        for answers in ("probabilities", "label")
    }
    assert got["blends", "probabilities"] > got["blends", "label"] > got["noise", "label"] + 0.2
    assert got["blends", "probabilities"] > got["noise", "probabilities"] + 0.05


def test_without_queries_the_public_digits_alone_do_worse(digits, company):
    alone = mlp(4)
    training.fit(alone, digits.x_train[-100:], digits.y_train[-100:], epochs=200, progress=False)
    assert agreement(alone, company, digits.x_test) < 0.92


def test_the_queries_are_disjoint_from_the_test_set(digits):
    pool = mixtures(digits.x_train[-100:], 1000, noise=0.0, generator=runtime.generator(0))
    assert torch.cdist(pool.flatten(1), digits.x_test.flatten(1)).min() > 0


def test_choosing_queries_beats_chance_for_labels(digits, company):
    pool = mixtures(digits.x_train[-100:], 4000, generator=runtime.generator(5))
    chosen, drawn = [], []
    for seed in range(2):
        victim = Victim(company, answers="label", budget=600)
        copy = active_knockoff(victim, pool, mlp(seed), queries=600, rounds=4, epochs=25, progress=False)
        chosen.append(agreement(copy, company, digits.x_test))
        random = knockoff(Victim(company, answers="label"), pool[600 * seed :][:600], mlp(seed), **TRAIN)
        drawn.append(agreement(random, company, digits.x_test))
        assert victim.left == 0
    assert sum(chosen) > sum(drawn)


@pytest.mark.parametrize(("queries", "rounds"), [(10, 1), (10, 3), (17, 5), (400, 4)])
def test_an_active_copy_asks_about_each_input_once_and_exactly_so_many(queries, rounds, linear):
    net, pool = linear
    seen = []
    victim = lambda x: seen.append(x) or net(x).detach().softmax(1)  # noqa: E731
    active_knockoff(victim, pool, models.linear(6, 3), queries=queries, rounds=rounds, epochs=1, progress=False)
    asked = torch.cat(seen)
    assert len(seen) == rounds
    assert len(asked) == len(asked.unique(dim=0)) == queries


def test_an_active_copy_asks_where_it_is_least_sure(linear):
    """After one round the next queries are those nearest to the copy's own boundary."""
    net, pool = linear
    seen, student = [], models.initialise(models.linear(6, 3), runtime.generator(3))
    margins = []

    def victim(x):
        if seen:
            with torch.no_grad():
                first, second = student(pool).softmax(1).topk(2, dim=1).values.T
            rest = ~(pool[:, None] == seen[0]).all(2).any(1)
            margins.append((first - second)[rest].sort().values[: len(x)])
            first, second = student(x).detach().softmax(1).topk(2, dim=1).values.T
            margins.append((first - second).sort().values)
        seen.append(x)
        return net(x).detach().softmax(1)

    active_knockoff(victim, pool, student, queries=40, rounds=2, epochs=5, progress=False)
    torch.testing.assert_close(*margins)


def test_a_linear_copy_of_a_linear_model_meets_its_probabilities(linear):
    net, x = linear
    copy = knockoff(
        Victim(net), x, models.initialise(models.linear(6, 3), runtime.generator(4)), epochs=100, progress=False
    )
    torch.testing.assert_close(copy(x).softmax(1), net(x).softmax(1), atol=0.02, rtol=0)


def test_a_copy_asks_no_more_than_it_was_given(linear):
    net, x = linear
    victim = Victim(net, budget=100)
    with pytest.raises(OutOfQueries):
        knockoff(victim, x[:101], models.linear(6, 3), **TRAIN)
    assert victim.spent == 0
    knockoff(victim, x[:100], models.linear(6, 3), **TRAIN)
    assert victim.spent == 100


def test_the_same_generator_makes_the_same_copy(linear):
    net, x = linear
    one, same, other = (
        imitate(models.initialise(models.linear(6, 3), runtime.generator(5)), x, net(x).detach().softmax(1), epochs=2,
                generator=runtime.generator(seed), progress=False)
        for seed in (0, 0, 1)
    )  # fmt: skip
    assert torch.equal(one[1].weight, same[1].weight)
    assert not torch.equal(one[1].weight, other[1].weight)
    assert not one.training


def test_blends_lie_between_two_public_inputs():
    public = torch.rand(5, 1, 2, 2, generator=runtime.generator(0))
    blends = mixtures(public, 200, noise=0.0, generator=runtime.generator(1))
    assert blends.shape == (200, 1, 2, 2)
    pairs = torch.stack([public[i] - public[j] for i in range(5) for j in range(5) if i != j]).flatten(1)
    on_a_line = [
        any(F.cosine_similarity(b - public[j].flatten(), pairs, dim=1).max() > 1 - 1e-5 for j in range(5))
        or any(torch.allclose(b, p.flatten()) for p in public)
        for b in blends.flatten(1)
    ]
    assert all(on_a_line)
    noisy = mixtures(public, 2000, noise=0.5, generator=runtime.generator(1))
    assert noisy.min() == 0
    assert noisy.max() == 1


def test_agreement_counts_equal_labels():
    one = lambda x: F.one_hot(x[:, 0].long(), 3).float()  # noqa: E731
    other = lambda x: F.one_hot(x[:, 1].long(), 3).float()  # noqa: E731
    x = torch.tensor([[0, 0], [1, 2], [2, 2], [0, 1.0]])
    assert agreement(one, other, x) == 0.5
    assert agreement(one, one, x) == 1


def test_answers_that_are_no_answers_are_refused(linear):
    net, x = linear
    with pytest.raises(ValueError, match="sum to 1"):
        imitate(models.linear(6, 3), x, net(x).detach(), **TRAIN)
    with pytest.raises(ValueError, match="one input for each answer"):
        imitate(models.linear(6, 3), x, torch.zeros(3, dtype=torch.int64), **TRAIN)
    with pytest.raises(ValueError, match="int64"):
        imitate(models.linear(6, 3), x, torch.zeros(400, dtype=torch.int32), **TRAIN)
    with pytest.raises(ValueError, match="pool must hold at least queries = 500"):
        active_knockoff(Victim(net), x, models.linear(6, 3), queries=500)
    with pytest.raises(ValueError, match="at least one input"):
        agreement(net, net, x[:0])
    with pytest.raises(ValueError, match="noise must lie in"):
        mixtures(x, 3, noise=-1.0)
