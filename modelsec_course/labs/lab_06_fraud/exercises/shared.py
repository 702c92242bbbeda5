"""What lab 06's exercises try answers on: small tables, payments, and functions that score rows."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from modelsec_course import runtime
from modelsec_course.data import payments
from modelsec_course.data.tables import Feature, Schema, feature
from modelsec_course.labs.common import Watched

ORDER = Schema(  # a small order: what is paid follows from what is set
    (
        Feature("price", 1, 50, scale=10),
        Feature("items", 1, 9, "whole", scale=2),
        Feature("gift", 0, 1, "flag"),
        Feature("member_since", 0, 30, mutable=False),
        Feature("parcels", 1, 9, "whole", cost=(torch.inf, 1.0)),
        Feature("total", 0, 600),
    ),
    derived={"total": feature("price") * feature("items") + 5 * feature("gift")},
)


def orders(n: int = 60, seed: int = 0) -> Tensor:
    draw = runtime.generator(seed)
    x = torch.rand(n, 6, generator=draw) * torch.tensor([49.0, 8.0, 1.0, 30.0, 8.0, 0.0]) + torch.tensor(
        [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    )
    x[:, [1, 2, 4]] = x[:, [1, 2, 4]].round()
    return ORDER.derive(x)


@functools.cache
def some_payments() -> payments.Payments:
    return payments.simulate(customers=120, days=10, generator=runtime.generator(5))


def shaken(x: Tensor, schema: Schema, seed: int = 1, scales: float = 2.0) -> Tensor:
    """Rows that keep no rule: every column moved by a normal number of scales."""
    return x + scales * torch.randn(x.shape, generator=runtime.generator(seed)) * schema.vector("scale", x)


def suspicion() -> tuple[Watched, Tensor, float]:
    """A score that notes what it is asked, frauds, and a threshold that all but a few of them reach."""
    x = some_payments().x[some_payments().y == 1][:40]
    weight = torch.zeros(17)
    for name, per in (("amount", 300), ("distance", 200), ("payments_1h", 3), ("merchant_risk", 0.5)):
        weight[payments.SCHEMA.index(name)] = 1 / per
    score = Watched(lambda z: z @ weight)
    return score, x, (x @ weight).quantile(0.1).item()
