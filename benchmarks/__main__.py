"""`python -m benchmarks SUITE [--device cuda] [--quick] [--rounds N] [--json FILE]`."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import torch

from benchmarks import harness

SUITES = ("evasion", "extraction", "membership", "privacy", "robustness", "signs", "stickers", "tables")


def main(arguments: list[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Timings beside peer libraries.")
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all? The timings mean nothing")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved repetitions of each contest (default: 5)")
    parser.add_argument("--only", default="", help="only contests whose title contains this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row, with each round's seconds, to FILE")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1:
        parser.error(f"--rounds must be at least 1, but it is {chosen.rounds}")
    device = torch.device(chosen.device)
    suite = importlib.import_module(f"benchmarks.{chosen.suite}")
    print(harness.machine(device), suite.ABOUT, sep="\n\n", end="\n\n")
    rows = []
    for contest in suite.contests(device, chosen.quick):
        if chosen.only not in contest.title:
            continue
        held = harness.hold(contest, 1 if chosen.quick else chosen.rounds, device)
        print(harness.table(held, heading=not rows), flush=True)
        rows += held
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": harness.machine(device), "rows": rows}, indent=1))
    return rows


if __name__ == "__main__":
    main()
