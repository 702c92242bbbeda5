"""Lab 04: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_04_training_and_proving.exercises import (
    adversarial_training_step,
    certify,
    interval_bounds,
    trades_loss,
)

EXERCISES = (
    adversarial_training_step.EXERCISE,
    trades_loss.EXERCISE,
    interval_bounds.EXERCISE,
    certify.EXERCISE,
)
