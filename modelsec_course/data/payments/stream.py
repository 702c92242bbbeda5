"""From events to the bank's table: what was paid before, by the same card, within the hour and the day."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Generator, Tensor

from modelsec_course import runtime, validation
from modelsec_course.data.payments import events, people
from modelsec_course.data.payments.columns import SCHEMA

__all__ = ["KINDS", "Payments", "simulate"]

KINDS = ("honest", "card testing", "cash-out", "cloned card")
PER_EPISODE = 4.2  # payments, on average over the three kinds


@dataclass(frozen=True)
class Payments:
    """x: float32 (n, 17), the columns of `SCHEMA`, in order of time.  y: int64 (n,), 1 for fraud.

    kind: int64 (n,), into KINDS.  customer: int64 (n,).  hours: (n,) since the start.
    """

    x: Tensor
    y: Tensor
    kind: Tensor
    customer: Tensor
    hours: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Payments:
        return Payments(*(getattr(self, part.name)[rows] for part in fields(self)))


def simulate(
    *, customers: int = 1600, days: int = 30, fraud: float = 0.015, generator: Generator | None = None
) -> Payments:
    """About `customers` × `days` × 1.3 card payments, of which a share `fraud` is not the owner's.

    A third of the fraudulent episodes each is card testing, cash-out and a cloned card.
    fraud: in [0, 0.02]; 0 gives honest payments alone.  generator: draws everything (default: seed 0).
    """
    validation.count("customers", customers, low=10)
    validation.count("days", days)
    validation.number("fraud", fraud, low=0, high=0.02, hint="most payments are honest")
    validation.randomness("generator", generator)
    draw = generator or runtime.generator(0)
    shops = people.merchants(600, draw)
    owners = people.customers(customers, shops, draw)
    parts = [events.honest(owners, shops, days, draw)]
    episodes = round(fraud * len(parts[0].hours) / PER_EPISODE / 3)
    for kind in (events.card_testing, events.cash_out, events.cloned_card) if episodes else ():
        parts.append(kind(owners, shops, days, episodes, draw))
    parts = [part.within(days, shops) for part in parts]
    labels = torch.cat([torch.full_like(part.customer, k) for k, part in enumerate(parts)])
    happened = events.Events(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(events.Events)))
    x = _table(happened, owners, shops)
    order = happened.hours.argsort(stable=True)
    return Payments(*(t[order] for t in (x, (labels > 0).long(), labels, happened.customer, happened.hours)))


def _table(happened: events.Events, owners: people.Customers, shops: people.Merchants) -> Tensor:
    who, where = happened.customer, happened.merchant
    number, earlier = _history(who, happened.hours.double(), happened.amount.double())
    average = (38 * owners.wealth[who]).clamp(1.0, 2000.0)  # over the year before
    channel = shops.channel[where]
    hour = happened.hours % 24
    new = _first_time(who, where, happened.hours, owners.favourites)
    columns = {
        "amount": happened.amount, "hour": hour, "distance": happened.distance, "payments_1h": number[0],
        "payments_24h": number[1], "earlier_24h": earlier, "average": average, "merchant_risk": shops.risk[where],
        "new_merchant": new, "foreign": happened.foreign, "account_age": owners.age[who],
    }  # fmt: skip
    columns |= {name: channel == k for k, name in enumerate(people.CHANNELS)}
    columns |= {name: torch.zeros_like(hour) for name in SCHEMA.derived}
    return SCHEMA.derive(torch.stack([columns[name].float() for name in SCHEMA.names], 1))


def _history(who: Tensor, hours: Tensor, amount: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Payments of the card in the last hour and day, this one included, and euros spent before it in the day."""
    clock = who.double() * 1e5 + hours  # one line of time for each card
    order = clock.argsort(stable=True)
    clock, total = clock[order], torch.cat([amount.new_zeros(1), amount[order].cumsum(0)])
    here = torch.arange(len(clock))
    since = [torch.searchsorted(clock, clock - span, right=True) for span in (1.0, 24.0)]
    back = torch.empty_like(order)
    back[order] = here
    earlier = ((total[here] - total[since[1]]) * 100).round() / 100
    return tuple((here + 1 - first)[back] for first in since), earlier.clamp_min(0)[back]


def _first_time(who: Tensor, where: Tensor, hours: Tensor, favourites: Tensor) -> Tensor:
    """Whether the card has never paid there before; favourites are known from the start."""
    _, pair = (who * 10_000 + where).unique(return_inverse=True)
    turn = torch.empty_like(pair)
    turn[hours.argsort(stable=True)] = torch.arange(len(pair))
    earliest = torch.full_like(pair, len(pair)).scatter_reduce(0, pair, turn, "amin")
    return (turn == earliest[pair]) & ~(favourites[who] == where[:, None]).any(1)
