"""From a number below n to a real one: which sign, how many bits after the point, and when nobody can tell."""

from __future__ import annotations

from numbers import Real

from modelsec_course.encryption import FixedPoint
from modelsec_course.lab.exercise import Exercise, expect, expect_close

N = 10_007 * 10_009


def _positive(decode):
    """A number of the lowest third stands for itself over 2^bits"""
    for bits in (0, 3, 10):
        for number in (0, 1, 1000, N // 3):
            expect_close(decode(number, N, bits), number / 2**bits, 1e-9, f"number = {number}, bits = {bits}")


def _negative(decode):
    """A number of the highest third stands for a negative one"""
    for bits in (0, 3, 10):
        for back in (1, 1000, N // 3):
            what = f"number = n − {back}, bits = {bits}"
            expect_close(decode(N - back, N, bits), -back / 2**bits, 1e-9, what)


def _long(decode):
    """It works with an n of 2,048 bits, and loses nothing there"""
    n = 2**2048 - 1942289
    for number, want in ((3, 3 / 2**16), (n - 3, -3 / 2**16), (n - 1, -1 / 2**16), (12345678, 12345678 / 2**16)):
        expect_close(decode(number, n, 16), want, 1e-12, f"an n of 2,048 bits, and {want}:")


def _overflow(decode):
    """For the third between it raises OverflowError"""
    for number in (N // 3 + 1, N // 2, N - N // 3 - 1):
        try:
            got = decode(number, N, 8)
        except OverflowError:
            continue
        raise AssertionError(f"number = {number}, n = {N}, lies in the middle third: raise OverflowError, not {got}")


def _sums(decode):
    """What is added as numbers below n adds up as real ones"""
    code = FixedPoint(N, bits=6)
    for a, b in ((2.5, -7.25), (-100.0, -3.5), (1000.0, -999.984375)):
        total = (code.encode(a) + code.encode(b)) % N
        expect_close(decode(total, N, 6), a + b, 1e-9, f"{a} + {b}, each encoded")


def decode(number, n, bits):
    return FixedPoint(n, bits).decode(number)


def _wrong(number, n, bits, *, low=lambda n: n // 3, negative=True, overflow=True, unit=lambda bits: 2**bits):
    if number <= low(n):
        return number / unit(bits)
    if number < n - low(n) and overflow:
        raise OverflowError("the sign is lost")
    return (number - n if negative else number) / unit(bits)


def _number(result, args: tuple, kwargs: dict) -> None:
    expect(isinstance(result, Real) and not isinstance(result, bool), f"return a number, not a {type(result).__name__}")


EXERCISE = Exercise(
    "15.decode",
    title="Signs and fractions",
    reference=decode,
    properties=[_positive, _negative, _long, _overflow, _sums],
    hints=[
        "Three cases: up to `n // 3`; from `n - n // 3` on; and between.",
        "In the highest third, the whole number meant is `number - n`, which is negative.",
        'Then divide by `2**bits`. Between the two: `raise OverflowError("…")`.',
    ],
    returns=_number,
    second=lambda number, n, bits: _wrong(number, n, bits),
    mutants={
        "takes everything for positive": lambda number, n, bits: number / 2**bits,
        "splits in the middle, and never says overflow": lambda number, n, bits: (
            (number if number <= n // 2 else number - n) / 2**bits
        ),
        "calls the highest third an overflow": lambda number, n, bits: (
            number / 2**bits if number <= n // 3 else _raise()
        ),
        "divides by bits": lambda number, n, bits: _wrong(number, n, bits, unit=lambda bits: max(bits, 1)),
        "drops the fraction": lambda number, n, bits: int(_wrong(number, n, bits)),
        "takes fourths for thirds": lambda number, n, bits: _wrong(number, n, bits, low=lambda n: n // 4),
        "compares with a fraction of n": lambda number, n, bits: _wrong(number, n, bits, low=lambda n: n / 3),
        "subtracts after dividing": lambda number, n, bits: (
            _wrong(number, n, bits) if number <= n // 3 or number < n - n // 3 else number / 2**bits - n / 2**bits
        ),
        "forgets to take n off": lambda number, n, bits: _wrong(number, n, bits, negative=False),
    },
)


def _raise():
    raise OverflowError("above a third")
