"""A step of DP-SGD: ours by both routes, Opacus in its three modes, and plain SGD, which is not private."""

from __future__ import annotations

import copy
import functools
import logging
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from opacus import PrivacyEngine
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import harness
from benchmarks.victims import mlp
from modelsec_course import data, models, runtime, training
from modelsec_course.privacy import dp_sgd

LR, NOISE, CLIP = 0.5, 1.0, 1.0
MODES = ("hooks", "functorch", "ghost")
ABOUT = """DP-SGD: the digits in shuffled batches of 256, enlarged to 28×28 for the network of Fashion-MNIST's size.
readable: our other route, by vmapped per-sample gradients.  Opacus: its three ways to get at the gradients' norms.
plain SGD: the same batches without clipping or noise.  success: accuracy on the 360 test digits after these steps."""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """The MLP, the course's small CNN, and the same CNN for 28×28 pictures."""
    batch, passes = (32, 1) if quick else (256, 4)
    yield stepping("MLP 64-128-10", mlp, 8, batch, passes, device)
    yield stepping("CNN of the course, 8×8", models.cnn, 8, batch, passes, device)
    yield stepping("CNN of the course, 28×28", partial(models.cnn, 28), 28, batch, 1 if quick else 2, device)


def stepping(
    title: str, architecture: Callable, size: int, batch: int, passes: int, device: torch.device
) -> harness.Contest:
    digits = data.load("digits").to(device)
    x, x_test = (F.interpolate(some, size=(size, size), mode="bilinear") for some in (digits.x_train, digits.x_test))
    x, y = x[: 5 * batch], digits.y_train[: 5 * batch]
    start = models.initialise(architecture(), runtime.generator(0)).to(device)
    steps = 5 * passes

    def ours(route: str) -> nn.Module:
        net = copy.deepcopy(start)
        plan = {"noise_multiplier": NOISE, "sampling_rate": 0.2, "steps": steps, "clip": CLIP, "lr": LR}
        dp_sgd(net, x, y, sampling="shuffled", route=route, generator=runtime.generator(1), progress=False, **plan)
        return net

    runs = {
        harness.OURS: partial(ours, "fast"),
        "ours, readable": partial(ours, "readable"),
        **{f"Opacus, {mode}": _opacus(mode, copy.deepcopy(start), x, y, batch, steps) for mode in MODES},
        "plain SGD": lambda: _plain(copy.deepcopy(start), x, y, batch, steps),
    }
    title = f"DP-SGD, {title}, {steps} steps of {batch}"
    return harness.Contest(title, runs, lambda net: {"success": training.accuracy(net, x_test, digits.y_test)})


def _batches(n: int, batch: int, steps: int) -> Iterator[Tensor]:
    draw = runtime.generator(1)
    for _ in range(0, steps * batch, n):
        yield from torch.randperm(n, generator=draw).split(batch)


def _plain(net: nn.Module, x: Tensor, y: Tensor, batch: int, steps: int) -> nn.Module:
    optimiser = torch.optim.SGD(net.parameters(), LR)
    for rows in _batches(len(x), batch, steps):
        optimiser.zero_grad()
        F.cross_entropy(net(x[rows]), y[rows]).backward()
        optimiser.step()
    return net


def _quietly(function: Callable) -> Callable:
    """Without warnings: Opacus says at each step that its hooks run where no input needs a gradient."""

    @functools.wraps(function)
    def quiet(*arguments: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments)

    return quiet


@_quietly
def _opacus(mode: str, net: nn.Module, x: Tensor, y: Tensor, batch: int, steps: int) -> Callable[[], nn.Module]:
    """Wrapped once, so that a run is its steps alone; each begins at the same weights."""
    logging.getLogger("opacus").setLevel(logging.ERROR)
    start = {name: value.clone() for name, value in net.state_dict().items()}
    settings = {
        "module": net, "optimizer": torch.optim.SGD(net.parameters(), LR), "criterion": nn.CrossEntropyLoss(),
        "data_loader": DataLoader(TensorDataset(x, y), batch_size=batch), "poisson_sampling": False,
        "noise_multiplier": NOISE, "max_grad_norm": CLIP, "grad_sample_mode": mode,
    }  # fmt: skip
    made = PrivacyEngine(accountant="rdp").make_private(**settings)
    wrapped, optimiser, criterion = made[0], made[1], made[2] if mode == "ghost" else settings["criterion"]

    @_quietly
    def run() -> nn.Module:
        net.load_state_dict(start)
        wrapped.train()
        for rows in _batches(len(x), batch, steps):
            optimiser.zero_grad()
            criterion(wrapped(x[rows]), y[rows]).backward()
            optimiser.step()
        return net

    return run
