"""DeepFool: step onto the nearest boundary of the linearised model until the class changes."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from modelsec_course import evasion
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.lab.words import number
from modelsec_course.labs.common import (
    class_distances,
    digits_model,
    l2_length,
    linear_model,
    shaped_like_x,
    still_right,
)
from modelsec_course.labs.lab_01_white_box_evasion.exercises.shared import in_the_box


def _closed_form(classes: int):
    def verify(attack):
        model, x, y = linear_model(classes)
        exact = class_distances(model, x, y).amin(1)
        right = still_right(model, x, y)
        x_adv = attack(model, x, y)
        ratio = l2_length(x_adv, x)[right] / exact[right]
        say = f"the shortest and longest are {ratio.min():.3f} and {ratio.max():.3f} times the closed form"
        expect(ratio.min() > 0.999, f"{say}: some do not reach the boundary")
        expect(ratio.min() > 1.005, f"{say}: all should go 1 % beyond the boundary")
        expect(ratio.max() < 1.025, f"{say}: some go too far")

    words = "two classes: the distance is |f| / ‖w‖" if classes == 2 else "five classes: the nearest boundary counts"
    verify.__doc__ = f"On a linear model, {words}"
    return verify


def _crosses(attack):
    """Crosses the boundary: the results fool the model (two stragglers are forgiven)"""
    for model, x, y in (linear_model(classes=5, seed=2), digits_model(40)):
        standing = still_right(model, attack(model, x, y), y).sum().item()
        expect(standing <= 2, f"{standing} of {len(y)} results are still classified correctly")


def _counts_its_steps(attack):
    """Stops after `steps` steps: most digits need more than one"""
    model, x, y = digits_model(40)
    standing = still_right(model, attack(model, x, y, 1), y).sum().item()
    expect(standing >= 20, f"with steps=1 only {standing} of {len(y)} digits are still classified correctly")


def _leaves_the_fallen(attack):
    """Inputs that are wrong already come back as they are"""
    model, x, y = linear_model(classes=3)
    wrong = ~still_right(model, x, y)
    expect_close(attack(model, x, y)[wrong], x[wrong], 1e-6, "x_adv where the model was wrong already")


def near_on_digits(attack):
    """On the digits: half of the changes fool the model and are shorter than 0.6"""
    model, x, y = digits_model(40)
    x_adv = attack(model, x, y)
    missed = still_right(model, x_adv, y)
    median = torch.where(missed, torch.inf, l2_length(x_adv, x)).median().item()
    aside = f"; {missed.sum()} of {len(y)} do not fool it, and count as infinitely long" if missed.any() else ""
    expect(median < 0.6, f"the median length is {number(median)}{aside}")


def deepfool(model, x, y, steps=20):
    return evasion.deepfool(model, x, y, steps=steps, overshoot=0.01)


def _differences(model, x, y) -> tuple[Tensor, Tensor]:
    """z_k − z_y (n, classes) and its gradients (n, classes, features)."""
    x = x.clone().requires_grad_()
    logits = model(x)
    each = [torch.autograd.grad(logits[:, k].sum(), x, retain_graph=True)[0] for k in range(logits.shape[1])]
    jacobian, rows = torch.stack(each, 1).flatten(2), torch.arange(len(x))
    return (logits - logits[rows, y][:, None]).detach(), jacobian - jacobian[rows, y][:, None]


def _deepfool_each(model, x, y, steps=20):
    """One input after the other, as in the paper's algorithm."""
    done = []
    for one, label in zip(x.split(1), y.split(1), strict=True):
        total = torch.zeros_like(one)
        for _ in range(steps):
            at = (one + 1.01 * total).clamp(0, 1)
            if not still_right(model, at, label).item():
                break
            gap, normal = _differences(model, at, label)
            length = gap.abs() / normal.norm(dim=2)
            length[0, label] = torch.inf
            k = length[0].argmin()
            total = total + ((gap[0, k].abs() + 1e-4) / normal[0, k].norm() ** 2 * normal[0, k]).view_as(one)
        done.append((one + 1.01 * total).clamp(0, 1))
    return torch.cat(done)


def _deepfool_wrong(model, x, y, steps=20, *, choose="nearest", overshoot=0.01, power=2):
    x_adv, rows = x.clone(), torch.arange(len(x))
    for _ in range(steps):
        standing = still_right(model, x_adv, y)
        gap, normal = _differences(model, x_adv, y)
        slope = normal.norm(dim=2).clamp_min(1e-9)
        length = gap.abs() / slope if choose == "nearest" else gap.abs()
        length[rows, y] = -torch.inf if choose == "farthest" else torch.inf
        k = length.argmax(1) if choose == "farthest" else length.argmin(1)
        step = (1 + overshoot) * gap[rows, k].abs() / slope[rows, k] ** power
        move = (step[:, None] * normal[rows, k]).view_as(x)
        x_adv = torch.where(standing.view(-1, 1, 1, 1), (x_adv + move).clamp(0, 1), x_adv)
    return x_adv


EXERCISE = Exercise(
    "01.deepfool",
    title="DeepFool",
    reference=deepfool,
    properties=[
        _closed_form(2), _closed_form(5), _crosses, _counts_its_steps, in_the_box, _leaves_the_fallen, near_on_digits,
    ],
    hints=[
        "Each input's own class: `logits[rows, y][:, None]` has the shape (batch, 1), and can be taken from all logits "
        "at once. `gradients[rows, y][:, None]` does the same for the gradients.",
        "The norms are `normal.norm(dim=2)`. With `k = distance.argmin(1)`, the step is "
        "`1.01 * (gap[rows, k] + 1e-4) / normal[rows, k].norm(dim=1) ** 2`, times `normal[rows, k]`.",
        "Set the distance to class y itself to `torch.inf` before `argmin(1)`. The step has "
        "shape (batch, features): `.view_as(x)` makes pictures of it. Move only the inputs that the model still gets "
        "right, with `torch.where(standing[:, None, None, None], moved, x_adv)`.",
    ],
    returns=shaped_like_x,
    second=_deepfool_each,
    mutants={
        "takes the class with the closest score": functools.partial(_deepfool_wrong, choose="score"),
        "aims at the farthest class": functools.partial(_deepfool_wrong, choose="farthest"),
        "divides by ‖w‖ once, not twice": functools.partial(_deepfool_wrong, power=1),
        "goes no further than a hair": functools.partial(_deepfool_wrong, overshoot=1e-4),
        "always takes twenty steps": lambda model, x, y, steps=20: _deepfool_wrong(model, x, y),
        "stops on the boundary": functools.partial(_deepfool_wrong, overshoot=-1e-3),
        "takes one step only": lambda model, x, y, steps=20: _deepfool_wrong(model, x, y, 1),
        "moves those that have fallen": lambda model, x, y, steps=20: deepfool(model, x, y) + 1e-3,
    },
)  # fmt: skip
