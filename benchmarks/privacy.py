"""Privacy, beside ordinary loops and Opacus: gradient inversion with all restarts at once, steps of DP-SGD."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import dpsgd, harness
from modelsec_course import data, inversion, models, runtime

NEAR = 1e-4  # the mean squared error below which a picture counts as found
ABOUT = f"""Gradient inversion: scikit-learn's digits (8×8) from the gradient of a small network with tanh, untrained.
seconds: median over the rounds.  ours ÷ it: median and quartiles of the ratios within a round; below 1, ours is faster.
a loop over restarts: the same search, one restart after the other, by PyTorch's own optimiser and double backward.
success: share of pictures whose mean squared error is below 10⁻⁴, in the restart with the lowest loss.
{dpsgd.ABOUT}"""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """One picture by L-BFGS, four by L-BFGS, one by Adam; then three networks by DP-SGD."""
    steps, restarts = (3, 2) if quick else (100, 16)
    yield inverting("lbfgs", 1, steps, restarts, device)
    yield inverting("lbfgs", 4, steps, restarts, device)
    yield inverting("adam", 1, 2 * steps, restarts, device)
    yield from dpsgd.contests(device, quick)


def network() -> nn.Sequential:
    """Two convolutions and tanh, which has a second derivative everywhere."""
    layers = [nn.Conv2d(1, 12, 3, padding=1), nn.Tanh(), nn.Conv2d(12, 12, 3, padding=1, stride=2), nn.Tanh()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(192, 10))


def inverting(optimiser: str, batch: int, steps: int, restarts: int, device: torch.device) -> harness.Contest:
    digits = data.load("digits").to(device)
    net = models.initialise(network(), runtime.generator(0)).to(device)
    x, y = digits.x_train[:batch], digits.y_train[:batch]
    sent = inversion.batch_gradient(net, x, y)
    ours = partial(
        inversion.invert_gradient, net, sent, x.shape, y, optimiser=optimiser, steps=steps, restarts=restarts,
        progress=False,
    )  # fmt: skip
    runs = {
        harness.OURS: lambda: ours().x,
        "a loop over restarts": partial(_loop, net, sent, x.shape, y, optimiser, steps, restarts),
    }
    title = f"Gradient inversion, {optimiser}, batch {batch}, {restarts} restarts, {steps} steps"
    return harness.Contest(title, runs, lambda found: {"success": _found(found, x)})


def _found(found: Tensor, x: Tensor) -> float:
    return (inversion.mse(found, x) < NEAR).double().mean().item()


def _loop(
    net: nn.Module, sent: tuple[Tensor, ...], shape: torch.Size, y: Tensor, optimiser: str, steps: int, restarts: int
) -> Tensor:
    """The ordinary way: PyTorch's L-BFGS (strong Wolfe) or Adam, restart after restart; the lowest loss wins."""
    draw, weights, best = runtime.generator(0), list(net.parameters()), (torch.inf, None)
    size = sum(part.square().sum() for part in sent)
    for _ in range(restarts):
        x = torch.rand(shape, generator=draw).to(y.device).requires_grad_()
        loss = _search(net, weights, sent, size, x, y, optimiser, steps)
        if loss < best[0]:
            best = (loss, x.detach().clamp(0, 1))
    return best[1]


def _search(net, weights, sent, size, x: Tensor, y: Tensor, optimiser: str, steps: int) -> float:
    lowest = torch.inf

    def closure() -> Tensor:
        nonlocal lowest
        own = torch.autograd.grad(F.cross_entropy(net(x), y), weights, create_graph=True)
        loss = sum((a - b).square().sum() for a, b in zip(own, sent, strict=True)) / size
        (x.grad,) = torch.autograd.grad(loss, x)
        lowest = min(lowest, loss.item())
        return loss

    if optimiser == "lbfgs":
        stop = {"tolerance_grad": 0.0, "tolerance_change": 1e-12}
        torch.optim.LBFGS([x], 1.0, steps, 12 * steps, history_size=20, line_search_fn="strong_wolfe", **stop).step(
            closure
        )
        return closure().item()
    descent: Callable = torch.optim.Adam([x], 0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(descent, steps)
    for _ in range(steps):
        descent.step(closure)
        schedule.step()
    return lowest
