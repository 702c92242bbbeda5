"""The bank's table of card payments: seventeen columns, what a fraudster can do to each, and the rules between them."""

from __future__ import annotations

import math

from modelsec_course.data.tables import Feature, Schema, count, feature, safe_divide

__all__ = ["LIMIT", "MACHINE_LIMIT", "RISES", "SCHEMA"]

LIMIT = 3000.0  # euros, of one payment
MACHINE_LIMIT = 600.0  # euros, from a cash machine
LEAST = 0.5  # euros
NEVER = math.inf
OWNERS = {"mutable": False, "known": False}  # facts about the card's owner

SCHEMA = Schema(
    features=(
        Feature("amount", LEAST, LIMIT, unit="€", scale=80.0),
        Feature("hour", 0, 24, unit="h", scale=5.0),
        Feature("distance", 0, 2000, unit="km", cost=(0.05, 0.05), scale=60.0),
        Feature("payments_1h", 1, 60, "whole", cost=(1.0, 1.0)),
        Feature("payments_24h", 1, 120, "whole", cost=(2.0, 1.0), scale=2.0),
        Feature("earlier_24h", 0, 119 * LIMIT, unit="€", scale=120.0),
        Feature("spent_24h", LEAST, 120 * LIMIT, unit="€", scale=150.0),
        Feature("average", LEAST, LIMIT, unit="€", **OWNERS, scale=20.0),
        Feature("ratio", 0, LIMIT / LEAST, known=False, scale=2.0),
        Feature("merchant_risk", 0, 1, cost=(30.0, 0.0), scale=0.2),
        Feature("new_merchant", 0, 1, "flag", **OWNERS),
        Feature("in_store", 0, 1, "flag", cost=(0.0, NEVER)),  # a card's number alone opens no door but the web's
        Feature("cash_machine", 0, 1, "flag", cost=(0.0, NEVER)),
        Feature("online", 0, 1, "flag", cost=(NEVER, 0.0)),
        Feature("foreign", 0, 1, "flag", cost=(5.0, 0.0)),
        Feature("account_age", 0, 20_000, unit="days", **OWNERS, scale=800.0),
        Feature("night", 0, 1, "whole"),
    ),
    relations={
        "the last hour is part of the last day": feature("payments_1h") <= feature("payments_24h"),
        "each earlier payment is within the limit": feature("earlier_24h") <= LIMIT * (feature("payments_24h") - 1),
        "each earlier payment is at least 50 cents": feature("earlier_24h") >= LEAST * (feature("payments_24h") - 1),
        "a cash machine gives at most 600 euros": feature("amount")
        <= LIMIT - (LIMIT - MACHINE_LIMIT) * feature("cash_machine"),
        "abroad is at least 50 km away": (feature("foreign") <= 0) | (feature("distance") >= 50),
    },
    derived={
        "spent_24h": feature("earlier_24h") + feature("amount"),
        "ratio": safe_divide(feature("amount"), feature("average")),
        "night": count(feature("hour") < 6, feature("hour") >= 23),
    },
    one_hot=(("in_store", "cash_machine", "online"),),
)

RISES = (
    "amount", "distance", "payments_1h", "payments_24h", "earlier_24h", "spent_24h", "ratio", "merchant_risk",
    "new_merchant", "foreign",
)  # fmt: skip
"""Columns of which a bank would say: more of it is never less suspicious."""
