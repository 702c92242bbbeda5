"""What share of records no attacker within ε can turn: exactly, for a linear model."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from modelsec_course import robustness, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _clinic(seed: int = 0, n: int = 200, d: int = 7) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, y, w, b: a seventh of the labels are wrong."""
    draw = runtime.generator(seed)
    x = torch.randn(n, d, generator=draw, dtype=torch.float64)
    w, b = torch.randn(d, generator=draw, dtype=torch.float64), torch.tensor(0.8, dtype=torch.float64)
    y = (x @ w + b > 0).long()
    y[::7] = 1 - y[::7]
    return x, y, w, b


def _by_hand(exact):
    """A case you can do by hand: w = (3, 4), b = −5, four records, one of them misread"""
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])  # scores 20, −5, 1, 7
    y, w, b = torch.tensor([1, 0, 1, 0]), torch.tensor([3.0, 4.0]), torch.tensor(-5.0)
    # L∞ distances 20/7, 5/7, 1/7; in L2 4, 1, 1/5; the last record is misread
    for norm, eps, want in (("linf", 0.5, 0.5), ("linf", 0.8, 0.25), ("l2", 0.8, 0.5), ("l2", 2.0, 0.25)):
        expect_close(float(exact(x, y, w, b, eps, norm)), want, 1e-6, f"{norm}, ε = {eps}")


def _zero(exact):
    """At ε = 0 it is the accuracy"""
    x, y, w, b = _clinic()
    expect_close(
        float(exact(x, y, w, b, 0.0, "linf")), float(((x @ w + b > 0) == (y == 1)).double().mean()), 1e-6, "ε = 0"
    )


def _reached(norm: str):
    def verify(exact):
        x, y, w, b = _clinic(1)
        away = (w.sign() if norm == "linf" else w / w.norm()) * (1 - 2 * y)[:, None]  # against the truth
        for eps in (0.05, 0.2, 0.5, 1.0):
            attacked = (((x + eps * away) @ w + b > 0) == (y == 1)).double().mean()
            got = float(exact(x, y, w, b, eps, norm))
            hint = ": it leaves fewer" if got > attacked else ": it leaves more"
            expect(
                abs(got - attacked) < 1e-6, f"ε = {eps}: you say {got:.3f}, the best attack leaves {attacked:.3f}{hint}"
            )

    verify.__doc__ = f"{'L∞' if norm == 'linf' else 'L2'}: exactly what the best attack leaves"
    return verify


def _misread(exact):
    """A record that is misread already is never robust, however far from the boundary"""
    x, _, w, b = _clinic()
    for eps in (0.0, 0.1):
        expect_close(
            float(exact(100 * x, 1 - (100 * x @ w + b > 0).long(), w, b, eps, "linf")),
            0.0,
            0,
            f"all misread, ε = {eps}",
        )


def _on_the_boundary(exact):
    """A record of class 1 that the attacker moves exactly to a score of 0 is turned: there the model says 0"""
    x, y, w, b = torch.tensor([[1.0, 0.0]]), torch.tensor([1]), torch.tensor([2.0, -2.0]), torch.tensor(0.0)
    expect_close(float(exact(x, y, w, b, 0.5, "linf")), 0.0, 0, "score 2, ‖w‖₁ = 4, ε = 0.5")


def _a_number(result, args, kwargs) -> None:
    expect(not isinstance(result, Tensor) or result.dim() == 0, "return one number, the share of all records")
    expect(0 <= float(result) <= 1, f"a share lies in [0, 1], but this is {float(result):.3g}")


def exact_robust_accuracy(x, y, w, b, eps, norm="linf"):
    towards_truth = robustness.linear_margin(x, w, b, norm=norm) * (2 * y - 1)
    return (towards_truth > eps).double().mean().item()


def _one_by_one(x, y, w, b, eps, norm="linf"):
    """The score that the attacker can reach for each record."""
    cost, stands = eps * (sum(abs(v) for v in w) if norm == "linf" else sum(v * v for v in w) ** 0.5), 0
    for record, label in zip(x, y, strict=True):
        score = record @ w + b
        stands += bool(score - cost > 0) if label == 1 else bool(score + cost <= 0)
    return torch.tensor(stands / len(x))


def _wrong(x, y, w, b, eps, norm="linf", *, slope=None, keep_side=True, intercept=1.0, among_right=False):
    slope = slope(w, norm) if slope else (w.abs().sum() if norm == "linf" else w.norm())
    margin = (x @ w + intercept * b) / slope
    margin = margin * (2 * y - 1) if keep_side else margin.abs()
    stands = margin > eps
    return (stands[margin > 0] if among_right else stands).double().mean().item()


EXERCISE = Exercise(
    "07.exact_robust_accuracy",
    title="Exact robust accuracy",
    reference=exact_robust_accuracy,
    properties=[_by_hand, _zero, _reached("linf"), _reached("l2"), _misread, _on_the_boundary],
    hints=[
        "A record stands if its score has the right sign, and the attacker cannot change that. By how much can the "
        "score change within ε?",
        "By ε times the dual norm of w: the sum of |w| for L∞, the length of w for L2. And the score counts with the "
        "sign of the truth: `2 * y - 1` is +1 for class 1, −1 for class 0.",
        '```python\nslope = w.abs().sum() if norm == "linf" else w.norm()\n'
        "margin = (x @ w + b) * (2 * y - 1) / slope  # negative: misread\n```\nThe share of margins above ε.",
    ],
    returns=_a_number,
    second=_one_by_one,
    mutants={
        "forgets which side is right": functools.partial(_wrong, keep_side=False),
        "L2 for both": functools.partial(_wrong, slope=lambda w, norm: w.norm()),
        "L1 for both": functools.partial(_wrong, slope=lambda w, norm: w.abs().sum()),
        "the attacker's norm, not its dual": functools.partial(
            _wrong, slope=lambda w, norm: w.abs().max() if norm == "linf" else w.norm()
        ),
        "stands at a score of 0": lambda x, y, w, b, eps, norm="linf": (
            ((x @ w + b) * (2 * y - 1) / (w.abs().sum() if norm == "linf" else w.norm()) >= eps).double().mean().item()
        ),
        "forgets the intercept": functools.partial(_wrong, intercept=0.0),
        "only among those that are right": functools.partial(_wrong, among_right=True),
        "the attacker moves only one column": functools.partial(
            _wrong, slope=lambda w, norm: w.abs().mean() if norm == "linf" else w.norm()
        ),
    },
)
