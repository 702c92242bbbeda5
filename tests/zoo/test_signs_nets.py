"""The road signs' victims: good in streets they have never seen, and one of them robust at a price."""

import pytest
import torch
from torch import nn

from modelsec_course import data, runtime, training, zoo
from modelsec_course.data import signs
from modelsec_course.evasion import pgd

EPS = 8 / 255
FLOORS = {"signs-poolnet": 0.99, "signs-cnn": 0.95, "signs-cnn-pgd": 0.87}


def scenes(seed, n=720, **options):
    labels = torch.arange(n) % len(signs.CLASSES)
    return signs.photograph(signs.templates(), labels, generator=runtime.generator(seed), **options), labels


@pytest.fixture(scope="module", params=FLOORS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def nets():
    return {name: zoo.load(name, device="cpu") for name in FLOORS}


@pytest.fixture(scope="module")
def fresh():
    """Streets that are neither in the data set nor in the recipes, every sign as clean as it was made."""
    return scenes(70)


@pytest.fixture(scope="module")
def patched():
    """The same, with a patch on every sign."""
    return scenes(70, patches=1.0)


def test_fresh_streets_are_read_as_well_as_stated(name, nets, fresh):
    assert training.accuracy(nets[name], *fresh) > FLOORS[name] - 0.005  # at .99, three standard deviations are .01


def test_a_patch_on_every_sign_costs_some_accuracy_but_breaks_no_net(name, nets, fresh, patched):
    assert training.accuracy(nets[name], *patched) > training.accuracy(nets[name], *fresh) - 0.2


def test_robustness_is_bought_with_clean_accuracy(nets, fresh):
    accuracy = {name: training.accuracy(net, *fresh) for name, net in nets.items()}
    assert accuracy["signs-cnn-pgd"] < accuracy["signs-cnn"] - 0.02
    few = [part[:144] for part in fresh]

    def under_attack(name, eps):
        x_adv = pgd(nets[name], *few, eps=eps, steps=10, generator=runtime.generator(0))
        return training.accuracy(nets[name], x_adv, few[1])

    robust = [under_attack("signs-cnn-pgd", eps) for eps in (EPS / 2, EPS)]
    assert robust[0] > robust[1] > 0.4
    for standard in ("signs-cnn", "signs-poolnet"):
        assert under_attack(standard, EPS) < robust[1] - 0.25


def test_noise_as_large_as_the_attack_changes_little(name, nets, fresh):
    x, y = fresh
    signs_of_noise = torch.randn(x.shape, generator=runtime.generator(1)).sign()
    noisy = training.accuracy(nets[name], (x + EPS * signs_of_noise).clamp(0, 1), y)
    assert noisy > training.accuracy(nets[name], x, y) - 0.1


def test_batch_norm_comes_back_with_the_statistics_it_was_trained_with(nets, fresh):
    norms = [layer for layer in nets["signs-poolnet"].modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 3
    for layer in norms:
        assert layer.num_batches_tracked > 1000
        assert not torch.equal(layer.running_var, torch.ones_like(layer.running_var))
    x = fresh[0][:8]
    with torch.no_grad():
        alone = torch.cat([nets["signs-poolnet"](picture[None]) for picture in x])
        torch.testing.assert_close(alone, nets["signs-poolnet"](x))


def test_what_the_manifest_says_was_measured_on_the_data_set():
    assert {zoo.RECIPES[name].data for name in FLOORS} == {"signs"}
    assert data.load("signs").classes == signs.CLASSES
