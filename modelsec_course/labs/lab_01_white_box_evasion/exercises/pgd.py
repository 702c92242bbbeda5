"""Projected gradient descent: many small steps up the loss, each followed by a step back into the ball."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F

from modelsec_course import evasion
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import (
    Watched,
    curved_model,
    digits_model,
    expect_asked_inside,
    expect_inside,
    linear_model,
    shaped_like_x,
    still_right,
)
from modelsec_course.labs.lab_01_white_box_evasion.exercises.fgsm import (
    exact_accuracy,
    fgsm,
    loss_gradient,
    loss_of_the_margin,
    squared_error,
)
from modelsec_course.labs.lab_01_white_box_evasion.exercises.shared import explained


def _pgd_ball(attack):
    """Never leaves the ball of radius ε, nor [0, 1], however many steps"""
    model, x, y = curved_model()
    for eps, steps, step_size in ((0.03, 5, 0.03), (0.1, 12, 0.04), (0.3, 4, 0.2)):
        expect_inside(attack(model, x, y, eps, steps, step_size), x, eps)


def _one_step_is_fgsm(attack):
    """One step of length ε is FGSM"""
    model, x, y = linear_model(classes=3)
    right = still_right(model, x, y)  # those already wrong may be left alone
    want = fgsm(model, x, y, 0.04)[right]
    expect_close(attack(model, x, y, 0.04, 1, 0.04)[right], want, 1e-6, "x_adv after one step (start at x itself)")


def _default_step(attack):
    """Without a step_size, a step is ε / 4"""
    model, x, y = linear_model(classes=3)
    right = still_right(model, x, y)
    want = fgsm(model, x, y, 0.02)[right]
    expect_close(attack(model, x, y, 0.08, 1)[right], want, 1e-6, "x_adv after one step of ε / 4 = 0.02")


def _stays_on_the_way(attack):
    """Steps back into the ball after each step, not only at the end"""
    model, x, y = curved_model()
    watched = Watched(model)
    attack(watched, x, y, 0.1, 12, 0.05)
    expect_asked_inside(watched, x, 0.1)


def _pgd_exact(attack):
    """On a linear model: many small steps leave exactly the closed-form robust accuracy"""
    exact_accuracy(lambda model, x, y, eps: attack(model, x, y, eps, 10, eps / 4))


def _looks_again(attack):
    """On the digits: takes a fresh gradient at each step, and so beats FGSM"""
    model, x, y = digits_model()
    one = still_right(model, fgsm(model, x, y, 0.15), y).sum().item()
    left = still_right(model, attack(model, x, y, 0.15, 15, 0.025), y).sum().item()
    expect(left < one, f"{left} of {len(y)} digits stand after PGD, {one} after FGSM: expected fewer")


def pgd(model, x, y, eps, steps=20, step_size=None):
    if step_size is None:
        step_size = eps / 4 or 1.0  # at eps = 0 the ball is a point, whatever the step
    return evasion.pgd(model, x, y, eps=eps, steps=steps, step_size=step_size, random_start=False, stop_early=False)


def _pgd_by_bounds(model, x, y, eps, steps=20, step_size=None):
    low, high = (x - eps).clamp(min=0), (x + eps).clamp(max=1)
    x_adv = x.clone()
    for _ in range(steps):
        up = loss_gradient(model, x_adv, y, lambda logits, y: F.cross_entropy(logits, y, reduction="sum")).sign()
        x_adv = torch.minimum(torch.maximum(x_adv + (step_size or eps / 4) * up, low), high)
    return x_adv


def _quarter(eps, steps):
    return eps / 4


def _pgd_wrong(
    model,
    x,
    y,
    eps,
    steps=20,
    step_size=None,
    *,
    project="x",
    fresh=True,
    clamp=True,
    sign=1,
    of=F.cross_entropy,
    default=_quarter,
):
    x_adv, stale = x.clone(), loss_gradient(model, x, y, of)
    step_size = default(eps, steps) if step_size is None else step_size
    for _ in range(steps):
        up = loss_gradient(model, x_adv, y, of) if fresh else stale
        step = sign * step_size * up.sign()
        if project == "x":
            step = (x_adv + step - x).clamp(-eps, eps) - (x_adv - x)
        x_adv = x_adv + step
        x_adv = x_adv.clamp(0, 1) if clamp else x_adv
    return x_adv


EXERCISE = Exercise(
    "01.pgd",
    title="Projected gradient descent",
    reference=pgd,
    properties=explained(_one_step_is_fgsm, _default_step, _pgd_ball, _stays_on_the_way, _pgd_exact, _looks_again),
    hints=[
        "FGSM in a loop, with a smaller step, and a step back into the ball after each.",
        "The ball is around **x**, not around the last point: `delta = (x_adv - x).clamp(-eps, eps)`.",
        "```python\nfor _ in range(steps):\n    gradient = …  # at x_adv\n"
        "    x_adv = x_adv + step_size * gradient.sign()\n"
        "    x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)\n```",
    ],
    returns=shaped_like_x,
    second=_pgd_by_bounds,
    mutants={
        "never steps back into the ball": functools.partial(_pgd_wrong, project="no"),
        "steps back only at the end": lambda model, x, y, eps, steps=20, step_size=None: (
            x + (_pgd_wrong(model, x, y, eps, steps, step_size, project="no") - x).clamp(-eps, eps)
        ),
        "clamps to [0, 1] only at the end": lambda model, x, y, eps, steps=20, step_size=None: _pgd_wrong(
            model, x, y, eps, steps, step_size, clamp=False
        ).clamp(0, 1),
        "keeps the first gradient": functools.partial(_pgd_wrong, fresh=False),
        "forgets that pixels end at 0 and 1": functools.partial(_pgd_wrong, clamp=False),
        "steps down the loss": functools.partial(_pgd_wrong, sign=-1),
        "climbs the margin": functools.partial(_pgd_wrong, of=loss_of_the_margin),
        "climbs the squared error": functools.partial(_pgd_wrong, of=squared_error),
        "does not move by default": functools.partial(_pgd_wrong, default=lambda eps, steps: 0.0),
        "steps by ε by default": functools.partial(_pgd_wrong, default=lambda eps, steps: eps),
        "steps by 2.5 ε / steps by default": functools.partial(
            _pgd_wrong, default=lambda eps, steps: 2.5 * eps / steps
        ),
        "takes one step only": lambda model, x, y, eps, steps=20, step_size=None: _pgd_wrong(
            model, x, y, eps, 1, step_size
        ),
    },
)
