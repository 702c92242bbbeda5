"""Model inversion: what a trained model, or a gradient, gives away about its training data."""

from modelsec_course.inversion.classes import Reconstruction, blend, invert_classes, look_alike
from modelsec_course.inversion.generator import decoder, fit_decoder
from modelsec_course.inversion.gradients import (
    batch_gradient,
    invert_linear,
    label_counts,
    label_from_gradient,
    row_inputs,
    shared_rows,
)
from modelsec_course.inversion.judging import Gain, gain, recognised
from modelsec_course.inversion.matching import GradientInversion, invert_gradient
from modelsec_course.inversion.priors import Prior, generated, pca, pixels
from modelsec_course.inversion.quality import best_assignment, mse, psnr

__all__ = [
    "Gain", "GradientInversion", "Prior", "Reconstruction", "batch_gradient", "best_assignment", "blend",
    "decoder", "fit_decoder", "gain", "generated", "invert_classes", "invert_gradient", "invert_linear", "label_counts",
    "label_from_gradient", "look_alike", "mse", "pca", "pixels", "psnr", "recognised", "row_inputs", "shared_rows",
]  # fmt: skip
