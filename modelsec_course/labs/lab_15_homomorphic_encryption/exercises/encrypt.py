"""Paillier's encryption: a message as a power of n + 1, times the n-th power of a random number."""

from __future__ import annotations

import math

from modelsec_course.encryption import paillier
from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.labs.lab_15_homomorphic_encryption.exercises.shared import LONG, SMALL, TINY, whole


def _known(encrypt):
    """It gives the published answers"""
    for n, message, r, want in ((126869, 10100, 74384, 935906717), (126869, 1, 1, 126870), (35, 0, 1, 1)):
        got = encrypt(n, message, r)
        expect(got == want, f"n = {n}, message = {message}, r = {r}: expected {want}, got {got}")


def _one_to_one(encrypt):
    """Each message and each r of a tiny key gives another ciphertext below n²"""
    n = TINY.public.n
    units = [r for r in range(1, n) if math.gcd(r, n) == 1]
    made = [encrypt(n, m, r) for m in range(n) for r in units]
    expect(all(0 < c < n * n for c in made), f"for n = {n} a ciphertext must lie in (0, {n * n})")
    twice = len(made) - len(set(made))
    expect(not twice, f"for n = {n} there are {len(made)} pairs of message and r, and {twice} ciphertexts come twice")


def _opens(encrypt):
    """The key's owner reads the message"""
    for key, r in ((SMALL, 4711), (LONG, 2**900 + 3)):
        n = key.public.n
        for message in (0, 1, n // 2, n - 1):
            got = paillier.decrypt(key, encrypt(n, message, r))
            name = {0: "0", 1: "1", n // 2: "n // 2", n - 1: "n − 1"}[message]
            expect(got == message, f"the message {name}, for an n of {n.bit_length()} bits, is read as another")


def encrypt(n, message, r):
    return (1 + message * n) * pow(r, n, n * n) % (n * n)


def _by_the_power(n, message, r):
    """Another form: n + 1 to the power of the message."""
    return pow(n + 1, message, n**2) * pow(r, n, n**2) % n**2


EXERCISE = Exercise(
    "15.encrypt",
    title="Hide a number",
    reference=encrypt,
    properties=[_known, _one_to_one, _opens],
    hints=[
        "Everything is modulo n². Python's `pow(base, exponent, modulus)` never writes the huge power down.",
        "(n + 1) to the power of the message is 1 + message · n, modulo n²: all other terms hold n².",
        "`return (1 + message * n) * pow(r, n, n * n) % (n * n)`",
    ],
    returns=whole,
    second=_by_the_power,
    mutants={
        "works modulo n": lambda n, m, r: (1 + m * n) * pow(r, n, n) % n,
        "leaves r out": lambda n, m, r: (1 + m * n) % (n * n),
        "takes r itself, not its n-th power": lambda n, m, r: (1 + m * n) * r % (n * n),
        "takes n for g": lambda n, m, r: pow(n, m, n * n) * pow(r, n, n * n) % (n * n),
        "adds where it should multiply": lambda n, m, r: (1 + m * n + pow(r, n, n * n)) % (n * n),
        "raises r to the power of the message": lambda n, m, r: (1 + m * n) * pow(r, m, n * n) % (n * n),
    },
)
