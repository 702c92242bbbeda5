"""PATE: teachers that never saw each other's records vote, noise decides close calls, a student learns the answers.

Only the answers touch private records, so what they cost is all that is spent, however the student is trained.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import erfc
from torch import Tensor

from modelsec_course import runtime, validation
from modelsec_course.ensembles import Shadows, train
from modelsec_course.ensembles.chunks import Architecture
from modelsec_course.privacy.accounting import ORDERS, converted, rdp_epsilon
from modelsec_course.privacy.search import source

__all__ = ["count_votes", "indicative_epsilon", "noisy_labels", "pate_epsilon", "train_teachers"]


def train_teachers(
    architecture: Architecture,
    x: Tensor,
    y: Tensor,
    teachers: int,
    *,
    epochs: int = 100,
    lr: float = 2e-3,
    batch_size: int = 64,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Shadows:
    """One network for each of `teachers` equal parts of the rows, drawn at random; all are trained at once.

    architecture() -> a fresh network, without batch norm or dropout.  x: (n, ...) inputs.  y: (n,) int64 labels.
    generator: draws the parts, weights and batches (default: seed 0).  `.members` says who was taught which rows.
    Source: Papernot et al., 2017, "Semi-supervised knowledge transfer for deep learning from private training data".
    """
    validation.tensor("x", x)
    validation.count("teachers", teachers, low=2)
    validation.randomness("generator", generator)
    if teachers > len(x):
        raise ValueError(f"{teachers} teachers need as many rows at least, but x holds {len(x)}")
    generator = generator or runtime.generator(0)
    order = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
    members = torch.zeros(teachers, len(x), dtype=torch.bool, device=x.device)
    for part, own in zip(order.tensor_split(teachers), members, strict=True):
        own[part] = True
    plan = {"epochs": epochs, "lr": lr, "batch_size": batch_size}
    return train(architecture, x, y, members, generator=generator, progress=progress, **plan)


def count_votes(teachers: Shadows, x: Tensor) -> Tensor:
    """How many teachers choose each class: (n, classes), whole numbers that sum to their number. Not private."""
    logits = teachers.logits(x)  # (teachers, n, classes)
    return F.one_hot(logits.argmax(2), logits.shape[2]).sum(0)


def noisy_labels(votes: Tensor, sigma: float, *, generator: torch.Generator | None = None) -> Tensor:
    """The class with the most votes after Gaussian noise on each count (GNMax): (n,) int64 labels.

    votes: (n, classes).  sigma: the noise's standard deviation, in votes.  generator: draws the noise; without one the
    operating system seeds it.
    Source: Papernot et al., 2018, "Scalable private learning with PATE".
    """
    _check(votes, sigma)
    generator = source(generator)
    noise = torch.randn(votes.shape, generator=generator, device=generator.device)
    return (votes + sigma * noise.to(votes.device)).argmax(1)


def pate_epsilon(sigma: float, queries: int, delta: float) -> float:
    """ε, at `delta`, of answering `queries` questions by `noisy_labels`, whatever the votes are.

    Neighbours differ in one teacher's rows. That teacher may change its mind, which moves two counts by one each: a
    Gaussian mechanism of sensitivity √2.
    """
    validation.positive("sigma", sigma)
    validation.count("queries", queries, low=0)
    return rdp_epsilon(1.0, sigma / math.sqrt(2), queries, delta)


def indicative_epsilon(votes: Tensor, sigma: float, delta: float) -> float:
    """What the answers to these very votes cost: far less where the teachers agree, and only an indication.

    The number depends on the private votes, so it is no guarantee, and publishing it gives something away.
    votes: (n, classes), one row for each question answered.
    Source: Papernot et al., 2018, "Scalable private learning with PATE", theorem 6 and proposition 10.
    """
    _check(votes, sigma)
    validation.probability("delta", delta)
    top = votes.double().cpu().numpy()
    gaps = (top.max(1, keepdims=True) - top) / (2 * sigma)  # one of them is the winner's own, 0
    wrong = ((erfc(gaps).sum(1) - 1) / 2).clip(1e-300, 1)  # at most the chance that noise elects another class
    return converted(sum(_spent(q, sigma) for q in wrong), delta)


def _spent(q: float, sigma: float) -> np.ndarray:
    """The Rényi divergence of one answer, at each of ORDERS."""
    orders = np.array(ORDERS)
    always, second = orders / sigma**2, sigma * math.sqrt(math.log(1 / q))
    first = second + 1
    if second <= 1:
        return always
    eps_first, eps_second = first / sigma**2, second / sigma**2
    room = (second - 1) * eps_second - second * math.log(first / (first - 1) * second / (second - 1))
    rare = (math.log(q) + eps_second) * (second - 1) / second
    if math.log(q) > room or rare >= 0:
        return always
    right = (orders - 1) * (math.log1p(-q) - math.log1p(-math.exp(rare)))
    other = (orders - 1) * (eps_first - math.log(q) / (first - 1))
    sharp = np.logaddexp(math.log1p(-q) + right, math.log(q) + other) / (orders - 1)
    return np.where(orders <= first, np.minimum(sharp, always), always)


def _check(votes: Tensor, sigma: float) -> None:
    validation.tensor("votes", votes)
    validation.positive("sigma", sigma)
    if votes.dim() != 2 or votes.shape[1] < 2 or not len(votes) or votes.is_floating_point() or votes.min() < 0:
        got = f"{votes.dtype} {tuple(votes.shape)}"
        raise ValueError(f"votes must be counts (n, classes), whole numbers of at least 0, but it is {got}")
