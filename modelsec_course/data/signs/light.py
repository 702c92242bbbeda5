"""What happens between a sign and the picture: patches, dirt, light, motion, the sensor's noise."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course.data.signs.dice import Dice
from modelsec_course.data.signs.scenery import FOLIAGE, plane


def patched(dice: Dice, sign: Tensor, where: Tensor, size: int, share: float) -> Tensor:
    """A patch on a share of the signs: a striped or plain label, or the lens of a leaf."""
    angle, along, across = dice.uniform(0, math.pi), dice.uniform(0.1, 0.5), dice.uniform(0.1, 0.5)
    centre = torch.cat([dice.uniform(-0.6, 0.6), dice.uniform(-0.6, 0.6)], 1)
    leaf, present = dice.chance(0.3), dice.chance(share)
    inks = [torch.cat([dice.uniform(0, 1) for _ in "rgb"], 1) for _ in range(2)]
    green, waves = dice.colour(FOLIAGE, 0.1), [dice.uniform(3, 20) for _ in range(2)]
    phase = dice.uniform(0, 2 * math.pi)
    if not share:
        return sign
    u, v = (where - centre).split(1, 1)
    u, v = u * angle.cos() + v * angle.sin(), v * angle.cos() - u * angle.sin()
    label = torch.maximum(u.abs() / along, v.abs() / across)
    beyond = torch.where(leaf > 0, (u / along) ** 2 + 2 * v.abs() / across, label) - 1
    inside = present * (0.5 - 0.1 * size * beyond).clamp(0, 1)
    stripes = torch.sigmoid(6 * (torch.sin(waves[0] * u + phase) + torch.sin(waves[1] * v + phase)))
    colour = torch.where(leaf > 0, green * (1.2 - 0.4 * stripes), inks[0].lerp(inks[1], stripes))
    rgb, alpha = sign[:, :3], sign[:, 3:]
    return torch.cat([rgb.lerp(colour * alpha, inside), alpha], 1)


def pole(dice: Dice, street: Tensor, where: Tensor, size: int) -> Tensor:
    """A round grey post that carries the sign, lit from the left."""
    u, v = where.split(1, 1)
    thick = dice.uniform(0.06, 0.1)
    inside = (0.3 * size * (thick - u.abs()) + 0.5).clamp(0, 1) * (0.6 * size * (v + 0.3)).clamp(0, 1)
    return street.lerp(dice.uniform(0.35, 0.8) * (1 - 0.7 * (u / thick + 0.3).abs().clamp(0, 1)), inside)


def paint(dice: Dice, sign: Tensor, dirt: Tensor) -> Tensor:
    """The sign's surface: dirty in places, more or less bright, faded towards grey."""
    fade, bright = dice.uniform(0, 0.22), dice.uniform(0.72, 1.02)
    clean = 1 - dice.uniform(0, 0.25) * torch.sigmoid(3 * (dirt - 0.8))
    return sign[:, :3] * (clean * bright * (1 - fade)) + 0.62 * fade * sign[:, 3:]


def lit(dice: Dice, picture: Tensor, dirt: Tensor, exposure: Tensor) -> Tensor:
    """Exposure, the edge of a shadow, the light's colour, a glare, haze."""
    x, y = plane(picture.shape[-1], picture)
    angle = dice.uniform(0, 2 * math.pi)
    edge = torch.sigmoid(
        dice.uniform(4, 25) * (x * angle.cos() + y * angle.sin() + 0.12 * dirt - dice.uniform(-0.8, 0.8))
    )
    shade = 1 - dice.chance(0.45) * dice.uniform(0.2, 0.55) * edge
    warm = dice.uniform(-0.1, 0.1)
    light = torch.cat([1 + warm, torch.ones_like(warm), 1 - warm], 1) * exposure
    away = (x - dice.uniform(-1, 1)) ** 2 + (y - dice.uniform(-1, 1)) ** 2
    glare = dice.chance(0.2) * dice.uniform(0, 0.35) * torch.exp(-away / dice.uniform(0.05, 0.5))
    haze = dice.uniform(-0.35, 0.35).clamp(min=0)
    return picture * (shade * (1 - haze)) * light + (glare * (1 - haze) + haze * dice.uniform(0.6, 0.85))


def coarseness(times: Tensor) -> Tensor:
    """Standard deviation of the blur, in pixels, of a picture enlarged by `times`, at least 1: (n,).

    A pixel of the small picture spans `times` of these, a box of variance times²/12 in either direction; a lens and
    the enlarging add about twice that.
    """
    return 0.5 * (times**2 - 1).sqrt()


def blurred(picture: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of standard deviation sigma (n or 1, 1, 1, 1), in pixels, of (n, channels, h, w); 0 leaves it."""
    for side in (2, 3):
        at = torch.arange(picture.shape[side], dtype=picture.dtype, device=picture.device)
        weights = (-((at[:, None] - at) ** 2) / (2 * sigma.clamp(min=1e-2) ** 2)).exp()
        weights = weights / weights.sum(3, keepdim=True)
        picture = weights @ picture if side == 2 else picture @ weights.mT
    return picture


def moved(dice: Dice, picture: Tensor, length: Tensor) -> Tensor:
    """Motion blur: the mean of three pictures along a stroke of `length` half pictures."""
    angle = dice.uniform(0, 2 * math.pi)
    these = (length.flatten() > 0).nonzero()[:, 0]
    if not len(these):
        return picture
    x, y = plane(picture.shape[-1], picture)
    still = torch.stack(torch.broadcast_tensors(x[0, 0], y[0, 0]), -1)
    stroke = (length * torch.cat([angle.cos(), angle.sin()], 1))[these].view(-1, 1, 1, 2)
    moving = picture[these]
    before, after = (
        F.grid_sample(moving, still + stroke / way, padding_mode="border", align_corners=False) for way in (-3, 3)
    )
    return picture.index_copy(0, these, (moving + before + after) / 3)


def sensed(dice: Dice, picture: Tensor, size: int) -> Tensor:
    """The sensor's noise: of the light, whose variance grows with it, and of the electronics."""
    grain = torch.cat([dice.texture("grain", size) for _ in "rgb"], 1)
    variance = dice.uniform(0, 0.0012) * picture + dice.uniform(0.005, 0.025) ** 2
    return (picture + grain * variance.sqrt()).clamp(0, 1)
