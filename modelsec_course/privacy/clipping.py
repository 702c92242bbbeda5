"""One gradient for each record, clipped: what bounds a record's say in a step of private training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from modelsec_course import validation
from modelsec_course.training import Loss, cross_entropy

__all__ = ["clip_factors", "clipped_sum", "per_sample_gradients", "refuse_batch_norm"]

MIXES = (
    "mixes the rows of a batch: one row then moves the gradients of all others, and clipping its own bounds nothing. "
    "Use GroupNorm or LayerNorm in the place of batch norm"
)


def per_sample_gradients(model: nn.Module, x: Tensor, y: Tensor, loss: Loss = cross_entropy) -> dict[str, Tensor]:
    """The gradient of each record's own loss: for every trainable parameter its name and (batch, *shape).

    x: (batch, ...) inputs.  y: (batch,) labels.  loss(model, x, y) -> scalar, the mean over the rows; it is asked
    about one row at a time, and all rows are computed at once.
    """
    validation.module("model", model)
    refuse_batch_norm(model)
    for name, value in (("x", x), ("y", y)):
        validation.tensor(name, value)
    validation.function("loss", loss, hint="loss(model, x, y) returns a scalar, the mean over the rows")
    if not x.dim() or not len(x) or y.shape[:1] != x.shape[:1]:
        raise ValueError(f"x and y must hold the same rows, at least one, but have {tuple(x.shape)}, {tuple(y.shape)}")
    return _each(model, x, y, loss)[0]


def clip_factors(norms: Tensor, clip: float) -> Tensor:
    """What each gradient is multiplied by, so that its L2 norm is at most `clip`: min(1, clip / norm).

    norms: (batch,), each over all parameters jointly.  A norm of infinity or NaN gets 0: that record is left out.
    """
    validation.tensor("norms", norms)
    validation.positive("clip", clip)
    return (clip / norms).clamp_max(1.0).nan_to_num(nan=0.0)


def clipped_sum(
    model: nn.Module, x: Tensor, y: Tensor, clip: float, loss: Loss = cross_entropy
) -> tuple[dict[str, Tensor], Tensor]:
    """The sum of the rows' clipped gradients, parameter by parameter, and the sum of their losses.

    This is the readable way: every row's gradient is formed, so memory grows with rows × parameters.
    """
    if not len(x):
        return {n: torch.zeros_like(p) for n, p in model.named_parameters() if p.requires_grad}, x.new_zeros(())
    gradients, losses = _each(model, x, y, loss)
    flat = {name: gradient.flatten(1) for name, gradient in gradients.items()}  # (batch, numbers)
    norms = torch.stack([some.norm(dim=1) for some in flat.values()]).norm(dim=0)
    factors = clip_factors(norms, clip)
    finite = {name: some.nan_to_num(0.0, 0.0, 0.0) for name, some in flat.items()}  # since 0 × NaN is NaN
    return {name: (factors @ some).view(gradients[name].shape[1:]) for name, some in finite.items()}, losses.sum()


def refuse_batch_norm(model: nn.Module) -> None:
    """Raise where a layer takes statistics over the batch: such a model has no gradient of one row alone."""
    for layer in model.modules():
        if isinstance(layer, _BatchNorm) or (isinstance(layer, _InstanceNorm) and layer.track_running_stats):
            raise ValueError(f"the model holds {type(layer).__name__}, which {MIXES}")


def _each(model: nn.Module, x: Tensor, y: Tensor, loss: Loss) -> tuple[dict[str, Tensor], Tensor]:
    weights = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    def of_one(weights: dict[str, Tensor], row: Tensor, label: Tensor) -> Tensor:
        return loss(lambda inputs: functional_call(model, weights, (inputs,)), row[None], label[None])

    return vmap(grad_and_value(of_one), (None, 0, 0), randomness="different")(weights, x, y)
