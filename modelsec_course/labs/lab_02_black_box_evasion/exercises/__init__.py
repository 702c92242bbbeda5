"""Lab 02: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_02_black_box_evasion.exercises import (
    hop_skip_jump,
    nes_gradient,
    square_attack,
    transfer_rate,
)

EXERCISES = (
    nes_gradient.EXERCISE,
    square_attack.EXERCISE,
    transfer_rate.EXERCISE,
    hop_skip_jump.EXERCISE,
)
