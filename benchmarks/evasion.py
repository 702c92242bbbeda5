"""Attacks on pictures: ours beside torchattacks, foolbox and ART, and beside what the network itself costs.

The bound is what no attack can beat that asks the whole batch in every step: steps × (forward + backward to the
input), with frozen weights. Ours goes below it where inputs fall, because those leave the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import harness, peers, victims
from modelsec_course.evasion import carlini_wagner, deepfool, fgsm, pgd
from modelsec_course.models import frozen

EPS, EPS_L2 = victims.EPS, 1.0
ABOUT = """Pictures (n, 3, 32, 32): scikit-learn's digits, enlarged and printed in colour; four convolutions read them.
seconds: median over the rounds.  ours ÷ it: median and quartiles of the ratios within a round; below 1, ours is faster.
success: share of all inputs that are misclassified within budget, recounted on the returned tensor by one function.
distance: median L2 length over the inputs that were right before; an input that was not broken counts as infinite.
In C&W torchattacks, foolbox and ours (abort_early) stop where the loss has stopped falling, with steps to spare."""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """FGSM, PGD-40 and the minimum-norm attacks, on the network trained as usual and on the one that resists."""
    few, many = (8, 8) if quick else (64, 180) if device.type == "cpu" else (1024, 4096)
    steps = 3 if quick else 40
    for kind in ("standard", "resisting"):
        model = victims.load(kind, device, quick)
        contest = partial(_contest, kind, model)
        climb = {"steps": steps}
        yield contest("fgsm", f"FGSM, L∞ {EPS:.3f}", many, fgsm, 1, eps=EPS)
        yield contest(
            "pgd", f"PGD-{steps}, L∞ {EPS:.3f}", many, pgd, steps, eps=EPS, step_size=EPS / 4, **climb
        )  # a quarter of eps, torchattacks' own default
        l2 = partial(pgd, norm="l2")
        yield contest("pgd_l2", f"PGD-{steps}, L2 {EPS_L2}", many, l2, steps, eps=EPS_L2, step_size=EPS_L2 / 4, **climb)
    model, kind = victims.load("standard", device, quick), "standard"
    contest = partial(_contest, kind, model)
    fool = {"steps": steps, "overshoot": 0.02}
    yield contest("deepfool", "DeepFool, L2", few, deepfool, 0, **fool)
    search = {"steps": steps, "searches": 2 if quick else 5, "lr": 0.05}
    once = {**search, "steps": 3 if quick else 100, "searches": 1, "c": 1.0, "lr": 0.01}  # the peers' own lr
    yield contest("carlini_wagner", f"C&W, c = 1, {once['steps']} steps", few, _one_c, once["steps"], **once)
    budget = search["steps"] * search["searches"]
    title = f"C&W, {search['searches']} searches of {search['steps']} steps"
    yield contest("carlini_wagner", title, few, partial(carlini_wagner, abort_early=True), budget, **search)


def _one_c(model, x, y, *, c, **options):
    return carlini_wagner(model, x, y, start=c, abort_early=True, **options)


def _contest(
    kind: str, model: nn.Module, attack: str, title: str, n: int, ours: Callable, asked: int, **options: Any
) -> harness.Contest:
    x, y = _inputs(n, next(model.parameters()).device)
    runs = {harness.OURS: lambda: ours(model, x, y, **options)}
    missing = [peer for peer in peers.NAMES if not peers.installed(peer)]
    for peer in peers.NAMES:
        run = peers.find(peer, attack, model, x, y, **options) if peer not in missing else None
        if run:
            runs[peer] = run
    if attack == "deepfool":
        asked = _deepfool_steps(model, x, y, options)
    backwards = 10 if attack == "deepfool" else 1
    shown = f"bound: {asked} × (forward + {'10 backward' if backwards > 1 else 'backward'})"
    runs[shown] = lambda: _bound(model, x, y, asked, backwards)
    judge = partial(_judged, model, x, y, {"pgd_l2": 2}.get(attack, torch.inf), options.get("eps"))
    return harness.Contest(f"{title}, {kind} network, {n} inputs", runs, judge, missing)


def _inputs(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """n test pictures; a larger n than there are begins again."""
    _, _, x, y = victims.pictures()
    which = torch.arange(n) % len(x)
    return x[which].to(device), y[which].to(device)


def _bound(model: nn.Module, x: Tensor, y: Tensor, steps: int, backwards: int) -> None:
    with frozen(model):
        for _ in range(steps):
            at = x.detach().requires_grad_()
            loss = F.cross_entropy(model(at), y, reduction="sum")
            for k in range(backwards):
                torch.autograd.grad(loss, at, retain_graph=k + 1 < backwards)


def _deepfool_steps(model: nn.Module, x: Tensor, y: Tensor, options: dict) -> int:
    """As many steps as the slowest input needs."""
    asked = []

    def counted(v: Tensor) -> Tensor:
        asked.append(torch.is_grad_enabled())
        return model(v)

    deepfool(counted, x, y, **options)
    return sum(asked)


@torch.no_grad()
def _judged(model: nn.Module, x: Tensor, y: Tensor, norm: float, eps: float | None, x_adv: Any) -> dict[str, float]:
    """The one function that counts successes, for everybody."""
    if not isinstance(x_adv, Tensor):
        return {}
    with frozen(model):
        right, broken = model(x).argmax(1) == y, model(x_adv).argmax(1) != y
    delta = (x_adv - x).flatten(1)
    inside = (x_adv >= 0).flatten(1).all(1) & (x_adv <= 1).flatten(1).all(1)
    if eps is not None:
        inside &= torch.linalg.vector_norm(delta, ord=norm, dim=1) <= eps + 1e-5
        return {"success": (broken & inside).double().mean().item()}
    length = delta.norm(dim=1).masked_fill(~(broken & inside), torch.inf)
    return {"success": (broken & inside).double().mean().item(), "distance": length[right].median().item()}
