"""How good is a reconstructed batch? Its order is unknown, so pictures are paired first, as well as they can be."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from modelsec_course import validation

__all__ = ["best_assignment", "mse", "psnr"]


def best_assignment(found: Tensor, x: Tensor) -> Tensor:
    """`found`, reordered so that the sum of squared differences to `x` is as small as any order makes it.

    found, x: (batch, ...). A batch's gradient does not depend on its order, so no attack can know it.
    """
    for name, value in (("found", found), ("x", x)):
        validation.tensor(name, value)
    if found.shape != x.shape or not len(x):
        raise ValueError(f"found and x must be batches of one shape, but are {tuple(found.shape)} and {tuple(x.shape)}")
    costs = (x.flatten(1)[:, None] - found.flatten(1)[None]).square().sum(2)
    _, order = linear_sum_assignment(costs.cpu().numpy())
    return found[torch.as_tensor(order, device=found.device)]


def mse(found: Tensor, x: Tensor) -> Tensor:
    """The mean squared error of each picture of x (batch,), under the best assignment of `found`."""
    return (best_assignment(found, x) - x).square().flatten(1).mean(1)


def psnr(found: Tensor, x: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in decibels (batch,), under the best assignment: −10 log₁₀ of the MSE.

    For pixels in [0, 1]. 20 dB is a tenth of the range off, a picture one recognises; an exact copy is infinite.
    """
    return -10 * mse(found, x).log10()
