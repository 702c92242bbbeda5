"""Lab 05: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_05_road_signs.exercises import eot_gradient, physical_success, sticker_mask, warp

EXERCISES = (
    warp.EXERCISE,
    sticker_mask.EXERCISE,
    physical_success.EXERCISE,
    eot_gradient.EXERCISE,
)
