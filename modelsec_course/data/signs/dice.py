"""Random numbers and random textures of a batch of photographs."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cache

import torch
from torch import Tensor

ROUGHNESS = {"clouds": 3.2, "leaves": 1.7, "gravel": 0.8, "grain": 0.0}  # power spectrum 1/frequency^roughness
FIELDS, WIDE = 8, 256


class Dice:
    """The numbers that n scenes are made of.

    All come from one draw where the generator lives, so a seed means the same scenes on every device.
    """

    NUMBERS = 128  # for each scene; more than are used

    def __init__(self, n: int, generator: torch.Generator, like: Tensor) -> None:
        drawn = torch.rand(self.NUMBERS, n, 1, 1, 1, generator=generator, device=generator.device)
        self.like, self._numbers = like, iter(drawn.to(like))

    def repeated(self, times: int) -> Dice:
        """The numbers that are left, each scene's `times` times in a row: for as many pictures of one scene."""
        other = copy(self)
        other._numbers = (number.repeat_interleave(times, 0) for number in self._numbers)
        return other

    def uniform(self, low: float, high: float) -> Tensor:
        """(n, 1, 1, 1) in [low, high)."""
        return low + (high - low) * next(self._numbers)

    def chance(self, share: float) -> Tensor:
        """(n, 1, 1, 1): 1 with probability `share`, else 0."""
        return (next(self._numbers) < share).to(self.like)

    def colour(self, palette: Sequence[Sequence[float]], spread: float = 0.0) -> Tensor:
        """(n, numbers, 1, 1): a row of the palette, lighter or darker by up to `spread`."""
        rows = torch.tensor(palette, dtype=self.like.dtype, device=self.like.device)
        row = (next(self._numbers) * len(rows)).long().flatten()
        return rows[row][:, :, None, None] + self.uniform(-spread, spread)

    def texture(self, kind: str, size: int, step: int = 1) -> Tensor:
        """(n, 1, size, size): windows of a random field with mean 0 and variance 1, every `step`-th pixel."""
        windows = fields(kind, step, self.like.device, self.like.dtype).unfold(1, size, 1).unfold(2, size, 1)
        field, top, left = ((next(self._numbers) * k).long().flatten() for k in windows.shape[:3])
        return windows[field, top, left][:, None]


@cache
def fields(kind: str, step: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(FIELDS, WIDE/step, WIDE/step): white noise, filtered. Always the same."""
    generator = torch.Generator().manual_seed(list(ROUGHNESS).index(kind))
    white = torch.randn(FIELDS, WIDE, WIDE, generator=generator, device="cpu")
    frequency = torch.fft.fftfreq(WIDE, 1 / WIDE, device="cpu")
    radius = (frequency[:, None] ** 2 + frequency**2).sqrt().clamp(min=0.5)
    field = torch.fft.ifft2(torch.fft.fft2(white) * radius ** (-ROUGHNESS[kind] / 2)).real
    field = (field - field.mean((1, 2), keepdim=True)) / field.std((1, 2), keepdim=True)
    return field[:, ::step, ::step].contiguous().to(device, dtype)
