"""Where a sticker lies: inside its box, and on the sign's own surface."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course import evasion, runtime
from modelsec_course.data import signs
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_tensor


def _stop() -> Tensor:
    return signs.templates()[0]


def _zero_or_one(sticker_mask):
    """Each texel is covered or not: 1 or 0"""
    mask = sticker_mask(_stop(), (-0.9, -0.9, 0.9, 0.9))
    expect(((mask == 0) | (mask == 1)).all(), "the mask must hold 0 and 1 only")


def _in_its_box(sticker_mask):
    """It covers its box, and nothing beside it"""
    for box in ((-0.5, -0.25, 0.25, 0.5), (0.125, -0.5, 0.625, -0.375), (-0.75, -0.125, -0.5, 0.375)):
        left, top, right, bottom = ((edge + 1) * 64 for edge in box)
        want = torch.zeros(128, 128, device="cpu")
        want[int(top) : int(bottom), int(left) : int(right)] = 1
        mask = sticker_mask(_stop(), box)
        expect_close(mask.sum(), want.sum(), 1e-3, f"how many texels the box {box} covers")
        expect((mask == want).all(), f"the box {box} covers as much as it should, but elsewhere: v points downwards")


def _on_the_sign(sticker_mask):
    """It ends where the sign ends"""
    sign = _stop()
    mask = sticker_mask(sign, (-1.0, -1.0, 1.0, 1.0))
    beyond = int(((mask > 0) & (sign[3] < 0.25)).sum())
    expect(beyond == 0, f"{beyond} texels of the sticker hang in the air, where the sign is transparent")
    missed = int(((mask == 0) & (sign[3] > 0.75)).sum())
    expect(missed == 0, f"{missed} texels of the sign lie inside the box and are not covered")


def _nothing_outside(sticker_mask):
    """Whatever is printed, nothing changes outside the box"""
    sign, box = _stop(), (-0.5, -0.25, 0.25, 0.5)
    mask = sticker_mask(sign, box)
    ink = torch.rand(1, 3, 16, 16, generator=runtime.generator(0))
    changed = (evasion.stick(sign, ink, mask)[0] - sign).abs().amax(0)
    changed[48:96, 32:80] = 0
    count = int((changed > 0).sum())
    expect(count == 0, f"{count} texels outside the box changed")


def sticker_mask(sign, box):
    return evasion.sticker_mask(sign, [box])


def _shaped(result, args: tuple, kwargs: dict) -> None:
    side = argument(args, kwargs, 0, "sign").shape[-1]
    expect_tensor(result, (side, side), "the mask, (side, side)")
    expect(result.dtype == torch.float32, f"the mask must hold floats, but it holds {result.dtype}: use .float()")


def _sticker_mask_wrong(sign, box, surface=True, swap=False, outside=False, sides=False, upwards=False):
    side = sign.shape[-1]
    at = (torch.arange(side) + 0.5) * 2 / side - 1
    left, top, right, bottom = box
    if sides:
        right, bottom = left + right, top + bottom
    down = -at[:, None] if upwards else at[:, None]
    inside = (at > left) & (at < right) & (down > top) & (down < bottom)
    inside = inside.T if swap else inside
    inside = ~inside if outside else inside
    return (inside & (sign[3] > 0.5)).float() if surface else inside.float()


def _sticker_mask_by_index(sign, box):
    """Another form: rows and columns by their numbers."""
    side = sign.shape[-1]
    left, top, right, bottom = (round((edge + 1) / 2 * side) for edge in box)
    mask = torch.zeros(side, side)
    mask[top:bottom, left:right] = 1.0
    return torch.where(sign[3] >= 0.5, mask, torch.zeros_like(mask))


EXERCISE = Exercise(
    "05.sticker_mask",
    title="Where a sticker lies",
    reference=sticker_mask,
    properties=[_zero_or_one, _in_its_box, _on_the_sign, _nothing_outside],
    hints=[
        "`ticks > left` says of each column whether it is right of the box's left edge. Four such comparisons make the "
        "box; `ticks[:, None]` makes the ones that are about rows.",
        "`inside = (ticks > left) & (ticks < right) & (ticks[:, None] > top) & (ticks[:, None] < bottom)`, "
        "(side, side).",
        "The sign's own surface is where its opacity, `sign[3]`, is more than one half. Then `.float()`.",
    ],
    returns=_shaped,
    second=_sticker_mask_by_index,
    mutants={
        "lets the sticker hang in the air": lambda sign, box: _sticker_mask_wrong(sign, box, surface=False),
        "swaps rows and columns": lambda sign, box: _sticker_mask_wrong(sign, box, swap=True),
        "covers all but the box": lambda sign, box: _sticker_mask_wrong(sign, box, outside=True),
        "takes right and bottom for width and height": lambda sign, box: _sticker_mask_wrong(sign, box, sides=True),
        "lets v point upwards": lambda sign, box: _sticker_mask_wrong(sign, box, upwards=True),
        "is half transparent": lambda sign, box: 0.5 * _sticker_mask_wrong(sign, box),
    },
)
