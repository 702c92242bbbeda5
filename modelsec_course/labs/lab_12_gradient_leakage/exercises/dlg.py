"""Deep leakage from gradients: find pictures whose gradient matches, with L-BFGS."""

from __future__ import annotations

import functools

import numpy as np
import scipy.optimize
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import inversion, models, runtime
from modelsec_course.lab.exercise import Exercise, expect


@functools.cache
def _problem(batch: int, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
    """A small network with tanh; pictures, their labels, a start, and the gradient that was sent."""
    draw = runtime.generator(seed)
    net = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 6, 3, 2, 1), nn.Tanh(), nn.Flatten())
    net = models.initialise(net.append(nn.Linear(24, 4)), draw).eval()
    x, start = torch.rand(2, batch, 1, 4, 4, generator=draw)
    y = torch.randperm(4, generator=draw)[:batch]
    return net, x, y, start, inversion.batch_gradient(net, x, y)


def _dlg_one(dlg):
    """Finds the picture, from three different starts"""
    for seed in range(3):
        net, x, y, start, sent = _problem(1, seed)
        _expect_found(_searched(dlg, net, sent, start, y, 100), x, start, 1e-7)


def _dlg_two(dlg):
    """Finds both pictures of a batch of two"""
    net, x, y, start, sent = _problem(2, 4)
    hint = "; in a batch the gradient that was sent is that of the MEAN cross-entropy"
    _expect_found(_searched(dlg, net, sent, start, y, 150), x, start, 1e-3, hint)


def _dlg_follows(dlg):
    """Follows the gradient: with another picture's, it finds that one"""
    net, _, y, start, _ = _problem(1, 5)
    other = torch.rand(start.shape, generator=runtime.generator(9))
    found = _searched(dlg, net, inversion.batch_gradient(net, other, y), start, y, 100)
    _expect_found(found, other, start, 1e-7)


def _dlg_steps(dlg):
    """Takes as many steps as it is told: `steps` iterations, not rounds of twenty"""
    net, _, y, start, sent = _problem(2, 4)
    calls = []
    hook = net.register_forward_hook(lambda *_: calls.append(1))
    try:
        _searched(dlg, net, sent, start, y, 4)
    finally:
        hook.remove()
    expect(len(calls) <= 24, f"told to take 4 steps, it computed the model {len(calls)} times. One call of "
                             "LBFGS(...).step does max_iter iterations: call it once, with max_iter=steps")  # fmt: skip


def _searched(dlg, net, sent, start: Tensor, y: Tensor, steps: int):
    try:
        return dlg(net, sent, start.clone(), y, steps)
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        raise AssertionError(
            "the loss is made of a gradient, and that gradient has no graph: compute it with create_graph=True, for "
            "a start with requires_grad_()"
        ) from error


def _expect_found(found, x: Tensor, start: Tensor, bound: float, hint: str = "") -> None:
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    expect(isinstance(found, Tensor) and found.shape == x.shape, f"expected a tensor {tuple(x.shape)}, got {shape}")
    expect(not found.requires_grad, "the result still drags its gradient graph along: return it with .detach()")
    expect(found.isfinite().all(), "the result holds infinity or NaN: let the optimiser choose its step (strong_wolfe)")
    error, before = (inversion.mse(z, x).max().item() for z in (found, start))
    if bound <= error < 100 * bound:
        hint += (
            "; so near, the search stopped too early: a MEAN of squares over all weights is far smaller than their "
            "SUM, and the optimiser's tolerances take it for 0"
        )
    expect(error < bound, f"mean squared error to the true picture {error:.2g}, expected below {bound:g}; "
                          f"the random start had {before:.2g}{hint}")  # fmt: skip


def dlg(model, gradient, start, y, steps):
    """The library's search takes its own starts, so this is DLG as its authors wrote it."""
    return _dlg_by(_gradient_gap, model, gradient, start, y, steps)


def _gradient_gap(model, x, y, sent):
    own = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()), create_graph=True)
    return sum((a - b).square().sum() for a, b in zip(own, sent, strict=True))


def _dlg_by(gap, model, gradient, start, y, steps):
    x = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [x], max_iter=steps, history_size=20, tolerance_grad=1e-9, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure():
        loss = gap(model, x, y, gradient)
        (x.grad,) = torch.autograd.grad(loss, x)
        return loss

    optimiser.step(closure)
    return x.detach()


