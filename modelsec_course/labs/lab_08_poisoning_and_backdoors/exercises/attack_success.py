"""How often does a trigger turn a picture into the target class, among those that were not of it?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelsec_course import poisoning
from modelsec_course.lab.exercise import Exercise, expect_close


class _Reader(nn.Module):
    """A model that says what the first pixel holds, in tenths."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot((x.flatten(1)[:, 0] * 10).round().long(), 10).float()


_reader = _Reader()


def _says(*labels: int) -> Tensor:
    return (torch.tensor(labels) / 10).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()


def _success_by_hand(success):
    """Five pictures by hand: of the three that are not 7s, the trigger turns two"""
    x, y = _says(7, 7, 1, 2, 3), torch.tensor([7, 7, 1, 2, 3])

    def trigger(z):
        return torch.where(z > 0.25, z, 0.7)  # 1 and 2 become 7; 3 stays

    expect_close(success(_reader, x, y, trigger, 7), 2 / 3, 1e-6, "the success")


def _success_target_class(success):
    """A trigger that does nothing has success 0, however many pictures are of the target class"""
    y = torch.tensor([7, 7, 7, 1, 2])
    expect_close(success(_reader, _says(*y), y, lambda z: z, 7), 0.0, 1e-6, "the success")
    expect_close(success(_reader, _says(*y), y, lambda z: z * 0 + 0.7, 7), 1.0, 1e-6, "the success of a perfect one")


def _success_other_errors(success):
    """Wrong is not enough: only the target class counts"""
    y = torch.tensor([1, 2, 3, 4])
    got = success(_reader, _says(*y), y, lambda z: torch.where(z > 0.35, 0.7, 0.9), 7)
    expect_close(got, 1 / 4, 1e-6, "the success when three pictures are called 9 and one is called 7")


def _success_truth(success):
    """What is left out depends on the true label, not on what the model says without the trigger"""
    x, y = _says(7, 1, 2, 3), torch.tensor([1, 1, 2, 3])  # the first is a 1 that the model misreads
    expect_close(success(_reader, x, y, lambda z: torch.where(z > 0.25, z, 0.7), 7), 3 / 4, 1e-6, "the success")


def attack_success(model, x, y, trigger, target):
    return poisoning.attack_success(model, x, y, trigger=trigger, target=target)


def _success_one_by_one(model, x, y, trigger, target):
    turned = [int(model(trigger(x[i : i + 1])).argmax()) == target for i in range(len(x)) if y[i] != target]
    return sum(turned) / len(turned)


def _said(model, x):
    return model(x).argmax(1)


EXERCISE = Exercise(
    "08.attack_success",
    title="What counts as a success",
    reference=attack_success,
    properties=[_success_by_hand, _success_target_class, _success_other_errors, _success_truth],
    hints=[
        "Which pictures would be called `target` without any trigger? Their success proves nothing.",
        "Keep `others = y != target`, stamp only those, and count how many the model calls `target`.",
    ],
    second=_success_one_by_one,
    mutants={
        "counts the target class too": lambda model, x, y, trigger, target: (
            (_said(model, trigger(x)) == target).float().mean().item()
        ),
        "divides by all pictures": lambda model, x, y, trigger, target: (
            ((_said(model, trigger(x)) == target) & (y != target)).float().mean().item()
        ),
        "counts every error": lambda model, x, y, trigger, target: (
            (_said(model, trigger(x)) != y)[y != target].float().mean().item()
        ),
        "forgets the trigger": lambda model, x, y, trigger, target: (
            (_said(model, x) == target)[y != target].float().mean().item()
        ),
        "leaves out by the model's word": lambda model, x, y, trigger, target: (
            (_said(model, trigger(x)) == target)[_said(model, x) != target].float().mean().item()
        ),
    },
)
