"""Train a copy on a victim's answers, asking about each query once."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import data, extraction, models, runtime, zoo
from modelsec_course.lab.exercise import Exercise, expect


def _student(d: int, classes: int, seed: int = 5) -> nn.Module:
    return models.initialise(models.linear(d, classes), runtime.generator(seed))


@functools.cache
def _linear_victim() -> tuple[nn.Module, Tensor]:
    net, draw = _student(8, 4, seed=3), runtime.generator(4)
    with torch.no_grad():
        net[1].weight.mul_(2)
    return net.eval(), torch.randn(600, 8, generator=draw)


def _knockoff_asks(copy):
    """Asks about each query once: a budget of exactly that many is enough"""
    net, x = _linear_victim()
    victim = extraction.Victim(net, budget=100)
    try:
        copy(victim, x[:100], _student(8, 4), 3, runtime.generator(0))
    except extraction.OutOfQueries:
        expect(False, f"100 queries and a budget of 100: the victim was asked again after {victim.spent} answers")
    expect(victim.spent == 100, f"asked {victim.spent} times about 100 queries")


def _knockoff_soft(copy):
    """Uses the probabilities as they are: a linear copy of a linear model ends within 0.03 of each"""
    net, x = _linear_victim()
    student = copy(extraction.Victim(net), x, _student(8, 4), 60, runtime.generator(0))
    with torch.no_grad():
        gap = (student(x).softmax(1) - net(x).softmax(1)).abs().mean().item()
    expect(
        gap < 0.03,
        f"the copy's probabilities are {gap:.3f} off on average, expected less than 0.03. Likely causes: answers "
        "turned into labels, a softmax before cross_entropy, or too few steps (batches larger than 64)",
    )


def _knockoff_labels(copy):
    """Works from labels alone too"""
    net, x = _linear_victim()
    student = copy(extraction.Victim(net, answers="label"), x[:400], _student(8, 4), 150, runtime.generator(0))
    same = extraction.agreement(student, net, x[400:])
    expect(same > 0.85, f"from 400 labels the copy agrees on {same:.0%} of 200 new inputs, expected about 95 %")


def _knockoff_obeys(copy):
    """Believes the victim: if it calls everything a 7, so does the copy"""
    constant = lambda x: F.one_hot(torch.full((len(x),), 7), 10).float()  # noqa: E731
    x = torch.rand(64, 1, 8, 8, generator=runtime.generator(1))
    student = copy(constant, x, _student(64, 10), 80, runtime.generator(0))
    expect((student(x).argmax(1) == 7).all(), "the victim called everything a 7, and the copy does not")


def _knockoff_digits(copy):
    """On digits: 500 blends of 100 public digits give 80 % agreement, and the untrained student has less than 40 %"""
    digits, victim = data.load("digits"), zoo.load("digits-linear", device="cpu")
    x = extraction.mixtures(digits.x_test[:100], 500, generator=runtime.generator(2))
    before = extraction.agreement(_student(64, 10), victim, digits.x_test[100:])
    student = copy(extraction.Victim(victim), x, _student(64, 10), 40, runtime.generator(0))
    after = extraction.agreement(student, victim, digits.x_test[100:])
    expect(after > 0.8 and before < 0.4, f"agreement on 260 new digits: {before:.0%} before, {after:.0%} after")


def _a_student(result, args, kwargs) -> None:
    expect(isinstance(result, nn.Module), f"expected the trained student, got a {type(result).__name__}")
    expect(not result.training, "the copy is left in train mode: return student.eval()")


def knockoff(victim, x, student, epochs, generator):
    return extraction.knockoff(victim, x, student, epochs=epochs, generator=generator, progress=False)


def _knockoff_by_hand(
    victim, x, student, epochs, generator, *, ask="once", soften=lambda a: a, output=lambda z: z, step=True, last=True
):
    """Cross-entropy written out, and batches of 50."""
    answers = victim(x)
    if ask == "twice":
        victim(x)
    answers = soften(F.one_hot(answers, 4).float() if answers.dim() == 1 else answers)
    optimiser = torch.optim.Adam(student.parameters(), 3e-3)
    student.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(50):
            wanted = victim(x[rows]) if ask == "again" else answers[rows]
            loss = -(wanted * output(student(x[rows])).log_softmax(1)).sum(1).mean()
            optimiser.zero_grad()
            loss.backward()
            if step:
                optimiser.step()
    return student.eval() if last else student.train()


EXERCISE = Exercise(
    "09.knockoff",
    title="A knock-off",
    reference=knockoff,
    properties=[_knockoff_asks, _knockoff_soft, _knockoff_labels, _knockoff_obeys, _knockoff_digits],
    hints=[
        "Ask once, before the loop: `answers = victim(x)`. Each call costs as many queries as it has rows.",
        "`F.cross_entropy(student(x[rows]), answers[rows])` takes labels (n,) and probabilities (n, classes) alike.",
        "Then `optimiser.zero_grad()`, `loss.backward()`, `optimiser.step()`.",
    ],
    returns=_a_student,
    mutates=("student",),
    second=_knockoff_by_hand,
    mutants={
        "asks in every epoch": functools.partial(_knockoff_by_hand, ask="again"),
        "asks twice": functools.partial(_knockoff_by_hand, ask="twice"),
        "throws the probabilities away": functools.partial(
            _knockoff_by_hand, soften=lambda a: F.one_hot(a.argmax(1), a.shape[1]).float()
        ),
        "softmax before cross-entropy": functools.partial(_knockoff_by_hand, output=lambda z: z.softmax(1)),
        "never steps": functools.partial(_knockoff_by_hand, step=False),
        "learns the opposite": functools.partial(
            _knockoff_by_hand, soften=lambda a: (1 - a) / (1 - a).sum(1, keepdim=True)
        ),
        "leaves the copy in train mode": functools.partial(_knockoff_by_hand, last=False),
    },
)
