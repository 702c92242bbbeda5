"""Equation solving: every probability that a linear model gives away is a linear equation in its weights."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course import validation

__all__ = ["solve_logistic", "solve_softmax"]


def solve_logistic(x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """The weights w and bias b of p = sigmoid(w·x + b), from d + 1 or more answers.

    x: (n, d) queries, n >= d + 1.  p: (n,) probabilities of the class 1, strictly between 0 and 1. In float64, and with
    queries of moderate log-odds, the result is exact to about 1e-12. Rounded answers leave an error that more of them
    lower little: it is a bias too.
    Returns w (d,) and b, a tensor with one number. Raises ValueError when the queries do not determine them.
    Source: Tramèr et al., 2016, "Stealing Machine Learning Models via Prediction APIs", section 4.1.
    """
    _checked(x, p, 1)
    solution = _solve(x, torch.logit(p)[:, None])[:, 0]
    return solution[:-1], solution[-1]


def solve_softmax(x: Tensor, p: Tensor, *, reference: int = 0) -> tuple[Tensor, Tensor]:
    """The weight and bias of p = softmax(weight x + bias), from d + 1 or more answers, with one class held at 0.

    Adding one and the same (w, b) to every class changes no probability, so no attack can tell such models apart. This
    gauge is fixed by giving the class `reference` zeros: what comes back is each class minus that class.
    x: (n, d) queries, n >= d + 1.  p: (n, classes) strictly between 0 and 1.
    Returns weight (classes, d) and bias (classes,). Raises ValueError when the queries do not determine them.
    Source: Tramèr et al., 2016, "Stealing Machine Learning Models via Prediction APIs", section 4.1.
    """
    _checked(x, p, 2)
    validation.count("reference", reference, low=0)
    if reference >= p.shape[1]:
        raise ValueError(f"reference must be one of the {p.shape[1]} classes, 0 to {p.shape[1] - 1}, not {reference}")
    odds = p.log()
    solution = _solve(x, odds - odds[:, reference : reference + 1])  # (d + 1, classes)
    return solution[:-1].T, solution[-1]


def _solve(x: Tensor, target: Tensor) -> Tensor:
    design = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    rank, unknowns = int(torch.linalg.matrix_rank(design)), design.shape[1]
    if rank < unknowns:
        raise ValueError(
            f"{len(x)} queries give {rank} independent equations for {unknowns} unknowns (d weights and a bias): "
            f"ask about at least {unknowns} inputs that do not lie in one plane"
        )
    return torch.linalg.lstsq(design, target).solution


def _checked(x: Tensor, p: Tensor, dims: int) -> None:
    validation.tensor("x", x)
    validation.tensor("p", p)
    if x.dim() != 2 or p.dim() != dims or len(p) != len(x):
        shape = "(n,)" if dims == 1 else "(n, classes)"
        raise ValueError(f"x must be (n, d) and p {shape}, but they have {tuple(x.shape)} and {tuple(p.shape)}")
    if not x.is_floating_point() or x.dtype != p.dtype:
        raise ValueError(f"x and p must share a floating dtype, but hold {x.dtype} and {p.dtype}: use .double()")
    if not ((p > 0) & (p < 1)).all():
        raise ValueError("p must lie strictly between 0 and 1, else its log-odds are infinite: clamp rounded answers")
