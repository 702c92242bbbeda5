"""Differential privacy: mechanisms, accounting, private training, auditing."""

from modelsec_course.privacy.accounting import (
    ORDERS, compose_advanced, compose_basic, noise_multiplier, pld_epsilon, rdp, rdp_epsilon,
)  # fmt: skip
from modelsec_course.privacy.mechanisms import gaussian_delta, gaussian_epsilon, gaussian_sigma

__all__ = [
    "ORDERS", "compose_advanced", "compose_basic", "gaussian_delta", "gaussian_epsilon", "gaussian_sigma",
    "noise_multiplier", "pld_epsilon", "rdp", "rdp_epsilon",
]  # fmt: skip
