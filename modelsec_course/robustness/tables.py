"""Defences of a model of table rows: monotone trees, hardening, velocity limits, and a queue for analysts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from modelsec_course import validation
from modelsec_course.data.tables import Schema
from modelsec_course.evasion.tabular import scorer

__all__ = ["hardened", "limited", "monotone_model", "refusal_threshold", "review_queue"]


def monotone_model(x: Tensor, y: Tensor, signs: Tensor, *, rounds: int = 120) -> HistGradientBoostingClassifier:
    """Gradient-boosted trees whose score never falls as a column with sign 1 rises, nor rises with one of sign -1.

    x: (n, d).  y: int64 (n,), 1 for fraud.  signs: (d,), each -1, 0 or 1; 0 leaves the column free.  rounds: trees.
    An attacker who can only add (payments, distance, amounts) gains nothing where every such column has sign 1.
    Source: scikit-learn, `HistGradientBoostingClassifier(monotonic_cst=...)`.
    """
    validation.labels(y, x, classes=2)
    signs = torch.as_tensor(signs).cpu()
    if signs.shape != x.shape[1:] or not torch.isin(signs, torch.tensor([-1, 0, 1])).all():
        raise ValueError(f"signs must be {x.shape[1]} numbers, each -1, 0 or 1, but it is {signs.tolist()}")
    trees = HistGradientBoostingClassifier(max_iter=rounds, random_state=0, monotonic_cst=signs.numpy())
    return trees.fit(x.cpu().numpy(), y.cpu().numpy())


def hardened(
    fit: Callable[[Tensor, Tensor], Any], x: Tensor, y: Tensor, attack: Callable[[Any, Tensor], Tensor], rounds: int = 3
) -> Any:
    """Adversarial retraining: attack the model, add what the attack made to the training data as fraud, fit anew.

    fit(x, y) -> model.  y: int64, 1 for fraud.  attack(model, frauds) -> rows: made anew against each round's model.
    Returns the last of `rounds` + 1 models.
    """
    validation.labels(y, x, classes=2)
    validation.count("rounds", rounds)
    model, frauds, seen, said = fit(x, y), x[y == 1], [x], [y]
    for _ in range(rounds):
        seen.append(attack(model, frauds))
        said.append(torch.ones(len(frauds), dtype=y.dtype, device=y.device))
        model = fit(torch.cat(seen), torch.cat(said))
    return model


def refusal_threshold(model: Any, honest: Tensor, rate: float = 0.01) -> float:
    """The score from which a payment is refused, so that a share `rate` of these honest rows is: use fresh ones."""
    validation.probability("rate", rate)
    return torch.quantile(scorer(model)(honest).double(), 1 - rate, interpolation="higher").item()


def limited(model: Any, schema: Schema, limits: Mapping[str, float]) -> Callable[[Tensor], Tensor]:
    """The model behind velocity limits: a row in which a column exceeds its limit scores infinity, whatever the model.

    limits: the most that is let pass, by the column's name, such as payments_1h=4.
    """
    score, columns = scorer(model), {schema.index(name): most for name, most in limits.items()}

    def behind(x: Tensor) -> Tensor:
        over = torch.stack([x[:, k] > most for k, most in columns.items()] or [x[:, 0] != x[:, 0]]).any(0)
        return score(x).masked_fill(over, torch.inf)

    return behind


def review_queue(scores: Tensor, days: Tensor, *, threshold: float, capacity: int) -> Tensor:
    """Which payments an analyst looks at: each day, of those that are not refused, the `capacity` most suspicious.

    scores: (n,).  days: int64 (n,).  threshold: from this score a payment is refused without an analyst.
    Returns bool (n,). Ties go to the earlier row.
    """
    validation.count("capacity", capacity, low=0)
    waiting = scores < threshold
    order = scores.masked_fill(~waiting, -torch.inf).argsort(descending=True, stable=True)
    order = order[days[order].argsort(stable=True)]  # by day, and within it by score
    _, per_day = days[order].unique_consecutive(return_counts=True)
    start = torch.repeat_interleave(per_day.cumsum(0) - per_day, per_day)
    place = torch.arange(len(order), device=order.device) - start
    chosen = torch.zeros_like(waiting)
    chosen[order[place < capacity]] = True
    return chosen & waiting
