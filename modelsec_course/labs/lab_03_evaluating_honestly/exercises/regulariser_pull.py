"""The largest gradient that a penalty has in any weight: 0 unmasks one that does nothing."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F

from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import linear_model


def _decay(model, x, y):
    return sum((p**2).sum() for p in model.parameters())


def _slope_penalty(model, x, y, create_graph=True):
    at = x.clone().requires_grad_()
    loss = F.cross_entropy(model(at), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, at, create_graph=create_graph)
    return (gradient**2).flatten(1).sum(1).mean()


def _knows_the_pull(pull):
    """The largest pull on any weight, where it is known"""
    model, x, y = linear_model(classes=3)
    largest = max(p.abs().max().item() for p in model.parameters())
    expect_close(pull(_decay, model, x, y), 2 * largest, 1e-4, "the pull of Σ w², which is 2w")
    expect_close(pull(lambda m, x, y: -3 * m[1].bias.sum(), model, x, y), 3.0, 1e-5, "the pull of −3 Σ bias")


def _sees_the_constant(pull):
    """0 for a penalty that pulls nothing, without an error"""
    model, x, y = linear_model(classes=3)
    for p in model.parameters():
        p.grad = torch.ones_like(p)  # left over from training
    for name, penalty in (
        ("a number", lambda model, x, y: torch.tensor(5.0)),
        ("a slope without its graph", functools.partial(_slope_penalty, create_graph=False)),
        ("a function of x only", lambda model, x, y: (x.clone().requires_grad_() ** 2).sum()),
    ):
        expect(
            float(pull(penalty, model, x, y)) == 0,
            f"the penalty is {name}: expected 0, got {pull(penalty, model, x, y)}",
        )


def _sees_the_real_one(pull):
    """Above 0 for a penalty on the slope that keeps its graph"""
    model, x, y = linear_model(classes=3)
    expect(float(pull(_slope_penalty, model, x, y)) > 1e-6, "got 0 for a penalty that does pull")


def regulariser_pull(penalty, net, x, y):
    value = penalty(net, x, y)
    if not value.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(value, list(net.parameters()), allow_unused=True)
    return max((g.abs().max().item() for g in gradients if g is not None), default=0.0)


def _by_backward(penalty, model, x, y):
    for p in model.parameters():
        p.grad = None
    value = penalty(model, x, y)
    if value.grad_fn is not None:
        value.backward()
    return max(0.0 if p.grad is None else p.grad.abs().max().item() for p in model.parameters())


def _leftover(penalty, model, x, y):
    value = penalty(model, x, y)
    if value.requires_grad:
        value.backward()
    return max(0.0 if p.grad is None else p.grad.abs().max().item() for p in model.parameters())


def _pull_wrong(penalty, model, x, y, *, first=False, cancel=False):
    value = penalty(model, x, y)
    if not value.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    found = [g for g in (gradients[:1] if first else gradients) if g is not None]
    return (
        abs(sum(g.sum().item() for g in found)) if cancel else max((g.abs().max().item() for g in found), default=0.0)
    )


EXERCISE = Exercise(
    "03.regulariser_pull",
    title="Control 2: does the regulariser pull?",
    reference=regulariser_pull,
    properties=[_knows_the_pull, _sees_the_constant, _sees_the_real_one],
    hints=[
        "A penalty changes training only through its gradient in the **weights**: "
        "`torch.autograd.grad(value, list(model.parameters()), allow_unused=True)`.",
        "A constant has `value.requires_grad == False`: answer 0 before PyTorch complains. With `allow_unused=True` "
        "the gradient of a weight that plays no part is `None`: skip it.",
        "`max((g.abs().max().item() for g in gradients if g is not None), default=0.0)`",
    ],
    second=_by_backward,
    mutants={
        "asks for the value": lambda penalty, model, x, y: penalty(model, x, y).item(),
        "stumbles over a constant": lambda penalty, model, x, y: max(
            g.abs().max().item() for g in torch.autograd.grad(penalty(model, x, y), list(model.parameters()))
        ),
        "looks at the first weights only": functools.partial(_pull_wrong, first=True),
        "finds what was left in .grad": _leftover,
        "lets pulls cancel": functools.partial(_pull_wrong, cancel=True),
        "always finds something": lambda penalty, model, x, y: regulariser_pull(penalty, model, x, y) + 1e-3,
    },
)
