"""Robustness: how much of it a model has, whether a defence is real, and what can be proved."""

from modelsec_course.robustness.intervals import clopper_pearson

__all__ = ["clopper_pearson"]
