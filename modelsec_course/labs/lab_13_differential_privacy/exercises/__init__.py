"""Lab 13: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_13_differential_privacy.exercises import (
    compose,
    gaussian_sigma,
    laplace_mechanism,
    randomised_response,
    rdp_epsilon,
)

EXERCISES = (
    laplace_mechanism.EXERCISE,
    randomised_response.EXERCISE,
    compose.EXERCISE,
    gaussian_sigma.EXERCISE,
    rdp_epsilon.EXERCISE,
)
