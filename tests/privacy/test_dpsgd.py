"""DP-SGD keeps its promise: every way in which private training is known to go wrong has a test here."""

import itertools
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from modelsec_course import data, models, runtime, training
from modelsec_course.privacy import (
    bookkeeping,
    clip_factors,
    clipping,
    dp_sgd,
    noise_multiplier,
    per_sample_gradients,
    poisson_sample,
    rdp_epsilon,
)

ROUTES = [clipping.clipped_sum, bookkeeping.clipped_sum]
both_routes = pytest.mark.parametrize("route", ["fast", "readable"])


class Twice(nn.Module):
    """One layer that runs twice."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.layer(torch.tanh(self.layer(x.flatten(1)))))


class InPlace(Twice):
    """What went into a layer is written over afterwards."""

    def forward(self, x):
        h = torch.tanh(x.flatten(1)) * 1
        out = self.layer(h)
        h.add_(1)
        return self.head(out + h)


class Columns(nn.Module):
    """A dense layer along the rows of the picture: its input has three dimensions."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 5), nn.Linear(20, 3)

    def forward(self, x):
        return self.head(torch.relu(self.layer(x.squeeze(1))).flatten(1))


def mlp(features=16, hidden=8, classes=3):
    return nn.Sequential(nn.Flatten(), nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, classes))


def convolutional(*layers, width):
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 3))


def without_last_bias():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3, bias=False))


def partly_frozen():
    net = mlp()
    net[1].weight.requires_grad_(False)
    net[3].bias.requires_grad_(False)
    return net


NETS = {
    "linear": partial(models.linear, 16, 3),
    "mlp": mlp,
    "no bias": without_last_bias,
    "partly frozen": partly_frozen,
    "cnn": partial(models.cnn, 4, classes=3),
    "strided": partial(models.strided_cnn, 4, classes=3),
    "normalised": lambda: nn.Sequential(models.Normalize([0.5], [0.3]), *models.cnn(4, classes=3)),
    "odd kernel": lambda: convolutional(nn.Conv2d(1, 5, (3, 2), (2, 1), (1, 2), bias=False), nn.Tanh(), width=70),
    "in-place relu": lambda: convolutional(nn.Conv2d(1, 4, 2), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 2), width=8),
    "groups": lambda: convolutional(nn.Conv2d(1, 4, 2), nn.Conv2d(4, 4, 2, groups=2), width=16),
    "dilation": lambda: convolutional(nn.Conv2d(1, 4, 2, dilation=2), width=16),
    "padding by name": lambda: convolutional(nn.Conv2d(1, 2, 3, padding="same"), width=32),
    "reflected": lambda: convolutional(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), width=32),
    "group norm": lambda: convolutional(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), width=16),
    "layer norm": lambda: nn.Sequential(nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 3)),
    "three dimensions": Columns,
}


def net_and_rows(name="mlp", n=12, seed=0, dtype=torch.float32):
    draw = runtime.generator(seed)
    net = models.initialise(NETS[name](), draw).to(dtype)
    x, y = torch.rand(n, 1, 4, 4, generator=draw), torch.randint(3, (n,), generator=draw)
    return net, x.to(dtype), y


def looped(model, x, y, loss=training.cross_entropy):
    """Row by row, the slow and obvious way."""
    names, weights = zip(*((n, p) for n, p in model.named_parameters() if p.requires_grad), strict=True)
    rows = [torch.autograd.grad(loss(model, x[i : i + 1], y[i : i + 1]), weights) for i in range(len(x))]
    return {name: torch.stack([row[k] for row in rows]) for k, name in enumerate(names)}


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def train(model, x, y, **options):
    plan = {"noise_multiplier": 1.0, "sampling_rate": 0.3, "steps": 5, "lr": 0.5, "progress": False}
    return dp_sgd(model, x, y, **(plan | {"generator": runtime.generator(3)} | options))


