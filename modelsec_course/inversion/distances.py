"""How far two gradients are from each other, for many searches at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

__all__ = ["DISTANCES"]


def squared(sent: Sequence[Tensor], tried: Sequence[Tensor]) -> Tensor:
    """‖tried − sent‖² / ‖sent‖² over all parameters, (searches,): DLG's distance."""
    return _inner([t - s for s, t in zip(sent, tried, strict=True)]) / _inner(sent).clamp_min(1e-30)


def cosine(sent: Sequence[Tensor], tried: Sequence[Tensor]) -> Tensor:
    """1 − the cosine of their angle, (searches,): blind to the gradient's length, which says how far training is.

    Half the squared distance of the two unit vectors is the same number, and is exact where it is small.
    """
    length, own = (_inner(parts).sqrt().clamp_min(1e-30) for parts in (sent, tried))
    gaps = [_by(t, own) - _by(s, length) for s, t in zip(sent, tried, strict=True)]
    return _inner(gaps) / 2


DISTANCES: dict[str, Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]] = {"squared": squared, "cosine": cosine}


def _inner(parts: Sequence[Tensor]) -> Tensor:
    """The squared length of gradients over all parameters, for each search, (searches,)."""
    return sum(part.square().flatten(1).sum(1) for part in parts)


def _by(part: Tensor, length: Tensor) -> Tensor:
    return part / length.view(-1, *[1] * (part.dim() - 1))
