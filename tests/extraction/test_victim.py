"""The victim answers as it was told to, counts every query, and keeps its budget to the query."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import models, runtime
from modelsec_course.extraction import ANSWERS, OutOfQueries, Victim, round_outputs
from modelsec_course.serving import Guard, Refused


@pytest.fixture
def net():
    return models.initialise(models.linear(5, 4), runtime.generator(0)).eval()


@pytest.fixture
def x():
    return torch.randn(20, 5, generator=runtime.generator(1))


def test_each_kind_of_answer_is_what_its_name_says(net, x):
    logits = net(x).detach()
    assert torch.equal(Victim(net, answers="logits")(x), logits)
    assert torch.equal(Victim(net)(x), logits.softmax(1))
    assert torch.equal(Victim(net, answers="label")(x), logits.argmax(1))
    assert torch.equal(Victim(net, decimals=2)(x), round_outputs(logits.softmax(1), 2))


@pytest.mark.parametrize("answers", ANSWERS)
def test_an_answer_brings_no_gradient_along(net, x, answers):
    assert not Victim(net, answers=answers)(x.requires_grad_()).requires_grad


def test_the_budget_is_kept_to_the_query(net, x):
    victim = Victim(net, budget=12)
    victim(x[:8])
    with pytest.raises(OutOfQueries, match="the budget has 4 queries left, but this call asks 5: ask fewer"):
        victim(x[:5])
    assert (victim.spent, victim.left) == (8, 4)  # what was refused did not count, and was not answered
    victim(x[:4])
    assert (victim.spent, victim.left) == (12, 0)
    with pytest.raises(OutOfQueries):
        victim(x[:1])
    assert len(victim(x[:0])) == 0


def test_a_refused_batch_never_reaches_the_model(x):
    seen = []
    victim = Victim(lambda q: seen.append(len(q)) or q, budget=3)
    with pytest.raises(OutOfQueries):
        victim(x[:4])
    assert seen == []


def test_without_a_budget_it_only_counts(net, x):
    victim = Victim(net)
    for rows in (1, 7, 20):
        victim(x[:rows])
    assert (victim.spent, victim.left) == (28, torch.inf)


def test_a_guard_can_stand_inside_and_both_refuse_in_the_same_way(net, x):
    victim = Victim(Guard(net, budget=10), budget=15)
    victim(x[:10])
    with pytest.raises(Refused) as by_guard:
        victim(x[:5])
    assert victim.spent == 10
    with pytest.raises(Refused) as by_victim:
        victim(x[:6])
    assert by_guard.value.reason == by_victim.value.reason == "budget"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"answers": "scores"}, "answers must be one of 'logits', 'probabilities', 'label'"),
        ({"budget": 0}, "budget must be at least 1"),
        ({"decimals": 0}, "decimals must be at least 1"),
        ({"decimals": 2, "answers": "label"}, "rounds probabilities, but the answers are 'label'"),
    ],
)
def test_what_cannot_be_is_refused(net, options, words):
    with pytest.raises(ValueError, match=words):
        Victim(net, **options)


def test_a_model_in_train_mode_is_refused():
    with pytest.raises(ValueError, match="model is in train mode"):
        Victim(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))


def test_queries_of_the_wrong_kind_are_refused_before_they_count(net):
    victim = Victim(net, budget=5)
    for wrong, error in (
        ([[0.0] * 5], TypeError),
        (torch.zeros(1, 5).double(), ValueError),
        (torch.tensor(1.0), ValueError),
    ):
        with pytest.raises(error):
            victim(wrong)
    assert victim.spent == 0


def test_labels_hold_less_than_probabilities(net, x):
    """Many models share all labels: that is why they say less."""
    sharper = lambda q: 10 * net(q)  # noqa: E731
    assert torch.equal(Victim(sharper, answers="label")(x), Victim(net, answers="label")(x))
    assert F.mse_loss(Victim(sharper)(x), Victim(net)(x)) > 0.01
