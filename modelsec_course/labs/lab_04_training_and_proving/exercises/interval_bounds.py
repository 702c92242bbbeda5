"""Carry a box through a network, layer by layer, to bounds on every output."""

from __future__ import annotations

import copy
import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import models, robustness, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.lab_04_training_and_proving.exercises.shared import toy_batch


def _box(n: int = 4, radius: float = 0.1, size: int = 6) -> tuple[Tensor, Tensor]:
    centre = toy_batch(n, size)
    spread = radius * torch.rand(centre.shape, generator=runtime.generator(3))
    return centre - spread, centre + spread


def _conv(size: int = 6) -> nn.Module:
    return models.initialise(models.strided_cnn(size, 1, 3), runtime.generator(0)).eval()


def _exact_linear(bounds):
    """On a linear layer: exactly what the worst corner of the box gives"""
    net, (low, high) = models.initialise(models.linear(36, 3), runtime.generator(0)), _box()
    weight, bias = net[1].weight.detach(), net[1].bias.detach()
    up, down, l, h = weight.clamp(min=0), weight.clamp(max=0), low.flatten(1), high.flatten(1)  # noqa: E741
    floor, ceiling = bounds(net, low, high)
    expect_close(floor, l @ up.T + h @ down.T + bias, 1e-5, "low")
    expect_close(ceiling, h @ up.T + l @ down.T + bias, 1e-5, "high")


def _exact_convolution(bounds):
    """On a convolution with stride and padding: exactly what the worst corner gives"""
    net = models.initialise(nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1)), runtime.generator(0))
    (low, high), conv = _box(), copy.deepcopy(net[0])
    with torch.no_grad():
        conv.weight.clamp_(min=0)
        up_low, up_high = conv(low), conv(high)
        conv.weight.copy_(net[0].weight.clamp(max=0))
        conv.bias.zero_()
        floor, ceiling = up_low + conv(high), up_high + conv(low)
    got = bounds(net, low, high)
    expect_close(got[0], floor, 1e-5, "low")
    expect_close(got[1], ceiling, 1e-5, "high")


def _exact_relu(bounds):
    """A ReLU turns [−2, −1], [−1, 3] and [1, 2] into [0, 0], [0, 3] and [1, 2], pooling all three into [1, 3]"""
    low, high = torch.tensor([[-2.0, -1.0, 1.0]]), torch.tensor([[-1.0, 3.0, 2.0]])
    floor, ceiling = bounds(nn.Sequential(nn.ReLU()), low, high)
    expect_close(floor, [[0.0, 0.0, 1.0]], 1e-6, "low")
    expect_close(ceiling, [[0.0, 3.0, 2.0]], 1e-6, "high")
    floor, ceiling = bounds(nn.Sequential(nn.MaxPool2d((1, 3))), low.view(1, 1, 1, 3), high.view(1, 1, 1, 3))
    expect_close(torch.stack([floor, ceiling]).flatten(), [1.0, 3.0], 1e-6, "low and high after pooling")


def _sound(bounds):
    """On a deep network: no output of 10,000 points of the box lies outside"""
    net, (low, high) = _conv(), _box()
    floor, ceiling = bounds(net, low, high)
    draw = torch.rand(2500, *low.shape, generator=runtime.generator(6))
    with torch.no_grad():
        for share in (draw, draw.round()):  # inside, and corners
            out = net((low + share * (high - low)).flatten(0, 1)).view(2500, len(low), -1)
            outside = ((out < floor - 1e-5) | (out > ceiling + 1e-5)).any(2).float().mean()
            expect(outside == 0, f"{outside:.1%} of the points have an output outside the bounds")


def _tight(bounds):
    """A box of one point gives the network's output, a wider box no narrower bounds"""
    net, (low, high) = _conv(), _box()
    middle = (low + high) / 2
    for bound in bounds(net, middle, middle):
        expect_close(bound, net(middle), 1e-4, "a bound over one point")
    inner, outer = bounds(net, low, high), bounds(net, low - 0.05, high + 0.05)
    expect((outer[0] <= inner[0] + 1e-6) & (inner[1] <= outer[1] + 1e-6), "the wider box has a narrower bound")


