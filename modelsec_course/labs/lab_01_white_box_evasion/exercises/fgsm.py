"""The fast gradient sign method: one step of length ε up the loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import evasion
from modelsec_course.lab.exercise import Exercise, expect_close
from modelsec_course.labs.common import curved_model, linear_model, shaped_like_x, stays_in_the_ball, still_right


def _corner(attack):
    """On a linear model: every pixel moves by exactly ε, the way that hurts"""
    model, x, y = linear_model(classes=2)
    weight = model[1].weight.detach()
    uphill = (weight[1 - y] - weight[y]).sign().view_as(x)
    expect_close(attack(model, x, y, 0.05), x + 0.05 * uphill, 1e-6, "x_adv")


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


def _fgsm_own_label(model, x, y, eps):
    return fgsm(model, x, model(x).argmax(1), eps)


EXERCISE = Exercise(
    "01.fgsm",
    title="The fast gradient sign method",
    reference=fgsm,
    properties=[_corner, stays_in_the_ball, exact_accuracy, _nothing],
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
        "random signs": lambda model, x, y, eps: (x + eps * torch.randn_like(x).sign()).clamp(0, 1),
    },
)
