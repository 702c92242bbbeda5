"""Climb a model's probability of a name among the pictures that a prior can draw."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from modelsec_course import inversion, models, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.lab_11_model_inversion.exercises.invert_class import line, log_probability
from modelsec_course.models import frozen


def _mixer(size: int = 6, seed: int = 4) -> Tensor:
    return torch.randn(size, 16, generator=runtime.generator(seed)) / 4


def _decode(basis: Tensor):
    return lambda z: (z @ basis).view(-1, 1, 4, 4) + 0.5


def _objective(model, basis: Tensor, y: Tensor, z: Tensor, weight: float) -> Tensor:
    return log_probability(model, _decode(basis)(z), y) - weight * z.square().sum(1)


def _optimum(model, basis: Tensor, y: Tensor, weight: float) -> Tensor:
    """The best codes, by Newton-like L-BFGS: the objective is concave for softmax regression."""
    z = torch.zeros(len(y), len(basis), requires_grad=True)
    solver = torch.optim.LBFGS([z], max_iter=300, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure():
        loss = -_objective(model, basis, y, z, weight).sum()
        (z.grad,) = torch.autograd.grad(loss, z)
        return loss

    solver.step(closure)
    return z.detach()


def _codes(x: Tensor, basis: Tensor) -> Tensor:
    return (torch.as_tensor(x).detach() - 0.5).flatten(1) @ torch.linalg.pinv(basis)


def _prior_optimum(invert):
    """On softmax regression, where there is one best code, finds it"""
    model, basis, y = line(), _mixer(), torch.arange(3)
    with frozen(model):
        for weight in (0.02, 0.2):
            best = _optimum(model, basis, y, weight)
            got = _codes(invert(model, y, _decode(basis), 6, steps=250, lr=0.1, weight=weight), basis)
            lost = _objective(model, basis, y, best, weight) - _objective(model, basis, y, got, weight)
            expect(
                lost < 0.01,
                f"with weight {weight}, J is {float(lost.max()):.3f} below the best: is the price weight times the sum "
                "of z², of a person's whole code? Or are the steps too slow? Adam gets there",
            )


def _prior_inside(invert):
    """Every picture is one that the prior can make"""
    net, basis = models.initialise(models.cnn(4, 1, 3), runtime.generator(5)).eval(), _mixer(3)
    got = torch.as_tensor(invert(net, torch.arange(3), _decode(basis), 3, steps=40)).detach()
    made = _decode(basis)(_codes(got, basis))
    expect_close(got, made, 1e-4, "the pictures, beside the nearest ones that decode(z) gives")


def _prior_weight(invert):
    """A heavier price keeps codes shorter; no price lets them run"""
    model, basis, y = line(), _mixer(), torch.arange(3)
    lengths = [
        float(_codes(invert(model, y, _decode(basis), 6, steps=100, weight=w), basis).norm(dim=1).mean())
        for w in (0.0, 0.02, 5.0)
    ]
    told = ", ".join(f"{length:.1f}" for length in lengths)
    expect(
        lengths[0] > lengths[1] > lengths[2],
        f"for weights 0, 0.02 and 5 codes have lengths {told}: is the price missing, or its sign wrong?",
    )
    expect(lengths[2] < 0.2, f"with weight 5 the codes still have length {lengths[2]:.2f}, expected nearly 0")


def _prior_alone(invert):
    """A person's picture does not depend on who else is asked about"""
    model, basis, y = line(), _mixer(), torch.tensor([2, 0, 1, 1])
    with frozen(model):
        together = _codes(invert(model, y, _decode(basis), 6, steps=150, weight=0.1), basis)
        each = [invert(model, y[i : i + 1], _decode(basis), 6, steps=150, weight=0.1) for i in range(4)]
        alone = torch.cat([_codes(picture, basis) for picture in each])
        both = [_objective(model, basis, y, z, 0.1) for z in (together, alone)]
    expect_close(both[0], both[1], 0.01, "J for four people at once, beside one at a time")


