"""The gradient of each record's own loss, for a whole batch at once."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modelsec_course import models, privacy, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.lab_14_private_training.exercises.shared import Gradients


def _nets(seed: int = 0) -> list[tuple[nn.Module, Tensor, Tensor]]:
    """A linear and a convolutional network, with seven pictures each."""
    draw = runtime.generator(seed)
    x, y = torch.rand(7, 1, 6, 6, generator=draw), torch.randint(4, (7,), generator=draw)
    conv = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 4))
    return [(models.initialise(net, draw), x, y) for net in (models.linear(36, 4), conv)]


def _loop(model: nn.Module, x: Tensor, y: Tensor, reduce=None, names=lambda name: True) -> Gradients:
    """One backward pass for each record."""
    kept = {name: p for name, p in model.named_parameters() if names(name)}
    rows = [
        torch.autograd.grad(F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]), list(kept.values()))
        for i in range(len(x))
    ]
    return {name: torch.stack(parts) for name, parts in zip(kept, zip(*rows, strict=True), strict=True)}


def _expect_gradients(got: object, want: Gradients, what: str) -> None:
    expect(isinstance(got, dict), f"expected a dict from parameter names to tensors, got a {type(got).__name__}")
    expect(set(got) == set(want), f"expected the names {sorted(want)}, got {sorted(map(str, got))}")
    for name, value in want.items():
        expect_close(got[name], value, 1e-5, f"{what}, {name}")


def _each_loop(per_sample):
    """Equal a loop, one backward pass for each record, for every parameter"""
    for model, x, y in _nets():
        _expect_gradients(per_sample(model, x, y), _loop(model, x, y), f"a network of {len(model)} layers")


def _each_closed_form(per_sample):
    """Softmax regression: (p − onehot(y)) xᵀ for the weights, p − onehot(y) for the biases"""
    model, x, y = _nets(1)[0]
    residual = model(x).detach().softmax(1) - F.one_hot(y, 4)
    want = {"1.weight": residual[:, :, None] * x.flatten(1)[:, None], "1.bias": residual}
    _expect_gradients(per_sample(model, x, y), want, "softmax regression")


def _each_alone(per_sample):
    """A record's gradient depends on no other record, and a batch may hold one"""
    model, x, y = _nets(2)[1]
    both, alone = per_sample(model, x, y), per_sample(model, x[2:3], y[2:3])
    for name in both:
        expect_close(alone[name][0], both[name][2], 1e-6, f"record 2 by itself, and among seven: {name}")


def _each_leaves_no_trace(per_sample):
    """The model is as it was: its weights, its mode, and no .grad"""
    model, x, y = _nets(3)[0]
    model.train()
    before = copy.deepcopy(model.state_dict())
    per_sample(model, x, y)
    expect(all(torch.equal(before[name], value) for name, value in model.state_dict().items()), "the weights changed")
    left = getattr(per_sample, "left", [])
    expect(not left, f"the model is not as it was: {'; '.join(left)}")


def per_sample_gradients(model, x, y):
    return privacy.per_sample_gradients(model, x, y)


def _backward(model, x, y):
    """A mutant: right, but the batch's gradient stays in .grad."""
    F.cross_entropy(model(x), y).backward()
    return _loop(model, x, y)


def _evaluating(model, x, y):
    """A mutant: right, but the model stays in evaluation mode."""
    return _loop(model.eval(), x, y)


def _changed(change):
    """A mutant: the loop's result, changed."""
    return lambda model, x, y: {name: change(part) for name, part in _loop(model, x, y).items()}


EXERCISE = Exercise(
    "14.per_sample_gradients",
    title="One gradient for each record",
    reference=per_sample_gradients,
    properties=[_each_loop, _each_closed_form, _each_alone, _each_leaves_no_trace],
    hints=[
        "Write the loss of **one** record as a function of its weights. "
        "`functional_call(model, weights, (row[None],))` runs the model with these; `[None]` gives the row, and its "
        "label, a batch axis of 1.",
        "`grad(loss_of_one)` is a function that returns the gradient by `weights`, a dict like `weights`.",
        "`vmap(grad(loss_of_one), in_dims=(None, 0, 0))(weights, x, y)`: the same weights for all, one row and "
        "one label for each.",
    ],
    second=_loop,
    mutants={
        "the batch's mean, for everybody": _changed(lambda part: part.mean(0).expand(part.shape)),
        "each record's share of the mean": _changed(lambda part: part / len(part)),
        "the batch's sum": _changed(lambda part: part.sum(0)),
        "up instead of down": _changed(lambda part: -part),
        "forgets the biases": lambda model, x, y: _loop(model, x, y, names=lambda name: "bias" not in name),
        "leaves a gradient behind": _backward,
        "leaves the model in evaluation mode": _evaluating,
        "everybody has the first label": lambda model, x, y: _loop(model, x, y[:1].expand(len(y))),
    },
)
