"""What the owner of a model can watch, and blur: the distances between queries, and the decimals of the answers."""

from __future__ import annotations

import torch
from scipy.stats import shapiro
from torch import Tensor

from modelsec_course import validation
from modelsec_course.serving import closeness

__all__ = ["nearest_earlier", "prada_score", "round_outputs"]


def nearest_earlier(queries: Tensor, labels: Tensor) -> Tensor:
    """The L2 distance of each query to the nearest earlier one that got the same label.

    queries: (n, ...) in the order in which they came.  labels: (n,) int64, the model's answers.
    Returns (n − number of labels seen,) distances: the first query of each label has no earlier one, and is left out.
    """
    validation.tensor("queries", queries)
    validation.labels(labels, queries, "labels")
    flat = queries.flatten(1)
    distances = torch.full_like(flat[:, 0], torch.inf)
    for label in labels.unique():
        same = flat[labels == label]
        distances[labels == label] = closeness(same, same[:0], 1)
    return distances[distances.isfinite()]


def prada_score(queries: Tensor, labels: Tensor) -> float:
    """How normal the distances between a client's queries look: Shapiro and Wilk's W, at most 1; low is suspicious.

    Distances more than three standard deviations from their mean are left out. queries, labels: see `nearest_earlier`.
    Raises ValueError if fewer than 20 distances are left, or if all are equal.
    Source: Juuti et al., 2019, "PRADA: Protecting against DNN Model Stealing Attacks", algorithm 3, with all earlier
    queries kept.
    """
    distances = nearest_earlier(queries, labels)
    if len(distances) >= 2:
        distances = distances[(distances - distances.mean()).abs() <= 3 * distances.std()]
    if len(distances) < 20 or distances.max() == distances.min():
        raise ValueError(f"a score needs at least 20 distances that are not all equal, but there are {len(distances)}")
    return float(shapiro(distances.cpu().numpy()).statistic)


def round_outputs(probabilities: Tensor, decimals: int) -> Tensor:
    """The probabilities with `decimals` decimals, such that rows still sum to 1 and the label never changes.

    Each is rounded down, and the largest gets what is left over. (Rounding each to the nearest makes ties, and so wrong
    labels, and rows that do not sum to 1.) probabilities: (n, classes), rows sum to 1.
    """
    validation.tensor("probabilities", probabilities)
    validation.count("decimals", decimals)
    if probabilities.dim() != 2 or not probabilities.is_floating_point():
        raise ValueError(f"probabilities must be floats (n, classes), but have shape {tuple(probabilities.shape)}")
    top, unit = probabilities.argmax(1, keepdim=True), 10.0**decimals
    units = (probabilities.double() * unit + 1e-6).floor().scatter(1, top, 0.0)  # 0.29 · 100 is 28.999999999999996
    return (units.scatter(1, top, unit - units.sum(1, keepdim=True)) / unit).to(probabilities.dtype)
