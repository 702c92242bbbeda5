"""DP-SGD: gradient descent whose every step is a Gaussian mechanism, so that ε bounds what the weights give away."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from modelsec_course import validation
from modelsec_course.privacy import bookkeeping, clipping
from modelsec_course.privacy.accounting import rdp_epsilon
from modelsec_course.privacy.search import source
from modelsec_course.training import Loss, checked, cross_entropy, squared_error

__all__ = ["PrivateHistory", "dp_sgd", "poisson_sample"]

ROUTES = {"fast": bookkeeping.clipped_sum, "readable": clipping.clipped_sum}
Sums = dict[str, Tensor]


@dataclass
class PrivateHistory:
    """What a private run did, step by step.

    epsilons: the privacy spent after each step, at `delta`.  sampled: rows drawn.  losses: their mean loss before the
    step, NaN if none was drawn.  Losses and numbers of rows are not private: they come straight from the data.
    """

    delta: float
    epsilons: list[float]
    sampled: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    @property
    def epsilon(self) -> float:
        """The privacy spent by the whole run."""
        return self.epsilons[-1]


def dp_sgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    noise_multiplier: float,
    sampling_rate: float,
    steps: int,
    clip: float = 1.0,
    lr: float = 1.0,
    momentum: float = 0.0,
    delta: float = 1e-5,
    sampling: str = "poisson",
    micro_batch: int | None = None,
    route: str = "fast",
    loss: Loss = cross_entropy,
    generator: torch.Generator | None = None,
    progress: bool = True,
    on_step: Callable[[int, Sums], None] | None = None,
) -> PrivateHistory:
    """Train `model` in place with differential privacy: the final weights, and all on the way, are (ε, δ)-private.

    x: (n, ...) inputs.  y: (n,) labels.  Neighbours are data sets that differ by one added or removed row; n itself is
    taken as known.  Each step draws every row with probability `sampling_rate`, clips each row's gradient to L2 norm
    `clip`, sums, adds Gaussian noise of standard deviation noise_multiplier × clip, and divides by the expected number
    of rows.  noise_multiplier=0 gives no privacy, and says so: ε is infinite.

    sampling: "poisson", or "shuffled", which passes through the rows in random order; its ε is the one of the Gaussian
    mechanism once per pass, since nothing is proved that would let it have the smaller one of Poisson sampling.
    micro_batch: at most so many rows at once; it bounds the memory and changes nothing else.  route: "fast" or
    "readable", the same numbers.  loss(model, x, y) -> scalar, the mean over the rows.  generator: draws rows and
    noise; without one the operating system seeds it, since who knows the seed sees through the noise.
    on_step(step, sums) is handed each step's noisy sums by parameter name, before the division: all that a spy on the
    training sees.
    Raises on batch norm, which mixes rows.

    Source: Abadi et al., 2016, "Deep learning with differential privacy"; on shuffling, Chua et al., 2024, "How private
    are DP-SGD implementations?".
    """
    _check(model, x, y, loss, generator, on_step)
    _check_plan(noise_multiplier, sampling_rate, steps, clip, lr, momentum, sampling, micro_batch, route)
    generator = source(generator)
    history = PrivateHistory(delta, [*_spent(len(x), sampling_rate, noise_multiplier, steps, delta, sampling)])
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    velocity = {name: torch.zeros_like(p) for name, p in parameters.items()}
    losses = []  # as tensors: to read one out would have an accelerator wait at every step
    batches = islice(SAMPLINGS[sampling](len(x), sampling_rate, generator), steps)
    model.train()
    for step, rows in enumerate(tqdm(batches, "private training", steps, leave=False, disable=not progress)):
        sums, total = _summed(ROUTES[route], model, x, y, rows.to(x.device), clip, loss, micro_batch or max(1, len(x)))
        for value in sums.values():
            noise = torch.randn(value.shape, generator=generator, device=generator.device)
            value.add_(noise.to(value), alpha=noise_multiplier * clip)
        if on_step:
            on_step(step, sums)
        with torch.no_grad():
            for name, p in parameters.items():
                p.sub_(velocity[name].mul_(momentum).add_(sums[name], alpha=1 / (sampling_rate * len(x))), alpha=lr)
        history.sampled.append(len(rows))
        losses.append(total / len(rows) if len(rows) else x.new_full((), math.nan, dtype=total.dtype))
    history.losses.extend(torch.stack(losses).tolist())
    model.eval()
    return history


def poisson_sample(n: int, rate: float, generator: torch.Generator) -> Tensor:
    """The rows, of n, that one step of Poisson sampling draws: each with probability `rate`, on its own."""
    validation.count("n", n)
    validation.number("rate", rate, low=0, high=1)
    return (torch.rand(n, generator=generator, device=generator.device) < rate).nonzero().squeeze(1)


def _poisson(n: int, rate: float, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield poisson_sample(n, rate, generator)


def _shuffled(n: int, rate: float, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(n, generator=generator, device=generator.device).split(_batch(n, rate))


SAMPLINGS = {"poisson": _poisson, "shuffled": _shuffled}


def _batch(n: int, rate: float) -> int:
    return max(1, round(rate * n))


@functools.lru_cache(maxsize=256)
def _spent(n: int, rate: float, noise: float, steps: int, delta: float, sampling: str) -> tuple[float, ...]:
    """ε after each step."""
    if not noise:
        return (math.inf,) * steps
    batches = 1 if sampling == "poisson" else math.ceil(n / _batch(n, rate))  # that meet a row once
    rate = rate if sampling == "poisson" else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # after few steps the best order may lie at the grid's edge: the last one tells
        each = [rdp_epsilon(rate, noise, met, delta) for met in range(1, math.ceil(steps / batches))]
    each.append(rdp_epsilon(rate, noise, math.ceil(steps / batches), delta))
    return tuple(each[step // batches] for step in range(steps))


def _summed(
    route: Callable, model: nn.Module, x: Tensor, y: Tensor, rows: Tensor, clip: float, loss: Loss, micro_batch: int
) -> tuple[Sums, Tensor]:
    sums, total = {}, 0.0
    for part in rows.split(micro_batch):
        some, lost = route(model, x[part], y[part], clip, loss)
        sums = {name: sums[name] + value for name, value in some.items()} if sums else some
        total = total + lost
    return sums, total


def _check(model: nn.Module, x: Tensor, y: Tensor, loss: Loss, generator: object, on_step: object) -> None:
    validation.module("model", model)
    clipping.refuse_batch_norm(model)
    if all(not p.requires_grad for p in model.parameters()):
        raise ValueError("model has no parameter to train: set requires_grad_(True) on some")
    validation.function("loss", loss, hint="loss(model, x, y) returns a scalar, the mean over the rows")
    checked(model, x, y, numbers=loss is squared_error)
    if _mixes(model, x):
        raise ValueError(f"the model {clipping.MIXES}")
    validation.randomness("generator", generator)
    if on_step is not None:
        validation.function("on_step", on_step, hint="on_step(step, sums) is handed each step's noisy sums")


def _mixes(model: nn.Module, x: Tensor) -> bool:
    """Whether what the model says about one row depends on another."""
    if len(x) < 2 or not x.is_floating_point():
        return False
    some = x[:2].detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.train()(some)[0].sum(), some)
    return bool(gradient[1].nan_to_num(0.0).any())


def _check_plan(
    noise: float, rate: float, steps: int, clip: float, lr: float, momentum: float, sampling: str,
    micro_batch: int | None, route: str,
) -> None:  # fmt: skip
    validation.number("noise_multiplier", noise, low=0)
    validation.positive("sampling_rate", rate)
    validation.number("sampling_rate", rate, high=1)
    validation.count("steps", steps)
    validation.positive("clip", clip)
    validation.positive("lr", lr)
    validation.number("momentum", momentum, low=0, high=1)
    validation.one_of("sampling", sampling, SAMPLINGS)
    validation.one_of("route", route, ROUTES)
    if micro_batch is not None:
        validation.count("micro_batch", micro_batch)
