"""One step of adversarial training: attack the batch, then move the weights down the loss of what was found."""

from __future__ import annotations

import copy
import functools
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import evasion, models, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import Watched, digits_model, expect_asked_inside
from modelsec_course.labs.lab_04_training_and_proving.exercises.shared import toy_batch


def _network() -> nn.Module:
    return models.initialise(models.cnn(6, 1, 3), runtime.generator(0))


def _plane() -> tuple[nn.Module, Tensor, Tensor]:
    net = models.initialise(models.linear(36, 2), runtime.generator(0))
    return net, toy_batch(), torch.arange(12) % 2


def _worst_loss(net: nn.Module, x: Tensor, y: Tensor, eps: float) -> Tensor:
    """The closed form on two classes in front of a plane: mean of log(1 + exp(ε‖w‖₁ − margin))."""
    logits, weight = net(x), net[1].weight
    margin = (logits.gather(1, y[:, None]) - logits.gather(1, 1 - y[:, None])).squeeze(1)
    return F.softplus(eps * (weight[0] - weight[1]).abs().sum() - margin).mean()


def _closed_form_loss(step):
    """On a linear model: returns the closed form, log(1 + exp(ε‖w‖₁ − margin))"""
    for eps in (0.02, 0.1):
        net, x, y = _plane()
        want = _worst_loss(net, x, y, eps)
        got = step(net, torch.optim.SGD(net.parameters(), lr=0.1), x, y, eps, 20)
        expect_close(got, want, 1e-4, f"the loss at eps = {eps}")


def _weights_follow(step, eps: float, rounds: int, what: str) -> None:
    net, x, y = _plane()
    twin = copy.deepcopy(net)
    optimiser, other = (torch.optim.SGD(n.parameters(), lr=0.5) for n in (net, twin))
    for _ in range(rounds):
        step(net, optimiser, x, y, eps, 20)
        other.zero_grad()
        _worst_loss(twin, x, y, eps).backward()
        other.step()
    expect_close(net[1].weight, twin[1].weight, 1e-4, what)


def _moves_the_weights(step):
    """One step moves the weights down the gradient of that loss"""
    _weights_follow(step, 0.05, 1, "the weights after one step")


def _second_step(step):
    """A second step forgets the gradient of the first"""
    _weights_follow(step, 0.05, 2, "the weights after two steps")


def _plain_step(step):
    """ε = 0 is an ordinary training step"""
    net, x, y = _network(), toy_batch(), torch.arange(12) % 3
    twin = copy.deepcopy(net)
    got = step(net, torch.optim.SGD(net.parameters(), lr=0.1), x, y, 0.0, 3)
    loss = F.cross_entropy(twin(x), y)
    loss.backward()
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    expect_close(got, loss, 1e-5, "the loss at eps = 0")
    for (name, ours), theirs in zip(net.named_parameters(), twin.parameters(), strict=True):
        expect_close(ours, theirs, 1e-5, name)


def _stays_in_the_ball(step):
    """Never shows the model a picture farther than ε from x, nor one outside [0, 1]"""
    net, x = Watched(_network()), torch.rand(8, 1, 6, 6, generator=runtime.generator(2)).round()  # black and white
    step(net, torch.optim.SGD(net.parameters(), lr=0.1), x, torch.arange(8) % 3, 0.1, 5)
    expect_asked_inside(net, x, 0.1)


def _hard_examples(step):
    """On the digits: the loss is close to what PGD reaches, far above the clean one"""
    net, x, y = digits_model(48)
    net = copy.deepcopy(net)
    with torch.no_grad():
        reached = F.cross_entropy(net(evasion.pgd(net, x, y, eps=0.1, steps=7, stop_early=False)), y).item()
        clean = F.cross_entropy(net(x), y).item()
    got = float(step(net, torch.optim.SGD(net.parameters(), lr=0.0), x, y, 0.1, 7))
    message = f"the loss is {got:.3f}, PGD reaches {reached:.3f} and clean pictures {clean:.3f}"
    expect(got > 0.7 * reached, f"{message}: does the attack climb on after an input has fallen?")


def _steps_reach_the_attack(step):
    """Each of the attack's steps asks the model: six steps more, at least six calls more"""
    calls = []
    for steps in (3, 9):
        net = Watched(_network())
        step(net, torch.optim.SGD(net.parameters(), lr=0.1), toy_batch(), torch.arange(12) % 3, 0.1, steps)
        calls.append(len(net.asked))
    few, many = calls
    expect(many >= few + 6, f"it is called {few} times with steps=3, {many} times with steps=9: is `steps` handed on?")


def _a_number(result, args, kwargs) -> None:
    expect(isinstance(result, Real), f"return the loss as a number, like `loss.item()`: got a {type(result).__name__}")


