"""Robustness: how much of it a model has, whether a defence is real, and what can be proved."""

from modelsec_course.robustness.abstention import (
    guaranteed_threshold,
    risk_coverage,
    risk_coverage_area,
    selective_predict,
    threshold_for,
)
from modelsec_course.robustness.bounds import CertifiedLoss, certified, interval_bounds, worst_margins
from modelsec_course.robustness.conformal import (
    certified_sets,
    conformal_sets,
    conformal_threshold,
    conformal_thresholds,
)
from modelsec_course.robustness.evaluation import Evaluation, red_flags, worst_case
from modelsec_course.robustness.fakes import InputNoise, Quantise, ScaleLogits, Shatter, knowing, planted
from modelsec_course.robustness.flags import Flag
from modelsec_course.robustness.hardening import adversarial, fast, noisy, trades
from modelsec_course.robustness.margins import certified_answers, certified_margin, linear_margin
from modelsec_course.robustness.plausibility import Plausible, furthest, plausible, plausible_range
from modelsec_course.robustness.smoothing import ABSTAIN, certified_radius, certify, noisy_votes, predict
from modelsec_course.robustness.tables import hardened, limited, monotone_model, refusal_threshold, review_queue

__all__ = [
    "ABSTAIN", "CertifiedLoss", "Evaluation", "Flag", "InputNoise", "Plausible", "Quantise", "ScaleLogits", "Shatter",
    "adversarial", "certified", "certified_answers", "certified_margin", "certified_radius", "certified_sets",
    "certify", "conformal_sets", "conformal_threshold", "conformal_thresholds", "fast", "furthest",
    "guaranteed_threshold", "hardened", "interval_bounds", "knowing", "limited", "linear_margin", "monotone_model",
    "noisy", "noisy_votes", "planted", "plausible", "plausible_range", "predict", "red_flags", "refusal_threshold",
    "review_queue", "risk_coverage", "risk_coverage_area", "selective_predict", "threshold_for", "trades",
    "worst_case", "worst_margins",
]  # fmt: skip
