"""How far a counted share may be from the truth."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from modelsec_course import validation

__all__ = ["clopper_pearson", "sensitivity_interval"]


def clopper_pearson(hits, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share, of which `hits` in `n` independent trials were counted.

    hits: 0 to n, a number or an array of numbers.  confidence: that the truth lies inside; (1 − confidence) / 2 is left
    on either side, so one end alone holds with probability (1 + confidence) / 2.
    Returns (low, high), floats or arrays like `hits`. Raises ValueError for counts that cannot be.
    Source: Clopper & Pearson, 1934, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial".
    """
    validation.count("n", n)
    validation.number("confidence", confidence, low=0, high=1)
    counted = np.asarray(hits, dtype=float)
    if not ((counted >= 0) & (counted <= n) & (counted == counted.round())).all():
        raise ValueError(f"hits must be whole numbers from 0 to n = {n}, but they are {hits!r}")
    tail = (1 - confidence) / 2
    low = np.where(counted > 0, beta.ppf(tail, np.maximum(counted, 1), n - counted + 1), 0.0)
    high = np.where(counted < n, beta.isf(tail, counted + 1, np.maximum(n - counted, 1)), 1.0)
    return (low, high) if counted.ndim else (float(low), float(high))


def sensitivity_interval(said, y, *, positive: int = 0, confidence: float = 0.95) -> tuple[float, float, float]:
    """The share of true positives that a test finds, and its exact interval: (share, low, high).

    said, y: (n,) answers and true classes, tensors or arrays; a refusal, such as −1, has found nobody.
    positive: the class that must not be missed. Only its members count, so n may be much larger than the sample.
    Source: Clopper & Pearson, 1934, as in `clopper_pearson`.
    """
    said, y = np.asarray(said), np.asarray(y)
    if said.shape != y.shape or y.ndim != 1:
        raise ValueError(f"said and y must be (n,), one answer for each label, but are {said.shape} and {y.shape}")
    members = y == positive
    if not members.any():
        raise ValueError(f"y holds no member of the class {positive!r}: sensitivity is a share of its members")
    found = int((said[members] == positive).sum())
    return (found / int(members.sum()), *clopper_pearson(found, int(members.sum()), confidence=confidence))
