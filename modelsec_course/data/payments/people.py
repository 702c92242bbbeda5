"""Customers and merchants."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

__all__ = [
    "CASH_MACHINE",
    "CATEGORIES",
    "CHANNELS",
    "Customers",
    "Merchants",
    "choose",
    "customers",
    "gamma",
    "merchants",
    "normal",
]  # fmt: skip

CHANNELS = ("in_store", "cash_machine", "online")
CASH_MACHINE = CHANNELS.index("cash_machine")
CATEGORIES = (  # name, channel, risk, typical amount in euros, share of honest payments
    ("groceries", 0, 0.05, 24, 0.28),
    ("fuel", 0, 0.15, 45, 0.08),
    ("restaurant", 0, 0.10, 28, 0.14),
    ("clothing", 0, 0.18, 55, 0.06),
    ("electronics", 0, 0.40, 150, 0.03),
    ("cash machine", 1, 0.30, 80, 0.08),
    ("online shop", 2, 0.25, 38, 0.13),
    ("subscription", 2, 0.10, 12, 0.08),
    ("digital goods", 2, 0.55, 16, 0.05),
    ("gift cards", 2, 0.75, 50, 0.02),
    ("travel", 2, 0.35, 220, 0.02),
    ("money transfer", 2, 0.65, 120, 0.03),
)
FAVOURITES = 12


def normal(mean: float | Tensor, deviation: float, shape: int | tuple[int, ...], draw: Generator) -> Tensor:
    return mean + deviation * torch.randn(shape, generator=draw)


def gamma(shape: float, scale: float, n: int, draw: Generator) -> Tensor:
    return scale * torch._standard_gamma(torch.full((n,), shape), generator=draw)


def choose(weights: Tensor, n: int, draw: Generator) -> Tensor:
    """n numbers, each with a chance in proportion to its weight."""
    return torch.multinomial(weights, n, replacement=True, generator=draw)


@dataclass(frozen=True)
class Merchants:
    """All (merchants,): category, channel, risk in [0, 1], log of the usual amount; weight, how often one is chosen."""

    category: Tensor
    channel: Tensor
    risk: Tensor
    log_amount: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Customers:
    """All (customers,): wealth, a factor of amounts; daily, payments a day; peak, their usual hour; age of the account.

    favourites: (customers, 12), merchants that they have paid before.
    """

    wealth: Tensor
    daily: Tensor
    peak: Tensor
    age: Tensor
    favourites: Tensor


def merchants(n: int, draw: Generator) -> Merchants:
    share = torch.tensor([row[4] for row in CATEGORIES])
    first = torch.arange(len(CATEGORIES))  # at least one of each
    category = torch.cat([first, choose(share, n - len(CATEGORIES), draw)])
    column = lambda k: torch.tensor([float(row[k]) for row in CATEGORIES])[category]  # noqa: E731
    risk = (column(2) + normal(0, 0.06, n, draw)).clamp(0.01, 0.99)
    per_category = torch.bincount(category, minlength=len(CATEGORIES))
    return Merchants(category, column(1).long(), risk, column(3).log(), (share / per_category)[category])


def customers(n: int, shops: Merchants, draw: Generator) -> Customers:
    return Customers(
        wealth=normal(0, 0.35, n, draw).exp(),
        daily=gamma(3.0, 0.4, n, draw) + 0.1,
        peak=normal(14.5, 2.5, n, draw),
        age=gamma(2.0, 700.0, n, draw).clamp_max(19_000).round(),
        favourites=choose(shops.weight, n * FAVOURITES, draw).view(n, FAVOURITES),
    )
