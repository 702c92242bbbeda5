"""Lab 04: adversarial training, TRADES, interval bounds and randomised smoothing."""

from __future__ import annotations

import copy
import functools
from numbers import Real

import torch
import torch.nn.functional as F
from scipy.stats import beta as beta_distribution
from scipy.stats import norm
from torch import Tensor, nn

from modelsec_course import evasion, models, robustness, runtime
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close
from modelsec_course.lab.exercises.common import digits_model

LAB = Lab(
    number="04",
    title="Training and proving robustness",
    question="What can be bought, what can be proved?",
    minutes=90,
    difficulty=4,
    prerequisites=("Lab 01", "Lab 03 for targeted Auto-PGD, which is used here", "how PyTorch trains a network"),
    outcomes=(
        "train a network against the attack that it will meet, and say what that costs",
        "prove, for a whole ball of inputs, that no attack exists",
        "read a probabilistic certificate: its radius, its norm, its odds of being wrong",
        "put attacks and proofs on one axis, and trust neither alone",
    ),
    seconds=40,
    part="Integrity at test time",
    stage="model",
)


def _batch(n: int = 12, size: int = 6, seed: int = 1) -> Tensor:
    """Pictures so far inside [0, 1] that small balls do not feel its edges."""
    return 0.3 + 0.4 * torch.rand(n, 1, size, size, generator=runtime.generator(seed))


# --------------------------------------------------------------------------------------- 04.adversarial_training_step


def _plane() -> tuple[nn.Module, Tensor, Tensor]:
    net = models.initialise(models.linear(36, 2), runtime.generator(0))
    return net, _batch(), torch.arange(12) % 2


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
    net, x, y = models.initialise(models.cnn(6, 1, 3), runtime.generator(0)), _batch(), torch.arange(12) % 3
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
    seen: list[Tensor] = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = models.initialise(models.cnn(6, 1, 3), runtime.generator(0))

        def forward(self, at):
            seen.append(at.detach().clone())
            return self.net(at)

    net, x = Watched(), torch.rand(8, 1, 6, 6, generator=runtime.generator(2)).round()  # black and white
    step(net, torch.optim.SGD(net.parameters(), lr=0.1), x, torch.arange(8) % 3, 0.1, 5)
    for at in (at for at in seen if at.shape == x.shape):
        gap = (at - x).abs().max().item()
        expect(gap <= 0.1 + 1e-6, f"with eps = 0.1, the model saw a pixel that changed by {gap:.3g}")
        expect(at.min() >= 0 and at.max() <= 1, f"the model saw pixels from {at.min():.3g} to {at.max():.3g}")


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
        net, asked = models.initialise(models.cnn(6, 1, 3), runtime.generator(0)), []
        net.register_forward_hook(lambda *_, asked=asked: asked.append(1))
        step(net, torch.optim.SGD(net.parameters(), lr=0.1), _batch(), torch.arange(12) % 3, 0.1, steps)
        calls.append(len(asked))
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


