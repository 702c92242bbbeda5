"""Convolutions as products against `conv2d`, with every option, and their second derivatives."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, vmap

from modelsec_course import runtime
from modelsec_course.inversion.matrices import AsMatrices


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), list(itertools.product((1, 2, (2, 1)), (0, 1, (2, 0)), (1, 2, (1, 2))))
)
@pytest.mark.parametrize("bias", [True, False])
def test_a_product_is_the_convolution(stride, padding, dilation, bias):
    x, weight, b = drawn(2, 3, 7, 9), drawn(4, 3, 3, 2, seed=1), drawn(4, seed=2) if bias else None
    wanted = F.conv2d(x, weight, b, stride, padding, dilation)
    with AsMatrices():
        got = F.conv2d(x, weight, b, stride=stride, padding=padding, dilation=dilation)
    assert got.shape == wanted.shape
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


def test_products_are_taken_and_only_where_they_can_be():
    """By their traces in the graph: a product's last node is an addition, a convolution's is its own."""
    x, weight = drawn(1, 4, 5, 5).requires_grad_(), drawn(4, 4, 3, 3, seed=1)
    of = {}
    with AsMatrices():
        of["plain"] = F.conv2d(x, weight, drawn(4))
        of["groups"] = F.conv2d(x, weight[:, :2], drawn(4), groups=2)
        of["named"] = F.conv2d(x, weight, drawn(4), padding="same")
        of["single"] = F.conv2d(x[0], weight, drawn(4))
    kept = [name for name, out in of.items() if "Convolution" in str(out.grad_fn)]
    assert kept[:2] == ["groups", "named"]
    assert "plain" not in kept
    torch.testing.assert_close(of["groups"], F.conv2d(x, weight[:, :2], drawn(4), groups=2))
    torch.testing.assert_close(of["named"], F.conv2d(x, weight, drawn(4), padding="same"))
    torch.testing.assert_close(of["single"], F.conv2d(x[0], weight, drawn(4)))


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_with_weights_of_each_rows_own_the_second_derivative_is_the_same(mode):
    net = nn.Sequential(
        nn.Conv2d(1, 5, 3, padding=1, padding_mode=mode), nn.Tanh(), nn.Conv2d(5, 4, 3, stride=2), nn.Flatten()
    ).double()
    forward = vmap(lambda weights, x: functional_call(net, weights, (x,)))
    shapes = {name: weight.shape for name, weight in net.named_parameters()}

    def slope():
        own = {name: drawn(3, *shape, seed=k).requires_grad_() for k, (name, shape) in enumerate(shapes.items())}
        x = drawn(3, 2, 1, 6, 6, seed=9).requires_grad_()
        gradients = torch.autograd.grad(forward(own, x).square().sum(), list(own.values()), create_graph=True)
        return torch.autograd.grad(sum(part.square().sum() for part in gradients), x)[0]

    wanted = slope()
    with AsMatrices():
        got = slope()
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)