# --- the gradients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_per_sample_gradients_equal_a_loop(name):
    net, x, y = net_and_rows(name)
    gradients, expected = per_sample_gradients(net, x, y), looped(net, x, y)
    assert gradients.keys() == expected.keys()
    for key, gradient in gradients.items():
        assert gradient.shape == (12, *dict(net.named_parameters())[key].shape)
        torch.testing.assert_close(gradient, expected[key], atol=1e-6, rtol=1e-6)


def test_per_sample_gradients_follow_the_loss_that_is_given():
    net, x, _ = net_and_rows("mlp")
    regressor, y = nn.Sequential(net, nn.Linear(3, 1)), torch.linspace(-1, 1, 12)
    gradients = per_sample_gradients(regressor, x, y, training.squared_error)
    for key, expected in looped(regressor, x, y, training.squared_error).items():
        torch.testing.assert_close(gradients[key], expected, atol=1e-6, rtol=1e-6)


def test_the_gradient_of_softmax_regression_is_the_closed_form():
    net, x, y = net_and_rows("linear")
    surprise = net(x).softmax(1).detach() - F.one_hot(y, 3)  # (batch, classes)
    gradients = per_sample_gradients(net, x, y)
    torch.testing.assert_close(gradients["1.weight"], surprise[:, :, None] * x.flatten(1)[:, None])
    torch.testing.assert_close(gradients["1.bias"], surprise)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("clip", [0.05, 1.0, 100.0])
def test_both_routes_are_the_clipped_sum_of_the_loop(name, clip):
    net, x, y = net_and_rows(name, dtype=torch.float64)
    rows = looped(net, x, y)
    norms = torch.cat([some.flatten(1) for some in rows.values()], 1).norm(dim=1)
    factors = (clip / norms).clamp(max=1)
    for route in ROUTES:
        sums, total = route(net, x, y, clip)
        assert sums.keys() == rows.keys()
        for key, value in sums.items():
            torch.testing.assert_close(value, torch.tensordot(factors, rows[key], 1))
        torch.testing.assert_close(total, F.cross_entropy(net(x), y, reduction="sum").detach())


@pytest.mark.parametrize("architecture", [partial(mlp, 64, 128, 10), models.cnn, partial(models.cnn, 28)])
def test_both_routes_agree_in_single_precision_on_a_whole_batch(architecture):
    draw, net = runtime.generator(1), models.initialise(architecture(), runtime.generator(0))
    size = 28 if net[-1].in_features == 64 and net[-3].in_features > 1000 else 8
    x, y = torch.rand(256, 1, size, size, generator=draw), torch.randint(10, (256,), generator=draw)
    readable, fast = (route(net, x, y, 1.0)[0] for route in ROUTES)
    for key, value in readable.items():
        assert (fast[key] - value).abs().max() <= 1e-5 * value.abs().max().clamp(min=1)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Twice(), "exactly once"),
        (InPlace(), "in place"),
        (nn.Sequential(nn.Flatten(), nn.Bilinear(16, 16, 3)), "one tensor to one tensor"),
    ],
)
def test_the_fast_route_refuses_what_it_cannot_keep_books_of(model, why):
    _, x, y = net_and_rows()
    if isinstance(model, nn.Sequential):
        model[1].forward = partial(nn.Bilinear.forward, model[1])
        model.forward = lambda x: model[1](x.flatten(1), x.flatten(1))
    with pytest.raises(ValueError, match=f"(?s){why}.*route='readable'"):
        bookkeeping.clipped_sum(model, x, y, 1.0)
    assert not any(layer._forward_hooks for layer in model.modules())


def test_a_layer_that_runs_twice_trains_by_the_readable_route():
    _, x, y = net_and_rows()
    net = models.initialise(Twice(), runtime.generator(0))
    for key, expected in looped(net, x, y).items():
        torch.testing.assert_close(per_sample_gradients(net, x, y)[key], expected, atol=1e-6, rtol=1e-6)
    assert train(net, x, y, route="readable").epsilon > 0


