"""Stickers on a road sign: printed once, then photographed by whoever drives past."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import validation
from modelsec_course.data import signs
from modelsec_course.data.signs import Conditions
from modelsec_course.evasion.inks import INKS, non_printability, total_variation
from modelsec_course.evasion.losses import fooled
from modelsec_course.evasion.physical import Expectation
from modelsec_course.models import frozen
from modelsec_course.statistics import clopper_pearson

__all__ = ["SHAPES", "Photographs", "Success", "physical_success", "random_ink", "stick", "sticker", "sticker_mask"]

SHAPES = {  # left, top, right, bottom, in the sign's plane [-1, 1]²
    "bars": ((-0.46, -0.68, 0.46, -0.38), (-0.46, 0.38, 0.46, 0.68)),  # above and below the word on a STOP sign
    "centre": ((-0.42, -0.42, 0.42, 0.42),),  # over it
}
DARKEST, BRIGHTEST = 0.05, 0.95  # what a printer reaches
Boxes = Sequence[tuple[float, float, float, float]]


class Success(NamedTuple):
    """Shares of photographs, and the ends of their 95 % intervals (Clopper & Pearson): (k,) each, one a sign."""

    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


def sticker_mask(sign: Tensor, boxes: Boxes | str) -> Tensor:
    """1 where a sticker lies, 0 elsewhere, (side, side): inside one of the boxes, and on the sign's own surface.

    sign: (4, side, side), as one of `signs.templates()`.  boxes: (left, top, right, bottom) in the sign's plane
    [-1, 1]², v downwards, or a name in SHAPES.
    """
    _sign(sign)
    if isinstance(boxes, str):
        validation.one_of("boxes", boxes, SHAPES)
        boxes = SHAPES[boxes]
    centres = (torch.arange(sign.shape[-1], device=sign.device, dtype=sign.dtype) + 0.5) * (2 / sign.shape[-1]) - 1
    down, right = centres[:, None], centres[None]
    mask = torch.zeros_like(sign[3])
    for box in boxes:
        left, top, end, bottom = box
        if not (left < end and top < bottom):
            raise ValueError(f"a box must be (left, top, right, bottom), v downwards, but it is {box}")
        mask = mask.maximum(((right > left) & (right < end) & (down > top) & (down < bottom)).to(mask))
    return mask * (sign[3] > 0.5)


def stick(sign: Tensor, ink: Tensor, mask: Tensor) -> Tensor:
    """The sign with each print on it, (n, 4, side, side): textures for `signs.photograph`, differentiable in the ink.

    sign: (4, side, side).  ink: (n, 3, cells, cells) in [0, 1], spread over the whole sign.  mask: (side, side).
    """
    _sign(sign)
    validation.tensor("ink", ink)
    validation.tensor("mask", mask)
    if ink.dim() != 4 or ink.shape[1] != 3 or mask.shape != sign.shape[1:]:
        given = f"{tuple(ink.shape)} and {tuple(mask.shape)}"
        raise ValueError(f"ink must be (n, 3, cells, cells) and mask {tuple(sign.shape[1:])}, but they are {given}")
    spread = F.interpolate(ink, sign.shape[-1], mode="bilinear", align_corners=False)
    return torch.cat([sign[None, :3].lerp(spread, mask), sign[None, 3:].expand(len(ink), -1, -1, -1)], 1)


class Photographs(nn.Module):
    """A transform for `eot`: prints (n, 3, cells, cells) -> photographs (samples · n, 3, size, size) of the sign.

    sign, mask: as for `stick`.  generator: draws the streets.  one_photo: every call takes the same photographs again.
    """

    def __init__(
        self,
        sign: Tensor,
        mask: Tensor,
        *,
        generator: torch.Generator,
        size: int = 32,
        conditions: Conditions | None = None,
        one_photo: bool = False,
    ) -> None:
        super().__init__()
        self.sign, self.mask, self.size, self.conditions = sign, mask, size, conditions or Conditions()
        self.generator, self.state = generator, generator.get_state() if one_photo else None

    def forward(self, ink: Tensor, samples: int = 1) -> Tensor:
        if self.state is not None:
            self.generator.set_state(self.state)
        labels = torch.arange(len(ink), device=ink.device).repeat(samples)
        textures = stick(self.sign, ink, self.mask)
        options = {"size": self.size, "conditions": self.conditions, "generator": self.generator}
        return signs.photograph(textures, labels, **options)


def sticker(
    model: Callable[[Tensor], Tensor],
    photographs: Photographs,
    start: Tensor,
    y: int,
    *,
    targeted: bool = False,
    steps: int = 40,
    samples: int = 24,
    step_size: float = 0.1,
    smooth: float = 0.0,
    printable: float = 0.0,
    inks: Tensor = INKS,
) -> Tensor:
    """Prints that make photographs of a sign be misread, (n, 3, cells, cells): signed gradient steps through a camera.

    model: returns logits.  photographs: what is photographed, and where.  start: (n, 3, cells, cells) in [0, 1]; each
    becomes a sticker of its own.  y: the sign's true class, or with `targeted` the class it is to be read as.
    step_size: of the first step, in ink; later ones shrink to nothing.
    samples: photographs a step for each sticker; 1, with photographs that are always the same, is the sticker of
    somebody who has one photograph.  smooth, printable: weights of `total_variation` and `non_printability`.
    Source: expectation over transformation, Athalye et al., 2018, "Synthesizing Robust Adversarial Examples"; masked
    and printed on a sign, Eykholt et al., 2018, "Robust Physical-World Attacks on Deep Learning Visual Classification".
    """
    validation.function("model", model)
    validation.tensor("start", start)
    validation.count("y", y, low=0)
    validation.flag("targeted", targeted)
    validation.count("steps", steps)
    for name, value in {"step_size": step_size, "smooth": smooth, "printable": printable}.items():
        validation.number(name, value, low=0)
    ink, seen = start.detach().clamp(DARKEST, BRIGHTEST), Expectation(model, photographs, samples)
    truth = torch.full((len(ink),), y, device=ink.device)
    with frozen(seen), torch.enable_grad():
        for k in range(steps):
            ink.requires_grad_()
            score = F.cross_entropy(seen(ink), truth, reduction="sum") * (-1 if targeted else 1)
            if smooth:
                score = score - smooth * total_variation(ink).sum()
            if printable:
                score = score - printable * non_printability(ink, inks).sum()
            (uphill,) = torch.autograd.grad(score, ink)
            ink = (ink.detach() + step_size * (1 - k / steps) * uphill.sign()).clamp(DARKEST, BRIGHTEST)
    return ink


def random_ink(n: int, *, cells: int = 32, generator: torch.Generator) -> Tensor:
    """The control: prints of chance, (n, 3, cells, cells), in turn of 3, 6, 12 and 24 blots across."""
    validation.count("n", n)
    prints = []
    for i in range(n):
        blots = (3, 6, 12, 24)[i % 4]
        drawn = torch.randn(1, 3, blots, blots, generator=generator, device=generator.device)
        prints.append(F.interpolate(DARKEST + (BRIGHTEST - DARKEST) * torch.sigmoid(4 * drawn), cells, mode="bilinear"))
    return torch.cat(prints)


@torch.no_grad()
def physical_success(
    model: Callable[[Tensor], Tensor],
    textures: Tensor,
    y: int,
    *,
    targeted: bool = False,
    scenes: int = 400,
    generator: torch.Generator,
    size: int = 32,
    conditions: Conditions | None = None,
) -> Success:
    """How often each sign is misread on photographs that no attack has seen, with 95 % intervals.

    textures: (k, 4, side, side), as from `stick`; all meet the same scenes.  y: the true class, and success is any
    other answer; with `targeted` the wanted class, and success is this answer.  generator: draws the scenes: take
    another seed than the attack's.
    """
    validation.count("scenes", scenes)
    validation.flag("targeted", targeted)
    state, hits = generator.get_state(), []
    for texture in textures:
        generator.set_state(state)
        labels = torch.zeros(scenes, dtype=torch.int64, device=textures.device)
        options = {"size": size, "conditions": conditions or Conditions(), "generator": generator}
        with frozen(model):
            logits = model(signs.photograph(texture[None], labels, **options))
        hits.append(int(fooled(logits, torch.full_like(labels, y), targeted).sum()))
    hits = np.array(hits)
    return Success(hits / scenes, *clopper_pearson(hits, scenes))


def _sign(sign: Tensor) -> None:
    validation.tensor("sign", sign)
    if sign.dim() != 3 or sign.shape[0] != 4 or sign.shape[1] != sign.shape[2]:
        raise ValueError(f"sign must be one texture (4, side, side), but its shape is {tuple(sign.shape)}")
