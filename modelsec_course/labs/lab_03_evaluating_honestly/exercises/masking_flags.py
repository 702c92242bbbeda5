"""Raise four red flags for models that hide their gradient, and none for honest ones."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import evasion, robustness, runtime, zoo
from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.labs.common import digits_model, still_right

FLAGS = {"no slope", "randomness", "black box", "stands everything"}


@functools.cache
def _suspects() -> dict[str, tuple[nn.Module, set[str], bool]]:
    """name: (model, flags of which at least one must be raised, whether it is honest)."""
    model, _, _ = digits_model(30)
    fakes = robustness.planted(model)
    telling = {
        "scaled logits": {"no slope"},
        "quantised input": {"no slope", "black box", "stands everything"},
        "input noise": {"randomness"},
        "shattered gradient": {"black box"},
    }
    found = {name: (fake.defended, telling[name], False) for name, fake in fakes.items()}
    honest = ("digits-cnn", "digits-linear", "digits-cnn-pgd")
    return found | {name: (zoo.load(name, device="cpu"), set(), True) for name in honest}


def _suspect(name: str, doc: str):
    def verify(masking_flags):
        suspect, telling, honest = _suspects()[name]
        _, x, y = digits_model(30)
        flags = masking_flags(suspect, x, y, 0.15)
        expect(isinstance(flags, set), f"expected a set of names, got a {type(flags).__name__}")
        unknown = flags - FLAGS
        expect(
            not unknown, f"there is no flag {', '.join(map(repr, unknown))}: the names are {', '.join(sorted(FLAGS))}"
        )
        if honest:
            expect(not flags, f"raised {', '.join(sorted(flags))}, but this model hides nothing")
        else:
            expect(flags & telling, f"expected {' or '.join(sorted(telling))}, got {sorted(flags) or 'no flag'}")

    verify.__doc__ = doc
    return verify


def _random_only(masking_flags):
    """Raises randomness for a model that rolls dice, and for it alone"""
    model, x, y = digits_model(30)
    draw = runtime.generator(0)
    dice = lambda v: model(v) + 0.5 * torch.randn(len(v), 10, generator=draw)  # noqa: E731
    expect("randomness" in masking_flags(dice, x, y, 0.15), "two answers to the same question differ, yet no flag")
    expect("randomness" not in masking_flags(lambda v: 1000 * model(v), x, y, 0.15), "scaled logits are not random")


@torch.no_grad()
def _answers_differ(model, x, again) -> bool:
    return not torch.allclose(model(x), model(again), atol=1e-3)


def _without_slope(model, x, y) -> float:
    at = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(at), y, reduction="sum"), at)
    return (gradient.flatten(1).abs().amax(1) == 0).float().mean().item()


def _white(model, x, y, eps):
    return evasion.apgd(model, x, y, eps=eps, steps=10, loss="dlr-targeted")


def _black_box_only(model, x, y, eps, white=_white) -> float:
    """The share that the white box leaves standing and the black box breaks."""
    left = still_right(model, white(model, x, y, eps), y)
    if not left.any():
        return 0.0
    x_adv = evasion.square_attack(model, x[left], y[left], eps=eps, queries=200)
    return (~still_right(model, x_adv, y[left])).sum().item() / len(x)


def _standing(model, x, y, eps) -> float:
    return still_right(model, evasion.apgd(model, x, y, eps=eps, steps=20, loss="margin"), y).float().mean().item()


def masking_flags(model, x, y, eps):
    flags = {"randomness"} if _answers_differ(model, x, x) else set()
    if _without_slope(model, x, y) > 0.05:
        flags.add("no slope")
    if _black_box_only(model, x, y, eps) > 0.05:
        flags.add("black box")
    if _standing(model, x, y, eps=1.0) > 0.05:
        flags.add("stands everything")
    return flags


def _flags_wrong(model, x, y, eps, *, white=_white, everything=1.0, apart=0.0):
    shares = {
        "randomness": float(_answers_differ(model, x, x + apart)),
        "no slope": _without_slope(model, x, y),
        "black box": _black_box_only(model, x, y, eps, white),
        "stands everything": _standing(model, x, y, everything),
    }
    return {name for name, share in shares.items() if share > 0.05}


def _forgets(flag: str):
    return lambda model, x, y, eps: masking_flags(model, x, y, eps) - {flag}


def _flags_from_the_library(model, x, y, eps):
    theirs = {
        "no slope": "no slope",
        "randomness": "randomness",
        "black box beats white box": "black box",
        "stands ε = 1": "stands everything",
    }
    flags = robustness.red_flags(model, x, y, eps=eps)
    return {theirs[flag.name] for flag in flags if flag.name in theirs}


EXERCISE = Exercise(
    "03.masking_flags",
    title="Four red flags",
    reference=masking_flags,
    properties=[
        _suspect("scaled logits", "Catches the logits times 1000"),
        _suspect("quantised input", "Catches the quantised input"),
        _suspect("input noise", "Catches the noise on the input"),
        _suspect("shattered gradient", "Catches the shattered gradient"),
        _suspect("digits-cnn", "Raises nothing on the plain network"),
        _suspect("digits-linear", "Raises nothing on softmax regression"),
        _suspect("digits-cnn-pgd", "Raises nothing on the adversarially trained network"),
        _random_only,
    ],
    hints=[
        "Four questions, four `if`s, each adding a name to the set. Start with the easiest: ask the model twice.",
        "No slope: `gradient.flatten(1).abs().amax(1) == 0` for each input; take the mean. Black box: attack only what "
        "`white_box` left standing, and count who falls.",
        "Stands everything: `any_change` may turn a picture into any other; count who is still read correctly. A share "
        "of 5 % of all inputs is a good threshold: one digit is not a pattern.",
    ],
    timeout=60.0,
    second=_flags_from_the_library,
    mutants={
        "never asks twice": _forgets("randomness"),
        "forgets the slope": _forgets("no slope"),
        "trusts the white box": _forgets("black box"),
        "compares neighbouring pictures": functools.partial(_flags_wrong, apart=1e-3),
        "tries too weak a white box": functools.partial(
            _flags_wrong, white=lambda model, x, y, eps: evasion.fgsm(model, x, y, eps=eps)
        ),
        "expects all to fall at ε": functools.partial(_flags_wrong, everything=0.15),
        "raises everything": lambda model, x, y, eps: set(FLAGS),
    },
)
