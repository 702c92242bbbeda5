"""Randomised smoothing: the class that most noisy copies of x are given, and how far x may move before it changes.

The noise is added to x itself, before any normalisation inside the model, and is not clamped: radii are L2 distances in
the units of x. What is proved holds for the *smoothed* classifier, and with probability 1 − alpha for each input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import binom, norm
from torch import Tensor

from modelsec_course import runtime, validation
from modelsec_course.models import frozen
from modelsec_course.statistics import clopper_pearson

__all__ = ["ABSTAIN", "certified_radius", "certify", "noisy_votes", "predict"]

ABSTAIN = -1
Model = Callable[[Tensor], Tensor]


def certified_radius(hits: Any, n: int, *, sigma: float, alpha: float = 0.001) -> Any:
    """The L2 radius within which the smoothed class cannot change: σ·Φ⁻¹(p), where p is what its share is at least.

    hits: how many of `n` fresh noisy copies were given the class, a number or an array.  sigma: standard deviation of
    the noise, in the units of x.  alpha: how often p may be wrong, in (0, 0.5).
    Returns the radius, shaped like `hits`: 0 where p is not above one half. It is never above σ·Φ⁻¹(alpha^(1/n)).
    Source: Cohen, Rosenfeld & Kolter, 2019, "Certified Adversarial Robustness via Randomized Smoothing", section 3.2.
    """
    validation.positive("sigma", sigma)
    _doubt(alpha)
    low, _ = clopper_pearson(hits, n, confidence=1 - 2 * alpha)  # one-sided: only the lower end is used
    return sigma * np.maximum(norm.ppf(low), 0.0)


def certify(
    model: Model,
    x: Tensor,
    *,
    sigma: float,
    n0: int = 100,
    n: int = 10_000,
    alpha: float = 0.001,
    batch_size: int = 512,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """The smoothed class of each input and the L2 radius within which it is proved, with probability 1 − alpha.

    x: float (batch, ...), in the units of sigma.  n0: noisy copies that choose the class.  n: others that count it.
    batch_size: copies in one forward pass.  generator: draws the noise (default: seed 0).
    Returns (classes, radii), both (batch,): -1 and 0 where the counts prove nothing.
    Source: Cohen, Rosenfeld & Kolter, 2019, "Certified Adversarial Robustness via Randomized Smoothing", CERTIFY.
    """
    validation.count("n0", n0)
    _doubt(alpha)
    generator = generator or runtime.generator(0)
    chosen = noisy_votes(model, x, n0, sigma=sigma, batch_size=batch_size, generator=generator).argmax(1)
    votes = noisy_votes(model, x, n, sigma=sigma, batch_size=batch_size, generator=generator)
    hits = votes.gather(1, chosen[:, None]).squeeze(1)
    radii = certified_radius(hits.cpu().numpy(), n, sigma=sigma, alpha=alpha).astype(np.float32)
    radii = torch.as_tensor(np.nextafter(radii, np.float32(0)), device=x.device)  # rounded down, as a bound must be
    return torch.where(radii > 0, chosen, ABSTAIN), radii


def predict(
    model: Model,
    x: Tensor,
    *,
    sigma: float,
    n: int = 1000,
    alpha: float = 0.001,
    batch_size: int = 512,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The smoothed class of each input, or -1 where its lead over the second class may be chance.

    x: float (batch, ...), in the units of sigma.  n: noisy copies.  alpha: how often a returned class may be another
    than the smoothed one.  batch_size, generator: as in `certify`.
    Source: Cohen, Rosenfeld & Kolter, 2019, "Certified Adversarial Robustness via Randomized Smoothing", PREDICT.
    """
    _doubt(alpha)
    votes = noisy_votes(model, x, n, sigma=sigma, batch_size=batch_size, generator=generator)
    (first, second), (top, _) = (part.T for part in votes.topk(2, dim=1))
    ahead, both = first.cpu().numpy(), (first + second).cpu().numpy()
    chance = 2 * binom.sf(ahead - 1, both, 0.5)  # the binomial test, two-sided: above 1 for a tie
    return torch.where(torch.as_tensor(chance <= alpha, device=x.device), top, ABSTAIN)


def noisy_votes(
    model: Model,
    x: Tensor,
    n: int,
    *,
    sigma: float,
    batch_size: int = 512,
    generator: torch.Generator | None = None,
) -> Tensor:
    """How many of `n` copies of each input, with fresh Gaussian noise of standard deviation sigma, go to each class.

    Returns int64 counts (batch, classes); each row sums to n.
    """
    validation.tensor("x", x)
    if x.dim() < 2 or not x.is_floating_point():
        raise ValueError(f"x must be a float tensor (batch, ...), but it is {x.dtype} of shape {tuple(x.shape)}")
    if not x.isfinite().all():
        raise ValueError("x holds NaN or infinity: find out where it comes from before certifying")
    validation.fits(model, x)
    validation.count("n", n)
    validation.positive("sigma", sigma, hint="the standard deviation of the noise, in the units of x")
    validation.count("batch_size", batch_size)
    validation.randomness("generator", generator)
    generator = generator or runtime.generator(0)
    layout = torch.channels_last if x.dim() == 4 else torch.preserve_format  # in which convolutions are fastest
    with frozen(model), torch.inference_mode():
        classes = model(x[:1]).shape[1]
        if classes < 2:
            raise ValueError("model returned one logit: give it two, torch.cat([-z / 2, z / 2], 1) means the same")
        votes = torch.zeros(len(x) * classes, dtype=torch.int64, device=x.device)
        for start in range(0, len(x) * n, batch_size):
            rows = (
                torch.arange(start, min(start + batch_size, len(x) * n), device=x.device) // n
            )  # whose copies these are
            noise = torch.randn((len(rows), *x.shape[1:]), generator=generator, device=generator.device, dtype=x.dtype)
            noisy = torch.empty_like(noise, device=x.device, memory_format=layout)
            said = model(noisy.copy_(noise).mul_(sigma).add_(x[rows])).argmax(1)
            votes += torch.bincount(rows * classes + said, minlength=len(votes))
    return votes.view(len(x), classes)


def _doubt(alpha: Any) -> None:
    validation.number("alpha", alpha, low=0, high=0.5, hint="how often a proof may be wrong")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie strictly between 0 and 0.5, but it is {alpha!r}: 0.001 is usual")
