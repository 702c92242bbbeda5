"""Lab 07: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_07_diagnosis.exercises import (
    exact_robust_accuracy,
    plausible_range,
    selective_predict,
    sensitivity_interval,
)

EXERCISES = (
    sensitivity_interval.EXERCISE,
    exact_robust_accuracy.EXERCISE,
    selective_predict.EXERCISE,
    plausible_range.EXERCISE,
)