exercise(
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

# ----------------------------------------------------------------------------------------------------- 04.trades_loss


class _Says(nn.Module):
    """A model whose inputs are its logits, so that a test can choose them."""

    def forward(self, x):
        return x


def _unmoved(loss):
    """x_adv = x: exactly the cross-entropy, whatever β"""
    net, x, y = digits_model(48)
    for beta in (0.0, 1.0, 6.0):
        expect_close(loss(net, x, x, y, beta), F.cross_entropy(net(x), y), 1e-6, f"the loss at beta = {beta:g}")


def _by_hand(loss):
    """p = (½, ½) and q = (0.9, 0.1): KL(p ‖ q) = ½ ln(0.5/0.9) + ½ ln(0.5/0.1) = 0.5108"""
    p, q = torch.log(torch.tensor([[0.5, 0.5]])), torch.log(torch.tensor([[0.9, 0.1]]))
    for beta in (1.0, 6.0):
        got = loss(_Says(), p, q, torch.tensor([0]), beta)
        expect_close(got, 0.693147 + beta * 0.510826, 1e-4, f"ln 2 + {beta:g} · KL")


def _mean_over_the_batch(loss):
    """A mean over the batch: the same batch twice has the same loss"""
    draw = runtime.generator(4)
    x, x_adv = torch.randn(5, 4, generator=draw), torch.randn(5, 4, generator=draw)
    y = torch.arange(5) % 4
    once = loss(_Says(), x, x_adv, y, 2.0)
    expect_close(loss(_Says(), x.repeat(2, 1), x_adv.repeat(2, 1), y.repeat(2), 2.0), once.detach(), 1e-5)
    each = [loss(_Says(), x[i : i + 1], x_adv[i : i + 1], y[i : i + 1], 2.0).detach() for i in range(5)]
    expect_close(once, torch.stack(each).mean(), 1e-5, "the loss of five inputs, against the mean of their own losses")


def _sure(loss):
    """Stays a number when the model is very sure"""
    x, x_adv = torch.tensor([[300.0, 0.0, -300.0]]), torch.tensor([[299.0, 1.0, -300.0]])
    expect_close(loss(_Says(), x, x_adv, torch.tensor([0]), 6.0), 0.0, 1e-5)


def _both_ways(loss):
    """Gradients reach the weights through p(x) and through p(x_adv)"""
    net = models.initialise(models.linear(36, 3), runtime.generator(0))
    x, x_adv, y = _batch(), _batch(seed=5), torch.arange(12) % 3
    (got,) = torch.autograd.grad(loss(net, x, x_adv, y, 6.0), net[1].weight)
    (want,) = torch.autograd.grad(_trades_by_formula(net, x, x_adv, y, 6.0), net[1].weight)
    expect_close(got, want, 1e-4, "the gradient of the loss in the weights")


def _trainable(result, args, kwargs) -> None:
    expect(isinstance(result, Tensor), f"expected a tensor that can be trained on, got a {type(result).__name__}")
    expect(result.dim() == 0, f"expected one number for the whole batch, got shape {tuple(result.shape)}")


def trades_loss(model, x, x_adv, y, beta=6.0):
    logits = model(x)
    moved = F.kl_div(model(x_adv).log_softmax(1), logits.log_softmax(1), reduction="batchmean", log_target=True)
    return F.cross_entropy(logits, y) + beta * moved


def _trades_by_formula(model, x, x_adv, y, beta=6.0):
    log_p, log_q = model(x).log_softmax(1), model(x_adv).log_softmax(1)
    return (-log_p.gather(1, y[:, None]).squeeze(1) + beta * (log_p.exp() * (log_p - log_q)).sum(1)).mean()


def _trades_wrong(model, x, x_adv, y, beta=6.0, *, detach=False, at="x", over=None):
    logits, moved = model(x), model(x_adv)
    p = logits.log_softmax(1).detach() if detach else logits.log_softmax(1)
    divergence = F.kl_div(moved.log_softmax(1), p, reduction="sum", log_target=True) / (over or len(x))
    return F.cross_entropy(logits if at == "x" else moved, y) + beta * divergence


def _trades_unsafe(model, x, x_adv, y, beta=6.0):
    p, q = model(x).softmax(1), model(x_adv).softmax(1)
    return F.cross_entropy(model(x), y) + beta * (p * (p.log() - q.log())).sum(1).mean()


exercise(
    "04.trades_loss",
    title="The TRADES loss",
    reference=trades_loss,
    properties=[_unmoved, _by_hand, _mean_over_the_batch, _sure, _both_ways],
    hints=[
        "Cross-entropy of the **clean** logits, plus beta times the divergence of the two answers.",
        "`F.kl_div(input, target)` is KL(target ‖ input): `input` is log q, what the attack made of the answer. "
        "With `log_target=True` the target is log p.",
        'Its default averages over classes too: you want `reduction="batchmean"`. Take both logarithms with '
        "`.log_softmax(1)`, and detach neither.",
    ],
    returns=_trainable,
    second=_trades_by_formula,
    mutants={
        "divergence the wrong way round": lambda model, x, x_adv, y, beta=6.0: (
            F.cross_entropy(model(x), y) + trades_loss(model, x_adv, x, y, beta) - F.cross_entropy(model(x_adv), y)
        ),
        "averages over classes too": lambda model, x, x_adv, y, beta=6.0: _trades_wrong(
            model, x, x_adv, y, beta, over=model(x).numel()
        ),
        "sums over the batch": functools.partial(_trades_wrong, over=1),
        "forgets beta": lambda model, x, x_adv, y, beta=6.0: trades_loss(model, x, x_adv, y, 1.0),
        "cross-entropy at x_adv": functools.partial(_trades_wrong, at="x_adv"),
        "detaches p(x)": functools.partial(_trades_wrong, detach=True),
        "takes the logarithm of a probability that is 0": _trades_unsafe,
    },
)

# ------------------------------------------------------------------------------------------------- 04.interval_bounds


def _box(n: int = 4, radius: float = 0.1, size: int = 6) -> tuple[Tensor, Tensor]:
    centre = _batch(n, size)
    spread = radius * torch.rand(centre.shape, generator=runtime.generator(3))
    return centre - spread, centre + spread


def _conv(size: int = 6) -> nn.Module:
    return models.initialise(models.strided_cnn(size, 1, 3), runtime.generator(0)).eval()


def _exact_linear(bounds):
    """On a linear layer: exactly what the worst corner of the box gives"""
    net, (low, high) = models.initialise(models.linear(36, 3), runtime.generator(0)), _box()
    weight, bias = net[1].weight.detach(), net[1].bias.detach()
    up, down, l, h = weight.clamp(min=0), weight.clamp(max=0), low.flatten(1), high.flatten(1)  # noqa: E741
    floor, ceiling = bounds(net, low, high)
    expect_close(floor, l @ up.T + h @ down.T + bias, 1e-5, "low")
    expect_close(ceiling, h @ up.T + l @ down.T + bias, 1e-5, "high")


def _exact_convolution(bounds):
    """On a convolution with stride and padding: exactly what the worst corner gives"""
    net = models.initialise(nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1)), runtime.generator(0))
    (low, high), conv = _box(), copy.deepcopy(net[0])
    with torch.no_grad():
        conv.weight.clamp_(min=0)
        up_low, up_high = conv(low), conv(high)
        conv.weight.copy_(net[0].weight.clamp(max=0))
        conv.bias.zero_()
        floor, ceiling = up_low + conv(high), up_high + conv(low)
    got = bounds(net, low, high)
    expect_close(got[0], floor, 1e-5, "low")
    expect_close(got[1], ceiling, 1e-5, "high")


