"""MI-Face: climb a model's probability of a name by gradient steps on the picture."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import models, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def line(classes: int = 3, seed: int = 0) -> nn.Sequential:
    """Softmax regression on 4×4 pictures."""
    return models.initialise(models.linear(16, classes), runtime.generator(seed)).eval()


def _starts(n: int = 5, seed: int = 1) -> tuple[Tensor, Tensor]:
    draw = runtime.generator(seed)
    return 0.3 + 0.4 * torch.rand(n, 1, 4, 4, generator=draw), torch.arange(n) % 3


def log_probability(model, x: Tensor, y: Tensor) -> Tensor:
    return F.log_softmax(model(x), 1)[torch.arange(len(y)), y]


def _class_exact(invert):
    """On softmax regression: each step adds lr · (w of the class − the mean w, weighed by the probabilities)"""
    model, (x, y) = line(), _starts()
    weight, want = model[1].weight.detach(), x.clone()
    for steps in (1, 2):
        p = model(want).softmax(1).detach()
        want = (want + 0.2 * (weight[y] - p @ weight).view_as(x)).clamp(0, 1)
        expect_close(invert(model, y, x, steps=steps, lr=0.2), want, 1e-5, f"the pictures after {steps} step(s)")


def _class_box(invert):
    """Stays in [0, 1] at every step, not only at the end"""
    model, (x, y) = line(), _starts()
    with torch.no_grad():
        model[1].weight.mul_(30)
        model[1].bias.sub_(model[1].weight.sum(1) / 2)  # the middle grey is nobody
    asked = []

    def watched(pictures):
        asked.append(pictures.detach())
        return model(pictures)

    got = torch.as_tensor(invert(watched, y, x, steps=4, lr=1.0))
    for pictures in (*asked, got):
        low, high = float(pictures.detach().min()), float(pictures.detach().max())
        expect(low >= 0 and high <= 1, f"a picture has grey values from {low:.2f} to {high:.2f}: clamp after each step")


def _class_alone(invert):
    """A picture's result does not depend on the others in the batch"""
    model, (x, y) = line(), _starts()
    together = invert(model, y, x, steps=5, lr=0.3)
    alone = torch.cat([torch.as_tensor(invert(model, y[i : i + 1], x[i : i + 1], steps=5, lr=0.3)) for i in range(5)])
    expect_close(alone, together, 1e-5, "the picture made alone, beside the one made in a batch")


def _class_goal(invert):
    """Reaches the class, on a network too, and for each class of one start"""
    net = nn.Sequential(models.Normalize([0.5], [0.1]), nn.Flatten(), nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 3))
    models.initialise(net, runtime.generator(2))
    with torch.no_grad():
        net[-1].weight.mul_(10)
    y = torch.arange(3)
    got = log_probability(net, invert(net, y, torch.full((3, 1, 4, 4), 0.5), steps=40, lr=0.05), y).detach().exp()
    expect(got > 0.8, f"after 40 steps a network gives the class only {float(got.min()):.0%}, expected over 80 %")


def _class_tidy(invert):
    """Leaves the start and the model as they were; returns no gradient"""
    model, (x, y) = line(), _starts()
    before = x.clone()
    got = invert(model, y, x, steps=3, lr=0.3)
    expect(torch.equal(x, before), "the caller's start was changed: work on start.clone()")
    expect(not got.requires_grad, "the result still has a gradient attached: use .detach()")
    left = "; ".join(getattr(invert, "left", []))
    expect(not left, f"the model is not as it was: {left}. `torch.autograd.grad` leaves nothing behind")


def invert_class(model, y, start, steps=100, lr=0.1):
    x = start.clone()
    for _ in range(steps):
        x.requires_grad_()
        score = F.log_softmax(model(x), 1).gather(1, y[:, None]).sum()
        (slope,) = torch.autograd.grad(score, x)
        x = (x.detach() + lr * slope).clamp(0, 1)
    return x


def _class_by_hand(
    model, y, start, steps=100, lr=0.1,
    *, sign=1, clip="each", score="log", reduce="sum", at="own", copy=True, normal=False,
):  # fmt: skip
    """By cross-entropy, which falls as log p rises."""
    x = start.clone() if copy else start
    for _ in range(steps):
        leaf = x.detach().requires_grad_()
        logits = model(leaf)
        label = y if at == "own" else logits.argmax(1)
        losses = F.cross_entropy(logits, label, reduction="none")
        losses = losses if score == "log" else -logits[torch.arange(len(y)), y]
        (gradient,) = torch.autograd.grad(getattr(losses, reduce)(), leaf)
        if normal:
            gradient = gradient.sign()
        moved = leaf.detach() - sign * lr * gradient
        moved = moved.clamp(0, 1) if clip == "each" else moved
        x = x.copy_(moved) if not copy else moved
    return x.clamp(0, 1) if clip == "end" else x


EXERCISE = Exercise(
    "11.invert_class",
    title="Climb the model's score",
    reference=invert_class,
    properties=[_class_exact, _class_alone, _class_box, _class_goal, _class_tidy],
    hints=[
        "`x = start.clone()`; in each step `x.requires_grad_()`, then the log-probability of each picture's own class: "
        "`F.log_softmax(model(x), 1).gather(1, y[:, None]).sum()`.",
        "`(slope,) = torch.autograd.grad(score, x)` is each picture's own gradient, since the others' scores do not "
        "depend on it. A *mean* over the batch would divide it by the number of pictures.",
        "`x = (x.detach() + lr * slope).clamp(0, 1)`: upwards, and back into [0, 1] after each step.",
    ],
    second=_class_by_hand,
    mutants={
        "walks downhill": functools.partial(_class_by_hand, sign=-1),
        "the batch's mean instead of its sum": functools.partial(_class_by_hand, reduce="mean"),
        "climbs the logit": functools.partial(_class_by_hand, score="logit"),
        "climbs whatever the model says": functools.partial(_class_by_hand, at="said"),
        "steps of the gradient's sign": functools.partial(_class_by_hand, normal=True),
        "clips at the end only": functools.partial(_class_by_hand, clip="end"),
        "never clips": functools.partial(_class_by_hand, clip="no"),
        "writes into the start": functools.partial(_class_by_hand, copy=False),
    },
)
