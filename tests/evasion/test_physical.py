"""The world as functions with a gradient: closed forms where there are some."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import models, runtime
from modelsec_course.data import signs
from modelsec_course.evasion import Expectation, blur, distance, eot, fgsm, light, per_picture, pgd, warp


@pytest.fixture
def pictures(device):
    return torch.rand(3, 3, 12, 12, generator=runtime.generator(0)).to(device)


def turned(degrees, device="cpu", scale=1.0):
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return torch.tensor([[[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]], device=device)


def smooth(n=2, side=48):
    """Pictures without fine detail, dark at the edge, so that interpolation loses little."""
    x = torch.linspace(-1, 1, side)
    hill = torch.exp(-5 * (x[:, None] ** 2 + x[None] ** 2))
    wave = 0.5 + 0.5 * torch.stack([torch.sin((2 + k) * x[None] + k * x[:, None]) for k in range(3)])
    return (hill * wave)[None].expand(n, -1, -1, -1)


def test_the_identity_changes_nothing_whatever_its_scale(pictures):
    for scale in (1.0, -2.5):
        same = warp(pictures, scale * torch.eye(3, device=pictures.device).expand(3, -1, -1))
        torch.testing.assert_close(same, pictures, rtol=0, atol=1e-5)


def test_a_quarter_turn_is_exact_and_goes_clockwise_with_v_downwards(pictures):
    quarter = turned(90, pictures.device).expand(3, -1, -1)
    torch.testing.assert_close(warp(pictures, quarter), pictures.rot90(-1, (2, 3)), rtol=0, atol=1e-4)


def test_a_shift_by_two_pixels_moves_the_picture_right_and_down_and_leaves_zeros(pictures):
    move = torch.eye(3, device=pictures.device).repeat(3, 1, 1)
    move[:, 0, 2], move[:, 1, 2] = 2 * 2 / 12, 1 * 2 / 12
    expected = F.pad(pictures, (2, 0, 1, 0))[..., :12, :12]
    torch.testing.assert_close(warp(pictures, move), expected, rtol=0, atol=1e-5)


def test_the_inverse_brings_the_picture_back():
    picture = smooth()
    yaw, roll = torch.tensor([0.5, -0.3]), torch.tensor([0.2, 0.1])
    zero = torch.zeros(2)
    there = signs.homography(yaw, 0.5 * roll, roll, torch.full((2,), 0.9), zero, zero)
    back = warp(warp(picture, there, 96), torch.linalg.inv(there), 48)
    assert (warp(picture, there) - picture).abs().max() > 0.1
    torch.testing.assert_close(back, picture, rtol=0, atol=0.03)


def test_two_warps_are_the_warp_of_the_product():
    picture, one, two = smooth(1), turned(20), turned(-50, scale=0.8)
    torch.testing.assert_close(warp(warp(picture, one), two), warp(picture, two @ one), rtol=0, atol=0.02)


def test_warp_has_the_gradient_of_its_closed_form():
    picture = torch.rand(1, 1, 5, 5, dtype=torch.float64, generator=runtime.generator(1)).requires_grad_()
    where = turned(17, scale=0.9).double()
    where[:, :2, 2] = torch.tensor([0.11, 0.23])  # no pixel lies exactly on another, where the slope jumps
    where.requires_grad_()
    assert torch.autograd.gradcheck(warp, (picture, where))


def test_one_picture_may_be_seen_in_many_ways(pictures):
    ways = torch.cat([turned(a, pictures.device) for a in (0, 90, 180, 270)])
    seen = warp(pictures[:1], ways)
    torch.testing.assert_close(seen[2], pictures[0].rot90(2, (1, 2)), rtol=0, atol=1e-4)


def test_light_multiplies_and_stops_at_white(pictures):
    torch.testing.assert_close(light(pictures, 1.0), pictures)
    assert torch.equal(light(pictures, 9.0), (9 * pictures).clamp(max=1))
    warm = light(pictures, torch.tensor([0.5, 0.5, 0.5]), 0.1)
    torch.testing.assert_close(warm, pictures * torch.tensor([0.55, 0.5, 0.45], device=pictures.device).view(3, 1, 1))


def test_blur_keeps_the_mean_inside_and_spreads_a_point_as_a_gaussian():
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    seen = blur(point, 2.0)[0, 0]
    at = torch.arange(41) - 20.0
    assert seen.sum().item() == pytest.approx(1, abs=1e-4)
    assert (seen.sum(0) * at**2).sum().item() == pytest.approx(4, abs=0.05)
    torch.testing.assert_close(blur(point, 0.0), point)


def test_distance_one_changes_nothing_and_farther_leaves_less_detail(pictures):
    torch.testing.assert_close(distance(pictures, 1.0), pictures, rtol=0, atol=1e-6)
    spread = [distance(pictures, times).std().item() for times in (1.0, 2.0, 4.0, 8.0)]
    assert spread == sorted(spread, reverse=True)
    assert distance(pictures, torch.tensor([1.0, 2.0, 4.0])).shape == pictures.shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: warp(x[0], torch.eye(3)[None]), "pictures must be floats"),
        (lambda x: warp(x, torch.eye(3)), "homography must be"),
        (lambda x: warp(x, torch.zeros(3, 3, 3)), "must have an inverse"),
        (lambda x: light(x, -1.0), "gain of at least 0"),
        (lambda x: blur(x, -1.0), "sigma must be at least 0"),
        (lambda x: blur(x, torch.ones(2)), "one number or"),
        (lambda x: distance(x, 0.5), "times must be at least 1"),
        (lambda x: Expectation(nn.Flatten(), lambda x, samples: x, 3)(x), "3 samples of 3 inputs"),
    ],
)
def test_bad_input_is_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.rand(3, 3, 8, 8))


@pytest.fixture
def linear(device):
    return models.initialise(models.linear(16, 3), runtime.generator(0)).to(device)


def shifted(draw):
    """A transform of chance whose mean is known: pixels times 0 or 2."""
    return per_picture(lambda x: x * 2 * (torch.rand(len(x), 1, 1, 1, generator=draw) < 0.5).to(x))


def test_the_expectation_has_the_mean_gradient(linear, device):
    x = torch.rand(2, 1, 4, 4, generator=runtime.generator(1)).to(device).requires_grad_()
    seen = Expectation(linear, shifted(runtime.generator(2)), 4)
    (got,) = torch.autograd.grad(seen(x)[:, 1].sum(), x)
    draw, expected = runtime.generator(2), 0
    scale = 2 * (torch.rand(8, 1, 1, 1, generator=draw) < 0.5).to(x)
    for k in range(4):
        at = x.detach().requires_grad_()
        logp = linear(at * scale[2 * k : 2 * k + 2]).log_softmax(1)[:, 1].sum()
        expected = expected + torch.autograd.grad(logp, at)[0] / 4
    torch.testing.assert_close(got, expected)


def test_without_chance_eot_is_the_attack_itself(linear, device):
    x = torch.rand(5, 1, 4, 4, generator=runtime.generator(1)).to(device)
    y = linear(x).argmax(1)
    same = eot(fgsm, per_picture(lambda x: x), samples=3)
    torch.testing.assert_close(same(linear, x, y, eps=0.1), fgsm(linear, x, y, eps=0.1))


def test_eot_wraps_any_gradient_attack_and_holds_under_the_transformation(device):
    """Half of the time the picture is mirrored; a linear model with a one-sided weight is only half fooled by PGD."""
    weight = torch.zeros(2, 16, device=device)
    weight[0].view(4, 4)[:, 0], weight[1].view(4, 4)[:, 1] = 1.0, 1.0
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).to(device)
    with torch.no_grad():
        net[1].weight.copy_(weight)
        net[1].bias.copy_(torch.tensor([0.1, 0.0]))
    draw = runtime.generator(3)

    def mirrored(x):
        flip = torch.rand(len(x), 1, 1, 1, generator=draw).to(x) < 0.5
        return torch.where(flip, x.flip(3), x)

    x, y = torch.full((1, 1, 4, 4), 0.5, device=device), torch.zeros(1, dtype=torch.int64, device=device)
    options = {"eps": 0.1, "steps": 10, "random_start": False, "stop_early": False}
    plain = pgd(net, x, y, **options)
    both = eot(partial(pgd), per_picture(mirrored), samples=32)(net, x, y, **options)
    seen = lambda at: [net(way).argmax(1).item() for way in (at, at.flip(3))]  # noqa: E731
    assert seen(plain) == [1, 0]
    assert seen(both) == [1, 1]


def test_eot_leaves_the_model_as_it_was(linear, device):
    linear.train()
    x = torch.rand(2, 1, 4, 4, device=device)
    eot(fgsm, per_picture(lambda x: x))(linear, x, torch.zeros(2, dtype=torch.int64, device=device), eps=0.1)
    assert linear.training
    assert all(p.requires_grad and p.grad is None for p in linear.parameters())
