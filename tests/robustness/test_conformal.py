"""Conformal sets keep their promise on exchangeable inputs, lose it under attack, and keep it again when certified."""

import math

import pytest
import torch
from torch import nn

from modelsec_course import runtime
from modelsec_course.robustness import certified_sets, conformal_sets, conformal_threshold, conformal_thresholds


def patients(n, seed, d=4):
    """Two overlapping classes, the first of them rare; a fixed linear model that is a little wrong about them."""
    draw = runtime.generator(seed)
    y = (torch.rand(n, generator=draw) < 0.8).long()
    x = torch.randn(n, d, generator=draw) + (2 * y - 1)[:, None] * torch.tensor([1.2, 0.5, 0.0, 0.0])
    return x, y


def model():
    net = nn.Sequential(nn.Linear(4, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[-1.0, -0.4, -0.2, 0.1], [1.0, 0.4, 0.2, -0.1]]))
        net[0].bias.copy_(torch.tensor([0.0, 0.7]))
    return net


def test_the_threshold_is_the_right_order_statistic():
    scores = torch.arange(1.0, 20.0)  # 19 scores: ⌈20 · 0.9⌉ = 18
    assert conformal_threshold(scores.flip(0), 0.1) == 18
    assert conformal_threshold(scores, 0.05) == 19
    assert conformal_threshold(scores, 0.04) == math.inf
    assert conformal_threshold(scores[:0], 0.5) == math.inf


@pytest.mark.parametrize("by_class", [False, True])
def test_the_promise_holds_over_many_draws_and_is_not_lavish(by_class):
    net, alpha, misses = model(), 0.1, []
    for seed in range(300):
        x, y = patients(260, seed)
        with torch.no_grad():
            logits = net(x)
        thresholds = conformal_thresholds(logits[:200], y[:200], alpha, by_class=by_class)
        covered = conformal_sets(logits[200:], thresholds).gather(1, y[200:, None]).squeeze(1)
        misses.append(torch.stack([(~covered).float().mean(), (~covered[y[200:] == 0]).float().mean()]))
    overall, rare = torch.stack(misses).mean(0)
    assert alpha - 0.03 < overall < alpha + 0.01
    assert (rare < alpha + 0.01) if by_class else (rare > 1.5 * alpha)  # the rare class pays for the common one


def test_an_attack_voids_the_promise_and_certified_sets_keep_it():
    net, alpha, eps, plain, robust = model(), 0.1, 0.5, [], []
    for seed in range(100):
        x, y = patients(260, seed)
        with torch.no_grad():
            thresholds = conformal_thresholds(net(x[:200]), y[:200], alpha, by_class=True)
            slope = (net[0].weight[1] - net[0].weight[0]).sign()
            x_adv, y = x[200:] + eps * slope * (1 - 2 * y[200:])[:, None], y[200:]
            sets = conformal_sets(net(x_adv), thresholds)
        wide = certified_sets(net, x_adv, eps, thresholds, box=None)
        assert not (sets & ~wide).any()
        plain.append(sets.gather(1, y[:, None]).float().mean())
        robust.append(wide.gather(1, y[:, None]).float().mean())
    assert torch.stack(plain).mean() < 0.75
    assert torch.stack(robust).mean() > 1 - alpha - 0.01


def test_certified_sets_are_exact_for_two_classes_and_one_layer_and_sound_for_more():
    net, (x, _) = model(), patients(200, 1)
    thresholds = torch.tensor([-1.1, -0.4])
    with torch.no_grad():
        slope = (net[0].weight[1] - net[0].weight[0]).sign()
        by_hand = conformal_sets(net(x + 0.2 * slope), thresholds) | conformal_sets(net(x - 0.2 * slope), thresholds)
    assert torch.equal(certified_sets(net, x, 0.2, thresholds, box=None), by_hand)
    deep = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    thresholds, wide = torch.tensor([-1.0, -1.2, -0.9]), None
    wide = certified_sets(deep, x, 0.1, thresholds, box=None)
    draw = runtime.generator(3)
    for _ in range(50):
        near = x + 0.1 * (2 * torch.rand(x.shape, generator=draw) - 1)
        with torch.no_grad():
            assert not (conformal_sets(deep(near), thresholds) & ~wide).any()


def test_bad_arguments_are_refused():
    logits, y = torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="alpha must lie strictly between"):
        conformal_threshold(torch.ones(3), 0.0)
    with pytest.raises(ValueError, match=r"scores must be floats \(n,\)"):
        conformal_threshold(logits, 0.1)
    with pytest.raises(ValueError, match="label 2"):
        conformal_thresholds(logits, y + 2, 0.1)
    with pytest.raises(ValueError, match=r"thresholds \(classes,\)"):
        conformal_sets(logits, torch.zeros(3))
