"""Evasion: change an input a little, so that the model errs. Every attack is `attack(model, x, y, ...) -> x_adv`."""

from modelsec_course.evasion.adaptive import BPDA, EOT
from modelsec_course.evasion.auto_attack import auto, ensemble
from modelsec_course.evasion.auto_pgd import apgd
from modelsec_course.evasion.blackbox import nes, nes_gradient, square_attack, transfer
from modelsec_course.evasion.contract import attack
from modelsec_course.evasion.decision import hop_skip_jump
from modelsec_course.evasion.gradient import fgsm, pgd
from modelsec_course.evasion.inks import INKS, non_printability, printed, total_variation
from modelsec_course.evasion.losses import LOSSES, fooled
from modelsec_course.evasion.minimal import carlini_wagner, deepfool, fast_minimum_norm
from modelsec_course.evasion.norms import NORMS
from modelsec_course.evasion.physical import Expectation, blur, distance, eot, light, per_picture, warp
from modelsec_course.evasion.stickers import (
    SHAPES,
    Photographs,
    Success,
    physical_success,
    random_ink,
    stick,
    sticker,
    sticker_mask,
)

__all__ = [
    "BPDA", "EOT", "INKS", "LOSSES", "NORMS", "SHAPES", "Expectation", "Photographs", "Success", "apgd", "attack",
    "auto", "blur", "carlini_wagner", "deepfool", "distance", "ensemble", "eot", "fast_minimum_norm", "fgsm", "fooled",
    "hop_skip_jump", "light", "nes", "nes_gradient", "non_printability", "per_picture", "pgd", "physical_success",
    "printed", "random_ink", "square_attack", "stick", "sticker", "sticker_mask", "total_variation", "transfer", "warp",
]  # fmt: skip
