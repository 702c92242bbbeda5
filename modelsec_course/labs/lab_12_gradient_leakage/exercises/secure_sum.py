"""Add up vectors under pairwise masks that cancel, so that nobody sees a single one."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from modelsec_course import runtime
from modelsec_course.federated import MODULUS, expand
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _parties(clients: int, length: int = 200, seed: int = 0) -> tuple[Tensor, list[list[int]]]:
    """Encoded vectors (clients, length), and the seeds that each pair has agreed on, seeds[u][v] == seeds[v][u]."""
    draw = runtime.generator(seed)
    vectors = torch.randint(-1000, 1000, (clients, length), generator=draw) % MODULUS
    numbers = torch.randint(2**40, (clients, clients), generator=draw).triu(1)
    return vectors, (numbers + numbers.T).tolist()


def _sum_exact(secure_sum):
    """The server's total is the sum of the vectors, exactly, for two clients and for many"""
    for clients in (2, 3, 6, 9):
        vectors, seeds = _parties(clients, seed=clients)
        _, total = _asked(secure_sum, vectors, seeds)
        expect_close(total, vectors.sum(0) % MODULUS, 0, f"the total of {clients} clients")


def _sum_of_sent(secure_sum):
    """The total is the sum of what was sent, modulo 2³²"""
    vectors, seeds = _parties(5)
    sent, total = _asked(secure_sum, vectors, seeds)
    expect_close(total, sent.sum(0) % MODULUS, 0, "the sum of what was sent, modulo 2³²")


def _sum_hides(secure_sum):
    """What each client sends looks like dice, even if its vector is all zeros"""
    vectors, seeds = _parties(7, length=2000)
    vectors[3] = 0
    sent, _ = _asked(secure_sum, vectors, seeds)
    expect(((sent >= 0) & (sent < MODULUS)).all(), f"numbers must lie in [0, 2³²), not {sent.min()} to {sent.max()}: "
                                                   "one outside tells how many masks were added")  # fmt: skip
    for u in range(7):
        parts = torch.histc(sent[u].double(), bins=8, min=0, max=float(MODULUS)) / 2000
        expect(parts.max() < 0.18, f"client {u}'s numbers are not spread evenly over [0, 2³²): "
                                   f"{parts.max():.0%} of them fall into one eighth")  # fmt: skip


def _sum_subset(secure_sum):
    """Without one client's vector the masks of the others do not cancel"""
    for clients in (3, 5):
        vectors, seeds = _parties(clients, seed=20)
        sent, _ = _asked(secure_sum, vectors, seeds)
        for left_out in range(clients):
            some = [u for u in range(clients) if u != left_out]
            same = (sent[some].sum(0) % MODULUS == vectors[some].sum(0) % MODULUS).double().mean()
            expect(same < 0.1, f"without client {left_out} of {clients} the server still reads the sum of the others: "
                               "its masks must be shared with every other client")  # fmt: skip


def _sum_pairs(secure_sum):
    """Every pair shares a mask: under another seed those two send something else, and nobody else does"""
    vectors, seeds = _parties(5)
    first, _ = _asked(secure_sum, vectors, seeds)
    for u, v in itertools.combinations(range(5), 2):
        others = [list(row) for row in seeds]
        others[u][v] = others[v][u] = seeds[u][v] + 1
        same = (_asked(secure_sum, vectors, others)[0] == first).double().mean(1)
        for w in range(5):
            if w in (u, v):
                expect(same[w] < 0.1, f"clients {u} and {v} agree on another seed, and client {w} sends the same: its "
                                      f"mask with client {u + v - w} is missing or ignores their seed")  # fmt: skip
            else:
                expect(same[w] == 1, f"clients {u} and {v} agree on another seed, and client {w} sends something else")


def _asked(secure_sum, vectors: Tensor, seeds: list[list[int]]) -> tuple[Tensor, Tensor]:
    got = secure_sum(vectors.clone(), seeds)
    expect(
        isinstance(got, (tuple, list)) and len(got) == 2,
        "return a pair: what is sent, (clients, d), and the total, (d,)",
    )
    sent, total = got
    shape = tuple(sent.shape) if isinstance(sent, Tensor) else type(sent).__name__
    expect(shape == tuple(vectors.shape), f"what is sent must have shape {tuple(vectors.shape)}, got {shape}")
    return sent, total


def secure_sum(vectors, seeds):
    masked = _masked(vectors, seeds)
    return masked, masked.sum(0) % MODULUS


def _masked(
    vectors, seeds, *, sign=lambda u, v: 1 if v > u else -1, seed=lambda u, v, s: s, partners=lambda u, v, n: True,
    shrink=1, wrap=True,
):  # fmt: skip
    sent = vectors.clone()
    for u in range(len(vectors)):
        for v in range(len(vectors)):
            if u != v and partners(u, v, len(vectors)):
                sent[u] += sign(u, v) * (expand(seed(u, v, seeds[u][v]), vectors.shape[1]) // shrink)
    return sent % MODULUS if wrap else sent


def _pair_by_pair(vectors, seeds):
    """Each pair's mask is drawn once, added to one and taken from the other."""
    sent = vectors.clone()
    for v in range(len(vectors)):
        for u in range(v):
            mask = expand(seeds[v][u], vectors.shape[1])
            sent[u] = (sent[u] - mask) % MODULUS
            sent[v] = (sent[v] + mask) % MODULUS
    return sent, sent.sum(0) % MODULUS


def _and_total(**options):
    def wrong(vectors, seeds):
        sent = _masked(vectors, seeds, **options)
        return sent, sent.sum(0) % MODULUS

    return wrong


EXERCISE = Exercise(
    "12.secure_sum",
    title="A sum of vectors that nobody sees",
    reference=secure_sum,
    properties=[_sum_exact, _sum_of_sent, _sum_hides, _sum_subset, _sum_pairs],
    hints=[
        "Clients u and v both know `expand(seeds[u][v], d)`. If one adds it and the other subtracts it, what is left "
        "in the sum?",
        "Let the one with the lower number add: for each pair u < v, `sent[u] += mask` and `sent[v] -= mask`, on a "
        "copy of `vectors`.",
        "End with `sent % MODULUS`, for otherwise a number's size tells. The server knows `sent` only: its total is "
        "`sent.sum(0) % MODULUS`.",
    ],
    second=_pair_by_pair,
    mutants={
        "everybody adds": _and_total(sign=lambda u, v: 1),
        "no modulus": lambda vectors, seeds: (
            _masked(vectors, seeds, wrap=False), _masked(vectors, seeds, wrap=False).sum(0) % MODULUS
        ),
        "one mask for all pairs": _and_total(seed=lambda u, v, s: 7),
        "masks of their number, not of the seed": _and_total(seed=lambda u, v, s: min(u, v) * 1000 + max(u, v)),
        "masks that are too small": _and_total(shrink=2**12),
        "pairs 0–1, 2–3, … only": _and_total(partners=lambda u, v, n: u // 2 == v // 2),
        "neighbours only": _and_total(partners=lambda u, v, n: abs(u - v) == 1),
        "a ring of neighbours": _and_total(partners=lambda u, v, n: (u - v) % n in (1, n - 1)),
        "nothing is masked": lambda vectors, seeds: (vectors, vectors.sum(0) % MODULUS),
        "the total is not of what was sent": lambda vectors, seeds: (
            _masked(vectors, seeds, sign=lambda u, v: 1), vectors.sum(0) % MODULUS
        ),
        "returns the sum only": lambda vectors, seeds: vectors.sum(0) % MODULUS,
    },
)  # fmt: skip
