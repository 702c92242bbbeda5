"""Activation clustering: split the rows in two and flag the smaller part."""

from __future__ import annotations

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from modelsec_course import poisoning, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import one_for_each_row
from modelsec_course.labs.lab_08_poisoning_and_backdoors.exercises.spectral_scores import poisoned_class


def _blobs(few: int, many: int, *, few_first: bool, gap: float = 8.0) -> tuple[Tensor, Tensor]:
    draw = runtime.generator(few)
    small = torch.arange(few + many) < few
    small = small if few_first else ~(torch.arange(few + many) < many)
    return torch.randn(few + many, 20, generator=draw) + gap * small[:, None] * torch.eye(20)[3] + 5, small


def _clusters_split(cluster):
    """Two clouds of rows: flags the smaller one, wherever its rows stand"""
    for few, many, first in ((12, 60, True), (12, 60, False), (30, 45, True), (30, 45, False)):
        rows, small = _blobs(few, many, few_first=first)
        wrong = int((cluster(rows) != small).sum())
        expect(wrong == 0, f"clouds of {few} and {many} rows: {wrong} rows are on the wrong side")


def _clusters_order(cluster):
    """The order of rows and where they lie do not matter"""
    rows, small = _blobs(20, 80, few_first=True)
    order = torch.randperm(100, generator=runtime.generator(5))
    expect_close(cluster(rows[order]).float(), small[order].float(), 0, "the flags of shuffled rows")
    expect_close(cluster(rows - 40).float(), small.float(), 0, "the flags of rows that are moved by −40")


def _clusters_far(cluster):
    """One cloud only: still two parts, and the flagged one is not the larger"""
    rows = torch.randn(80, 5, generator=runtime.generator(6))
    flagged = int(cluster(rows).sum())
    expect(1 <= flagged <= 40, f"{flagged} of 80 rows are flagged, expected 1 to 40")


def _clusters_find(cluster):
    """On a network with a backdoor: the flagged rows are the poison"""
    features, bad = poisoned_class()
    flags = cluster(features)
    recall, precision = (flags & bad).sum() / bad.sum(), (flags & bad).sum() / flags.sum().clamp_min(1)
    say = f"flags {recall:.0%} of the poison, and {precision:.0%} of what it flags is poison"
    expect(recall > 0.75 and precision > 0.8, say)


def _flags(result, args, kwargs) -> None:
    one_for_each_row(result, args, kwargs)
    expect(result.dtype == torch.bool, f"expected True or False for each row, got {result.dtype}")


def activation_clusters(features):
    return poisoning.activation_clusters(features).small


def _halves(features, n=2):
    found = KMeans(n, n_init=5, random_state=0).fit_predict(features.numpy())
    return torch.as_tensor(found)


def _main_axis(features):
    rows = features - features.mean(0)
    return rows @ torch.linalg.svd(rows, full_matrices=False).Vh[0]


def _clusters_by_lloyd(features):
    """Two means by hand, begun at the ends of the main axis."""
    along = _main_axis(features)
    centres = features[[int(along.argmin()), int(along.argmax())]]
    for _ in range(30):
        near = torch.cdist(features, centres).argmin(1)
        centres = torch.stack([features[near == k].mean(0) for k in (0, 1)])
    return near == near.bincount(minlength=2).argmin()


EXERCISE = Exercise(
    "08.activation_clusters",
    title="Activation clustering",
    reference=activation_clusters,
    properties=[_clusters_split, _clusters_order, _clusters_far, _clusters_find],
    hints=[
        "`PCA(10).fit_transform(rows)` keeps ten directions, `KMeans(2, n_init=10, random_state=0).fit_predict(rows)` "
        "splits the rows in two. Both take `features.cpu().numpy()`; of fewer columns than ten, keep all.",
        "k-means calls its clusters 0 and 1 in no particular order. `labels.sum()` counts the ones: which are fewer?",
        "Return flags as a tensor: `torch.as_tensor(labels == small, device=features.device)`.",
    ],
    second=_clusters_by_lloyd,
    returns=_flags,
    mutants={
        "flags the larger one": lambda f: ~activation_clusters(f),
        "flags cluster 1, whichever that is": lambda f: _halves(f) == 1,
        "flags the cluster of the first row": lambda f: _halves(f) == _halves(f)[0],
        "always flags half": lambda f: _main_axis(f) > _main_axis(f).median(),
        "flags what is large": lambda f: f.norm(dim=1) > f.norm(dim=1).mean(),
        "three clusters": lambda f: _halves(f, 3) == _halves(f, 3).bincount().argmin(),
    },
)
