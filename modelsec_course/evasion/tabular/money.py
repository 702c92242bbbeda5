"""What an attack earns and what it costs the bank, in money."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modelsec_course import validation

__all__ = ["Prices", "attacker_profit", "bank_loss"]


@dataclass(frozen=True)
class Prices:
    """In euros. resale: what a fraudster keeps of an amount, a share.  query: one try.  review: an analyst's look at
    one payment.  refusal: an honest customer refused, in anger and in lost fees.
    """

    resale: float = 0.6
    query: float = 0.2
    review: float = 4.0
    refusal: float = 15.0

    def __post_init__(self) -> None:
        validation.number("resale", self.resale, low=0, high=1)
        for name in ("query", "review", "refusal"):
            validation.number(name, getattr(self, name), low=0)


def attacker_profit(amount: Tensor, passed: Tensor, changes: Tensor, queries: Tensor, prices: Prices) -> Tensor:
    """What each attempt earns: the resold amount if it passed, less its changes, less every query. Losses count.

    amount: (n,), of the payment that was made, not of the one that was planned.  passed: bool (n,).  changes: (n,),
    their cost (`Schema.price`), paid only by those who go through with it, that is where it passed.  queries: (n,).
    """
    earned = torch.where(passed, prices.resale * amount - changes, torch.zeros_like(amount))
    return earned - prices.query * queries


def bank_loss(
    amount: Tensor, fraud: Tensor, refused: Tensor, prices: Prices, reviewed: Tensor | None = None
) -> dict[str, float]:
    """What a day or a month costs the bank: fraud that got through, honest customers refused, and reviews.

    All (n,): amount in euros; fraud and refused, bool; reviewed, bool: an analyst looked, and always finds the truth,
    so that a reviewed fraud is stopped and a reviewed honest payment goes through.
    """
    reviewed = torch.zeros_like(refused) if reviewed is None else reviewed
    through = fraud & ~refused & ~reviewed
    parts = {
        "fraud": amount[through].double().sum().item(),
        "refusals": prices.refusal * int((refused & ~fraud & ~reviewed).sum()),
        "reviews": prices.review * int(reviewed.sum()),
    }
    return parts | {"total": sum(parts.values())}
