"""The geometry of perturbations: one class for each norm, used by every attack.

A perturbation `delta` and a gradient have shape (batch, ...); a length has shape (batch,). Names that end in an
underscore write into their argument, as in PyTorch, which keeps an attack's memory at a few copies of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["L2", "NORMS", "LInf"]

TINY = 1e-12  # a length below this counts as zero


class LInf:
    """The largest change of any pixel."""

    @staticmethod
    def length(delta: Tensor) -> Tensor:
        """max |delta_i|, (batch,)."""
        return torch.linalg.vector_norm(delta, torch.inf, dim=each(delta))

    @staticmethod
    def dual(gradient: Tensor) -> Tensor:
        """How fast the steepest unit step climbs: the L1 norm, (batch,)."""
        return torch.linalg.vector_norm(gradient, 1, dim=each(gradient))

    @staticmethod
    def steepest_(gradient: Tensor) -> Tensor:
        """The unit step that climbs most: the gradient's signs."""
        return gradient.sign_()

    @staticmethod
    def project_(delta: Tensor, eps: float | Tensor) -> Tensor:
        """The closest perturbation of length at most eps, one number or (batch,)."""
        eps = per_input(eps, delta) if isinstance(eps, Tensor) else eps
        return delta.clamp_(-eps, eps)

    @staticmethod
    def random(x: Tensor, eps: float, generator: torch.Generator) -> Tensor:
        """A perturbation drawn uniformly from the ball of radius eps, shaped like x."""
        draw = torch.rand(x.shape, generator=generator, device=generator.device, dtype=x.dtype)
        return draw.mul_(2).sub_(1).mul_(eps).to(x.device)


class L2:
    """The Euclidean length of the change."""

    @staticmethod
    def length(delta: Tensor) -> Tensor:
        """√Σ delta_i², (batch,)."""
        return torch.linalg.vector_norm(delta, dim=each(delta))

    dual = length  # the Euclidean norm is its own dual

    @staticmethod
    def steepest_(gradient: Tensor) -> Tensor:
        """The unit step that climbs most: along the gradient (no step where the gradient is zero)."""
        return gradient.div_(per_input(L2.length(gradient).clamp_min(TINY), gradient))

    @staticmethod
    def project_(delta: Tensor, eps: float | Tensor) -> Tensor:
        """The closest perturbation of length at most eps, one number or (batch,)."""
        return delta.mul_(per_input((eps / L2.length(delta).clamp_min(TINY)).clamp_max(1), delta))

    @staticmethod
    def random(x: Tensor, eps: float, generator: torch.Generator) -> Tensor:
        """A perturbation in the ball of radius eps, shaped like x: its direction and its length are uniform.

        A uniform draw from the ball would be no better than one from its surface, since in many dimensions almost
        all of a ball lies there; and a climb that starts at the surface was seen to break fewer inputs.
        """
        where = {"generator": generator, "device": generator.device, "dtype": x.dtype}
        direction, share = torch.randn(x.shape, **where), torch.rand(len(x), **where)
        return L2.steepest_(direction).mul_(per_input(eps * share, direction)).to(x.device)


NORMS = {"linf": LInf, "l2": L2}


def back_inside_(ball: type[LInf | L2], at: Tensor, x: Tensor, eps: float | Tensor) -> Tensor:
    """`at`, brought back into the ball of radius eps around x and then into [0, 1]^d."""
    return ball.project_(at.sub_(x), eps).add_(x).clamp_(0, 1)


def each(batch: Tensor) -> tuple[int, ...]:
    """The dimensions of one input of the batch."""
    return tuple(range(1, batch.dim()))


def repeated(t: Tensor, times: int) -> Tensor:
    """The rows of t (n, ...) so many times over, (times · n, ...): t itself, if once."""
    return t if times == 1 else t.repeat(times, *[1] * (t.dim() - 1))


def per_input(values: Tensor, like: Tensor) -> Tensor:
    """(batch,) viewed as (batch, 1, ..., 1), so that it broadcasts over the inputs `like`."""
    return values.view(-1, *[1] * (like.dim() - 1))
