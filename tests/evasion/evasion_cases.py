"""What several test files share: every attack with its budget, and helpers to make models and to judge results."""

from functools import partial

import torch
from torch import nn

from modelsec_course import models, runtime
from modelsec_course.evasion import (
    apgd,
    carlini_wagner,
    deepfool,
    fast_minimum_norm,
    fgsm,
    hop_skip_jump,
    nes,
    pgd,
    square_attack,
    transfer,
)

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def brightness(x):
    """A surrogate for inputs of any shape: ten classes of brightness."""
    classes = torch.arange(10, device=x.device)
    return x.flatten(1).mean(1, keepdim=True) * classes - classes**2 / 20


# these never see a gradient of the model
BLACK_BOX = {
    "nes": (partial(nes, eps=0.1, queries=60, samples=8), "linf", 0.1),
    "nes-l2": (partial(nes, eps=0.7, queries=60, samples=8, norm="l2"), "l2", 0.7),
    "square": (partial(square_attack, eps=0.1, queries=40), "linf", 0.1),
    "square-l2": (partial(square_attack, eps=0.7, queries=40, norm="l2"), "l2", 0.7),
    "hop-skip-jump": (partial(hop_skip_jump, queries=300, starts=5), "l2", None),
    "transfer": (partial(transfer, attack=partial(fgsm, eps=0.1), surrogates=[brightness]), "linf", 0.1),
}

# name: (attack, norm, eps); a minimum-norm attack has no eps
ATTACKS = {
    "fgsm": (partial(fgsm, eps=0.1), "linf", 0.1),
    "fgsm-l2": (partial(fgsm, eps=0.7, norm="l2"), "l2", 0.7),
    "pgd": (partial(pgd, eps=0.1, steps=8), "linf", 0.1),
    "pgd-l2": (partial(pgd, eps=0.7, steps=8, norm="l2"), "l2", 0.7),
    "pgd-margin": (partial(pgd, eps=0.1, steps=8, loss="margin"), "linf", 0.1),
    "pgd-worst": (partial(pgd, eps=0.1, steps=8, stop_early=False), "linf", 0.1),
    "pgd-restarts": (partial(pgd, eps=0.07, steps=3, restarts=3), "linf", 0.07),
    "deepfool": (deepfool, "l2", None),
    "deepfool-linf": (partial(deepfool, norm="linf"), "linf", None),
    "carlini-wagner": (partial(carlini_wagner, steps=10, searches=2), "l2", None),
    "fast-minimum-norm": (partial(fast_minimum_norm, steps=20), "l2", None),
    "fast-minimum-norm-linf": (partial(fast_minimum_norm, steps=20, norm="linf"), "linf", None),
    "apgd": (partial(apgd, eps=0.1, steps=8), "linf", 0.1),
    "apgd-l2": (partial(apgd, eps=0.7, steps=8, norm="l2"), "l2", 0.7),
    "apgd-dlr": (partial(apgd, eps=0.1, steps=8, loss="dlr"), "linf", 0.1),
    "apgd-targeted": (partial(apgd, eps=0.1, steps=5, loss="dlr-targeted", targets=3), "linf", 0.1),
    "apgd-restarts": (partial(apgd, eps=0.07, steps=3, restarts=3), "linf", 0.07),
    **BLACK_BOX,
}
NAMES = list(ATTACKS)
TARGETED = {
    "fgsm": partial(fgsm, eps=0.3, targeted=True),
    "pgd": partial(pgd, eps=0.3, targeted=True),
    "pgd-l2": partial(pgd, eps=3.0, norm="l2", targeted=True),
    "carlini-wagner": partial(carlini_wagner, steps=100, searches=3, targeted=True),
    "fast-minimum-norm": partial(fast_minimum_norm, targeted=True),
    "nes": partial(nes, eps=0.5, queries=1000, targeted=True),
    "square": partial(square_attack, eps=0.5, queries=1000, targeted=True),
    "square-l2": partial(square_attack, eps=4.0, norm="l2", queries=1000, targeted=True),
}
DRAWING = {"pgd", "pgd-l2", "pgd-margin", "pgd-worst", "apgd", "apgd-l2", "apgd-dlr", "apgd-targeted"}
DETERMINISTIC = {
    name: partial(attack, random_start=False) if name in DRAWING else attack
    for name, (attack, _, _) in ATTACKS.items()
    if not name.endswith("-restarts") and name not in BLACK_BOX
}


def call(name):
    """The attack called `name`, ready for (model, x, y)."""
    return ATTACKS[name][0]


def still_right(model, x, y):
    """(batch,) True where the model resists, judged on the tensor that was returned and by nobody else."""
    with torch.no_grad():
        return model(x).argmax(1) == y


def robust_accuracy(model, x, y):
    return still_right(model, x, y).double().mean().item()


def network(device="cpu", dtype=torch.float32, seed=0):
    """Untrained, with everything whose state an attack could disturb: batch norm, dropout, mixed modes and flags."""
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(4 * 64, 10),
    )
    models.initialise(layers, runtime.generator(seed))
    return layers.to(device, dtype)


def pictures(n=12, device="cpu", dtype=torch.float32, seed=1):
    """Inputs whose first half has the label that `network()` gives them, so that there is something to attack."""
    x = torch.rand(n, 1, 8, 8, generator=runtime.generator(seed), dtype=dtype).to(device)
    with torch.no_grad():
        y = network(device, dtype).eval()(x).argmax(1)
    y[n // 2 :] = (y[n // 2 :] + 3) % 10
    return x, y
