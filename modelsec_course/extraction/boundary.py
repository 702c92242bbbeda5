"""Label-only extraction of a linear model: points on its boundary, found by halving, and the plane through them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import runtime, validation

__all__ = ["angle", "find_hyperplane"]

STRETCHES = 40  # how often a line may double before the labels are called not linear


def find_hyperplane(
    labels: Callable[[Tensor], Tensor],
    positive: Tensor,
    negative: Tensor,
    *,
    bits: int = 20,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """The boundary w·x + b = 0 of a linear model that answers with labels alone, with w of length 1.

    The line from `negative` to `positive` crosses the boundary, and so do d − 1 lines beside it. `bits` halvings find
    each crossing to 2^-bits of the line, and the d crossings determine the plane. For n lines that takes n·bits queries
    and two more for the ends of each: with error the angle to the true w, about (d + 1)·log2(1 / error) + 2.4 d in all.
    labels: takes (n, d) and returns (n,), bool or 0 and 1.  positive, negative: (d,) a point on either side, d >= 2.
    generator: draws the directions (default: seed 0).
    Returns w (d,), towards the class 1, and b. Raises ValueError if the ends are not on their sides.
    Source: Lowd & Meek, 2005, "Adversarial Learning", whose line search this is, on d lines at once.
    """
    _checked(labels, positive, negative)
    validation.count("bits", bits)
    validation.randomness("generator", generator)
    generator, across = generator or runtime.generator(0), positive - negative
    sides = _beside(across, generator)  # (d, d): the first line itself, then steps of its length at right angles
    low, high = _ends(labels, negative + sides, across, False), _ends(labels, positive + sides, across, True)
    for _ in range(bits):
        middle = (low + high) / 2
        above = labels(middle).bool()[:, None]
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    points = (low + high) / 2  # (d, d), on the boundary
    rise = ((points - points[0] - sides) @ across) / across.square().sum()  # how far along `across` each one lies
    w = F.normalize(across - sides.T @ rise, dim=0)  # w·(sides + rise·across) = 0 for every line
    return w, -(points @ w).mean()


def angle(w: Tensor, v: Tensor) -> float:
    """The angle between two vectors in radians; in float64 exact for angles of 1e-15 too."""
    gap = (F.normalize(w, dim=0) - F.normalize(v, dim=0)).norm() / 2
    return 2 * torch.asin(gap.clamp(max=1)).item()


def _beside(across: Tensor, generator: torch.Generator) -> Tensor:
    """Zero, and d − 1 vectors of the length of `across` at right angles to it and to each other."""
    d = len(across)
    draw = torch.randn(d, d, generator=generator, device=generator.device, dtype=across.dtype).to(across.device)
    draw[:, 0] = across
    basis = torch.linalg.qr(draw).Q.T * across.norm()
    basis[0] = 0
    return basis


def _ends(labels: Callable[[Tensor], Tensor], at: Tensor, across: Tensor, side: bool) -> Tensor:
    """Ends of the lines that are on their side: those that are not move outward by once, twice, four times `across`."""
    at = at.clone()
    astray = (labels(at).bool() != side).nonzero().flatten()
    if 0 in astray:
        raise ValueError(f"{'positive' if side else 'negative'} is labelled {int(not side)}: it must be {int(side)}")
    for stretch in range(STRETCHES):
        if not len(astray):
            return at
        at[astray] += (1 if side else -1) * 2.0**stretch * across
        astray = astray[labels(at[astray]).bool() != side]
    raise ValueError("a line never meets the boundary: these labels are not those of a linear model")


def _checked(labels: Callable[[Tensor], Tensor], positive: Tensor, negative: Tensor) -> None:
    validation.function("labels", labels, hint="it takes points (n, d) and returns their labels (n,)")
    for name, point in (("positive", positive), ("negative", negative)):
        validation.tensor(name, point)
        if point.dim() != 1 or len(point) < 2 or not point.is_floating_point():
            raise ValueError(f"{name} must be one point of d >= 2 floats, but it has shape {tuple(point.shape)}")
    if positive.shape != negative.shape or positive.dtype != negative.dtype:
        raise ValueError("positive and negative must have one shape and dtype")
