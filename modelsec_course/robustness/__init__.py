"""Robustness: how much of it a model has, whether a defence is real, and what can be proved."""

from modelsec_course.robustness.abstention import risk_coverage, selective_predict, threshold_for
from modelsec_course.robustness.bounds import CertifiedLoss, certified, interval_bounds
from modelsec_course.robustness.evaluation import Evaluation, red_flags, worst_case
from modelsec_course.robustness.fakes import InputNoise, Quantise, ScaleLogits, Shatter, knowing, planted
from modelsec_course.robustness.flags import Flag
from modelsec_course.robustness.hardening import adversarial, fast, noisy, trades
from modelsec_course.robustness.smoothing import ABSTAIN, certified_radius, certify, noisy_votes, predict
from modelsec_course.robustness.tables import hardened, limited, monotone_model, refusal_threshold, review_queue

__all__ = [
    "ABSTAIN", "CertifiedLoss", "Evaluation", "Flag", "InputNoise", "Quantise", "ScaleLogits", "Shatter", "adversarial",
    "certified", "certified_radius", "certify", "fast", "hardened", "interval_bounds", "knowing", "limited",
    "monotone_model", "noisy", "noisy_votes", "planted", "predict", "red_flags", "refusal_threshold", "review_queue",
    "risk_coverage", "selective_predict", "threshold_for", "trades", "worst_case",
]  # fmt: skip
