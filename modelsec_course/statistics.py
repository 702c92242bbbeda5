"""How far a counted share may be from the truth."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from modelsec_course import validation

__all__ = ["clopper_pearson"]


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