def _exact_relu(bounds):
    """A ReLU turns [−2, −1], [−1, 3] and [1, 2] into [0, 0], [0, 3] and [1, 2], pooling all three into [1, 3]"""
    low, high = torch.tensor([[-2.0, -1.0, 1.0]]), torch.tensor([[-1.0, 3.0, 2.0]])
    floor, ceiling = bounds(nn.Sequential(nn.ReLU()), low, high)
    expect_close(floor, [[0.0, 0.0, 1.0]], 1e-6, "low")
    expect_close(ceiling, [[0.0, 3.0, 2.0]], 1e-6, "high")
    floor, ceiling = bounds(nn.Sequential(nn.MaxPool2d((1, 3))), low.view(1, 1, 1, 3), high.view(1, 1, 1, 3))
    expect_close(torch.stack([floor, ceiling]).flatten(), [1.0, 3.0], 1e-6, "low and high after pooling")


def _sound(bounds):
    """On a deep network: no output of 10,000 points of the box lies outside"""
    net, (low, high) = _conv(), _box()
    floor, ceiling = bounds(net, low, high)
    draw = torch.rand(2500, *low.shape, generator=runtime.generator(6))
    with torch.no_grad():
        for share in (draw, draw.round()):  # inside, and corners
            out = net((low + share * (high - low)).flatten(0, 1)).view(2500, len(low), -1)
            outside = ((out < floor - 1e-5) | (out > ceiling + 1e-5)).any(2).float().mean()
            expect(outside == 0, f"{outside:.1%} of the points have an output outside the bounds")


def _tight(bounds):
    """A box of one point gives the network's output, a wider box no narrower bounds"""
    net, (low, high) = _conv(), _box()
    middle = (low + high) / 2
    for bound in bounds(net, middle, middle):
        expect_close(bound, net(middle), 1e-4, "a bound over one point")
    inner, outer = bounds(net, low, high), bounds(net, low - 0.05, high + 0.05)
    expect((outer[0] <= inner[0] + 1e-6) & (inner[1] <= outer[1] + 1e-6), "the wider box has a narrower bound")


def _not_loose(bounds):
    """On a deep network: no wider than one box for each layer makes them"""
    net, (low, high) = _conv(), _box()
    floor, ceiling = bounds(net, low, high)
    with torch.no_grad():
        want_low, want_high = robustness.interval_bounds(net, low, high)
    wide, want = (ceiling - floor).mean().item(), (want_high - want_low).mean().item()
    expect(wide <= want * 1.001, f"the mean width is {wide:.4g}, layer by layer it is {want:.4g}")


