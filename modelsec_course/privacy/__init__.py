"""Differential privacy: mechanisms, accounting, private training, auditing."""

from modelsec_course.privacy.accounting import (
    ORDERS,
    compose_advanced,
    compose_basic,
    noise_multiplier,
    pld_epsilon,
    rdp,
    rdp_epsilon,
)  # fmt: skip
from modelsec_course.privacy.clipping import clip_factors, per_sample_gradients
from modelsec_course.privacy.discrete import geometric
from modelsec_course.privacy.mechanisms import (
    exponential,
    gaussian,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_sigma,
    laplace,
    randomised_response,
)
from modelsec_course.privacy.training import PrivateHistory, dp_sgd, poisson_sample

__all__ = [
    "ORDERS",
    "PrivateHistory",
    "clip_factors",
    "compose_advanced",
    "compose_basic",
    "dp_sgd",
    "exponential",
    "gaussian",
    "gaussian_delta",
    "gaussian_epsilon",
    "gaussian_sigma",
    "geometric",
    "laplace",
    "noise_multiplier",
    "per_sample_gradients",
    "pld_epsilon",
    "poisson_sample",
    "randomised_response",
    "rdp",
    "rdp_epsilon",
]  # fmt: skip
