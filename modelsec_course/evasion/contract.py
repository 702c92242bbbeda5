"""What all evasion attacks have in common, so that the body of an attack is only its algorithm."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from modelsec_course import validation
from modelsec_course.evasion.losses import LOSSES
from modelsec_course.evasion.norms import NORMS
from modelsec_course.models import frozen

__all__ = ["attack"]

RULES: dict[str, Callable[[str, Any], None]] = {
    "eps": functools.partial(validation.number, low=0.0, hint="the radius of the ball, in the units of x"),
    "norm": functools.partial(validation.one_of, choices=NORMS),
    "loss": functools.partial(validation.one_of, choices=LOSSES),
    "steps": validation.count,
    "restarts": validation.count,
    "searches": validation.count,
    "candidates": validation.count,
    "targets": validation.count,
    "step_size": lambda name, value: value is None or validation.positive(name, value),
    "lr": validation.positive,
    "start": validation.positive,
    "shrink": functools.partial(validation.number, low=0.0, high=0.99),
    "overshoot": functools.partial(validation.number, low=0.0),
    "confidence": functools.partial(validation.number, low=0.0),
    "targeted": validation.flag,
    "random_start": validation.flag,
    "stop_early": validation.flag,
    "abort_early": validation.flag,
    "generator": validation.randomness,
    "spent": lambda name, value: value is None or validation.tensor(name, value),
}


def attack(
    body: Callable[..., Tensor] | None = None, *, parts: int = 1, **rules: Callable[[str, Any], None]
) -> Callable[..., Tensor]:
    """Decorator for `body(model, x, y, **options) -> x_adv`.

    model: any callable that returns logits (batch, classes).  x: float (batch, ...) in [0, 1].  y: int64 (batch,)
    true labels, or targets with `targeted=True`; everything on one device, where the result is too.
    Raises ValueError or TypeError for anything else, before the model is asked. The model is in eval mode with
    frozen parameters meanwhile, and as it was before afterwards, even after an exception. An empty batch gives an
    empty result; x is never written to; the result carries no gradient.
    parts: a body that needs many copies of its batch is given the batch in so many parts, one after the other.
    An option `spent` is filled in with what the body adds up in it: queries, int64 (batch,).
    rules: option=rule(name, value), in place of the one in RULES or beside it; a rule raises for a bad value.
    """
    if body is None:
        return functools.partial(attack, parts=parts, **rules)
    signature, rules = inspect.signature(body), RULES | rules
    unruly = list(set(list(signature.parameters)[3:]) - rules.keys())
    if list(signature.parameters)[:3] != ["model", "x", "y"] or unruly:
        raise TypeError(f"an attack is body(model, x, y, *, ...) and each option has a rule in RULES: add {unruly}")

    @functools.wraps(body)
    def wrapper(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, **options: Any) -> Tensor:
        chosen = signature.bind(model, x, y, **options)
        chosen.apply_defaults()
        for name, value in list(chosen.arguments.items())[3:]:
            rules[name](name, value)
        _check_inputs(model, x, y)
        if chosen.arguments.get("norm") == "linf" and chosen.arguments.get("eps", 0) > 1:
            eps = chosen.arguments["eps"]
            raise ValueError(f"eps={eps} is wider than the whole range [0, 1] of x: did you mean {eps}/255?")
        spent, count = options.get("spent"), {}
        if spent is not None and (spent.shape != y.shape or spent.dtype != y.dtype or spent.device != y.device):
            raise ValueError("spent must be like y, int64 (batch,) on the device of x: pass torch.zeros_like(y)")
        if not len(x):
            return x.detach().clone()
        with frozen(model), torch.inference_mode(False), torch.enable_grad():
            x, y = (t.clone() if t.is_inference() else t.detach() for t in (x, y))
            ask, size = _checked(model, y), -(-len(x) // parts)
            if "spent" in signature.parameters:
                count["spent"] = torch.zeros_like(y)
            done = [
                body(ask, _laid_out(some) if parts > 1 else some, labels, **options | count)
                for some, labels in zip(x.split(size), y.split(size), strict=True)
            ]
        if spent is not None:
            spent.copy_(count["spent"])
        return torch.cat(done).detach() if len(done) > 1 else done[0].detach()

    return wrapper


def _check_inputs(model: Any, x: Any, y: Any) -> None:
    validation.tensor("x", x)
    if x.dim() < 2:
        raise ValueError(f"x must have shape (batch, ...), but it has {tuple(x.shape)}: one input is x[None]")
    if len(x) and not x.numel():
        raise ValueError(f"x must hold at least one number for each input, but its shape is {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ValueError(f"x must be a float tensor in [0, 1], but it holds {x.dtype}: for bytes use x.float() / 255")
    validation.fits(model, x)
    validation.labels(y, x)
    if not len(x):
        return
    low, high = (bound.item() for bound in x.aminmax())
    if low != low or high != high:
        raise ValueError("x holds NaN: find out where it comes from before attacking")
    if low < 0 or high > 1:
        worst = f"minimum is {low:.4g}" if low < 0 else f"maximum is {high:.4g}"
        raise ValueError(
            f"x must lie in [0, 1], but its {worst}: put the normalisation inside the model (models.Normalize)"
        )


def _checked(model: Callable[[Tensor], Tensor], y: Tensor) -> Callable[[Tensor], Tensor]:
    """The model in the layout that convolutions like best, its answer checked once it is first asked."""
    highest = int(y.max())

    def ask(x: Tensor) -> Tensor:
        logits = model(_laid_out(x))
        if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(x):
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(f"model must return logits of shape ({len(x)}, classes), but it returned {got}")
        if not logits.is_floating_point():
            raise ValueError(f"model must return float logits, but they hold {logits.dtype}: labels become F.one_hot")
        if logits.shape[1] < 2:
            raise ValueError("model returned one logit: give it two, torch.cat([-z / 2, z / 2], 1) means the same")
        if highest >= logits.shape[1]:
            raise ValueError(f"y holds the label {highest}, but the model knows only 0 to {logits.shape[1] - 1}")
        return logits

    return ask


def _laid_out(x: Tensor) -> Tensor:
    """Pictures in channels_last, in which convolutions are fastest; a copy, unless x is in it already."""
    if (
        x.dim() == 4 and x.shape[1] == 1
    ):  # `contiguous` would leave the strides, with which convolutions are half as fast
        return x.flatten(1).view(len(x), *x.shape[2:], 1).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
