"""The networks that are attacked: one trained as usual, one that resists. Made once, then kept in the temporary folder.

There is no download: the pictures are scikit-learn's digits, enlarged bilinearly to 32×32 and printed in a random ink
on a random paper of middling contrast, so that they have three channels and the size of CIFAR-10, and
fall to the 8/255 that is usual there. A network of four convolutions (16, 32,
32 and 64 channels) reads them. The resisting one is trained on PGD-5 examples (Madry et al., 2018) inside an L∞ ball.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from modelsec_course import data, models, runtime, training
from modelsec_course.evasion import pgd

EPS = 8 / 255
VERSION = 2  # of everything below: raise it, and what is kept counts no more


@functools.cache
def pictures() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_train, y_train, x_test, y_test: (n, 3, 32, 32) in [0, 1]."""
    digits, generator = data.load("digits"), runtime.generator(0)
    return (
        _printed(digits.x_train, generator), digits.y_train, _printed(digits.x_test, generator), digits.y_test,
    )  # fmt: skip


def _printed(x: Tensor, generator: torch.Generator) -> Tensor:
    large = F.interpolate(x, size=(32, 32), mode="bilinear")
    paper, contrast = (torch.rand(len(x), 3, 1, 1, generator=generator) for _ in range(2))
    darker = torch.rand(len(x), 1, 1, 1, generator=generator).round() * 2 - 1
    return 0.4 + 0.2 * paper + large * darker * (0.15 + 0.15 * contrast)


def network() -> nn.Sequential:
    return nn.Sequential(
        models.Normalize([0.5] * 3, [0.15] * 3),
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 8 * 8, 10),
    )


def mlp() -> nn.Sequential:
    """128 hidden units for the digits themselves, (n, 1, 8, 8)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def _robust_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    worst = pgd(model, x, y, eps=EPS, steps=5, stop_early=False, generator=runtime.generator(int(y.sum())))
    return F.cross_entropy(model(worst), y)


LOSSES = {"standard": training.cross_entropy, "resisting": _robust_loss}


def load(kind: str, device: torch.device, quick: bool = False) -> nn.Module:
    """The network called `kind`, trained now if it was not before; `quick` trains for one epoch and keeps nothing."""
    net = models.initialise(network(), runtime.generator(0))
    kept = Path(tempfile.gettempdir()) / f"modelsec-benchmark-{kind}-{VERSION}.safetensors"
    if kept.exists() and not quick:
        net.load_state_dict(load_file(kept))
        return net.eval().to(device)
    x, y, _, _ = pictures()
    x, y = (x[:128], y[:128]) if quick else (x, y)
    net.to(device)
    training.fit(
        net, x.to(device), y.to(device), epochs=1 if quick else 15, loss=LOSSES[kind], generator=runtime.generator(1)
    )
    if not quick:
        save_file({name: value.cpu() for name, value in net.state_dict().items()}, kept)
    return net
