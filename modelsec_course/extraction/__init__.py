"""Extraction: copy a model that only answers, and what its owner can see, blur or prove afterwards."""

from modelsec_course.extraction.boundary import angle, find_hyperplane
from modelsec_course.extraction.equations import solve_logistic, solve_softmax
from modelsec_course.extraction.knockoffs import active_knockoff, agreement, imitate, knockoff, mixtures
from modelsec_course.extraction.monitoring import nearest_earlier, prada_score, round_outputs
from modelsec_course.extraction.ownership import Watermark, dataset_inference, watermark_p_value
from modelsec_course.extraction.victim import ANSWERS, OutOfQueries, Victim

__all__ = [
    "ANSWERS", "OutOfQueries", "Victim", "Watermark", "active_knockoff", "agreement", "angle", "dataset_inference",
    "find_hyperplane", "imitate", "knockoff", "mixtures", "nearest_earlier", "prada_score", "round_outputs",
    "solve_logistic", "solve_softmax", "watermark_p_value",
]  # fmt: skip
