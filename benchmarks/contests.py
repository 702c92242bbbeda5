"""A contest of attacks: ours, each peer that has the same one, and the bound; one function counts the successes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import harness, peers, victims
from modelsec_course.evasion import deepfool
from modelsec_course.models import frozen


def beside_peers(
    kind: str,
    model: nn.Module,
    attack: str,
    title: str,
    n: int,
    ours: Callable,
    asked: int,
    *,
    backwards: int = 1,
    x: Tensor | None = None,
    y: Tensor | None = None,
    **options: Any,
) -> harness.Contest:
    """Ours beside each peer that has `attack`, and beside the bound: `asked` × (forward + backwards × backward).

    The inputs are the first `n` pictures of the victims, or x and y.
    """
    x, y = _inputs(n, next(model.parameters()).device) if x is None else (x[:n], y[:n])
    runs = {harness.OURS: lambda: ours(model, x, y, **options)}
    missing = [peer for peer in peers.NAMES if not peers.installed(peer)]
    for peer in peers.NAMES:
        run = peers.find(peer, attack, model, x, y, **options) if peer not in missing else None
        if run:
            runs[peer] = run
    if attack == "deepfool":
        asked = _deepfool_steps(model, x, y, options)
        backwards = 10
    passes = {0: "forward", 1: "(forward + backward)"}.get(backwards, f"(forward + {backwards} backward)")
    shown = f"bound: {asked:,} × {passes}"
    runs[shown] = lambda: _bound(model, x, y, asked, backwards)
    norm = 2 if attack.endswith("_l2") else torch.inf
    judge = partial(judged, model, x, y, norm, options.get("eps"))
    return harness.Contest(f"{title}, {kind} network, {n} inputs", runs, judge, missing)


def _inputs(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """n test pictures; a larger n than there are begins again."""
    _, _, x, y = victims.pictures()
    which = torch.arange(n) % len(x)
    return x[which].to(device), y[which].to(device)


def _bound(model: nn.Module, x: Tensor, y: Tensor, steps: int, backwards: int) -> None:
    with frozen(model), torch.set_grad_enabled(backwards > 0):
        for _ in range(steps):
            if not backwards:
                model(x)
                continue
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
def judged(model: nn.Module, x: Tensor, y: Tensor, norm: float, eps: float | None, x_adv: Any) -> dict[str, float]:
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
