"""Attacks on a model that only answers: they see its logits, or attack another model, and never a gradient of it.

Common to all: a query is one input shown to the model. The first query is x itself, inputs that the model gets wrong
come back as they are, and an input that has fallen is asked about no more. Pass `spent`, an int64 tensor (batch,), to
be told how often the model was asked about each input. No query leaves [0, 1].
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from modelsec_course import runtime, validation
from modelsec_course.evasion.contract import attack
from modelsec_course.evasion.losses import LOSSES, fooled
from modelsec_course.evasion.norms import NORMS, back_inside_, per_input, repeated
from modelsec_course.evasion.squares import PROPOSALS

__all__ = ["nes", "nes_gradient", "square_attack", "transfer"]

HALVINGS = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries: when a square's area is halved


def _pairs(name: str, value: Any) -> None:
    validation.count(name, value, low=2)
    if value % 2:
        raise ValueError(f"{name} must be even, since directions come in pairs u and −u, but it is {value}")


def _models(name: str, value: Any) -> None:
    if not isinstance(value, Sequence) or not value or not all(callable(model) for model in value):
        raise TypeError(f"{name} must be a list of one or more models of the attacker's own, but it is {value!r}")


def nes_gradient(
    scores: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    sigma: float = 0.01,
    samples: int = 50,
    generator: torch.Generator | None = None,
) -> Tensor:
    """An estimate of the slope of `scores` at x from its values alone, without bias where scores is quadratic.

    scores: (batch, ...) -> (batch,).  x: (batch, ...).  sigma: how far away the score is looked at, times a standard
    normal u.  samples: how often, an even number, since u and −u are both asked.
    Returns the mean of (scores(x + σu) − scores(x − σu)) / 2σ · u, shaped like x.
    Source: Ilyas et al., 2018, "Black-box Adversarial Attacks with Limited Queries and Information", section 2.
    """
    validation.positive("sigma", sigma)
    _pairs("samples", samples)
    generator, gradient = generator or runtime.generator(0), torch.zeros_like(x)
    for _ in range(samples // 2):
        u = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype).to(x.device)
        rise = scores(torch.add(x, u, alpha=sigma)) - scores(torch.sub(x, u, alpha=sigma))
        gradient.add_(u.mul_(per_input(rise / (sigma * samples), x)))
    return gradient


@attack(
    queries=validation.count,
    samples=_pairs,
    sigma=validation.positive,
    momentum=functools.partial(validation.number, low=0.0, high=1.0),
)
@torch.no_grad()
def nes(
    model,
    x,
    y,
    *,
    eps,
    queries=5000,
    samples=20,
    sigma=0.05,
    step_size=None,
    momentum=0.9,
    norm="linf",
    loss="margin",
    targeted=False,
    generator=None,
    spent=None,
):
    """NES: projected gradient descent along a slope that is estimated from the model's scores.

    x: (batch, ...) in [0, 1].  y: (batch,) true labels, or targets.  eps: radius of the ball, in the units of x.
    queries: the most for each input: one for x, then `samples` + 1 for each step.  sigma: see `nes_gradient`; what
    would leave [0, 1] is clamped.  step_size: default eps / 5.  momentum: the share of the last slope that is kept;
    without it a third of the successes is lost.
    Returns x_adv, shaped like x, in [0, 1] and within eps of x.
    Source: Ilyas et al., 2018, "Black-box Adversarial Attacks with Limited Queries and Information", section 2.
    """
    ball, generator, sign = NORMS[norm], generator or runtime.generator(0), -1 if targeted else 1
    step_size = eps / 5 if step_size is None else step_size
    x_adv, slope, standing = x.clone(), torch.zeros_like(x), torch.arange(len(x), device=x.device)

    def scores(at):
        spent[standing] += 1
        return sign * LOSSES[loss](model(at.clamp_(0, 1)), y[standing])

    for k in range(1 + (queries - 1) // (samples + 1)):
        if k:
            new = nes_gradient(scores, x_adv[standing], sigma=sigma, samples=samples, generator=generator)
            slope[standing] = new.add_(slope[standing], alpha=momentum)
            step = ball.steepest_(slope[standing]).mul_(step_size).add_(x_adv[standing])
            x_adv[standing] = back_inside_(ball, step, x[standing], eps)
        spent[standing] += 1
        standing = standing[~fooled(model(x_adv[standing]), y[standing], targeted)]
        if not len(standing):
            break
    return x_adv


@attack(
    queries=validation.count,
    p_init=functools.partial(validation.number, low=1e-6, high=1.0),
    at_once=validation.count,
)
@torch.no_grad()
def square_attack(
    model,
    x,
    y,
    *,
    eps,
    queries=5000,
    norm="linf",
    p_init=0.8,
    at_once=1,
    loss="margin",
    targeted=False,
    generator=None,
    spent=None,
):
    """Square attack: paint a random square onto the change, keep it if the score grew, repeat with smaller squares.

    x: pictures (batch, c, h, w) in [0, 1]; records (batch, d) are taken as pictures of one row.  y: (batch,) true
    labels, or targets.  eps: radius of the ball, in the units of x.  queries: the most for each input: x, a start of
    random stripes (L2: of tiles), then one for each square.  p_init: the first square's share of the picture.
    at_once: how many squares of one input are asked about together, the best of which may stay; several are faster on
    a small network, and nearly as good query for query. The score of an input never falls from query to query.
    Returns x_adv, shaped like x, in [0, 1] and within eps of x.
    Source: Andriushchenko et al., 2020, "Square Attack: a query-efficient black-box adversarial attack via random
    search", algorithms 1 to 3.
    """
    shape, generator = x.shape[1:], generator or runtime.generator(0)
    x = x.reshape(len(x), -1, *(shape[-2:] if len(shape) > 1 else (1, *shape)))  # (batch, c, h, w)
    propose, found, current = PROPOSALS[norm], x.clone(), x
    standing, best = torch.arange(len(x), device=x.device), torch.full_like(x[:, 0, 0, 0], -torch.inf)
    asked = 0
    while asked < queries:
        tries = min(at_once, queries - asked) if asked > 1 else 1
        area = p_init / 2 ** sum(asked * 10_000 > at * queries for at in HALVINGS) if asked > 1 else None
        several, labels, before = (repeated(t, tries) for t in (x, y, current))  # (tries · standing, ...)
        candidates = propose(several, before, area, eps, generator) if asked else x
        logits = model(candidates.view(-1, *shape))
        spent[standing] += tries
        asked += tries
        score = LOSSES[loss](logits, labels).mul(-1 if targeted else 1)
        score = score.masked_fill(fooled(logits, labels, targeted), torch.inf).view(tries, -1)
        score, which = score.max(0)
        better = score > best
        best = torch.where(better, score, best)
        chosen = candidates[which * len(x) + torch.arange(len(x), device=x.device)] if tries > 1 else candidates
        current = torch.where(per_input(better, x), chosen, current)
        fallen = best == torch.inf
        if fallen.any():
            found[standing[fallen]] = current[fallen]
            standing, x, y, current, best = (t[~fallen] for t in (standing, x, y, current, best))
            if not len(standing):
                break
    found[standing] = current
    return found.view(-1, *shape)


@attack(attack=validation.function, surrogates=_models)
def transfer(model, x, y, *, attack, surrogates, spent=None):
    """Transfer: attack models of your own, and show the model the result. One query for each picture that is tried.

    x: (batch, ...) in [0, 1].  y: (batch,) true labels.  attack(surrogate, x, y) -> x_adv: crafts them; one that
    climbs on after the surrogate has erred (`pgd` with stop_early=False) transfers better.  surrogates: tried in turn.
    Returns the first x_adv that fools the model, shaped like x; an input for which none does comes back as it is.
    Source: Papernot, McDaniel & Goodfellow, 2016, "Transferability in Machine Learning: from Phenomena to Black-Box
    Attacks using Adversarial Samples".
    """
    found, standing = x.clone(), torch.arange(len(x), device=x.device)
    for surrogate in [None, *surrogates]:
        candidate = x[standing] if surrogate is None else attack(surrogate, x[standing], y[standing])
        with torch.no_grad():
            fallen = fooled(model(candidate), y[standing])
        spent[standing] += 1
        found[standing[fallen]] = candidate[fallen]
        standing = standing[~fallen]
        if not len(standing):
            break
    return found
