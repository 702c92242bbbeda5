"""How many answers depend on the batch that a picture comes in?"""

from __future__ import annotations

import torch
from torch import nn

from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import digits_model, flat
from modelsec_course.labs.lab_03_evaluating_honestly.exercises.shared import shares


def _alone(company):
    """0 for a model that looks at each picture by itself"""
    model, x, _ = digits_model(20)
    expect(float(company(model, x)) == 0, f"each answer is the picture's own, got {company(model, x)}")


def _in_company(company):
    """Counts the pictures whose class depends on the batch they come in"""
    x = torch.linspace(0.1, 0.9, 20).view(20, 1, 1, 1).repeat(1, 1, 2, 2)

    def crowd(v):  # above the mean of its batch or not; alone, nothing is above its own mean
        level = v.flatten(1).mean(1)
        return torch.stack([0 * level, level - level.mean() - 1e-4], 1)

    expect_close(company(crowd, x), 0.5, 1e-6, "half of the pictures lie above the batch's mean, and none alone")


def _batch_norm(company):
    """Sees batch norm in train mode"""
    # alone an even picture is normalised to 0, and class 0; in the batch the lightest third rises above ½
    readout = flat(shares(0.0, 1.0)[:, None], shares(0.0, -0.5))
    net = nn.Sequential(nn.BatchNorm2d(1, momentum=0.0), nn.AvgPool2d(2), readout).train()
    x = torch.linspace(0.1, 0.9, 24).view(24, 1, 1, 1).repeat(1, 1, 2, 2)
    expect(float(company(lambda v: net(v), x)) > 0.1, "its answers depend on the batch, yet none was found to change")


def company(answer, x):
    with torch.no_grad():
        together, alone = answer(x).argmax(1), torch.cat([answer(one[None]).argmax(1) for one in x])
    return (together != alone).float().mean().item()


def _company_differently(answer, x):
    together = answer(x).argmax(1).tolist()
    return sum(int(answer(x[i : i + 1]).argmax()) != together[i] for i in range(len(x))) / len(x)


def _shuffled(answer, x):
    order = torch.arange(len(x) - 1, -1, -1)
    return (answer(x).argmax(1)[order] != answer(x[order]).argmax(1)).float().mean().item()


EXERCISE = Exercise(
    "03.company",
    title="Control 4: does the answer depend on the company?",
    reference=company,
    properties=[_alone, _in_company, _batch_norm],
    hints=[
        "Ask about the whole batch at once, and about each picture on its own: `answer(x[i : i + 1])`.",
        "Compare the two lists of `argmax(1)`, and return the share that differs.",
    ],
    second=_company_differently,
    mutants={
        "asks the same batch twice": lambda answer, x: (
            (answer(x).argmax(1) != answer(x).argmax(1)).float().mean().item()
        ),
        "shuffles the batch": _shuffled,
        "says whether, not how many": lambda answer, x: float(company(answer, x) > 0),
        "counts": lambda answer, x: company(answer, x) * len(x),
        "compares one picture only": lambda answer, x: float(answer(x).argmax(1)[0] != answer(x[:1]).argmax(1)[0]),
    },
)
