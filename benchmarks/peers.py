"""The peers' attacks behind one call: `find(peer, attack, model, x, y, options)` -> a function that runs it, or None.

Each is given the same model, inputs, labels, eps, steps and step size; whatever a peer converts is part of its time.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from functools import partial
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


def _torchattacks(
    attack, model, x, y, *, eps=None, steps=None, step_size=None, overshoot=None, lr=None, c=None, queries=None, **_
):
    library = importlib.import_module("torchattacks")
    if attack == "carlini_wagner" and c is None:
        return None  # it has no search for c
    norm, classes = "L2" if attack.endswith("_l2") else "Linf", {"n_classes": 10}
    makers = {
        "fgsm": lambda: library.FGSM(model, eps=eps),
        "pgd": lambda: library.PGD(model, eps=eps, alpha=step_size, steps=steps),
        "pgd_l2": lambda: library.PGDL2(model, eps=eps, alpha=step_size, steps=steps),
        "deepfool": lambda: library.DeepFool(model, steps=steps, overshoot=overshoot),
        "carlini_wagner": lambda: library.CW(model, c=c, steps=steps, lr=lr),
        "apgd": lambda: library.APGD(model, norm=norm, eps=eps, steps=steps),
        "apgd_targeted": lambda: library.APGDT(model, norm=norm, eps=eps, steps=steps, **classes),
        "square": lambda: library.Square(model, norm=norm, eps=eps, n_queries=queries),
        "square_l2": lambda: library.Square(model, norm=norm, eps=eps, n_queries=queries),
        "auto": lambda: _auto_attack(library, model, norm, eps, steps),
    }
    if attack not in makers:
        return None
    made = makers[attack]()
    return lambda: made(x, y)


def _auto_attack(library, model, norm, eps, steps):
    """AutoAttack with so many iterations of its three gradient attacks; None: the 10 that torchattacks takes itself."""
    made = library.AutoAttack(model, norm=norm, eps=eps, n_classes=10)
    for stage in made._autoattack.attacks if steps else ():
        if hasattr(stage, "steps"):
            stage.steps = steps
    return made


def _foolbox(
    attack, model, x, y, *, eps=None, steps=None, step_size=None, overshoot=None, lr=None, c=None, searches=1, **_
):
    library = importlib.import_module("foolbox")
    attacks, wrapped = library.attacks, library.PyTorchModel(model, bounds=(0, 1), device=x.device)
    makers = {
        "fgsm": lambda: attacks.LinfFastGradientAttack(),
        "pgd": lambda: attacks.LinfPGD(abs_stepsize=step_size, steps=steps),
        "pgd_l2": lambda: attacks.L2PGD(abs_stepsize=step_size, steps=steps),
        "deepfool": lambda: attacks.L2DeepFoolAttack(steps=steps, candidates=10, overshoot=overshoot),
        "carlini_wagner": lambda: attacks.L2CarliniWagnerAttack(
            binary_search_steps=searches, steps=steps, stepsize=lr, initial_const=c or 1.0
        ),
        "fast_minimum_norm": lambda: attacks.L2FMNAttack(steps=steps),
        "hop_skip_jump": lambda: attacks.HopSkipJumpAttack(steps=steps),
    }
    if attack not in makers:
        return None
    made = makers[attack]()
    return lambda: made(wrapped, x, y, epsilons=eps)[1]


class _Single(nn.Module):
    """ART's HopSkipJump asks in double precision, which a network in single precision refuses."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.float())


def art_classifier(model: nn.Module, x: Tensor, **more: Any) -> Any:
    """ART's wrapper around the model."""
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        model=model,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(x.shape[1:]),
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="gpu" if x.is_cuda else "cpu",
        **more,
    )


def _art(
    attack, model, x, y, *, eps=None, steps=None, step_size=None, overshoot=None, lr=None, c=None, searches=1,
    queries=None, **_,
):  # fmt: skip
    from art.attacks import evasion

    wrapped, norm = art_classifier(model, x), 2 if attack.endswith("_l2") else "inf"
    shared = {"batch_size": len(x), "verbose": False}
    square = partial(evasion.SquareAttack, wrapped, norm=norm, eps=eps, max_iter=queries, nb_restarts=1, **shared)
    makers = {
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
        "apgd": lambda: evasion.AutoProjectedGradientDescent(
            wrapped, norm="inf", eps=eps, eps_step=2 * eps, max_iter=steps, nb_random_init=1,
            loss_type="cross_entropy", **shared,
        ),
        "square": square,
        "square_l2": square,
        "hop_skip_jump": lambda: evasion.HopSkipJump(
            art_classifier(_Single(model), x), norm=2, max_iter=steps, init_eval=100, verbose=False
        ),
    }  # fmt: skip
    if attack not in makers:
        return None
    made = makers[attack]()
    pictures, one_hot = x.cpu().numpy(), nn.functional.one_hot(y, 10).cpu().numpy()
    return lambda: torch.from_numpy(made.generate(x=pictures, y=one_hot)).to(x.device)
