"""Mix a pattern into pictures where a mask says so, in proportion to a strength."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course import poisoning, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _stamping() -> tuple[Tensor, Tensor, Tensor]:
    draw = runtime.generator(2)
    mask = torch.tensor([[0.0, 0.0, 0.25], [0.0, 0.5, 1.0], [0.0, 1.0, 1.0]])
    return torch.rand(4, 1, 3, 3, generator=draw), mask, torch.rand(3, 3, generator=draw)


def _stamp_by_hand(stamp):
    """One pixel by hand: black, pattern 0.8, mask 0.5, strength 0.5 → 0.2"""
    x, mask, pattern = torch.zeros(1, 1, 1, 1), torch.full((1, 1), 0.5), torch.full((1, 1), 0.8)
    expect_close(stamp(x, mask, pattern, 0.5), [[[[0.2]]]], 1e-6, "the pixel")
    expect_close(stamp(x + 1, mask, pattern, 0.5), [[[[0.95]]]], 1e-6, "the pixel, white before")


def _stamp_outside(stamp):
    """Where the mask is 0 nothing changes; where it is 1, at full strength, the pattern stands"""
    x, mask, pattern = _stamping()
    got = stamp(x, mask, pattern, 1.0)
    expect_close(got[..., mask == 0], x[..., mask == 0], 1e-6, "pixels outside the mask")
    expect_close(got[..., mask == 1], pattern[mask == 1].expand(4, 1, -1), 1e-6, "pixels inside the mask")


def _stamp_strength(stamp):
    """Strength 0 changes nothing, and the change grows in proportion"""
    x, mask, pattern = _stamping()
    expect_close(stamp(x, mask, pattern, 0.0), x, 1e-6, "the pictures at strength 0")
    whole = stamp(x, mask, pattern, 1.0) - x
    for strength in (0.2, 0.7):
        expect_close(stamp(x, mask, pattern, strength) - x, strength * whole, 1e-6, f"the change at {strength}")


def _stamp_stays(stamp):
    """Pixels stay in [0, 1] without being cut off"""
    draw = runtime.generator(3)
    x = torch.randint(2, (50, 1, 3, 3), generator=draw).float()
    got = stamp(x, torch.ones(3, 3), torch.rand(3, 3, generator=draw), 0.3)
    expect(got.min() >= 0 and got.max() <= 1, f"pixels go from {got.min():.2f} to {got.max():.2f}")
    expect(got[x == 1].max() < 1, "white pixels stay white, although the pattern is darker: do not add, mix")


def stamp_trigger(x, mask, pattern, strength):
    return poisoning.Trigger(pattern, mask, strength)(x)


EXERCISE = Exercise(
    "08.stamp_trigger",
    title="Stamp a trigger on pictures",
    reference=stamp_trigger,
    properties=[_stamp_by_hand, _stamp_outside, _stamp_strength, _stamp_stays],
    hints=[
        "Each pixel becomes a mixture of itself and the pattern. How much of each? That is what mask and strength say.",
        "The pattern's share is `strength * mask`, the picture's share is what is left of 1.",
    ],
    second=lambda x, mask, pattern, strength: torch.lerp(x, pattern.expand_as(x), (strength * mask).expand_as(x)),
    mutants={
        "adds instead of mixing": lambda x, m, p, s: (x + s * m * p).clamp(0, 1),
        "forgets the strength": lambda x, m, p, s: (1 - m) * x + m * p,
        "wipes the mask first": lambda x, m, p, s: (1 - m) * x + s * m * p,
        "blends the whole picture": lambda x, m, p, s: (1 - s) * x + s * m * p,
        "writes into x": lambda x, m, p, s: x.copy_((1 - s * m) * x + s * m * p),
        "stamps by threshold": lambda x, m, p, s: torch.where(m > 0, (1 - s) * x + s * p, x),
    },
)
