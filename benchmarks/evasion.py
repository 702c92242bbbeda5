"""Attacks on pictures: ours beside torchattacks, foolbox and ART, and beside what the network itself costs.

The bound is what no attack can beat that asks the whole batch in every step: steps × (forward + backward to the
input), with frozen weights. Ours goes below it where inputs fall, because those leave the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks import harness, victims
from benchmarks.contests import beside_peers
from modelsec_course.evasion import carlini_wagner, deepfool, fast_minimum_norm, fgsm, pgd

EPS, EPS_L2 = victims.EPS, 1.0
ABOUT = """Pictures (n, 3, 32, 32): scikit-learn's digits, enlarged and printed in colour; four convolutions read them.
seconds: median over the rounds.  ours ÷ it: median and quartiles of the ratios within a round; below 1, ours is faster.
success: share of all inputs that are misclassified within budget, recounted on the returned tensor by one function.
distance: median L2 length over the inputs that were right before; an input that was not broken counts as infinite.
In C&W torchattacks, foolbox and ours (abort_early) stop where the loss has stopped falling, with steps to spare."""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """FGSM, PGD-40 and the minimum-norm attacks, on the network trained as usual and on the one that resists."""
    few, many, most = (8, 8, 8) if quick else (64, 180, 360) if device.type == "cpu" else (1024, 4096, 4096)
    steps = 3 if quick else 40
    for kind in ("standard", "resisting"):
        model = victims.load(kind, device, quick)
        contest = partial(beside_peers, kind, model)
        climb = {"steps": steps}
        yield contest("fgsm", f"FGSM, L∞ {EPS:.3f}", many, fgsm, 1, eps=EPS)
        yield contest(
            "pgd", f"PGD-{steps}, L∞ {EPS:.3f}", many, pgd, steps, eps=EPS, step_size=EPS / 4, **climb
        )  # a quarter of eps, torchattacks' own default
        l2 = partial(pgd, norm="l2")
        yield contest("pgd_l2", f"PGD-{steps}, L2 {EPS_L2}", many, l2, steps, eps=EPS_L2, step_size=EPS_L2 / 4, **climb)
        yield contest("deepfool", "DeepFool, L2", most, deepfool, 0, steps=steps, overshoot=0.02)
    model, kind = victims.load("standard", device, quick), "standard"
    contest = partial(beside_peers, kind, model)
    search = {"steps": steps, "searches": 2 if quick else 5, "lr": 0.05}
    once = {**search, "steps": 3 if quick else 100, "searches": 1, "c": 1.0, "lr": 0.01}  # the peers' own lr
    yield contest("carlini_wagner", f"C&W, c = 1, {once['steps']} steps", few, _one_c, once["steps"], **once)
    budget = search["steps"] * search["searches"]
    title = f"C&W, {search['searches']} searches of {search['steps']} steps"
    yield contest("carlini_wagner", title, few, partial(carlini_wagner, abort_early=True), budget, **search)
    yield contest("fast_minimum_norm", f"Fast minimum norm, {steps} steps", few, fast_minimum_norm, steps, steps=steps)


def _one_c(model, x, y, *, c, **options):
    return carlini_wagner(model, x, y, start=c, abort_early=True, **options)
