"""What a record of measurements may plausibly look like, and how far an attacker gets who stays within that.

Ranges look at each measurement alone: they miss a radius and a perimeter that do not belong together. Relations look at
fixed sums of measurements as well. Both are linear, so the best attack on a linear model is a linear program: exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from modelsec_course import validation

__all__ = ["Plausible", "furthest", "plausible", "plausible_range"]


@dataclass(frozen=True)
class Plausible:
    """A region of records: low <= x <= high, and low_along <= directions·x <= high_along.

    low, high: (d,).  directions: (k, d), k may be 0.  low_along, high_along: (k,).
    """

    low: Tensor
    high: Tensor
    directions: Tensor
    low_along: Tensor
    high_along: Tensor

    def admits(self, x: Tensor) -> Tensor:
        """(n,) True for the records x (n, d) that lie in the region."""
        along = x @ self.directions.T
        in_range = ((x >= self.low) & (x <= self.high)).all(1)
        return in_range & ((along >= self.low_along) & (along <= self.high_along)).all(1)


def plausible_range(x: Tensor, share: float = 0.99) -> tuple[Tensor, Tensor]:
    """The range that holds the middle `share` of each column of x (n, d): (low, high), each (d,).

    Half of what is left lies on either side. A record has d chances to be outside one of them, so far more than
    1 − share of honest records are.
    """
    validation.tensor("x", x)
    validation.number("share", share, low=0, high=1)
    if x.dim() != 2 or not len(x) or not x.is_floating_point():
        raise ValueError(f"x must be floats (n, d) with n > 0, but is {x.dtype} {tuple(x.shape)}")
    tail = (1 - share) / 2
    return x.quantile(tail, dim=0), x.quantile(1 - tail, dim=0)


def plausible(x: Tensor, share: float = 0.99, *, relations: bool = False) -> Plausible:
    """The region that the records x (n, d) suggest: ranges, and with `relations` also sums that hardly vary.

    share: of each column, and of each relation.  relations: the principal directions of x, the narrow ones among
    them: measurements that rise and fall together leave little room across.
    """
    low, high = plausible_range(x, share)
    validation.flag("relations", relations)
    directions = torch.linalg.svd(x - x.mean(0), full_matrices=False).Vh if relations else x[:0]
    if not len(directions):
        return Plausible(low, high, directions, x.new_zeros(0), x.new_zeros(0))
    return Plausible(low, high, directions, *plausible_range(x @ directions.T, share))


def furthest(x: Tensor, w: Tensor, eps: float, region: Plausible) -> tuple[Tensor, Tensor]:
    """The plausible record within L∞ distance eps of each x that raises w·x most: the exact worst case.

    x: (n, d), plausible or not.  w: (d,).  Keeps a millionth and the rounding of x's dtype inside the relations'
    limits, so that the region admits what it returns.
    Returns x_adv (n, d), and reached (n,): False where no record within eps is plausible, and x_adv is x.
    Source: a linear program for each record, solved by scipy.optimize.linprog (HiGHS).
    """
    validation.tensor("x", x)
    validation.tensor("w", w)
    validation.number("eps", eps, low=0)
    if x.dim() != 2 or w.shape != x.shape[1:] or region.low.shape != w.shape:
        shapes = f"{tuple(x.shape)}, {tuple(w.shape)} and {tuple(region.low.shape)}"
        raise ValueError(f"x must be (n, d), w and the region's ranges (d,), but they are {shapes}")
    records, slope, low, high = (_numpy(t) for t in (x, w, region.low, region.high))
    along, low_along, high_along = (_numpy(t) for t in (region.directions, region.low_along, region.high_along))
    rows = np.vstack([along, -along]) if len(along) else None
    x_adv, reached = records.copy(), np.zeros(len(records), dtype=bool)
    for i, record in enumerate(records):
        least, most = np.maximum(record - eps, low), np.minimum(record + eps, high)
        if (least > most).any():
            continue
        # HiGHS keeps a limit to 1e-7, and the sums are rounded when they are checked
        rounding = 1e-6 + 4 * torch.finfo(x.dtype).eps * np.abs(along) @ (np.abs(record) + eps)
        slack = np.minimum(rounding, (high_along - low_along) / 2)
        limits = np.concatenate([high_along - slack, -low_along - slack]) if len(along) else None
        solved = linprog(-slope, A_ub=rows, b_ub=limits, bounds=np.stack([least, most], 1), method="highs")
        if solved.status == 0:
            x_adv[i], reached[i] = np.clip(solved.x, least, most), True
    return torch.as_tensor(x_adv, dtype=x.dtype, device=x.device), torch.as_tensor(reached, device=x.device)


def _numpy(t: Tensor) -> np.ndarray:
    return t.detach().cpu().double().numpy()
