"""What several labs' exercises share: models to try an attack on, watchers, and checks of balls, seeds and shapes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modelsec_course import data, evasion, models, runtime, zoo
from modelsec_course.lab.exercise import expect, expect_close


def flat(weight: Tensor, bias: Tensor) -> nn.Module:
    net = models.linear(weight.shape[1], len(weight))
    with torch.no_grad():
        net[1].weight.copy_(weight)
        net[1].bias.copy_(bias)
    return net.eval()


def linear_model(classes: int, seed: int = 0, size: int = 6, n: int = 48) -> tuple[nn.Module, Tensor, Tensor]:
    """A linear model, and inputs well inside [0, 1], neither on a boundary nor far away. An eighth is mislabelled."""
    draw = runtime.generator(seed)
    weight, bias = torch.randn(classes, size * size, generator=draw), torch.randn(classes, generator=draw) / 4
    model = flat(weight, bias - weight.sum(1) / 2)  # undecided about a grey picture
    x = 0.35 + 0.3 * torch.rand(40 * n, 1, size, size, generator=draw)
    y = model(x).argmax(1)
    nearest = class_distances(model, x, y).amin(1)
    some = ((nearest > 0.05) & (nearest < 0.3)).nonzero().flatten()[:n]
    x, y = x[some], y[some]
    y[::8] = (y[::8] + 1) % classes
    return model, x, y


def curved_model(n: int = 24) -> tuple[nn.Module, Tensor, Tensor]:
    """An untrained network, and pictures with pixels at 0 and at 1."""
    draw = runtime.generator(3)
    model = models.initialise(models.cnn(size=6, classes=4), draw).eval()
    x = (1.6 * torch.rand(n, 1, 6, 6, generator=draw) - 0.3).clamp(0, 1)
    return model, x, torch.arange(n) % 4


@functools.cache
def digits_model(n: int = 80) -> tuple[nn.Module, Tensor, Tensor]:
    """The lab's model on digits that it reads correctly."""
    digits, model = data.load("digits"), zoo.load("digits-cnn", device="cpu")
    right = model(digits.x_test).argmax(1) == digits.y_test
    return model, digits.x_test[right][:n], digits.y_test[right][:n]


def class_distances(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The closed form: L2 distance of each input to the boundary of each other class, (n, classes); 0 if beyond it."""
    weight, logits = model[1].weight.detach(), model(x).detach()
    gap = logits.gather(1, y[:, None]) - logits
    slope = (weight - weight[y][:, None]).norm(dim=2)  # (n, classes)
    return torch.where(slope > 0, gap / slope.clamp_min(1e-9), torch.inf).clamp_min(0)


def l2_length(x_adv: Tensor, x: Tensor) -> Tensor:
    return evasion.NORMS["l2"].length(x_adv - x).detach()


def still_right(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x).argmax(1) == y


# ------------------------------------------------------------------------------------------------------------ watchers


class Watched(nn.Module):
    """A model, or any function of a batch, that notes what it is asked: `asked`, the batches; `rows`, their rows."""

    def __init__(self, answer: Callable[[Tensor], Tensor]):
        super().__init__()
        self.answer, self.asked, self.rows = answer, [], 0
        self.training = getattr(answer, "training", False)

    def forward(self, x: Tensor) -> Tensor:
        self.asked.append(x.detach().clone())
        self.rows += len(x)
        return self.answer(x)


class WatchedAttack:
    """An attack that notes what it is given: `given`, one (model, x, y) for each call."""

    def __init__(self, attack: Callable[[Any, Tensor, Tensor], Tensor]):
        self.attack, self.given = attack, []

    def __call__(self, model: Any, x: Tensor, y: Tensor) -> Tensor:
        self.given.append((model, x.clone(), y.clone()))
        return self.attack(model, x, y)


# ------------------------------------------------------------------------------------------------------------ the ball


def expect_pixels(x: Tensor, what: str = "pixels") -> None:
    expect((x >= 0) & (x <= 1), f"{what} must stay in [0, 1], but they go from {x.min():.3g} to {x.max():.3g}")


def expect_inside(x_adv: Tensor, x: Tensor, eps: float, where: str = "") -> None:
    """`where`: what to say of other pictures than the result, like " that the model was asked about"."""
    gap = (x_adv - x).abs().max().item()
    expect(gap <= eps + 1e-6, f"with eps = {eps}, a pixel{where} changed by {gap:.4g}")
    expect_pixels(x_adv, f"pixels{where}")


def expect_asked_inside(model: Watched, x: Tensor, eps: float) -> None:
    """The way to the result counts too: every batch shaped like x that the model was asked about."""
    for at in model.asked:
        if at.shape == x.shape:
            expect_inside(at, x, eps, " that the model was asked about")


def stays_in_the_ball(attack: Callable[..., Tensor]) -> None:
    """Never leaves the ball of radius ε, nor [0, 1]"""
    model, x, y = curved_model()
    for eps in (0.03, 0.3):
        expect_inside(attack(model, x, y, eps), x, eps)


# ----------------------------------------------------------------------------------------------------- seeds and shapes


def expect_draws(draw: Callable[[torch.Generator], Tensor], what: str) -> None:
    """draw(generator): the same seed must give the same, another seed something else."""
    one, same, other = (draw(runtime.generator(seed)) for seed in (1, 1, 2))
    expect_close(same, one, 1e-6, f"{what} when the seed is the same")
    expect((one != other).any(), f"another seed gives the same for {what}: is every draw from `generator`?")


def argument(args: tuple, kwargs: dict, place: int, name: str) -> Any:
    """What a property passed to the learner's function, by position or by name."""
    return args[place] if place < len(args) else kwargs[name]


def expect_tensor(result: Any, shape: Sequence[int], what: str = "the result") -> None:
    expect(isinstance(result, Tensor), f"{what}: expected a tensor, got a {type(result).__name__}")
    got, want = tuple(result.shape), tuple(shape)
    expect(got == want, f"{what}: expected the shape {want}, got {got}")


def expect_tensors(result: Any, **shapes: Sequence[int]) -> None:
    """That a function returned several tensors, each by its name and its shape: x_adv=x.shape, spent=(len(x),)."""
    names = f"return {len(shapes)} tensors: {', '.join(shapes)}"
    expect(isinstance(result, tuple), f"{names}; got a {type(result).__name__}")
    expect(len(result) == len(shapes), f"{names}; got {len(result)}")
    for part, (name, shape) in zip(result, shapes.items(), strict=True):
        expect_tensor(part, shape, name)


def shaped_like_x(result: Any, args: tuple, kwargs: dict) -> None:
    """Every attack returns a tensor shaped like its input, its second parameter, and of its type."""
    x = argument(args, kwargs, 1, "x")
    expect_tensor(result, x.shape, "x_adv, shaped like x")
    expect(result.dtype == x.dtype, f"x_adv: return the dtype of x, {x.dtype}, not {result.dtype}")
    expect(not result.requires_grad, "the result still drags its gradient graph along: return it with .detach()")


def one_for_each_row(result: Any, args: tuple, kwargs: dict) -> None:
    """One number for each row of the first parameter."""
    expect_tensor(result, (len(argument(args, kwargs, 0, "features")),), "one number for each row")
