"""Hair behind and before the head."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course.data.faces.canvas import Canvas, cover, ellipse

__all__ = ["behind", "front"]


def colour(c: Canvas) -> Tensor:
    """The hair's grey, with strands and a shine around the head."""
    t = c.t
    strands = torch.sin(5 * t.curl * c.x + 4 * t.hair_wave.clamp(max=1) * torch.sin(5 * c.y + t.phase))
    shine = torch.exp(-((c.radius - 0.93) / 0.10).square_()) * (c.y < -0.1)
    return (t.hair * (1 + 0.045 * strands) + 0.02 + 0.10 * shine * (1 - t.hair)).clamp_(0, 1)


def curls(c: Canvas) -> Tensor:
    """A ripple from −1 to 1 around the head, which makes an outline wavy."""
    angle = torch.atan2(c.x, -c.y) * c.t.curl
    return 0.6 * torch.sin(2.2 * angle + c.t.phase) + 0.4 * torch.sin(3.7 * angle)


def behind(c: Canvas) -> None:
    """What falls behind the head, a bun, and pigtails."""
    t, grey = c.t, colour(c)
    width, ripple = t.hair_width * t.width, 0.022 * t.hair_wave * curls(c)
    cloud = (t.hair_width > 1.5).float()
    cap = ellipse(c.x, c.y + 0.08, width.clamp(min=0.01), t.height * (1.08 + 0.16 * cloud)) + ripple
    cap = torch.minimum(cap, t.hair_length - c.y + ripple + 9 * cloud)
    fall = width * (1 - 0.10 * (c.y - 0.2).clamp_(min=0)) - c.x.abs() + ripple
    fall = torch.minimum(fall, torch.minimum(t.hair_length - c.y + 1.5 * ripple, c.y + 0.08)) - 9 * cloud
    c.paint(cover(torch.maximum(cap, fall)) * (t.hair_width > 0.5), 0.82 * grey)
    c.paint(cover(ellipse(c.x, c.y + t.height + 0.12, 0.19, 0.17)) * t.hair_bun, grey)
    tails = ellipse(c.x.abs() - t.width - 0.17, c.y - 0.12, 0.14, 0.30) + 0.4 * ripple
    c.paint(cover(tails) * t.hair_tails, 0.9 * grey)


def front(c: Canvas) -> None:
    """What grows over the forehead and above it, and its shadow on the skin."""
    c = c.window(-1.0, 0.10)
    t, s = c.t, c.s
    across = c.x / t.width
    line = t.hair_line + 0.8 * t.hair_rise * across.abs() + t.hair_slant * across
    line = line + 0.010 * t.hair_wave * torch.sin(14 * c.x + t.phase)
    above = (-c.y / t.height).clamp_(min=0)
    outline = (1 + t.hair_volume * (0.25 + above) - c.radius) * t.width + 0.018 * t.hair_wave * curls(c) * (c.y < -0.1)
    hair = torch.minimum(outline, line - c.y)
    hair = torch.where(t.hair_gap > 0, torch.minimum(hair, c.x.abs() - t.hair_gap * t.width), hair)
    hair = torch.where(t.hair_width > 0.5, hair, torch.minimum(hair, 0.06 - c.y))  # sideburns end at the ear
    mask = cover(hair)
    c.shine(-0.22 * torch.sigmoid((hair + 0.05) / 0.02) * (1 - mask) * c.face)
    c.paint(mask * (0.72 + 0.28 * (t.hair_volume > 0.04)), colour(c) * (1 + 0.5 * s.light_x * across))
