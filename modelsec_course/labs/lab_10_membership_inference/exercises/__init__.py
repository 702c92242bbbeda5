"""Lab 10: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_10_membership_inference.exercises import (
    gap_attack,
    infer_attribute,
    lira,
    logit_scale,
    tpr_at_fpr,
)

EXERCISES = (
    gap_attack.EXERCISE,
    logit_scale.EXERCISE,
    tpr_at_fpr.EXERCISE,
    lira.EXERCISE,
    infer_attribute.EXERCISE,
)
