"""Mechanisms that answer about a database without giving any one record away.

Each needs a **sensitivity**: how far one record, added or removed, can move the true answer. Clip or bound the records
until you know it; a sensitivity that is read off the data is not one. `generator=None` is a seed from the operating
system: whoever knows the seed subtracts the noise.

The guarantees of `laplace` and `gaussian` are proved for real numbers. Floats are not real: the low bits of a noisy
float can give away which database it came from (Mironov, 2012, "On Significance of the Least Significant Bits for
Differential Privacy"). Where that matters, round to a grid and use `discrete.geometric`: its noise is whole and exact.
"""

from __future__ import annotations

import math

import torch
from scipy.special import erfcx, ndtr
from torch import Tensor

from modelsec_course import validation
from modelsec_course.privacy.search import least, source

__all__ = [
    "exponential", "gaussian", "gaussian_delta", "gaussian_epsilon", "gaussian_sigma", "laplace", "randomised_response",
]  # fmt: skip


def laplace(value: Tensor, eps: float, sensitivity: float, *, generator: torch.Generator | None = None) -> Tensor:
    """`value` plus Laplace noise of scale sensitivity / eps in each coordinate: eps-private.

    value: the true answer, floating-point, any shape.  sensitivity: how far one record can move it, in L1 norm.
    Source: Dwork, McSherry, Nissim & Smith, 2006, "Calibrating Noise to Sensitivity in Private Data Analysis".
    """
    _floats(value)
    validation.positive("eps", eps)
    validation.positive("sensitivity", sensitivity)
    draw = source(generator)
    pair = torch.empty((2, *value.shape), dtype=torch.float64, device=draw.device).exponential_(generator=draw)
    return value + (sensitivity / eps * (pair[0] - pair[1])).to(value)


def gaussian(
    value: Tensor, eps: float, delta: float, sensitivity: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """`value` plus Gaussian noise of deviation `gaussian_sigma(eps, delta, sensitivity)`: (eps, delta)-private.

    value: the true answer, floating-point, any shape.  sensitivity: how far one record can move it, in L2 norm.
    Source: Balle & Wang, 2018, "Improving the Gaussian Mechanism for Differential Privacy".
    """
    _floats(value)
    draw = source(generator)
    noise = torch.randn(value.shape, dtype=torch.float64, device=draw.device, generator=draw)
    return value + (gaussian_sigma(eps, delta, sensitivity) * noise).to(value)


def randomised_response(bits: Tensor, eps: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Each bit as it is with probability e^eps / (1 + e^eps), else its opposite: eps-private for each person.

    bits: bool, any shape. Nobody has to be trusted: each person can do this alone. Here two databases are neighbours
    when one person's bit is another; there is no other sensitivity.
    Source: Warner, 1965, "Randomized Response: A Survey Technique for Eliminating Evasive Answer Bias".
    """
    validation.tensor("bits", bits)
    if bits.dtype != torch.bool:
        raise ValueError(f"bits must hold True and False, but it holds {bits.dtype}: use bits == 1")
    validation.positive("eps", eps)
    draw = source(generator)
    u = torch.rand(bits.shape, dtype=torch.float64, device=draw.device, generator=draw)
    return bits ^ (u < 1 / (1 + math.exp(min(eps, 700.0)))).to(bits.device)


def exponential(scores: Tensor, eps: float, sensitivity: float, *, generator: torch.Generator | None = None) -> Tensor:
    """The index of a good candidate, chosen with probability proportional to exp(eps · score / (2 · sensitivity)).

    scores: (..., candidates), floating-point, higher is better; each last axis is one choice, eps-private.
    sensitivity: how far one record can move any one score.  Returns (...) int64.
    Source: McSherry & Talwar, 2007, "Mechanism Design via Differential Privacy".
    """
    _floats(scores, "scores")
    if not scores.dim() or not scores.shape[-1]:
        raise ValueError(f"scores must have at least one candidate, but its shape is {tuple(scores.shape)}")
    validation.positive("eps", eps)
    validation.positive("sensitivity", sensitivity)
    draw = source(generator)
    wait = torch.empty(scores.shape, dtype=torch.float64, device=draw.device).exponential_(generator=draw)
    gumbel = -wait.log().to(scores.device)  # the largest of score + Gumbel noise is a draw from the softmax
    return (scores.double() * (eps / (2 * sensitivity)) + gumbel).argmax(-1)


def gaussian_sigma(eps: float, delta: float, sensitivity: float = 1.0) -> float:
    """The least standard deviation of Gaussian noise that makes one answer (eps, delta)-private, for any eps > 0.

    delta: in (0, 1).  sensitivity: in L2 norm. Exact, where the textbook's sqrt(2 ln(1.25 / delta)) / eps is loose, and
    is not proved from eps = 1 on. Errs upwards: `gaussian_epsilon` of the result never exceeds eps.
    Source: Balle & Wang, 2018, "Improving the Gaussian Mechanism for Differential Privacy".
    """
    validation.positive("eps", eps)
    validation.probability("delta", delta)
    validation.positive("sensitivity", sensitivity)
    sigma = least(lambda sigma: gaussian_delta(eps, sigma) <= delta)
    return sensitivity * sigma * (1 + 1e-9)  # beyond the rounding of the curve


def gaussian_epsilon(sigma: float, delta: float, sensitivity: float = 1.0) -> float:
    """The least epsilon, at `delta`, of one answer with Gaussian noise of standard deviation `sigma`.

    The inverse of `gaussian_sigma`; arguments as there. At least 0.
    """
    validation.positive("sigma", sigma)
    validation.probability("delta", delta)
    validation.positive("sensitivity", sensitivity)
    scaled = sigma / sensitivity
    return 0.0 if gaussian_delta(0, scaled) <= delta else least(lambda eps: gaussian_delta(eps, scaled) <= delta)


def gaussian_delta(eps: float, sigma: float) -> float:
    """The exact delta at `eps` of Gaussian noise of standard deviation `sigma`, at sensitivity 1.

    Source: Balle & Wang, 2018, "Improving the Gaussian Mechanism for Differential Privacy", theorem 8.
    """
    validation.number("eps", eps, low=0)
    validation.positive("sigma", sigma)
    near, far = eps * sigma - 0.5 / sigma, eps * sigma + 0.5 / sigma
    height, other = math.exp(-(near**2) / 2) / 2, float(erfcx(far / math.sqrt(2)))  # their product: e^eps times a tail
    if near < 0:
        return float(ndtr(-near)) - height * other
    return height * (float(erfcx(near / math.sqrt(2))) - other)  # the difference first: both tails may be tiny


def _floats(value: Tensor, name: str = "value") -> None:
    validation.tensor(name, value)
    if not value.is_floating_point() or not value.isfinite().all():
        raise ValueError(
            f"{name} must hold finite floating-point numbers, but it is {value.dtype}: use {name}.double()"
        )
