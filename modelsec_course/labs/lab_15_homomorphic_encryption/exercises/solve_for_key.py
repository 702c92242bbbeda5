"""Two linear equations in two unknowns, modulo a prime: one coefficient of the secret key."""

from __future__ import annotations

import random

from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.labs.lab_15_homomorphic_encryption.exercises.shared import whole

PRIME = 1125899903107073  # of 50 bits


def _systems(q, count, seed=0):
    """(first, second, s): equations whose unknowns are s and t."""
    dice = random.Random(seed)
    while count:
        a, b, c, d, s, t = (dice.randrange(q) for _ in range(6))
        if (a * d - b * c) % q:
            count -= 1
            yield (a, b, (a * s + b * t) % q), (c, d, (c * s + d * t) % q), s


def _by_hand(solve):
    """One system by hand: s + 2t = 5 and 3s + 4t = 11, modulo 13, have s = 1 and t = 2"""
    got = solve((1, 2, 5), (3, 4, 11), 13)
    expect(got == 1, f"expected s = 1, got {got}")


def _small(solve):
    """All of a small prime's systems are solved"""
    for first, second, s in _systems(13, 200):
        got = solve(first, second, 13)
        expect(got == s, f"{_text(first)} and {_text(second)}, modulo 13: s = {s}, got {got}")


def _large(solve):
    """Numbers of 50 bits are solved to the last one"""
    for first, second, s in _systems(PRIME, 50, seed=1):
        got = solve(first, second, PRIME)
        near = " (floats hold 53 bits, and the products have 100)" if abs(got - s) < 2**40 and got != s else ""
        expect(got == s, f"modulo a prime of 50 bits: s = {s}, got {got}{near}")


def _text(equation) -> str:
    a, b, e = equation
    return f"{a} s + {b} t = {e}"


def solve_for_key(first, second, q):
    return _wrong(first, second, q)


def _wrong(first, second, q, *, swap=False, sign=-1, inverse=lambda d, q: pow(d, -1, q), wrap=True):
    (a, b, e), (c, d, f) = first, second
    top = (e * d - b * f) if not swap else (a * f - e * c)
    s = top * inverse((a * d + sign * b * c) % q, q)
    return s % q if wrap else s


def _eliminated(first, second, q):
    """Another form: t is eliminated, or s stands alone already."""
    (a, b, e), (c, d, f) = first, second
    if not b:
        return e * pow(a, -1, q) % q
    share = d * pow(b, -1, q)
    return (f - share * e) * pow(c - share * a, -1, q) % q


EXERCISE = Exercise(
    "15.solve_for_key",
    title="Two equations, one key",
    reference=solve_for_key,
    properties=[_by_hand, _small, _large],
    hints=[
        "Cramer's rule: s = (e d − b f) / (a d − b c).",
        "Modulo q there is no division: multiply by the inverse, `pow(a * d - b * c, -1, q)`.",
        "`return (e * d - b * f) * pow(a * d - b * c, -1, q) % q`",
    ],
    returns=whole,
    second=_eliminated,
    mutants={
        "solves for t": lambda *a: _wrong(*a, swap=True),
        "adds in the determinant": lambda first, second, q: _wrong(
            first, second, q, sign=1, inverse=lambda d, q: pow(d, -1, q) if d else 1
        ),
        "divides whole numbers": lambda first, second, q: _wrong(first, second, q, inverse=lambda d, q: 1) // 2,
        "forgets modulo q": lambda *a: _wrong(*a, wrap=False),
        "takes Fermat's power wrong": lambda *a: _wrong(*a, inverse=lambda d, q: pow(d, q - 1, q)),
        "computes with floats": lambda first, second, q: int(
            float(first[2] * second[1] - first[1] * second[2])
            * float(pow(first[0] * second[1] - first[1] * second[0], -1, q))
            % q
        ),
    },
)
