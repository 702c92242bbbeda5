"""Attacks on a trained network: more effort never helps the defender, and what is returned is what counts."""

import itertools

import pytest
import torch
from evasion_cases import network, pictures, robust_accuracy, still_right
from torch import nn

from modelsec_course import runtime
from modelsec_course.evasion import LOSSES, NORMS, carlini_wagner, deepfool, fgsm, fooled, minimal, pgd
from modelsec_course.evasion.losses import input_gradient


class Counted:
    """A model that keeps what it was asked."""

    def __init__(self, model):
        self.model, self.asked = model, []

    def __call__(self, x):
        self.asked.append(x.detach().clone())
        return self.model(x)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("loss", LOSSES)
def test_robust_accuracy_never_rises_with_eps(cnn, digits, norm, loss):
    # A larger ball holds the smaller one, but a climb may end elsewhere: one input of 360 is allowed to come back.
    radii = {"linf": (0, 0.02, 0.05, 0.1, 0.15, 0.2), "l2": (0, 0.2, 0.4, 0.8, 1.2, 1.6)}[norm]
    robust = [
        robust_accuracy(cnn, pgd(cnn, *digits, eps=eps, norm=norm, loss=loss, steps=20), digits[1]) for eps in radii
    ]
    assert all(later <= earlier + 1 / 360 for earlier, later in itertools.pairwise(robust)), robust
    assert robust[0] > 0.97
    assert robust[-1] < 0.05


@pytest.mark.parametrize("norm", NORMS)
def test_robust_accuracy_never_rises_with_steps(cnn, digits, norm):
    # With one step size and the fallen left alone the first k steps are the same climb, so this is exact.
    eps = {"linf": 0.08, "l2": 0.7}[norm]
    stands = [
        still_right(cnn, pgd(cnn, *digits, eps=eps, norm=norm, steps=steps, step_size=eps / 8), digits[1])
        for steps in (1, 2, 4, 8, 16)
    ]
    assert all((later <= earlier).all() for earlier, later in itertools.pairwise(stands))
    assert stands[-1].sum() < stands[0].sum()


@pytest.mark.parametrize("norm", NORMS)
def test_restarts_never_make_an_attack_weaker(cnn, digits, norm):
    eps = {"linf": 0.07, "l2": 0.6}[norm]
    options = {"eps": eps, "norm": norm, "steps": 5}
    once, thrice = (still_right(cnn, pgd(cnn, *digits, restarts=n, **options), digits[1]) for n in (1, 3))
    assert (thrice <= once).all()


def test_restarts_start_elsewhere_and_climb_as_long_again(device):
    net = Counted(network(device).eval())
    x, _ = pictures(3, device=device)
    y = net.model(x).argmax(1)
    pgd(net, x, y, eps=1e-4, steps=4, restarts=3)  # too small a ball to win in
    assert len(net.asked) == 3 * (4 + 1) - 1  # every end but the last is looked at; the last is simply returned
    starts = [net.asked[k] for k in (0, 5, 10)]
    assert not torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[1], starts[2])


def test_the_last_step_counts(linear, digits):
    # Two steps are needed, so a loop that forgets to look at its last point would leave these inputs standing.
    x, y = digits
    needed = {"eps": 0.05, "step_size": 0.025, "random_start": False}
    one, two = (still_right(linear, pgd(linear, x, y, steps=steps, **needed), y) for steps in (1, 2))
    assert (one & ~two).sum() > 20


def test_the_last_step_counts_in_a_climb_that_is_started_again(linear, digits):
    x, y = digits
    options = {"eps": 0.05, "step_size": 0.05, "steps": 1}
    adversarial = pgd(linear, x, y, restarts=2, **options)
    first = still_right(linear, pgd(linear, x, y, **options), y)
    assert torch.equal(adversarial[~first], pgd(linear, x, y, **options)[~first])  # what fell stays as it was


def test_the_fallen_are_left_alone(cnn, digits):
    # stop_early returns the first success; without it the climb goes on, and the loss is higher
    x, y = digits
    first, worst = (pgd(cnn, x, y, eps=0.1, steps=10, stop_early=stop) for stop in (True, False))
    loss = lambda v: nn.functional.cross_entropy(cnn(v), y).item()  # noqa: E731
    assert loss(worst) > loss(first) + 0.5
    assert robust_accuracy(cnn, first, y) <= robust_accuracy(cnn, worst, y) + 1 / 360


