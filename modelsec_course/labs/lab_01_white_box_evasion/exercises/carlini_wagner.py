"""Carlini and Wagner's attack: let Adam trade a change's length against the margin; keep the closest success."""

from __future__ import annotations

import functools

import torch

from modelsec_course import evasion
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.lab.words import number
from modelsec_course.labs.common import (
    Watched,
    class_distances,
    digits_model,
    l2_length,
    linear_model,
    shaped_like_x,
    still_right,
)
from modelsec_course.labs.lab_01_white_box_evasion.exercises.deepfool import near_on_digits
from modelsec_course.labs.lab_01_white_box_evasion.exercises.shared import explained, in_the_box


def _cw_closed_form(attack):
    """On a linear model: within 5 % of the smallest change there is"""
    model, x, y = linear_model(classes=2)
    exact, right = class_distances(model, x, y).amin(1), still_right(model, x, y)
    length = l2_length(attack(model, x, y, 0.1, 200, 0.01), x)
    ratio = length[right] / exact[right]
    say = f"lengths are {ratio.min():.3f} to {ratio.max():.3f} times the closed form"
    expect(ratio.min() > 0.999, f"{say}: some do not reach the boundary")
    expect(ratio.max() < 1.05, f"{say}: some are too far")


def _cw_fools(attack):
    """Returns what fooled the model, not where the search ended"""
    model, x, y = digits_model(24)
    for steps in (59, 60):
        standing = still_right(model, attack(model, x, y, 10.0, steps, 0.1), y).sum().item()
        expect(standing == 0, f"{standing} of {len(y)} results after {steps} steps are classified correctly")


def _cw_keeps_the_closest(attack):
    """Returns the closest that fooled the model on the way, not the latest"""
    model, x, y = digits_model(24)
    for one, label in zip(x.split(1)[:3], y.split(1), strict=False):
        watched = Watched(model)
        got = l2_length(attack(watched, one, label, 10.0, 40, 0.1), one).item()
        fooling = [l2_length(at, one).item() for at in watched.asked if not still_right(model, at, label)]
        expect(fooling, "with c = 10, nothing that the model was asked about in 40 steps fooled it")
        say = f"a change of length {number(min(fooling))} had fooled the model, and one of {number(got)} came back"
        expect(got < 1.001 * min(fooling), say)


def _cw_learning_rate(attack):
    """Adam moves with the learning rate it is given"""
    model, x, y = linear_model(classes=2)
    x, y = x[1:2], y[1:2]  # the model is right about it
    start = torch.atanh((2 * x - 1) * 0.9999)
    for lr in (0.01, 0.04):
        watched = Watched(model)
        attack(watched, x, y, 1.0, 4, lr)
        ways = [(torch.atanh(2 * at - 1) - start).abs().median().item() for at in watched.asked]
        first = next((way for way in ways if way > 1e-3), 0.0)  # Adam's first step is as long as lr
        expect_close(first, lr, 0.05 * lr, f"with lr = {lr}, how far Adam's first step moves v")


def _cw_gives_up(attack):
    """Where c is too small to fool the model, x comes back as it is"""
    model, x, y = linear_model(classes=2)
    right = still_right(model, x, y)
    expect_close(attack(model, x, y, 1e-6, 20, 0.01)[right], x[right], 1e-6, "x_adv at c = 0.000001")


def _cw_closer(attack):
    """On the digits: half of the changes are shorter than 0.6"""
    near_on_digits(lambda model, x, y: attack(model, x, y, 1.0, 200, 0.1))


def carlini_wagner(model, x, y, c=1.0, steps=100, lr=0.1):
    return _cw_with_adam(model, x, y, c, steps, lr)


def _from_the_library(model, x, y, c=1.0, steps=100, lr=0.1):
    return evasion.carlini_wagner(model, x, y, start=c, searches=1, steps=steps, lr=lr)


def _cw_with_adam(model, x, y, c=1.0, steps=100, lr=0.1, *, last=False, latest=False, hinge=True, near=True, tanh=True):
    start = torch.atanh((2 * x - 1) * 0.9999) if tanh else x.clone()
    v = start.requires_grad_()
    optimiser = torch.optim.Adam([v], lr)
    best, shortest = x.clone(), torch.full((len(x),), torch.inf, device=x.device)
    shortest[~still_right(model, x, y)] = 0
    for _ in range(steps):
        x_adv = (v.tanh() + 1) / 2 if tanh else v
        logits = model(x_adv)
        gap = logits.gather(1, y[:, None]).squeeze(1) - logits.scatter(1, y[:, None], -torch.inf).amax(1)
        squared = (x_adv - x).flatten(1).pow(2).sum(1)
        closer = (gap < 0) & (latest & (shortest > 0) | (squared.sqrt() < shortest))
        best[closer], shortest[closer] = x_adv.detach()[closer], squared.detach().sqrt()[closer]
        loss = c * (gap.clamp(min=0) if hinge else gap) + (squared if near else 0)
        optimiser.zero_grad()
        v.grad = torch.autograd.grad(loss.sum(), v)[0]
        optimiser.step()
    return x_adv.detach() if last else best


EXERCISE = Exercise(
    "01.carlini_wagner",
    title="Carlini and Wagner's attack",
    reference=carlini_wagner,
    properties=explained(
        _cw_closed_form, _cw_fools, _cw_keeps_the_closest, _cw_learning_rate, in_the_box, _cw_gives_up, _cw_closer
    ),
    hints=[
        "In each step: make `x_adv = (v.tanh() + 1) / 2`, ask the model, remember what is closest, let Adam move v.",
        "`gap = logits[y] - best other logit` is positive while the model is right. Minimise "
        "`((x_adv - x)**2).sum() + c * gap.clamp(min=0)`, summed over the batch.",
        "Keep the best so far: where `gap < 0` and the length is less than `shortest`, copy `x_adv` into `best` "
        "and the length into `shortest`. Then `optimiser.zero_grad()`, `(v.grad,) = torch.autograd.grad(loss, v)`, "
        "`optimiser.step()`.",
    ],
    timeout=40.0,
    returns=shaped_like_x,
    second=_from_the_library,
    mutants={
        "keeps the latest success": functools.partial(_cw_with_adam, latest=True),
        "halves the learning rate": lambda model, x, y, c=1.0, steps=100, lr=0.1: _cw_with_adam(
            model, x, y, c, steps, lr / 2
        ),
        "returns the last iterate": functools.partial(_cw_with_adam, last=True),
        "never stops pushing: no max(·, 0)": functools.partial(_cw_with_adam, hinge=False),
        "forgets the distance": functools.partial(_cw_with_adam, near=False),
        "optimises the pixels themselves, unbounded": functools.partial(_cw_with_adam, tanh=False),
    },
)
