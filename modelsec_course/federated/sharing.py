"""Shamir's secret sharing: any `threshold` shares give the secret, fewer say nothing at all of it."""

from __future__ import annotations

import random
from collections.abc import Mapping

from modelsec_course import validation

__all__ = ["PRIME", "recover", "share"]

PRIME = 2**521 - 1  # shares are numbers modulo a Mersenne prime


def share(secret: int, holders: int, threshold: int, dice: random.Random) -> dict[int, int]:
    """One share for each holder 1 to `holders`: a polynomial of degree threshold − 1 whose value at 0 is the secret.

    secret: in [0, PRIME).  threshold: how many shares are needed, 1 to holders.  dice: draws the coefficients
    (`random.SystemRandom()` for a real secret).
    Source: Shamir, 1979, "How to Share a Secret".
    """
    validation.count("holders", holders)
    validation.count("threshold", threshold)
    if threshold > holders:
        raise ValueError(f"threshold must be at most holders, {holders}, but it is {threshold}: nobody could recover")
    if not 0 <= secret < PRIME:
        raise ValueError("secret must lie in [0, 2**521 - 1): split a longer one")
    coefficients = [secret] + [dice.randrange(PRIME) for _ in range(threshold - 1)]
    return {at: _value(coefficients, at) for at in range(1, holders + 1)}


def recover(shares: Mapping[int, int]) -> int:
    """The polynomial's value at 0, by Lagrange's formula: the secret, if at least `threshold` shares are given."""
    if not shares:
        raise ValueError("shares must hold at least one share, {holder: share}")
    secret = 0
    for at, value in shares.items():
        above = below = 1
        for other in shares:
            if other != at:
                above, below = above * other % PRIME, below * (other - at) % PRIME
        secret += value * above * pow(below, -1, PRIME)
    return secret % PRIME


def _value(coefficients: list[int], at: int) -> int:
    """The polynomial's value modulo PRIME, by Horner's rule: coefficients from the constant one on."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * at + coefficient) % PRIME
    return value