def test_fallen_inputs_leave_the_batch(cnn, digits):
    net = Counted(cnn)
    pgd(net, *digits, eps=0.15, steps=20)
    sizes = [len(x) for x in net.asked]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 360
    assert sizes[-1] < 60


def test_an_attack_that_must_not_stop_asks_exactly_as_often_as_it_steps(cnn, digits):
    net = Counted(cnn)
    pgd(net, *digits, eps=0.3, steps=7, stop_early=False)
    assert [len(x) for x in net.asked] == 7 * [360]
    net = Counted(cnn)
    fgsm(net, *digits, eps=0.3)
    assert len(net.asked) == 1


def test_a_very_sure_model_needs_the_margin_loss(cnn, digits):
    # logits × 1000: the softmax is 1 in float32, its gradient 0, and cross-entropy sees nothing to climb
    x, y = digits
    sure = lambda v: 1000 * cnn(v)  # noqa: E731
    blind, seeing, honest = (
        robust_accuracy(sure, pgd(model, x, y, eps=0.1, loss=loss), y)
        for model, loss in ((sure, "ce"), (sure, "margin"), (cnn, "margin"))
    )
    assert blind > seeing + 0.2
    assert seeing == pytest.approx(honest, abs=2 / 360)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_scaling_the_logits_does_not_hide_the_margin(cnn, digits, attack):
    x, y = digits
    plain = attack(cnn, x, y, eps=0.1, loss="margin")
    scaled = attack(lambda v: 1024 * cnn(v), x, y, eps=0.1, loss="margin")
    assert torch.equal(plain, scaled)  # a power of two is exact


@pytest.mark.parametrize("attack", [deepfool, carlini_wagner])
def test_a_minimum_norm_attack_fools_the_network_for_every_input(cnn, digits, attack):
    x, y = digits[0][:40], digits[1][:40]
    adversarial = attack(cnn, x, y, steps=50)
    assert not still_right(cnn, adversarial, y).any()
    wrong_already = ~still_right(cnn, x, y)
    assert torch.equal(adversarial[wrong_already], x[wrong_already])


def test_carlini_wagner_is_shorter_than_deepfool_which_halves_what_pgd_leaves(cnn, digits):
    # In the median: for one input in five C&W settles on another class than DeepFool's, and further away.
    x, y = digits[0][:48], digits[1][:48]
    right = still_right(cnn, x, y)
    carlini = NORMS["l2"].length(carlini_wagner(cnn, x, y, steps=120, searches=4) - x)[right]
    fool = NORMS["l2"].length(deepfool(cnn, x, y) - x)[right]
    assert carlini.median() <= fool.median()
    assert (carlini <= fool + 1e-4).double().mean() > 0.6
    at_median = pgd(cnn, x[right], y[right], eps=fool.median().item(), norm="l2")
    assert robust_accuracy(cnn, at_median, y[right]) == pytest.approx(0.5, abs=0.15)


def test_carlini_wagner_returns_the_best_iterate_and_not_the_last(cnn, digits):
    x, y = digits[0][:24], digits[1][:24]
    net = Counted(cnn)
    lengths = NORMS["l2"].length(carlini_wagner(net, x, y, steps=30, searches=3) - x)
    shortest = torch.full_like(lengths, torch.inf)
    for part, owners in zip(range(3), torch.arange(24, device=x.device).split(8), strict=True):
        for asked in net.asked[part * 91 : (part + 1) * 91]:  # one look at x, then 3 searches of 30 steps
            hit = ~still_right(cnn, asked, y[owners])
            distance = NORMS["l2"].length(asked - x[owners]).masked_fill(~hit, torch.inf)
            shortest[owners] = torch.minimum(shortest[owners], distance)
    shortest = torch.where(still_right(cnn, x, y), shortest, 0.0)
    torch.testing.assert_close(lengths, shortest, rtol=1e-4, atol=1e-5)


def test_more_searches_and_steps_never_lengthen_carlini_wagners_answer(cnn, digits):
    x, y = digits[0][:32], digits[1][:32]
    right = still_right(cnn, x, y)
    found = []
    for searches in (1, 2, 4):
        adversarial = carlini_wagner(cnn, x, y, steps=40, searches=searches)
        missed = still_right(cnn, adversarial, y)
        found.append(NORMS["l2"].length(adversarial - x).masked_fill(missed, torch.inf)[right])
    assert (found[1] <= found[0] + 1e-6).all()
    assert (found[2] <= found[1] + 1e-6).all()


