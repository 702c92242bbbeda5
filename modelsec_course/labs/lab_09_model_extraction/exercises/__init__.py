"""Lab 09: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_09_model_extraction.exercises import (
    knockoff,
    prada_score,
    round_outputs,
    solve_logistic,
    solve_softmax,
    watermark_p_value,
)

EXERCISES = (
    solve_logistic.EXERCISE,
    solve_softmax.EXERCISE,
    knockoff.EXERCISE,
    prada_score.EXERCISE,
    round_outputs.EXERCISE,
    watermark_p_value.EXERCISE,
)
