"""A linear model's score, computed on numbers that the model's owner cannot read."""

from __future__ import annotations

import math

from modelsec_course.encryption import paillier
from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.labs.lab_15_homomorphic_encryption.exercises.shared import LONG, SMALL, TINY, whole

ROW, WEIGHTS = (3, 1, 4, 1, 5), (2, -7, 1, 0, -8)


def _asked(score, key, row, weights, bias, r=17):
    sent = [paillier.encrypt(key, m % key.public.n, r=3 + i) for i, m in enumerate(row)]
    got = score(key.public.n, list(sent), list(weights), bias, r)
    expect(0 < got < key.public.square, "the score must be a ciphertext: in (0, n²)")
    return got, paillier.decrypt(key, got)


def _sums(score):
    """Its owner reads Σ weight · message + bias"""
    for key in (SMALL, LONG):
        for row, weights, bias in ((ROW, (2, 7, 1, 0, 8), 0), (ROW, (1, 0, 0, 0, 0), 5), ((1,), (100_003,), 1)):
            _, read = _asked(score, key, row, weights, bias)
            want = sum(m * w for m, w in zip(row, weights, strict=True)) + bias
            expect(read == want, f"messages {row}, weights {weights}, bias {bias}: {want}, but it reads {read}")


def _signs(score):
    """Weights, messages and bias may be negative"""
    for key in (SMALL, LONG):
        for row, weights, bias in ((ROW, WEIGHTS, -3), ((-3, 2), (4, -5), 0), ((2,), (-1,), -1)):
            _, read = _asked(score, key, row, weights, bias)
            want = (sum(m * w for m, w in zip(row, weights, strict=True)) + bias) % key.public.n
            expect(read == want, f"messages {row}, weights {weights}, bias {bias}: it reads another number")


def _fresh(score):
    """Another r gives another ciphertext of the same score"""
    for weights in (WEIGHTS, (0, 0, 0, 0, 0)):
        (first, one), (second, other) = (_asked(score, LONG, ROW, weights, 4, r) for r in (17, 18))
        expect(one == other, "with another r the score changes")
        expect(first != second, "the answer does not depend on r: whoever made the ciphertexts can test weights on it")


def _hidden(score):
    """Whatever the score, each r gives a ciphertext of its own, so that no guess of the weights can be tested"""
    n = TINY.public.n
    units = [r for r in range(1, n) if math.gcd(r, n) == 1]
    for bias in (0, -1, 4):
        made = {_asked(score, TINY, (1, 2), (3, 1), bias, r)[0] for r in units}
        expect(
            len(made) == len(units),
            f"n = {n}, bias = {bias}: {len(units)} values of r give {len(made)} different answers. "
            "Multiply by the n-th power of r itself",
        )


def _as_they_were(score):
    """It leaves the ciphertexts and the weights as they are"""
    sent, weights = [paillier.encrypt(SMALL, m, r=3) for m in ROW], list(WEIGHTS)
    before = list(sent), list(weights)
    score(SMALL.public.n, sent, weights, 1, 17)
    expect((sent, weights) == before, "the lists that come in are changed: work on what you compute from them")


def encrypted_score(n, ciphertexts, weights, bias, r):
    return _wrong(n, ciphertexts, weights, bias, r)


def _wrong(n, ciphertexts, weights, bias, r, *, weigh=pow, size=lambda w: w, add=1, fresh=True, plain=0):
    total = pow(1 + n, add * bias, n * n)
    for ciphertext, weight in zip(ciphertexts, weights, strict=True):
        total = total * weigh(ciphertext, size(weight), n * n) % (n * n)
    total = total * pow(r, n, n * n) if fresh else total
    return (total + plain * bias) % (n * n)


def _modulo_n(n, ciphertexts, weights, bias, r):
    """Another form: weights below n, and the bias as a ciphertext."""
    total = paillier.encrypt(paillier.PublicKey(n, n + 1), bias % n, r=r)
    for ciphertext, weight in zip(ciphertexts, weights, strict=True):
        total = total * pow(ciphertext, weight % n, n**2) % n**2
    return total


EXERCISE = Exercise(
    "15.encrypted_score",
    title="A score that you cannot read",
    reference=encrypted_score,
    properties=[_sums, _signs, _fresh, _hidden, _as_they_were],
    hints=[
        "A product of ciphertexts holds the sum, a power the product. So multiply `pow(ciphertext, weight, n * n)` "
        "over all features; `pow` takes negative weights.",
        "The bias needs no random number of its own: multiply by `(1 + bias * n)`.",
        "Last comes `pow(r, n, n * n)`, an encryption of 0, and `% (n * n)`.",
    ],
    returns=whole,
    second=_modulo_n,
    mutants={
        "multiplies ciphertexts by weights": lambda *a: _wrong(*a, weigh=lambda c, w, m: c * w % m),
        "loses the sign of weights": lambda *a: _wrong(*a, size=abs),
        "forgets the bias": lambda *a: _wrong(*a, add=0),
        "adds the bias to the ciphertext": lambda *a: _wrong(*a, add=0, plain=1),
        "does not make the answer fresh": lambda *a: _wrong(*a, fresh=False),
        "raises r to a power that may be 0": lambda n, c, w, b, r: (
            _wrong(n, c, w, b, r, fresh=False) * pow(r, n * b, n * n) % (n * n)
        ),
        "keeps a bit of r": lambda n, c, w, b, r: _wrong(n, c, w, b, 2 + r % 2),
        "cuts weights to a byte": lambda *a: _wrong(*a, size=lambda w: max(-127, min(127, w))),
        "takes r itself, not its n-th power": lambda n, c, w, b, r: _wrong(n, c, w, b, r, fresh=False) * r % (n * n),
        "works modulo n": lambda n, c, w, b, r: _wrong(n, c, w, b, r) % n,
    },
)
