"""Gradients against algebra: a linear layer's quotient, labels by their sign, exact searches, pairs by assignment."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import inversion, models, runtime
from modelsec_course.inversion.distances import DISTANCES


def net_with(activation, seed=0, classes=4):
    """A small convolutional network for 4×4 pictures, in float32."""
    layers = [nn.Conv2d(1, 6, 3, padding=1), activation(), nn.Conv2d(6, 6, 3, 2, 1), activation(), nn.Flatten()]
    return models.initialise(nn.Sequential(*layers, nn.Linear(24, classes)), runtime.generator(seed))


def mlp(width=64, seed=0):
    return models.initialise(
        nn.Sequential(nn.Flatten(), nn.Linear(16, width), nn.ReLU(), nn.Linear(width, 5)), runtime.generator(seed)
    )


def pictures(n, seed=0, classes=4):
    draw = runtime.generator(seed)
    return torch.rand(n, 1, 4, 4, generator=draw), torch.randint(classes, (n,), generator=draw)


# ------------------------------------------------------------------------------------------------------- closed forms


def test_the_batch_gradient_is_softmax_minus_one_hot_times_the_input():
    net, (x, y) = models.linear(16, 4).double(), pictures(7)
    x = x.double()
    slope = (net(x).softmax(1) - F.one_hot(y, 4)).detach() / 7
    weight, bias = inversion.batch_gradient(net, x, y)
    assert torch.allclose(weight, slope.T @ x.flatten(1), atol=1e-12)
    assert torch.allclose(bias, slope.sum(0), atol=1e-12)


def test_the_batch_gradient_leaves_the_model_as_it_was():
    net, (x, y) = nn.Sequential(models.poolnet(8, 1, 4)), pictures(4)
    before, x = [value.clone() for value in net.state_dict().values()], F.interpolate(x, (8, 8))
    net.train()
    inversion.batch_gradient(net, x, y)
    assert net.training
    assert all(weight.requires_grad and weight.grad is None for weight in net.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, net.state_dict().values(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_one_input_of_a_linear_layer_is_exact_from_every_active_unit(seed):
    net, (x, y) = mlp(seed=seed), pictures(1, seed)
    weight, bias, *_ = inversion.batch_gradient(net, x, y)
    quotients, units = inversion.row_inputs(weight, bias)
    dead = (net[1](x.flatten(1)) <= 0)[0]
    assert set(units.tolist()) == set((~dead).nonzero().flatten().tolist())
    assert (quotients - x.flatten(1)).abs().max() < 1e-4
    assert (inversion.invert_linear(weight, bias) - x.flatten()).abs().max() < 1e-6
    assert bias[units].abs().diff().max() <= 0  # the largest first


def test_a_quotient_of_a_batch_is_the_mixture_that_theory_says():
    net, (x, y) = mlp(8).double(), pictures(3, 1)
    x = x.double()
    weight, bias, *_ = inversion.batch_gradient(net, x, y)
    hidden = net[1](x.flatten(1)).detach().requires_grad_()
    (slope,) = torch.autograd.grad(F.cross_entropy(net[3](hidden.relu()), y), hidden)  # (batch, units)
    quotients, units = inversion.row_inputs(weight, bias)
    share = slope[:, units] / slope[:, units].sum(0)
    assert torch.allclose(quotients, share.T @ x.flatten(1), atol=1e-9)


def test_rows_that_agree_are_inputs_and_mixtures_are_not_taken_for_one():
    net, (x, y) = mlp(512), pictures(8, 2)
    found = inversion.shared_rows(inversion.row_inputs(*inversion.batch_gradient(net, x, y)[:2])[0])
    gap = torch.cdist(found, x.flatten(1), p=torch.inf).amin(1)
    assert len(found) >= 4
    assert (gap < 1e-3).all()
    mixtures = torch.rand(40, 16, generator=runtime.generator(3))
    assert inversion.shared_rows(mixtures).shape == (0, 16)
    assert inversion.shared_rows(mixtures[:0]).shape == (0, 16)


def test_a_layer_that_saw_nothing_is_refused():
    with pytest.raises(ValueError, match="says nothing"):
        inversion.invert_linear(torch.zeros(3, 4), torch.zeros(3))


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_label_of_one_example_is_exact_from_bias_and_from_weight(classes):
    draw = runtime.generator(classes)
    for _ in range(20):
        net = models.initialise(nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, classes)), draw)
        x, y = torch.randn(1, 6, generator=draw), torch.randint(classes, (1,), generator=draw)
        gradient = inversion.batch_gradient(net, x, y)
        assert inversion.label_from_gradient(gradient[-1]) == y
        if classes > 2:
            assert inversion.label_from_gradient(gradient[-2]) == y


def test_a_weight_gradient_of_two_classes_cannot_tell():
    with pytest.raises(ValueError, match="use the bias"):
        inversion.label_from_gradient(torch.ones(2, 5))


def test_label_counts_are_exact_when_the_mean_answer_is_known():
    draw = runtime.generator(4)
    for batch in (1, 8, 100):
        net, x = models.initialise(models.linear(6, 5), draw), torch.randn(batch, 6, generator=draw)
        y = torch.randint(5, (batch,), generator=draw)
        bias = inversion.batch_gradient(net, x, y)[-1]
        counts = inversion.label_counts(bias, batch, net(x).softmax(1).mean(0).detach())
        assert counts.tolist() == y.bincount(minlength=5).tolist()
        assert inversion.label_counts(bias, batch).sum() == batch


def test_a_class_with_a_negative_entry_is_counted():
    counts = inversion.label_counts(torch.tensor([0.3, -0.01, -0.29]), 4)
    assert counts.sum() == 4
    assert counts[2] >= 1


# ------------------------------------------------------------------------------------------------------------ searches


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh, nn.GELU])
@pytest.mark.parametrize("distance", DISTANCES)
def test_one_picture_is_found_to_nine_digits(activation, distance):
    net, (x, y) = net_with(activation), pictures(1)
    found = inversion.invert_gradient(
        net, inversion.batch_gradient(net, x, y), x.shape, y, distance=distance, restarts=3, progress=False
    )
    assert inversion.mse(found.x, x) < 1e-9
    assert found.loss < 1e-10


def test_adam_finds_the_picture_too_less_exactly():
    net, (x, y) = net_with(nn.Tanh), pictures(1)
    sent = inversion.batch_gradient(net, x, y)
    found = inversion.invert_gradient(
        net, sent, x.shape, y, optimiser="adam", distance="cosine", steps=200, progress=False
    )
    assert inversion.mse(found.x, x) < 1e-5


def test_without_labels_picture_and_label_are_found():
    net, (x, y) = net_with(nn.Tanh), pictures(1, 3)
    found = inversion.invert_gradient(net, inversion.batch_gradient(net, x, y), x.shape, restarts=8, progress=False)
    assert found.y.tolist() == y.tolist()
    assert inversion.mse(found.x, x) < 1e-8


def test_several_updates_side_by_side_are_each_one_alone():
    net, (x, y) = net_with(nn.Tanh), pictures(6)
    x, y = x.view(3, 2, 1, 4, 4), y.view(3, 2)
    sent = [
        torch.stack(parts) for parts in zip(*map(lambda a, b: inversion.batch_gradient(net, a, b), x, y), strict=True)
    ]
    together = inversion.invert_gradient(net, sent, x[0].shape, y, restarts=4, progress=False)
    assert together.x.shape == x.shape
    assert together.restarts.shape == (3, 4, 2, 1, 4, 4)
    errors = torch.stack([inversion.mse(a, b).max() for a, b in zip(together.x, x, strict=True)])
    assert (errors < 1e-8).sum() >= 2


def test_a_batch_of_one_label_per_picture_is_found_up_to_its_order():
    net, (x, _) = net_with(nn.Tanh), pictures(2)
    y = torch.tensor([2, 0])
    sent = inversion.batch_gradient(net, x, y)
    found = inversion.invert_gradient(net, sent, x.shape, y.flip(0), restarts=6, progress=False)
    assert inversion.mse(found.x, x).max() < 1e-8
    assert (found.x - x.flip(0)).abs().max() < 1e-3  # the labels were given in the other order


def test_the_restart_is_chosen_by_its_own_loss():
    net, (x, y) = net_with(nn.Tanh), pictures(3)
    found = inversion.invert_gradient(
        net, inversion.batch_gradient(net, x, y), x.shape, y, steps=6, restarts=5, progress=False
    )
    assert found.loss == found.losses.min()
    assert torch.equal(found.x, found.restarts[found.losses.argmin()])


def test_the_loss_is_the_distance_of_the_gradients():
    net, (x, y) = net_with(nn.Tanh).double(), pictures(2)
    x = x.double()
    sent = inversion.batch_gradient(net, x, y)
    flat = torch.cat([part.flatten() for part in sent])
    for distance in DISTANCES:
        options = {"optimiser": "adam", "distance": distance, "steps": 1, "restarts": 1}
        found = inversion.invert_gradient(net, sent, x.shape, y, progress=False, **options)
        own = torch.cat([part.flatten() for part in inversion.batch_gradient(net, found.x, y)])
        angle = 1 - F.cosine_similarity(own, flat, dim=0)
        want = {"squared": (own - flat).square().sum() / flat.square().sum(), "cosine": angle}[distance]
        assert found.loss.item() == pytest.approx(want.item(), rel=1e-6)


def test_the_cosine_does_not_see_the_length_and_the_squared_distance_does():
    net, (x, y) = net_with(nn.Tanh), pictures(1)
    sent = [3 * part for part in inversion.batch_gradient(net, x, y)]
    errors = [
        inversion.mse(inversion.invert_gradient(net, sent, x.shape, y, distance=d, restarts=3, progress=False).x, x)
        for d in ("cosine", "squared")
    ]
    assert errors[0] < 1e-8
    assert errors[1] > 1e-3


def test_another_gradient_leads_elsewhere():
    net, (x, y) = net_with(nn.Tanh), pictures(2)
    sent = inversion.batch_gradient(net, x[1:], y[1:])
    found = inversion.invert_gradient(net, sent, x[1:].shape, y[1:], restarts=3, progress=False)
    assert inversion.mse(found.x, x[1:]) < 1e-9
    assert inversion.mse(found.x, x[:1]) > 1e-2


def test_total_variation_makes_pictures_smoother():
    net, (x, y) = net_with(nn.Tanh), pictures(1)
    sent = inversion.batch_gradient(net, x, y)
    options = {"optimiser": "adam", "steps": 60, "restarts": 2, "progress": False}
    rough, smooth = (inversion.invert_gradient(net, sent, x.shape, y, tv=tv, **options).x for tv in (0.0, 10.0))
    assert smooth.diff(dim=-1).abs().mean() < 0.3 * rough.diff(dim=-1).abs().mean()


def test_the_model_is_as_before_and_the_search_repeats():
    net, (x, y) = net_with(nn.Tanh), pictures(1)
    net.train()
    before = [weight.detach().clone() for weight in net.parameters()]
    sent = inversion.batch_gradient(net, x, y)
    again = [
        inversion.invert_gradient(net, sent, x.shape, y, steps=5, restarts=2, progress=False).restarts for _ in "ab"
    ]
    assert torch.equal(*again)
    assert net.training
    assert all(torch.equal(a, b) and b.requires_grad for a, b in zip(before, net.parameters(), strict=True))


# ------------------------------------------------------------------------------------------------------------- quality


def test_pairs_are_the_best_of_all_orders():
    draw = runtime.generator(6)
    x, found = torch.rand(2, 5, 1, 3, 3, generator=draw)
    least = min((found[list(order)] - x).square().mean() for order in itertools.permutations(range(5)))
    assert inversion.mse(found, x).mean() == pytest.approx(least.item(), rel=1e-6)
    assert torch.equal(inversion.best_assignment(x.flip(0), x), x)


def test_psnr_of_a_tenth_of_the_range_is_twenty_decibels():
    x = torch.full((2, 1, 4, 4), 0.5)
    assert inversion.psnr(x + 0.1, x).tolist() == pytest.approx([20.0, 20.0], abs=1e-4)
    assert inversion.psnr(x, x).isinf().all()


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"distance": "l1"}, "distance must be one of"),
        ({"optimiser": "sgd"}, "optimiser must be one of"),
        ({"restarts": 0}, "restarts must be at least 1"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"tv": -1.0}, "tv must lie in"),
        ({"y": torch.zeros(3, dtype=torch.int64)}, "y must be int64 of shape"),
        ({"y": torch.zeros(1)}, "y must be int64 of shape"),
        ({"shape": (1,)}, "shape must be that of the batch"),
        ({"gradient": [torch.zeros(2)]}, "gradient must have the shapes"),
    ],
)
def test_bad_input_is_explained(wrong, words):
    net, (x, y) = net_with(nn.Tanh), pictures(1)
    given = {"gradient": inversion.batch_gradient(net, x, y), "shape": x.shape, "y": y, "progress": False} | wrong
    with pytest.raises(ValueError, match=words):
        inversion.invert_gradient(net, **given)


def test_bad_gradients_of_a_layer_are_explained():
    with pytest.raises(ValueError, match="of one linear layer"):
        inversion.row_inputs(torch.zeros(3, 4), torch.zeros(4))
    with pytest.raises(ValueError, match="probabilities must have shape"):
        inversion.label_counts(torch.zeros(3), 4, torch.zeros(2))
    with pytest.raises(ValueError, match="at least one input"):
        inversion.batch_gradient(models.linear(4, 2), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="batches of one shape"):
        inversion.mse(torch.zeros(2, 4), torch.zeros(3, 4))
