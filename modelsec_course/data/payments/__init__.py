"""Simulated card payments: 1,600 customers, 600 merchants, thirty days, and three kinds of fraud.

Nobody in it exists. Customers buy from their favourite shops and, now and then, elsewhere; they shop in bursts, travel,
stay up late and make large purchases, as honest people do. Fraudsters come in episodes (`frauds`). The bank's table has
one row for each payment, computed from the stream (`stream`); what each column means, what an attacker can do to it and
what it costs is `SCHEMA`. Amounts are in euros.
"""

from modelsec_course.data.dataset import Dataset, register
from modelsec_course.data.payments.columns import LIMIT, MACHINE_LIMIT, RISES, SCHEMA
from modelsec_course.data.payments.stream import KINDS, Payments, simulate
from modelsec_course.runtime import generator

__all__ = ["KINDS", "LIMIT", "MACHINE_LIMIT", "RISES", "SCHEMA", "Payments", "simulate"]


@register("payments")
def payments() -> Dataset:
    """Simulated card payments, (n, 17): the first 20 days for training, the last 10 for testing; label 1 is fraud."""
    made = simulate(generator=generator(0))
    early, late = made.hours < 480, made.hours >= 480
    return Dataset(
        "payments",
        made.x[early],
        made.y[early],
        made.x[late],
        made.y[late],
        classes=("honest", "fraud"),
        features=tuple(f"{f.name} ({f.unit})" if f.unit else f.name for f in SCHEMA.features),
        provenance="Simulated by modelsec_course/data/payments: card testing, cash-out and cloned cards among honest "
        "payments. It stands in for real card data, which banks do not publish.",
        licence="MIT",
    )
