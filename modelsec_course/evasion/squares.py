"""What the Square attack tries next: `propose(x, current, area, eps, generator)` -> candidates, shaped like x.

x, current: pictures (batch, c, h, w), clean and as changed so far.  area: the share of the picture that the patch
covers, or None for the start.  Nothing leaves the ball of radius eps around x, nor [0, 1].
"""

from __future__ import annotations

import math

import torch

from modelsec_course.evasion.norms import L2, back_inside_, per_input

__all__ = ["PROPOSALS"]


def _signs(shape, like, generator):
    """±1 at random."""
    return torch.randint(2, shape, generator=generator, device=generator.device).to(like).mul_(2).sub_(1)


def _sides(x, area, least=1):
    """The height and width of a patch that covers this share of a picture."""
    height, width = x.shape[2:]
    side = max(least, round(math.sqrt(area * height * width) if height > 1 else area * width))
    return min(side, height), min(side, width)


def _corners(x, sides, generator):
    """Where each input's patch begins: its row and its column, (batch, 1) each."""
    room = (length - side + 1 for length, side in zip(x.shape[2:], sides, strict=True))
    where = {"generator": generator, "device": generator.device}
    return [torch.randint(size, (len(x), 1), **where).to(x.device) for size in room]


def _square_linf(x, current, area, eps, generator):
    """A square of ±eps, one sign for each channel; it changes something. The start is vertical stripes."""
    n, c, h, w = x.shape
    if area is None:
        return (x + eps * _signs((n, c, 1, w), x, generator)).clamp_(0, 1)
    sides = _sides(x, area)
    inside = []
    for length, side, first in zip((h, w), sides, _corners(x, sides, generator), strict=True):
        at = torch.arange(length, device=x.device)
        inside.append((at >= first) & (at < first + side))  # (n, length)
    square, sign = (inside[0][:, :, None] & inside[1][:, None])[:, None], _signs((n, c, 1, 1), x, generator)
    painted = torch.where(square, (x + eps * sign).clamp_(0, 1), current)
    idle = (painted == current).flatten(1).all(1)  # a query would be wasted: turn the signs round
    return torch.where(square & per_input(idle, x), (x - eps * sign).clamp_(0, 1), painted)


def _square_l2(x, current, area, eps, generator):
    """Take the change inside one square away, and spend it on two bumps, up and down, inside another."""
    n, c, h, w = x.shape
    if area is None:
        sides = max(min(3, h), h // 5), max(min(3, w), w // 5)
        rows, columns = (-(-length // side) for length, side in zip((h, w), sides, strict=True))
        signs = _signs((n, c, rows, columns), x, generator)
        tiles = torch.kron(signs, _bumps(*sides, x).view(1, 1, *sides))[:, :, :h, :w].contiguous()
        return back_inside_(L2, L2.steepest_(tiles).mul_(eps).add_(x), x, eps)
    height, width = sides = _sides(x, area, least=3)
    row, column = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    squares = []
    for top, left in (_corners(x, sides, generator), _corners(x, sides, generator)):
        at = (top + row)[:, :, None] * w + (left + column)[:, None]
        squares.append(at.view(n, 1, -1).expand(-1, c, -1))  # (n, c, pixels of the square), flat positions
    here, there = squares
    change = (current - x).flatten(2)
    old, whole = change.gather(2, here), change.square().sum(2)
    change.scatter_(2, there, 0).scatter_(2, here, 0)
    free = whole - change.square().sum(2) + ((eps**2 - whole.sum(1)) / c)[:, None]  # (n, c), squared lengths
    turned = torch.rand(1, generator=generator, device=generator.device).item() < 0.5
    bumps = (_bumps(width, height, x).T if turned else _bumps(height, width, x)).flatten()
    new = _unit(old) + _signs((n, c, 1), x, generator) * bumps
    change.scatter_(2, here, _unit(new) * free.clamp_min(0).sqrt()[:, :, None])
    return back_inside_(L2, change.view_as(x) + x, x, eps)


def _unit(v):
    return v / v.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def _bumps(height, width, like):
    """Two hills side by side, one up and one down, of length 1: section 3.3's η, (height, width)."""
    if height == 1:
        return _bumps(width, 1, like).T if width > 1 else torch.ones(1, 1).to(like)
    upper = height // 2
    halves = [_hill(upper, width, like), -_hill(height - upper, width, like)]
    both = torch.cat(halves)
    return both / both.norm()


def _hill(height, width, like):
    """Σ 1 / k² over the rectangles around the centre that a pixel lies in."""
    row, column = (torch.arange(length, device=like.device) - length // 2 for length in (height, width))
    ring = torch.maximum(row.abs()[:, None], column.abs())
    falling = 1.0 / torch.arange(1, int(ring.max()) + 2, device=like.device, dtype=like.dtype) ** 2
    hill = falling.flip(0).cumsum(0).flip(0)[ring]
    return hill / hill.norm()


PROPOSALS = {"linf": _square_linf, "l2": _square_l2}
