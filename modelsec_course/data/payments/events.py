"""Payments as they happen: who pays when, where, and how much. Honest customers, and three kinds of fraud."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from modelsec_course.data.payments.columns import LEAST, LIMIT, MACHINE_LIMIT
from modelsec_course.data.payments.people import CASH_MACHINE, CATEGORIES, Customers, Merchants, choose, gamma, normal

__all__ = ["Events", "card_testing", "cash_out", "cloned_card", "honest"]

NUMBER = {row[0]: k for k, row in enumerate(CATEGORIES)}


@dataclass(frozen=True)
class Events:
    """All (n,): customer, merchant, hours since the start, amount in euros, distance in km; foreign, 0 or 1."""

    customer: Tensor
    merchant: Tensor
    hours: Tensor
    amount: Tensor
    distance: Tensor
    foreign: Tensor

    def within(self, days: int, shops: Merchants) -> Events:
        """Hours inside the days, amounts in whole cents within the limits, distances that fit to going abroad."""
        machine = shops.channel[self.merchant] == CASH_MACHINE
        amount = torch.where(machine, (self.amount / 10).round() * 10, (self.amount * 100).round() / 100)
        most = torch.where(machine, MACHINE_LIMIT, LIMIT)
        least = torch.where(machine, 10.0, LEAST)
        distance = self.distance.clamp(0, 2000)
        distance = torch.where(self.foreign > 0, distance.clamp_min(50), distance)
        hours = self.hours.clamp(0, 24 * days - 1e-3)
        return Events(self.customer, self.merchant, hours, amount.clamp(least, most), distance, self.foreign)


def honest(people: Customers, shops: Merchants, days: int, draw: Generator) -> Events:
    """Payments at favourites, sometimes elsewhere; bursts of shopping, journeys, nights out and large purchases."""
    number = torch.poisson(people.daily * days, generator=draw).long()
    who = torch.repeat_interleave(torch.arange(len(number)), number)
    n = len(who)
    day = torch.randint(days, (n,), generator=draw)
    hour = (normal(people.peak[who], 3.6, n, draw) % 24).clamp_max(23.99)
    burst = torch.rand(n, generator=draw) < 0.06  # right after the customer's previous payment in this list
    when = 24.0 * day + hour
    near = torch.roll(when, 1) + gamma(1.0, 0.4, n, draw)
    when = torch.where(burst & (torch.roll(who, 1) == who), near, when)
    favourite = torch.randint(people.favourites.shape[1], (n,), generator=draw)
    where = torch.where(
        torch.rand(n, generator=draw) < 0.78, people.favourites[who, favourite], choose(shops.weight, n, draw)
    )
    large = 1.2 * (torch.rand(n, generator=draw) < 0.03)
    amount = (shops.log_amount[where] + normal(large, 0.65, n, draw)).exp() * people.wealth[who]
    away = torch.rand(n, generator=draw) < 0.02
    distance = torch.where(away, gamma(2.0, 120.0, n, draw), gamma(1.2, 7.0, n, draw))
    foreign = torch.rand(n, generator=draw) < torch.where(away, 0.35, 0.01)
    return Events(who, where, when, amount, distance, foreign.float())


def card_testing(people: Customers, shops: Merchants, days: int, episodes: int, draw: Generator) -> Events:
    """Does the number work? Many payments of a few euros within the hour, online, where nobody asks for more."""
    who, when = _episodes(people, days, episodes, 4, 8, 0.12, None, draw)
    n = len(who)
    where = _at(shops, ("subscription", "digital goods"), n, draw)
    return Events(who, where, when, normal(0.9, 0.7, n, draw).exp(), *_from_afar(2.0, 90.0, 0.2, n, draw))


def cash_out(people: Customers, shops: Merchants, days: int, episodes: int, draw: Generator) -> Events:
    """The number works: a few large payments for what can be resold, online, within hours."""
    who, when = _episodes(people, days, episodes, 2, 5, 1.5, None, draw)
    n = len(who)
    where = _at(shops, ("gift cards", "money transfer", "digital goods", "travel"), n, draw)
    amount = 40 * people.wealth[who] * normal(1.5, 0.6, n, draw).exp()
    return Events(who, where, when, amount, *_from_afar(1.5, 90.0, 0.2, n, draw))


def cloned_card(people: Customers, shops: Merchants, days: int, episodes: int, draw: Generator) -> Events:
    """A copy of the card itself: shops and cash machines, far from home, often at night."""
    who, when = _episodes(people, days, episodes, 2, 4, 2.0, 1.0, draw)
    n = len(who)
    where = _at(shops, ("cash machine", "electronics", "clothing", "fuel"), n, draw)
    amount = 40 * people.wealth[who] * normal(1.2, 0.6, n, draw).exp()
    return Events(who, where, when, amount, *_from_afar(2.0, 110.0, 0.3, n, draw))


def _episodes(people, days, episodes, fewest, most, gap, hour, draw) -> tuple[Tensor, Tensor]:
    """Whose card, and when: each episode is `fewest` to `most` payments with `gap` hours between on average."""
    victim = torch.randint(len(people.age), (episodes,), generator=draw)
    number = torch.randint(fewest, most + 1, (episodes,), generator=draw)
    at = 24 * torch.rand(episodes, generator=draw) if hour is None else normal(hour, 3.5, episodes, draw) % 24
    start = 24.0 * torch.randint(days, (episodes,), generator=draw) + at
    gaps = gap * torch.empty(episodes, most).exponential_(generator=draw)
    gaps[:, 0] = 0
    kept = torch.arange(most) < number[:, None]
    return torch.repeat_interleave(victim, number), (start[:, None] + gaps.cumsum(1))[kept]


def _at(shops: Merchants, names: tuple[str, ...], n: int, draw: Generator) -> Tensor:
    return choose(shops.weight * torch.isin(shops.category, torch.tensor([NUMBER[name] for name in names])), n, draw)


def _from_afar(shape: float, scale: float, abroad: float, n: int, draw: Generator) -> tuple[Tensor, Tensor]:
    foreign = (torch.rand(n, generator=draw) < abroad).float()
    return gamma(shape, scale, n, draw) * (0.15 + 0.85 * (torch.rand(n, generator=draw) < 0.75)), foreign
