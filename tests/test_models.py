"""The networks: shapes, normalisation as a layer, weights by generator."""

import pytest
import torch
from torch import nn

from modelsec_course import models, runtime


def test_normalize_is_the_formula_for_pictures_and_records():
    layer = models.Normalize([0.5, 0.2], [0.1, 2.0])
    records = torch.tensor([[0.6, 0.2]])
    torch.testing.assert_close(layer(records), torch.tensor([[1.0, 0.0]]))
    pictures = torch.rand(2, 2, 3, 3)
    expected = torch.stack([(pictures[:, 0] - 0.5) / 0.1, (pictures[:, 1] - 0.2) / 2.0], 1)
    torch.testing.assert_close(layer(pictures), expected)


def test_normalize_travels_with_the_models_weights_and_keeps_its_own_copy():
    mean = torch.zeros(3)
    layer = models.Normalize(mean, torch.ones(3))
    mean.fill_(7)
    assert set(layer.state_dict()) == {"mean", "std"}
    assert layer.mean.sum() == 0
    assert not list(layer.parameters())


@pytest.mark.parametrize(
    ("mean", "std", "kind", "message"),
    [
        ([0.5], [0.1, 0.2], ValueError, r"mean and std must be lists of one length.*\[1\].*\[2\]"),
        (0.5, 0.1, ValueError, r"mean and std must be lists"),
        ([], [], ValueError, r"mean and std must"),
        ([0.5], [0.0], ValueError, r"std above 0.*0"),
        ([0.5], [-1.0], ValueError, r"std above 0.*-1"),
        ([float("nan")], [1.0], ValueError, r"must be finite.*nan"),
        (["a"], [1.0], TypeError, r"mean must .*numbers.*'a'"),
        ([0.5], None, TypeError, r"std must .*numbers.*None"),
    ],
)
def test_normalize_refuses_bad_statistics(mean, std, kind, message):
    with pytest.raises(kind, match=message):
        models.Normalize(mean, std)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 1, 8, 8)])
def test_normalize_refuses_inputs_with_other_channels(shape):
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 3, \.\.\.\), but it has "):
        models.Normalize([0.0] * 3, [1.0] * 3)(torch.zeros(shape))


@pytest.mark.parametrize(("size", "channels", "classes"), [(8, 1, 10), (32, 3, 2), (2, 1, 3)])
def test_the_cnn_gives_logits_for_its_size(size, channels, classes):
    assert models.cnn(size, channels, classes)(torch.rand(5, channels, size, size)).shape == (5, classes)


@pytest.mark.parametrize("make", [models.deep_cnn, models.poolnet])
@pytest.mark.parametrize(("size", "channels", "classes"), [(32, 3, 24), (64, 3, 2), (8, 1, 5)])
def test_the_networks_for_larger_pictures_give_logits_for_their_size(make, size, channels, classes):
    net = make(size, channels, classes).eval()
    assert net(torch.rand(5, channels, size, size)).shape == (5, classes)


def test_the_linear_model_is_a_matrix_and_a_bias():
    net, x = models.linear(12, 4), torch.rand(5, 3, 2, 2)
    torch.testing.assert_close(net(x), x.flatten(1) @ net[-1].weight.T + net[-1].bias)


@pytest.mark.parametrize(
    ("make", "options", "kind", "message"),
    [
        (models.cnn, {"size": 7}, ValueError, r"size must be even.*7"),
        (models.cnn, {"size": 0}, ValueError, r"size must be at least 2.*0"),
        (models.cnn, {"channels": 0}, ValueError, r"channels must be at least 1.*0"),
        (models.cnn, {"classes": 1}, ValueError, r"classes must be at least 2.*1"),
        (models.cnn, {"size": 8.0}, TypeError, r"size must be a whole number.*8\.0"),
        (models.deep_cnn, {"size": 36}, ValueError, r"size must be a multiple of 8.*36"),
        (models.poolnet, {"size": 4}, ValueError, r"size must be at least 8.*4"),
        (models.poolnet, {"channels": 0}, ValueError, r"channels must be at least 1.*0"),
        (models.deep_cnn, {"classes": 1}, ValueError, r"classes must be at least 2.*1"),
        (models.linear, {"features": 0, "classes": 2}, ValueError, r"features must be at least 1.*0"),
        (models.linear, {"features": 4, "classes": 1}, ValueError, r"classes must be at least 2.*1"),
        (models.linear, {"features": "4", "classes": 2}, TypeError, r"features must be a whole number.*'4'"),
    ],
)
def test_impossible_sizes_are_refused(make, options, kind, message):
    with pytest.raises(kind, match=message):
        make(**options)


def test_initialise_depends_on_its_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    nets = [models.cnn() for _ in range(3)]
    torch.set_rng_state(before)
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        assert models.initialise(net, runtime.generator(seed)) is net
    assert torch.equal(torch.get_rng_state(), before)
    first, same, other = (net.state_dict() for net in nets)
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first)


def test_initialise_draws_within_the_bound_and_leaves_other_layers_alone():
    net = nn.Sequential(nn.Linear(100, 50, bias=False), nn.BatchNorm1d(50))
    models.initialise(net, runtime.generator(0))
    assert net[0].weight.abs().max() <= 0.1
    assert net[0].weight.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.05)
    assert torch.equal(net[1].weight, torch.ones(50))
    assert all(parameter.requires_grad for parameter in net.parameters())


@pytest.mark.parametrize("generator", [None, 7])
def test_initialise_needs_a_generator(generator):
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator"):
        models.initialise(models.linear(4, 2), generator)


def test_initialise_needs_a_module():
    with pytest.raises(TypeError, match=r"model must be .*Module.*function"):
        models.initialise(lambda x: x, runtime.generator(0))


def test_frozen_accepts_any_callable_and_leaves_it_alone():
    with models.frozen(lambda x: x):
        pass


def test_frozen_refuses_what_cannot_be_asked():
    with pytest.raises(TypeError, match=r"model must be callable.*str"), models.frozen("digits-cnn"):
        pass


def test_frozen_restores_after_an_exception_and_when_nested():
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    net[0].eval()

    def fail():
        with models.frozen(net), models.frozen(net):
            assert not net.training
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    assert net.training
    assert net[1].training
    assert not net[0].training
    assert net[0].weight.requires_grad
