"""The fast gradient sign method: one step of length ε up the loss."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import evasion
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import curved_model, linear_model, shaped_like_x, stays_in_the_ball, still_right
from modelsec_course.labs.lab_01_white_box_evasion.exercises.shared import explained


def _corner(attack):
    """On a linear model: every pixel moves by exactly ε, the way that hurts"""
    model, x, y = linear_model(classes=2)
    weight = model[1].weight.detach()
    uphill = (weight[1 - y] - weight[y]).sign().view_as(x)
    x_adv = attack(model, x, y, 0.05)
    down = (x_adv - (x - 0.05 * uphill)).abs().max() < 1e-6
    expect(not down, "every pixel moved by ε, but the wrong way: you moved down the loss")
    expect_close(x_adv, x + 0.05 * uphill, 1e-6, "x_adv")


def _cross_entropy(attack):
    """On a linear model of five classes: up the cross-entropy, pixel by pixel"""
    model, x, y = linear_model(classes=5)
    weight, logits = model[1].weight.detach(), model(x).detach()
    gradient = ((logits.softmax(1) - F.one_hot(y, 5)) @ weight).view_as(x)  # the closed form
    clear = gradient.abs() > 1e-4  # where rounding cannot turn the sign
    off = (attack(model, x, y, 0.05) - (x + 0.05 * gradient.sign())).abs()[clear] > 1e-6
    expect(
        not off.any(),
        f"{off.sum()} of {off.numel()} pixels do not move by ε up the cross-entropy. Is the loss "
        "F.cross_entropy(model(at), y), with all the logits?",
    )


def exact_accuracy(attack):
    """On a linear model: leaves exactly the closed-form robust accuracy"""
    model, x, y = linear_model(classes=2, seed=1, n=200)
    weight, logits = model[1].weight.detach(), model(x).detach()
    score = (logits.gather(1, y[:, None]) - logits.gather(1, 1 - y[:, None])).squeeze(1)
    for eps in (0.01, 0.02, 0.04):
        exact = (score > eps * (weight[0] - weight[1]).abs().sum()).float().mean()
        got = still_right(model, attack(model, x, y, eps), y).float().mean()
        expect_close(got, exact, 1e-6, f"the accuracy left at eps = {eps}")


def _nothing(attack):
    """ε = 0 changes nothing"""
    model, x, y = curved_model()
    expect_close(attack(model, x, y, 0.0), x, 1e-7, "x_adv")


def fgsm(model, x, y, eps):
    return evasion.fgsm(model, x, y, eps=eps)


def loss_gradient(model, x, y, of=F.cross_entropy) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(of(model(x), y), x)[0]


def _fgsm_backward(model, x, y, eps):
    x_adv = x.clone().requires_grad_()
    F.nll_loss(model(x_adv).log_softmax(dim=1), y, reduction="sum").backward()
    up = x_adv.grad > 0
    down = x_adv.grad < 0
    with torch.no_grad():
        return torch.clip(x + eps * up.float() - eps * down.float(), 0.0, 1.0)


def loss_of_the_margin(logits, y):
    """A loss, but not the cross-entropy: the best other logit less the true one."""
    other = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    return (other - logits.gather(1, y[:, None]).squeeze(1)).sum()


def squared_error(logits, y):
    """A loss, but not the cross-entropy: of the probabilities."""
    return F.mse_loss(logits.softmax(1), F.one_hot(y, logits.shape[1]).float(), reduction="sum")


def _of_two_classes(logits, y):
    return F.cross_entropy(logits[:, :2], y.clamp(max=1), reduction="sum")


def _fgsm_up(loss):
    return lambda model, x, y, eps: (x + eps * loss_gradient(model, x, y, loss).sign()).clamp(0, 1)


def _fgsm_without_a_leaf(model, x, y, eps):
    at = x.clone().requires_grad_() * 1.0
    F.cross_entropy(model(at), y).backward()
    with warnings.catch_warnings(action="ignore"):  # PyTorch warns of just this mistake
        return (x + eps * at.grad.sign()).clamp(0, 1)


def _fgsm_own_label(model, x, y, eps):
    return fgsm(model, x, model(x).argmax(1), eps)


EXERCISE = Exercise(
    "01.fgsm",
    title="The fast gradient sign method",
    reference=fgsm,
    properties=explained(_corner, _cross_entropy, stays_in_the_ball, exact_accuracy, _nothing),
    hints=[
        "You need the gradient of the loss with respect to the **input**, so the input must ask for one: "
        "`at = x.clone().requires_grad_()`.",
        "```python\nloss = F.cross_entropy(model(at), y)\n(gradient,) = torch.autograd.grad(loss, at)\n```",
        "Every pixel moves by `eps` in the direction of `gradient.sign()`, and then `.clamp(0, 1)` keeps it a picture.",
    ],
    returns=shaped_like_x,
    second=_fgsm_backward,
    mutants={
        "steps down the loss": lambda model, x, y, eps: (x - eps * loss_gradient(model, x, y).sign()).clamp(0, 1),
        "forgets the sign": lambda model, x, y, eps: (x + eps * loss_gradient(model, x, y)).clamp(0, 1),
        "forgets that pixels end at 0 and 1": lambda model, x, y, eps: x + eps * loss_gradient(model, x, y).sign(),
        "climbs from the model's own answer": _fgsm_own_label,
        "climbs the margin": _fgsm_up(loss_of_the_margin),
        "climbs the squared error": _fgsm_up(squared_error),
        "looks at two logits only": _fgsm_up(_of_two_classes),
        "forgets the softmax": _fgsm_up(F.nll_loss),
        "asks a tensor that is no leaf for its gradient": _fgsm_without_a_leaf,
        "random signs": lambda model, x, y, eps: (x + eps * torch.randn_like(x).sign()).clamp(0, 1),
    },
)
