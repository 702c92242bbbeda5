"""What lab 01's exercises share."""

from __future__ import annotations

from modelsec_course.labs.common import digits_model, expect_pixels


def in_the_box(attack):
    """Pixels stay in [0, 1]"""
    model, x, y = digits_model(24)
    expect_pixels(attack(model, x, y))
