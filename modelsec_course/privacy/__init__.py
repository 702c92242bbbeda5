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
from modelsec_course.privacy.auditing import (
    audit_lower_bound,
    audit_one_run,
    audit_runs,
    gdp_lower_bound,
    one_run_lower_bound,
)
from modelsec_course.privacy.canaries import Canaries, audit_repeated, audit_training, insert_canaries
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
from modelsec_course.privacy.pate import count_votes, indicative_epsilon, noisy_labels, pate_epsilon, train_teachers
from modelsec_course.privacy.planted import BUGS, train_with_bug
from modelsec_course.privacy.private_sgd import PrivateHistory, dp_sgd, poisson_sample

__all__ = [
    "BUGS",
    "ORDERS",
    "Canaries",
    "PrivateHistory",
    "audit_lower_bound",
    "audit_one_run",
    "audit_repeated",
    "audit_runs",
    "audit_training",
    "clip_factors",
    "compose_advanced",
    "compose_basic",
    "count_votes",
    "dp_sgd",
    "exponential",
    "gaussian",
    "gaussian_delta",
    "gaussian_epsilon",
    "gaussian_sigma",
    "gdp_lower_bound",
    "geometric",
    "indicative_epsilon",
    "insert_canaries",
    "laplace",
    "noise_multiplier",
    "noisy_labels",
    "one_run_lower_bound",
    "pate_epsilon",
    "per_sample_gradients",
    "pld_epsilon",
    "poisson_sample",
    "randomised_response",
    "rdp",
    "rdp_epsilon",
    "train_teachers",
    "train_with_bug",
]  # fmt: skip
