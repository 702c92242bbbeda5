"""Read the weights of softmax regression off its answers, up to a gauge."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from modelsec_course import extraction, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_tensors


def _softmax(d: int, classes: int, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = runtime.generator(10 * d + classes)
    weight, bias = torch.randn(classes, d, generator=draw).double(), torch.randn(classes, generator=draw).double()
    x = torch.randn(n, d, generator=draw).double()
    return x, (x @ weight.T + bias).softmax(1), weight, bias


def _softmax_same_model(solve):
    """The copy answers as the victim does, also where it never asked"""
    for d, classes in ((3, 2), (8, 5), (20, 10)):
        x, p, weight, bias = _softmax(d, classes, d + 1)
        got_weight, got_bias = solve(x, p)
        new = torch.randn(50, d, generator=runtime.generator(1)).double()
        got, want = ((new @ w.T + b).softmax(1) for w, b in ((got_weight, got_bias), (weight, bias)))
        expect_close(got, want, 1e-9, f"the copy's probabilities at new inputs, with {classes} classes")


def _softmax_gauge(solve):
    """The gauge: class 0 has zeros, every other class is what it was minus class 0"""
    x, p, weight, bias = _softmax(6, 4, 7)
    got_weight, got_bias = solve(x, p)
    expect_close(got_weight[0], torch.zeros(6), 1e-9, "the weights of class 0")
    expect_close(got_bias[0], 0.0, 1e-9, "the bias of class 0")
    expect_close(got_weight, weight - weight[0], 1e-9, "weight")
    expect_close(got_bias, bias - bias[0], 1e-9, "bias")


def _softmax_more(solve):
    """With more answers than unknowns it uses them all"""
    x, p, weight, _ = _softmax(5, 3, 300)
    noise = 0.05 * torch.randn(p.shape, generator=runtime.generator(4)).double()
    noisy = (p.log() + noise).softmax(1)
    got_weight, _ = solve(x, noisy)
    gap = (got_weight - got_weight[0] - (weight - weight[0])).abs().max().item()  # in any gauge
    expect(gap < 0.025, f"from 300 noisy answers a weight is {gap:.3f} off, expected about 0.01: are all 300 used?")


def _weight_and_bias(result, args, kwargs) -> None:
    x, p = argument(args, kwargs, 0, "x"), argument(args, kwargs, 1, "p")
    expect_tensors(result, weight=(p.shape[1], x.shape[1]), bias=p.shape[1:])


def solve_softmax(x, p):
    return extraction.solve_softmax(x, p)


def _softmax_class_by_class(x, p, *, odds=lambda p, k: (p[:, k] / p[:, 0]).log(), rows=None, last=False):
    """Each class against class 0 is a logistic regression of its own."""
    x, p = x[: rows and x.shape[1] + 1], p[: rows and x.shape[1] + 1]
    design = torch.hstack([x, torch.ones_like(x[:, :1])])
    solution = torch.stack([torch.linalg.pinv(design) @ odds(p, k) for k in range(p.shape[1])])
    if last:
        solution = solution - solution[-1]
    return solution[:, :-1], solution[:, -1]


EXERCISE = Exercise(
    "09.solve_softmax",
    title="Ten classes, and a gauge",
    reference=solve_softmax,
    properties=[_softmax_same_model, _softmax_gauge, _softmax_more],
    hints=[
        "The logarithm of a probability is its logit minus a number that is the same for all classes. What cancels it?",
        "`p.log() - p.log()[:, :1]` is the logit of each class minus that of class 0: linear in x.",
        "One call solves all classes: `torch.linalg.lstsq(design, odds).solution` is (d + 1, classes). The last row is "
        "the bias, and the rest must be transposed.",
    ],
    returns=_weight_and_bias,
    second=_softmax_class_by_class,
    mutants={
        "takes log p for the logit": functools.partial(_softmax_class_by_class, odds=lambda p, k: p[:, k].log()),
        "the log-odds of each class against all others": functools.partial(
            _softmax_class_by_class, odds=lambda p, k: torch.logit(p[:, k])
        ),
        "subtracts the mean instead": functools.partial(
            _softmax_class_by_class, odds=lambda p, k: p[:, k].log() - p.log().mean(1)
        ),
        "holds the last class at zero": functools.partial(_softmax_class_by_class, last=True),
        "upside down": functools.partial(_softmax_class_by_class, odds=lambda p, k: (p[:, 0] / p[:, k]).log()),
        "uses the first d + 1 answers only": functools.partial(_softmax_class_by_class, rows=True),
    },
)