def _dlg_scipy(model, gradient, start, y, steps):
    """SciPy's L-BFGS-B, in float64."""

    def value(flat):
        x = torch.from_numpy(flat).to(start).view_as(start).requires_grad_()
        loss = 1e3 * _gradient_gap(model, x, y, gradient)
        (slope,) = torch.autograd.grad(loss, x)
        return loss.item(), slope.double().flatten().numpy()

    options = {"maxiter": 2 * steps, "maxfun": 6 * steps, "ftol": 1e-14, "gtol": 1e-8}
    found = scipy.optimize.minimize(value, start.double().numpy().ravel(), jac=True, method="L-BFGS-B", options=options)
    return torch.from_numpy(np.asarray(found.x)).to(start).view_as(start)


def _rounds_of_twenty(model, gradient, start, y, steps):
    for _ in range(steps):
        start = dlg(model, gradient, start, y, 20)
    return start


def _adam(model, gradient, start, y, steps):
    x = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.1)
    for _ in range(steps):
        (x.grad,) = torch.autograd.grad(_gradient_gap(model, x, y, gradient), x)
        optimiser.step()
    return x.detach()


def _no_graph(model, x, y, sent):
    own = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
    return sum((a - b).square().sum() for a, b in zip(own, sent, strict=True))


def _of_the_sum(model, x, y, sent):
    return _gradient_gap(model, x, y, [part / len(y) for part in sent])


def _in_place(model, gradient, start, y, steps):
    found = dlg(model, gradient, start, y, steps)
    start.copy_(found)
    return found


EXERCISE = Exercise(
    "12.dlg",
    title="Match the gradient",
    reference=dlg,
    properties=[_dlg_one, _dlg_two, _dlg_follows, _dlg_steps],
    hints=[
        "`x = start.clone().requires_grad_()` is what you optimise. Its loss is how far its own gradient is from the "
        "one that was sent. The gradient of a gradient needs `create_graph=True`.",
        "`own = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()), create_graph=True)`; then "
        "add up `(a - b).square().sum()` over the pairs of `own` and `gradient`.",
        "`torch.optim.LBFGS([x], max_iter=steps, history_size=20, tolerance_grad=1e-9, tolerance_change=1e-14, "
        'line_search_fn="strong_wolfe").step(closure)`. The closure puts `torch.autograd.grad(loss, x)[0]` into '
        "`x.grad` and returns the loss.",
    ],
    second=_dlg_scipy,
    mutants={
        "returns the start": lambda model, gradient, start, y, steps: start.clone(),
        "minimises the model's own loss": lambda model, gradient, start, y, steps: _dlg_by(
            lambda model, x, y, sent: F.cross_entropy(model(x), y), model, gradient, start, y, steps
        ),
        "matches the last bias only": lambda model, gradient, start, y, steps: _dlg_by(
            lambda model, x, y, sent: (
                torch.autograd.grad(F.cross_entropy(model(x), y), [model[-1].bias], create_graph=True)[0] - sent[-1]
            ).square().sum(),
            model, gradient, start, y, steps,
        ),
        "matches the gradient's length only": lambda model, gradient, start, y, steps: _dlg_by(
            lambda model, x, y, sent: (
                _gradient_gap(model, x, y, [torch.zeros_like(s) for s in sent]) - sum(s.square().sum() for s in sent)
            ).square(),
            model, gradient, start, y, steps,
        ),
        "matches minus the gradient": lambda model, gradient, start, y, steps: dlg(
            model, [-part for part in gradient], start, y, steps
        ),
        "takes the wrong label": lambda model, gradient, start, y, steps: dlg(
            model, gradient, start, (y + 1) % 4, steps
        ),
        "takes the gradient of the sum": functools.partial(_dlg_by, _of_the_sum),
        "forgets create_graph": functools.partial(_dlg_by, _no_graph),
        "Adam, which is not exact in so few steps": _adam,
        "rounds of twenty iterations": _rounds_of_twenty,
        "gives up after five steps": lambda model, gradient, start, y, steps: dlg(model, gradient, start, y, 5),
        "writes into the caller's start": _in_place,
        "keeps the graph": lambda model, gradient, start, y, steps: dlg(
            model, gradient, start, y, steps
        ).requires_grad_(),
    },
)  # fmt: skip
