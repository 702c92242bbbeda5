"""The learner's function as the properties see it: each call is checked for what goes wrong silently.

An input changed in place, a missing `return`, NaN: said at once and by name, and undone, so that a mistake
in one property does not spill into the next.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from modelsec_course.lab.binding import by_position, names, renames
from modelsec_course.lab.exercise import Exercise
from modelsec_course.lab.expect import place
from modelsec_course.lab.sandbox import SHIELD


class Guarded:
    """`f`, watched. `last` is what it returned most recently, `left` what was put back silently."""

    def __init__(self, f: Callable, exercise: Exercise):
        functools.update_wrapper(self, f, updated=())
        self.f, self.exercise, self.last = f, exercise, None
        self.call = by_position(f, exercise.reference)
        self.left: list[str] = []

    def __call__(self, *args, **kwargs):
        self.last = None
        kept = [
            keeper(name, value)
            for name, value in self._watched(args, kwargs)
            for kind, keeper in ((torch.Tensor, _Tensor), (np.ndarray, _Array), (nn.Module, _Module))
            if isinstance(value, kind)
        ]
        try:
            result = enter(self.call, args, kwargs)
        finally:
            with SHIELD:
                self.left = [trace for keeper in kept if isinstance(keeper, _Module) for trace in keeper.traces()]
                complaints = [complaint for keeper in kept for complaint in keeper.restore()]
        if complaints:
            raise AssertionError(complaints[0])
        self.last = result
        _check_result(result, finite=self.exercise.finite)
        if self.exercise.returns is not None:
            self.exercise.returns(result, args, kwargs)
        return result

    def _watched(self, args: tuple, kwargs: dict) -> Iterator[tuple[str, Any]]:
        """Every value inside what may only be read, named as the learner named it: x, batch["x"], images[0]."""
        ours, theirs, new = names(self.exercise.reference), names(self.f), renames(self.f, self.exercise.reference)
        places = [f"argument {i}" for i in range(1, len(args) + 1)]
        passed = [
            *zip(ours + places[len(ours) :], theirs + places[len(theirs) :], args, strict=False),
            *((name, new.get(name, name), value) for name, value in kwargs.items()),
        ]
        for our, their, value in passed:
            if our not in self.exercise.mutates:
                yield from _walk(their, value)


def enter(f: Callable, args: tuple, kwargs: dict) -> Any:
    """The call itself: in a traceback, what comes after this frame is the learner's."""
    return f(*args, **kwargs)


def _check_result(result: Any, *, finite: bool) -> None:
    if result is None:
        raise AssertionError("your function returned None: is the `return` missing?")
    if not finite:
        return
    for name, value in _walk("", result):
        value = torch.as_tensor(value) if isinstance(value, float | complex | np.floating | np.ndarray) and (
            not isinstance(value, np.ndarray) or value.dtype.kind in "fc"
        ) else value  # fmt: skip
        if not isinstance(value, torch.Tensor) or not (value.is_floating_point() or value.is_complex()):
            continue
        for word, bad in (("NaN", value.isnan()), ("infinity", value.isinf())):
            if bad.any():
                first = place(int(bad.flatten().int().argmax()), bad.shape)
                many = f" in {int(bad.sum())} of {bad.numel()} values (first at {first})" if bad.ndim else ""
                raise AssertionError(
                    f"your function returned {word}{many}" + (f", in its result{name}" if name else "")
                )


def _walk(name: str, value: Any, depth: int = 6) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list | tuple) and depth:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            yield from _walk(f"{name}[{key!r}]", item, depth - 1)
    else:
        yield name, value


class _Tensor:
    """Remembers a tensor's values and its gradient switches."""

    remedy = "work on a copy ({name}.clone())"

    def __init__(self, name: str, value: torch.Tensor):
        self.name, self.value = name, value
        self.shape, self.was = value.shape, value.detach().clone()
        self.leaf, self.requires_grad = value.is_leaf, value.requires_grad
        self.grad = value.grad if value.is_leaf else None

    def restore(self) -> Iterator[str]:
        switched = False
        if self.leaf and self.value.is_leaf:
            switched = self.value.requires_grad != self.requires_grad or self.value.grad is not self.grad
            self.value.requires_grad_(self.requires_grad)
            self.value.grad = self.grad
        now = self.value.detach()
        if now.shape != self.shape or not _same(now, self.was):
            self.put_back()
            yield f"your function changed its input `{self.name}` in place: {self.remedy.format(name=self.name)}"
        elif switched:
            yield (
                f"your function left a gradient on its input `{self.name}`, which later cells would trip over: ask a "
                f"copy for the gradient ({self.name}.clone().requires_grad_())"
            )

    def put_back(self) -> None:
        self.value.data = self.was


class _Array(_Tensor):
    remedy = "work on a copy ({name}.copy())"

    def __init__(self, name: str, value: np.ndarray):
        self.name, self.value, self.was = name, value, value.copy()

    def restore(self) -> Iterator[str]:
        same = self.value.shape == self.was.shape and _same_array(self.value, self.was)
        if not same:
            if self.value.shape == self.was.shape and self.value.flags.writeable:
                self.value[...] = self.was
            yield f"your function changed its input `{self.name}` in place: {self.remedy.format(name=self.name)}"


class _Module:
    """Remembers a model: its mode and gradient switches are put back silently, a changed value is reported too."""

    def __init__(self, name: str, model: nn.Module):
        self.name, self.model = name, model
        self.modes = [(module, module.training) for module in model.modules()]
        self.switches = [(p, p.requires_grad, p.grad) for p in model.parameters()]
        self.values = {k: (v, v.detach().clone()) for k, v in _state(model)}

    def traces(self) -> Iterator[str]:
        """What was left on the model besides values, in words."""
        if any(module.training != mode for module, mode in self.modes):
            yield "its training or evaluation mode was changed"
        if any(p.requires_grad != before for p, before, _ in self.switches):
            yield "a parameter's requires_grad was switched"
        if any(p.grad is not grad for p, _, grad in self.switches):
            yield "a gradient was left in a parameter's .grad"

    def restore(self) -> Iterator[str]:
        trained = {id(module) for module, mode in self.modes if module.training and not mode}
        for module, mode in self.modes:
            module.training = mode
        for parameter, requires_grad, grad in self.switches:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        changed = [key for key, (value, was) in self.values.items() if not _same(value.detach(), was)]
        for key in changed:
            self.values[key][0].data.copy_(self.values[key][1])
        if changed:
            why = ": it left the model in training mode, so call `.eval()` first" if trained else ""
            yield f"your function changed `{changed[0]}` of its input `{self.name}`, which it may only read{why}"


def _state(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _same(now: torch.Tensor, was: torch.Tensor) -> bool:
    return torch.equal(now, was) or bool(((now == was) | ((now != now) & (was != was))).all())


def _same_array(now: np.ndarray, was: np.ndarray) -> bool:
    return bool(((now == was) | ((now != now) & (was != was))).all())