def _prior_start(invert):
    """Starts at z = 0, and takes the steps it is told to take"""
    model, basis, y, asked = line(), _mixer(), torch.arange(3), []

    def watched(z):
        asked.append(z.detach().clone())
        return _decode(basis)(z)

    few = _codes(invert(model, y, watched, 6, steps=1, lr=0.01), basis).norm(dim=1)
    expect(bool((asked[0] == 0).all()), "the first codes that were decoded are not 0: start at torch.zeros")
    many = _codes(invert(model, y, _decode(basis), 6, steps=40, lr=0.01), basis).norm(dim=1)
    long = _codes(invert(model, y, _decode(basis), 6, steps=1, lr=0.1), basis).norm(dim=1)
    expect(many > 3 * few, "40 steps go hardly farther than one: use `steps`")
    expect(long > 3 * few, "a step of lr=0.1 is hardly longer than one of lr=0.01: use `lr`")


def _prior_tidy(invert):
    """Leaves no gradients behind"""
    model, basis = line(), _mixer()
    got = invert(model, torch.arange(3), _decode(basis), 6, steps=3)
    expect(not got.requires_grad, "the result still has a gradient attached: use .detach()")
    left = "; ".join(getattr(invert, "left", []))
    expect(not left, f"the model is not as it was: {left}. `torch.autograd.grad` leaves nothing behind")


def invert_with_prior(model, y, decode, size, steps=150, lr=0.1, weight=0.003):
    prior = inversion.Prior(decode, (size,), spread=0.0, weight=weight, lr=lr)
    options = {"steps": steps, "restarts": 1, "shift": 0, "noise": 0.0, "progress": False}
    return inversion.invert_classes(model, y, prior, **options).x


def _prior_by_hand(
    model, y, decode, size, steps=150, lr=0.1, weight=0.003, *, price=1, sign=1, share=False, inside=True, tidy=True,
    spread=0.0, fixed=False,
):  # fmt: skip
    """Gradient steps with momentum."""
    steps, lr = (150, 0.1) if fixed else (steps, lr)
    z, speed = spread * torch.randn(1 if share else len(y), size, device=y.device), 0
    extra = torch.zeros(len(y), 1, 1, 1)
    for _ in range(steps):
        leaf, more = z.clone().requires_grad_(), extra.clone().requires_grad_()
        pictures = decode(leaf.expand(len(y), -1)) + (0 if inside else more)
        score = sign * log_probability(model, pictures, y).sum() - price * weight * leaf.square().sum()
        slopes = torch.autograd.grad(score, [leaf] if inside else [leaf, more])
        if not tidy:
            log_probability(model, pictures.detach(), y).sum().backward()
        rate = min(3.0 * lr, 0.4 / max(weight, 0.05))
        speed = 0.8 * speed + (0.2 if weight > 1 else 1.0) * slopes[0]
        z = z + rate * speed
        extra = extra if inside else extra + lr * slopes[1]
    return (decode(z.expand(len(y), -1)) + (0 if inside else extra)).detach()


EXERCISE = Exercise(
    "11.invert_with_prior",
    title="Climb inside a prior",
    reference=invert_with_prior,
    properties=[_prior_start, _prior_inside, _prior_weight, _prior_optimum, _prior_alone, _prior_tidy],
    hints=[
        "`z = torch.zeros(len(y), size, requires_grad=True)`, on y's device; `optimiser = torch.optim.Adam([z], lr)`.",
        "An optimiser descends, so its loss is −J, summed: `weight * z.square().sum() - log_p`, where log_p is "
        "`F.log_softmax(model(decode(z)), 1).gather(1, y[:, None]).sum()`.",
        "`(z.grad,) = torch.autograd.grad(loss, z)` leaves the model's own gradients alone; then `optimiser.step()`. "
        "At the end `decode(z).detach()`.",
    ],
    second=_prior_by_hand,
    mutants={
        "forgets the price": functools.partial(_prior_by_hand, price=0),
        "rewards unlikely codes": functools.partial(_prior_by_hand, price=-1),
        "walks downhill": functools.partial(_prior_by_hand, sign=-1),
        "one code for everybody": functools.partial(_prior_by_hand, share=True),
        "moves the pixels as well": functools.partial(_prior_by_hand, inside=False),
        "leaves gradients on the model": functools.partial(_prior_by_hand, tidy=False),
        "starts at random codes": functools.partial(_prior_by_hand, spread=1.0),
        "ignores steps and lr": functools.partial(_prior_by_hand, fixed=True),
    },
)
