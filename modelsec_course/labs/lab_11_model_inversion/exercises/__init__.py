"""Lab 11: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_11_model_inversion.exercises import (
    identity_rate,
    invert_class,
    invert_with_prior,
    look_alike,
)

EXERCISES = (
    invert_class.EXERCISE,
    identity_rate.EXERCISE,
    invert_with_prior.EXERCISE,
    look_alike.EXERCISE,
)
