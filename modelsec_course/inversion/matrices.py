"""Convolutions as matrix products: with weights of each search's own that is the faster form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["AsMatrices"]


class AsMatrices(TorchFunctionMode):
    """While it is entered, `conv2d` gathers its windows and multiplies: one product in place of a grouped convolution.

    `vmap` makes a convolution with weights of each row's own a grouped one. Of small pictures its second derivative
    takes twice as long as this; of large ones both take the same. What has groups, names its padding or gets a single
    picture is left as it is.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """The call as it was made, or `_product` for a convolution that it can do."""
        if function in (F.conv2d, torch.conv2d):
            return _product(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _product(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1, groups: int = 1
) -> Tensor:
    """`torch.nn.functional.conv2d` by `unfold` and a product of matrices; its parameters and their names."""
    if groups != 1 or isinstance(padding, str) or input.dim() != 4:
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    stride, padding, dilation = (p if isinstance(p, tuple) else (p, p) for p in (stride, padding, dilation))
    side, kernel = input.shape[2], weight.shape[2]
    height = (side + 2 * padding[0] - dilation[0] * (kernel - 1) - 1) // stride[0] + 1
    windows = F.unfold(input, tuple(weight.shape[2:]), dilation, padding, stride)  # (batch, channels · kernel, places)
    out = (weight.flatten(1) @ windows).unflatten(2, (height, -1))
    return out if bias is None else out + bias[:, None, None]
