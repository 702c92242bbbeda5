"""Paillier's cryptosystem: sums of encrypted numbers, and encrypted numbers times known ones, without the key.

A teaching implementation. Python's integers take longer for some values than for others, so whoever can time it may
learn from it: not for secrets that matter. What is random comes from the operating system (`secrets`).

Source: Paillier, 1999, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes"; section 7 for
decryption by the Chinese remainder theorem.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from modelsec_course import validation

__all__ = [
    "PublicKey", "SecretKey", "add", "decrypt", "encrypt", "key_from_primes", "keygen", "multiply", "rerandomise",
    "weighted_sum",
]  # fmt: skip

BITS = 3072  # of n: what 128-bit security asks for (NIST SP 800-57, as for RSA)
LEAST = 2048  # bits that are still thought safe


@dataclass(frozen=True)
class PublicKey:
    """n = p q, and g, whose default n + 1 makes the message's power one multiplication. Messages: 0 ≤ m < n."""

    n: int
    g: int

    @cached_property
    def square(self) -> int:
        """n², below which ciphertexts lie."""
        return self.n * self.n


@dataclass(frozen=True)
class SecretKey:
    """The two primes of n, kept out of every print."""

    public: PublicKey
    p: int = field(repr=False)
    q: int = field(repr=False)

    @cached_property
    def _inverse_of_square(self) -> int:
        """1/p² modulo q²."""
        return pow(self.p**2, -1, self.q**2)

    @cached_property
    def _parts(self) -> tuple[tuple[int, int], tuple[int, int], int]:
        """For each prime (itself, what L of its power is multiplied by), and 1/p modulo q."""
        by = [
            (prime, pow(_quotient(pow(self.public.g, prime - 1, prime**2), prime), -1, prime))
            for prime in (self.p, self.q)
        ]
        return by[0], by[1], pow(self.p, -1, self.q)


