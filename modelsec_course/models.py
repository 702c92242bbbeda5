"""The networks. Each maps inputs (batch, ...) to logits (batch, classes); normalisation is one of its layers."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from modelsec_course import validation

__all__ = ["Normalize", "cnn", "deep_cnn", "frozen", "initialise", "linear", "poolnet", "strided_cnn"]


class Normalize(nn.Module):
    """(x − mean) / std, inside the model, so that an attacker's ε stays in the units of the raw input.

    mean, std: one number for each channel of pictures (batch, channels, height, width), or for each column of
    records (batch, columns).
    """

    def __init__(self, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> None:
        super().__init__()
        mean, std = _numbers("mean", mean), _numbers("std", std)
        if mean.dim() != 1 or mean.shape != std.shape or not len(mean):
            shapes = f"{list(mean.shape)} and {list(std.shape)}"
            raise ValueError(
                f"mean and std must be lists of one length, one for each channel, but have shapes {shapes}"
            )
        if not (mean.isfinite().all() and std.isfinite().all() and (std > 0).all()):
            raise ValueError(f"mean and std must be finite and std above 0, but they are {mean} and {std}")
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() < 2 or x.shape[1] != len(self.mean):
            raise ValueError(f"x must have shape (batch, {len(self.mean)}, ...), but it has {tuple(x.shape)}")
        shape = (1, -1, *[1] * (x.dim() - 2))
        return (x - self.mean.view(shape)) / self.std.view(shape)


def linear(features: int, classes: int) -> nn.Sequential:
    """Softmax regression: flatten, then one linear layer. Closed forms hold for it, so it tests the attacks."""
    validation.count("features", features)
    validation.count("classes", classes, low=2)
    return nn.Sequential(nn.Flatten(), nn.Linear(features, classes))


def cnn(size: int = 8, channels: int = 1, classes: int = 10) -> nn.Sequential:
    """A small convolutional network for pictures (batch, channels, size, size) with an even `size`."""
    validation.count("size", size, low=2)
    validation.count("channels", channels)
    validation.count("classes", classes, low=2)
    if size % 2:
        raise ValueError(f"size must be even, since the network halves it once, but it is {size}")
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (batch, 32, size/2, size/2)
        nn.Flatten(),
        nn.Linear(32 * (size // 2) ** 2, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def strided_cnn(size: int = 8, channels: int = 1, classes: int = 10) -> nn.Sequential:
    """A smaller network that strides instead of pooling: interval bounds stay tighter on their way through it."""
    validation.count("size", size, low=2)
    validation.count("channels", channels)
    validation.count("classes", classes, low=2)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),  # (batch, 16, ⌈size/2⌉, ⌈size/2⌉)
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * ((size + 1) // 2) ** 2, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def deep_cnn(size: int = 32, channels: int = 3, classes: int = 24) -> nn.Sequential:
    """A plain network for larger pictures (batch, channels, size, size): four convolutions, three of which stride."""
    _halved_three_times(size, channels, classes)
    widths = (16, 32, 48, 64)
    layers = [nn.Conv2d(channels, widths[0], 3, padding=1), nn.ReLU()]
    for i in range(3):
        layers += [nn.Conv2d(widths[i], widths[i + 1], 3, stride=2, padding=1), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(widths[-1] * (size // 8) ** 2, 64), nn.ReLU(), nn.Linear(64, classes)]
    return nn.Sequential(*layers)


def poolnet(size: int = 32, channels: int = 3, classes: int = 24) -> nn.Sequential:
    """Three rounds of 5×5 convolution, batch norm and max pooling for pictures (batch, channels, size, size)."""
    _halved_three_times(size, channels, classes)
    layers, before = [], channels
    for width in (16, 32, 64):
        layers += [nn.Conv2d(before, width, 5, padding=2), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * (size // 8) ** 2, classes))


@torch.no_grad()
def initialise(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw the weights of linear and convolutional layers anew from `generator`, in place; returns the model.

    Uniform in ±1/√(inputs of a unit), PyTorch's own scheme, but reproducible without a global seed.
    """
    validation.module("model", model)
    if generator is None:
        raise TypeError("generator must be a torch.Generator, but it is None: use runtime.generator(seed)")
    validation.randomness("generator", generator)
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for parameter in (layer.weight, layer.bias):
                if parameter is not None:
                    draw = torch.rand(parameter.shape, generator=generator, device=generator.device)
                    parameter.copy_((2 * draw - 1) * bound)
    return model


@contextlib.contextmanager
def frozen(model: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Eval mode and no gradients for parameters inside the `with`; each module's own state is back afterwards."""
    validation.function("model", model)
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    modes = [(module, module.training) for module in modules]
    wanted = [(p, p.requires_grad) for module in modules for p in module.parameters(recurse=False)]
    try:
        for module, _ in modes:
            module.training = False
        for parameter, _ in wanted:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, requires_grad in wanted:
            parameter.requires_grad_(requires_grad)


def _numbers(name: str, values: Sequence[float] | Tensor) -> Tensor:
    try:
        return torch.as_tensor(values, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be a list of numbers, one for each channel, but it is {values!r}") from error


def _halved_three_times(size: int, channels: int, classes: int) -> None:
    validation.count("size", size, low=8)
    validation.count("channels", channels)
    validation.count("classes", classes, low=2)
    if size % 8:
        raise ValueError(f"size must be a multiple of 8, since the network halves it three times, but it is {size}")
