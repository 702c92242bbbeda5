"""Evasion: change an input a little, so that the model errs. Every attack is `attack(model, x, y, ...) -> x_adv`."""

from modelsec_course.evasion.adaptive import BPDA, EOT
from modelsec_course.evasion.auto_attack import auto, ensemble
from modelsec_course.evasion.auto_pgd import apgd
from modelsec_course.evasion.blackbox import nes, nes_gradient, square_attack, transfer
from modelsec_course.evasion.contract import attack
from modelsec_course.evasion.decision import hop_skip_jump
from modelsec_course.evasion.gradient import fgsm, pgd
from modelsec_course.evasion.losses import LOSSES, fooled
from modelsec_course.evasion.minimal import carlini_wagner, deepfool, fast_minimum_norm
from modelsec_course.evasion.norms import NORMS

__all__ = [
    "BPDA", "EOT", "LOSSES", "NORMS", "apgd", "attack", "auto", "carlini_wagner", "deepfool", "ensemble",
    "fast_minimum_norm", "fgsm", "fooled", "hop_skip_jump", "nes", "nes_gradient", "pgd", "square_attack", "transfer",
]  # fmt: skip
