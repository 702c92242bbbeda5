"""Membership: was this record in the training data?"""

from modelsec_course.membership.attributes import ask_each_value, impute, infer_attribute
from modelsec_course.membership.likelihood import gap_attack, lira, logit_scale
from modelsec_course.membership.metrics import Rate, auc, tpr_at_fpr
from modelsec_course.membership.properties import infer_property, members_with_share
from modelsec_course.membership.relative import rmia

__all__ = [
    "Rate", "ask_each_value", "auc", "gap_attack", "impute", "infer_attribute",
    "infer_property", "lira", "logit_scale", "members_with_share", "rmia", "tpr_at_fpr",
]  # fmt: skip
