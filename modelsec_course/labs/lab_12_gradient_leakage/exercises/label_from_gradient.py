"""Read a single example's label off the gradient of the last bias."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from modelsec_course import inversion, runtime
from modelsec_course.lab.exercise import Exercise, expect


def _last_bias(logits: Tensor, y: int) -> Tensor:
    """∂L/∂b of the last layer for one example: softmax minus one-hot, in float64."""
    p = logits.double().softmax(0)
    p[y] -= 1
    return p


def _told(label, gradient: Tensor) -> int:
    got = label(gradient)
    expect(isinstance(got, (int, np.integer)), f"return an int, not {type(got).__name__}")
    return int(got)


def _label_exact(label):
    """Is the label, for any logits"""
    draw = runtime.generator(1)
    for classes in (3, 5, 10, 100):
        for _ in range(20):
            y = int(torch.randint(classes, (1,), generator=draw))
            gradient = _last_bias(3 * torch.randn(classes, generator=draw), y)
            got = _told(label, gradient)
            expect(got == y, f"with {classes} classes and label {y}, it says {got}")


def _label_sure(label):
    """Also when the model is nearly sure of the label, and when it is nearly sure of another one"""
    for y, said in ((2, 2), (2, 0), (0, 4)):
        gradient = _last_bias(12.0 * torch.eye(5)[said], y)
        got = _told(label, gradient)
        expect(got == y, f"label {y}, and a model that says {said}: it answers {got}")


def _label_two(label):
    """With two classes, whose entries differ by their sign only"""
    for y in (0, 1):
        got = _told(label, _last_bias(torch.tensor([0.3, -0.2]), y))
        expect(got == y, f"of two classes the label is {y}, and it says {got}")


def _label_scale(label):
    """In any unit: a gradient ten thousand times smaller has the same label"""
    for y in range(4):
        got = _told(label, 1e-4 * _last_bias(torch.tensor([1.0, -1, 0.5, 2]), y))
        expect(got == y, f"with 1e-4 times the gradient of label {y}, it says {got}")


def label_from_gradient(bias_gradient):
    return inversion.label_from_gradient(bias_gradient)


EXERCISE = Exercise(
    "12.label_from_gradient",
    title="The label, by its sign",
    reference=label_from_gradient,
    properties=[_label_exact, _label_sure, _label_two, _label_scale],
    hints=[
        "∂L/∂bₖ is pₖ − 1 for the label and pₖ for all others. Which of these numbers can be negative?",
        "There is one negative entry: the smallest. `.argmin()`, and `int(...)`.",
    ],
    second=lambda gradient: int((gradient < 0).nonzero()[0]),
    mutants={
        "the largest entry": lambda gradient: int(gradient.argmax()),
        "a tensor": lambda gradient: gradient.argmin(),
        "the largest in absolute value": lambda gradient: int(gradient.abs().argmax()),
        "the smallest in absolute value": lambda gradient: int(gradient.abs().argmin()),
        "the first below −1/2": lambda gradient: int((gradient < -0.5).int().argmax()),
        "the first below −0.001": lambda gradient: int((gradient < -0.001).int().argmax()),
    },
)
