"""The peers' attacks behind one call: `find(peer, attack, model, x, y, options)` -> a function that runs it, or None.

Each is given the same model, inputs, labels, eps, steps and step size; whatever a peer converts is part of its time.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

NAMES = ("torchattacks", "foolbox", "ART")
MODULES = {"torchattacks": "torchattacks", "foolbox": "foolbox", "ART": "art"}


def installed(peer: str) -> bool:
    return importlib.util.find_spec(MODULES[peer]) is not None


def find(peer: str, attack: str, model: nn.Module, x: Tensor, y: Tensor, **options: Any) -> Callable[[], Tensor] | None:
    """None when the peer has no such attack."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {"torchattacks": _torchattacks, "foolbox": _foolbox, "ART": _art}[peer](attack, model, x, y, **options)


def _torchattacks(attack, model, x, y, *, eps=None, steps=None, step_size=None, overshoot=None, lr=None, c=None, **_):
    library = importlib.import_module("torchattacks")
    if attack == "carlini_wagner" and c is None:
        return None  # it has no search for c
    made = {
        "fgsm": lambda: library.FGSM(model, eps=eps),
        "pgd": lambda: library.PGD(model, eps=eps, alpha=step_size, steps=steps),
        "pgd_l2": lambda: library.PGDL2(model, eps=eps, alpha=step_size, steps=steps),
        "deepfool": lambda: library.DeepFool(model, steps=steps, overshoot=overshoot),
        "carlini_wagner": lambda: library.CW(model, c=c, steps=steps, lr=lr),
    }[attack]()
    return lambda: made(x, y)


def _foolbox(
    attack, model, x, y, *, eps=None, steps=None, step_size=None, overshoot=None, lr=None, c=None, searches=1, **_
):
    library = importlib.import_module("foolbox")
    attacks, wrapped = library.attacks, library.PyTorchModel(model, bounds=(0, 1), device=x.device)
    made = {
        "fgsm": lambda: attacks.LinfFastGradientAttack(),
        "pgd": lambda: attacks.LinfPGD(abs_stepsize=step_size, steps=steps),
        "pgd_l2": lambda: attacks.L2PGD(abs_stepsize=step_size, steps=steps),
        "deepfool": lambda: attacks.L2DeepFoolAttack(steps=steps, candidates=10, overshoot=overshoot),
        "carlini_wagner": lambda: attacks.L2CarliniWagnerAttack(
            binary_search_steps=searches, steps=steps, stepsize=lr, initial_const=c or 1.0
        ),
    }[attack]()
    return lambda: made(wrapped, x, y, epsilons=eps)[1]


def _art(
    attack, model, x, y, *, eps=None, steps=None, step_size=None, overshoot=None, lr=None, c=None, searches=1, **_
):
    from art.attacks import evasion
    from art.estimators.classification import PyTorchClassifier

    wrapped = PyTorchClassifier(
        model=model,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(x.shape[1:]),
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="gpu" if x.is_cuda else "cpu",
    )
    shared = {"batch_size": len(x), "verbose": False}
    made = {
        "fgsm": lambda: evasion.FastGradientMethod(wrapped, norm="inf", eps=eps, batch_size=len(x)),
        "pgd": lambda: evasion.ProjectedGradientDescentPyTorch(
            wrapped, norm="inf", eps=eps, eps_step=step_size, max_iter=steps, num_random_init=1, **shared
        ),
        "pgd_l2": lambda: evasion.ProjectedGradientDescentPyTorch(
            wrapped, norm=2, eps=eps, eps_step=step_size, max_iter=steps, num_random_init=1, **shared
        ),
        "deepfool": lambda: evasion.DeepFool(wrapped, max_iter=steps, epsilon=overshoot, nb_grads=10, **shared),
        "carlini_wagner": lambda: evasion.CarliniL2Method(
            wrapped, binary_search_steps=searches, max_iter=steps, learning_rate=lr, initial_const=c or 1.0, **shared
        ),
    }[attack]()
    pictures, one_hot = x.cpu().numpy(), nn.functional.one_hot(y, 10).cpu().numpy()
    return lambda: torch.from_numpy(made.generate(x=pictures, y=one_hot)).to(x.device)
