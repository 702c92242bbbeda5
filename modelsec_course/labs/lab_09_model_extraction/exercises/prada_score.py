"""PRADA: does the distribution of distances between a client's queries look like honest use?"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from scipy.stats import shapiro
from torch import Tensor

from modelsec_course import data, extraction, runtime, zoo
from modelsec_course.lab.exercise import Exercise, expect, expect_close


def _path(steps) -> Tensor:
    """Points on a staircase, each farther out than the last: the nearest earlier one is the one before."""
    directions = np.resize([[1.0, 0.0], [0.6, 0.8]], (len(steps), 2))
    return torch.as_tensor(np.vstack([[0.0, 0.0], np.cumsum(directions * np.reshape(steps, (-1, 1)), 0)])).float()


def _prada_path(score):
    """Points on a staircase, one label: W of the steps between them"""
    steps = np.random.default_rng(0).gamma(3, size=60)
    got = score(_path(steps), torch.zeros(61, dtype=torch.int64))
    expect_close(got, shapiro(steps).statistic, 1e-4, "W of 60 known distances")


def _prada_earlier(score):
    """Only earlier queries count, and all of them: not only the last, and none that comes later"""
    steps = np.random.default_rng(1).uniform(1, 2, size=40)
    path = _path(steps)
    filled = torch.cat([path, path[:-1].lerp(path[1:], 0.3)])  # later, between two earlier ones
    want = shapiro(np.concatenate([steps, 0.3 * steps])).statistic
    got = score(filled, torch.zeros(len(filled), dtype=torch.int64))
    expect_close(got, want, 1e-4, "W when later queries fall between earlier ones")


def _prada_labels(score):
    """Only queries with the same label are compared"""
    one, two = (np.random.default_rng(k).uniform(1, 2, size=40) for k in (2, 3))
    queries, labels = torch.stack([_path(one), _path(two) + 0.01], 1).flatten(0, 1), torch.arange(82) % 2
    want = shapiro(np.stack([one, two], 1).ravel()).statistic
    expect_close(score(queries, labels), want, 1e-4, "W for two interleaved labels")


def _prada_outlier(score):
    """A distance more than three standard deviations above or below the mean is left out"""
    steps = np.random.default_rng(4).uniform(1, 2, size=50)
    for far in (60.0, 0.01):
        got = score(_path(np.append(steps, far)), torch.zeros(52, dtype=torch.int64))
        want = shapiro(steps).statistic
        expect_close(got, want, 1e-4, f"W of 50 distances from 1 to 2, and one of {far:g} that must not count")


def _prada_digits(score):
    """On the lab's model: 100 digits score above 0.9, four small steps from each of 25 digits below 0.7"""
    digits, model = data.load("digits"), zoo.load("digits-cnn", device="cpu")
    steps = 0.02 * torch.randn(25, 4, 1, 8, 8, generator=runtime.generator(0)).cumsum(1)
    probing = (digits.x_test[:25, None] + steps).clamp(0, 1).flatten(0, 1)
    with torch.no_grad():
        honest, search = (score(x, model(x).argmax(1)) for x in (digits.x_test[:100], probing))
    expect(honest > 0.9 and search < 0.7, f"honest digits score {honest:.3f}, small steps {search:.3f}")


def _prada_loop(queries, labels, *, same=True, cut=3.0, keep_near=False, order=2, which="earlier", part="statistic"):
    """Query by query, in numpy."""
    queries, labels = queries.flatten(1).double().numpy(), labels.numpy()
    found = []
    for i in range(len(queries)):
        everyone = np.arange(len(queries))
        other = {"earlier": everyone[:i], "last": everyone[max(i - 1, 0) : i], "all": np.delete(everyone, i)}[which]
        other = other[labels[other] == labels[i]] if same else other
        if len(other):
            found.append(np.linalg.norm(queries[other] - queries[i], ord=order, axis=1).min())
    found = np.array(found or [0.0, 1.0, 1.5])
    apart = (found - found.mean()) / found.std()
    kept = found[(apart <= cut) & ((apart >= -cut) | keep_near)]
    return float(getattr(shapiro(kept), part))


EXERCISE = Exercise(
    "09.prada_score",
    title="A monitor for queries",
    reference=extraction.prada_score,
    properties=[_prada_path, _prada_earlier, _prada_labels, _prada_outlier, _prada_digits],
    hints=[
        "For query i: of the queries before it with the same label, how far is the nearest? If there is none, skip it.",
        "Keep the distances with `(d - d.mean()).abs() <= 3 * d.std()`, then `shapiro(d.numpy()).statistic`.",
        "All pairs at once: `torch.cdist(flat, flat)`, infinite where the labels differ or the other is not earlier "
        "(`torch.ones(n, n).tril(-1)`), then `.amin(1)`, and keep what is finite.",
    ],
    second=_prada_loop,
    mutants={
        "compares with later queries too": functools.partial(_prada_loop, which="all"),
        "compares with the query before, not the nearest": functools.partial(_prada_loop, which="last"),
        "ignores the labels": functools.partial(_prada_loop, same=False),
        "leaves out far outliers, and keeps near ones": functools.partial(_prada_loop, keep_near=True),
        "keeps outliers": functools.partial(_prada_loop, cut=math.inf),
        "adds up the pixels' changes": functools.partial(_prada_loop, order=1),
        "gives the p-value, not W": functools.partial(_prada_loop, part="pvalue"),
    },
)
