"""Eyes, brows, nose and what the skin shows."""

from __future__ import annotations

import torch

from modelsec_course.data.faces.canvas import Canvas, between, cover, ellipse, soft, spot

__all__ = ["brows", "eyes", "nose", "skin"]


def skin(c: Canvas) -> None:
    """Sockets, cheeks, freckles, wrinkles from nose to mouth, a mole."""
    c = c.window(-0.25, 0.5, 0.5)
    t, face, tip = c.t, c.face, c.t.eye_y + c.t.nose
    c.shine(-0.16 * face * spot(c.u.abs() - t.eye_x, c.y - t.eye_y + 0.02, 1.3 * t.eye_w, 0.085))
    c.shine(0.10 * t.cheek * face * spot(c.u.abs() - 1.15 * t.eye_x, c.y - tip + 0.02, 0.10, 0.08))
    dots = torch.sin(41 * c.u + t.phase) * torch.sin(37 * c.y + 1.7 * t.phase + 9 * c.u)
    c.shine(-0.34 * t.freckles * face * soft(dots - 0.45, 0.19) * spot(c.u, c.y - tip + 0.05, 0.30, 0.10))
    fold = (c.y - tip - 0.01 - 1.1 * (c.u.abs() - t.nose_w - 0.05)) / 0.022
    fold = fold.square_().neg_().exp_() * soft(c.u.abs() - t.nose_w - 0.01, 0.04)
    c.shine(-0.22 * t.wrinkles * face * fold * between(c.y, tip - 0.04, tip + t.mouth_gap + 0.03, 0.04))
    c.paint(t.mole * cover(ellipse(c.u - t.mole_x, c.y - t.eye_y - t.mole_y, 0.020, 0.020)), 0.35 * t.skin)


def nose(c: Canvas) -> None:
    """A light bridge, a side in the shade, tip and nostrils."""
    c = c.window(-0.2, 0.40, 0.25)
    t, s, tip = c.t, c.s, c.t.eye_y + c.t.nose
    x = c.u - 0.07 * s.yaw
    down, inside = ((c.y - t.eye_y) / t.nose).clamp_(0, 1), between(c.y, t.eye_y - 0.04, tip + 0.01, 0.05)
    c.shine(0.13 * inside * (x / 0.035).square_().neg_().exp_())
    dark = torch.where(s.light_x > 0, -x, x) - 0.035 - 0.65 * t.nose_w * down**1.6
    c.shine(-0.30 * t.nose_side * inside * (dark / 0.026).square_().neg_().exp_())
    c.shine(-0.30 * spot(x, c.y - tip - 0.035, 1.15 * t.nose_w, 0.026))
    c.shine(-0.50 * spot(x.abs() - 0.55 * t.nose_w, c.y - tip - 0.012, 0.33 * t.nose_w, 0.018))
    c.shine(0.12 * spot(x, c.y - tip + 0.02, 0.045, 0.04))


def eyes(c: Canvas) -> None:
    """White, iris, pupil, a glint and the upper lid; they look where the shot says."""
    c = c.window(-0.22, 0.15, 0.4)
    t, s = c.t, c.s
    side = torch.sign(c.u)
    across = (c.u.abs() - t.eye_x) / t.eye_w
    y = c.y - t.eye_y + t.eye_tilt * (c.u.abs() - t.eye_x)
    arch = (1 - across.square()).clamp_(min=0)
    high = t.eye_h * s.lids * arch**0.8
    opening = torch.minimum(high - y.abs() * torch.where(y < 0, 0.95, 1.15), t.eye_w * (1 - across.abs()))
    mask, x = cover(opening), side * across * t.eye_w - s.gaze
    c.paint(mask, 0.93 * c.shade.clamp(0.6, 1.05))
    iris = (0.72 * t.eye_w).clamp(max=0.062)
    disc = torch.hypot(x, y)
    c.paint(mask * cover(iris - disc), t.iris)
    c.paint(mask * cover(0.52 * iris - disc), torch.full_like(iris, 0.03))
    c.paint(0.75 * spot(x - 0.012, y + 0.014, 0.014, 0.014), torch.full_like(iris, 0.98))
    lid = ((y + high) / 0.016).square_().neg_().exp_()
    c.paint(0.85 * lid * (across.abs() < 1.12), 0.22 * t.skin)


def brows(c: Canvas) -> None:
    """Two brows, which rise with the shot's expression."""
    c = c.window(-0.42, -0.02, 0.42)
    t, s = c.t, c.s
    away = c.u.abs() - t.eye_x
    along = (away - 0.04 * t.eye_x) / t.brow_w
    y = c.y - (t.eye_y - t.brow_gap - 0.5 * t.eye_h - s.brows) - 0.8 * t.brow_tilt * away
    y = y - t.brow_arch * (along.square() - 0.5)
    thick = t.brow * (1 - 0.6 * (along + 0.3).clamp_(0, 1.3).square_()).clamp_(min=0.1)
    c.paint(cover(thick - y.abs()) * cover((1 - along.abs()) * t.brow_w) * t.brow_dark, 0.8 * t.hair)
