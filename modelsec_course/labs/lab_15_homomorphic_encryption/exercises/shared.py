"""Keys to test with, fixed, and what a whole number is."""

from __future__ import annotations

from numbers import Integral

from modelsec_course.encryption import paillier
from modelsec_course.lab.exercise import expect

TINY, SMALL = paillier.key_from_primes(5, 7), paillier.key_from_primes(293, 433)
# Too short to be safe, long enough that powers must be taken modulo n².
_P, _Q = 2**511 + 2**509 + 181, 2**511 + 2**510 + 761
LONG = paillier.SecretKey(paillier.PublicKey(_P * _Q, _P * _Q + 1), _P, _Q)


def whole(result, args: tuple, kwargs: dict) -> None:
    """A function returned a whole number."""
    expect(
        isinstance(result, Integral) and not isinstance(result, bool), f"return an int, not a {type(result).__name__}"
    )
