"""Training against stickers: each is painted to fool the network as it is at that moment, over ever new scenes.

Attack the result again, with stickers painted for it. What such training buys is size: the small stickers that broke
the ordinary network no longer do, and large ones still do.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import runtime, validation
from modelsec_course.models import frozen
from modelsec_course.training import Loss

__all__ = ["stickered"]

Camera = Callable[..., Tensor]


def stickered(
    camera: Camera,
    textures: Tensor,
    *,
    share: float = 0.5,
    steps: int = 1,
    step_size: float = 0.15,
    count: int = 2,
    sides: tuple[float, float] = (0.15, 0.5),
    renewed: float = 0.05,
    generator: torch.Generator | None = None,
) -> Loss:
    """Adversarial training over transformations: cross-entropy on a batch, a share of whose signs carry stickers.

    There is one sticker for each texture. It is kept from batch to batch and climbs the network's loss, `steps` times
    a batch, each time in new scenes, so it grows into one that fools in many. Now and then a fresh one takes its place.
    camera(textures, labels, generator=...) -> pictures, differentiable in the textures, such as `signs.photograph`.
    textures: (classes, 4, side, side) in [0, 1], whose rows are the labels.  share: of the batch that is photographed
    anew, with stickers; the rest is left as it is.  step_size: of the gradient's sign, in the units of the colours.
    count: rectangles that a sticker is made of.  sides: of a rectangle, as a share of the sign's width.  renewed: the
    share of stickers that start afresh, elsewhere, with each batch.  generator: draws scenes and stickers (default:
    seed 0).  Returns loss(model, x, y) -> scalar.
    Source: Wu, Tong & Vorobeychik, 2020, "Defending Against Physically Realizable Attacks on Image Classification"
    (rectangles); Shafahi et al., 2020, "Universal Adversarial Training" (kept from batch to batch).
    """
    validation.function("camera", camera, hint="camera(textures, labels, generator=...) returns pictures")
    validation.number("share", share, low=0, high=1)
    validation.count("steps", steps)
    validation.positive("step_size", step_size)
    validation.number("renewed", renewed, low=0, high=1)
    validation.randomness("generator", generator)
    generator = generator or runtime.generator(0)
    stickers = Stickers(textures, count, sides, generator)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        these = slice(len(x) - round(share * len(x)), None)
        labels = y[these]
        if not len(labels):
            return F.cross_entropy(model(x), y)
        stickers.renew(renewed)
        with frozen(model), torch.enable_grad():
            for _ in range(steps):
                paint = stickers.paint.clone().requires_grad_()
                pictures = camera(stickers.on(paint), labels, generator=generator)
                (gradient,) = torch.autograd.grad(F.cross_entropy(model(pictures), labels), paint)
                stickers.paint.add_(step_size * gradient.sign()).clamp_(0, 1)
        with torch.no_grad():
            pictures = camera(stickers.on(stickers.paint), labels, generator=generator)
        return F.cross_entropy(model(torch.cat([x[: these.start], pictures])), y)

    return loss


class Stickers:
    """One for each texture: which part of the sign it covers, and its paint (classes, 3, side, side) in [0, 1]."""

    def __init__(self, textures: Tensor, count: int, sides: tuple[float, float], generator: torch.Generator) -> None:
        validation.tensor("textures", textures)
        if textures.dim() != 4 or textures.shape[1] != 4 or not textures.is_floating_point():
            raise ValueError(
                f"textures must be floats (classes, 4, side, side), but are {textures.dtype} {tuple(textures.shape)}"
            )
        validation.count("count", count)
        validation.span("sides", sides, low=0.01, high=1)
        self.textures, self.count, self.sides, self.generator = textures.detach(), count, sides, generator
        self.paint = torch.zeros_like(self.textures[:, :3])
        self.covered = torch.zeros_like(self.textures[:, :1], dtype=torch.bool)
        self.renew(1.0)

    def renew(self, share: float) -> None:
        """Put a sticker of random colours somewhere else, for each texture with this probability."""
        fresh = self._draw(len(self.textures), 1, 1, 1) < share
        self.covered = torch.where(fresh, self._rectangles(), self.covered)
        self.paint = torch.where(fresh, self._draw(*self.paint.shape[:2], 1, 1), self.paint)

    def on(self, paint: Tensor) -> Tensor:
        """The textures with this paint where the stickers are; the sign's outline stays."""
        rgb, opacity = self.textures.split([3, 1], 1)
        return torch.cat([torch.where(self.covered, paint, rgb), opacity], 1)

    def _rectangles(self) -> Tensor:
        side, covered = self.textures.shape[-1], torch.zeros_like(self.covered)
        at = (torch.arange(side, device=self.textures.device, dtype=self.textures.dtype) + 0.5) / side
        low, high = self.sides
        for _ in range(self.count):
            length = low + (high - low) * self._draw(2, len(self.textures), 1)
            start = self._draw(2, len(self.textures), 1) * (1 - length)
            down, right = (at >= start) & (at < start + length)
            covered = covered | (down[:, :, None] & right[:, None])[:, None]
        return covered

    def _draw(self, *shape: int) -> Tensor:
        drawn = torch.rand(shape, generator=self.generator, device=self.generator.device)
        return drawn.to(self.textures)