def _two_bounds(result, args, kwargs) -> None:
    expect(isinstance(result, tuple) and len(result) == 2, "return two tensors: low, high")
    expect(all(isinstance(bound, Tensor) for bound in result), "return two tensors: low, high")
    expect(result[0].shape == result[1].shape, "low and high must have one shape")


def interval_bounds(model, low, high):
    return robustness.interval_bounds(model, low, high)


def _through(layer: nn.Module, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight, bias)
    return F.conv2d(x, weight, bias, layer.stride, layer.padding)


def _by_signs(model, low, high):
    """Positive weights carry low to low, negative ones carry high to low."""
    for layer in model:
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            low, high = layer(low), layer(high)
            continue
        up, down = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
        low, high = (
            _through(layer, low, up, layer.bias) + _through(layer, high, down, None),
            _through(layer, high, up, layer.bias) + _through(layer, low, down, None),
        )
    return low, high


def _bounds_wrong(model, low, high, *, absolute=True, bias=False, swell=1.0, skip=()):
    for layer in model:
        if isinstance(layer, skip):
            continue
        if isinstance(layer, nn.Linear | nn.Conv2d):
            centre, radius = layer((low + high) / 2), (high - low) / 2
            weight = layer.weight.abs() if absolute else layer.weight
            radius = swell * _through(layer, radius, weight, layer.bias.abs() if bias else None)
            low, high = centre - radius, centre + radius
        else:
            low, high = layer(low), layer(high)
    return low, high


def _by_samples(model, low, high):
    draw = torch.rand(200, *low.shape, generator=runtime.generator(0))
    out = torch.stack([model(low + share * (high - low)) for share in draw])
    return out.amin(0), out.amax(0)


exercise(
    "04.interval_bounds",
    title="Interval bounds",
    reference=interval_bounds,
    properties=[_exact_linear, _exact_convolution, _exact_relu, _sound, _tight, _not_loose],
    hints=[
        "Describe a box by its centre and its radius. What does a linear layer do to each?",
        "The centre goes through the layer as any input does. The radius meets |W| and no bias: every weight pushes "
        "the way that hurts.",
        "```python\ncentre, radius = layer((low + high) / 2), (high - low) / 2\n"
        "radius = F.linear(radius, layer.weight.abs())\nlow, high = centre - radius, centre + radius\n```\n"
        "For a convolution: `F.conv2d(radius, layer.weight.abs(), None, layer.stride, layer.padding)`. Flatten and "
        "ReLU never fall when their input rises, so `low, high = layer(low), layer(high)`.",
    ],
    returns=_two_bounds,
    second=_by_signs,
    mutants={
        "sends both ends through the network": lambda model, low, high: (model(low), model(high)),
        "forgets the absolute value": functools.partial(_bounds_wrong, absolute=False),
        "gives the radius a bias": functools.partial(_bounds_wrong, bias=True),
        "halves the radius": functools.partial(_bounds_wrong, swell=0.5),
        "doubles the radius, to be safe": functools.partial(_bounds_wrong, swell=2.0),
        "leaves the ReLUs out": functools.partial(_bounds_wrong, skip=nn.ReLU),
        "asks 200 random points": _by_samples,
    },
)

# --------------------------------------------------------------------------------------------------------- 04.certify


class _Always(nn.Module):
    """Class 1, whatever it is shown."""

    def forward(self, x):
        return torch.tensor([0.0, 1.0, 0.0]).expand(len(x), 3)


class _Coin(nn.Module):
    """Class 0 or 1, by the sign of the first pixel."""

    def forward(self, x):
        pixel = x.flatten(1)[:, 0]
        return torch.stack([-pixel, pixel], 1)


def _radius_table(certify):
    """If all n copies agree, R = σ·Φ⁻¹(α^(1/n)): 1.5005 σ for n = 100, 2.4633 σ for n = 1000"""
    for n, ratio in ((100, 1.500475), (1000, 2.463263)):
        for sigma in (0.25, 1.0):
            classes, radii = certify(_Always(), torch.zeros(2, 9), sigma, 20, n, 0.001)
            expect_close(classes, [1, 1], 0, "classes")
            expect_close(radii, [ratio * sigma] * 2, 1e-4, f"radii at n = {n}, σ = {sigma}")


def _confidence(certify):
    """α is one-sided: all of 50 copies and α = 0.1 give Φ⁻¹(0.1^(1/50)) = 1.6948"""
    _, radii = certify(_Always(), torch.zeros(1, 9), 1.0, 20, 50, 0.1)
    halved = abs(float(radii) - norm.ppf(0.05 ** (1 / 50))) < 1e-3
    expect(not halved, "you used α/2: the interval leaves half of 1 − confidence on either side, and you need one")
    expect_close(radii, [norm.ppf(0.1 ** (1 / 50))], 1e-4, "radii")


