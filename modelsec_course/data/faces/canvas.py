"""What the parts of a face are painted on, and the soft-edged shapes they are painted with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch
from torch import Tensor

__all__ = ["Canvas", "between", "cover", "ellipse", "soft", "spot"]

PIXEL = 0.027  # one pixel's width in head coordinates
ZOOM, REACH = 1.23, 0.17  # from head to picture coordinates: the largest scale, and how far a pose moves a part


@dataclass(frozen=True)
class Canvas:
    """Pictures in the making, and a coordinate system that moves with each head.

    picture: (n, h, w), painted in place.  x, y: (n, h, w) head coordinates.  u: x on the face's turned surface.
    radius: 1 on the head's outline, less inside.  shade: the light on its skin.  t: the persons' traits, s: the shots'
    conditions, each (n, 1, 1).
    """

    picture: Tensor
    x: Tensor
    y: Tensor
    t: SimpleNamespace
    s: SimpleNamespace
    u: Tensor | None = None
    radius: Tensor | None = None
    shade: Tensor | None = None

    def paint(self, mask: Tensor, colour: Tensor) -> None:
        """Cover what `mask` (1: all, 0: nothing) says with a colour."""
        self.picture.add_((colour - self.picture).mul_(mask))

    def shine(self, mask: Tensor) -> None:
        """Lighten the picture by the share `mask`, or darken it where that is negative."""
        self.picture.addcmul_(self.picture, mask)

    @property
    def face(self) -> Tensor:
        """1 inside the head's outline, 0 outside."""
        return cover((1 - self.radius) * self.t.width)

    def window(self, top: float, bottom: float, side: float = 1.0) -> Canvas:
        """The part in which all that lies in these head coordinates is seen, whatever the pose: less to paint on."""
        h, w = self.picture.shape[1:]

        def pixel(at: float, of: int) -> int:
            return min(max(round((at + 1) / 2 * of), 0), of)

        rows = slice(pixel(top * ZOOM - REACH, h), pixel(bottom * ZOOM + REACH, h))
        columns = slice(pixel(-side * ZOOM - REACH, w), pixel(side * ZOOM + REACH, w))
        planes = ("picture", "x", "y", "u", "radius", "shade")
        parts = {name: getattr(self, name) for name in planes}
        return replace(self, **{k: v if v is None else v[:, rows, columns] for k, v in parts.items()})


def cover(distance: Tensor) -> Tensor:
    """The share of a pixel inside a shape, from the signed distance to its edge (positive inside)."""
    return (distance / PIXEL).add_(0.5).clamp_(0, 1)


def soft(distance: Tensor, width: float) -> Tensor:
    """From 0 to 1 as `distance` goes from −width to width, smoothly."""
    return (distance * (3 / width)).sigmoid_()


def between(value: Tensor, low: Tensor | float, high: Tensor | float, width: float) -> Tensor:
    """1 from low to high with edges of this width, 0 outside."""
    return soft(value - low, width).mul_(soft(high - value, width))


def ellipse(x: Tensor, y: Tensor, rx: Tensor | float, ry: Tensor | float) -> Tensor:
    """The distance to an ellipse's edge, positive inside: exact for circles, near enough else. rx, ry: of one kind."""
    smaller = torch.minimum(rx, ry) if isinstance(rx, Tensor) else min(rx, ry)
    return (1 - torch.hypot(x / rx, y / ry)).mul_(smaller)


def spot(x: Tensor, y: Tensor, rx: Tensor | float, ry: Tensor | float) -> Tensor:
    """A blurred dot: 1 in its middle, falling like a Gaussian."""
    return ((x / rx).square_() + (y / ry).square_()).neg_().exp_()
