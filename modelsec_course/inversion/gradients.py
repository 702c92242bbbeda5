"""What a gradient says in closed form: the input of a linear layer, and the labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import validation
from modelsec_course.models import frozen

__all__ = ["batch_gradient", "invert_linear", "label_counts", "label_from_gradient", "row_inputs", "shared_rows"]


def batch_gradient(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """What a participant sends: the gradient of the mean cross-entropy, one tensor for each parameter of `model`.

    x: (batch, ...) inputs.  y: (batch,) int64 labels. The model is in eval mode meanwhile and is not changed.
    """
    validation.module("model", model)
    validation.tensor("x", x)
    if not len(x):
        raise ValueError("x must hold at least one input: an empty batch has no gradient")
    validation.labels(y, x)
    validation.fits(model, x)
    with frozen(model):
        weights = [weight.detach().requires_grad_() for weight in model.parameters()]
        named = dict(zip((name for name, _ in model.named_parameters()), weights, strict=True))
        loss = F.cross_entropy(torch.func.functional_call(model, named, (x,)), y)
        return torch.autograd.grad(loss, weights)


def row_inputs(weight_gradient: Tensor, bias_gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Each unit's quotient (∂L/∂W)ᵢ / (∂L/∂b)ᵢ, (units, features), and the units it is of, (units,).

    A unit's quotient is Σ gₖxₖ / Σ gₖ over the batch: with one input it is that input, whatever the unit. With more it
    is a mixture, unless the unit was active for one of them only. Units whose ∂L/∂b is 0, such as ReLU's dead ones, say
    nothing and are left out. The others come in order of |∂L/∂b|, the largest, and so the most exact, first.
    weight_gradient: (out, features), bias_gradient: (out,) of the layer that sees the input.
    Source: Phong, Aono, Hayashi, Wang & Moriai, 2018, "Privacy-Preserving Deep Learning via Additively Homomorphic
    Encryption".
    """
    _layer(weight_gradient, bias_gradient)
    order = bias_gradient.abs().argsort(descending=True, stable=True)
    units = order[bias_gradient[order] != 0]
    return weight_gradient[units] / bias_gradient[units, None], units


def invert_linear(weight_gradient: Tensor, bias_gradient: Tensor) -> Tensor:
    """The one input (features,) of a linear layer with bias, exactly: the quotient of the unit with largest |∂L/∂b|.

    weight_gradient: (out, features).  bias_gradient: (out,). Of more than one input it is a mixture: see `row_inputs`.
    Raises ValueError if every bias gradient is 0: then the batch left no trace in this layer.
    """
    quotients, units = row_inputs(weight_gradient, bias_gradient)
    if not len(units):
        raise ValueError("bias_gradient is 0 in every row, so this layer says nothing of its input: try another layer")
    return quotients[0]


def shared_rows(quotients: Tensor, tolerance: float = 1e-5) -> Tensor:
    """The inputs that at least two units agree on, (found, features): those that some units saw alone.

    quotients: (units, features) from `row_inputs`.  tolerance: the largest difference of two that agree. A mixture has
    weights of its own in each unit, so the attacker tells inputs from mixtures without the truth. By chance two
    mixtures of the same two inputs may agree as well: with a wide layer and a batch of two that does happen.
    """
    validation.tensor("quotients", quotients)
    validation.positive("tolerance", tolerance)
    alike = torch.cdist(quotients, quotients, p=torch.inf) <= tolerance
    repeats = alike.tril(-1).any(1)
    return quotients[~repeats & (alike.sum(1) > 1)]


def label_from_gradient(gradient: Tensor) -> int:
    """The label of a single example, exactly, from the last layer's gradient: of its bias, or of its weight.

    gradient: (classes,) ∂L/∂b = p − onehot(y), in which the label's entry is the only negative one; or (classes,
    features) ∂L/∂W, whose rows are those numbers times the features: the label's row is the longest, being minus the
    sum of all others. Raises ValueError for a weight gradient of two classes, whose rows are equally long.
    Source: Zhao, Mopuri & Bilen, 2020, "iDLG: Improved Deep Leakage from Gradients".
    """
    validation.tensor("gradient", gradient)
    if gradient.dim() == 1:
        return int(gradient.argmin())
    if gradient.dim() != 2:
        raise ValueError(
            f"gradient must be (classes,) or (classes, features), but its shape is {tuple(gradient.shape)}"
        )
    if len(gradient) < 3:
        raise ValueError("the two rows of a weight gradient of two classes are equally long: use the bias's gradient")
    return int(gradient.norm(dim=1).argmax())


def label_counts(bias_gradient: Tensor, batch: int, probabilities: Tensor | None = None) -> Tensor:
    """How many examples of a batch had each label: int64 (classes,), which add up to `batch`.

    ∂L/∂b = mean p − counts / batch, so counts = batch · (mean p − ∂L/∂b), rounded. It is exact when every entry of
    `probabilities` is within 1 / (2 · batch) of the batch's mean p. bias_gradient: (classes,) of the last layer.
    probabilities: (classes,) what the model says on average (default: all alike, as an untrained one does). A
    trained one's mean follows the batch's own labels, so a mean over public data helps little. Whatever they are, a
    class whose entry is negative is surely there.
    Source: Wainakh et al., 2022, "User-Level Label Leakage from Gradients in Federated Learning".
    """
    validation.tensor("bias_gradient", bias_gradient)
    validation.count("batch", batch)
    if bias_gradient.dim() != 1 or len(bias_gradient) < 2:
        raise ValueError(f"bias_gradient must have shape (classes,), but it has {tuple(bias_gradient.shape)}")
    mean = torch.full_like(bias_gradient, 1 / len(bias_gradient)) if probabilities is None else probabilities
    if mean.shape != bias_gradient.shape:
        raise ValueError(f"probabilities must have shape {tuple(bias_gradient.shape)}, but it has {tuple(mean.shape)}")
    share = (batch * (mean - bias_gradient)).clamp_min(0)
    share = share * (batch / share.sum())
    counts = share.floor()
    short = batch - int(counts.sum())
    counts[(share - counts).argsort(descending=True)[:short]] += 1  # the largest remainders make up what is missing
    return counts.long()


def _layer(weight_gradient: Tensor, bias_gradient: Tensor) -> None:
    validation.tensor("weight_gradient", weight_gradient)
    validation.tensor("bias_gradient", bias_gradient)
    if weight_gradient.dim() != 2 or bias_gradient.shape != weight_gradient.shape[:1]:
        shapes = f"{tuple(weight_gradient.shape)} and {tuple(bias_gradient.shape)}"
        raise ValueError(
            f"the gradients must be (out, features) and (out,), of one linear layer, but they are {shapes}"
        )
