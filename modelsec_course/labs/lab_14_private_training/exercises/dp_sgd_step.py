"""One step of DP-SGD: a clipped sum, noise, and the expected size of a batch."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from modelsec_course import runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.lab_14_private_training.exercises.shared import Gradients


def _step_setting(batch: int, seed: int = 0) -> tuple[Gradients, Gradients]:
    """Weights, and clipped gradients of `batch` records."""
    draw = runtime.generator(seed)
    weights = {"a": torch.randn(60, 50, generator=draw), "b": torch.randn(60, 50, generator=draw)}
    return weights, {name: torch.randn(batch, 60, 50, generator=draw) / 80 for name in weights}


def _noise(step, batch, *, lr=0.5, bound=2.0, sigma=3.0, expected=40.0, seed=4) -> Tensor:
    """What a step adds besides the gradients, in units of lr · bound · sigma / expected: (2, 60, 50)."""
    weights, clipped = _step_setting(batch)
    kept = {name: part.clone() for name, part in weights.items()}
    got = step(kept, clipped, lr, bound, sigma, expected, runtime.generator(seed))
    without = step(kept, clipped, lr, bound, 0.0, expected, runtime.generator(seed))
    return torch.stack([got[name] - without[name] for name in weights]) * expected / (lr * bound * sigma)


def _step_exact(step):
    """Without noise: w − lr · sum / expected, whatever the number of records drawn"""
    for batch in (3, 40, 90):
        weights, clipped = _step_setting(batch)
        got = step(weights, clipped, 0.5, 2.0, 0.0, 40.0, runtime.generator(0))
        for name, part in weights.items():
            want = part - 0.5 * clipped[name].sum(0) / 40
            expect_close(got[name], want, 1e-4, f"{batch} records drawn, 40 expected, sigma 0: {name}")


def _step_spread(step):
    """The noise on the sum has standard deviation sigma · bound, for every setting"""
    for batch, bound, sigma, expected in ((40, 2.0, 3.0, 40.0), (90, 0.5, 1.0, 40.0), (3, 1.0, 8.0, 200.0)):
        spread = _noise(step, batch, bound=bound, sigma=sigma, expected=expected).std().item()
        setting = f"{batch} records drawn, {expected:g} expected, bound {bound}, sigma {sigma}"
        expect(0.95 < spread < 1.05, f"with {setting}, the noise is {spread:.3g} times as wide as it should be")


def _step_empty(step):
    """An empty batch still gets its noise: otherwise its emptiness shows"""
    spread = _noise(step, 0).std().item()
    expect(0.95 < spread < 1.05, f"with no record drawn, the noise is {spread:.3g} times as wide as it should be")


def _step_fresh(step):
    """Each parameter and each step has noise of its own, drawn from the generator"""
    noise, other = _noise(step, 5).flatten(1), _noise(step, 5, seed=5).flatten(1)
    expect_close(noise, _noise(step, 5).flatten(1), 1e-3, "the noise with the same seed again")
    alike = torch.corrcoef(torch.cat([noise, other]))
    expect(alike.fill_diagonal_(0).abs().max() < 0.2, "two parameters, or two seeds, got the same noise")
    weights, clipped = _step_setting(5)
    draw = runtime.generator(6)
    first, second = (step(weights, clipped, 1.0, 1.0, 1.0, 1.0, draw)["a"] for _ in range(2))
    expect(not torch.equal(first, second), "two steps with one generator got the same noise")


def _step_pure(step):
    """The weights that came in are as they were"""
    weights, clipped = _step_setting(5)
    before = {name: part.clone() for name, part in weights.items()}
    step(weights, clipped, 0.5, 1.0, 1.0, 10.0, runtime.generator(0))
    expect(all(torch.equal(before[k], weights[k]) for k in weights), "the weights were changed: return new ones")


def _take_step(
    weights, clipped, lr, bound, sigma, expected, generator,
    *, divide=lambda batch, expected: expected, width=lambda bound, sigma, expected: bound * sigma, same=False,
    empty=True, down=1,
):  # fmt: skip
    """Noise first, then all records added to it."""
    result, drawn = {}, None
    for name, weight in weights.items():
        batch = len(clipped[name])
        if drawn is None or not same:
            drawn = torch.randn(weight.shape, generator=generator)
        total = width(bound, sigma, expected) * drawn * (1.0 if batch or empty else 0.0)
        for row in clipped[name]:
            total = total + row
        result[name] = weight - down * lr * total / divide(batch, expected)
    return result


def dp_sgd_step(weights, clipped, lr, bound, sigma, expected, generator):
    new = {}
    for name, weight in weights.items():
        noise = torch.randn(weight.shape, generator=generator, device=generator.device).to(weight)
        new[name] = weight - lr * (clipped[name].sum(0) + sigma * bound * noise) / expected
    return new


EXERCISE = Exercise(
    "14.dp_sgd_step",
    title="A private step",
    reference=dp_sgd_step,
    properties=[_step_exact, _step_spread, _step_empty, _step_fresh, _step_pure],
    hints=[
        "For each parameter: `clipped[name].sum(0)` first. Over an empty batch that is 0, which is right.",
        "Then the noise: `sigma * bound * torch.randn(weight.shape, generator=generator)`. Then divide, by `expected`.",
        "`new[name] = weight - lr * (total + noise) / expected`, into a new dict.",
    ],
    second=_take_step,
    mutants={
        "divides by the batch that was drawn": functools.partial(_take_step, divide=lambda b, e: max(b, 1)),
        "noises the mean": functools.partial(_take_step, width=lambda bound, sigma, e: bound * sigma * e),
        "divides the noise twice": functools.partial(_take_step, width=lambda bound, sigma, e: bound * sigma / e),
        "forgets the bound": functools.partial(_take_step, width=lambda bound, sigma, e: sigma),
        "takes sigma for a variance": functools.partial(_take_step, width=lambda b, sigma, e: b * math.sqrt(sigma)),
        "one noise for all parameters": functools.partial(_take_step, same=True),
        "no noise for an empty batch": functools.partial(_take_step, empty=False),
        "no noise at all": functools.partial(_take_step, width=lambda bound, sigma, e: 0.0),
        "climbs": functools.partial(_take_step, down=-1),
        "noise that is the same at every step": lambda w, c, lr, b, s, e, g: _take_step(
            w, c, lr, b, s, e, runtime.generator(0)
        ),
    },
)  # fmt: skip
