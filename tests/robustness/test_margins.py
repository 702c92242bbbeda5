"""Certified margins: the closed form on linear models, sound on networks, and what they say about refusals."""

import itertools
import math

import pytest
import torch
from torch import nn

from modelsec_course import data, evasion, models, runtime, zoo
from modelsec_course.robustness import (
    ABSTAIN,
    certified,
    certified_answers,
    certified_margin,
    linear_margin,
    selective_predict,
    worst_margins,
)


def records(n=60, d=5, seed=0):
    draw = runtime.generator(seed)
    x, w = torch.randn(n, d, generator=draw, dtype=torch.float64), torch.randn(d, generator=draw, dtype=torch.float64)
    return x, w, 0.3


def two_logits(w, b, scale=1.0):
    net = nn.Sequential(nn.Linear(len(w), 2)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.stack([-scale * w / 2, scale * w / 2]))
        net[0].bias.copy_(torch.tensor([-scale * b / 2, scale * b / 2]))
    return net


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_change_as_long_as_the_margin_lands_on_the_boundary(norm):
    x, w, b = records()
    margin = linear_margin(x, w, b, norm=norm)
    assert ((margin > 0) == (x @ w + b > 0)).all()
    step = w.sign() if norm == "linf" else w / w.norm()
    torch.testing.assert_close((x - margin[:, None] * step) @ w, torch.full((60,), -b, dtype=torch.float64))


def test_on_the_tumours_the_margins_give_the_known_robust_accuracy():
    tumours, net = data.load("tumours"), zoo.load("tumours-logistic", device="cpu")
    z, w, b = net[0](tumours.x_test), net[1].weight[1].detach(), net[1].bias[1].detach()
    signed = linear_margin(z, w, b) * (2 * tumours.y_test - 1)
    assert [round((signed > e).float().mean().item(), 3) for e in (0.1, 0.3, 0.5)] == [0.916, 0.643, 0.343]


def test_on_a_linear_model_the_certified_margin_is_the_score_less_eps_times_the_dual_norm():
    x, w, b = records()
    y = (x @ w + b > 0).long()
    exact = (x @ w + b) * (2 * y - 1) - 0.2 * w.abs().sum()
    torch.testing.assert_close(certified_margin(two_logits(w, b), x, y, 0.2, box=None), exact)


def test_without_a_box_records_may_leave_0_to_1():
    net = models.initialise(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), runtime.generator(0))
    x, y = torch.rand(6, 3, generator=runtime.generator(1)), torch.arange(6) % 2
    boxed, free = (worst_margins(net, x, y, 0.5, box=box) for box in ((0.0, 1.0), None))
    assert (free >= boxed).all()
    assert (free > boxed).any()
    assert torch.equal(certified_margin(net, x, y, 0.1) > 0, certified(net, x, y, 0.1))


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.8, 0.99])
def test_on_a_linear_model_what_is_proved_about_refusals_is_exact(threshold):
    x, w, b = records(n=300)
    net, eps = two_logits(w, b, scale=3.0), 0.15
    y = torch.arange(300) % 2
    kept, never_wrong = certified_answers(net, x, y, eps, threshold=threshold, box=None)
    push = eps * w.sign() * (1 - 2 * y)[:, None]  # away from y: the worst case
    said = selective_predict(net(x + push), threshold)
    assert torch.equal(kept, said == y)
    assert torch.equal(never_wrong, (said == y) | (said == ABSTAIN))
    assert (never_wrong | ~kept).all()


def test_no_attack_turns_a_proved_answer_of_a_network_into_a_wrong_one():
    digits, net = data.load("digits"), zoo.load("digits-cnn-ibp", device="cpu")
    x, y, eps, threshold = digits.x_test[:150], digits.y_test[:150], 0.15, 0.7
    kept, never_wrong = certified_answers(net, x, y, eps, threshold=threshold)
    assert kept.float().mean() > 0.3
    assert never_wrong.sum() > kept.sum()
    for loss in ("ce", "margin"):
        with torch.no_grad():
            said = selective_predict(net(evasion.pgd(net, x, y, eps=eps, steps=20, loss=loss, stop_early=False)), 0.7)
        assert (said == y)[kept].all()
        assert ((said == y) | (said == ABSTAIN))[never_wrong].all()


def test_a_milder_threshold_proves_fewer_never_wrong_and_more_kept():
    digits, net = data.load("digits"), zoo.load("digits-cnn-ibp", device="cpu")
    x, y = digits.x_test[:100], digits.y_test[:100]
    found = [certified_answers(net, x, y, 0.1, threshold=t) for t in (0.0, 0.6, 0.9, 1.0)]
    for (kept, safe), (kept_later, safe_later) in itertools.pairwise(found):
        assert not (kept_later & ~kept).any()
        assert not (safe & ~safe_later).any()
    assert torch.equal(found[0][0], certified(net, x, y, 0.1))
    assert not found[-1][0].any()
    assert found[-1][1].all()


def test_bad_arguments_are_refused():
    x, w, b = records()
    with pytest.raises(ValueError, match="w must not be all zero"):
        linear_margin(x, 0 * w, b)
    with pytest.raises(ValueError, match=r"x must be \(n, d\)"):
        linear_margin(x, w[:2], b)
    with pytest.raises(ValueError, match="norm must be one of"):
        linear_margin(x, w, b, norm="l1")
    y = torch.zeros(60, dtype=torch.int64)
    with pytest.raises(ValueError, match="threshold must lie in"):
        certified_answers(two_logits(w, b), x, y, 0.1, threshold=1.2)
    with pytest.raises(ValueError, match="eps must lie in"):
        certified_margin(two_logits(w, b), x, y, -math.inf)
