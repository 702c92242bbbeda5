"""How the face recognisers were trained, the judge of reconstructions, and a generator of public faces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import inversion, models, runtime, training
from modelsec_course.data import faces

__all__ = [
    "cnn", "fit_cnn", "fit_generator", "fit_judge", "fit_linear", "fit_mlp", "generator", "judge", "linear", "mlp",
]  # fmt: skip

PEOPLE, EVERYBODY = faces.PRIVATE, faces.PRIVATE + faces.STRANGERS


def linear() -> nn.Sequential:
    return nn.Sequential(_normalised(), *models.linear(1024, PEOPLE))


def mlp() -> nn.Sequential:
    return nn.Sequential(_normalised(), nn.Flatten(), nn.Linear(1024, 96), nn.ReLU(), nn.Linear(96, PEOPLE))


def cnn() -> nn.Sequential:
    layers, before = [_normalised()], 1
    for width, side in ((16, 5), (32, 3), (64, 3)):
        layers += [nn.Conv2d(before, width, side, stride=2, padding=side // 2), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 96), nn.ReLU(), nn.Linear(96, PEOPLE))


def judge() -> nn.Sequential:
    """Private people are labels 0 to 99, strangers follow."""
    layers = [_normalised(), nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU()]
    for before, width in ((16, 32), (32, 64)):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(1024, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, EVERYBODY)
    )


def generator() -> nn.Sequential:
    return inversion.decoder(64, 32)


def fit_linear(net: nn.Module) -> None:
    _fit(net, "train", ((1e-3, 40),))


def fit_mlp(net: nn.Module) -> None:
    _fit(net, "train", ((1e-3, 40),))


def fit_cnn(net: nn.Module) -> None:
    _fit(net, "train", ((2e-3, 20), (2e-4, 4)))


def fit_judge(net: nn.Module) -> None:
    _fit(net, "judge", ((2e-3, 10), (2e-4, 2)), loss=_through_fog(runtime.generator(2)))


def fit_generator(net: nn.Sequential) -> None:
    models.initialise(net, runtime.generator(0))
    inversion.fit_decoder(net, faces.pictures("public")[0], generator=runtime.generator(1))


def _normalised() -> models.Normalize:
    return models.Normalize([0.5], [0.25])


def _fit(net: nn.Module, group: str, plan: tuple[tuple[float, int], ...], **options) -> None:
    x, y = faces.pictures(group)
    models.initialise(net, runtime.generator(0))
    for lr, epochs in plan:
        training.fit(net, x, y, lr=lr, epochs=epochs, generator=runtime.generator(1), **options)


def _through_fog(draw: torch.Generator):
    """The ordinary loss on blurred and noisy pictures: a judge should not mind how sharp a reconstruction is."""

    def loss(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        share = torch.rand(len(x), 1, 1, 1, generator=draw, device="cpu").to(x.device)
        blurred = x.lerp(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), share)
        noise = torch.randn(x.shape, generator=draw, device="cpu").to(x.device)
        return F.cross_entropy(net(blurred + 0.06 * (1 - share) * noise), y)

    return loss
