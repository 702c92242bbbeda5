"""A chain of primes and the smallest ring in which it is secure."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral

from modelsec_course.encryption import LIMITS
from modelsec_course.lab.exercise import Exercise, expect


def _asked(plan, depth, scale, whole, limits=None):
    limits = dict(LIMITS if limits is None else limits)
    before = dict(limits)
    got = plan(depth, scale, whole, limits)
    expect(limits == before, "the dict of limits is changed: others need it as it is")
    pair = isinstance(got, tuple | list) and len(got) == 2
    expect(pair and isinstance(got[1], Iterable), "return a pair: N, and the chain, a list of bits")
    n, chain = got[0], list(got[1])
    expect(all(isinstance(number, Integral) for number in (n, *chain)), "N and the bits are whole numbers")
    return n, chain


def _chain(plan):
    """The chain: scale + whole, a prime of `scale` bits for each multiplication, and scale + whole again"""
    for depth, scale, whole in ((1, 36, 14), (3, 36, 14), (2, 24, 8)):
        _, chain = _asked(plan, depth, scale, whole)
        want = [scale + whole, *[scale] * depth, scale + whole]
        expect(chain == want, f"depth {depth}, scale {scale}, whole {whole}: expected {want}, got {chain}")


def _smallest(plan):
    """The smallest ring whose limit holds all of its bits"""
    for depth, scale, whole, want in ((1, 24, 14, 4096), (1, 36, 14, 8192), (3, 36, 14, 8192), (4, 40, 14, 16384)):
        n, chain = _asked(plan, depth, scale, whole)
        bits = f"{sum(chain)} bits"
        expect(n == want, f"depth {depth}, scale {scale}, whole {whole}: {bits} fit into n = {want}, got n = {n}")


def _exactly(plan):
    """A chain of exactly the limit is allowed, one bit more is not"""
    for room, want in ((136, 1024), (135, 2048)):
        n, _ = _asked(plan, 1, 36, 14, {2048: 400, 1024: room})
        expect(n == want, f"136 bits, and the limits {{2048: 400, 1024: {room}}}: expected n = {want}, got {n}")


def _nowhere(plan):
    """It raises ValueError where no ring is large enough"""
    for depth, limits in ((60, LIMITS), (3, {4096: 106})):
        try:
            got = plan(depth, 36, 14, dict(limits))
        except ValueError:
            continue
        raise AssertionError(f"depth {depth} fits into none of {sorted(limits)}: raise ValueError, do not return {got}")


def plan(depth, scale, whole, limits):
    return _wrong(depth, scale, whole, limits)


def _wrong(
    depth, scale, whole, limits, *, more=0, ends=2, fits=lambda bits, limit: bits <= limit, pick=min, nowhere=None
):
    chain = [scale + whole, *[scale] * (depth + more), *[scale + whole] * (ends - 1)]
    rings = [n for n, limit in limits.items() if fits(sum(chain), limit)]
    if not rings and nowhere is None:
        raise ValueError(f"{sum(chain)} bits fit into no ring")
    return (pick(rings) if rings else nowhere), chain


def _used_up(depth, scale, whole, limits):
    total = (depth + 2) * scale + 2 * whole
    while limits:
        n = min(limits)
        if limits.pop(n) >= total:
            return n, [scale + whole, *[scale] * depth, scale + whole]
    raise ValueError("too deep")


def _counted(depth, scale, whole, limits):
    """Another form: from the smallest ring upwards, counting."""
    total = (depth + 2) * scale + 2 * whole
    for n in sorted(limits):
        if total <= limits[n]:
            return n, (scale + whole,) + depth * (scale,) + (scale + whole,)
    raise ValueError("too deep")


EXERCISE = Exercise(
    "15.plan",
    title="Plan before you compute",
    reference=plan,
    properties=[_chain, _smallest, _exactly, _nowhere],
    hints=[
        "`chain = [scale + whole] + depth * [scale] + [scale + whole]`.",
        "Go through `sorted(limits)` and return the first n whose limit is at least `sum(chain)`.",
        'After the loop: `raise ValueError("…")`.',
    ],
    second=_counted,
    mutants={
        "one prime short": lambda *a: _wrong(*a, more=-1),
        "one prime more": lambda *a: _wrong(*a, more=1),
        "forgets the prime of the keys": lambda *a: _wrong(*a, ends=1),
        "takes the largest ring": lambda *a: _wrong(*a, pick=max),
        "takes the first ring in the dict": lambda *a: _wrong(*a, pick=lambda rings: rings[0]),
        "uses the limits up": _used_up,
        "wants room to spare": lambda *a: _wrong(*a, fits=lambda bits, limit: bits < limit),
        "returns the largest ring where none fits": lambda *a: _wrong(*a, nowhere=32768),
    },
)
