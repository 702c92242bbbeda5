"""Streets without a sign: sky, hills, woods, a façade, a tree, a road."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course.data.signs.dice import Dice

__all__ = ["plane", "scenery"]

SKY = [  # at the zenith, at the horizon
    [0.28, 0.50, 0.86, 0.75, 0.87, 0.96],
    [0.42, 0.62, 0.90, 0.84, 0.90, 0.95],
    [0.64, 0.68, 0.75, 0.83, 0.85, 0.88],
    [0.78, 0.80, 0.83, 0.88, 0.88, 0.89],
    [0.38, 0.42, 0.60, 0.95, 0.79, 0.62],
]
FOLIAGE = [
    [0.18, 0.30, 0.12],
    [0.25, 0.38, 0.15],
    [0.13, 0.24, 0.13],
    [0.33, 0.40, 0.17],
    [0.46, 0.34, 0.14],
    [0.30, 0.27, 0.19],
]
WALLS = [
    [0.60, 0.36, 0.29],
    [0.80, 0.74, 0.62],
    [0.68, 0.68, 0.69],
    [0.88, 0.86, 0.80],
    [0.52, 0.47, 0.43],
    [0.76, 0.60, 0.43],
]
VERGES = [*([1.2 * c for c in colour] for colour in FOLIAGE), [0.58, 0.56, 0.53], [0.50, 0.50, 0.50]]


def plane(size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """x (1, 1, 1, size) and y (1, 1, size, 1): the centres of the pixels in [-1, 1]², y downwards."""
    centres = (torch.arange(size, device=like.device, dtype=like.dtype) + 0.5) * (2 / size) - 1
    return centres.view(1, 1, 1, size), centres.view(1, 1, size, 1)


def scenery(dice: Dice, size: int) -> Tensor:
    """(n, 3, size, size) in [0, 1]: a street for each of the dice's scenes."""
    x, y = plane(size, dice.like)
    step = max(1, 64 // size)  # leaves are as large in a small picture as in a large one
    leaves = dice.texture("leaves", size, step)
    clouds = dice.texture("clouds", size, 2 * step)

    def inside(distance: Tensor) -> Tensor:  # from 0 to 1 within about two pixels
        return (size / 4 * distance + 0.5).clamp(0, 1)

    horizon = dice.uniform(0.05, 1.25)
    above = horizon - y
    picture = _sky(dice, above, clouds)
    hill = above - dice.uniform(0.0, 0.5) * (1 + 0.4 * clouds[:, :, :1])
    picture = picture.lerp(dice.colour([[0.52, 0.60, 0.68], [0.42, 0.52, 0.50]], 0.06), inside(-hill))
    picture = _woods(dice, picture, above, leaves, dice.texture("clouds", size, 2 * step), inside)
    picture = _building(dice, picture, x, above, leaves, inside)
    picture = _tree(dice, picture, x, y, leaves, inside)
    return picture.lerp(_ground(dice, x, above, leaves), inside(-above)).clamp_(0, 1)


def _sky(dice: Dice, above: Tensor, clouds: Tensor) -> Tensor:
    zenith, low = dice.colour(SKY).chunk(2, 1)
    sky = low.lerp(zenith, (above / above[:, :, :1]).clamp(0, 1))
    cover = torch.sigmoid(2.2 * (clouds - dice.uniform(-0.3, 1.6))) * dice.uniform(0.3, 0.9)
    return sky.lerp(torch.full_like(zenith, 0.93), cover)


def _woods(dice: Dice, picture: Tensor, above: Tensor, leaves: Tensor, outline: Tensor, inside) -> Tensor:
    far = dice.uniform(0, 0.5)  # air lies between: paler, and with less contrast
    colour = dice.colour(FOLIAGE, 0.04) * (1 - far) + 0.62 * far
    height = (1 + 0.45 * outline[:, :, :1]).clamp(0.1, 2)
    depth = dice.uniform(0.05, 0.75) * height - above
    light = 1 + (0.3 - 0.25 * far) * leaves + 0.22 * (0.3 - depth).clamp(-1, 1)
    return picture.lerp(colour * light, dice.chance(0.85) * inside(depth + 0.1 * leaves))


def _building(dice: Dice, picture: Tensor, x: Tensor, above: Tensor, leaves: Tensor, inside) -> Tensor:
    across = x - dice.uniform(-1.6, 0.9)
    up = above * (1 + dice.uniform(-0.35, 0.35) * across)  # seen at an angle: storeys converge
    below_roof = dice.uniform(0.6, 2.4) - up
    front = inside(across) * inside(dice.uniform(0.7, 2.2) - across) * inside(below_roof) * inside(up)
    columns = (dice.uniform(2.2, 4.5) * across).remainder(1) - 0.5
    storeys = (dice.uniform(2.2, 4.5) * below_roof).remainder(1) - 0.5
    window = (9 * (0.3 - columns.abs())).clamp(0, 1) * (9 * (0.32 - storeys.abs())).clamp(0, 1)
    wall = dice.colour(WALLS) * dice.uniform(0.65, 1.05)
    glass = dice.colour([[0.9, 1.0, 1.12]]) * dice.uniform(0.12, 0.55)
    return picture.lerp(wall.lerp(glass, window) * (1 + 0.06 * leaves), dice.chance(0.5) * front)


def _tree(dice: Dice, picture: Tensor, x: Tensor, y: Tensor, leaves: Tensor, inside) -> Tensor:
    right, down, radius = x - dice.uniform(-1.5, 1.5), y - dice.uniform(-1, 0.6), dice.uniform(0.4, 1)
    crown = 0.5 - 0.5 * (right**2 + 1.3 * down**2).sqrt() / radius + 0.14 * leaves
    light = 1 + 0.34 * leaves.flip(3) - 0.35 * down.clamp(-1, 1)  # lit from above
    return picture.lerp(dice.colour(FOLIAGE, 0.04) * light, dice.chance(0.55) * inside(crown))


def _ground(dice: Dice, x: Tensor, above: Tensor, leaves: Tensor) -> Tensor:
    size = x.shape[3]
    distance = 1 / (-above).clamp(min=0.03)
    across = (x - dice.uniform(-1.2, 1.2)) * distance
    rows = (7 * distance).long().remainder(size).expand(-1, -1, -1, size)
    asphalt = dice.colour([[0.40, 0.40, 0.41]], 0.12) * (1 + 0.08 * dice.texture("gravel", size).gather(2, rows))
    edge = dice.uniform(0.6, 2.5) - across
    verge = dice.colour(VERGES, 0.04) * (1 + 0.2 * leaves)
    dashed = ((0.6 * distance + dice.uniform(0, 1)).remainder(1) < 0.55).to(x) + dice.chance(0.5)
    line = dice.chance(0.7) * dashed.clamp(max=1) * (40 * (0.09 - (edge - 0.3).abs()) + 0.5).clamp(0, 1)
    road = asphalt.lerp(torch.full_like(asphalt[:, :, :1, :1], 0.85), line)
    return verge.lerp(road, (3 * edge + 0.5).clamp(0, 1))
