"""Lab 14: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_14_private_training.exercises import (
    audit_lower_bound,
    clip,
    dp_sgd_step,
    most_hits,
    one_run_lower_bound,
    per_sample_gradients,
)

EXERCISES = (
    per_sample_gradients.EXERCISE,
    clip.EXERCISE,
    dp_sgd_step.EXERCISE,
    most_hits.EXERCISE,
    audit_lower_bound.EXERCISE,
    one_run_lower_bound.EXERCISE,
)
