"""Taking pictures: each has a pose, an expression, a light and a background of its own."""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from modelsec_course.data.faces import features, hair, head, mouth
from modelsec_course.data.faces.canvas import Canvas
from modelsec_course.data.faces.identity import People

__all__ = ["SIDE", "photograph"]

SIDE, AT_ONCE = 64, 20  # pixels; pictures that fit a processor's cache together


@torch.no_grad()
def photograph(people: People, who: Tensor, *, seed: int, calm: bool = False, progress: bool = True) -> Tensor:
    """Pictures of the people numbered `who`, in grey values 0 to 255.

    people: from `invent`.  who: int64 (m,).  seed: of poses, expressions and light.  calm: from the front, in even
    light, with a neutral face: what a passport office asks for.
    Returns uint8 (m, 1, 64, 64).
    """
    draw = torch.Generator().manual_seed(seed)
    chunks = who.split(AT_ONCE)
    busy = tqdm(chunks, desc="drawing faces", unit="chunk", leave=False, disable=not progress or len(chunks) < 40)
    return torch.cat([_develop(_draw(people, some, draw, 0.0 if calm else 1.0)) for some in busy])


def _draw(people: People, who: Tensor, draw: torch.Generator, wild: float) -> Tensor:
    """Float pictures (m, 64, 64): parts are painted from back to front."""
    t = SimpleNamespace(**{trait: values[who].view(-1, 1, 1) for trait, values in people.items()})
    shot = _conditions(len(who), draw, wild)
    c = head.shaped(_posed(t, shot))
    hair.behind(c)
    for part in (head.body, head.ears, head.skull, features.skin, features.nose, mouth.beard, mouth.mouth,
                 features.eyes, features.brows, hair.front, mouth.glasses):  # fmt: skip
        part(c)
    picture = c.picture.mul_(shot.gain).add_(shot.offset)
    blurred = F.avg_pool2d(F.pad(picture[:, None], (2, 2, 2, 2), mode="replicate"), 3, 1)
    blurred = F.avg_pool2d(blurred, 3, 1)[:, 0]
    noise = torch.randn(picture.shape, generator=draw, device="cpu")
    return picture.lerp_(blurred, shot.blur).add_(noise * shot.noise)


def _conditions(n: int, draw: torch.Generator, wild: float) -> SimpleNamespace:
    """All that varies from picture to picture, each (n, 1, 1)."""

    def bell(spread: float) -> Tensor:
        drawn = torch.randn(n, 1, 1, generator=draw, device="cpu").clamp_(-2.2, 2.2)
        return drawn * spread * wild

    def between(low: float, high: float) -> Tensor:
        drawn = torch.rand(n, 1, 1, generator=draw, device="cpu")
        return low + (high - low) * (drawn * wild + 0.5 * (1 - wild))

    smile = bell(0.035)
    return SimpleNamespace(
        roll=bell(0.045), scale=1.17 + bell(0.025), dx=bell(0.02), dy=0.05 + bell(0.02), yaw=bell(0.15),
        light_x=bell(0.30), light_y=bell(0.12) - 0.10,
        smile=smile, open=(bell(0.030) - 0.006).clamp(min=0) * (smile > 0), lids=between(0.75, 1.1), gaze=bell(0.012),
        brows=bell(0.008), shirt=between(0.08, 0.9), collar=between(0, 0.16), background=between(0.30, 0.95),
        slope_x=between(-0.12, 0.12), slope_y=between(-0.12, 0.12), gain=between(0.78, 1.12),
        offset=between(-0.05, 0.05), blur=between(0, 0.4) * wild, noise=between(0.004, 0.022) * wild,
    )  # fmt: skip


def _posed(t: SimpleNamespace, s: SimpleNamespace) -> Canvas:
    """An empty canvas with its background, and head coordinates that are rolled, scaled and shifted."""
    axis = (torch.arange(SIDE, device="cpu") + 0.5) / SIDE * 2 - 1
    across, down = axis.view(1, 1, -1), axis.view(1, -1, 1)
    cos, sin = s.roll.cos() / s.scale, s.roll.sin() / s.scale
    x = (across - s.dx) * cos + (down - s.dy) * sin
    y = (down - s.dy) * cos - (across - s.dx) * sin
    return Canvas(s.background + s.slope_x * across + s.slope_y * down, x, y, t, s)


def _develop(picture: Tensor) -> Tensor:
    return picture.mul_(255).round_().clamp_(0, 255).to(torch.uint8)[:, None]
