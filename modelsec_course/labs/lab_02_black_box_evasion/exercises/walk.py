"""Steps of a walk along the boundary, as lab 02's notebook gives them to the learner."""

from __future__ import annotations

import torch


def column(v, x):
    return v.view(-1, *[1] * (x.dim() - 1))


def unit(v):
    return v / column(v.flatten(1).norm(dim=1).clamp_min(1e-12), v)


def between(x, point, share):
    return torch.lerp(x, point, column(share, x))


def bisect(fools, x, point, halvings=12):
    low, high = torch.zeros(len(x), device=x.device), torch.ones(len(x), device=x.device)
    for _ in range(halvings):
        middle = (low + high) / 2
        wrong = fools(between(x, point, middle))
        low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
    return between(x, point, high)


def step_out(fools, at, direction, step):
    """The farthest of at + step, at + step / 2, … that still fools, or `at` itself."""
    for _ in range(12):
        trial = (at + column(step, at) * direction).clamp(0, 1)
        step = torch.where(fools(trial), step, step / 2)
    trial = (at + column(step, at) * direction).clamp(0, 1)
    return torch.where(column(fools(trial), at), trial, at)
