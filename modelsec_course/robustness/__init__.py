"""Robustness: how much of it a model has, whether a defence is real, and what can be proved."""

from modelsec_course.robustness.abstention import risk_coverage, selective_predict, threshold_for
from modelsec_course.robustness.bounds import CertifiedLoss, certified, interval_bounds
from modelsec_course.robustness.intervals import clopper_pearson
from modelsec_course.robustness.smoothing import ABSTAIN, certified_radius, certify, noisy_votes, predict
from modelsec_course.robustness.training import adversarial, fast, noisy, trades

__all__ = [
    "ABSTAIN",
    "CertifiedLoss",
    "adversarial",
    "certified",
    "certified_radius",
    "certify",
    "clopper_pearson",
    "fast",
    "interval_bounds",
    "noisy",
    "noisy_votes",
    "predict",
    "risk_coverage",
    "selective_predict",
    "threshold_for",
    "trades",
]