# --- clipping ------------------------------------------------------------------------------------------------------


def test_clip_factors_bring_each_norm_to_the_bound_and_leave_small_ones():
    norms = torch.tensor([0.0, 0.5, 1.0, 2.0, 1e30, math.inf, math.nan])
    expected = torch.tensor([1.0, 1.0, 1.0, 0.5, 1e-30, 0.0, 0.0])
    torch.testing.assert_close(clip_factors(norms, 1.0), expected)


@pytest.mark.parametrize("route", ROUTES)
def test_clipping_is_over_all_parameters_jointly(route):
    """A single row: the joint norm is brought to the bound, and the direction stays."""
    net, x, y = net_and_rows("mlp", n=1)
    raw = torch.cat([gradient.flatten() for gradient in per_sample_gradients(net, x, y).values()])
    parts = [gradient.norm() for gradient in per_sample_gradients(net, x, y).values()]
    clip = (max(parts) + raw.norm()).item() / 2  # each parameter alone would pass unclipped
    clipped = torch.cat([value.flatten() for value in route(net, x, y, clip)[0].values()])
    assert max(parts) < clip < raw.norm()
    torch.testing.assert_close(clipped, raw * clip / raw.norm())


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", ["mlp", "cnn", "group norm"])
def test_one_row_changes_the_sum_by_at_most_the_clip(route, name):
    """The sensitivity that the noise is made for, also for a row that is as extreme as can be."""
    net, x, y = net_and_rows(name, n=9, dtype=torch.float64)
    x[4] *= 1e6
    y[4] = net(x[4:5]).argmin()  # wrong, or its gradient would be 0
    for clip in (1e-3, 0.3):
        with_it = route(net, x, y, clip)[0]
        keep = torch.arange(9) != 4
        without = route(net, x[keep], y[keep], clip)[0]
        change = math.sqrt(sum((with_it[key] - without[key]).square().sum().item() for key in with_it))
        assert 0.999 * clip < change <= clip * (1 + 1e-6)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 3e38])
