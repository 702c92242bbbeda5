"""Lab 01: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_01_white_box_evasion.exercises import carlini_wagner, deepfool, fgsm, pgd

EXERCISES = (
    fgsm.EXERCISE,
    pgd.EXERCISE,
    deepfool.EXERCISE,
    carlini_wagner.EXERCISE,
)
