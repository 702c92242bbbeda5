"""The control of model inversion: for each name, the public picture that fits best."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from modelsec_course import inversion, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.lab_11_model_inversion.exercises.identity_rate import Numbered, numbered_people
from modelsec_course.labs.lab_11_model_inversion.exercises.invert_class import line


def _album(n: int = 40, seed: int = 6) -> tuple[nn.Module, Tensor, Tensor]:
    """A model of five classes, public pictures, and the model's probabilities (n, 5)."""
    net = line(5, seed)
    with torch.no_grad():
        net[1].weight.mul_(8)
    x = torch.rand(n, 1, 4, 4, generator=runtime.generator(seed))
    return net, x, net(x).softmax(1).detach()


def _alike_best(find):
    """No public picture gets a name with a higher probability"""
    for seed in (6, 7, 8):
        net, x, p = _album(seed=seed)
        got = torch.as_tensor(find(net, x, torch.arange(5)))
        expect(got.shape == (5, 1, 4, 4), f"expected pictures (5, 1, 4, 4), one for each name, got {tuple(got.shape)}")
        own = net(got).softmax(1).detach().diagonal()
        expect_close(own, p.amax(0), 1e-5, "the probability of each name on its look-alike")


def _alike_public(find):
    """Every answer is a picture from the album"""
    net, x, _ = _album()
    got = torch.as_tensor(find(net, x, torch.arange(5)))
    expect((got[:, None] == x[None]).flatten(2).all(2).any(1), "a result is not one of the public pictures")


def _alike_names(find):
    """Answers for the names asked about, in their order, whatever else the model knows"""
    net, x, p = _album()
    y = torch.tensor([3, 3, 0])
    expect_close(find(net, x, y), x[p.argmax(0)[y]], 1e-6, "the look-alikes of names 3, 3 and 0")


def _alike_probability(find):
    """Goes by the probability, not by the logit: a picture that shouts every name is nobody's look-alike"""
    x = numbered_people(3)
    logits = torch.tensor([[9.0, 9.0, 9.0], [5.0, 0.0, 0.0], [0.0, 4.0, 4.5]])
    got = find(Numbered(logits), x, torch.arange(3))
    expect_close(got, x[[1, 2, 2]], 1e-6, "with one picture that gets the logit 9 for everybody, the look-alikes")


def look_alike(model, public, y):
    return public[inversion.look_alike(model, public, y)]


def _alike_by_hand(model, public, y, *, scale="log", worst=False, own=True, names=True, best=0):
    logits = model(public).detach()
    scores = {"log": logits.log_softmax(1), "logit": logits, "names": logits.softmax(0)}[scale]
    scores = -scores if worst else scores
    wanted = y.tolist() if names else range(len(y))
    picks = [int(scores[:, name].argsort(descending=True)[best]) for name in wanted]
    if not own:  # the picture that the model is surest about, whoever it shows
        picks = [int(scores.amax(1).argmax())] * len(y)
    return torch.stack([public[i] for i in picks])


EXERCISE = Exercise(
    "11.look_alike",
    title="What does a search alone show?",
    reference=look_alike,
    properties=[_alike_best, _alike_public, _alike_names, _alike_probability],
    hints=[
        "`model(public).softmax(1)` is (m, classes). Keep the columns of the names asked about: `[:, y]`.",
        "Which *picture* is best for each name? The largest in each column: `.argmax(0)`, and `public[…]` of that.",
    ],
    second=_alike_by_hand,
    mutants={
        "goes by the logit": functools.partial(_alike_by_hand, scale="logit"),
        "softmax over the pictures": functools.partial(_alike_by_hand, scale="names"),
        "the picture that is least alike": functools.partial(_alike_by_hand, worst=True),
        "the second best": functools.partial(_alike_by_hand, best=1),
        "the surest picture for everybody": functools.partial(_alike_by_hand, own=False),
        "ignores which names are asked about": functools.partial(_alike_by_hand, names=False),
    },
)
