"""Lab 06: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_06_fraud.exercises import (
    attacker_profit,
    feasible_evasion,
    monotone_model,
    project_feasible,
)

EXERCISES = (
    project_feasible.EXERCISE,
    feasible_evasion.EXERCISE,
    attacker_profit.EXERCISE,
    monotone_model.EXERCISE,
)
