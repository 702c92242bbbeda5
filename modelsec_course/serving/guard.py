"""A model that remembers who asked it what: a budget for each client, and a watch for queries that are alike."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

from modelsec_course import validation

__all__ = ["Guard", "Refused", "closeness"]

PIXELS = functools.partial(torch.flatten, start_dim=1)


class Refused(RuntimeError):
    """The victim does not answer. client: who asked.  reason: "budget", "near duplicates" or "banned"."""

    def __init__(self, client: Hashable, reason: str, words: str = "") -> None:
        super().__init__(words or f"client {client!r} is refused: {reason}")
        self.client, self.reason = client, reason


def closeness(queries: Tensor, earlier: Tensor, neighbours: int) -> Tensor:
    """The mean L2 distance of each query (n, d) to the nearest of those before it, (n,); infinite if there are too few.

    earlier: (m, d), asked before all of `queries`, which are in order.  neighbours: how many of the nearest count.
    """
    asked = torch.cat([earlier, queries])
    later = (
        torch.arange(len(asked), device=asked.device)
        >= len(earlier) + torch.arange(len(queries), device=asked.device)[:, None]
    )
    distance = torch.cdist(queries, asked, compute_mode="donot_use_mm_for_euclid_dist").masked_fill(later, torch.inf)
    if len(asked) < neighbours:
        return torch.full_like(distance[:, 0], torch.inf)
    return distance.topk(neighbours, largest=False).values.mean(1)


class Guard:
    """`guard(x, client)` answers like `model`, or raises Refused.

    A batch is answered whole or not at all. A client is refused once it has had `budget` answers, and is banned when
    one of its queries is closer than `threshold` to earlier ones, on average over `neighbours` of them: benign queries
    are unlike each other, while a black-box attack asks about one picture again and again.
    model: any callable that returns logits, in eval mode.  threshold: None watches nothing; `calibrate` sets it.
    shared: compare with the queries of all clients, not only the client's own.  window: how many are remembered.
    encode: x -> (n, d) in which distances are taken (default: the pixels).
    Source: Chen, Carlini & Wagner, 2020, "Stateful Detection of Black-Box Adversarial Attacks".
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        *,
        budget: int | None = None,
        threshold: float | None = None,
        neighbours: int = 10,
        shared: bool = False,
        window: int = 1000,
        encode: Callable[[Tensor], Tensor] = PIXELS,
    ) -> None:
        validation.function("model", model)
        if getattr(model, "training", False):
            raise ValueError(
                "model is in train mode, so its answers would depend on the batch: call model.eval() first"
            )
        validation.function("encode", encode)
        validation.count("neighbours", neighbours)
        validation.count("window", window)
        if budget is not None:
            validation.count("budget", budget)
        if threshold is not None:
            validation.number("threshold", threshold, low=0.0)
        self.model, self.encode, self.budget, self.threshold = model, encode, budget, threshold
        self.neighbours, self.shared, self.window = neighbours, shared, window
        self.answered: Counter[Hashable] = Counter()
        self.banned: set[Hashable] = set()
        self._memory: dict[Hashable, Tensor] = {}

    @torch.no_grad()
    def calibrate(self, streams: Tensor, false_positives: float = 0.01) -> float:
        """Set and return the threshold at which this share of benign clients would be banned.

        streams: (clients, queries, ...) what each of them asks, in order. A longer stream has closer neighbours, so
        let these be as long as the longest that you want to let through; for a shared memory, as long as `window`, from
        everybody.
        """
        validation.number("false_positives", false_positives, low=0.0, high=1.0)
        validation.tensor("streams", streams)
        if streams.dim() < 3 or streams.shape[1] <= self.neighbours:
            raise ValueError(
                f"streams must be (clients, queries, ...) with more than {self.neighbours} queries, since so many "
                f"neighbours are looked at, but their shape is {tuple(streams.shape)}"
            )
        closest = [self._closeness(stream, None).min() for stream in streams]
        self.threshold = torch.stack(closest).double().quantile(false_positives).item()
        return self.threshold

    @torch.no_grad()
    def __call__(self, x: Tensor, client: Hashable = "") -> Tensor:
        if client in self.banned:
            raise Refused(client, "banned")
        if self.budget is not None and self.answered[client] + len(x) > self.budget:
            raise Refused(client, "budget")
        if self.threshold is not None:
            who = None if self.shared else client
            if (self._closeness(x, self._memory.get(who)) < self.threshold).any():
                self.banned.add(client)
                raise Refused(client, "near duplicates")
            self._remember(who, x)
        self.answered[client] += len(x)
        return self.model(x)

    def _closeness(self, x: Tensor, memory: Tensor | None) -> Tensor:
        queries = self.encode(x)
        return closeness(queries, queries[:0] if memory is None else memory, self.neighbours)

    def _remember(self, who: Hashable, x: Tensor) -> None:
        queries = self.encode(x)
        self._memory[who] = torch.cat([self._memory.get(who, queries[:0]), queries])[-self.window :]
