"""Federated learning: averages against gradient descent, masks that cancel exactly, shares, drop-outs, noise."""

import itertools
import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parameters_to_vector

from modelsec_course import federated, inversion, models, runtime, training
from modelsec_course.federated import MODULUS
from modelsec_course.federated.masks import expand
from modelsec_course.federated.sharing import PRIME


def blobs(n=60, seed=0):
    """Three classes that a linear model tells apart."""
    draw = runtime.generator(seed)
    y = torch.randint(3, (n,), generator=draw)
    return F.one_hot(y, 6).float() + 0.2 * torch.randn(n, 6, generator=draw), y


def fresh(seed=0):
    return models.initialise(models.linear(6, 3), runtime.generator(seed))


def vectors(clients=6, length=40, seed=0):
    return torch.randn(clients, length, generator=runtime.generator(seed), dtype=torch.float64)


# ------------------------------------------------------------------------------------------------------------ averages


def test_one_whole_batch_each_is_a_step_of_gradient_descent_on_all_data():
    x, y = blobs()
    owners, net = torch.arange(60) % 7, fresh()
    step = [0.5 * part for part in inversion.batch_gradient(net, x, y)]
    want = parameters_to_vector(net.parameters()) - torch.cat([part.flatten() for part in step])
    federated.fedavg(net, x, y, owners, rounds=1, lr=0.5, batch_size=60, progress=False)  # sizes differ: weights matter
    assert (parameters_to_vector(net.parameters()) - want).abs().max() < 1e-6


def test_clients_at_once_are_each_one_by_itself():
    x, y = blobs()
    owners = torch.where(torch.arange(60) < 25, 0, torch.arange(60) % 3)
    net = fresh()
    options = {"epochs": 3, "lr": 0.3, "batch_size": 60}
    together = federated.local_updates(net, x, y, owners, torch.arange(3), **options)
    for client in range(3):
        mine = owners == client
        own = fresh()
        optimiser = torch.optim.SGD(own.parameters(), 0.3)
        for _ in range(3):
            optimiser.zero_grad()
            F.cross_entropy(own(x[mine]), y[mine]).backward()
            optimiser.step()
        change = parameters_to_vector(own.parameters()) - parameters_to_vector(net.parameters())
        assert (together[client] - change).abs().max() < 1e-6


def test_batches_go_once_through_each_clients_own_rows():
    owners = torch.tensor([0] * 7 + [1] * 3 + [2] * 5)
    seen = {client: [] for client in range(3)}
    for rows, share in federated.averaging._batches(owners, torch.arange(3), 3, runtime.generator(1)):
        for client in range(3):
            own = rows[client][share[client] > 0]
            assert share[client].sum() == pytest.approx(1.0 if len(own) else 0.0)
            seen[client] += own.tolist()
    assert {client: sorted(rows) for client, rows in seen.items()} == {
        client: (owners == client).nonzero().flatten().tolist() for client in range(3)
    }


def test_clients_learn_together_and_the_server_sees_each_round():
    x, y = blobs(120)
    owners, seen = federated.deal(y, 10, generator=runtime.generator(2)), []
    net = federated.fedavg(fresh(), x, y, owners, rounds=15, lr=0.5, share=0.5, on_round=seen.append, progress=False)
    assert training.accuracy(net, x, y) > 0.95
    assert len(seen) == 15
    taking_part = [len(one.clients) for one in seen]
    assert 3 < sum(taking_part) / 15 < 7
    assert all(one.updates.shape == (len(one.clients), 21) and one.step.shape == (21,) for one in seen)
    assert not net.training


def test_a_round_without_clients_changes_nothing():
    x, y = blobs(6)
    net = fresh()
    before, seen = parameters_to_vector(net.parameters()).clone(), []
    federated.fedavg(net, x, y, torch.zeros_like(y), rounds=3, share=1e-9, on_round=seen.append, progress=False)
    assert torch.equal(before, parameters_to_vector(net.parameters()))
    assert [len(one.clients) for one in seen] == [0, 0, 0]


def test_dealing_is_even_or_lopsided_as_alpha_says():
    y = torch.arange(3000) % 10
    even, odd = (federated.deal(y, 5, alpha=a, generator=runtime.generator(3)) for a in (torch.inf, 0.1))
    largest = []
    for owners in (even, odd):
        counts = torch.stack([y[owners == client].bincount(minlength=10) for client in range(5)]).double()
        assert counts.sum() == 3000
        largest.append((counts.amax(0) / counts.sum(0)).mean().item())  # a label's share at its largest client
    assert largest[0] < 0.3
    assert largest[1] > 0.6


# --------------------------------------------------------------------------------------------------------------- noise


