"""Side-by-side timings against peer libraries: `python -m benchmarks evasion` (or robustness) prints one table.

A suite is a module of this package with `contests(device, quick) -> Iterable[harness.Contest]`.
"""
