"""Evasion: change an input a little, so that the model errs. Every attack is `attack(model, x, y, ...) -> x_adv`."""

from modelsec_course.evasion.contract import attack
from modelsec_course.evasion.gradient import fgsm, pgd
from modelsec_course.evasion.losses import LOSSES, fooled
from modelsec_course.evasion.minimal import carlini_wagner, deepfool
from modelsec_course.evasion.norms import NORMS

__all__ = ["LOSSES", "NORMS", "attack", "carlini_wagner", "deepfool", "fgsm", "fooled", "pgd"]
