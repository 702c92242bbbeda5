"""Canaries: records that an auditor adds to a training set, each by a coin of its own, to see whether they show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modelsec_course import runtime, validation
from modelsec_course.privacy.auditing import audit_one_run, audit_runs

__all__ = ["Canaries", "Trainer", "audit_repeated", "audit_training", "insert_canaries"]

Trainer = Callable[..., object]  # train(model, x, y, *, generator, on_step=None), as `dp_sgd` once its plan is bound
GUESSES = (100, 200, 500)


@dataclass(frozen=True)
class Canaries:
    """A training set whose last rows are canaries: x (n + canaries, features + canaries), and y.

    included: bool (canaries,), the coins that the attacker must guess; the row of a canary left out is blank, all 0.
    """

    x: Tensor
    y: Tensor
    included: Tensor

    def scores(self, weight: Tensor) -> Tensor:
        """How far each canary's own column points to its label: (..., canaries), higher means included.

        weight: (..., classes, features + canaries), of a softmax regression, or minus its gradient.
        """
        validation.tensor("weight", weight)
        if weight.dim() < 2 or weight.shape[-1] != self.x.shape[1]:
            raise ValueError(f"weight must have {self.x.shape[1]} columns, but its shape is {tuple(weight.shape)}")
        count, classes = len(self.included), weight.shape[-2]
        towards = F.one_hot(self.y[-count:], classes).to(weight) - 1 / classes  # minus a first gradient's direction
        return (weight[..., -count:].transpose(-1, -2) * towards).sum(-1)

    def readings(self, steps: Tensor, period: int) -> dict[str, Tensor]:
        """Three ways to read a transcript of scores (steps, canaries): each is (canaries,), higher means included.

        "sum" is what the final weights show as well. "spread" over the steps shows a canary that comes and goes, if the
        noise does not. "own steps" are those where its row would come up, if rows came in file order every `period`.
        """
        rows = torch.arange(len(self.x), device=steps.device)[-len(self.included) :]
        own = torch.arange(len(steps), device=steps.device)[:, None] % period == rows % period
        return {"sum": steps.sum(0), "spread": steps.std(0), "own steps": (steps * own).sum(0)}


def insert_canaries(
    x: Tensor,
    y: Tensor,
    count: int,
    *,
    classes: int,
    scale: float = 1.0,
    included: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Canaries:
    """Add `count` spare features, 0 in all records, and as many canaries, each `scale` in a feature of its own.

    So no other record moves a canary's weights: only the noise hides it. In a model without biases a blank row has no
    gradient, so leaving a canary out is what the definition of privacy calls removing it.
    x: (n, ...) records, which are flattened.  y: (n,) labels.  included: bool (count,) (default: fair coins).
    generator: draws the canaries' labels and the coins (default: seed 0).
    """
    validation.tensor("x", x)
    validation.count("classes", classes, low=2)
    validation.labels(y, x, classes=classes)
    validation.count("count", count)
    validation.positive("scale", scale)
    validation.randomness("generator", generator)
    generator = generator or runtime.generator(0)
    labels = torch.randint(classes, (count,), generator=generator, device=generator.device).to(x.device)
    if included is None:
        included = torch.rand(count, generator=generator, device=generator.device) < 0.5
    if included.dtype != torch.bool or included.shape != (count,):
        raise ValueError(f"included must be bool ({count},), but it is {included.dtype} {tuple(included.shape)}")
    included = included.to(x.device)
    rows = F.pad(torch.diag(scale * included.to(x)), (x[:1].numel(), 0))
    return Canaries(torch.cat([F.pad(x.flatten(1), (0, count)), rows]), torch.cat([y, labels]), included)


def audit_training(
    train: Trainer, canaries: Canaries, *, classes: int, sampling_rate: float, delta: float, confidence: float = 0.95,
    generator: torch.Generator | None = None,
) -> dict[str, float]:  # fmt: skip
    """Lower bounds on ε from one run of softmax regression without biases, by what the attacker sees of it.

    train: see `Trainer`.  Returns "weights", from the final ones, and "transcript", the best of all `readings` of each
    step's noisy sums, each with a third of the error.
    """
    validation.function("train", train)
    net, seen = _softmax_regression(canaries, classes), []
    train(
        net, canaries.x, canaries.y, generator=generator or runtime.generator(0),
        on_step=lambda _, sums: seen.append(canaries.scores(-sums["weight"])),
    )  # fmt: skip
    readings = canaries.readings(torch.stack(seen), round(1 / sampling_rate))

    def bound(scores: Tensor, confidence: float) -> float:
        return audit_one_run(scores, canaries.included, delta=delta, confidence=confidence, guesses=GUESSES)

    each = 1 - (1 - confidence) / len(readings)
    return {
        "weights": bound(canaries.scores(net.weight.detach()), confidence),
        "transcript": max(bound(scores, each) for scores in readings.values()),
    }


def audit_repeated(
    train: Trainer, x: Tensor, y: Tensor, *, classes: int, runs: int, delta: float, scale: float = 20.0,
    confidence: float = 0.95, generator: torch.Generator | None = None,
) -> float:  # fmt: skip
    """The lower bound on ε from the final weights of `runs` independent runs with one canary, in or out by a coin.

    generator: draws the coins and every run's seed (default: seed 0).
    """
    validation.function("train", train)
    validation.count("runs", runs, low=8)
    generator = generator or runtime.generator(0)
    coins = torch.rand(runs, generator=generator, device=generator.device) < 0.5
    seeds = torch.randint(2**62, (runs,), generator=generator, device=generator.device).tolist()
    scores = torch.zeros(runs, device=x.device)
    for run, (coin, seed) in enumerate(zip(coins, seeds, strict=True)):
        canary = insert_canaries(x, y, 1, classes=classes, scale=scale, included=coin[None])
        net = _softmax_regression(canary, classes)
        train(net, canary.x, canary.y, generator=runtime.generator(seed))
        scores[run] = canary.scores(net.weight.detach())[0]
    return audit_runs(scores, coins.to(x.device), delta=delta, confidence=confidence)


def _softmax_regression(canaries: Canaries, classes: int) -> nn.Linear:
    net = nn.Linear(canaries.x.shape[1], classes, bias=False, device=canaries.x.device)
    nn.init.zeros_(net.weight)
    return net
