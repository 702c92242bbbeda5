"""What a property says when it does not hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def expect(condition: Any, message: str) -> None:
    """Raise AssertionError(message) unless `condition` (a bool, or a tensor or array whose every element) is true."""
    if not bool(condition.all() if hasattr(condition, "all") else condition):
        raise AssertionError(message)


def expect_close(got: Any, want: Any, tolerance: float = 1e-6, what: str = "the result") -> None:
    """Raise AssertionError unless `got` has the shape of `want` and no element is further than `tolerance` from it.

    Both may be numbers, tensors, arrays or nested lists. The message names the largest gap and where it is. NaN fails.
    """
    want = _numbers(want)
    try:
        got_numbers = _numbers(got)
    except Exception:
        raise AssertionError(f"{what}: expected {_kind(want)}, got {type(got).__name__}") from None
    if got_numbers.shape != want.shape:
        raise AssertionError(f"{what}: expected {_kind(want)}, got {_kind(got_numbers)}")
    gap = torch.where(got_numbers == want, 0.0, (got_numbers - want).abs())
    gap = torch.where(gap.isnan(), torch.inf, gap)
    if gap.numel() and gap.max() > tolerance:
        at = _place(int(gap.argmax()), gap.shape)
        here, there = got_numbers.flatten()[gap.argmax()], want.flatten()[gap.argmax()]
        many = f" ({int((gap > tolerance).sum())} of {gap.numel()} values are off)" if gap.numel() > 1 else ""
        off = "" if not torch.isfinite(gap.max()) else f", off by {number(gap.max())}"
        raise AssertionError(
            f"{what}{at}: expected {number(there)}, got {number(here)}{off} (tolerance {number(tolerance)}){many}"
        )


def _numbers(value: Any) -> torch.Tensor:
    """In double precision: a Python float would become a single-precision tensor."""
    return torch.as_tensor(value, dtype=torch.float64).detach().cpu()


def number(value: Any) -> str:
    """A short, exact-looking text of a number: 0.3, 1e-06, NaN."""
    text = f"{float(value):.6g}"
    return {"nan": "NaN", "inf": "infinity", "-inf": "-infinity"}.get(text, text)


def place(index: int, shape: tuple[int, ...]) -> str:
    """The text `[row, column]` of a flat index, empty for a single number."""
    return _place(index, shape).removeprefix(" at ")


def _place(index: int, shape: tuple[int, ...]) -> str:
    if not len(shape):
        return ""
    return f" at {[int(i) for i in np.unravel_index(index, shape)]}"


def _kind(value: torch.Tensor) -> str:
    return f"shape {tuple(value.shape)}" if value.ndim else "a single number"
