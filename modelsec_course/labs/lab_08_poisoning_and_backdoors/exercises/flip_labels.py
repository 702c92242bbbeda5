"""Make exactly so many labels wrong, at random or systematically."""

from __future__ import annotations

import functools
import itertools
import math

import torch
from torch import Tensor

from modelsec_course import poisoning, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_draws, expect_tensors


def _labels(n: int = 900, classes: int = 6) -> Tensor:
    return torch.randint(classes, (n,), generator=runtime.generator(1))


def _flips_exactly(flip):
    """Exactly `count` labels are wrong, at the indices it returns"""
    y = _labels()
    for count, systematic in itertools.product((0, 1, 300, 900), (False, True)):
        flipped, indices = flip(y, count, 6, runtime.generator(0), systematic)
        wrong = (flipped != y).nonzero().flatten().tolist()
        expect(len(wrong) == count, f"count = {count}, systematic = {systematic}: {len(wrong)} labels are wrong")
        expect(sorted(indices.tolist()) == wrong, f"count = {count}: the indices are not those of the wrong labels")
        expect(
            flipped.min() >= 0 and flipped.max() < 6,
            f"with 6 classes, labels go from 0 to 5, but there are {int(flipped.min())} to {int(flipped.max())}",
        )


def _flips_systematically(flip):
    """Systematic: class c becomes c + 1, and the last becomes 0"""
    y = _labels()
    flipped, indices = flip(y, 400, 6, runtime.generator(0), True)
    expect_close(flipped[indices], (y[indices] + 1) % 6, 0, "the flipped labels")


def _flips_evenly(flip):
    """Random: every other class is equally likely, and so is every row"""
    y, steps, chosen = _labels(300), torch.zeros(6), torch.zeros(300)
    for seed in range(60):
        flipped, indices = flip(y, 100, 6, runtime.generator(seed), False)
        steps += ((flipped - y)[indices] % 6).bincount(minlength=6)
        chosen[indices] += 1
    even, spread = 6000 / 5, math.sqrt(6000 * 0.2 * 0.8)
    gap = (steps[1:] - even).abs().max() / spread
    say = ", ".join(f"{int(n)}" for n in steps[1:])
    expect(gap < 5, f"the five other classes came {say} times, expected about {even:.0f} each")
    gap = (chosen - 20).abs().max() / math.sqrt(60 * (1 / 3) * (2 / 3))
    expect(gap < 5, f"rows were chosen {int(chosen.min())} to {int(chosen.max())} times, expected about 20 each")


def _flips_draw(flip):
    """Draws from `generator`: the same seed, the same rows"""
    y = _labels()
    expect_draws(lambda generator: flip(y, 50, 6, generator, False)[0], "the labels")


def _labels_and_indices(result, args, kwargs) -> None:
    y, count = argument(args, kwargs, 0, "y"), argument(args, kwargs, 1, "count")
    expect_tensors(result, flipped=y.shape, indices=(count,))
    expect(result[1].dtype == torch.int64, f"indices: expected int64 numbers of rows, got {result[1].dtype}")


def flip_labels(y, count, classes, generator, systematic=False):
    mapping = (torch.arange(classes, device=y.device) + 1) % classes if systematic else None
    return poisoning.flip_labels(y, count, classes=classes, mapping=mapping, generator=generator)


def _flip_one_by_one(y, count, classes, generator, systematic=False, *, high=None, low=1, rows=None):
    flipped, order = y.clone(), torch.randperm(len(y), generator=generator).tolist()
    chosen = (rows(len(y), count, generator) if rows else order[:count]) if count else []
    for i in chosen:
        others = [c for c in range(classes) if c != y[i]] if low else list(range(classes))
        pick = int(torch.randint(high or len(others), (1,), generator=generator))
        flipped[i] = (y[i] + 1) % classes if systematic else others[pick]
    return flipped, torch.tensor(chosen, dtype=torch.int64)


def _flip_in_place(y, count, classes, generator, systematic=False):
    flipped, indices = flip_labels(y, count, classes, generator, systematic)
    y[indices] = flipped[indices]
    return y, indices


def _flip_without_wrapping(y, count, classes, generator, systematic=False):
    flipped, indices = flip_labels(y, count, classes, generator, systematic)
    return (flipped.index_put((indices,), y[indices] + 1) if systematic else flipped), indices


EXERCISE = Exercise(
    "08.flip_labels",
    title="Wrong labels",
    reference=flip_labels,
    properties=[_flips_exactly, _flips_systematically, _flips_evenly, _flips_draw],
    hints=[
        "Which rows? `torch.randperm(len(y), generator=generator)[:count]` never names one twice; `randint` does.",
        "A wrong label is the right one plus 1, 2, … or classes − 1, modulo `classes`. Systematic: always plus 1.",
        "`step = torch.randint(1, classes, (count,), generator=generator)`, then "
        "`flipped = y.clone(); flipped[indices] = (y[indices] + step) % classes`.",
    ],
    second=_flip_one_by_one,
    returns=_labels_and_indices,
    mutants={
        "draws rows with replacement": functools.partial(
            _flip_one_by_one, rows=lambda n, count, g: torch.randint(n, (count,), generator=g).tolist()
        ),
        "the new label may be the old one": functools.partial(_flip_one_by_one, low=0),
        "never the last of the other classes": functools.partial(_flip_one_by_one, high=4),
        "always the first rows": functools.partial(_flip_one_by_one, rows=lambda n, count, g: list(range(count))),
        "writes into y": _flip_in_place,
        "the last class becomes one more": _flip_without_wrapping,
        "draws from nowhere": lambda y, count, classes, generator, systematic=False: flip_labels(
            y, count, classes, runtime.generator(0), systematic
        ),
    },
)
