"""Partition ensembles: one row of data reaches one vote, so few rows cannot turn a clear majority."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import validation

__all__ = ["PartitionEnsemble", "partition", "partition_certificate"]


def partition(x: Tensor, parts: int) -> Tensor:
    """The part, int64 (n,) from 0 to parts − 1, of each row of x (n, ...): a hash of that row alone.

    Neither the label nor any other row matters, so a row that is added, removed or relabelled changes one part only.
    x is read to 16 bits, in [0, 1].
    """
    validation.tensor("x", x)
    validation.count("parts", parts)
    if len(x) and not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"x must lie in [0, 1], but it spans {x.min():g} to {x.max():g}")
    words = (x.flatten(1).double() * 65535).round().long()  # (n, d)
    hashed = torch.full_like(words[:, 0], 1469598103934665603)
    for column in words.T:  # FNV-1a over the row's numbers, all rows at once; int64 wraps around
        hashed = (hashed ^ column) * 1099511628211
    return ((hashed >> 20) & 0xFFFFFFFF) % parts


def partition_certificate(votes: Tensor) -> tuple[Tensor, Tensor]:
    """The winner (batch,) of votes (batch, classes), and how many voters may vote otherwise without turning it.

    With n₁ votes for the winner and n₂ for another class: ⌊(n₁ − n₂ − tie) / 2⌋, the smallest over the other classes;
    tie is 1 for classes before the winner, which win a tie with it. Exact: one voter more can turn it.
    Source: Levine & Feizi, 2021, "Deep Partition Aggregation: Provable Defense against General Poisoning Attacks".
    """
    validation.tensor("votes", votes)
    if votes.dim() != 2 or votes.shape[1] < 2:
        raise ValueError(f"votes must be counts (batch, classes) of two classes or more, but are {tuple(votes.shape)}")
    if votes.is_floating_point() or (votes.numel() and votes.min() < 0):
        raise ValueError("votes must be whole numbers, at least 0: count who votes for each class")
    winner = votes.argmax(1)
    classes = torch.arange(votes.shape[1], device=votes.device)
    needed = votes + (classes < winner[:, None]).long()
    needed = needed.scatter(1, winner[:, None], -1)
    most = votes.gather(1, winner[:, None])[:, 0]
    return winner, (most - needed.amax(1)).div(2, rounding_mode="floor")


class PartitionEnsemble:
    """Many ridge classifiers, each trained on its own part of the data; the most votes win.

    x: (n, ...) in [0, 1].  y: int64 (n,).  parts: how many.  penalty: of the ridge, which has a closed form: a part's
    classifier depends on the rows of that part and on nothing else, neither their order nor luck, as the proof needs.
    Source: Levine & Feizi, 2021, "Deep Partition Aggregation: Provable Defense against General Poisoning Attacks".
    """

    def __init__(self, x: Tensor, y: Tensor, *, parts: int, classes: int, penalty: float = 1.0) -> None:
        self.parts, self.classes = partition(x, parts), classes
        validation.count("classes", classes, low=2)
        validation.labels(y, x, classes=classes)
        validation.positive("penalty", penalty)
        rows = _with_bias(x)  # (n, d)
        answers = F.one_hot(y, classes).to(rows) - 1 / classes
        gram = rows.new_zeros(parts, rows.shape[1], rows.shape[1])
        gram.index_add_(0, self.parts, rows[:, :, None] * rows[:, None])
        moments = rows.new_zeros(parts, rows.shape[1], classes)
        moments.index_add_(0, self.parts, rows[:, :, None] * answers[:, None])
        ridge = penalty * torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
        self.weights = torch.linalg.solve(gram + ridge, moments)  # (parts, d, classes)

    def choices(self, x: Tensor) -> Tensor:
        """The class that each part votes for: int64 (batch, parts)."""
        return torch.einsum("bd,pdc->bpc", _with_bias(x), self.weights).argmax(2)

    def votes(self, x: Tensor) -> Tensor:
        """How many parts vote for each class: int64 (batch, classes)."""
        return F.one_hot(self.choices(x), self.classes).sum(1)

    def certify(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The label of each input (batch,), and how many rows may be added, removed or relabelled without a change."""
        return partition_certificate(self.votes(x))


def _with_bias(x: Tensor) -> Tensor:
    rows = x.flatten(1).double()
    return torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
