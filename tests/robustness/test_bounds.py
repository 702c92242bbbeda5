"""Interval bounds: exact on linear networks, never exceeded by samples or attacks, refused for unknown layers."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import data, evasion, models, runtime, zoo
from modelsec_course.robustness import CertifiedLoss, certified, interval_bounds


def drawn(net, seed=0):
    return models.initialise(net, runtime.generator(seed)).eval()


def boxes(n, *shape, radius=0.1, seed=1):
    centre = torch.rand(n, *shape, generator=runtime.generator(seed))
    spread = radius * torch.rand(n, *shape, generator=runtime.generator(seed + 1))
    return centre - spread, centre + spread


NETS = {
    "cnn": (models.cnn, (1, 8, 8)),
    "strided": (models.strided_cnn, (1, 8, 8)),
    "colours": (
        lambda: nn.Sequential(
            models.Normalize([0.5, 0.4, 0.3], [0.2, 0.3, 0.1]),
            nn.Conv2d(3, 6, 3, padding="same", groups=3, dilation=2),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Sequential(nn.Conv2d(6, 4, 2, bias=False), nn.Dropout(0.5), nn.Identity()),
            nn.Flatten(),
            nn.Linear(36, 5, bias=False),
        ),
        (3, 8, 8),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_bounds_contain_the_outputs_of_100_000_samples(name):
    make, shape = NETS[name]
    net = drawn(make())
    low, high = boxes(4, *shape)
    with torch.no_grad():
        floor, ceiling = interval_bounds(net, low, high)
        for corners in (False, True):
            draw = torch.rand(12_500, *low.shape, generator=runtime.generator(5))
            share = draw.round() if corners else draw  # corners of the box reach farthest
            out = net((low + share * (high - low)).flatten(0, 1)).view(12_500, 4, -1)
            assert (out >= floor - 1e-5).all()
            assert (out <= ceiling + 1e-5).all()


def test_bounds_are_exact_on_a_linear_network():
    net, (low, high) = drawn(models.linear(12, 3)), boxes(5, 3, 4)
    weight, bias = net[1].weight, net[1].bias
    floor, ceiling = interval_bounds(net, low, high)
    least = torch.where(weight[None] > 0, low.flatten(1)[:, None], high.flatten(1)[:, None])
    most = torch.where(weight[None] > 0, high.flatten(1)[:, None], low.flatten(1)[:, None])
    torch.testing.assert_close(floor, (least * weight).sum(2) + bias)
    torch.testing.assert_close(ceiling, (most * weight).sum(2) + bias)


def test_bounds_are_exact_on_a_convolution():
    net = drawn(nn.Sequential(nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Flatten()))
    low, high = boxes(2, 2, 5, 5)
    matrix = torch.func.jacrev(lambda v: net(v.view(1, 2, 5, 5))[0])(torch.zeros(50))  # (outputs, inputs)
    offset = net(torch.zeros(1, 2, 5, 5))[0]
    floor, ceiling = interval_bounds(net, low, high)
    low, high = low.flatten(1), high.flatten(1)
    up, down = matrix.clamp(min=0), matrix.clamp(max=0)
    torch.testing.assert_close(floor, low @ up.T + high @ down.T + offset)
    torch.testing.assert_close(ceiling, high @ up.T + low @ down.T + offset)


@pytest.mark.parametrize("name", NETS)
def test_a_box_of_one_point_gives_the_output_and_a_larger_box_gives_wider_bounds(name):
    make, shape = NETS[name]
    net = drawn(make())
    low, high = boxes(4, *shape)
    middle = (low + high) / 2
    point = interval_bounds(net, middle, middle)
    for bound in point:
        torch.testing.assert_close(bound, net(middle), atol=1e-5, rtol=1e-5)
    inner, outer = interval_bounds(net, low, high), interval_bounds(net, low - 0.05, high + 0.05)
    assert (outer[0] <= inner[0]).all()
    assert (inner[0] <= point[0] + 1e-5).all()
    assert (point[1] - 1e-5 <= inner[1]).all()
    assert (inner[1] <= outer[1]).all()


@pytest.mark.parametrize(("eps", "exact"), [(0.05, 0.8556), (0.1, 0.5722), (0.15, 0.1833)])
def test_on_softmax_regression_the_certified_accuracy_is_the_exact_robust_accuracy(eps, exact):
    digits = data.load("digits")
    proved = certified(zoo.load("digits-linear", device="cpu"), digits.x_test, digits.y_test, eps)
    assert proved.float().mean().item() == pytest.approx(exact, abs=5e-5)


@pytest.mark.parametrize("eps", [0.05, 0.15])
def test_no_attack_breaks_what_is_proved(eps):
    digits, net = data.load("digits"), zoo.load("digits-cnn-ibp", device="cpu")
    proved = certified(net, digits.x_test, digits.y_test, eps)
    assert proved.float().mean() > 0.6
    x, y = digits.x_test[proved], digits.y_test[proved]
    for loss in ("ce", "margin"):
        assert not evasion.fooled(net(evasion.pgd(net, x, y, eps=eps, steps=20, loss=loss)), y).any()


def test_a_larger_ball_is_proved_for_fewer():
    digits, net = data.load("digits"), zoo.load("digits-cnn-ibp", device="cpu")
    x, y = digits.x_test, digits.y_test
    for eps in (0.0, 0.1, 0.2):
        assert not (certified(net, x, y, eps + 0.05) & ~certified(net, x, y, eps)).any()
    assert torch.equal(certified(net, x, y, 0.0), net(x).argmax(1) == y)


def test_a_normally_trained_network_proves_almost_nothing():
    digits, net = data.load("digits"), zoo.load("digits-cnn", device="cpu")
    assert certified(net, digits.x_test, digits.y_test, 0.05).float().mean() < 0.02


def test_merging_the_last_layer_is_tighter_than_comparing_logits():
    digits, net = data.load("digits"), zoo.load("digits-cnn-ibp", device="cpu")
    x, y, eps = digits.x_test, digits.y_test, 0.15
    low, high = interval_bounds(net, (x - eps).clamp(0, 1), (x + eps).clamp(0, 1))
    compared = high.scatter(1, y[:, None], -torch.inf).amax(1) < low.gather(1, y[:, None]).squeeze(1)
    merged = certified(net, x, y, eps)
    assert not (compared & ~merged).any()
    assert merged.sum() > compared.sum()


def test_the_network_is_left_as_it_was():
    net, x, y = drawn(models.cnn()).train(), torch.rand(3, 1, 8, 8), torch.arange(3)
    certified(net, x, y, 0.1)
    assert net.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


def test_the_loss_starts_as_cross_entropy_and_ends_as_the_mixture():
    net, x, y = drawn(models.strided_cnn()), torch.rand(4, 1, 8, 8, generator=runtime.generator(2)), torch.arange(4)
    loss = CertifiedLoss(0.1, batches=20, kappa=0.3)
    values = [loss(net, x, y).item() for _ in range(20)]
    ordinary = F.cross_entropy(net(x), y)
    assert values[0] == values[1] == ordinary.item()
    assert all(later > earlier for earlier, later in itertools.pairwise(values[1:11]))
    assert values[10:] == [values[10]] * 10
    low, high = interval_bounds(net[:-1], (x - 0.1).clamp(0, 1), (x + 0.1).clamp(0, 1))
    worst = torch.zeros(4, 10)
    for i in range(4):
        for k in range(10):
            towards = net[-1].weight[k] - net[-1].weight[y[i]]
            reached = torch.where(towards > 0, high[i], low[i]) @ towards
            worst[i, k] = reached + net[-1].bias[k] - net[-1].bias[y[i]]
    assert values[-1] == pytest.approx((0.3 * ordinary + 0.7 * F.cross_entropy(worst, y)).item(), rel=1e-5)


def test_at_eps_0_the_loss_is_the_cross_entropy_throughout():
    net, x, y = drawn(models.cnn()), torch.rand(4, 1, 8, 8), torch.arange(4)
    loss = CertifiedLoss(0.0, batches=4)
    for _ in range(4):
        torch.testing.assert_close(loss(net, x, y), F.cross_entropy(net(x), y))


class Sly(nn.ReLU):
    def forward(self, x):
        return -x


@pytest.mark.parametrize(
    "layer",
    [
        nn.Sigmoid(), nn.BatchNorm2d(1), nn.Softmax(1), Sly(), nn.Dropout(0.5).train(),
        nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"),
    ],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_a_layer_about_which_nothing_is_known_is_refused_by_name(layer):
    low, high = boxes(2, 1, 4, 4)
    with pytest.raises(ValueError, match=rf"no interval bounds are known for {type(layer).__name__}\(.*use AvgPool2d"):
        interval_bounds(nn.Sequential(nn.Sequential(layer)), low, high)


def test_bad_arguments_are_refused():
    net, (low, high), y = drawn(models.cnn()), boxes(2, 1, 8, 8), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="low must be at most high everywhere"):
        interval_bounds(net, high, low)
    with pytest.raises(ValueError, match="low and high must have one shape"):
        interval_bounds(net, low, high[:1])
    with pytest.raises(TypeError, match="model must be a torch"):
        interval_bounds(lambda x: x, low, high)
    with pytest.raises(ValueError, match=r"the last layer must be nn\.Linear.*ReLU"):
        certified(net[:-1], low.clamp(0, 1), y, 0.1)
    with pytest.raises(ValueError, match="eps must lie in"):
        certified(net, low, y, -0.1)
    with pytest.raises(ValueError, match="batches must be at least 1"):
        CertifiedLoss(0.1, 0)
    with pytest.raises(ValueError, match="kappa must lie in"):
        CertifiedLoss(0.1, 5, kappa=2.0)
