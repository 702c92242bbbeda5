"""How many of the pictures that a copy is judged on were among those that it was trained on?"""

from __future__ import annotations

import torch

from modelsec_course import runtime
from modelsec_course.lab.exercise import Exercise, expect


def _counts_the_shared(overlap):
    """Counts the pictures in both batches"""
    pool = torch.rand(30, 1, 4, 4, generator=runtime.generator(0))
    for asked, judged, want in ((pool[:10], pool[10:], 0), (pool[:10], pool[6:20], 4), (pool[5:], pool[:9].flip(0), 4)):
        expect(overlap(asked, judged) == want, f"{want} pictures are shared, got {overlap(asked, judged)!r}")


def _all_pixels(overlap):
    """A picture is shared only if all its pixels are"""
    pool = torch.rand(8, 1, 4, 4, generator=runtime.generator(1))
    other = pool.clone()
    other[:, 0, 3, 3] += 0.01
    expect(overlap(pool, other) == 0, "one pixel differs in each picture, so none is shared")
    expect(overlap(pool, torch.cat([pool[:3], pool[:3]])) == 6, "each judged picture counts, also a repeated one")
    twice = torch.cat([pool[:3], pool[:3]])
    expect(overlap(twice, pool) == 3, "three judged pictures were asked about, each of them twice: expected 3")


def _asked(asked, judged):
    return [any(torch.equal(one, other) for other in asked) for one in judged]


def overlap(asked, judged):
    return sum(_asked(asked, judged))


EXERCISE = Exercise(
    "03.overlap",
    title="Control 1: what was judged?",
    reference=overlap,
    properties=[_counts_the_shared, _all_pixels],
    hints=[
        "For each judged picture: is there any asked one that equals it? `torch.equal(a, b)` compares two pictures.",
        "`sum(any(torch.equal(one, other) for other in asked) for one in judged)`",
    ],
    second=lambda asked, judged: int((torch.cdist(judged.flatten(1), asked.flatten(1), p=1).amin(1) == 0).sum()),
    mutants={
        "compares place by place": lambda asked, judged: sum(
            torch.equal(a, b) for a, b in zip(asked, judged, strict=False)
        ),
        "returns the share": lambda asked, judged: sum(_asked(asked, judged)) / len(judged),
        "is content with one pixel": lambda asked, judged: int(
            (judged.flatten(1)[:, None, 0] == asked.flatten(1)[None, :, 0]).any(1).sum()
        ),
        "counts pairs": lambda asked, judged: sum(torch.equal(one, other) for one in judged for other in asked),
        "counts the asked ones": lambda asked, judged: sum(_asked(judged, asked)),
    },
)
