"""Climb towards each class in turn, and keep for each input what fooled the model."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from modelsec_course import evasion, runtime
from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.labs.common import digits_model, flat, linear_model, shaped_like_x, stays_in_the_ball, still_right
from modelsec_course.labs.lab_03_evaluating_honestly.exercises.shared import shares


def _decoys() -> tuple[nn.Module, Tensor, Tensor]:
    """Four classes. The runner-up cannot be reached; the third is a step away, the fourth never."""
    weight = torch.zeros(4, 16)
    weight[1], weight[2], weight[3] = 0.05, 1.0, -0.01
    model = flat(weight, shares(0.0, -0.6, -9.0, -9.0))
    x = 0.5 + 0.02 * torch.rand(12, 1, 4, 4, generator=runtime.generator(2))
    return model, x, torch.zeros(12, dtype=torch.int64)


def _behind_the_decoy(attack):
    """Finds the class that falls although the runner-up does not"""
    model, x, y = _decoys()
    standing = still_right(model, attack(model, x, y, 0.1), y).sum().item()
    expect(standing == 0, f"{standing} of 12 inputs stand: one class is near, but it is not the runner-up")


def _exact(attack):
    """On linear models: leaves exactly the closed-form robust accuracy"""
    for seed in (0, 1, 2):
        model, x, y = linear_model(classes=6, seed=seed, n=96)
        weight, logits = model[1].weight.detach(), model(x).detach()
        gap = logits.gather(1, y[:, None]) - logits
        reach = (weight - weight[y][:, None]).abs().sum(2)  # what one unit of ε gains a class, (n, classes)
        others = torch.arange(6)[None] != y[:, None]
        for eps in (0.015, 0.03):
            slack = torch.where(others, gap - eps * reach, torch.inf).amin(1)
            clear = slack.abs() > 1e-3  # ties are nobody's fault
            stands = still_right(model, attack(model, x, y, eps), y)
            left, lost = ((stands & (slack < 0))[clear].sum().item(), (~stands & (slack > 0))[clear].sum().item())
            say = f"at eps = {eps}, {left} of {len(y)} inputs stand although some class can be reached"
            expect(left == 0, f"{say}: does the score climb to every class, and is each success kept?")
            expect(lost == 0, f"at eps = {eps}, {lost} of {len(y)} inputs fall that no change within eps can break")


def _beats_one(attack):
    """On the digits: breaks at least as many as climbing away from the truth does"""
    model, x, y = digits_model(60)
    once = evasion.apgd(model, x, y, eps=0.12, steps=20, loss="dlr", random_start=False)
    one, left = (still_right(model, v, y).sum().item() for v in (once, attack(model, x, y, 0.12)))
    expect(left <= one, f"{left} of {len(y)} digits stand, {one} without targets: expected no more")


def every_target(model, x, y, eps):
    with torch.no_grad():
        few = model(x[:1]).shape[1] < 4
    loss, most = ("margin", {"restarts": 3}) if few else ("dlr-targeted", {})
    return evasion.apgd(model, x, y, eps=eps, steps=20, loss=loss, targets=99, **most)


def _toward(model, x, eps, score, steps=12):
    """Steps up score(logits), (batch,), by signs, from x."""
    x_adv = x.clone()
    for k in range(steps):
        at = x_adv.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(score(model(at)).sum(), at)
        step = max(2 * eps * (1 - k / steps), eps / 8) * gradient.sign()
        x_adv = (x + (x_adv + step - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


def _gap(k, y):
    return lambda logits: logits[:, k] - logits.gather(1, y[:, None]).squeeze(1)


def _each_class(model, x, y, eps, *, keep=True, classes=None, sign=1):
    found = x.clone()
    for k in range(model(x[:1]).shape[1]) if classes is None else classes(model, x, y):
        x_adv = _toward(model, x, eps, lambda logits, k=k: sign * _gap(k, y)(logits))
        fooled = ~still_right(model, x_adv, y)
        found = torch.where(fooled[:, None, None, None], x_adv, found) if keep else x_adv
    return found


def _runner_up(model, x, y, eps):
    logits = model(x).detach().scatter(1, y[:, None], -torch.inf)
    k = logits.argmax(1)
    return _toward(
        model, x, eps, lambda logits: (logits.gather(1, k[:, None]) - logits.gather(1, y[:, None])).squeeze(1)
    )


EXERCISE = Exercise(
    "03.every_target",
    title="Try every class",
    reference=every_target,
    properties=[_behind_the_decoy, _exact, stays_in_the_ball, _beats_one],
    hints=[
        "A loop over all classes k. `climb` makes score(logits) large, one number for each input: which score is large "
        "when the model says k and not y?",
        "`score = lambda logits: logits[:, k] - logits.gather(1, y[:, None]).squeeze(1)`. For k = y it is 0, and "
        "harmless.",
        "Keep what is found: `found = torch.where(fooled[:, None, None, None], x_adv, found)`. A later class then "
        "cannot undo an earlier success.",
    ],
    timeout=40.0,
    returns=shaped_like_x,
    second=_each_class,
    mutants={
        "climbs away from the truth only": lambda model, x, y, eps: _toward(
            model, x, eps, lambda logits: evasion.LOSSES["margin"](logits, y)
        ),
        "tries the runner-up only": _runner_up,
        "returns the last class's try": functools.partial(_each_class, keep=False),
        "forgets the first class": functools.partial(_each_class, classes=lambda model, x, y: range(1, 4)),
        "climbs down": functools.partial(_each_class, sign=-1),
    },
)
