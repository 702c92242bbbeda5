"""Paillier's decryption: a power that r does not survive, and a division."""

from __future__ import annotations

import math

from modelsec_course.encryption import paillier
from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.labs.lab_15_homomorphic_encryption.exercises.shared import LONG, SMALL, TINY, whole


def _known(decrypt):
    """It reads the published answer"""
    got = decrypt(293, 433, 935906717)
    expect(got == 10100, f"p = 293, q = 433, ciphertext = 935906717: expected 10100, got {got}")


def _every(decrypt):
    """Every message of a tiny key comes back, whatever r was"""
    n = TINY.public.n
    for message in range(n):
        for r in (1, 2, 3, 34):
            got = decrypt(TINY.p, TINY.q, paillier.encrypt(TINY.public, message, r=r))
            expect(got == message, f"p = 5, q = 7, message = {message}, r = {r}: got {got}")


def _large(decrypt):
    """Large messages of a long key come back"""
    for key in (SMALL, LONG):
        n = key.public.n
        for message in (n - 1, n // 2, 2, 0):
            got = decrypt(key.p, key.q, paillier.encrypt(key, message, r=5))
            expect(got == message, f"a message of {message.bit_length()} bits, with n of {n.bit_length()}, is not read")


def decrypt(p, q, ciphertext):
    return _with(p, q, ciphertext, math.lcm(p - 1, q - 1))


def _with(p, q, ciphertext, power, *, modulus=2, divide=True, back=True):
    n = p * q
    u = pow(ciphertext, power, n**modulus)
    u = (u - 1) // n if divide else u
    return u * pow(power, -1, n) % n if back else u % n


EXERCISE = Exercise(
    "15.decrypt",
    title="Read it with the primes",
    reference=decrypt,
    properties=[_known, _every, _large],
    hints=[
        "`lam = math.lcm(p - 1, q - 1)`, `u = pow(ciphertext, lam, n * n)`.",
        "What is left is u = 1 + lam · message · n, modulo n². Take 1 off and divide: `(u - 1) // n`.",
        "That is lam · message, modulo n. `pow(lam, -1, n)` is the inverse: "
        "`return (u - 1) // n * pow(lam, -1, n) % n`.",
    ],
    returns=whole,
    second=lambda p, q, c: _with(p, q, c, (p - 1) * (q - 1)),
    mutants={
        "does not divide λ out": lambda p, q, c: _with(p, q, c, math.lcm(p - 1, q - 1), back=False),
        "takes the power modulo n": lambda p, q, c: _with(p, q, c, math.lcm(p - 1, q - 1), modulus=1),
        "does not divide by n": lambda p, q, c: _with(p, q, c, math.lcm(p - 1, q - 1), divide=False),
        "takes λ = p q": lambda p, q, c: _with(p, q, c, p * q + 1),
        "forgets the −1": lambda p, q, c: (
            pow(c, math.lcm(p - 1, q - 1), (p * q) ** 2) * pow(math.lcm(p - 1, q - 1), -1, p * q) % (p * q)
        ),
        "reads the message modulo p": lambda p, q, c: decrypt(p, q, c) % p,
    },
)
