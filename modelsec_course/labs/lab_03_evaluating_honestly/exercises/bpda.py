"""BPDA: answer what a defence answers, with the gradient of x itself."""

from __future__ import annotations

import torch

from modelsec_course import evasion, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import digits_model, still_right


def _round(x):
    return (4 * x).round() / 4


def _steep(x):
    return x + 0.01 * torch.sin(5000 * x)


def _forward(bpda):
    """Answers exactly what the defence answers"""
    x = torch.rand(6, 1, 4, 4, generator=runtime.generator(0))
    for name, defence in (("rounding", _round), ("a ripple", _steep), ("a threshold", lambda v: (v > 0.5).to(v.dtype))):
        expect_close(bpda(defence, x), defence(x), 1e-6, f"bpda of {name}")


def _backward(bpda):
    """Its gradient is the identity's, whatever the defence's is"""
    weight = torch.arange(16.0).view(1, 4, 4)
    for name, defence in (("rounding", _round), ("a ripple", _steep), ("doubling", lambda v: 2 * v)):
        at = torch.rand(6, 1, 4, 4, generator=runtime.generator(0)).requires_grad_()
        passed = bpda(defence, at)
        expect(passed.requires_grad, f"with {name}, no gradient comes through at all")
        (gradient,) = torch.autograd.grad((passed * weight).sum(), at)
        expect_close(gradient, weight.expand_as(at), 1e-5, f"the gradient through {name}, of Σ k · output_k")


def _breaks(bpda):
    """Breaks the quantised digits that plain PGD leaves standing"""
    model, x, y = digits_model(40)
    quantised = lambda v: model(_round(v))  # noqa: E731
    blind = still_right(quantised, evasion.pgd(quantised, x, y, eps=0.15, steps=20), y).float().mean().item()
    x_adv = evasion.pgd(lambda v: model(bpda(_round, v)), x, y, eps=0.15, steps=20)
    left = still_right(quantised, x_adv, y).float().mean().item()
    expect(left < 0.2, f"{left:.0%} stand; without BPDA {blind:.0%} do")


def bpda(defence, x):
    return evasion.BPDA(defence)(x)


EXERCISE = Exercise(
    "03.bpda",
    title="A gradient where there is none",
    reference=bpda,
    properties=[_forward, _backward, _breaks],
    hints=[
        "Add to x something that makes it defence(x), and that PyTorch takes for a constant.",
        "`.detach()` makes a constant of a tensor: its value stays, its gradient goes.",
        "The constant is `(defence(x) - x).detach()`.",
    ],
    second=lambda defence, x: defence(x).detach() + x - x.detach(),
    mutants={
        "the defence as it is": lambda defence, x: defence(x),
        "forgets the defence": lambda defence, x: x + 0,
        "detaches everything": lambda defence, x: (x + (defence(x) - x)).detach(),
        "adds its gradient to the defence's": lambda defence, x: defence(x) + x - x.detach(),
        "detaches x": lambda defence, x: x.detach() + (defence(x) - x),
    },
)
