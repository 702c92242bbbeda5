"""Count as a success only what was right before and is wrong after."""

from __future__ import annotations

import torch
from torch import nn

from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import flat, still_right
from modelsec_course.labs.lab_03_evaluating_honestly.exercises.shared import shares


def _threshold() -> nn.Module:
    return flat(shares(-1.0, 1.0)[:, None], shares(0.5, -0.5))  # says 1 above ½


def _nothing_done(success):
    """0 where nothing was changed, however poor the model"""
    model, x = _threshold(), shares(0.1, 0.2, 0.7, 0.8, 0.9)[:, None]
    y = torch.tensor([1, 0, 0, 1, 1])  # two are wrong already
    expect(float(success(model, x, x, y)) == 0, f"x_adv is x, so nothing succeeded; got {success(model, x, x, y)}")


def _of_the_right(success):
    """The share of those that were right before and are wrong after"""
    model, x = _threshold(), shares(0.1, 0.2, 0.7, 0.8, 0.9)[:, None]
    y, x_adv = torch.tensor([1, 0, 0, 1, 1]), shares(0.2, 0.6, 0.8, 0.4, 0.9)[:, None]
    expect_close(success(model, x, x_adv, y), 2 / 3, 1e-6, "three were right, two of them are wrong now")


def _mended(success):
    """An answer that changed is no success if it was wrong before"""
    model, x = _threshold(), shares(0.1, 0.2, 0.7, 0.8)[:, None]
    y, x_adv = torch.tensor([1, 1, 1, 1]), shares(0.9, 0.8, 0.7, 0.8)[:, None]
    expect_close(success(model, x, x_adv, y), 0.0, 1e-6, "the first two were mended, the others left alone")
    x_adv = shares(0.9, 0.2, 0.2, 0.8)[:, None]
    expect_close(success(model, x, x_adv, y), 1 / 2, 1e-6, "one was mended, and one of two that were right was broken")


def _none_right(success):
    """0 where the model was right about nothing"""
    model, x = _threshold(), shares(0.1, 0.2)[:, None]
    expect_close(success(model, x, x + 0.1, torch.tensor([1, 1])), 0.0, 1e-6, "no input was right before")


def success_rate(model, x, x_adv, y):
    before, after = still_right(model, x, y), still_right(model, x_adv, y)
    return (before & ~after).float().sum().item() / max(int(before.sum()), 1)


def _rate_by_lists(model, x, x_adv, y):
    right = model(x).argmax(1) == y
    return (model(x_adv[right]).argmax(1) != y[right]).double().mean() if right.any() else 0.0


EXERCISE = Exercise(
    "03.success_rate",
    title="Control 5: who was right before?",
    reference=success_rate,
    properties=[_nothing_done, _of_the_right, _mended, _none_right],
    hints=[
        "Two questions for each input: was the model right about x, and is it wrong about x_adv?",
        "`before = model(x).argmax(1) == y`; divide the number of `before & ~after` by the number of `before`.",
    ],
    second=_rate_by_lists,
    mutants={
        "counts what was wrong already": lambda model, x, x_adv, y: (~still_right(model, x_adv, y))
        .float().mean().item(),
        "divides by all": lambda model, x, x_adv, y: (still_right(model, x, y) & ~still_right(model, x_adv, y))
        .float().mean().item(),
        "counts changed answers": lambda model, x, x_adv, y: (model(x).argmax(1) != model(x_adv).argmax(1))
        .float().mean().item(),
        "divides by none": lambda model, x, x_adv, y: (
            (still_right(model, x, y) & ~still_right(model, x_adv, y)).float().sum() / still_right(model, x, y).sum()
        ).item(),
        "subtracts accuracies": lambda model, x, x_adv, y: (
            still_right(model, x, y).float().mean() - still_right(model, x_adv, y).float().mean()
        ).item(),
    },
)  # fmt: skip