@pytest.mark.parametrize("name", ["linear", "mlp", "cnn"])
def test_a_row_without_a_finite_gradient_is_left_out_and_harms_no_other(route, bad, name):
    net, x, y = net_and_rows(name)
    x[3] = bad
    keep = torch.arange(12) != 3
    expected = route(net, x[keep], y[keep], 0.5)[0]
    gradient = torch.cat([g.flatten(1) for g in per_sample_gradients(net, x, y).values()], 1)[3]
    sums = route(net, x, y, 0.5)[0]
    if gradient.norm().isfinite():  # tanh may tame the largest input
        assert all(value.isfinite().all() for value in sums.values())
    else:
        for key, value in sums.items():
            torch.testing.assert_close(value, expected[key], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
def test_rows_that_are_all_bad_or_all_flat_sum_to_nothing(route):
    net, x, y = net_and_rows("linear")
    assert all(not value.any() for value in route(net, x * math.nan, y, 1.0)[0].values())
    with torch.no_grad():
        net[1].bias.copy_(torch.tensor([1e4, 0.0, 0.0]))  # so sure that the gradient is exactly 0
    sums = route(net, x, y * 0, 1.0)[0]
    assert all(not value.any() for value in sums.values())


# --- the step ------------------------------------------------------------------------------------------------------


@both_routes
def test_without_noise_and_clipping_it_is_gradient_descent(route):
    net, x, y = net_and_rows("cnn", n=8)
    plain = models.initialise(NETS["cnn"](), runtime.generator(0))
    optimiser = torch.optim.SGD(plain.parameters(), 0.5, momentum=0.9)
    for _ in range(4):
        optimiser.zero_grad()
        F.cross_entropy(plain(x), y).backward()
        optimiser.step()
    train(net, x, y, noise_multiplier=0, clip=1e6, sampling_rate=1, steps=4, momentum=0.9, route=route)
    torch.testing.assert_close(weights(net), weights(plain), atol=1e-5, rtol=1e-5)


@both_routes
def test_a_step_is_the_noisy_sum_over_the_expected_batch_never_the_drawn_one(route):
    net, x, y = net_and_rows("mlp", n=40)
    before, sums = weights(net), []
    history = train(net, x, y, steps=1, route=route, on_step=lambda step, noisy: sums.append((step, noisy)))
    ((step, noisy),) = sums
    assert step == 0
    assert history.sampled[0] != 0.3 * 40  # otherwise this test could not tell
    moved = torch.cat([value.flatten() for value in noisy.values()]) * 0.5 / (0.3 * 40)
    torch.testing.assert_close(before - weights(net), moved)


@both_routes
def test_the_noise_has_the_planned_deviation_whatever_the_batch_and_is_fresh_at_each_step(route):
    """All gradients are 0, so the sums are noise alone: σ × clip = 1.4 in each of 8,200 numbers."""
    net = models.initialise(mlp(1024, 8, 2), runtime.generator(0))
    x, y = torch.rand(30, 1024, generator=runtime.generator(1)), torch.zeros(30, dtype=torch.int64)
    noise, plan = [], {"noise_multiplier": 2.0, "clip": 0.7, "steps": 3, "route": route}

    def flat(model, x, y):
        return model(x).sum() * 0

    def keep(step, noisy):
        noise.append(torch.cat([value.flatten() for value in noisy.values()]).clone())

    for rate in (0.03, 0.9):
        train(net, x, y, sampling_rate=rate, loss=flat, on_step=keep, **plan)
    noise = torch.stack(noise)
    assert ((noise.std(dim=1) / 1.4 - 1).abs() < 4 / math.sqrt(2 * noise.shape[1])).all()
    assert (noise.mean(1).abs() < 4 * 1.4 / math.sqrt(noise.shape[1])).all()
    within_run = [torch.corrcoef(noise[run])[~torch.eye(3, dtype=torch.bool)] for run in (slice(0, 3), slice(3, 6))]
    assert (torch.cat(within_run).abs() < 4 / math.sqrt(noise.shape[1])).all()


def test_an_empty_batch_still_adds_noise_and_still_counts():
    net, x, y = net_and_rows("mlp")
    before = weights(net)
    history = train(net, x, y, sampling_rate=1e-9, steps=3)
    assert history.sampled == [0, 0, 0]
    assert all(math.isnan(loss) for loss in history.losses)
    assert (weights(net) != before).all()
    plan = {"q": 0.05, "sigma": 1.0, "delta": 1e-5}
    net, x, y = net_and_rows("mlp", n=10)
    history = train(net, x, y, sampling_rate=0.05, steps=40)
    assert 0 in history.sampled
    assert history.epsilon == rdp_epsilon(steps=40, **plan)


@pytest.mark.parametrize("sampling", ["poisson", "shuffled"])
@pytest.mark.parametrize(("rate", "steps"), [(128 / 1437, 37), (1 / 3, 29), (0.29, 100), (1.0, 3)])
def test_the_steps_that_are_planned_are_run(sampling, rate, steps):
    net, x, y = net_and_rows("linear")
    seen = []
    history = train(
        net, x, y, sampling_rate=rate, steps=steps, sampling=sampling, on_step=lambda step, _: seen.append(step)
    )
    assert seen == list(range(steps))
    assert len(history.epsilons) == len(history.sampled) == len(history.losses) == steps


def test_one_step_equals_opacus():
    """The clipped mean of the production library, for the same rows and without noise."""
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    net, x, y = net_and_rows("cnn", n=20)
    other = GradSampleModule(models.initialise(NETS["cnn"](), runtime.generator(0)))
    optimiser = DPOptimizer(
        torch.optim.SGD(other.parameters(), 0.5), noise_multiplier=0.0, max_grad_norm=0.3, expected_batch_size=20
    )
    for _ in range(3):
        optimiser.zero_grad()
        F.cross_entropy(other(x), y).backward()
        optimiser.step()
    train(net, x, y, noise_multiplier=0, clip=0.3, sampling_rate=1, steps=3)
    torch.testing.assert_close(weights(net), weights(other), atol=2e-6, rtol=1e-5)


# --- batch norm and other mixtures ---------------------------------------------------------------------------------


class MeanRemoved(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(4), nn.InstanceNorm2d(4, track_running_stats=True)])
def test_batch_norm_is_refused_with_the_reason(layer):
    _, x, y = net_and_rows()
    net = convolutional(nn.Conv2d(1, 4, 3), layer, width=16)
    with pytest.raises(ValueError, match=f"{type(layer).__name__}, which mixes the rows.*clipping.*GroupNorm"):
        train(net, x, y)
    with pytest.raises(ValueError, match="mixes the rows"):
        per_sample_gradients(net, x, y)