def _abstains(certify):
    """Abstains, with class −1 and radius 0, where p, the lower end, is not above ½"""
    classes, radii = certify(_Coin(), torch.zeros(20, 4), 1.0, 50, 200, 0.001)
    expect_close(classes, [-1] * 20, 0, "classes in front of a boundary")
    expect_close(radii, [0.0] * 20, 0, "radii in front of a boundary")


def _linear_truth(certify):
    """A linear classifier smooths to itself: R comes close to |f| / ‖w‖ and stays below it"""
    x = torch.linspace(-1, 1, 21)[:, None] * torch.ones(21, 4)
    classes, radii = certify(_Coin(), x, 0.5, 100, 4000, 0.001)
    exact = x[:, 0].abs()
    expect(radii <= exact + 1e-6, f"a radius exceeds the distance to the boundary by {(radii - exact).max():.3g}")
    inner = (exact > 0.15) & (exact < 0.9)
    expect_close(classes[inner], (x[inner, 0] > 0).long(), 0, "classes")
    gap = (exact - radii)[inner].max().item()
    expect(gap < 0.12, f"a radius falls short of the distance to the boundary by {gap:.3g}")


def _fresh_samples(certify):
    """The copies that choose the class are not those that count it: a coin is proved no more often than α"""
    _, radii = certify(_Coin(), torch.zeros(600, 1), 1.0, 20, 20, 0.2)
    proved = (radii > 0).float().mean().item()
    expect(proved < 0.2, f"{proved:.0%} of 600 coins are 'proved' to fall on one side, at α = 20 %")


def _classes_and_radii(result, args, kwargs) -> None:
    expect(isinstance(result, tuple) and len(result) == 2, "return two tensors: classes, radii")
    x = kwargs.get("x", args[1] if len(args) > 1 else None)
    for name, part in zip(("classes", "radii"), result, strict=True):
        expect(isinstance(part, Tensor), f"{name} must be a tensor, got a {type(part).__name__}")
        expect(part.shape == x.shape[:1], f"{name} must have shape ({len(x)},), got {tuple(part.shape)}")


def certify(model, x, sigma, n0=100, n=1000, alpha=0.001, generator=None):
    return robustness.certify(model, x, sigma=sigma, n0=n0, n=n, alpha=alpha, generator=generator)


def _certify_each(model, x, sigma, n0=100, n=1000, alpha=0.001, generator=None):
    """One input after the other, with the beta distribution itself."""
    draw, classes, radii = generator or runtime.generator(7), [], []
    for one in x:
        with torch.no_grad():
            first, second = (
                torch.bincount(model(one + sigma * torch.randn(m, *one.shape, generator=draw)).argmax(1), minlength=2)
                for m in (n0, n)
            )
        top = int(first.argmax())
        k = int(second[top]) if top < len(second) else 0
        p = beta_distribution.ppf(alpha, k, n - k + 1) if k else 0.0
        classes.append(top if p > 0.5 else -1)
        radii.append(sigma * float(norm.ppf(p)) if p > 0.5 else 0.0)
    return torch.tensor(classes), torch.tensor(radii)


def _certify_wrong(
    model, x, sigma, n0=100, n=1000, alpha=0.001, generator=None, *, sides=1, fresh=True, estimate=False, abstain=True
):
    draw = generator or runtime.generator(0)
    votes = robustness.noisy_votes(model, x, n, sigma=sigma, generator=draw)
    chosen = (robustness.noisy_votes(model, x, n0, sigma=sigma, generator=draw) if fresh else votes).argmax(1)
    hits = votes.gather(1, chosen[:, None]).squeeze(1).numpy()
    if estimate:
        p = (hits / n).clip(max=1 - 1 / n)
    else:
        p, _ = robustness.clopper_pearson(hits, n, confidence=1 - 2 * alpha / sides)
    radii = torch.as_tensor(sigma * norm.ppf(p.clip(min=1e-9)), dtype=torch.float32)
    return (torch.where(radii > 0, chosen, -1), radii.clamp(min=0)) if abstain else (chosen, radii.abs())