def test_private_mean_without_noise_is_the_clipped_sum_over_the_expected_number():
    updates = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    got = federated.private_mean(
        updates, torch.ones(3), clip=1.0, noise_multiplier=0.0, expected=5.0, generator=runtime.generator(0)
    )
    assert torch.allclose(got, torch.tensor([0.6 + 0.3, 0.8 + 0.4]) / 5)


def test_private_means_noise_has_the_deviation_that_the_proof_counts_on():
    for updates in (torch.zeros(0, 20_000), torch.zeros(4, 20_000)):  # an empty round is noisy too
        got = federated.private_mean(
            updates,
            torch.ones(len(updates)),
            clip=0.5,
            noise_multiplier=3.0,
            expected=10.0,
            generator=runtime.generator(4),
        )
        assert got.std().item() == pytest.approx(3.0 * 0.5 / 10, rel=0.03)


def test_one_client_moves_the_private_sum_by_at_most_the_clip():
    updates = 100 * vectors(6)
    options = {"clip": 0.7, "noise_multiplier": 1.0, "expected": 1.0}
    with_all, without = (
        federated.private_mean(some, torch.ones(len(some)), generator=runtime.generator(5), **options)
        for some in (updates, updates[:-1])
    )
    assert (with_all - without).norm() <= 0.7 + 1e-9


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_an_update_that_is_not_finite_is_left_out_of_the_private_mean(broken):
    updates = torch.tensor([[0.3, 0.4], [broken, 1.0]])
    got = federated.private_mean(
        updates, torch.ones(2), clip=1.0, noise_multiplier=0.0, expected=1.0, generator=runtime.generator(0)
    )
    assert torch.equal(got, updates[0])


# ------------------------------------------------------------------------------------------------- shares, fixed point


def test_any_threshold_of_shares_gives_the_secret_and_fewer_do_not():
    secret, dice = 2**500 + 12345, random.Random(0)
    shares = federated.share(secret, 5, 3, dice)
    for some in itertools.combinations(shares, 3):
        assert federated.recover({at: shares[at] for at in some}) == secret
    assert federated.recover(shares) == secret
    assert federated.recover({at: shares[at] for at in (1, 2)}) != secret


def test_too_few_shares_fit_every_secret():
    shares = federated.share(7, 5, 3, random.Random(1))
    for other in (0, 1, 2**400):  # a third share exists that makes any number the secret
        weights = {at: 1 for at in (1, 2, 3)}
        for at, j in itertools.permutations(weights, 2):
            weights[at] = weights[at] * j * pow(j - at, -1, PRIME) % PRIME
        third = (other - sum(weights[at] * shares[at] for at in (1, 2))) * pow(weights[3], -1, PRIME) % PRIME
        assert federated.recover({1: shares[1], 2: shares[2], 3: third}) == other


def test_fixed_point_is_off_by_half_a_step_and_adds_up_exactly():
    x = vectors(7)
    encoded = federated.encode(x, 7, bits=20)
    assert (federated.decode(encoded, bits=20) - x).abs().max() <= 2.0**-21
    rounded = (x * 2**20).round() / 2**20
    assert torch.equal(federated.decode(encoded.sum(0), bits=20), rounded.sum(0))


def test_fixed_point_refuses_what_could_leave_its_range():
    x = torch.tensor([[2.0**14]])
    federated.encode(x, 1)
    with pytest.raises(ValueError, match="may leave the range"):
        federated.encode(x, 2)
    with pytest.raises(ValueError, match="finite"):
        federated.encode(torch.tensor([torch.nan]), 2)


# --------------------------------------------------------------------------------------------------------------- masks


def test_both_ends_of_a_pair_agree_on_one_mask_and_a_third_does_not():
    dice = random.Random(2)
    (a, public_a), (b, public_b), (c, _) = (federated.key_pair(dice) for _ in range(3))
    assert torch.equal(federated.agreed_mask(a, public_b, 50), federated.agreed_mask(b, public_a, 50))
    assert not torch.equal(federated.agreed_mask(c, public_b, 50), federated.agreed_mask(a, public_b, 50))


def test_masks_cancel_exactly_and_only_all_together():
    dice = random.Random(3)
    secrets, publics = zip(*(federated.key_pair(dice) for _ in range(5)), strict=True)
    masks = federated.pairwise_masks(secrets, publics, 200)
    assert (masks.sum(0) % MODULUS == 0).all()
    for size in range(1, 5):
        for some in itertools.combinations(range(5), size):
            assert (masks[list(some)].sum(0) % MODULUS == 0).float().mean() < 0.05


def test_a_mask_is_uniform():
    share = torch.histc(expand(12345, 40_000).double(), 16, 0, float(MODULUS)) / 40_000
    assert (share - 1 / 16).abs().max() < 0.006


