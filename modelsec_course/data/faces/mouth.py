"""Mouth, beard and glasses."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course.data.faces.canvas import Canvas, cover, soft

__all__ = ["beard", "glasses", "mouth"]


def beard(c: Canvas) -> None:
    """Stubble, a full beard, a goatee or a moustache, as the person wears it."""
    c = c.window(0.0, 0.80, 0.62)
    t, tip = c.t, c.t.eye_y + c.t.nose
    lips, inside, side = tip + t.mouth_gap, (1.06 - c.radius) * t.width, c.u.abs()
    full = cover(torch.minimum(c.y - 0.30 * lips - 0.62 * tip + 0.16 * (c.x / t.width).square() - 0.02, inside))
    middle, half = 0.5 * (tip + 0.05 + 1.06 * t.height), 0.5 * (1.08 * t.height - tip - 0.05)
    ring = ((side / 0.175) ** 4 + ((c.y - middle) / half) ** 4 + 1e-9) ** 0.25
    goatee = cover(torch.minimum(0.17 * (1 - ring), inside))
    curve = (c.y - tip - 0.42 * t.mouth_gap - 1.6 * side.square()).abs()
    moustache = cover(0.036 - curve - 0.04 * (side / (1.1 * t.mouth_w)) ** 4) * (side < 1.35 * t.mouth_w)
    strands = 0.009 * torch.sin(5 * t.curl * c.x)
    kinds = (0.30 * full, torch.maximum(full, moustache), goatee, moustache)  # stubble is thin
    mask = sum((t.beard == kind).float() * shape for kind, shape in enumerate(kinds, 1))
    c.paint(mask * t.beard_dense, 0.92 * t.hair + 0.02 + strands)


def mouth(c: Canvas) -> None:
    """Lips that smile or not, and teeth when they open."""
    c = c.window(0.1, 0.56, 0.36)
    t, s = c.t, c.s
    bend = t.mouth_bend + s.smile
    across = c.u / (t.mouth_w * (1 + 1.2 * bend))
    y = c.y - (t.eye_y + t.nose + t.mouth_gap) - bend * (0.6 - 1.6 * across.square())
    arch = (1 - across.square()).clamp_(min=0)
    inside = (across.abs() < 1).float()
    lips = (t.lip + 0.5 * s.open) * arch**0.7 - y.abs() * torch.where(y < 0, 1.25, 0.9)
    c.paint(inside * cover(lips), t.skin * c.shade * t.lip_dark)
    hole = s.open * arch**0.8 - y.abs()
    c.paint(inside * cover(hole) * (s.open > 0.004), 0.15 + 0.75 * soft(0.2 * s.open - y, 0.01))
    seam = (y / 0.011).square_().neg_().exp_() * (1 - cover(hole) * (s.open > 0.004))
    c.paint(0.85 * inside * seam, 0.28 * t.skin)
    c.shine(-0.13 * inside * ((y - t.lip - 0.045) / 0.022).square_().neg_().exp_() * arch)


def glasses(c: Canvas) -> None:
    """Round or square frames with a bridge, arms, and light on the lenses."""
    c = c.window(-0.32, 0.24, 0.62)
    t, y = c.t, c.y - c.t.eye_y
    x = c.u.abs() - t.eye_x
    wears, rim = (t.glasses > 0).float(), torch.where(t.glasses == 2, _square(x, y, t.lens), torch.hypot(x, y) - t.lens)
    bridge = torch.minimum(0.8 * t.frame - (y + 0.02).abs(), t.eye_x - t.lens - c.u.abs() + 0.02)
    arms = cover(torch.minimum(0.7 * t.frame - (y + 0.025).abs(), x - t.lens)) * c.face
    frame = torch.maximum(torch.maximum(cover(t.frame - rim.abs()), cover(bridge)), arms)
    c.paint(0.10 * wears * cover(-rim) * soft(0.3 * x - y, 0.09), torch.ones_like(t.lens))
    c.paint(wears * frame, t.frame_dark)


def _square(x: Tensor, y: Tensor, lens: Tensor) -> Tensor:
    return torch.maximum(x.abs() - 1.08 * lens, (y - 0.012).abs() - 0.74 * lens)
