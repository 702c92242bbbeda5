"""Attacking through a defence, and the ensemble that leaves nothing to choose."""

import pytest
import torch
from evasion_cases import robust_accuracy, still_right
from torch import nn

from modelsec_course import models, runtime
from modelsec_course.evasion import BPDA, EOT, NORMS, apgd, auto, ensemble, fgsm, pgd
from modelsec_course.robustness import Quantise


@pytest.fixture
def quantised(cnn):
    """The defended victim, and what to attack instead."""
    return nn.Sequential(Quantise(), cnn).eval(), nn.Sequential(BPDA(Quantise()), cnn).eval()


def test_bpda_answers_exactly_as_the_defence_does(quantised, digits):
    defended, adaptive = quantised
    torch.testing.assert_close(adaptive(digits[0]), defended(digits[0]), rtol=0, atol=1e-5)


def test_bpda_passes_the_gradient_on_as_if_the_defence_were_not_there(device):
    x = torch.rand(3, 5, generator=runtime.generator(0)).to(device).requires_grad_()
    (BPDA(Quantise())(x) * torch.arange(5.0, device=device)).sum().backward()
    torch.testing.assert_close(x.grad, torch.arange(5.0, device=device).expand(3, 5))


def test_bpda_breaks_what_rounding_seems_to_save(quantised, digits):
    defended, adaptive = quantised
    x, y = digits[0][:120], digits[1][:120]
    blind = robust_accuracy(defended, pgd(defended, x, y, eps=0.15, steps=20), y)
    seeing = robust_accuracy(defended, pgd(adaptive, x, y, eps=0.15, steps=20), y)
    assert blind > 0.9
    assert seeing < 0.1


def test_bpda_refuses_a_defence_that_changes_the_shape(device):
    with pytest.raises(ValueError, match="must keep the shape"):
        BPDA(nn.Flatten())(torch.rand(2, 1, 4, 4, device=device))


class Scaled(nn.Module):
    """A linear model of inputs scaled by a random number from {1, 3}: its expectation is the model of twice x."""

    def __init__(self, linear, generator):
        super().__init__()
        self.linear, self.generator = linear, generator

    def forward(self, x):
        scale = 1 + 2 * torch.randint(2, (len(x), 1), generator=self.generator).to(x)
        return self.linear(x * scale)


def test_eot_of_a_linear_model_is_the_model_of_the_expected_input(device):
    linear = models.initialise(nn.Sequential(nn.Linear(4, 3)), runtime.generator(0)).to(device)
    x = torch.rand(2, 4, generator=runtime.generator(1)).to(device).requires_grad_()
    logits = EOT(Scaled(linear, runtime.generator(2)), samples=4000)(x)
    torch.testing.assert_close(logits, linear(2 * x), rtol=0, atol=0.06)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), x)
    torch.testing.assert_close(gradient, 2 * linear[0].weight[0].expand_as(x), rtol=0, atol=0.06)


def test_eot_asks_as_often_as_it_says(device):
    asked = []
    EOT(lambda x: asked.append(len(x)) or x, samples=7)(torch.rand(3, 2, device=device))
    assert asked == 7 * [3]


@pytest.mark.parametrize("make", [lambda: EOT(nn.Identity(), samples=0), lambda: EOT(3), lambda: BPDA(None)])
def test_bad_arguments_are_named(make):
    with pytest.raises((ValueError, TypeError), match=r"samples must be|must be callable"):
        make()


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 0.7)])
def test_the_ensemble_is_at_least_as_strong_as_each_member(cnn, digits, norm, eps):
    x, y = digits[0][:60], digits[1][:60]
    options = {"norm": norm, "steps": 20, "queries": 100}
    left = still_right(cnn, auto(cnn, x, y, eps=eps, **options), y)
    for member in ensemble(eps=eps, **options).values():
        alone = member(cnn, x, y)
        assert NORMS[norm].length(alone - x).max() <= eps + 1e-6
        assert left.sum() <= still_right(cnn, alone, y).sum()


def test_the_ensemble_is_exact_on_softmax_regression(linear, digits):
    # .1833 in the box, the closed form; each number of classes has its own way of trying them all
    x, y = digits
    assert robust_accuracy(linear, auto(linear, x, y, eps=0.15, steps=40, queries=100), y) == pytest.approx(
        0.1833, abs=5e-5
    )
    for classes in (2, 3):
        few = y < classes
        head = nn.Sequential(nn.Flatten(), nn.Linear(64, classes)).to(x.device).requires_grad_(False)
        head[1].weight.copy_(linear[1].weight[:classes])
        head[1].bias.copy_(linear[1].bias[:classes])
        stands = still_right(head, x[few], y[few])
        for other in range(classes):
            target = torch.full_like(y[few], other)
            forced = pgd(head, x[few], target, eps=0.4, loss="margin", targeted=True)
            stands &= still_right(head, forced, y[few])
        ours = still_right(head, auto(head, x[few], y[few], eps=0.4, steps=40, queries=50), y[few])
        assert ours.sum() <= stands.sum()


def test_the_ensemble_never_moves_what_is_wrong_already(cnn, digits):
    x, y = digits[0][:20], (digits[1][:20] + 1) % 10
    wrong = ~still_right(cnn, x, y)
    assert torch.equal(auto(cnn, x, y, eps=0.1, steps=2, queries=5)[wrong], x[wrong])


def test_no_member_is_weaker_than_a_single_step(cnn, digits):
    x, y = digits[0][:60], digits[1][:60]
    step = robust_accuracy(cnn, fgsm(cnn, x, y, eps=0.1), y)
    assert robust_accuracy(cnn, apgd(cnn, x, y, eps=0.1), y) < step
