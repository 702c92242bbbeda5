"""The sum of clipped gradients from one forward and one backward pass, to the layers' outputs and no further.

A dense layer's gradient for one record is the outer product of what went in and what came back, so its norm is the
product of two norms and the gradient itself is never formed. The clipped sum is then one product of matrices.

Source: Bu, Wang, Zha & Karypis, 2023, "Differentially private optimization on large model at small cost".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call, vjp, vmap

from modelsec_course.privacy import clipping
from modelsec_course.training import Loss, cross_entropy

__all__ = ["clipped_sum"]

# A layer, what went into it, and where the gradient of its output will be.
Book = tuple[nn.Module, Tensor, GradientEdge]
# The squared norms of the records' gradients (batch,), and factors -> each parameter with its weighted sum.
Entry = tuple[Tensor, Callable[[Tensor], Iterator[tuple[nn.Parameter, Tensor]]]]
WORKSPACE = 2**18  # numbers of patches at once: a megabyte stays in a processor's cache
INSTEAD = "use route='readable'"


def clipped_sum(
    model: nn.Module, x: Tensor, y: Tensor, clip: float, loss: Loss = cross_entropy
) -> tuple[dict[str, Tensor], Tensor]:
    """What `clipping.clipped_sum` returns, faster and in less memory.

    For layers that are not dense each record's gradient is formed, one layer at a time.  Raises where a layer runs
    twice in one pass, or a parameter is used outside its layer.
    """
    if not len(x):
        return clipping.clipped_sum(model, x, y, clip, loss)
    books, total = _passed(model, x, y, loss)
    names = {id(p): name for name, p in model.named_parameters()}
    backprops = torch.autograd.grad(total, [edge for _, _, edge in books])
    with torch.no_grad():
        entries = [_entry(layer, a, g) for (layer, a, _), g in zip(books, backprops, strict=True)]
        norms = torch.stack([squares for squares, _ in entries]).sum(0).sqrt()
        kept, factors = norms.isfinite(), clipping.clip_factors(norms, clip)
        if kept.all():
            return {names[id(p)]: value for _, summed in entries for p, value in summed(factors)}, total.detach()
    return clipped_sum(model, x[kept], y[kept], clip, loss)[0], total.detach()  # without them, since 0 × NaN is NaN


def _passed(model: nn.Module, x: Tensor, y: Tensor, loss: Loss) -> tuple[list[Book], Tensor]:
    """What each layer with parameters of its own has met in one forward pass, and the sum of the losses."""
    met = []

    def note(layer: nn.Module, inputs: tuple, output: Tensor) -> None:
        if len(inputs) != 1 or not isinstance(inputs[0], Tensor) or not isinstance(output, Tensor):
            raise ValueError(f"{type(layer).__name__} does not map one tensor to one tensor: {INSTEAD}")
        met.append((layer, inputs[0].detach(), inputs[0]._version, get_gradient_edge(output)))

    owned = {layer: [id(p) for p in layer.parameters(recurse=False) if p.requires_grad] for layer in model.modules()}
    owners = [layer for layer, parameters in owned.items() if parameters]
    hooks = [layer.register_forward_hook(note) for layer in owners]
    try:
        total = loss(model, x, y) * len(x)
    finally:
        for hook in hooks:
            hook.remove()
    used = [p for layer, *_ in met for p in owned[layer]]
    if sorted(used) != sorted({p for layer in owners for p in owned[layer]}):
        raise ValueError(f"a parameter is not used exactly once, by its own layer, in a pass of the model: {INSTEAD}")
    for layer, a, version, _ in met:
        if a._version != version:
            raise ValueError(f"what went into {type(layer).__name__} was changed in place afterwards: {INSTEAD}")
    return [(layer, a, edge) for layer, a, _, edge in met], total


def _entry(layer: nn.Module, a: Tensor, g: Tensor) -> Entry:
    """a, g: what went into the layer and what came back to its output, (batch, ...)."""
    whole = all(p.requires_grad for p in layer.parameters(recurse=False))
    if whole and type(layer) is nn.Linear and a.dim() == 2:
        return _dense(layer, a, g)
    formed = _convolution if whole and type(layer) is nn.Conv2d and _ordinary(layer) else _any
    flat = {p: gradient.flatten(1) for p, gradient in formed(layer, a, g).items()}  # (batch, numbers)

    def summed(factors: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        return ((p, (factors @ some).view(p.shape)) for p, some in flat.items())

    return sum(torch.linalg.vector_norm(some, dim=1).square() for some in flat.values()), summed


def _dense(layer: nn.Linear, a: Tensor, g: Tensor) -> Entry:
    def summed(factors: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        clipped = factors[:, None] * g
        yield layer.weight, clipped.T @ a
        if layer.bias is not None:
            yield layer.bias, clipped.sum(0)

    return g.square().sum(1) * (a.square().sum(1) + (layer.bias is not None)), summed


def _ordinary(layer: nn.Conv2d) -> bool:
    known = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    return known and not isinstance(layer.padding, str)


def _convolution(layer: nn.Conv2d, a: Tensor, g: Tensor) -> dict[nn.Parameter, Tensor]:
    """A dense layer that every patch of the picture goes through: a record's gradient is the sum over its patches."""
    g = g.flatten(2)  # (batch, out, places)
    weights = g.new_empty(len(a), *layer.weight.flatten(1).shape)
    some = max(1, WORKSPACE // (g.shape[2] * weights.shape[2]))  # records whose patches stay in the processor's cache
    for inputs, back, into in zip(a.split(some), g.split(some), weights.split(some), strict=True):
        torch.bmm(back, _patches(layer, inputs).transpose(1, 2), out=into)
    return {layer.weight: weights} if layer.bias is None else {layer.weight: weights, layer.bias: g.sum(2)}


def _patches(layer: nn.Conv2d, a: Tensor) -> Tensor:
    """(batch, in·k·k, places): what each weight of the kernel meets."""
    (high, wide), (down, right) = layer.kernel_size, layer.padding
    padded = F.pad(a.contiguous(), (right, right, down, down))
    windows = padded.unfold(2, high, layer.stride[0]).unfold(3, wide, layer.stride[1])  # (batch, in, h, w, k, k)
    return windows.permute(0, 1, 4, 5, 2, 3).reshape(len(a), layer.weight[0].numel(), -1)


def _any(layer: nn.Module, a: Tensor, g: Tensor) -> dict[nn.Parameter, Tensor]:
    own = {name: p for name, p in layer.named_parameters(recurse=False) if p.requires_grad}
    weights = {name: p.detach() for name, p in own.items()}

    def pulled(row: Tensor, back: Tensor) -> dict[str, Tensor]:
        _, pull = vjp(lambda weights: functional_call(layer, weights, (row[None],)), weights)
        return pull(back[None])[0]

    gradients = vmap(pulled)(a, g)
    return {p: gradients[name] for name, p in own.items()}