def adversarial_training_step(model, optimiser, x, y, eps, steps=7):
    x_adv = evasion.pgd(model, x, y, eps=eps, steps=steps, stop_early=False)
    optimiser.zero_grad()
    loss = F.cross_entropy(model(x_adv), y)
    loss.backward()
    optimiser.step()
    return loss.item()


def _step_by_hand(model, optimiser, x, y, eps, steps=7):
    low, high = (x - eps).clamp(min=0), (x + eps).clamp(max=1)
    x_adv = x.clone()
    for _ in range(steps):
        x_adv.requires_grad_()
        (up,) = torch.autograd.grad(F.nll_loss(model(x_adv).log_softmax(1), y, reduction="sum"), x_adv)
        x_adv = torch.minimum(torch.maximum(x_adv.detach() + eps / 3 * up.sign(), low), high)
    parameters = list(model.parameters())
    loss = F.cross_entropy(model(x_adv), y)
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimiser.step()
    return loss.item()


def _step_with(attack, model, optimiser, x, y, eps, steps=7, *, number=True):
    x_adv = attack(model, x, y, eps=eps, steps=steps)
    optimiser.zero_grad()
    loss = F.cross_entropy(model(x_adv), y)
    loss.backward()
    optimiser.step()
    return loss.item() if number else loss.detach()


_WORST = functools.partial(evasion.pgd, stop_early=False)


def _step_wrong(
    model, optimiser, x, y, eps, steps=7, *, attacked=True, up=1, zero=True, moves=True, clean=0.0, clamp=True
):
    x_adv = x.clone()
    for _ in range(steps if attacked else 0):
        at = x_adv.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(at), y), at)
        x_adv = x + (x_adv + up * eps / 3 * gradient.sign() - x).clamp(-eps, eps)
        x_adv = x_adv.clamp(0, 1) if clamp else x_adv
    if zero:
        optimiser.zero_grad()
    loss = (1 - clean) * F.cross_entropy(model(x_adv), y) + (clean * F.cross_entropy(model(x), y) if clean else 0)
    loss.backward()
    if moves:
        optimiser.step()
    return loss.item()


def _step_leaking(model, optimiser, x, y, eps, steps=7):
    """The attack's backward() fills the weights' gradients, and nobody empties them."""
    optimiser.zero_grad()
    x_adv = x.clone()
    for _ in range(steps):
        at = x_adv.clone().requires_grad_()
        F.cross_entropy(model(at), y).backward()
        x_adv = (x + (x_adv + eps / 3 * at.grad.sign() - x).clamp(-eps, eps)).clamp(0, 1)
    loss = F.cross_entropy(model(x_adv), y)
    loss.backward()
    optimiser.step()
    return loss.item()


EXERCISE = Exercise(
    "04.adversarial_training_step",
    title="One step of adversarial training",
    reference=adversarial_training_step,
    properties=[
        _closed_form_loss, _moves_the_weights, _second_step, _plain_step, _stays_in_the_ball, _hard_examples,
        _steps_reach_the_attack,
    ],
    hints=[
        "Two problems, one inside the other: first find the x_adv that is worst for the weights as they are, then move "
        "the weights down the loss at x_adv.",
        "The library attacks: `evasion.pgd(model, x, y, eps=eps, steps=steps, stop_early=False)`. It leaves no "
        "gradient behind. An attack of your own may: empty them **after** it.",
        "```python\nx_adv = …\noptimiser.zero_grad()\nloss = F.cross_entropy(model(x_adv), y)\nloss.backward()\n"
        "optimiser.step()\nreturn loss.item()\n```",
    ],
    returns=_a_number,
    mutates=("model", "optimiser"),
    second=_step_by_hand,
    mutants={
        "trains on the clean batch": functools.partial(_step_wrong, attacked=False),
        "attacks down the loss": functools.partial(_step_wrong, up=-1),
        "never empties the gradients": functools.partial(_step_wrong, zero=False),
        "lets the attack's gradients into the weights": _step_leaking,
        "never moves the weights": functools.partial(_step_wrong, moves=False),
        "trains on the mean of clean and attacked": functools.partial(_step_wrong, clean=0.5),
        "forgets that pixels end at 0 and 1": functools.partial(_step_wrong, clamp=False),
        "one step of FGSM, whatever `steps` says": functools.partial(
            _step_with, lambda model, x, y, eps, steps: evasion.fgsm(model, x, y, eps=eps)
        ),
        "always takes PGD's 40 steps": functools.partial(
            _step_with, lambda model, x, y, eps, steps: _WORST(model, x, y, eps=eps)
        ),
        "leaves an input alone once it has fallen": functools.partial(_step_with, evasion.pgd),
        "returns a tensor": functools.partial(_step_with, _WORST, number=False),
    },
)  # fmt: skip
