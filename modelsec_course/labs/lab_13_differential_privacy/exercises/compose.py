"""What do many ε-private answers cost together, by basic and by advanced composition?"""

from __future__ import annotations

import functools
import math

import numpy as np

from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _two(compose, *args):
    got = compose(*args)
    expect(hasattr(got, "__len__") and len(got) == 2, f"expected two numbers, (basic, advanced), got {got!r}")
    return float(got[0]), float(got[1])


def _compose_basic(compose):
    """Basic: the epsilons add up"""
    for eps, count in ((0.1, 100), (0.5, 1), (2.0, 7), (1e-3, 10_000)):
        got = _two(compose, eps, count, 1e-5)[0]
        expect_close(got, eps * count, 1e-9 * eps * count, f"basic, {count} answers at ε = {eps:g}")


def _compose_advanced(compose):
    """Advanced: 100 answers at 0.1 cost 5.850235 at δ = 10⁻⁵, and other closed forms"""
    for eps, count, delta, want in ((0.1, 100, 1e-5, 5.850235), (0.0, 50, 1e-5, 0.0), (0.3, 40, math.exp(-2), None)):
        if want is None:
            want = eps * 4 * math.sqrt(10) + 12 * (math.exp(0.3) - 1)  # √(2 · 40 · 2) is 4 √10
        got = _two(compose, eps, count, delta)[1]
        expect_close(got, want, 1e-5, f"advanced, {count} answers at ε = {eps:g}, δ = {delta:.3g}")


def _compose_root(compose):
    """Advanced: for small ε, four times as many answers cost twice as much, and less than basic"""
    one, four = (_two(compose, 1e-4, count, 1e-6)[1] for count in (10_000, 40_000))
    expect_close(four / one, 2.0, 0.02, "the cost of 40,000 answers at ε = 10⁻⁴ over that of 10,000")
    basic, advanced = _two(compose, 1e-4, 1_000_000, 1e-6)
    expect(advanced < basic / 5, f"a million answers at ε = 10⁻⁴: basic {basic:.4g}, advanced {advanced:.4g}, not less")


def _compose_exponent(compose):
    """Advanced: for large ε the second term rules, and basic is the smaller of the two"""
    basic, advanced = _two(compose, 3.0, 50, 1e-5)
    want = 3 * math.sqrt(100 * math.log(1e5)) + 150 * (math.exp(3) - 1)
    expect_close(advanced, want, 1e-6 * want, "advanced, 50 answers at ε = 3: the formula, even where basic is smaller")
    expect(basic < advanced, f"50 answers at ε = 3: basic is {basic:.4g}, advanced {advanced:.4g}")


def compose(eps, count, delta):
    return count * eps, eps * math.sqrt(2 * count * math.log(1 / delta)) + count * eps * math.expm1(eps)


def _compose_by_hand(eps, count, delta):
    total = sum(eps for _ in range(count))
    return [total, (-2 * math.log(delta) * total * eps) ** 0.5 + total * (np.exp(eps) - 1)]


def _compose_wrong(eps, count, delta, *, two=2.0, gap=math.expm1, root=1.0, times=1.0, log=lambda d: -math.log(d)):
    spread = eps * math.sqrt(two * count * log(delta))
    return count * eps * times, root * spread + count * eps * gap(eps)


EXERCISE = Exercise(
    "13.compose",
    title="Composition",
    reference=compose,
    properties=[_compose_basic, _compose_advanced, _compose_root, _compose_exponent],
    hints=[
        "Basic is `count * eps`. Return two numbers: `return basic, advanced`.",
        "The first term of advanced is `eps * math.sqrt(2 * count * math.log(1 / delta))`, the second is "
        "`count * eps * (math.exp(eps) - 1)`.",
    ],
    second=_compose_by_hand,
    mutants={
        "forgets the 2": functools.partial(_compose_wrong, two=1.0),
        "ε² in place of ε (e^ε − 1)": functools.partial(_compose_wrong, gap=lambda e: e),
        "forgets the second term": functools.partial(_compose_wrong, gap=lambda e: 0.0),
        "forgets the first term": functools.partial(_compose_wrong, root=0.0),
        "log to base 10": functools.partial(_compose_wrong, log=lambda d: -math.log10(d)),
        "the smaller of the two": lambda *a: (a[0] * a[1], min(compose(*a))),
        "advanced first": lambda *a: compose(*a)[::-1],
    },
)  # fmt: skip
