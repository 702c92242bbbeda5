"""What lab 01's exercises share."""

from __future__ import annotations

from modelsec_course.lab.exercise import expect
from modelsec_course.labs.common import (
    curved_model,
    digits_model,
    expect_inside,
)  # fmt: skip


def stays_in_the_ball(attack):
    """Never leaves the ball of radius ε, nor [0, 1]"""
    model, x, y = curved_model()
    for eps in (0.03, 0.3):
        expect_inside(attack(model, x, y, eps), x, eps)


def in_the_box(attack):
    """Pixels stay in [0, 1]"""
    model, x, y = digits_model(24)
    x_adv = attack(model, x, y)
    expect(x_adv.min() >= 0 and x_adv.max() <= 1, f"got pixels from {x_adv.min():.3g} to {x_adv.max():.3g}")
