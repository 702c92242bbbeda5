"""What a camera sees on a drive towards a sign: one street, one light, and a sign that comes nearer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import validation
from modelsec_course.data.signs.camera import TOGETHER, Atlas, checked, homography, on_the_sign
from modelsec_course.data.signs.dice import Dice
from modelsec_course.data.signs.light import blurred, coarseness, lit, moved, paint, pole, sensed
from modelsec_course.data.signs.scenery import plane, scenery

__all__ = ["Drive", "approach"]

FOCAL_PIXELS = 1000.0  # of the car's camera: 1,280 pixels show 65 degrees
SIGN_METRES = 0.75  # across
AROUND = 2.0  # the street is drawn so much wider than a picture shows of it from afar


@dataclass(frozen=True)
class Drive:
    """How a car comes nearer; each pair is a range from which a drive's own number is drawn uniformly.

    frames: pictures of a drive, taken at equal steps.  far, near: metres to the sign in the first and in the last.
    aside, above: metres from the camera's path to the sign, to the right (negative: left) and upwards: they turn the
    sign as the car comes nearer.  turn: of the sign itself to either side, and roll, in radians.  width: of the sign as
    a share of the picture, which a detector has cut out.  exposure: brightness, where 1 is a bright day.
    jitter: how far the cutting out and the camera's mount shake from frame to frame; 0 is a steady hand, 1 is usual.
    """

    frames: int = 12
    far: float = 60.0
    near: float = 8.0
    aside: tuple[float, float] = (1.5, 4.0)
    above: tuple[float, float] = (0.5, 1.6)
    turn: tuple[float, float] = (-0.15, 0.15)
    roll: tuple[float, float] = (-0.12, 0.12)
    width: tuple[float, float] = (0.62, 0.86)
    exposure: tuple[float, float] = (0.5, 1.2)
    jitter: float = 1.0

    def __post_init__(self) -> None:
        validation.count("frames", self.frames)
        validation.number("near", self.near, low=1, hint="metres to the sign in the last frame")
        validation.number("far", self.far, low=self.near, high=200, hint="metres to the sign in the first frame")
        validation.number("jitter", self.jitter, low=0, high=4)
        for name in ("aside", "above", "turn", "roll", "width", "exposure"):
            bounds = {"aside": (-10, 10), "above": (-10, 10), "width": (0.1, 1), "exposure": (0, 4)}
            low, high = bounds.get(name, (-0.6, 0.6))
            validation.span(name, getattr(self, name), low=low, high=high)

    @property
    def distances(self) -> tuple[float, ...]:
        """Metres to the sign in each frame, from far to near."""
        step = (self.far - self.near) / max(1, self.frames - 1)
        return tuple(self.far - step * i for i in range(self.frames))


USUAL = Drive()


def approach(
    textures: Tensor,
    labels: Tensor,
    *,
    size: int = 32,
    generator: torch.Generator,
    drive: Drive = USUAL,
) -> Tensor:
    """The frames (n, frames, 3, size, size) in [0, 1] of n drives towards the signs textures[labels[i]].

    Each frame is what a detector cuts out around the sign, enlarged where the sign is far and therefore coarse. Street,
    light, dirt and the sign's mounting are a drive's own; viewing angle, sharpness, motion blur, noise and a little
    jitter are each frame's.
    textures: (k, 4, side, side) in [0, 1], red, green, blue and opacity, as from `templates()`. The frames are
    differentiable in them, and are computed on their device.  labels: (n,) int64.  generator: decides the drives, which
    are the same for any textures.
    """
    checked(textures, labels, size, generator)
    if not isinstance(drive, Drive):
        raise TypeError(f"drive must be signs.Drive(...), but it is a {type(drive).__name__}")
    atlas = Atlas(textures)
    together = max(1, TOGETHER // (size**2 * drive.frames))
    return torch.cat([_frames(atlas, some, drive, size, generator, textures) for some in labels.split(together)])


class View(NamedTuple):
    """Where the sign is in each of N frames: (N,) each, and how far from sharp, in pixels of the picture."""

    yaw: Tensor
    pitch: Tensor
    roll: Tensor
    width: Tensor
    right: Tensor
    down: Tensor
    blur: Tensor


def _frames(atlas: Atlas, labels: Tensor, drive: Drive, size: int, generator: torch.Generator, like: Tensor) -> Tensor:
    n, frames = len(labels), drive.frames
    dice, shaky = Dice(n, generator, like), Dice(n * frames, generator, like)
    street = scenery(dice, min(64, int(AROUND * size)))
    same = dice.repeated(frames)  # from here on a drive's numbers are its frames' too
    view = _view(same, shaky, drive, size, n)
    street = _window(street, same, drive, size, n)
    to_picture = homography(*view[:6])
    where = on_the_sign(to_picture, size)
    labels = labels.repeat_interleave(frames)
    sign = atlas.sample(labels, where.flatten(1, 2), 2 * size * view.width).unflatten(2, (4, size)).mean(2)
    picture = pole(same, street, where.mean(1).permute(0, 3, 1, 2), size)
    dirt = same.texture("clouds", size, max(1, 64 // size))
    picture = paint(same, sign, dirt) + (1 - sign[:, 3:]) * picture
    picture = lit(same, picture, dirt, same.uniform(*drive.exposure))
    picture = blurred(picture, view.blur.view(-1, 1, 1, 1))
    picture = moved(shaky, picture, shaky.uniform(-1.6, 1.4) / 16)
    return sensed(shaky, picture.clamp(0, 1), size).unflatten(0, (n, frames))


def _view(same: Dice, shaky: Dice, drive: Drive, size: int, n: int) -> View:
    """A sign beside the road is seen ever more from the side: its right edge is farther away, and its upper one."""
    distance = _metres(drive, same.like, n)

    def constant(pair: tuple[float, float]) -> Tensor:
        return same.uniform(*pair).flatten()

    def shake(amount: float) -> Tensor:
        return shaky.uniform(-amount * drive.jitter, amount * drive.jitter).flatten()

    yaw = constant(drive.turn) - (constant(drive.aside) / distance).atan() + shake(0.03)
    pitch = shake(0.03) - (constant(drive.above) / distance).atan()
    roll = constant(drive.roll) + shake(0.02)
    width = constant(drive.width) * (1 + shake(0.06))
    enlarged = size * width / (FOCAL_PIXELS * SIGN_METRES / distance)  # pixels of the picture to one of the camera
    return View(yaw, pitch, roll, width, shake(0.06), shake(0.06), coarseness(enlarged.clamp(min=1)))


def _metres(drive: Drive, like: Tensor, n: int) -> Tensor:
    return torch.tensor(drive.distances, dtype=like.dtype, device=like.device).repeat(n)


def _window(street: Tensor, same: Dice, drive: Drive, size: int, n: int) -> Tensor:
    """What of each street (n, 3, ...) its frames show: the nearer the sign, the more of what lies behind it."""
    share = (1 / AROUND) ** (1 - drive.near / _metres(drive, street, n)).view(-1, 1, 1)
    x, y = plane(size, street)
    centre = [same.uniform(-0.3, 0.3).view(-1, 1, 1) for _ in "xy"]
    right, down = (share * axis + (1 - share) * c for axis, c in zip((x[0], y[0]), centre, strict=True))
    grid = torch.stack(torch.broadcast_tensors(right, down), -1)
    frames = drive.frames
    seen = F.grid_sample(street, grid.view(n, frames * size, size, 2), padding_mode="border", align_corners=False)
    return seen.unflatten(2, (frames, size)).transpose(1, 2).flatten(0, 1)
