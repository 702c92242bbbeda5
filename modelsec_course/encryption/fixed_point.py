"""Real numbers as whole ones below n, and back, with an error where a result grew too large."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelsec_course import validation

__all__ = ["FixedPoint"]


@dataclass(frozen=True)
class FixedPoint:
    """x becomes the whole number nearest to x · 2^bits, modulo n. Of n's numbers the lowest third is positive, the
    highest negative, and the one between is nobody's: what comes out there has overflowed.

    n: of the key.  bits: after the point.  Each product adds its factors' bits, so a result says of how many factors
    it is one: `power`.
    """

    n: int
    bits: int = 32

    def __post_init__(self) -> None:
        validation.count("n", self.n, low=9)
        validation.count("bits", self.bits, low=0)

    @property
    def largest(self) -> int:
        """The greatest whole number that may be encoded: a third of n."""
        return self.n // 3

    def encode(self, x: float, *, power: int = 1) -> int:
        """The number below n that stands for x, scaled by 2^(bits · power)."""
        return self.signed(x, power=power) % self.n

    def signed(self, x: float, *, power: int = 1) -> int:
        """The same before it is taken modulo n, as a factor needs it: a small negative number, not a large positive."""
        validation.count("power", power)
        if not math.isfinite(x):
            raise ValueError(f"x must be finite, but it is {x}")
        numerator, denominator = float(x).as_integer_ratio()
        whole = _rounded(numerator << (self.bits * power), denominator)
        if abs(whole) > self.largest:
            raise OverflowError(
                f"{x} with {self.bits * power} bits is more than a third of n: fewer bits or a longer key"
            )
        return whole

    def decode(self, number: int, *, power: int = 1) -> float:
        """What a number below n stands for. Raises OverflowError for the middle third.

        A result so large that it wraps all the way round to another third is not seen: see `fits`.
        """
        validation.count("power", power)
        if not 0 <= number < self.n:
            raise ValueError("number must be at least 0 and below n: is it decrypted with another key?")
        whole = number if number <= self.largest else number - self.n
        if whole < -self.largest:
            raise OverflowError("the result is more than a third of n, so its sign is lost: fewer bits or a longer key")
        return whole / 2 ** (self.bits * power)

    def fits(self, largest: float, terms: int, *, power: int = 2) -> bool:
        """Is the sum of so many products of `power` factors, each at most `largest` in absolute value, sure to fit?"""
        validation.positive("largest", largest)
        validation.count("terms", terms)
        validation.count("power", power)
        factor = math.ceil(largest * 2**self.bits) + 1  # rounded up
        return terms * factor**power <= self.largest


def _rounded(numerator: int, denominator: int) -> int:
    """The nearest whole number; of two, the one away from 0."""
    whole = (2 * abs(numerator) + denominator) // (2 * denominator)
    return whole if numerator >= 0 else -whole