exercise(
    "04.certify",
    title="Randomised smoothing",
    reference=certify,
    properties=[_radius_table, _confidence, _abstains, _linear_truth, _fresh_samples],
    hints=[
        "Draw twice: `robustness.noisy_votes(model, x, n0, …).argmax(1)` chooses the class, a second call with `n` "
        "counts how many fresh copies agree. One generator for both, or the second draw repeats the first.",
        "`robustness.clopper_pearson(hits, n, confidence=…)` leaves half of the doubt on either side. You use one "
        "side, so the confidence is `1 - 2 * alpha`.",
        "```python\nlow, _ = robustness.clopper_pearson(hits.cpu().numpy(), n, confidence=1 - 2 * alpha)\n"
        "radii = sigma * torch.as_tensor(norm.ppf(low))\n```\nWhere `low` is not above ½: radius 0, class −1.",
    ],
    returns=_classes_and_radii,
    second=_certify_each,
    mutants={
        "believes the share that it counted": functools.partial(_certify_wrong, estimate=True),
        "counts on the copies that chose": functools.partial(_certify_wrong, fresh=False),
        "a two-sided interval": functools.partial(_certify_wrong, sides=2),
        "never abstains": functools.partial(_certify_wrong, abstain=False),
        "forgets sigma in the radius": lambda model, x, sigma, n0=100, n=1000, alpha=0.001, generator=None: (
            lambda classes, radii: (classes, radii / sigma)
        )(*certify(model, x, sigma, n0, n, alpha, generator)),
        "class 0 where it abstains": lambda model, x, sigma, n0=100, n=1000, alpha=0.001, generator=None: (
            lambda classes, radii: (classes.clamp(min=0), radii)
        )(*certify(model, x, sigma, n0, n, alpha, generator)),
    },
)

QUIZ = (
    Question(
        "An attack finds nothing on 72 % of the test inputs, a proof covers 60 %. Next year's leaves 58 %. So",
        (
            "it is simply stronger: the robust accuracy is at most 58 %",
            "one of the two has an error",
            "the network has become less robust",
        ),
        1,
        (
            "A proof of 60 % speaks about next year's attacks too: inside the ball none can come below it.",
            "The attack left the ball, or the proof is wrong: what is proved can never exceed what an attack leaves.",
            "The network is the same, and so is its robust accuracy: only what we know about it changes.",
        ),
    ),
    Question(
        "Interval bounds prove nothing at ε = 0.05 for the network trained with PGD. What follows?",
        (
            "nothing about its robustness",
            "an x′ that fools it exists at 0.05, though our attacks may be too weak to find it",
            "it needs a larger ε in training",
        ),
        0,
        (
            "This proof is too loose for it: the boxes widen with each layer. Another proof may succeed.",
            "A proof that fails is no attack. Targeted Auto-PGD left more than 85 % of it standing at 0.05.",
            "Its ε was three times as large. Bounds are tight where training keeps them tight.",
        ),
    ),
    Question(
        "`certify` returns class 3 and radius 0.6 with α = 0.001. What is proved?",
        (
            "no change of L2 length below 0.6 turns the answer of the network that it was given",
            "none below 0.6 turns the vote, unless the draw was one in 1000",
            "no change of 0.6 in each pixel turns the vote, unless the draw was one in 1000",
        ),
        1,
        (
            "The network itself may change its answer at once: the certificate is about the vote under noise.",
            "About the smoothed classifier, in L2, and wrong with probability at most α.",
            "An L∞ change of 0.6 in 64 pixels has an L2 length of up to 4.8.",
        ),
    ),
    Question(
        "Why must the class be chosen on other noisy copies than those that are counted?",
        (
            "the winner of a count is flattered by that count",
            "together they are more copies, so the interval is narrower",
            "choosing a class wants a larger σ than counting its hits",
        ),
        0,
        (
            "Selection bias: of a coin's two sides, the one that is ahead is ahead by chance, and α would not hold.",
            "More copies narrow the interval, but do not mend a biased count.",
            "Both draws use the same σ: it defines the smoothed classifier.",
        ),
    ),
    Question(
        "A network was trained against PGD at L∞ ε = 0.15. Which attacker has it **not** been trained for?",
        (
            "one with ε = 0.1, ten times as many steps and as many restarts",
            "one with ε = 0.15 and a loss that it never met in training",
            "one with L2 changes of length 1",
        ),
        2,
        (
            "A smaller ball of the same kind: it may lose a little more than PGD showed, no more.",
            "The same ball, searched better: it may lose some points.",
            "Such a change may put 0.5 into each of four pixels. That ball was never searched in training.",
        ),
    ),
)
