"""How many of an ensemble's voters may change their vote without turning the winner?"""

from __future__ import annotations

import functools
import itertools

import torch
from torch import nn

from modelsec_course import poisoning, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_tensors


def _withstands(votes: list[int], changed: int) -> bool:
    """Brute force: does the first of the largest stay, however `changed` voters vote otherwise?"""
    classes, winner = range(len(votes)), votes.index(max(votes))
    moves = [move for move in itertools.product(classes, classes) if move[0] != move[1]]
    for chosen in itertools.combinations_with_replacement(moves, changed):
        now = list(votes)
        for source, goal in chosen:
            now[source] -= 1
            now[goal] += 1
        legal = all(votes[c] >= sum(source == c for source, _ in chosen) for c in classes)
        if legal and now.index(max(now)) != winner:
            return False
    return True


@functools.cache
def _exact(votes: tuple[int, ...]) -> int:
    return next(r for r in itertools.count() if r >= sum(votes) or not _withstands(list(votes), r + 1))


def _certificate_known(certify):
    """30 votes against 12 withstand 9; a tie goes to the class that comes first"""
    winner, radius = certify(torch.tensor([[12, 30, 8], [30, 12, 8], [5, 4, 0], [4, 5, 0], [5, 5, 0]]))
    expect_close(winner, [1, 0, 0, 1, 0], 0, "the winners")
    expect_close(radius, [8, 9, 0, 0, 0], 0, "the radii of 12:30:8, 30:12:8, 5:4:0, 4:5:0, 5:5:0")


def _certificate_brute(certify):
    """Equal to brute force, for every vote of seven or fewer among three classes"""
    for total in (1, 4, 7):
        rows = [v for v in itertools.product(range(total + 1), repeat=3) if sum(v) == total]
        winner, radius = certify(torch.tensor(rows))
        for votes, won, got in zip(rows, winner.tolist(), radius.tolist(), strict=True):
            expect(won == votes.index(max(votes)), f"votes {votes}: the winner is {votes.index(max(votes))}, got {won}")
            want = min(_exact(votes), total)
            if want < total:  # else nothing can turn it
                expect(got == want, f"votes {votes}: {want} voters may change and no more, but radius says {got}")


def _certificate_sound(certify):
    """Random votes of 50 voters: nobody with that many voters turns the winner"""
    draw = runtime.generator(7)
    votes = torch.multinomial(torch.rand(200, 5, generator=draw), 50, replacement=True, generator=draw)
    votes = nn.functional.one_hot(votes, 5).sum(1)
    winner, radius = certify(votes)
    for goal in range(5):
        moved = votes.clone()
        rows = torch.arange(200)
        step = torch.minimum(radius, votes[rows, winner])
        moved[rows, winner] -= step
        moved[:, goal] += step
        bad = (moved.argmax(1) != winner) & (winner != goal)
        expect(not bad.any(), f"votes {votes[bad][0].tolist() if bad.any() else ''} were turned within their radius")


def _two_rows_of_numbers(result, args, kwargs) -> None:
    rows = argument(args, kwargs, 0, "votes").shape[:1]
    expect_tensors(result, winner=rows, radius=rows)
    for name, part in zip(("winner", "radius"), result, strict=True):
        expect(not part.is_floating_point(), f"{name}: expected whole numbers, got {part.dtype}")


def _certificate_one_by_one(votes):
    winners, radii = [], []
    for row in votes.tolist():
        won = row.index(max(row))
        gaps = [row[won] - n - (c < won) for c, n in enumerate(row) if c != won]
        winners.append(won)
        radii.append(min(gaps) // 2)
    return torch.tensor(winners), torch.tensor(radii)


def _certificate_of_two(votes, *, tie="none", half=True):
    """From the two largest alone."""
    top = votes.topk(2, dim=1)
    winner, gap = votes.argmax(1), top.values[:, 0] - top.values[:, 1]
    if tie == "always":
        gap = gap - 1
    if tie == "reversed":
        gap = gap - ((votes == top.values[:, 1:]).int().flip(1).argmax(1) < votes.shape[1] - 1 - winner).long()
    return winner, (gap // 2 if half else gap).clamp_min(0)


def _certificate_runner_up(votes):
    """Looks for a tie only at the last of those that come second."""
    winner = votes.argmax(1)
    rest = votes.scatter(1, winner[:, None], -1)
    second = rest.shape[1] - 1 - rest.flip(1).argmax(1)
    gap = votes.amax(1) - rest.amax(1) - (second < winner).long()
    return winner, gap // 2


EXERCISE = Exercise(
    "08.partition_certificate",
    title="How many poisoned rows a vote withstands",
    reference=poisoning.partition_certificate,
    properties=[_certificate_known, _certificate_brute, _certificate_sound],
    hints=[
        "A voter who leaves the winner for another class closes the gap between them by 2.",
        "For each other class c the gap is n₁ − n_c, less 1 if c comes before the winner: then a tie is lost. Half of "
        "it, rounded down, withstands; the smallest over c counts.",
        "`needed = votes + (classes < winner[:, None])`, with −1 in the winner's place; then "
        "`(n1 - needed.amax(1)) // 2`.",
    ],
    second=_certificate_one_by_one,
    returns=_two_rows_of_numbers,
    mutants={
        "forgets ties": _certificate_of_two,
        "loses every tie": functools.partial(_certificate_of_two, tie="always"),
        "ties the wrong way round": functools.partial(_certificate_of_two, tie="reversed"),
        "does not halve": functools.partial(_certificate_of_two, half=False),
        "sees only one of two runners-up": _certificate_runner_up,
        "one too many": lambda votes: (
            poisoning.partition_certificate(votes)[0],
            poisoning.partition_certificate(votes)[1] + 1,
        ),
    },
)
