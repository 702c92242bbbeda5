"""Read the weights of a logistic regression off d + 1 of its answers."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from modelsec_course import extraction, runtime, zoo
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_tensors


def _logistic(d: int, n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries (n, d), their probabilities, and the w and b behind them."""
    draw = runtime.generator(seed)
    w, b = torch.randn(d, generator=draw).double(), torch.randn((), generator=draw).double()
    x = torch.randn(n, d, generator=draw).double()
    return x, torch.sigmoid(x @ w + b), w, b


def _logistic_exact(solve):
    """Exact to 1e-9 from d + 1 answers"""
    for d in (1, 5, 30):
        x, p, w, b = _logistic(d, d + 1, seed=d)
        got_w, got_b = solve(x, p)
        expect_close(got_w, w, 1e-9, f"w, from {d + 1} answers about {d} features")
        expect_close(got_b, b, 1e-9, f"b, from {d + 1} answers about {d} features")


def _logistic_least_squares(solve):
    """With more answers than unknowns it uses them all: least squares in the log-odds"""
    x, _, w, b = _logistic(4, 200)
    noise = 0.1 * torch.randn(200, generator=runtime.generator(9)).double()
    noisy = torch.sigmoid(x @ w + b + noise)
    got_w, got_b = solve(x, noisy)
    left = torch.logit(noisy) - x @ got_w - got_b
    slope = (torch.cat([x, torch.ones_like(x[:, :1])], 1).T @ left).abs().max().item()
    expect(slope < 1e-6, "for 200 noisy answers the residuals still have a slope: the sum of squares can be smaller")


def _logistic_tumours(solve):
    """On the lab's model of tumours: 31 answers give all 30 weights"""
    layer = zoo.load("tumours-logistic", device="cpu")[-1].double()
    x = torch.randn(31, 30, generator=runtime.generator(2)).double()
    w, b = solve(x, extraction.Victim(layer, budget=31)(x)[:, 1])
    expect_close(w, (layer.weight[1] - layer.weight[0]).detach(), 1e-9, "w")
    expect_close(b, (layer.bias[1] - layer.bias[0]).detach(), 1e-9, "b")


def _w_and_b(result, args, kwargs) -> None:
    if isinstance(result, tuple):
        result = tuple(map(torch.as_tensor, result))  # b may be a Python number
    expect_tensors(result, w=argument(args, kwargs, 0, "x").shape[1:], b=())


def _logistic_by_hand(x, p, *, odds=torch.logit, bias=True, rows=None, dtype=torch.float64):
    x, p = x[: rows and x.shape[1] + 1].to(dtype), p[: rows and x.shape[1] + 1].to(dtype)
    design = torch.hstack([x, torch.ones(len(x), 1, dtype=dtype, device=x.device)]) if bias else x
    solution = (torch.linalg.pinv(design) @ odds(p)).double()
    return (solution[:-1], solution[-1]) if bias else (solution, torch.zeros((), dtype=torch.float64))


EXERCISE = Exercise(
    "09.solve_logistic",
    title="A linear model, solved",
    reference=extraction.solve_logistic,
    properties=[_logistic_exact, _logistic_least_squares, _logistic_tumours],
    hints=[
        "Turn each probability into log-odds, `torch.logit(p)`. What are they equal to?",
        "w·x + b: one linear equation in d + 1 unknowns. Put a column of ones behind x, and b becomes one more weight.",
        "`design = torch.cat([x, torch.ones_like(x[:, :1])], 1)`, then "
        "`torch.linalg.lstsq(design, torch.logit(p)[:, None]).solution[:, 0]`. The last number is b.",
    ],
    returns=_w_and_b,
    second=_logistic_by_hand,
    mutants={
        "forgets the bias": functools.partial(_logistic_by_hand, bias=False),
        "solves for the probability, not its log-odds": functools.partial(_logistic_by_hand, odds=lambda p: p),
        "takes the logarithm, not the log-odds": functools.partial(_logistic_by_hand, odds=torch.log),
        "the odds of the other class": functools.partial(_logistic_by_hand, odds=lambda p: torch.logit(1 - p)),
        "uses the first d + 1 answers only": functools.partial(_logistic_by_hand, rows=True),
        "computes in float32": functools.partial(_logistic_by_hand, dtype=torch.float32),
    },
)
