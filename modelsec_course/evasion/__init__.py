"""Evasion: change an input a little, so that the model errs. Every attack is `attack(model, x, y, ...) -> x_adv`."""

from modelsec_course.evasion.apgd import apgd
from modelsec_course.evasion.contract import attack
from modelsec_course.evasion.gradient import fgsm, pgd
from modelsec_course.evasion.losses import LOSSES, fooled
from modelsec_course.evasion.minimal import carlini_wagner, deepfool, fast_minimum_norm
from modelsec_course.evasion.norms import NORMS

__all__ = [
    "LOSSES", "NORMS", "apgd", "attack", "carlini_wagner", "deepfool", "fast_minimum_norm", "fgsm", "fooled", "pgd",
]  # fmt: skip
