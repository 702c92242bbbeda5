"""Model inversion: what a trained model, or a gradient, gives away about its training data."""

from modelsec_course.inversion.gradients import (
    batch_gradient,
    invert_linear,
    label_counts,
    label_from_gradient,
    row_inputs,
    shared_rows,
)
from modelsec_course.inversion.matching import GradientInversion, invert_gradient
from modelsec_course.inversion.quality import best_assignment, mse, psnr

__all__ = [
    "GradientInversion", "batch_gradient", "best_assignment", "invert_gradient", "invert_linear", "label_counts",
    "label_from_gradient", "mse", "psnr", "row_inputs", "shared_rows",
]  # fmt: skip
