"""What a CKKS computation needs, worked out before it is run: ring, chain of primes, scale and slots.

CKKS computes on numbers times 2^scale, modulo a product of primes. Each multiplication multiplies the scales, and one
prime of the chain is divided out to bring them back: so the chain is as long as the computation is deep, and the ring
must be so large that the product is still secure.

Source: Cheon, Kim, Kim & Song, 2017, "Homomorphic Encryption for Arithmetic of Approximate Numbers"; Bossuat,
Cammarota, Chillotti and others, 2024, "Security Guidelines for Implementing Homomorphic Encryption" (the limits).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelsec_course import validation

__all__ = ["LIMITS", "SEAL_LIMITS", "Plan", "chain_of", "flooding_bits", "plan"]

# Bits of all primes together that leave 128 bits of security, with a ternary secret, by the degree of the ring.
LIMITS = {4096: 106, 8192: 214, 16384: 430, 32768: 868}
SEAL_LIMITS = {4096: 109, 8192: 218, 16384: 438, 32768: 881}  # of 2018: what Microsoft SEAL still accepts
PRIME = 20, 60  # bits of one prime: fewer and there are too few of them, more and a machine word is too short


@dataclass(frozen=True)
class Plan:
    """A ring of degree n, a chain of primes by their bits (the last one is the keys' own), and the scale in bits."""

    n: int
    chain: tuple[int, ...]
    scale: int

    @property
    def slots(self) -> int:
        """Numbers in one ciphertext."""
        return self.n // 2

    @property
    def depth(self) -> int:
        """Multiplications, one after the other, that fit."""
        return len(self.chain) - 2

    @property
    def bits(self) -> int:
        """Of all primes together: what the limits are about."""
        return sum(self.chain)

    @property
    def whole(self) -> int:
        """Bits that are left before the point at the end, one of them for the sign."""
        return self.chain[0] - self.scale

    def refuse_depth(self, depth: int) -> None:
        """Raise unless so many multiplications fit: SEAL would say "scale out of bounds", in the midst of them."""
        validation.count("depth", depth, low=0)
        if depth > self.depth:
            raise ValueError(
                f"{depth} multiplications need {depth + 2} primes, and this plan has {len(self.chain)}: plan anew"
            )

    def refuse_width(self, inputs: int, outputs: int) -> None:
        """Raise unless a matrix product of one packed row fits: beyond, TenSEAL returns wrong numbers, and no error."""
        validation.count("inputs", inputs)
        validation.count("outputs", outputs)
        if inputs + outputs > self.slots + 1:
            raise ValueError(
                f"{inputs} inputs and {outputs} outputs are more than n/2 + 1 = {self.slots + 1}: a larger ring, or "
                "columns instead of rows"
            )


def plan(depth: int, *, scale: int = 36, whole: int = 14, n: int | None = None) -> Plan:
    """The smallest ring, or the ring of degree n, in which `depth` multiplications in a row are secure.

    scale: bits after the point; the error is some bits more than 2^-scale.  whole: bits before it, one for the sign:
    scores must stay below 2^(whole − 1).  Raises where nothing fits, and says what would.
    """
    validation.count("depth", depth)
    validation.count("scale", scale)
    validation.count("whole", whole, low=2)
    if n is not None and n not in LIMITS:
        raise ValueError(f"n must be one of {', '.join(map(str, LIMITS))}, but it is {n}")
    chain = chain_of(depth, scale, whole)
    for bits, what in ((scale, "scale"), (scale + whole, "scale + whole")):
        if not PRIME[0] <= bits <= PRIME[1]:
            raise ValueError(
                f"{what} must lie in [{PRIME[0]}, {PRIME[1]}] bits, as a prime of SEAL must, but it is {bits}"
            )
    rings = [n] if n is not None else list(LIMITS)
    found = next((ring for ring in rings if sum(chain) <= LIMITS[ring]), None)
    if found is None:
        raise ValueError(_too_much(chain, depth, whole, rings[-1]))
    return Plan(found, chain, scale)


def chain_of(depth: int, scale: int, whole: int) -> tuple[int, ...]:
    """The primes' bits: one prime for each multiplication, between one that holds the result and one for the keys."""
    return (scale + whole, *[scale] * depth, scale + whole)


def flooding_bits(queries: int = 1, *, security: int = 30) -> float:
    """Bits of precision that it costs to publish decryptions with a proof: log2 of the noise to add over the error.

    The standard deviation is √(12 queries) · 2^(security / 2) times a bound that is proved for the error of the
    computation; an error that was merely measured is not enough (Guo, Nabokov, Suvanto & Johansson, 2024). That leaves
    so many bits of statistical security: an advantage of about 2^(−security / 2), a few in a million for 30 bits.
    Source: Li, Micciancio, Schultz & Sorrell, 2022, "Securing Approximate Homomorphic Encryption Using Differential
    Privacy", Corollary 2 (for noise on the coefficients of a decryption).
    """
    validation.count("queries", queries)
    validation.count("security", security)
    return security / 2 + math.log2(12 * queries) / 2


def _too_much(chain: tuple[int, ...], depth: int, whole: int, n: int) -> str:
    need, limit = sum(chain), LIMITS[n]
    still = f" (SEAL accepts it, by an older table: {SEAL_LIMITS[n]})" if need <= SEAL_LIMITS[n] else ""
    most = (limit - 2 * whole) // (depth + 2)
    larger = next((ring for ring, bits in LIMITS.items() if need <= bits), None)
    ways = [f"n={larger}"] * (larger is not None) + [f"scale={most}"] * (most >= PRIME[0])
    advice = " or ".join(ways) or "a computation that is less deep"
    return f"the primes have {need} bits together and at n={n} may have {limit}{still}: take {advice}"
