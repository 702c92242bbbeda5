"""Lab 03: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_03_evaluating_honestly.exercises import (
    bpda,
    company,
    dlr_loss,
    every_target,
    masking_flags,
    overlap,
    pixel_change,
    regulariser_pull,
    success_rate,
    worst_case,
)

EXERCISES = (
    dlr_loss.EXERCISE,
    every_target.EXERCISE,
    bpda.EXERCISE,
    worst_case.EXERCISE,
    masking_flags.EXERCISE,
    overlap.EXERCISE,
    regulariser_pull.EXERCISE,
    pixel_change.EXERCISE,
    company.EXERCISE,
    success_rate.EXERCISE,
)