def keygen(bits: int = BITS, *, insecure: bool = False) -> SecretKey:
    """A new key whose n has so many bits. It takes a few seconds.

    Fewer than 2,048 bits can be factored, or soon may be: insecure=True asks for such a key all the same, at least 16
    bits, for a lesson or a test.
    """
    validation.count("bits", bits, low=16)
    validation.flag("insecure", insecure)
    if bits < LEAST and not insecure:
        raise ValueError(f"bits must be at least {LEAST} to be safe, but it is {bits}: insecure=True for a lesson")
    if bits % 2:
        raise ValueError(f"bits must be even, for two primes of one length, but it is {bits}")
    p = _prime(bits // 2)
    q = _prime(bits // 2)
    while p == q:
        q = _prime(bits // 2)
    return key_from_primes(p, q)


def key_from_primes(p: int, q: int, g: int | None = None) -> SecretKey:
    """The key of two primes: for worked examples, which are small.

    p, q: different primes with gcd(p q, (p − 1)(q − 1)) = 1, which holds for primes of one length.  g: an element of
    order a multiple of n modulo n² (default: n + 1).
    """
    from sympy import isprime

    for name, value in (("p", p), ("q", q)):
        validation.count(name, value, low=2)
        if not isprime(value):
            raise ValueError(f"{name} must be prime, but it is {value}")
    n = p * q
    if p == q or math.gcd(n, (p - 1) * (q - 1)) != 1:
        raise ValueError(f"p and q must differ and divide neither p − 1 nor q − 1, but they are {p} and {q}")
    g = n + 1 if g is None else g
    validation.count("g", g)
    key = SecretKey(PublicKey(n, g), p, q)
    try:
        _ = key._parts
    except ValueError:
        raise ValueError(f"g must have an order that n divides, modulo n², but {g} has not: leave it out") from None
    return key


def encrypt(key: PublicKey | SecretKey, message: int, *, r: int | None = None) -> int:
    """g^message · r^n mod n²: another number each time, since r is drawn anew.

    message: in [0, n); `FixedPoint` makes one of a real number.  r: a number below n without a common divisor, for
    worked examples alone: who knows it knows the message.  The secret key encrypts about four times as fast.
    """
    public = key.public if isinstance(key, SecretKey) else key
    _below("message", message, public.n)
    if r is None:
        r = _unit(public.n)
    elif not 0 < r < public.n or math.gcd(r, public.n) != 1:
        raise ValueError(f"r must be in (0, n) and have no divisor in common with n, but it is {r}")
    power = 1 + message * public.n if public.g == public.n + 1 else pow(public.g, message, public.square)
    return power * _noise(key, r) % public.square


def decrypt(key: SecretKey, ciphertext: int) -> int:
    """The message, modulo one prime and modulo the other, put together."""
    if not isinstance(key, SecretKey):
        raise TypeError(f"key must be the secret key, but it is a {type(key).__name__}")
    _ciphertext(key.public, ciphertext)
    (p, by_p), (q, by_q), inverse = key._parts
    at_p = _quotient(pow(ciphertext, p - 1, p * p), p) * by_p % p
    at_q = _quotient(pow(ciphertext, q - 1, q * q), q) * by_q % q
    return at_p + p * ((at_q - at_p) * inverse % q)


def add(public: PublicKey, *ciphertexts: int) -> int:
    """A ciphertext of the sum of the messages, modulo n."""
    total = 1
    for ciphertext in ciphertexts:
        _ciphertext(public, ciphertext)
        total = total * ciphertext % public.square
    return total


def multiply(public: PublicKey, ciphertext: int, factor: int) -> int:
    """A ciphertext of factor times the message, modulo n. factor: any whole number; its size is the cost.

    Whoever encrypted the message can test guesses of `factor` on the result, until `rerandomise` is called on it.
    """
    _ciphertext(public, ciphertext)
    if not isinstance(factor, int) or isinstance(factor, bool):
        raise TypeError(f"factor must be a whole number, but it is a {type(factor).__name__}: see FixedPoint")
    return pow(ciphertext, factor, public.square)


def rerandomise(public: PublicKey, ciphertext: int) -> int:
    """A new ciphertext of the same message that keeps nothing else of the old one."""
    _ciphertext(public, ciphertext)
    return ciphertext * pow(_unit(public.n), public.n, public.square) % public.square


def weighted_sum(public: PublicKey, ciphertexts: Sequence[int], factors: Sequence[int], constant: int = 0) -> int:
    """A new ciphertext of Σ factor · message + constant, modulo n: a linear model's score, rerandomised.

    factors, constant: whole numbers of either sign.
    """
    if len(ciphertexts) != len(factors):
        raise ValueError(f"there must be one factor for each ciphertext, but {len(factors)} and {len(ciphertexts)}")
    parts = [multiply(public, c, factor) for c, factor in zip(ciphertexts, factors, strict=True)]
    return rerandomise(public, add(public, *parts) * pow(public.g, constant, public.square) % public.square)


def _quotient(power: int, prime: int) -> int:
    """Paillier's L."""
    return (power - 1) // prime


def _noise(key: PublicKey | SecretKey, r: int) -> int:
    """r^n mod n²; with the primes known, in smaller numbers."""
    if isinstance(key, PublicKey):
        return pow(r, key.n, key.square)
    p, q = key.p, key.q
    at_p, at_q = pow(pow(r, q, p), p, p * p), pow(pow(r, p, q), q, q * q)  # a^p mod p² is the same for all a ≡ a' mod p
    return at_p + p * p * ((at_q - at_p) * key._inverse_of_square % (q * q))


def _unit(n: int) -> int:
    while True:
        r = secrets.randbelow(n)
        if r and math.gcd(r, n) == 1:
            return r


def _prime(bits: int) -> int:
    """A random prime with its two highest bits set, so that two of them multiply to twice the bits."""
    from sympy import isprime

    high = 0b11 << (bits - 2)
    while True:
        candidate = secrets.randbits(bits) | high | 1
        if isprime(candidate):
            return candidate


def _below(name: str, value: object, limit: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, but it is a {type(value).__name__}: see FixedPoint")
    if not 0 <= value < limit:
        raise ValueError(f"{name} must be at least 0 and below n, but it is not: see FixedPoint for what is negative")


def _ciphertext(public: PublicKey, ciphertext: object) -> None:
    if not isinstance(ciphertext, int) or isinstance(ciphertext, bool):
        raise TypeError(f"a ciphertext is a whole number, but this is a {type(ciphertext).__name__}")
    if not 0 < ciphertext < public.square or math.gcd(ciphertext, public.n) != 1:
        raise ValueError("this is no ciphertext of this key: it must be in (0, n²) and share no divisor with n")
