"""Ensembles: many networks of one architecture, trained at once, on one machine or on a cluster."""

from modelsec_course.ensembles import cluster
from modelsec_course.ensembles.batched import Shadows, train

__all__ = ["Shadows", "cluster", "train"]
