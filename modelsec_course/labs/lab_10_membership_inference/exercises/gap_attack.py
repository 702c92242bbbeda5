"""The advantage of saying “member” whenever the model is right: train minus test accuracy."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course import membership, runtime
from modelsec_course.lab.exercise import Exercise, expect_close


def two_groups(n: int = 120, classes: int = 5, inside: int = 30, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (n, classes) that are right more often for the first `inside` records, the members."""
    draw = runtime.generator(seed)
    y, members = torch.randint(classes, (n,), generator=draw), torch.arange(n) < inside
    right = torch.rand(n, generator=draw) < torch.where(members, 0.9, 0.6)
    said = torch.where(right, y, (y + 1) % classes)
    logits = torch.rand(n, classes, generator=draw)
    return logits.scatter_add(1, said[:, None], torch.full((n, 1), 1.5)), y, members


def _gap_exact(gap):
    """Is train minus test accuracy, for groups of any size"""
    for inside in (30, 90):
        logits, y, members = two_groups(inside=inside)
        right = [bool(a == b) for a, b in zip(logits.argmax(1).tolist(), y.tolist(), strict=True)]
        train, test = sum(right[:inside]) / inside, sum(right[inside:]) / (len(right) - inside)
        what = f"the advantage (accuracy {train:.3f} on {inside} members, {test:.3f} on {len(right) - inside} others)"
        expect_close(gap(logits, y, members), train - test, 1e-5, what)


def _gap_extremes(gap):
    """1 for a model that knows its members only, 0 for one that is right, or wrong, about everybody"""
    y, members = torch.arange(40) % 4, torch.arange(40) % 3 == 0
    right, wrong = torch.eye(4)[y], torch.eye(4)[(y + 1) % 4]
    for logits, want, kind in (
        (torch.where(members[:, None], right, wrong), 1.0, "right about members only"),
        (right, 0.0, "right about everybody"),
        (wrong, 0.0, "wrong about everybody"),
        (torch.where(members[:, None], wrong, right), -1.0, "right about the others only"),
    ):
        expect_close(gap(logits, y, members), want, 1e-6, f"the advantage against a model that is {kind}")


def _gap_scale(gap):
    """Needs the label only: logits ten times as large change nothing"""
    logits, y, members = two_groups(seed=1)
    expect_close(gap(10 * logits, y, members), gap(logits, y, members), 1e-6, "the advantage at ten times the logits")


def gap_attack(logits, y, members):
    guess = membership.gap_attack(logits, y)  # 1 says "a member"
    return (guess[members].mean() - guess[~members].mean()).item()


def _gap_by_counts(logits, y, members):
    hit = (logits.max(1).values == logits.gather(1, y[:, None])[:, 0]).double()
    inside = members.double()
    return float(hit @ inside / inside.sum() - hit @ (1 - inside) / (1 - inside).sum())


EXERCISE = Exercise(
    "10.gap_attack",
    title="The gap",
    reference=gap_attack,
    properties=[_gap_exact, _gap_extremes, _gap_scale],
    hints=[
        "When does this attacker say *member*? When `logits.argmax(1) == y`.",
        "The true-positive rate is the share of members of whom it says so: `right[members].float().mean()`. The "
        "false-positive rate is the same share among `~members`.",
    ],
    second=_gap_by_counts,
    mutants={
        "the other way round": lambda *a: -gap_attack(*a),
        "the accuracy on members": lambda logits, y, members: (logits.argmax(1) == y)[members].float().mean().item(),
        "compares with everybody": lambda logits, y, members: (
            (logits.argmax(1) == y)[members].float().mean() - (logits.argmax(1) == y).float().mean()
        ).item(),
        "divides by all records": lambda logits, y, members: (
            (2.0 * members - 1) * (logits.argmax(1) == y)
        ).mean().item(),
        "the share of right guesses": lambda logits, y, members: (
            ((logits.argmax(1) == y) == members).float().mean().item()
        ),
        "a threshold on the probability": lambda logits, y, members: (
            lambda sure: (sure[members].mean() - sure[~members].mean()).item()
        )((logits.softmax(1).gather(1, y[:, None])[:, 0] > 0.5).float()),
    },
)  # fmt: skip
