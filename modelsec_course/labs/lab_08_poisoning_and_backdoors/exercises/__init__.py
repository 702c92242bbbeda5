"""Lab 08: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_08_poisoning_and_backdoors.exercises import (
    activation_clusters,
    attack_success,
    flip_labels,
    partition_certificate,
    spectral_scores,
    stamp_trigger,
)

EXERCISES = (
    flip_labels.EXERCISE,
    stamp_trigger.EXERCISE,
    attack_success.EXERCISE,
    spectral_scores.EXERCISE,
    activation_clusters.EXERCISE,
    partition_certificate.EXERCISE,
)
