"""How a search makes new rows out of old ones: down a gradient, by crossing and by chance."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from modelsec_course.data.tables import Schema

__all__ = ["children", "downhill", "random_moves"]

STEP = 0.5  # scales, of the column that the score depends on most


def children(parents: Tensor, schema: Schema, n: int, draw: Generator, *, every: bool = False) -> Tensor:
    """n new rows from each set of parents (rows, p, d): (rows, n, d).

    Half of them mix two parents column by column; then each column that the attacker can set (`every`: each column)
    moves with a chance of about two columns a row, by a normal number of scales, small or large.
    """
    m, p, d = parents.shape
    rand = lambda *shape: torch.rand(shape, generator=draw, device=draw.device).to(parents)  # noqa: E731
    first, second = (parents.gather(1, _pick(rand(m, n), p)[..., None].expand(m, n, d)) for _ in range(2))
    mixed = torch.where((rand(m, n, d) < 0.5) & (rand(m, n, 1) < 0.5), second, first)
    moving = torch.zeros(d, dtype=torch.bool, device=parents.device)
    moving[list(range(d) if every else schema.free)] = True
    chance = 2 / max(1, int(moving.sum()))
    moves = (rand(m, n, d) < chance) & moving
    size = 10 ** (1.6 * rand(m, n, 1) - 1)  # 0.1 to 4 scales
    normal = torch.randn((m, n, d), generator=draw, device=draw.device).to(parents)
    return torch.where(moves, mixed + normal * size * schema.vector("scale", parents), mixed)


def _pick(u: Tensor, p: int) -> Tensor:
    return (u * p).long().clamp_max(p - 1)


def downhill(
    score: Callable[[Tensor], Tensor], at: Tensor, x: Tensor, schema: Schema, *, every: bool = False
) -> Tensor:
    """One step against the slope of the score, in units of the columns' scales; derived columns follow.

    every: all columns move, each for itself.
    """
    with torch.enable_grad():
        here = at.clone().requires_grad_()
        (slope,) = torch.autograd.grad(score(here if every else schema.derive(here)).sum(), here)
    scale = schema.vector("scale", x)
    fixed = [] if every else [k for k in range(x.shape[1]) if k not in schema.free]
    slope = (slope.nan_to_num() * scale).clone()
    slope[:, fixed] = 0
    return at - STEP * scale * slope / slope.abs().amax(1, keepdim=True).clamp_min(1e-12)


def random_moves(x: Tensor, schema: Schema, generator: Generator) -> Tensor:
    """x (n, d) with about two of the columns that an attacker can set moved at random in each row, by some scales."""
    return children(x[:, None], schema, 1, generator)[:, 0]
