"""Noise in whole numbers, drawn exactly: no logarithm, no rounding, nothing for low bits to give away."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

from modelsec_course import validation
from modelsec_course.privacy.search import source

__all__ = ["geometric"]

FINEST = 1 << 20  # eps / sensitivity is rounded down to a multiple of 1 / FINEST, so that it is a fraction


def geometric(count: Tensor, eps: float, sensitivity: int, *, generator: torch.Generator | None = None) -> Tensor:
    """`count` plus two-sided geometric noise, P(z) proportional to exp(-eps |z| / sensitivity): eps-private, exactly.

    count: int64, any shape; a real answer is rounded to a grid first.  sensitivity: how far one record can move it, in
    L1 norm, whole. Exact in the drawing too: whole numbers are compared with whole numbers, so no float can leak. How
    long it takes depends on what it draws; hide that where an attacker has a clock.
    Source: Ghosh, Roughgarden & Sundararajan, 2009, "Universally Utility-Maximizing Privacy Mechanisms"; drawn as in
    Canonne, Kamath & Steinke, 2020, "The Discrete Gaussian for Differential Privacy", algorithm 2.
    """
    validation.tensor("count", count)
    if count.dtype != torch.int64:
        raise ValueError(
            f"count must hold int64 whole numbers, but it holds {count.dtype}: round it to a grid, .long()"
        )
    validation.positive("eps", eps)
    validation.count("sensitivity", sensitivity)
    rate = Fraction(math.floor(Fraction(eps) / sensitivity * FINEST), FINEST)
    if not rate:
        raise ValueError(f"eps / sensitivity must be at least {1 / FINEST:.1e}, but it is {eps / sensitivity:.1e}")
    noise = _two_sided(count.numel(), rate, source(generator))
    return count + noise.view(count.shape).to(count.device)


def _two_sided(n: int, rate: Fraction, draw: torch.Generator) -> Tensor:
    """n draws with probability proportional to exp(-rate |z|)."""
    top, bottom = rate.numerator, rate.denominator
    noise = torch.zeros(n, dtype=torch.int64, device=draw.device)
    rows = torch.arange(n, device=draw.device)
    while len(rows):
        rest = _below(bottom, len(rows), draw)
        kept = _happens(rest, bottom, draw)  # with probability exp(-rest / bottom)
        size = (rest + bottom * _run(len(rows), draw)) // top
        sign = 1 - 2 * _below(2, len(rows), draw)
        kept &= (sign > 0) | (size > 0)  # or 0 would come twice as often
        noise[rows[kept]] = (sign * size)[kept]
        rows = rows[~kept]
    return noise


def _run(n: int, draw: torch.Generator) -> Tensor:
    """How often, in a row, what has probability 1/e happens: n times."""
    length = torch.zeros(n, dtype=torch.int64, device=draw.device)
    rows = torch.arange(n, device=draw.device)
    while len(rows):
        rows = rows[_happens(torch.ones_like(rows), 1, draw)]
        length[rows] += 1
    return length


def _happens(top: Tensor, bottom: int, draw: torch.Generator) -> Tensor:
    """True with probability exp(-top / bottom), for 0 <= top <= bottom: von Neumann's trick, by comparing integers.

    In a row of events with probabilities x, x/2, ..., the first to fail is at an odd place with probability exp(-x).
    """
    odd = torch.zeros(len(top), dtype=torch.bool, device=top.device)
    rows, place = torch.arange(len(top), device=top.device), 1
    while len(rows):
        again = _below(bottom * place, len(rows), draw) < top[rows]
        odd[rows[~again]] = place % 2 == 1
        rows, place = rows[again], place + 1
    return odd


def _below(limit: int, n: int, draw: torch.Generator) -> Tensor:
    """n whole numbers, each of 0 to limit - 1 equally likely: bits, drawn again where they are too large."""
    power = 1 << (limit - 1).bit_length()  # torch.randint is exact for powers of two only
    drawn = torch.randint(power, (n,), generator=draw, device=draw.device)
    while (late := drawn >= limit).any():
        drawn[late] = torch.randint(power, (int(late.sum()),), generator=draw, device=draw.device)
    return drawn