def test_any_layer_that_mixes_rows_is_refused_and_norms_of_a_single_row_are_not():
    _, x, y = net_and_rows()
    with pytest.raises(ValueError, match="mixes the rows"):
        train(nn.Sequential(mlp(), MeanRemoved()), x, y)
    for layer in (nn.InstanceNorm2d(4), nn.GroupNorm(2, 4), nn.Identity()):
        train(convolutional(nn.Conv2d(1, 4, 3), layer, width=16), x, y)


# --- sampling ------------------------------------------------------------------------------------------------------


def test_poisson_sampling_takes_each_row_by_itself_at_the_rate():
    draw, n, rate, rounds = runtime.generator(0), 50, 0.2, 4000
    taken = torch.zeros(rounds, n)
    for i in range(rounds):
        taken[i, poisson_sample(n, rate, draw)] = 1
    tolerance = 5 * math.sqrt(rate * (1 - rate) / rounds)
    assert ((taken.mean(0) - rate).abs() < tolerance).all()
    variance = taken.sum(1).var().item()  # a batch of fixed size would have none
    assert variance == pytest.approx(n * rate * (1 - rate), rel=5 * math.sqrt(2 / rounds))
    apart = torch.corrcoef(taken.T)[~torch.eye(n, dtype=torch.bool)]
    assert apart.abs().max() < 5.5 / math.sqrt(rounds)


def test_training_draws_poisson_samples():
    net, x, y = net_and_rows("linear", n=60)
    sizes = torch.tensor(train(net, x, y, sampling_rate=0.4, steps=600).sampled, dtype=torch.float32)
    assert sizes.mean().item() == pytest.approx(24, abs=5 * math.sqrt(14.4 / 600))
    assert sizes.var().item() == pytest.approx(14.4, rel=5 * math.sqrt(2 / 600))


def test_shuffled_batches_meet_each_row_once_in_a_pass():
    net, x, y = net_and_rows("linear", n=20)
    seen = []
    net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    history = train(net, x, y, sampling="shuffled", sampling_rate=0.25, steps=8)
    assert history.sampled == [5] * 8
    one, other = torch.cat(seen[-8:-4]), torch.cat(seen[-4:])
    for batch in (one, other):
        assert torch.equal(batch.flatten(1).sum(1).sort().values, x.flatten(1).sum(1).sort().values)
    assert not torch.equal(one, other)


# --- the privacy that is spent -------------------------------------------------------------------------------------


def test_the_privacy_spent_is_told_for_each_step():
    net, x, y = net_and_rows("linear")
    history = train(net, x, y, noise_multiplier=1.3, sampling_rate=0.1, steps=12, delta=1e-4)
    expected = [rdp_epsilon(0.1, 1.3, step, 1e-4) for step in range(1, 13)]
    assert history.epsilons == expected
    assert history.epsilon == expected[-1]
    assert history.delta == 1e-4
    assert all(before < after for before, after in itertools.pairwise(expected))


