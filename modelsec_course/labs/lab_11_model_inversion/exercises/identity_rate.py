"""In how many pictures does a judge see the right person, among those whom it knows?"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import inversion, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.lab_11_model_inversion.exercises.invert_class import line


class Numbered(nn.Module):
    """A model of numbered pictures: picture i gets row i of `logits`, wherever it stands in a batch."""

    def __init__(self, logits: Tensor):
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor) -> Tensor:
        return self.logits[x.detach().flatten(1)[:, 0].long()]


def numbered_people(n: int) -> Tensor:
    return torch.arange(n).float().view(n, 1, 1, 1).expand(n, 1, 4, 4).clone()


def _rate_counts(rate):
    """Counts the pictures in which the right person is seen"""
    y = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
    for wrong in range(8):
        answers = torch.where(torch.arange(8) < wrong, (y + 1) % 5, y)
        judge = Numbered(F.one_hot(answers, 9).float())
        expect_close(rate(judge, numbered_people(8), y), 1 - wrong / 8, 1e-6, f"with {wrong} of 8 wrong")


def _rate_strangers(rate):
    """A stranger is a wrong answer, even if the right person comes second"""
    y = torch.arange(4)
    for favour, want in ((0.0, 1.0), (2.0, 0.5)):
        logits = torch.eye(9)[y]
        logits[:2, 7], logits[2:, 7] = -1.0, favour  # label 7: a stranger; two of four pictures show one
        got = rate(Numbered(logits), numbered_people(4), y)
        expect_close(got, want, 1e-6, f"a stranger gets the logit {favour:g} in two")


def _rate_chance(rate):
    """A judge who guesses among 460 is right once in 460"""
    draw = runtime.generator(3)
    logits, y = torch.randn(20_000, 460, generator=draw), torch.randint(100, (20_000,), generator=draw)
    got = float(rate(Numbered(logits), numbered_people(20_000), y))
    few = ": does it choose among the 100 private people only? Strangers are answers too" if got > 0.005 else ""
    expect(0.0005 < got < 0.005, f"guessing among 460 people scores {got:.4f}, expected about {1 / 460:.4f}{few}")


def _rate_plain(rate):
    """Is a plain number, and asks only for what the judge says of these pictures"""
    judge, x = line(), torch.rand(6, 1, 4, 4)
    y = judge(x).argmax(1)
    got = rate(judge, x, y)
    expect(isinstance(got, float), f"expected a float, got {type(got).__name__}: use .item()")
    expect_close(got, 1.0, 1e-6, "on the judge's own answers")
    expect_close(rate(judge, x.flip(0), y.flip(0)), 1.0, 1e-6, "in another order")


def identity_rate(judge, x, y):
    return inversion.recognised(judge, x, y).float().mean().item()


def _rate_by_hand(judge, x, y, *, known=None, top=1, how="share", compare="label"):
    logits = judge(x)[:, :known].detach()
    best = logits.topk(top, 1).indices
    hit = (best == y[:, None]).any(1)
    if how == "confidence":
        return logits.softmax(1)[torch.arange(len(y)), y].mean().item()
    if how == "known":  # strangers are left out of the count
        kept = best[:, 0] < 5
        return (hit & kept).sum().item() / max(int(kept.sum()), 1)
    return sum(hit.tolist()) if how == "count" else sum(hit.tolist()) / len(y)


EXERCISE = Exercise(
    "11.identity_rate",
    title="Who is to say?",
    reference=identity_rate,
    properties=[_rate_counts, _rate_strangers, _rate_chance, _rate_plain],
    hints=[
        "`judge(x)` has one column for each person it knows, strangers too. Whom does it see? `.argmax(1)`.",
        "Compare with y, and take the mean of the bools as a number: `(… == y).float().mean().item()`.",
    ],
    second=_rate_by_hand,
    mutants={
        "looks at the first five people only": functools.partial(_rate_by_hand, known=5),
        "among the first two": functools.partial(_rate_by_hand, top=2),
        "counts instead of a share": functools.partial(_rate_by_hand, how="count"),
        "the judge's mean confidence": functools.partial(_rate_by_hand, how="confidence"),
        "leaves strangers out of the count": functools.partial(_rate_by_hand, how="known"),
    },
)
