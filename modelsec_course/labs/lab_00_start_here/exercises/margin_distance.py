"""How far is each record from a linear boundary, in L2 and in L∞?"""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import one_for_each_row


def _boundary(seed: int, rows: int = 40, columns: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, columns, generator=draw, dtype=torch.float64)
    w = torch.randn(columns, generator=draw, dtype=torch.float64)
    return x, w, torch.tensor(0.7, dtype=torch.float64)


def _by_hand(margin_distance):
    """A case you can do by hand: w = (3, 4), b = −5, x = (3, 4)"""
    x, w, b = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([3.0, 4.0]), torch.tensor(-5.0)
    expect_close(margin_distance(x, w, b, "l2"), torch.tensor([4.0, 1.0]), 1e-6, "L2 distances of (3, 4) and (0, 0)")
    expect_close(margin_distance(x, w, b, "linf"), torch.tensor([20 / 7, 5 / 7]), 1e-6, "L∞ distances of the same")


def _reaches(norm: str):
    def verify(margin_distance):
        x, w, b = _boundary(1)
        score = x @ w + b
        step = w.sign() if norm == "linf" else w / w.norm()
        distance = margin_distance(x, w, b, norm)
        arrived = (x - (score.sign() * distance)[:, None] * step) @ w + b
        expect_close(arrived, torch.zeros_like(score), 1e-9, "the score after moving each record by its distance")

    shown = "every column by that much" if norm == "linf" else "straight by that much"
    verify.__doc__ = f"{'L∞' if norm == 'linf' else 'L2'}: moving {shown} lands exactly on the boundary"
    return verify


def _never_negative(margin_distance):
    """A distance is never negative, on either side"""
    x, w, b = _boundary(2)
    for norm in ("l2", "linf"):
        distance = margin_distance(x, w, b, norm)
        expect((distance >= 0).all(), f"{norm}: the smallest distance is {distance.min().item():.4g}")


def margin_distance(x, w, b, norm):
    slope = w.abs().sum() if norm == "linf" else w.norm()  # how fast the score can change
    return (x @ w + b).abs() / slope


def _by_vector_norm(x, w, b, norm):
    order = {"l2": 2, "linf": 1}[norm]
    score = (x * w).sum(dim=1) + b
    return torch.maximum(score, -score) / torch.linalg.vector_norm(w, ord=order)


EXERCISE = Exercise(
    "00.margin_distance",
    title="How far is the boundary?",
    reference=margin_distance,
    properties=[_by_hand, _reaches("l2"), _reaches("linf"), _never_negative],
    hints=[
        "The score changes fastest along w. In L2, a step of length 1 along w / ‖w‖₂ changes it by ‖w‖₂.",
        "In L∞, every column may move by 1 at once, each in the direction of its weight's sign: the score changes by "
        "Σ|wᵢ|. So you divide by the L1 norm, `w.abs().sum()`.",
        "`(x @ w + b).abs()` divided by `w.norm()` or by `w.abs().sum()`.",
    ],
    returns=one_for_each_row,
    second=_by_vector_norm,
    mutants={
        "divides by the largest weight in L∞": lambda x, w, b, norm: (
            (x @ w + b).abs() / (w.abs().max() if norm == "linf" else w.norm())
        ),
        "forgets the intercept": lambda x, w, b, norm: margin_distance(x, w, 0 * b, norm),
        "keeps the sign": lambda x, w, b, norm: (x @ w + b) / (w.abs().sum() if norm == "linf" else w.norm()),
        "a NumPy array": lambda x, w, b, norm: margin_distance(x, w, b, norm).numpy(),
        "forgets to divide": lambda x, w, b, norm: (x @ w + b).abs(),
        "uses L2 for both": lambda x, w, b, norm: (x @ w + b).abs() / w.norm(),
    },
)
