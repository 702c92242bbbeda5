"""Mechanisms that answer about a database without giving any one record away."""

from __future__ import annotations

import math

from scipy.special import log_ndtr

from modelsec_course import validation
from modelsec_course.privacy.search import least

__all__ = ["gaussian_delta", "gaussian_epsilon", "gaussian_sigma"]


def gaussian_sigma(eps: float, delta: float, sensitivity: float = 1.0) -> float:
    """The least standard deviation of Gaussian noise that makes one answer (eps, delta)-private, for any eps > 0.

    sensitivity: how far one record can move the answer, in L2 norm. Exact where the textbook formula
    sqrt(2 ln(1.25/delta)) / eps is loose, and right where that one is not proved (eps >= 1). Never above the target.
    Source: Balle & Wang, 2018, "Improving the Gaussian Mechanism for Differential Privacy".
    """
    validation.positive("eps", eps)
    validation.probability("delta", delta)
    validation.positive("sensitivity", sensitivity)
    sigma = least(lambda sigma: gaussian_delta(eps, sigma) <= delta)
    return sensitivity * sigma * (1 + 1e-12)  # beyond the rounding of the curve


def gaussian_epsilon(sigma: float, delta: float, sensitivity: float = 1.0) -> float:
    """The least epsilon, at `delta`, of one answer with Gaussian noise of standard deviation `sigma`; see above."""
    validation.positive("sigma", sigma)
    validation.probability("delta", delta)
    validation.positive("sensitivity", sensitivity)
    scaled = sigma / sensitivity
    return 0.0 if gaussian_delta(0, scaled) <= delta else least(lambda eps: gaussian_delta(eps, scaled) <= delta)


def gaussian_delta(eps: float, sigma: float) -> float:
    """The exact delta at `eps` of Gaussian noise with standard deviation `sigma`, at sensitivity 1."""
    tail, other = float(log_ndtr(0.5 / sigma - eps * sigma)), float(log_ndtr(-0.5 / sigma - eps * sigma))
    return -math.exp(tail) * math.expm1(min(eps + other - tail, 0.0))
