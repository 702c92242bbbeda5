"""Read the input of a linear layer off its gradients, by one division."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import inversion, models, runtime
from modelsec_course.lab.exercise import Exercise, expect_close


def _first_layer(seed: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """∂L/∂W, ∂L/∂b of a ReLU network's first layer for one input, and the input; half of the units are dead."""
    draw = runtime.generator(seed)
    net = models.initialise(nn.Sequential(nn.Linear(12, 30), nn.ReLU(), nn.Linear(30, 4)), draw)
    x = torch.randn(1, 12, generator=draw)
    weight, bias, *_ = inversion.batch_gradient(net, x, torch.tensor([seed % 4]))
    return scale * weight, scale * bias, x[0]


def _linear_exact(invert):
    """Is the input itself, negative numbers too, for ten networks with dead units"""
    for seed in range(10):
        weight, bias, x = _first_layer(seed)
        expect_close(invert(weight, bias), x, 1e-4, f"the input of network {seed}")


def _linear_scale(invert):
    """Does not depend on the step size, or its sign, that the gradient was multiplied by"""
    for scale in (-0.01, 1e-4, -1000.0):
        weight, bias, x = _first_layer(3, scale)
        expect_close(invert(weight, bias), x, 1e-4, f"the input, from {scale:g} times the gradient")


def _linear_strongest(invert):
    """Survives rounding: units whose ∂L/∂b is nearly 0 are not believed"""
    draw, x = runtime.generator(5), torch.linspace(-1, 1, 9)
    for sign in (1, -1):
        bias = sign * torch.tensor([1e-9, 0.0, 3e-9, 0.7, 1e-3, 1e-9])
        weight = bias[:, None] * x + 1e-7 * torch.randn(6, 9, generator=draw)
        expect_close(invert(weight, bias), x, 1e-3, f"the input, from gradients rounded to 1e-7 around {sign * 0.7}")


def _linear_softmax(invert):
    """Is right for a softmax layer that sees the input itself, whose entries of ∂L/∂b add up to 0"""
    draw = runtime.generator(6)
    for y in range(4):
        x = torch.rand(9, generator=draw)
        bias = torch.randn(4, generator=draw).softmax(0) - F.one_hot(torch.tensor(y), 4)
        expect_close(invert(bias[:, None] * x, bias), x, 1e-4, f"the input of a softmax layer, label {y}")


def _linear_nothing(invert):
    """Raises ValueError when no unit says anything"""
    try:
        got = invert(torch.zeros(5, 3), torch.zeros(5))
    except ValueError:
        return
    raise AssertionError(f"all gradients are 0, and it returned {got} instead of raising ValueError")


def _projected(weight_gradient, bias_gradient):
    """Least squares over all units at once."""
    length = (bias_gradient * bias_gradient).sum()
    if length == 0:
        raise ValueError("every unit is dead")
    return (bias_gradient @ weight_gradient) / length


def _summed(weight_gradient, bias_gradient):
    """Right for most hidden layers, and 0 / 0 on a softmax layer."""
    if not bias_gradient.any():
        raise ValueError("every unit is dead")
    return weight_gradient.sum(0) / bias_gradient.sum()


def _of_unit(choose, divide=True):
    def invert(weight_gradient, bias_gradient):
        if not bias_gradient.any():
            raise ValueError("every unit is dead")
        i = choose(bias_gradient)
        return weight_gradient[i] / (bias_gradient[i] if divide else 1)

    return invert


EXERCISE = Exercise(
    "12.invert_linear",
    title="The input, by one division",
    reference=inversion.invert_linear,
    properties=[_linear_exact, _linear_scale, _linear_strongest, _linear_softmax, _linear_nothing],
    hints=[
        "Divide a row of `weight_gradient` by its entry of `bias_gradient`. Which row? With one input any will do that "
        "is not 0.",
        "Take the row whose entry is largest in absolute value: `i = bias_gradient.abs().argmax()`.",
        "If even that entry is 0, `raise ValueError(...)`.",
    ],
    second=_projected,
    mutants={
        "the first unit, dead or not": _of_unit(lambda bias: 0),
        "the largest, sign and all": _of_unit(lambda bias: bias.argmax()),
        "the smallest that is not 0": _of_unit(lambda bias: bias.abs().masked_fill(bias == 0, torch.inf).argmin()),
        "forgets to divide": _of_unit(lambda bias: bias.abs().argmax(), divide=False),
        "the mean over all units": lambda weight, bias: (weight / bias[:, None]).mean(0),
        "the sum over all units, by the sum": _summed,
        "NaN when nothing is known": lambda weight, bias: weight[bias.abs().argmax()] / bias[bias.abs().argmax()],
        "clamped to pixels": lambda weight, bias: inversion.invert_linear(weight, bias).clamp(0, 1),
        "no negative numbers": lambda weight, bias: inversion.invert_linear(weight, bias).abs(),
        "scaled to its largest value": lambda weight, bias: (
            inversion.invert_linear(weight, bias) / inversion.invert_linear(weight, bias).max()
        ),
    },
)  # fmt: skip
