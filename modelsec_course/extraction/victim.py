"""The victim: a model that answers queries, counts them, and stops when they are used up."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from modelsec_course import validation
from modelsec_course.extraction.monitoring import round_outputs
from modelsec_course.serving import Refused

__all__ = ["ANSWERS", "OutOfQueries", "Victim"]

ANSWERS = ("logits", "probabilities", "label")


class OutOfQueries(Refused):
    """The budget does not cover these queries. Nothing was answered, and nothing was counted."""

    def __init__(self, asked: int, left: int) -> None:
        super().__init__("", "budget", f"the budget has {left} queries left, but this call asks {asked}: ask fewer")


class Victim:
    """`victim(x)` is all that an attack may see: answers about inputs (n, ...), each of them a query that is counted.

    A batch is answered whole or not at all; past the budget the victim raises OutOfQueries, which is a
    `serving.Refused`. The model may be a `serving.Guard`, which tells clients apart and watches them.
    model: any callable that returns logits (n, classes), in eval mode.  answers: "logits" or "probabilities",
    (n, classes), or "label", int64 (n,).  decimals: probabilities are given by `round_outputs` (default: in full).
    budget: the most inputs that are answered, over all calls (default: no limit).
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        *,
        answers: str = "probabilities",
        decimals: int | None = None,
        budget: int | None = None,
    ) -> None:
        validation.function("model", model)
        if getattr(model, "training", False):
            raise ValueError("model is in train mode, so its answers depend on the batch: call model.eval() first")
        validation.one_of("answers", answers, ANSWERS)
        if budget is not None:
            validation.count("budget", budget)
        if decimals is not None:
            validation.count("decimals", decimals)
            if answers != "probabilities":
                raise ValueError(f"decimals={decimals} rounds probabilities, but the answers are {answers!r}: leave it")
        self._model, self.answers, self.decimals, self.budget, self.spent = model, answers, decimals, budget, 0

    @property
    def left(self) -> float:
        """How many queries are left: a whole number, or infinity."""
        return torch.inf if self.budget is None else self.budget - self.spent

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        validation.tensor("x", x)
        validation.fits(self._model, x)
        if not x.dim():
            raise ValueError("x must be a batch of inputs (n, ...), but it is a single number")
        if len(x) > self.left:
            raise OutOfQueries(len(x), self.left)
        logits = self._model(x)
        self.spent += len(x)
        if self.answers == "logits":
            return logits
        if self.answers == "label":
            return logits.argmax(1)
        probabilities = logits.softmax(1)
        return probabilities if self.decimals is None else round_outputs(probabilities, self.decimals)
