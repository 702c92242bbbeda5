"""Membership: was this record in the training data?"""

from modelsec_course.membership.ensembles import Shadows, train

__all__ = ["Shadows", "train"]
