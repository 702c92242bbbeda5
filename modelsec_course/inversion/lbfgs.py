"""L-BFGS for many independent searches at once: each has its own curvature, step and line search; all share a pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Objective", "lbfgs"]

# points (searches, n) -> losses (searches,), gradients (searches, n)
Objective = Callable[[Tensor], tuple[Tensor, Tensor]]
PROGRESS = 1e-6  # less than this share of its loss is no progress
ENOUGH, FLATTER, TRIALS = 1e-4, 0.9, 12  # how much lower, how much flatter (Wolfe), how many tries a step


def lbfgs(
    objective: Objective,
    start: Tensor,
    steps: int,
    *,
    floor: float = 0.0,
    memory: int = 20,
    on_step: Callable[[], object] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """The lowest point of each search, (searches, n), and its loss, (searches,).

    start: (searches, n). A search that gets no lower forgets its curvature and tries steepest descent; when that fails
    as well, or its loss is at most `floor`, it is over. All stop when all are.
    Sources: Nocedal, 1980, "Updating Quasi-Newton Matrices with Limited Storage"; the line search is the bisection of
    Lewis & Overton, 2013, "Nonsmooth Optimization via Quasi-Newton Methods".
    """
    at, (loss, slope) = start, objective(start)
    scale = 1 / slope.norm(dim=1, keepdim=True).clamp_min(1e-30)
    pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=memory)
    stuck = over = torch.zeros_like(loss, dtype=torch.bool)
    for _ in range(steps):
        direction = -_newton(slope, pairs, scale)
        uphill = (direction * slope).sum(1, keepdim=True) >= 0
        direction = torch.where(uphill, -slope * scale, direction)
        new, new_loss, new_slope = _search(objective, at, loss, slope, direction, over)
        moved, bent = new - at, new_slope - slope
        curvature = (moved * bent).sum(1, keepdim=True)
        usable = curvature > 1e-10 * moved.norm(dim=1, keepdim=True) * bent.norm(dim=1, keepdim=True)
        pairs.append((moved, bent, torch.where(usable, 1 / curvature, 0)))  # weight 0: the pair changes nothing
        scale = torch.where(usable, curvature / bent.square().sum(1, keepdim=True), scale)
        before, stuck = stuck, new_loss >= (1 - PROGRESS) * loss
        pairs = deque(((s, b, w.masked_fill(stuck[:, None], 0)) for s, b, w in pairs), maxlen=memory)
        at, loss, slope, over = new, new_loss, new_slope, over | (before & stuck) | (new_loss <= floor)
        on_step()
        if over.all():
            break
    return at, loss


def _newton(slope: Tensor, pairs: deque, scale: Tensor) -> Tensor:
    """The inverse Hessian, as the last moves tell it, times the gradient: the two-loop recursion."""
    out, shares = slope, []
    for moved, bent, weight in reversed(pairs):
        shares.append(weight * (moved * out).sum(1, keepdim=True))
        out = out - shares[-1] * bent
    out = out * scale
    for (moved, bent, weight), share in zip(pairs, reversed(shares), strict=True):
        out = out + (share - weight * (bent * out).sum(1, keepdim=True)) * moved
    return out


def _search(
    objective: Objective, at: Tensor, loss: Tensor, slope: Tensor, direction: Tensor, over: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Along its direction each search goes until it is lower and flatter; it keeps the last point that was lower."""
    fall = (direction * slope).sum(1)
    low, high, step = torch.zeros_like(loss), torch.full_like(loss, torch.inf), torch.ones_like(loss)
    kept, done = (at, loss, slope), over | (fall >= 0)
    for _ in range(TRIALS):
        trial = at + step[:, None] * direction
        found = (trial, *objective(trial))
        lower = (found[1] <= loss + ENOUGH * step * fall) & ~done
        kept = tuple(torch.where(_like(lower, a), b, a) for a, b in zip(kept, found, strict=True))
        flat = (found[2] * direction).sum(1) >= FLATTER * fall
        done = done | (lower & flat)
        if done.all():
            break
        low, high = torch.where(lower, step, low), torch.where(lower, high, step)
        step = torch.where(done, step, torch.where(high.isfinite(), (low + high) / 2, 2 * step))
    return kept


def _like(mask: Tensor, values: Tensor) -> Tensor:
    return mask[:, None] if values.dim() == 2 else mask
