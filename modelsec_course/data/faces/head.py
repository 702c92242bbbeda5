"""The head itself, and what is around it: background, neck, shirt, ears."""

from __future__ import annotations

from dataclasses import replace

import torch

from modelsec_course.data.faces.canvas import Canvas, cover, ellipse, soft

__all__ = ["body", "ears", "shaped", "skull"]


def shaped(c: Canvas) -> Canvas:
    """The canvas with the head's outline, its surface turned by the pose, and the light on it."""
    t, s = c.t, c.s
    below = (c.y > 0).float()
    power, height = 2.1 + (t.jaw - 2.1) * below, t.height * (1 + (t.chin - 1) * below)
    across, along = c.x / t.width, c.y / height
    radius = ((across.abs() + 1e-4) ** power + (along.abs() + 1e-4) ** power) ** (1 / power)
    dome = (1 - 0.85 * across.square() - 0.75 * along.square()).clamp_(min=0.05).sqrt_()
    shade = 0.80 + 0.24 * dome + 0.42 * (s.light_x * across + s.light_y * c.y / t.height)
    return replace(c, u=c.x - 0.16 * s.yaw * dome, radius=radius, shade=shade)


def body(c: Canvas) -> None:
    """Neck and shirt."""
    t, s = c.t, c.s
    c = c.window(0.2, 1.0)
    neck = torch.minimum(t.width * t.neck - c.x.abs(), c.y - 0.2)
    c.paint(cover(neck), t.skin * (0.74 - 0.10 * soft(0.75 - c.y, 0.15)))
    shoulder = t.height * 0.86 + 0.18
    slope = c.y - shoulder - 0.42 * (c.x.abs() - 0.20).clamp_(min=0) ** 1.5 + 0.06
    collar = c.y - shoulder - s.collar * (1 - c.x.abs() / 0.3).clamp_(0, 1) + 0.02
    c.paint(cover(torch.minimum(slope, collar)), s.shirt * (1 - 0.10 * soft(shoulder + 0.12 - c.y, 0.15)))


def ears(c: Canvas) -> None:
    """Two ears, and what hangs from them."""
    t, s = c.t, c.s
    c = c.window(-0.15, 0.25)
    slide = 0.05 * s.yaw
    for side in (-1, 1):
        x = c.x - side * t.width + slide
        c.paint(cover(ellipse(x, c.y - 0.03, t.ear * 0.72, t.ear * 1.25)), t.skin * (0.90 + 0.25 * side * s.light_x))
        c.paint(cover(ellipse(x - 0.01 * side, c.y - 0.03, t.ear * 0.34, t.ear * 0.7)), t.skin * 0.68)
        ring = cover(ellipse(x - 0.01 * side, c.y - 0.05 - 1.25 * t.ear, 0.028, 0.035))
        c.paint(ring * t.earrings, torch.full_like(t.ear, 0.95))


def skull(c: Canvas) -> None:
    """The head's skin in the light."""
    c.paint(c.face, (c.t.skin * c.shade).clamp_(0, 1.1))
