"""Guess a record's hidden column by Bayes' rule from a model's answers."""

from __future__ import annotations

import functools
import math

import torch

from modelsec_course import membership, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _people(n=8, seed=3):
    """Records with three columns, outcomes, and a plane whose slope along column 1 is 2."""
    draw = runtime.generator(seed)
    x, weight = torch.randn(n, 3, generator=draw), torch.tensor([0.5, 2.0, -1.0])
    return x, 3 * torch.randn(n, generator=draw), lambda rows: rows @ weight


EVEN = torch.tensor([0.5, 0.5])


def _attribute_prior(infer):
    """A model that ignores the column leaves the prior as it was"""
    x, y, _ = _people()
    each = torch.rand(8, 2, generator=runtime.generator(4)) + 0.1
    for prior in (torch.tensor([0.2, 0.8]), each / each.sum(1, keepdim=True)):
        got = infer(lambda rows: rows[:, 0], x, y, 1, (0.0, 1.0), prior, 0.5)
        expect_close(got, prior.expand(8, 2), 1e-4, f"with a prior of shape {tuple(prior.shape)}, the probabilities")


def _attribute_odds(infer):
    """On a plane: the odds of two Gaussians, in closed form"""
    x, y, plane = _people()
    for sigma, prior in ((2.0, 0.5), (4.0, 0.2)):
        got = infer(plane, x, y, 1, (1.0, 4.0), torch.tensor([1 - prior, prior]), sigma)
        rest = y - plane(x * torch.tensor([1.0, 0.0, 1.0]))  # ((rest − 2)² − (rest − 8)²) / 2σ²
        odds = math.log(prior / (1 - prior)) + (12 * rest - 60) / (2 * sigma**2)
        what = f"with sigma = {sigma} and a prior of {prior}, the probability of the second value"
        expect_close(got[:, 1], odds.sigmoid(), 1e-4, what)
        expect_close(got.sum(1), torch.ones(8), 1e-4, "the sum over the values")


def _attribute_hidden(infer):
    """Never looks at the hidden column, and leaves the records as they are"""
    x, y, plane = _people()
    want = infer(plane, x.clone(), y, 1, (0.0, 1.0), EVEN, 1.0)
    other = x.clone()
    other[:, 1] = 50.0
    before = other.clone()
    expect_close(infer(plane, other, y, 1, (0.0, 1.0), EVEN, 1.0), want, 1e-4, "with another number in the column")
    expect(torch.equal(other, before), "the caller's x was changed: work on x.clone()")


def _attribute_far(infer):
    """An outcome 1,000 σ from every answer still gives probabilities"""
    x, _, plane = _people()
    got = infer(plane, x, plane(x) + 1000, 1, (0.0, 1.0), EVEN, 1.0)
    expect(got.isfinite().all(), "the densities underflow to 0 / 0: add logarithms instead, and end with softmax")
    expect(got[:, 1].min() > 0.99, f"the nearer answer gets only {got[:, 1].min():.3f}")


def _attribute_table(infer):
    """A model that is a table of its members gives away all of them; of strangers it knows nothing"""
    draw = runtime.generator(6)
    x, y = torch.randn(400, 4, generator=draw), torch.randn(400, generator=draw)
    x[:, 2] = torch.randint(2, (400,), generator=draw).float()
    members = x[:200] * torch.tensor([1.0, 1, 9, 1])

    def table(rows):
        return y[:200][torch.cdist(rows * torch.tensor([1.0, 1, 9, 1]), members).argmin(1)]

    for who, rows, low, high in (("members", slice(0, 200), 0.95, 1), ("strangers", slice(200, 400), 0.35, 0.65)):
        got = infer(table, x[rows], y[rows], 2, (0.0, 1.0), EVEN, 0.05).argmax(1)
        right = (got == x[rows, 2]).float().mean().item()
        expect(low <= right <= high, f"of the {who}, {right:.0%} are guessed right, expected {low:.0%} to {high:.0%}")


def infer_attribute(model, x, y, column, values, prior, sigma):
    return membership.infer_attribute(model, x, y, column=column, values=values, prior=prior, sigma=sigma)


def _attribute_densities(
    model, x, y, column, values, prior, sigma,
    *, weigh=True, put=lambda x, i, value: value, power=2, twice=2, sign=-1, over=1, logs=True,
):  # fmt: skip
    """Density by density, in float64, the largest taken out before they are added."""
    parts = []
    for i, value in enumerate(values):
        asked = x.clone()
        asked[:, column] = put(x, i, value)
        parts.append(sign * (y - model(asked)).double() ** 2 / (twice * sigma**power))
    parts = torch.stack(parts, 1)
    weights = (parts - parts.amax(1, keepdim=True) if logs else parts).exp()
    weights = weights * prior if weigh else weights
    return (weights / weights.sum(over, keepdim=True)).float()


def _in_place(model, x, y, column, values, prior, sigma):
    parts = []
    for value in values:
        x[:, column] = value
        parts.append(-(y - model(x)).square() / (2 * sigma**2))
    return (prior.log() + torch.stack(parts, 1)).softmax(1)


EXERCISE = Exercise(
    "10.infer_attribute",
    title="Guess the column that is missing",
    reference=infer_attribute,
    properties=[_attribute_prior, _attribute_odds, _attribute_hidden, _attribute_far, _attribute_table],
    hints=[
        "Ask once for each value: `asked = x.clone()`, `asked[:, column] = value`, `model(asked)`. Which answer is "
        "closest to y?",
        "The logarithm of a Gaussian's density, but for a constant, is `-(y - answer) ** 2 / (2 * sigma**2)`. Add "
        "`prior.log()`.",
        "Put one such column for each value side by side with `torch.stack(..., 1)`. `.softmax(1)` takes the "
        "exponential and divides by the sum, without underflow.",
    ],
    second=_attribute_densities,
    mutants={
        "forgets the prior": functools.partial(_attribute_densities, weigh=False),
        "forgets the square of σ": functools.partial(_attribute_densities, power=1),
        "forgets the 2 of 2σ²": functools.partial(_attribute_densities, twice=1),
        "prefers the worst answer": functools.partial(_attribute_densities, sign=1),
        "asks with the value's index": functools.partial(_attribute_densities, put=lambda x, i, value: float(i)),
        "asks with what the column holds": functools.partial(
            _attribute_densities, put=lambda x, i, value: x[:, 1] + value
        ),
        "divides by the sum over people": functools.partial(_attribute_densities, over=0),
        "multiplies densities that underflow": functools.partial(_attribute_densities, logs=False),
        "writes into the caller's records": _in_place,
    },
)
