"""Expectation over transformation: the gradient that all photographs agree on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import curved_model, flat, shaped_like_x


def _curved() -> tuple[nn.Module, Tensor]:
    model, x, _ = curved_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)  # so that scenes disagree
    return model, x[:1]


def _scenes() -> list:
    """What may happen to a sticker; the second scene gives two photographs, as do the others."""
    return [
        lambda x: torch.cat([x, 0.5 * x]),
        lambda x: torch.cat([x.flip(3), 0.8 * x.flip(2) + 0.1]),
        lambda x: torch.cat([x.roll(2, 3), 0.3 * x + 0.6]),
    ]


def _of_one(model: nn.Module, x: Tensor, target: int, scene) -> Tensor:
    at = x.clone().requires_grad_()
    logits = model(scene(at))
    loss = F.cross_entropy(logits, torch.full((len(logits),), target))
    return torch.autograd.grad(loss, at)[0]


def _one_scene(eot_gradient):
    """With a single scene it is that scene's gradient"""
    model, x = _curved()
    for scene in _scenes():
        expect_close(eot_gradient(model, x, 2, [scene]), _of_one(model, x, 2, scene), 1e-5, "the gradient")


def _the_mean(eot_gradient):
    """With several it is the mean of their gradients"""
    model, x = _curved()
    want = torch.stack([_of_one(model, x, 1, scene) for scene in _scenes()]).mean(0)
    expect_close(eot_gradient(model, x, 1, _scenes()), want, 1e-5, "the gradient")


def _closed_form(eot_gradient):
    """On a linear model and scenes that dim the light: the closed form"""
    weight = torch.randn(3, 36, generator=runtime.generator(4))
    model, x = flat(weight, torch.zeros(3)), torch.rand(1, 1, 6, 6, generator=runtime.generator(5))
    gains, want = (0.2, 0.7, 1.0, 1.6), torch.zeros(36)
    for gain in gains:
        p = (gain * weight @ x.flatten()).softmax(0)
        want += gain * ((p - F.one_hot(torch.tensor(2), 3)) @ weight) / len(gains)
    scenes = [lambda at, gain=gain: gain * at for gain in gains]
    expect_close(eot_gradient(model, x, 2, scenes), want.view_as(x), 1e-5, "the gradient")


def _every_scene_counts(eot_gradient):
    """Every scene is asked once at least, and in any order the answer is the same"""
    model, x = _curved()
    asked = [0, 0, 0]

    def watched(k):
        def scene(at):
            asked[k] += 1
            return _scenes()[k](at)

        return scene

    one = eot_gradient(model, x, 3, [watched(k) for k in range(3)])
    expect(min(asked) >= 1, f"the three scenes were asked {asked} times: none may be left out")
    expect_close(
        eot_gradient(model, x, 3, _scenes()[::-1]), one, 1e-5, "with the scenes in another order, the gradient"
    )


def eot_gradient(model, sticker, target, scenes):
    at, loss = sticker.detach().clone().requires_grad_(), 0.0
    for scene in scenes:
        logits = model(scene(at))
        y = torch.full((len(logits),), target, device=logits.device)
        loss = loss + F.cross_entropy(logits, y) / len(scenes)
    return torch.autograd.grad(loss, at)[0]


def _eot_together(model, sticker, target, scenes):
    """Another form: all photographs in one batch, backwards through log-probabilities."""
    at = sticker.clone().requires_grad_()
    logp = model(torch.cat([scene(at) for scene in scenes])).log_softmax(1)
    (-logp[:, target].mean()).backward()
    return at.grad.detach()


def _eot_wrong(model, sticker, target, scenes, total=False, blended=False, likely=False, signs=False):
    if signs:
        return torch.stack([_of_one(model, sticker, target, scene).sign() for scene in scenes]).mean(0)
    at = sticker.clone().requires_grad_()
    pictures = [scene(at) for scene in scenes]
    if blended:
        pictures = [torch.stack(pictures).mean(0)]
    losses = torch.stack([F.cross_entropy(z, torch.full((len(z),), target)) for z in map(model, pictures)])
    loss = losses.sum() if total else losses.mean()
    if likely:
        loss = -torch.cat([model(x).softmax(1)[:, target] for x in pictures]).mean().log()
    return torch.autograd.grad(loss, at)[0]


EXERCISE = Exercise(
    "05.eot_gradient",
    title="The gradient that all photographs agree on",
    reference=eot_gradient,
    properties=[_one_scene, _the_mean, _closed_form, _every_scene_counts],
    hints=[
        "As for FGSM: `at = sticker.clone().requires_grad_()`. For each scene, `model(scene(at))` gives the logits of "
        "its photographs.",
        "`F.cross_entropy(logits, y)` with `y = torch.full((len(logits),), target, device=logits.device)`.",
        "Add up the scenes' losses, divide by `len(scenes)`, and take one `torch.autograd.grad(loss, at)`.",
    ],
    returns=shaped_like_x,
    second=_eot_together,
    mutants={
        "looks at the first scene only": lambda model, x, target, scenes: _of_one(model, x, target, scenes[0]),
        "adds the scenes up": lambda *given: _eot_wrong(*given, total=True),
        "shows the model the mean photograph": lambda *given: _eot_wrong(*given, blended=True),
        "takes the logarithm of the mean probability": lambda *given: _eot_wrong(*given, likely=True),
        "averages signs": lambda *given: _eot_wrong(*given, signs=True),
        "walks away from the target": lambda *given: -eot_gradient(*given),
    },
)