def _not_loose(bounds):
    """On a deep network: no wider than one box for each layer makes them"""
    net, (low, high) = _conv(), _box()
    floor, ceiling = bounds(net, low, high)
    with torch.no_grad():
        want_low, want_high = robustness.interval_bounds(net, low, high)
    wide, want = (ceiling - floor).mean().item(), (want_high - want_low).mean().item()
    expect(wide <= want * 1.001, f"the mean width is {wide:.4g}, layer by layer it is {want:.4g}")


def _two_bounds(result, args, kwargs) -> None:
    expect(isinstance(result, tuple) and len(result) == 2, "return two tensors: low, high")
    expect(all(isinstance(bound, Tensor) for bound in result), "return two tensors: low, high")
    expect(result[0].shape == result[1].shape, "low and high must have one shape")


def interval_bounds(model, low, high):
    return robustness.interval_bounds(model, low, high)


def _through(layer: nn.Module, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight, bias)
    return F.conv2d(x, weight, bias, layer.stride, layer.padding)


def _by_signs(model, low, high):
    """Positive weights carry low to low, negative ones carry high to low."""
    for layer in model:
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            low, high = layer(low), layer(high)
            continue
        up, down = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
        low, high = (
            _through(layer, low, up, layer.bias) + _through(layer, high, down, None),
            _through(layer, high, up, layer.bias) + _through(layer, low, down, None),
        )
    return low, high


def _bounds_wrong(model, low, high, *, absolute=True, bias=False, swell=1.0, skip=()):
    for layer in model:
        if isinstance(layer, skip):
            continue
        if isinstance(layer, nn.Linear | nn.Conv2d):
            centre, radius = layer((low + high) / 2), (high - low) / 2
            weight = layer.weight.abs() if absolute else layer.weight
            radius = swell * _through(layer, radius, weight, layer.bias.abs() if bias else None)
            low, high = centre - radius, centre + radius
        else:
            low, high = layer(low), layer(high)
    return low, high


def _by_samples(model, low, high):
    draw = torch.rand(200, *low.shape, generator=runtime.generator(0))
    out = torch.stack([model(low + share * (high - low)) for share in draw])
    return out.amin(0), out.amax(0)


EXERCISE = Exercise(
    "04.interval_bounds",
    title="Interval bounds",
    reference=interval_bounds,
    properties=[_exact_linear, _exact_convolution, _exact_relu, _sound, _tight, _not_loose],
    hints=[
        "Describe a box by its centre and its radius. What does a linear layer do to each?",
        "The centre goes through the layer as any input does. The radius meets |W| and no bias: every weight pushes "
        "the way that hurts.",
        "```python\ncentre, radius = layer((low + high) / 2), (high - low) / 2\n"
        "radius = F.linear(radius, layer.weight.abs())\nlow, high = centre - radius, centre + radius\n```\n"
        "For a convolution: `F.conv2d(radius, layer.weight.abs(), None, layer.stride, layer.padding)`. Flatten and "
        "ReLU never fall when their input rises, so `low, high = layer(low), layer(high)`.",
    ],
    returns=_two_bounds,
    second=_by_signs,
    mutants={
        "sends both ends through the network": lambda model, low, high: (model(low), model(high)),
        "forgets the absolute value": functools.partial(_bounds_wrong, absolute=False),
        "gives the radius a bias": functools.partial(_bounds_wrong, bias=True),
        "halves the radius": functools.partial(_bounds_wrong, swell=0.5),
        "doubles the radius, to be safe": functools.partial(_bounds_wrong, swell=2.0),
        "leaves the ReLUs out": functools.partial(_bounds_wrong, skip=nn.ReLU),
        "asks 200 random points": _by_samples,
    },
)
