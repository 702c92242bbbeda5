"""Lab 12: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_12_gradient_leakage.exercises import dlg, invert_linear, label_from_gradient, secure_sum

EXERCISES = (
    invert_linear.EXERCISE,
    label_from_gradient.EXERCISE,
    dlg.EXERCISE,
    secure_sum.EXERCISE,
)
