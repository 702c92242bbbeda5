"""Lab 00: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_00_start_here.exercises import classify_incident, margin_distance, threat_model

EXERCISES = (
    classify_incident.EXERCISE,
    threat_model.EXERCISE,
    margin_distance.EXERCISE,
)
