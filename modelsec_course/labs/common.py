"""Models to test a learner's attack on, and what every attack's check looks at."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from modelsec_course import data, evasion, models, runtime, zoo
from modelsec_course.lab.exercise import expect


def flat(weight: Tensor, bias: Tensor) -> nn.Module:
    net = models.linear(weight.shape[1], len(weight))
    with torch.no_grad():
        net[1].weight.copy_(weight)
        net[1].bias.copy_(bias)
    return net.eval()


def linear_model(classes: int, seed: int = 0, size: int = 6, n: int = 48) -> tuple[nn.Module, Tensor, Tensor]:
    """A linear model, and inputs well inside [0, 1], neither on a boundary nor far away. An eighth is mislabelled."""
    draw = runtime.generator(seed)
    weight, bias = torch.randn(classes, size * size, generator=draw), torch.randn(classes, generator=draw) / 4
    model = flat(weight, bias - weight.sum(1) / 2)  # undecided about a grey picture
    x = 0.35 + 0.3 * torch.rand(40 * n, 1, size, size, generator=draw)
    y = model(x).argmax(1)
    nearest = class_distances(model, x, y).amin(1)
    some = ((nearest > 0.05) & (nearest < 0.3)).nonzero().flatten()[:n]
    x, y = x[some], y[some]
    y[::8] = (y[::8] + 1) % classes
    return model, x, y


def curved_model(n: int = 24) -> tuple[nn.Module, Tensor, Tensor]:
    """An untrained network, and pictures with pixels at 0 and at 1."""
    draw = runtime.generator(3)
    model = models.initialise(models.cnn(size=6, classes=4), draw).eval()
    x = (1.6 * torch.rand(n, 1, 6, 6, generator=draw) - 0.3).clamp(0, 1)
    return model, x, torch.arange(n) % 4


@functools.cache
def digits_model(n: int = 80) -> tuple[nn.Module, Tensor, Tensor]:
    """The lab's model on digits that it reads correctly."""
    digits, model = data.load("digits"), zoo.load("digits-cnn", device="cpu")
    right = model(digits.x_test).argmax(1) == digits.y_test
    return model, digits.x_test[right][:n], digits.y_test[right][:n]


def class_distances(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The closed form: L2 distance of each input to the boundary of each other class, (n, classes); 0 if beyond it."""
    weight, logits = model[1].weight.detach(), model(x).detach()
    gap = logits.gather(1, y[:, None]) - logits
    slope = (weight - weight[y][:, None]).norm(dim=2)  # (n, classes)
    return torch.where(slope > 0, gap / slope.clamp_min(1e-9), torch.inf).clamp_min(0)


def shaped_like_x(result, args, kwargs) -> None:
    """Every attack returns a tensor shaped like its input."""
    x = kwargs.get("x", args[1] if len(args) > 1 else None)
    expect(isinstance(result, Tensor), f"expected a tensor, got a {type(result).__name__}")
    expect(result.shape == x.shape, f"expected the shape of x, {tuple(x.shape)}, got {tuple(result.shape)}")
    expect(not result.requires_grad, "the result still drags its gradient graph along: return it with .detach()")


def l2_length(x_adv: Tensor, x: Tensor) -> Tensor:
    return evasion.NORMS["l2"].length(x_adv - x).detach()


def still_right(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x).argmax(1) == y


def expect_inside(x_adv: Tensor, x: Tensor, eps: float) -> None:
    gap = (x_adv - x).abs().max().item()
    expect(gap <= eps + 1e-6, f"with eps = {eps}, a pixel changed by {gap:.4g}")
    expect(
        x_adv.min() >= 0 and x_adv.max() <= 1, f"pixels must stay in [0, 1], got {x_adv.min():.3g} to {x_adv.max():.3g}"
    )