def test_epsilon_rises_with_steps_and_rate_and_falls_with_noise_and_delta():
    net, x, y = net_and_rows("linear")
    base = {"noise_multiplier": 1.0, "sampling_rate": 0.2, "steps": 10, "delta": 1e-5}
    eps = lambda **change: train(net, x, y, **(base | change)).epsilon  # noqa: E731
    assert eps(steps=11) > eps() > eps(steps=9)
    assert eps(sampling_rate=0.21) > eps() > eps(sampling_rate=0.19)
    assert eps(noise_multiplier=1.1) < eps() < eps(noise_multiplier=0.9)
    assert eps(delta=1e-4) < eps() < eps(delta=1e-6)


def test_without_noise_there_is_no_privacy():
    net, x, y = net_and_rows("linear")
    assert train(net, x, y, noise_multiplier=0, steps=2).epsilons == [math.inf, math.inf]


@pytest.mark.parametrize("rate", [0.25, 0.3, 0.01, 1.0])
def test_shuffled_batches_never_get_the_amplified_epsilon(rate):
    """One Gaussian mechanism for each pass that has begun: q = 1."""
    net, x, y = net_and_rows("linear", n=20)
    batches = math.ceil(20 / max(1, round(rate * 20)))
    history = train(net, x, y, sampling="shuffled", sampling_rate=rate, steps=2 * batches + 1)
    expected = [rdp_epsilon(1.0, 1.0, passes, 1e-5) for passes in (1, 2, 3)]
    assert history.epsilons == [expected[0]] * batches + [expected[1]] * batches + [expected[2]]
    assert history.epsilons[0] >= train(net, x, y, sampling_rate=rate, steps=1).epsilon


# --- micro-batches -------------------------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """The most numbers that one tensor held."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(value, torch.Tensor) and not value._is_view():
                self.numbers = max(self.numbers, value.untyped_storage().nbytes() // value.element_size())
        return result


@both_routes
@pytest.mark.parametrize("name", ["mlp", "cnn", "group norm"])
def test_micro_batches_change_nothing(route, name):
    results = []
    for micro_batch in (None, 1, 7, 1000):
        net, x, y = net_and_rows(name, n=30)
        history = train(net, x, y, sampling_rate=0.7, micro_batch=micro_batch, route=route)
        results.append((weights(net), history.sampled, torch.tensor(history.losses)))
    for trained, sampled, losses in results[1:]:
        torch.testing.assert_close(trained, results[0][0], atol=1e-5, rtol=1e-5)
        assert sampled == results[0][1]
        torch.testing.assert_close(losses, results[0][2])


def test_micro_batches_bound_the_memory():
    """The largest tensor of the readable route holds a layer's gradient for each row: here 64 × 32 numbers."""
    largest = {}
    for micro_batch in (None, 10):
        net, x, y = mlp(64, 32), torch.rand(200, 64), torch.zeros(200, dtype=torch.int64)
        with Largest() as seen:
            train(net, x, y, sampling_rate=1, steps=1, micro_batch=micro_batch, route="readable")
        largest[micro_batch] = seen.numbers
    assert largest == {None: 200 * 64 * 32, 10: 10 * 64 * 32}


def test_the_fast_route_forms_no_gradient_for_each_row_of_a_dense_layer():
    net, x, y = mlp(64, 32), torch.rand(200, 64), torch.zeros(200, dtype=torch.int64)
    with Largest() as seen:
        train(net, x, y, sampling_rate=1, steps=1)
    assert seen.numbers == 200 * 64  # the inputs themselves


# --- manners -------------------------------------------------------------------------------------------------------


@both_routes
def test_the_generator_alone_decides(route):
    results = []
    for seed in (5, 5, 6):
        net, x, y = net_and_rows("cnn")
        state = torch.get_rng_state()
        train(net, x, y, route=route, generator=runtime.generator(seed))
        assert torch.equal(torch.get_rng_state(), state)
        results.append(weights(net))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_both_routes_train_the_same_network():
    results = []
    for route in ("fast", "readable"):
        net, x, y = net_and_rows("cnn", n=60)
        train(net, x, y, route=route, steps=30, momentum=0.5)
        results.append(weights(net))
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)


