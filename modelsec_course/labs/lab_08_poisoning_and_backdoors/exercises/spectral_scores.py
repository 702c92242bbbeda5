"""Spectral signatures: how far does each row of activations reach along their main direction?"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from modelsec_course import data, models, poisoning, runtime, training
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import one_for_each_row


@functools.cache
def poisoned_class() -> tuple[Tensor, Tensor]:
    """Activations (n, 128) of the rows labelled 0 in a network with a backdoor, and which are poison."""
    digits = data.load("digits")
    x, y, indices = poisoning.backdoor(digits.x_train, digits.y_train, 43, trigger=poisoning.patch(), target=0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    models.initialise(net, runtime.generator(0))
    training.fit(net, x, y, epochs=15, lr=3e-3, progress=False)
    bad = torch.zeros(len(y), dtype=torch.bool)
    bad[indices] = True
    return poisoning.activations(net, x[y == 0]), bad[y == 0]


def _cloud(n: int = 40, d: int = 6) -> Tensor:
    """Rows around a far mean, spread most along a slanted direction."""
    draw = runtime.generator(4)
    turn = torch.linalg.qr(torch.randn(d, d, generator=draw)).Q
    return torch.randn(n, d, generator=draw) * torch.tensor([4.0, 2, 1, 1, 0.5, 0.5]) @ turn + 9


def _spectral_line(scores):
    """Rows on a line: the squared distance to their mean"""
    along = torch.tensor([0.0, 1.0, 2.0, 9.0])
    got = scores(5 + along[:, None] * torch.tensor([0.6, 0.8, 0.0]))
    expect_close(got, (along - 3).square(), 1e-4, "the scores of rows at 0, 1, 2 and 9 on a line")


def _spectral_oracle(scores):
    """In general: the squared coordinate along the main axis of the covariance"""
    rows = _cloud().double()
    centred = rows - rows.mean(0)
    axis = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -1]
    expect_close(scores(rows), (centred @ axis).square(), 1e-6, "the scores")


def _spectral_moves(scores):
    """Moving all rows changes nothing; doubling them makes the scores four times as large"""
    rows = _cloud().double()
    plain = scores(rows)
    expect_close(scores(rows + 50), plain, 1e-6, "the scores of rows that are moved by 50")
    expect_close(scores(2 * rows), 4 * plain, 1e-6, "the scores of doubled rows")


def _spectral_finds(scores):
    """On a network with a backdoor: most poisoned rows are among the highest"""
    features, bad = poisoned_class()
    top = scores(features).argsort(descending=True)[: int(1.5 * bad.sum())]
    found = (bad[top].sum() / bad.sum()).item()
    expect(found > 0.75, f"{found:.0%} of 43 poisoned rows are among the 64 highest scores, expected nearly all")


def _spectral(features, *, centre=True, axis=0, kind="V"):
    rows = features - features.mean(0) if centre else features
    u, _, v = torch.linalg.svd(rows, full_matrices=False)
    return u[:, axis].square() if kind == "U" else (rows @ v[axis]).square()


def _spectral_by_eigh(features):
    spread = torch.cov(features.T)
    return ((features - features.mean(0)) @ torch.linalg.eigh(spread).eigenvectors[:, -1]) ** 2


EXERCISE = Exercise(
    "08.spectral_scores",
    title="Spectral signatures",
    reference=poisoning.spectral_scores,
    properties=[_spectral_line, _spectral_oracle, _spectral_moves, _spectral_finds],
    hints=[
        "Subtract the mean row first. `torch.linalg.svd(rows, full_matrices=False)` returns U, S and Vh.",
        "The direction of largest spread is `Vh[0]`, a unit vector (d,). How far does each centred row reach along it?",
    ],
    second=_spectral_by_eigh,
    returns=one_for_each_row,
    mutants={
        "forgets to centre": functools.partial(_spectral, centre=False),
        "the direction of least spread": functools.partial(_spectral, axis=-1),
        "does not square": lambda f: _spectral(f).sqrt(),
        "takes U, which has lost the scale": functools.partial(_spectral, kind="U"),
        "the whole distance, in all directions": lambda f: (f - f.mean(0)).square().sum(1),
        "divides each column by its spread": lambda f: _spectral((f - f.mean(0)) / f.std(0).clamp_min(1e-9)),
    },
)
