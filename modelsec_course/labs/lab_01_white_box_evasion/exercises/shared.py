"""What lab 01's exercises share."""

from __future__ import annotations

import functools
from collections.abc import Callable

from modelsec_course.labs.common import digits_model, expect_pixels

LEAF = (
    "there is no gradient. Only a tensor that was made to ask for one, before the model saw it, has `.grad`: "
    "`at = x_adv.detach().clone().requires_grad_()`, then `model(at)`, and the gradient in `at`"
)
SIGNS = ("'NoneType' object has no attribute", "not NoneType", "does not require grad")


def in_the_box(attack):
    """Pixels stay in [0, 1]"""
    model, x, y = digits_model(24)
    expect_pixels(attack(model, x, y))


def explained(*properties: Callable) -> list[Callable]:
    """The same properties, but an error that comes of a gradient nobody asked for says so."""
    return [_explained(prop) for prop in properties]


def _explained(prop: Callable) -> Callable:
    @functools.wraps(prop)
    def verify(attack):
        try:
            prop(attack)
        except (AttributeError, TypeError, RuntimeError) as error:
            if not any(sign in str(error) for sign in SIGNS):
                raise
            raise AssertionError(f"{error}: {LEAF}").with_traceback(error.__traceback__) from None

    return verify
