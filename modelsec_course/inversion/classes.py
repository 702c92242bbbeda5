"""Class inversion: a picture of what a classifier takes for one of its classes, found by climbing its own score."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from modelsec_course import runtime, validation
from modelsec_course.inversion.priors import Prior
from modelsec_course.models import frozen

__all__ = ["Reconstruction", "blend", "invert_classes", "look_alike"]


class Reconstruction(NamedTuple):
    """x: pictures (classes, ...).  confidence: the model's probability of each class.  objective: what was climbed."""

    x: Tensor
    confidence: Tensor
    objective: Tensor


def invert_classes(
    model: Callable[[Tensor], Tensor],
    classes: Tensor,
    prior: Prior,
    *,
    steps: int = 200,
    restarts: int = 2,
    shift: int = 1,
    noise: float = 0.03,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    on_step: Callable[[int, Tensor], None] | None = None,
    progress: bool = True,
) -> Reconstruction:
    """MI-Face: climb log p(class | picture) − weight · |code|² over codes of a prior, all classes and restarts at once.

    model: pictures -> logits.  classes: int64 (n,), one picture is made for each.  prior: which pictures there are, see
    `pixels`, `pca`, `generated`.  shift, noise: each step moves the pictures by up to so many pixels and adds so much
    noise, so that tricks of single pixels do not pay.  temperature: logits are divided by it before log p; where a
    model is so sure that log p is nearly 0, little is left to climb, and a larger one brings the slope back.
    on_step(step, x): is shown the pictures (restarts, n, ...) that each step starts from.
    Of each class the restart with the highest objective is kept: the attacker has no other measure.
    Source: Fredrikson, Jha & Ristenpart, 2015, "Model Inversion Attacks that Exploit Confidence Information and Basic
    Countermeasures"; with a generator, Zhang et al., 2020, "The Secret Revealer".
    """
    _checked(model, classes, prior)
    validation.count("steps", steps)
    validation.count("restarts", restarts)
    validation.count("shift", shift, low=0)
    validation.number("noise", noise, low=0.0)
    validation.positive("temperature", temperature)
    validation.randomness("generator", generator)
    generator = generator or runtime.generator(0)
    y = classes.repeat(restarts)
    z = prior.start(len(y), generator).requires_grad_()
    optimiser = torch.optim.Adam([z], prior.lr)
    with frozen(model):
        validation.labels(classes, classes, "classes", model(prior.decode(z[:1])).shape[1])
        for step in tqdm(range(steps), desc="inverting", unit="step", leave=False, disable=not progress):
            x = prior.decode(z)
            seen = _shaken(x, shift, noise, generator)
            (z.grad,) = torch.autograd.grad(-_objective(model(seen) / temperature, y, z, prior.weight).sum(), z)
            if on_step is not None:
                on_step(step, x.detach().unflatten(0, (restarts, -1)))
            optimiser.step()
        return _best(model, z.detach(), y, prior, restarts, temperature)


def _objective(logits: Tensor, y: Tensor, z: Tensor, weight: float) -> Tensor:
    """What the attack climbs, (batch,): the log-probability of the class, less what an unlikely code costs."""
    chosen = F.log_softmax(logits, 1).gather(1, y[:, None])[:, 0]
    return chosen - weight * z.flatten(1).square().sum(1)


def look_alike(model: Callable[[Tensor], Tensor], x: Tensor, classes: Tensor, *, batch_size: int = 1024) -> Tensor:
    """For each class the picture of somebody else that the model likes best: a search, no reconstruction.

    x: public pictures (n, ...), of nobody in the classes.  classes: int64 (k,).  Returns indices into x, int64 (k,).
    """
    return _ranked(model, x, classes, 1, batch_size)[0]


def blend(
    model: Callable[[Tensor], Tensor], x: Tensor, classes: Tensor, *, count: int = 8, batch_size: int = 1024
) -> Tensor:
    """For each class the mean of the `count` public pictures that the model likes best: a search that climbs nothing.

    x: public pictures (n, ...), of nobody in the classes.  classes: int64 (k,).  Returns pictures (k, ...).
    What the pictures share is often what the person has: the average is seen in the person more often than any of them.
    """
    validation.count("count", count)
    if count > len(x):
        raise ValueError(f"count={count} pictures cannot be chosen from {len(x)}: ask for fewer")
    return x[_ranked(model, x, classes, count, batch_size)].mean(0)


@torch.no_grad()
def _ranked(model: Callable[[Tensor], Tensor], x: Tensor, classes: Tensor, count: int, batch_size: int) -> Tensor:
    """Indices (count, classes) of the pictures with the highest probabilities, the best first."""
    validation.fits(model, x)
    validation.tensor("classes", classes)
    with frozen(model):
        logits = torch.cat([model(some) for some in x.split(batch_size)])
    validation.labels(classes, classes, "classes", logits.shape[1])
    return F.log_softmax(logits, 1)[:, classes].topk(count, 0).indices


@torch.no_grad()
def _best(model: nn.Module, z: Tensor, y: Tensor, prior: Prior, restarts: int, temperature: float) -> Reconstruction:
    """Of each class the restart with the highest objective, on the picture as it is."""
    x = prior.decode(z)
    logits = model(x)
    scores, which = _objective(logits / temperature, y, z, prior.weight).view(restarts, -1).max(0)
    rows = which * len(scores) + torch.arange(len(scores), device=z.device)
    confidence = logits[rows].softmax(1).gather(1, y[rows, None])[:, 0]
    return Reconstruction(x[rows], confidence, scores)


def _shaken(x: Tensor, shift: int, noise: float, generator: torch.Generator) -> Tensor:
    """Pictures moved by up to `shift` pixels, all alike, under noise."""
    down, right = torch.randint(-shift, shift + 1, (2,), generator=generator, device=generator.device).tolist()
    drawn = torch.randn(x.shape, generator=generator, device=generator.device).to(x.device)
    return x.roll((down, right), (-2, -1)) + noise * drawn


def _checked(model: Callable[[Tensor], Tensor], classes: Tensor, prior: Prior) -> None:
    validation.function("model", model, hint="it takes pictures (batch, ...) and returns logits (batch, classes)")
    validation.tensor("classes", classes)
    validation.labels(classes, classes, "classes")
    if not isinstance(prior, Prior):
        raise TypeError(f"prior must be a Prior, such as pixels(mean) or pca(public), but it is {prior!r}")
