"""Federated averaging: clients train on data of their own, a server averages what they send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from tqdm.auto import tqdm

from modelsec_course import runtime, validation
from modelsec_course.privacy import clip_factors

__all__ = ["Aggregate", "Round", "deal", "fedavg", "local_updates", "private_mean", "weighted_mean"]

Aggregate = Callable[[Tensor, Tensor], Tensor]  # updates (k, d), sizes (k,) -> the step of the common model (d,)


@dataclass(frozen=True)
class Round:
    """What the server saw: which clients took part, their updates (k, d), and the step it took, (d,)."""

    clients: Tensor
    updates: Tensor
    step: Tensor


def deal(y: Tensor, clients: int, *, alpha: float = torch.inf, generator: torch.Generator | None = None) -> Tensor:
    """Whose example is it? int64 (n,), from 0 to clients − 1; each client's labels are drawn from a Dirichlet.

    alpha: how alike clients are: ∞ gives everybody the same mixture of labels, 0.1 hardly more than one or two labels.
    Source: Hsu, Qi & Brown, 2019, "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
    Classification".
    """
    validation.labels(y, y)
    validation.count("clients", clients)
    if alpha != torch.inf:
        validation.positive("alpha", alpha)
    validation.randomness("generator", generator)
    draw = generator or runtime.generator(0)
    shares = torch.full((int(y.max()) + 1, clients), 1 / clients, device=draw.device)
    if alpha != torch.inf:  # a Dirichlet's weights are independent Gamma numbers, divided by their sum
        shares = torch._standard_gamma(torch.full_like(shares, alpha), generator=draw)
    return torch.multinomial(shares[y.to(draw.device)], 1, generator=draw)[:, 0].to(y.device)


def local_updates(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    owners: Tensor,
    clients: Tensor,
    *,
    epochs: int = 1,
    lr: float = 0.1,
    batch_size: int = 10,
    generator: torch.Generator | None = None,
) -> Tensor:
    """What each of `clients` (k,) sends after SGD on its own examples: its weights minus the model's, (k, d).

    All clients train at once, each on weights of its own. One that runs out of batches earlier stands still.
    owners: (n,) whose example each of x (n, ...) is. A batch holds at most `batch_size` examples.
    """
    draw = generator or runtime.generator(0)
    names = [name for name, _ in model.named_parameters()]
    start = [weight.detach().expand(len(clients), *weight.shape) for weight in model.parameters()]
    weights = [weight.clone().requires_grad_() for weight in start]
    forward = vmap(lambda own, rows: functional_call(model, own, (rows,)))
    for _ in range(epochs):
        for rows, share in _batches(owners, clients, batch_size, draw):
            logits = forward(dict(zip(names, weights, strict=True)), x[rows])  # (k, batch, classes)
            losses = F.cross_entropy(logits.movedim(2, 1), y[rows], reduction="none")
            slopes = torch.autograd.grad((losses * share).sum(), weights)
            with torch.no_grad():
                for weight, slope in zip(weights, slopes, strict=True):
                    weight -= lr * slope
    return torch.cat([(w.detach() - s).flatten(1) for w, s in zip(weights, start, strict=True)], 1)


def _batches(owners: Tensor, clients: Tensor, size: int, draw: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """One epoch: rows (k, size) in a new order, and each one's share of its client's batch, 0 where that is short."""
    mine = owners[None] == clients[:, None]  # (k, n)
    dice = torch.rand(mine.shape, generator=draw, device=draw.device).to(owners.device)
    held = mine.sum(1, keepdim=True)
    most = int(held.max())
    order = dice.masked_fill(~mine, torch.inf).topk(most, largest=False).indices  # own rows first, shuffled
    batches = []
    for at in range(0, most, size):
        rows = order[:, at : at + size]
        real = torch.arange(at, at + rows.shape[1], device=owners.device) < held
        batches.append((rows, real / real.sum(1, keepdim=True).clamp_min(1)))
    return batches


def weighted_mean(updates: Tensor, sizes: Tensor) -> Tensor:
    """The mean of the updates (k, d), weighted by their owners' numbers of examples (k,)."""
    return (updates * (sizes / sizes.sum())[:, None]).sum(0)


