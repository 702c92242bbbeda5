"""Losses that buy robustness: closed forms on linear models, cross-entropy at ε = 0, no trace in the network."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import data, evasion, models, runtime, training, zoo
from modelsec_course.robustness import adversarial, fast, noisy, trades

LOSSES = {"adversarial": adversarial, "fast": fast, "trades": trades, "noisy": noisy}
SEARCHING = {"adversarial": adversarial, "fast": fast, "trades": trades}


def grey(n=12, seed=1):
    """Inputs so far inside [0, 1] that the box is not felt, with labels."""
    return 0.3 + 0.4 * torch.rand(n, 1, 8, 8, generator=runtime.generator(seed)), torch.arange(n) % 10


def line():
    """Two classes in front of a plane: the network, its normal and its length in the dual of L∞."""
    net = models.initialise(models.linear(64, 2), runtime.generator(0))
    normal = (net[1].weight[0] - net[1].weight[1]).detach()
    return net, normal.abs().sum()


def cnn():
    return models.initialise(models.cnn(), runtime.generator(0))


def with_batch_norm():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))
    return models.initialise(net, runtime.generator(0))


def test_on_a_linear_model_the_adversarial_loss_is_the_closed_form():
    # log(1 + exp(−(y·f − ε‖w‖₁))), Goodfellow et al. 2015.
    net, dual = line()
    x, y = grey()
    y = y % 2
    logits = net(x)
    margin = (logits.gather(1, y[:, None]) - logits.gather(1, 1 - y[:, None])).squeeze(1)
    for eps in (0.02, 0.1):
        torch.testing.assert_close(adversarial(eps)(net, x, y), F.softplus(eps * dual - margin).mean())
        assert fast(eps)(net, x, y) <= F.softplus(eps * dual - margin).mean() + 1e-6


def test_on_a_linear_model_trades_moves_to_one_of_the_two_corners():
    net, dual = line()
    x, y = grey(1)
    logits = net(x)
    f = (logits[:, 1] - logits[:, 0]).item()
    p, rest = torch.sigmoid(torch.tensor(f)), torch.sigmoid(torch.tensor(-f))

    def divergence(g):
        return (
            p * (p.log() - F.logsigmoid(torch.tensor(g))) + rest * (rest.log() - F.logsigmoid(torch.tensor(-g)))
        ).item()

    moved = (trades(0.1, beta=1.0)(net, x, y) - F.cross_entropy(logits, y)).item()
    corners = [divergence(f + side * 0.1 * dual.item()) for side in (-1, 1)]
    assert min(abs(moved - corner) for corner in corners) < 1e-5
    assert (trades(0.1, beta=3.0)(net, x, y) - F.cross_entropy(logits, y)).item() == pytest.approx(3 * moved, rel=1e-4)


@pytest.mark.parametrize("name", SEARCHING)
@pytest.mark.parametrize("make", [cnn, with_batch_norm])
def test_at_eps_0_it_is_the_cross_entropy_exactly(name, make):
    x, y = grey()
    net, other = make(), make()
    loss, plain = SEARCHING[name](0.0)(net, x, y), F.cross_entropy(other(x), y)
    assert torch.equal(loss, plain)
    loss.backward(), plain.backward()
    for ours, theirs in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_trades_equals_a_plain_reimplementation():
    net, (x, y), eps, beta, steps = cnn(), grey(), 0.1, 2.0, 5
    p = net(x).softmax(1).detach()
    x_adv = x + evasion.NORMS["linf"].random(x, eps, runtime.generator(4))
    for _ in range(steps):
        at = x_adv.clone().requires_grad_()
        F.kl_div(net(at).log_softmax(1), p, reduction="sum").backward()
        x_adv = torch.min(torch.max(x_adv + 2.5 * eps / steps * at.grad.sign(), x - eps), x + eps).clamp(0, 1)
    plain = F.cross_entropy(net(x), y) + beta * F.kl_div(net(x_adv).log_softmax(1), p, reduction="batchmean")
    net.zero_grad()
    torch.testing.assert_close(trades(eps, beta=beta, steps=steps, generator=runtime.generator(4))(net, x, y), plain)


def test_the_search_raises_the_loss_and_stays_in_the_ball():
    seen = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = cnn()

        def forward(self, at):
            seen.append(at.detach())
            return self.net(at)

    net, (x, y) = Watched(), grey()
    for name, make in SEARCHING.items():
        seen.clear()
        plain, hard = F.cross_entropy(net.net(x), y).item(), make(0.1)(net, x, y).item()
        assert hard > plain + 1e-4, name
        assert all((at - x).abs().max() <= 0.1 + 1e-6 for at in seen), name
        assert all(at.min() >= 0 and at.max() <= 1 for at in seen), name
        assert len(seen) == {"adversarial": 8, "fast": 2, "trades": 10}[name]


@pytest.mark.parametrize(("name", "forwards"), [("adversarial", 1), ("fast", 1), ("trades", 2), ("noisy", 1)])
def test_batch_norm_learns_from_the_loss_and_not_from_the_search(name, forwards):
    net, (x, y) = with_batch_norm().train(), grey()
    net[3].eval()  # a module's own mode is put back, not the network's
    LOSSES[name](0.1)(net, x, y)
    assert net[2].num_batches_tracked == forwards
    assert net.training
    assert net[2].training
    assert not net[3].training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("name", SEARCHING)
def test_an_exception_leaves_no_trace(name):
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.asked = with_batch_norm(), 0

        def forward(self, x):
            self.asked += 1
            if self.asked == 2:
                raise ArithmeticError("the network is tired")
            return self.net(x)

    net, (x, y) = Fails().train(), grey()
    with pytest.raises(ArithmeticError):
        SEARCHING[name](0.1)(net, x, y)
    assert all(module.training for module in net.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("name", LOSSES)
def test_the_generator_draws_anew_for_each_batch_and_the_global_state_is_untouched(name):
    net, (x, y) = cnn(), grey()
    before = torch.get_rng_state()
    first, second, default = (
        LOSSES[name](0.1, generator=g) for g in (runtime.generator(0), runtime.generator(1), None)
    )
    values = [first(net, x, y).item(), first(net, x, y).item(), second(net, x, y).item()]
    assert len(set(values)) == 3
    assert default(net, x, y).item() == values[0]
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_has_the_stated_size_and_no_bounds():
    seen = []
    model = lambda at: seen.append(at) or torch.zeros(len(at), 2)  # noqa: E731
    noisy(0.5)(model, torch.full((4000, 3), 0.5), torch.zeros(4000, dtype=torch.int64))
    assert (seen[0] - 0.5).std() == pytest.approx(0.5, rel=0.03)
    assert seen[0].min() < 0


def test_three_epochs_of_training_against_pgd_buy_robustness():
    digits = data.load("digits")
    x, y = digits.x_test[:150], digits.y_test[:150]
    left = {}
    for name, loss in {"plain": training.cross_entropy, "fast": fast(0.15)}.items():
        net = cnn()
        training.fit(net, digits.x_train, digits.y_train, epochs=6, loss=loss, progress=False)
        left[name] = training.accuracy(net, evasion.pgd(net, x, y, eps=0.15, steps=10), y)
    assert left["fast"] > left["plain"] + 0.2


def test_the_zoo_s_defended_networks_stand_where_the_standard_one_falls():
    digits = data.load("digits")
    x, y = digits.x_test[:120], digits.y_test[:120]
    left = {}
    for name in ("digits-cnn", "digits-cnn-pgd", "digits-cnn-trades"):
        net = zoo.load(name, device="cpu")
        left[name] = training.accuracy(net, evasion.pgd(net, x, y, eps=0.15, steps=20), y)
    assert left["digits-cnn"] < 0.3
    assert min(left["digits-cnn-pgd"], left["digits-cnn-trades"]) > 0.6


@pytest.mark.parametrize("make", SEARCHING.values())
@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"eps": -0.1}, ValueError, r"eps must lie in \[0, inf\].*-0\.1"),
        ({"eps": "much"}, TypeError, r"eps must be a number.*'much'"),
        ({"eps": 0.1, "generator": 3}, TypeError, r"generator must be a torch\.Generator.*3"),
    ],
)
def test_bad_options_are_refused_before_the_first_batch(make, options, kind, message):
    with pytest.raises(kind, match=message):
        make(**options)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (adversarial, {"steps": 0}, r"steps must be at least 1"),
        (adversarial, {"step_size": 0}, r"step_size must be above 0"),
        (trades, {"norm": "l1"}, r"norm must be one of"),
        (trades, {"beta": -1}, r"beta must lie in"),
    ],
)
def test_bad_searches_are_refused_before_the_first_batch(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(0.1, **options)


@pytest.mark.parametrize("sigma", [0, -1])
def test_noise_without_a_size_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma must be above 0"):
        noisy(sigma)
