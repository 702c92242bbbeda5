"""Poisoning: what wrong training data does to a model, how to look for it, and what can be proved against it."""

from modelsec_course.poisoning.attacks import (
    Poisoned,
    Trigger,
    attack_success,
    backdoor,
    blended,
    clean_label,
    flip_labels,
    patch,
)
from modelsec_course.poisoning.certificates import PartitionEnsemble, partition, partition_certificate
from modelsec_course.poisoning.detection import (
    Clusters,
    Inversion,
    activation_clusters,
    activations,
    anomaly_index,
    fine_prune,
    invert_triggers,
    spectral_scores,
)

__all__ = [
    "Clusters", "Inversion", "PartitionEnsemble", "Poisoned", "Trigger", "activation_clusters", "activations",
    "anomaly_index", "attack_success", "backdoor", "blended", "clean_label", "fine_prune", "flip_labels",
    "invert_triggers", "partition", "partition_certificate", "patch", "spectral_scores",
]  # fmt: skip