def test_confidence_is_the_margin_that_is_reached(cnn, digits):
    x, y = digits[0][:32], digits[1][:32]
    right = still_right(cnn, x, y)
    adversarial = carlini_wagner(cnn, x, y, confidence=2.0, steps=60)
    margin = LOSSES["margin"](cnn(adversarial), y)[right]
    assert (margin > 1.99).double().mean() > 0.95
    assert margin.median() < 3


def test_an_input_that_cannot_be_broken_comes_back_from_carlini_wagner_as_it_is(device):
    x = torch.full((3, 4), 0.5, device=device)
    adversarial = carlini_wagner(
        lambda v: torch.stack([v.sum(1) * 0 + 1, v[:, 0] * 1e-3], 1),
        x,
        torch.zeros(3, dtype=torch.int64, device=device),
        steps=5,
    )
    assert torch.equal(adversarial, x)


def test_deepfool_gives_up_after_its_steps_and_stays_finite(device):
    x = torch.full((3, 4), 0.5, device=device)
    net = Counted(lambda v: torch.stack([v[:, 0] * 0 + 1, v[:, 0] * 1e-3], 1))
    adversarial = deepfool(net, x, torch.zeros(3, dtype=torch.int64, device=device), steps=4)
    assert adversarial.isfinite().all()
    assert len(net.asked) == 2 * 2 * 4  # two parts, and in each step one look and one gradient


def test_a_tie_does_not_hold_deepfool(device):
    x = torch.full((1, 2), 0.5, device=device)  # both logits are equal, and argmax says class 0
    adversarial = deepfool(lambda v: v, x, torch.zeros(1, dtype=torch.int64, device=device))
    assert adversarial[0, 1] > adversarial[0, 0]
    assert (adversarial - x).abs().max() < 1e-4


@pytest.mark.parametrize("norm", NORMS)
def test_deepfool_loses_nothing_by_following_the_nearest_boundaries_only(cnn, digits, monkeypatch, norm):
    def median():
        return NORMS[norm].length(deepfool(cnn, *digits, norm=norm) - digits[0]).median().item()

    three = median()
    monkeypatch.setattr(minimal, "FOLLOWED", 9)
    assert three == pytest.approx(median(), rel=0.005)


def test_deepfool_with_fewer_candidates_is_never_shorter(linear, digits):
    x, y = 0.25 + digits[0] / 2, digits[1]
    model = lambda u: linear(2 * (u - 0.25))  # noqa: E731
    lengths = [NORMS["l2"].length(deepfool(model, x, y, candidates=n) - x) for n in (1, 3, 9, 50)]
    assert (lengths[0] >= lengths[2] - 1e-4).all()
    assert (lengths[1] >= lengths[2] - 1e-4).all()
    assert torch.equal(lengths[2], lengths[3])  # there are only nine others
    assert lengths[0].mean() > lengths[2].mean()


def test_a_loss_is_one_number_for_each_input_whatever_the_batch():
    logits = torch.randn(6, 4, generator=runtime.generator(0), dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    for loss in LOSSES.values():
        together = loss(logits, y)
        assert together.shape == (6,)
        torch.testing.assert_close(together, torch.cat([loss(logits[i : i + 1], y[i : i + 1]) for i in range(6)]))
    assert torch.equal(LOSSES["margin"](logits, y) > 0, fooled(logits, y))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("targeted", [False, True])
def test_the_input_gradient_is_the_slope_by_finite_differences(loss, targeted):
    net, (x, y) = network(dtype=torch.float64).eval(), pictures(3, dtype=torch.float64)
    _, gradient = input_gradient(net, x, y, loss, targeted)
    direction = torch.randn(x.shape, generator=runtime.generator(0), dtype=torch.float64)
    sign = -1 if targeted else 1
    with torch.no_grad():
        rise = sign * (LOSSES[loss](net(x + 1e-6 * direction), y) - LOSSES[loss](net(x - 1e-6 * direction), y)) / 2e-6
    torch.testing.assert_close((gradient * direction).flatten(1).sum(1), rise, rtol=1e-4, atol=1e-6)