def test_frozen_parameters_stay_and_the_model_is_left_ready():
    net, x, y = net_and_rows("partly frozen")
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    train(net, x, y)
    for name, p in net.named_parameters():
        assert torch.equal(p, before[name]) != p.requires_grad
        assert p.grad is None
    assert not net.training


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"noise_multiplier": -1.0}, ValueError, "noise_multiplier"),
        ({"noise_multiplier": math.nan}, ValueError, "noise_multiplier"),
        ({"sampling_rate": 0}, ValueError, "sampling_rate"),
        ({"sampling_rate": 1.5}, ValueError, "sampling_rate"),
        ({"steps": 0}, ValueError, "steps"),
        ({"steps": 2.5}, TypeError, "steps"),
        ({"clip": 0}, ValueError, "clip"),
        ({"clip": math.inf}, ValueError, "clip"),
        ({"lr": 0}, ValueError, "lr"),
        ({"momentum": -0.1}, ValueError, "momentum"),
        ({"delta": 0}, ValueError, "delta"),
        ({"delta": 1}, ValueError, "delta"),
        ({"sampling": "cyclic"}, ValueError, "sampling"),
        ({"route": "slow"}, ValueError, "route"),
        ({"micro_batch": 0}, ValueError, "micro_batch"),
        ({"generator": 3}, TypeError, "generator"),
        ({"on_step": 3}, TypeError, "on_step"),
        ({"loss": "hinge"}, TypeError, "loss"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_anything_is_trained(change, error, words):
    net, x, y = net_and_rows("mlp")
    before = weights(net)
    with pytest.raises(error, match=words):
        train(net, x, y, **change)
    assert torch.equal(weights(net), before)


def test_data_that_does_not_fit_is_refused():
    net, x, y = net_and_rows("mlp")
    with pytest.raises(ValueError, match="label 7"):
        train(net, x, torch.full_like(y, 7))
    with pytest.raises(ValueError, match="at least one"):
        train(net, x[:0], y[:0])
    with pytest.raises(ValueError, match="no parameter to train"):
        train(net.requires_grad_(False), x, y)
    with pytest.raises(TypeError, match="Module"):
        train(lambda x: x, x, y)
    with pytest.raises(ValueError, match="same rows"):
        per_sample_gradients(net, x, y[:3])


# --- what it reaches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("eps", "linear", "hidden"), [(8, 0.944, 0.944), (3, 0.939, 0.914), (1, 0.828, 0.700)])
def test_the_digits_are_learnt_privately(eps, linear, hidden):
    """The accuracies of the course's plan, within two points, over five seeds and by one recipe."""
    digits = data.load("digits")
    sigma = noise_multiplier(eps, 1e-4, 0.25, 150)
    for architecture, wanted in ((partial(models.linear, 64, 10), linear), (partial(mlp, 64, 128, 10), hidden)):
        reached = []
        for seed in range(10, 15):
            net = models.initialise(architecture(), runtime.generator(seed))
            history = dp_sgd(
                net, digits.x_train, digits.y_train, noise_multiplier=sigma, sampling_rate=0.25, steps=150, lr=2.0,
                delta=1e-4, generator=runtime.generator(100 + seed), progress=False,
            )  # fmt: skip
            assert history.epsilon <= eps
            reached.append(training.accuracy(net, digits.x_test, digits.y_test))
        assert sum(reached) / 5 >= wanted - 0.02