def private_mean(
    updates: Tensor, sizes: Tensor, *, clip: float, noise_multiplier: float, expected: float, generator: torch.Generator
) -> Tensor:
    """The updates' sum, each clipped to length `clip`, plus noise of deviation noise_multiplier · clip; by `expected`.

    updates: (k, d), k may be 0.  sizes: not used, for a weight would be a client's secret too.  expected: how many
    clients take part on average, share · clients; never how many did, which would tell. An update that is not finite is
    left out.
    Privacy of a whole client, added or removed: `privacy.rdp_epsilon(share, noise_multiplier, rounds, delta)`.
    Source: McMahan, Ramage, Talwar & Zhang, 2018, "Learning Differentially Private Recurrent Language Models".
    """
    validation.positive("clip", clip)
    validation.number("noise_multiplier", noise_multiplier, low=0.0)
    validation.positive("expected", expected)
    factors = clip_factors(updates.norm(dim=1), clip)
    clipped = updates.nan_to_num(0.0, 0.0, 0.0) * factors[:, None]  # 0 × NaN is NaN
    noise = torch.randn(updates.shape[1], generator=generator, device=generator.device).to(updates)
    return (clipped.sum(0) + noise_multiplier * clip * noise) / expected


def fedavg(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    owners: Tensor,
    *,
    rounds: int,
    share: float = 1.0,
    epochs: int = 1,
    lr: float = 0.1,
    batch_size: int = 10,
    aggregate: Aggregate = weighted_mean,
    on_round: Callable[[Round], object] = lambda _: None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> nn.Module:
    """Train `model` in place by federated averaging and return it, in eval mode.

    x: (n, ...), y: (n,) int64, owners: (n,) int64, the client that each example belongs to; it never leaves it.
    share: each client takes part in a round with this probability, independently (Poisson sampling, which the privacy
    of `private_mean` counts on; McMahan et al. draw a fixed number).  aggregate(updates (k, d), sizes (k,)) -> (d,).
    on_round(round): sees what the server sees.  generator: draws who takes part and their batches (default: seed 0).
    Source: McMahan, Moore, Ramage, Hampson & Agüera y Arcas, 2017, "Communication-Efficient Learning of Deep Networks
    from Decentralized Data".
    """
    _checked(model, x, y, owners)
    for name, value in (("rounds", rounds), ("epochs", epochs), ("batch_size", batch_size)):
        validation.count(name, value)
    validation.positive("lr", lr)
    validation.positive("share", share)
    validation.number("share", share, high=1.0)
    validation.randomness("generator", generator)
    draw, everybody = generator or runtime.generator(0), owners.unique()
    training = {"epochs": epochs, "lr": lr, "batch_size": batch_size, "generator": draw}
    model.eval()
    for _ in tqdm(range(rounds), desc="federated", unit="round", leave=False, disable=not progress):
        takes_part = torch.rand(len(everybody), generator=draw, device=draw.device).to(x.device) < share
        clients = everybody[takes_part]
        weights = parameters_to_vector(model.parameters()).detach()
        updates = weights.new_zeros(0, len(weights))
        if len(clients):
            updates = local_updates(model, x, y, owners, clients, **training)
        sizes = (owners[None] == clients[:, None]).sum(1)
        step = aggregate(updates, sizes)
        vector_to_parameters(weights + step.to(weights), model.parameters())
        on_round(Round(clients, updates, step))
    return model


def _checked(model: nn.Module, x: Tensor, y: Tensor, owners: Tensor) -> None:
    validation.module("model", model)
    validation.tensor("x", x)
    validation.labels(y, x)
    validation.labels(owners, x, "owners")
    validation.fits(model, x)
    if not len(x):
        raise ValueError("x must hold at least one example: there is nothing to train on")
