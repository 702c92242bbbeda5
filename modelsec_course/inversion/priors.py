"""What an attacker knows of pictures before asking the model: any picture, faces' main directions, or a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modelsec_course import validation

__all__ = ["Prior", "generated", "pca", "pixels"]


@dataclass(frozen=True)
class Prior:
    """A set of pictures, each with a code.

    decode: codes (batch, *shape) -> pictures.  spread: standard deviation of the codes that an attack starts from.
    weight: what a code's squared length costs.  lr: the length of a step in each of its numbers.
    device: where codes live.
    """

    decode: Callable[[Tensor], Tensor]
    shape: tuple[int, ...]
    spread: float = 0.5
    weight: float = 0.003
    lr: float = 0.1
    device: torch.device | str = "cpu"

    def start(self, n: int, generator: torch.Generator) -> Tensor:
        """Codes (n, *shape) to begin with."""
        return self.spread * self._normal(n, generator)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n pictures of standard normal codes: what the prior alone makes of nobody."""
        return self.decode(self._normal(n, generator))

    def _normal(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, *self.shape, generator=generator, device=generator.device).to(self.device)


def pixels(mean: Tensor, *, lr: float = 0.02) -> Prior:
    """Every picture in [0, 1]; a code is what is added to `mean` (1, h, w), the public's average."""
    validation.tensor("mean", mean)
    validation.positive("lr", lr)
    return Prior(lambda z: (mean + z).clamp(0, 1), tuple(mean.shape), 0.02, weight=0.0, lr=lr, device=mean.device)


def pca(x: Tensor, *, components: int = 60) -> Prior:
    """Mixtures of the public pictures' main directions, scaled so that public codes have mean 0 and variance 1.

    x: public pictures (n, ...) in [0, 1].  components: how many directions, at most n − 1 and the number of pixels.
    Source: Sirovich & Kirby, 1987, "Low-dimensional Procedure for the Characterization of Human Faces".
    """
    validation.tensor("x", x)
    validation.count("components", components)
    most = min(len(x) - 1, x[0].numel())
    if components > most:
        raise ValueError(f"components={components} is more than these {len(x)} pictures have: use at most {most}")
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).flatten(1).T.cov())
    basis = (vectors[:, -components:] * values[-components:].clamp(min=0).sqrt()).T.flip(0)
    return Prior(lambda z: (mean + (z @ basis).view(-1, *mean.shape)).clamp(0, 1), (components,), device=x.device)


def generated(net: nn.Sequential) -> Prior:
    """The pictures of a generator whose first layer is linear, such as `decoder` makes."""
    validation.module("net", net)
    if not isinstance(net, nn.Sequential) or not isinstance(net[0], nn.Linear):
        raise ValueError("net must be an nn.Sequential that begins with a linear layer, whose inputs are its codes")
    return Prior(net, (net[0].in_features,), device=net[0].weight.device)
