"""Timing several ways to do one thing fairly: interleaved in one process, ratios round by round, medians with spread.

A contender that takes more than SLOW seconds is timed in the first round only.

On a machine that others use too, only a ratio of two timings taken next to each other means anything. So each round
runs every contender once, in an order that rotates, and a ratio is taken within its round.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

OURS = "ours"
SLOW = 20.0


@dataclass(frozen=True)
class Contest:
    """title: what is done.  runs: who -> a function that does it.  judge(result) -> what it achieved.

    missing: contenders that are not installed, named so that nobody takes an absence for a win.
    """

    title: str
    runs: Mapping[str, Callable[[], Any]]
    judge: Callable[[Any], dict[str, float]]
    missing: Sequence[str] = field(default=())


def hold(contest: Contest, rounds: int, device: torch.device) -> list[dict]:
    """One row for each contender: seconds, ratio of ours to it in each round, achievement, peak memory on CUDA."""
    achieved, peaks = {}, {}
    for who, run in contest.runs.items():  # also the warm-up
        achieved[who], peaks[who] = _observed(run, contest.judge, device)
    seconds: dict[str, list[float]] = {who: [] for who in contest.runs}
    order = list(contest.runs)
    for _ in range(rounds):
        for who in order:
            if not seconds[who] or seconds[who][0] < SLOW:
                seconds[who].append(_timed(contest.runs[who], device))
        order.append(order.pop(0))
    rows = []
    for who in contest.runs:
        ratios = [ours / other for ours, other in zip(seconds[OURS], seconds[who], strict=False)]
        rows.append({"contest": contest.title, "who": who, "seconds": seconds[who], "ratios": ratios})
        rows[-1] |= {"peak_megabytes": peaks[who], **achieved[who]}
    return rows + [{"contest": contest.title, "who": who, "missing": True} for who in contest.missing]


def table(rows: Sequence[dict], heading: bool = True) -> str:
    """The rows as text. "ours ÷ it" is below 1 where ours is faster; in brackets the quartiles over the rounds."""
    lines = []
    if heading:
        lines += [f"{'':44}{'seconds':>9}   {'ours ÷ it':24}{'success':>8}{'distance':>10}{'peak MB':>9}"]
    for before, row in zip([None, *rows], rows, strict=False):
        if before is None or before["contest"] != row["contest"]:
            lines.append(row["contest"])
        lines.append(f"  {row['who']:42}" + ("not installed" if row.get("missing") else _cells(row)))
    return "\n".join(lines)


def machine(device: torch.device) -> str:
    """What the timings were taken on."""
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    versions = f"torch {torch.__version__}, Python {sys.version.split()[0]}"
    return f"{device.type} ({chip}), {torch.get_num_threads()} threads, {versions}"


def _cells(row: dict) -> str:
    ratio = ""
    if row["who"] != OURS:
        low, middle, high = quartiles(row["ratios"])
        ratio = f"{middle:.2f} [{low:.2f}, {high:.2f}]"
    values = [row.get("success"), row.get("distance"), row.get("peak_megabytes")]
    shown = [
        "" if value is None else f"{value:{style}}" for value, style in zip(values, (".3f", ".4f", ".0f"), strict=True)
    ]
    return f"{statistics.median(row['seconds']):9.3f}   {ratio:24}{shown[0]:>8}{shown[1]:>10}{shown[2]:>9}"


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) < 2:
        return (values[0],) * 3
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def _observed(run: Callable, judge: Callable, device: torch.device) -> tuple[dict[str, float], float | None]:
    if device.type != "cuda":
        return judge(run()), None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    result = run()
    _wait(device)
    return judge(result), (torch.cuda.max_memory_allocated(device) - before) / 1e6


def _timed(run: Callable, device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()
