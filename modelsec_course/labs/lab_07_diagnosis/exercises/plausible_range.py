"""The range of each measurement that holds most of the records."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from modelsec_course import robustness, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_tensor


def _column(n: int = 101) -> Tensor:
    """0, 1, …, 100 in some order."""
    return torch.randperm(n, generator=runtime.generator(0)).float()


def _pair(ranges, x: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """low and high as tensors, whether they came as a tuple, a list, a tensor of two rows or arrays."""
    low, high = (torch.as_tensor(part) for part in ranges(x, share))
    return low, high


def _by_hand(ranges):
    """Of 0, 1, …, 100 the middle 90 % is 5 to 95, the middle 80 % is 10 to 90"""
    for share, want in ((0.9, (5, 95)), (0.8, (10, 90))):
        low, high = _pair(ranges, _column()[:, None], share)
        expect_close(torch.cat([low, high]), want, 1e-3, f"low and high for share = {share}")


def _each_column(ranges):
    """Each column has its own range, whatever its unit"""
    x = torch.stack([_column(), 1000 + 2 * _column(), -0.01 * _column()], 1)
    low, high = _pair(ranges, x, 0.9)
    expect_close(low, [5, 1010, -0.95], 1e-3, "low")
    expect_close(high, [95, 1190, -0.05], 1e-3, "high")


def _everything(ranges):
    """share = 1 is from the least to the largest"""
    x = torch.randn(50, 4, generator=runtime.generator(1))
    low, high = _pair(ranges, x, 1.0)
    expect_close(low, x.amin(0), 1e-6, "low")
    expect_close(high, x.amax(0), 1e-6, "high")


def _both_tails(ranges):
    """On a lopsided column as many records lie below as above"""
    x = torch.exp(2 * torch.randn(2001, 2, generator=runtime.generator(2)))
    low, high = _pair(ranges, x, 0.95)
    for side, outside in (("below", x < low), ("above", x > high)):
        count = outside.sum(0).float()
        expect((count - 50).abs() <= 2, f"of 2001 records, 50 should lie {side}, but {count.int().tolist()} do")


def _outliers(ranges):
    """One slip of the pen changes no range of 90 %"""
    x = _column()[:, None]
    slip = torch.where(x == 100, 1e6, x)
    for before, after, name in zip(_pair(ranges, x, 0.9), _pair(ranges, slip, 0.9), ("low", "high"), strict=True):
        expect_close(after, before, 1e-3, f"{name} after 100 became a million")


def _two_rows(result, args, kwargs) -> None:
    columns = argument(args, kwargs, 0, "x").shape[1:]
    two = isinstance(result, tuple | list | Tensor | np.ndarray) and len(result) == 2
    expect(two, "return two tensors: low and high")
    low, high = (torch.as_tensor(part) for part in result)
    expect_tensor(low, columns, "low")
    expect_tensor(high, columns, "high")
    expect(low <= high, "low must come first: it exceeds high somewhere")


def plausible_range(x, share=0.99):
    return robustness.plausible_range(x, share)


def _by_sorting(x, share=0.99):
    tail = (1 - share) / 2
    ends = [np.percentile(np.sort(x.numpy(), axis=0), 100 * q, axis=0, method="nearest") for q in (tail, 1 - tail)]
    return tuple(torch.as_tensor(end) for end in ends)


def _quantiles(x, low, high):
    return x.quantile(low, dim=0), x.quantile(high, dim=0)


EXERCISE = Exercise(
    "07.plausible_range",
    title="What a measurement may look like",
    reference=plausible_range,
    properties=[_by_hand, _each_column, _everything, _both_tails, _outliers],
    hints=[
        "If the middle holds `share`, how much is left on either side?",
        "`x.quantile(q, dim=0)` is the value of each column below which the share q of its records lies.",
        "```python\ntail = (1 - share) / 2\nlow, high = x.quantile(tail, dim=0), x.quantile(1 - tail, dim=0)\n```",
    ],
    returns=_two_rows,
    second=_by_sorting,
    mutants={
        "from the least to the largest": lambda x, share=0.99: (x.amin(0), x.amax(0)),
        "mean ± 2.6 standard deviations": lambda x, share=0.99: (
            x.mean(0) - 2.6 * x.std(0),
            x.mean(0) + 2.6 * x.std(0),
        ),
        "all of the rest on either side": lambda x, share=0.99: _quantiles(x, 1 - share, share),
        "one range for all columns": lambda x, share=0.99: tuple(
            q.expand(x.shape[1]) for q in (x.quantile((1 - share) / 2), x.quantile((1 + share) / 2))
        ),
        "cuts only the top": lambda x, share=0.99: _quantiles(x, 0.0, share),
        "a range for each record": lambda x, share=0.99: _quantiles(x.T, (1 - share) / 2, (1 + share) / 2),
        "takes percent for a share": lambda x, share=0.99: _quantiles(x, share / 2 / 100, 1 - share / 2 / 100),
    },
)
