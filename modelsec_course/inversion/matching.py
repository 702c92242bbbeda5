"""Gradient inversion: search for the inputs whose gradient is the one that was sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap
from tqdm.auto import tqdm

from modelsec_course import runtime, validation
from modelsec_course.inversion.distances import DISTANCES
from modelsec_course.inversion.lbfgs import Objective, lbfgs
from modelsec_course.inversion.matrices import AsMatrices
from modelsec_course.models import frozen

__all__ = ["GradientInversion", "invert_gradient"]

FLOOR = 1e-13  # a distance that float32 can hardly tell from 0


@dataclass(frozen=True)
class GradientInversion:
    """What the search found; the restart was chosen by its own loss, never by the truth.

    x: (batch, ...) in [0, 1].  y: (batch,) labels.  loss: of the chosen restart, a number.  losses: (restarts,).
    restarts: (restarts, batch, ...) what each of them found. For several updates all have an axis for them in front.
    """

    x: Tensor
    y: Tensor
    loss: Tensor
    losses: Tensor
    restarts: Tensor


def invert_gradient(
    model: nn.Module,
    gradient: Sequence[Tensor],
    shape: Sequence[int],
    y: Tensor | None = None,
    *,
    distance: str = "squared",
    optimiser: str = "lbfgs",
    steps: int = 200,
    lr: float = 0.1,
    tv: float = 0.0,
    restarts: int = 8,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> GradientInversion:
    """Inputs whose `batch_gradient` matches the one that was sent, by descent from random starts, all at once.

    gradient: one tensor for each parameter of `model`; several updates are attacked side by side if each tensor has an
    axis for them in front.  shape: of the batch, (batch, ...).  y: (batch,) or (updates, batch) int64 labels, in any
    order, as `label_from_gradient` and `label_counts` tell; None searches for soft labels too.
    distance: "squared" or "cosine".  optimiser: "lbfgs", or "adam" with step size `lr`, which falls to 0.
    tv: weight of the pictures' total variation, a prior for smooth ones.  generator: draws the starts.
    Sources: Zhu, Liu & Han, 2019, "Deep Leakage from Gradients" (squared, L-BFGS); Geiping, Bauermeister, Dröge &
    Moeller, 2020, "Inverting Gradients: How Easy Is It to Break Privacy in Federated Learning?" (cosine, Adam, tv).
    """
    many = _checked(model, gradient, shape, y)
    validation.one_of("distance", distance, DISTANCES)
    validation.one_of("optimiser", optimiser, ("lbfgs", "adam"))
    validation.count("steps", steps)
    validation.count("restarts", restarts)
    validation.positive("lr", lr)
    validation.number("tv", tv, low=0.0)
    validation.randomness("generator", generator)
    validation.flag("progress", progress)
    sent, labels = _repeated(gradient, y, restarts, many)
    with frozen(model):
        start, split = _starts(model, shape, labels, len(sent[0]), generator or runtime.generator(0), sent[0])
        objective = _objective(model, sent, split, DISTANCES[distance], tv)
        with tqdm(total=steps, desc="gradients", unit="step", leave=False, disable=not progress) as bar:
            found, losses = (
                lbfgs(objective, start, steps, floor=FLOOR, on_step=bar.update)
                if optimiser == "lbfgs"
                else _adam(objective, start, steps, lr, bar.update)
            )
            bar.update(steps - bar.n)  # a notebook keeps a bar that stops short, in red
        x, targets = split(found)
    return _chosen(x.clamp(0, 1), targets, losses, restarts, many)


def _repeated(
    gradient: Sequence[Tensor], y: Tensor | None, restarts: int, many: bool
) -> tuple[list[Tensor], Tensor | None]:
    """Gradients and labels with one row for each search: the restarts of the first update, of the second, ..."""
    updates = [part.detach() if many else part.detach()[None] for part in gradient]
    if y is not None:
        y = y.expand(len(updates[0]), y.shape[-1]).repeat_interleave(restarts, 0)
    return [part.repeat_interleave(restarts, 0) for part in updates], y


def _starts(
    model: nn.Module, shape: Sequence[int], labels: Tensor | None, searches: int, draw: torch.Generator, like: Tensor
) -> tuple[Tensor, Callable]:
    """Random starts (searches, n), and split(start) -> pictures (searches, batch, ...), labels or their soft form."""
    pictures = torch.rand((searches, math.prod(shape)), generator=draw, device=draw.device).to(like)
    if labels is not None:
        return pictures, lambda flat: (flat.unflatten(1, tuple(shape)), labels)
    classes = model(pictures[:1].view(*shape)).shape[1]
    soft = torch.randn((searches, shape[0] * classes), generator=draw, device=draw.device).to(like)

    def split(flat: Tensor) -> tuple[Tensor, Tensor]:
        x, logits = flat.split([pictures.shape[1], soft.shape[1]], 1)
        return x.unflatten(1, tuple(shape)), logits.unflatten(1, (shape[0], classes)).softmax(2)

    return torch.cat([pictures, soft], 1), split


def _objective(model: nn.Module, sent: list[Tensor], split: Callable, distance: Callable, tv: float) -> Objective:
    """objective(flat (searches, n)) -> the loss (searches,) and its gradient (searches, n) of every search at once."""
    forward = vmap(lambda weights, x: functional_call(model, weights, (x,)))
    names = [name for name, _ in model.named_parameters()]
    copies = [weight.detach().expand(len(sent[0]), *weight.shape) for weight in model.parameters()]

    @torch.enable_grad()
    def objective(flat: Tensor) -> tuple[Tensor, Tensor]:
        flat, weights = flat.detach().requires_grad_(), [copy.detach().requires_grad_() for copy in copies]
        x, y = split(flat)
        own = dict(zip(names, weights, strict=True))  # each search has weights, and so gradients, of its own
        with AsMatrices():
            logits = forward(own, x)
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten(0, 1), reduction="sum") / x.shape[1]
        losses = distance(sent, torch.autograd.grad(loss, weights, create_graph=True))
        if tv:
            losses = losses + tv * sum(x.diff(dim=axis).abs().flatten(1).mean(1) for axis in (-2, -1))
        return losses.detach(), torch.autograd.grad(losses.sum(), flat)[0]

    return objective


def _adam(
    objective: Objective, start: Tensor, steps: int, lr: float, on_step: Callable[[], object]
) -> tuple[Tensor, Tensor]:
    """Adam, whose step falls to 0 along a cosine; the best point of each search and its loss."""
    at, best, lowest = start.clone(), start.clone(), torch.full_like(start[:, 0], torch.inf)
    optimiser = torch.optim.Adam([at], lr)
    for step in range(steps):
        losses, at.grad = objective(at)
        best, lowest = torch.where((losses < lowest)[:, None], at.detach(), best), torch.minimum(losses, lowest)
        optimiser.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / steps)) / 2
        optimiser.step()
        on_step()
    return best, lowest


def _chosen(x: Tensor, y: Tensor, losses: Tensor, restarts: int, many: bool) -> GradientInversion:
    """The restart with the lowest loss, for each update."""
    x, losses = x.unflatten(0, (-1, restarts)), losses.unflatten(0, (-1, restarts)).nan_to_num(torch.inf)
    y = (y.argmax(2) if y.is_floating_point() else y).unflatten(0, (-1, restarts))
    rows, best = torch.arange(len(x), device=x.device), losses.argmin(1)
    parts = (x[rows, best], y[rows, best], losses[rows, best], losses, x)
    return GradientInversion(*(parts if many else (part[0] for part in parts)))


def _checked(model: nn.Module, gradient: Sequence[Tensor], shape: Sequence[int], y: Tensor | None) -> bool:
    """Whether the gradients have an axis for several updates in front; raises for what does not fit together."""
    validation.module("model", model)
    own = [tuple(weight.shape) for weight in model.parameters()]
    for part in gradient:
        validation.tensor("gradient", part)
    got = [tuple(part.shape) for part in gradient]
    many = bool(own) and len(got) == len(own) and len(got[0]) == len(own[0]) + 1
    if (got if not many else [part[1:] for part in got]) != own or (many and len({part[0] for part in got}) > 1):
        raise ValueError(f"gradient must have the shapes of the model's parameters, {own}, but they are {got}")
    if len(shape) < 2 or any(int(side) < 1 for side in shape):
        raise ValueError(f"shape must be that of the batch, (batch, ...), but it is {tuple(shape)}")
    if y is not None:
        wanted = {(shape[0],), (got[0][0], shape[0])} if many else {(shape[0],)}
        validation.tensor("y", y)
        if tuple(y.shape) not in wanted or y.dtype != torch.int64:
            raise ValueError(
                f"y must be int64 of shape {' or '.join(map(str, wanted))}, but it is {y.dtype} {tuple(y.shape)}"
            )
    return many