# --------------------------------------------------------------------------------------------------- secure aggregation


@pytest.mark.parametrize("dropped", [(), (0,), (5,), (1, 4)])
def test_the_secure_sum_is_that_of_the_survivors(dropped):
    x = vectors()
    done = federated.secure_sum(x, dropped=dropped, bits=20)
    survivors = [u for u in range(6) if u not in dropped]
    assert done.survivors == tuple(survivors)
    rounded = (x * 2**20).round() / 2**20
    assert torch.equal(done.total, rounded[survivors].sum(0))  # exact: the masks leave no trace
    assert done.received.shape == (len(survivors), 40)


def test_what_the_server_receives_is_uniform_whatever_is_sent():
    x = torch.zeros(4, 20_000)
    done = federated.secure_sum(x)
    assert (done.total == 0).all()
    for received in done.received:
        share = torch.histc(received.double(), 8, 0, float(MODULUS)) / 20_000
        assert (share - 1 / 8).abs().max() < 0.012
    rows = done.received.double() / MODULUS
    assert (torch.corrcoef(rows) - torch.eye(4)).abs().max() < 0.03


def test_a_clients_own_mask_still_hides_it_when_its_key_is_known():
    """The reason for double masking: with all pairwise masks taken off, a vector that arrives late is not bare."""
    x = vectors(4)
    encoded = federated.encode(x, 4)
    done = federated.secure_sum(x, generator=runtime.generator(6))
    draw = runtime.generator(6)
    dice = random.Random(int(torch.randint(2**62, (1,), generator=draw)))
    secrets, publics = zip(*(federated.key_pair(dice) for _ in range(4)), strict=True)
    bare = (done.received - federated.pairwise_masks(secrets, publics, 40)) % MODULUS
    assert (bare == encoded).double().mean() < 0.05
    own = torch.stack([expand(federated.key_pair(dice)[0], 40) for _ in range(4)])
    assert torch.equal((bare - own) % MODULUS, encoded)  # these were all its masks


def test_too_few_survivors_are_refused_and_a_lower_threshold_lets_one_alone():
    x = vectors()
    with pytest.raises(ValueError, match="3 of 6 clients survive, but 4 are needed"):
        federated.secure_sum(x, dropped=(0, 1, 2))
    alone = federated.secure_sum(x, dropped=range(1, 6), threshold=1)
    assert (alone.total - x[0]).abs().max() < 1e-5  # what the sum of one still says


def test_federated_averaging_by_secure_sums_is_federated_averaging():
    x, y = blobs()
    owners = torch.arange(60) % 5

    def securely(updates, sizes):
        return federated.secure_sum(updates * sizes[:, None], bits=20).total / sizes.sum()

    nets = [
        federated.fedavg(fresh(), x, y, owners, rounds=3, aggregate=aggregate, progress=False)
        for aggregate in (federated.weighted_mean, securely)
    ]
    gap = parameters_to_vector(nets[0].parameters()) - parameters_to_vector(nets[1].parameters())
    assert gap.abs().max() < 1e-5


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: federated.secure_sum(torch.zeros(1, 3)), "at least two clients"),
        (lambda: federated.secure_sum(torch.zeros(3, 3).long()), "floating point"),
        (lambda: federated.secure_sum(torch.zeros(3, 3), dropped=(3,)), "dropped must name clients from 0 to 2"),
        (lambda: federated.secure_sum(torch.zeros(3, 3), threshold=4), "threshold must be at most"),
        (lambda: federated.share(1, 3, 4, random.Random(0)), "nobody could recover"),
        (lambda: federated.share(PRIME, 3, 2, random.Random(0)), "split a longer one"),
        (lambda: federated.recover({}), "at least one share"),
        (lambda: federated.deal(torch.zeros(4).long(), 2, alpha=0.0), "alpha must be above 0"),
    ],
)
def test_bad_input_is_explained(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"share": 0.0}, "share"),
        ({"share": 1.5}, "share"),
        ({"rounds": 0}, "rounds"),
        ({"lr": 0.0}, "lr must be above 0"),
    ],
)
def test_bad_settings_of_federated_averaging_are_explained(wrong, words):
    x, y = blobs(6)
    with pytest.raises(ValueError, match=words):
        federated.fedavg(fresh(), x, y, torch.zeros_like(y), **({"rounds": 1, "progress": False} | wrong))
    with pytest.raises(TypeError, match="model must be"):
        federated.fedavg(lambda z: z, x, y, torch.zeros_like(y), rounds=1)
    with pytest.raises(ValueError, match="owners must have shape"):
        federated.fedavg(nn.Linear(6, 3), x, y, torch.zeros(3).long(), rounds=1)
