"""A camera that photographs signs in random streets, differentiable in the signs' textures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import validation
from modelsec_course.data.signs.dice import Dice
from modelsec_course.data.signs.light import lit, moved, paint, patched, pole, sensed
from modelsec_course.data.signs.scenery import plane, scenery

__all__ = ["Conditions", "homography", "photograph"]

FOCAL_LENGTH = 2.6  # in half widths of the picture: a view of 42 degrees
TOGETHER = 128 * 32**2  # pixels that are rendered at once: they stay in the processor's cache


@dataclass(frozen=True)
class Conditions:
    """How the pictures are taken: each number is drawn uniformly between the two given.

    width: of the sign, as a share of the picture's.  yaw, pitch, roll: the sign's turn, in radians.  shift: of its
    centre to the right and down, in half pictures.  exposure: brightness, where 1 is a bright day.  motion: blur, in
    pixels of a picture 32 pixels wide (negative: none).
    """

    width: tuple[float, float] = (0.55, 0.92)
    yaw: tuple[float, float] = (-0.6, 0.6)
    pitch: tuple[float, float] = (-0.3, 0.3)
    roll: tuple[float, float] = (-0.16, 0.16)
    shift: tuple[float, float] = (-0.1, 0.1)
    exposure: tuple[float, float] = (0.5, 1.2)
    motion: tuple[float, float] = (-1.6, 2.0)

    def __post_init__(self) -> None:
        for name, pair in vars(self).items():
            low, high = {"width": (0.01, 4), "exposure": (0, 4), "motion": (-9, 9)}.get(name, (-1.2, 1.2))
            validation.span(name, pair, low=low, high=high)


USUAL = Conditions()


def photograph(
    textures: Tensor,
    labels: Tensor,
    *,
    size: int = 32,
    generator: torch.Generator,
    patches: float = 0.0,
    conditions: Conditions = USUAL,
) -> Tensor:
    """One picture (n, 3, size, size) in [0, 1] of the sign textures[labels[i]] in each of n random streets.

    textures: (k, 4, side, side) in [0, 1], red, green, blue and opacity; `templates()` has this form. The picture is
    differentiable in them, and is computed on their device.  labels: (n,) int64.  size: of the picture, in pixels.
    patches: the share of signs on which a sticker, a leaf or paint hides a part.  generator: decides the scenes, which
    are the same for any textures and share of patches.
    """
    checked(textures, labels, size, generator, patches)
    if not isinstance(conditions, Conditions):
        raise TypeError(f"conditions must be signs.Conditions(...), but it is a {type(conditions).__name__}")
    atlas = Atlas(textures)
    pictures = [
        _picture(atlas, some, Dice(len(some), generator, textures), size, patches, conditions)
        for some in labels.split(max(1, TOGETHER // size**2))
    ]
    return torch.cat(pictures)


def homography(yaw: Tensor, pitch: Tensor, roll: Tensor, width: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """(n, 3, 3): from points (u, v, 1) of the sign's plane to the picture's, up to scale, by a pinhole camera.

    All arguments: (n,).  Both planes are [-1, 1]², v downwards.
    """
    one, zero = torch.ones_like(yaw), torch.zeros_like(yaw)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, -1).view(-1, 3, 3)

    about_y = matrix(yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos())
    about_x = matrix(one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos())
    about_z = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    turned = about_z @ about_x @ about_y
    distance = FOCAL_LENGTH / width
    centre = torch.stack([right / width, down / width, distance], 1)
    seen = torch.stack([turned[:, :, 0], turned[:, :, 1], centre], 2)
    return torch.cat([FOCAL_LENGTH * seen[:, :2], seen[:, 2:]], 1)


class Atlas:
    """All textures at all resolutions in one picture, each in a transparent frame, so that one sampling reads them."""

    def __init__(self, textures: Tensor) -> None:
        level = torch.cat([textures[:, :3] * textures[:, 3:], textures[:, 3:]], 1)
        wide, sheets, top, self.tops, self.sides = level.shape[-1] + 2, [], 0, [], []
        while not sheets or (level.shape[-1] >= 16 and level.shape[-1] % 2 == 0):
            level = F.avg_pool2d(level, 2) if sheets else level
            side = level.shape[-1]
            framed = F.pad(level, (1, wide - side - 1, 1, 1)).transpose(0, 1).flatten(1, 2)
            sheets.append(framed)
            self.tops.append(top)
            self.sides.append(side)
            top += framed.shape[1]
        self.picture = torch.cat(sheets, 1)[None]

    def sample(self, labels: Tensor, where: Tensor, width: Tensor) -> Tensor:
        """(n, 4, a, b): colour times opacity, and opacity, at the points `where` (n, a, b, 2) of each sign.

        width: (n,) samples across a sign; the resolution nearest to it is read, so that nothing is skipped.
        """
        sides, tops = (torch.tensor(numbers, device=where.device) for numbers in (self.sides, self.tops))
        level = (sides[0] / width).log2().round().clamp(0, len(sides) - 1).long()
        side, (high, wide) = sides[level].view(-1, 1, 1, 1), self.picture.shape[2:]
        top = (tops + labels[:, None] * (sides + 2)).gather(1, level[:, None]).view_as(side)
        corner = torch.cat([torch.ones_like(top), top + 1], 3) + side / 2  # of the texture, in pixels of the atlas
        scale = torch.tensor([2 / wide, 2 / high], dtype=where.dtype, device=where.device)
        frame = 1 + 1 / side
        grid = where.clamp(-frame, frame) * (scale * side / 2) + (scale * corner - 1)
        n, a, b, _ = grid.shape
        return (
            F.grid_sample(self.picture, grid.view(1, n * a, b, 2), align_corners=False).view(4, n, a, b).transpose(0, 1)
        )


def _picture(atlas: Atlas, labels: Tensor, dice: Dice, size: int, patches: float, conditions: Conditions) -> Tensor:
    street = scenery(dice, size)
    width = dice.uniform(*conditions.width).flatten()
    turn = [dice.uniform(*getattr(conditions, name)).flatten() for name in ("yaw", "pitch", "roll")]
    shift = [dice.uniform(*conditions.shift).flatten() for _ in range(2)]
    where = on_the_sign(homography(*turn, width, *shift), size)
    sign = atlas.sample(labels, where.flatten(1, 2), 2 * size * width).unflatten(2, (4, size)).mean(2)
    where = where.mean(1).permute(0, 3, 1, 2)
    sign = patched(dice, sign, where, size, patches)
    picture = pole(dice, street, where, size)
    dirt = dice.texture("clouds", size, max(1, 64 // size))
    picture = paint(dice, sign, dirt) + (1 - sign[:, 3:]) * picture
    picture = lit(dice, picture, dirt, dice.uniform(*conditions.exposure))
    picture = moved(dice, picture, dice.uniform(*conditions.motion) / 16)
    return sensed(dice, picture.clamp(0, 1), size)


def on_the_sign(sign_to_picture: Tensor, size: int) -> Tensor:
    """(n, 4, size, size, 2): the points of the sign's plane that the four quarters of each pixel see."""
    x, y = plane(size, sign_to_picture)
    right = torch.tensor([-0.5, 0.5, -0.5, 0.5], device=x.device).view(4, 1, 1) / size
    down = right[[0, 2, 1, 3]]
    pixels = torch.stack(torch.broadcast_tensors(x[0] + right, y[0] + down, torch.ones_like(x[0])), -1)
    points = pixels.view(-1, 3) @ torch.linalg.inv(sign_to_picture).mT
    return (points[..., :2] / points[..., 2:]).view(-1, 4, size, size, 2)


def checked(textures: Tensor, labels: Tensor, size: int, generator: torch.Generator, patches: float = 0.0) -> None:
    """Raise unless these can be photographed."""
    validation.tensor("textures", textures)
    side = textures.shape[-1] if textures.dim() else 0
    if textures.shape[1:] != (4, side, side) or not side or textures.dtype not in (torch.float32, torch.float64):
        shape = tuple(textures.shape)
        raise ValueError(f"textures must be floats (k, 4, side, side), but are {textures.dtype} with shape {shape}")
    validation.tensor("labels", labels)
    validation.labels(labels, textures.new_empty(labels.numel()), "labels")
    if not len(labels) or labels.max() >= len(textures):
        raise ValueError(f"labels must hold at least one label and none above {len(textures) - 1}: {labels.tolist()}")
    validation.count("size", size, low=8)
    if size > 64:
        raise ValueError(f"size must be at most 64, but it is {size}")
    if generator is None:
        raise TypeError("generator must be a torch.Generator, but it is None: use runtime.generator(seed)")
    validation.randomness("generator", generator)
    validation.number("patches", patches, low=0, high=1)
