"""Randomised smoothing: published radii, the promised error, and a linear classifier, which smooths to itself."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest, norm
from torch import nn

from modelsec_course import data, models, runtime, training, zoo
from modelsec_course.robustness import ABSTAIN, certified_radius, certify, noisy_votes, predict


def line(bias=0.0):
    net = models.initialise(models.linear(9, 2), runtime.generator(0))
    with torch.no_grad():
        net[1].bias[0] += bias
    return net


def constant(x):
    """Always class 1."""
    return torch.tensor([0.0, 1.0]).expand(len(x), 2)


class Coin(nn.Module):
    """Class 0 or 1 by the sign of the first pixel."""

    def forward(self, x):
        return torch.stack([x.flatten(1)[:, 0], -x.flatten(1)[:, 0]], 1)


@pytest.mark.parametrize(("n", "ratio"), [(100, 1.500475), (10**3, 2.463263), (10**4, 3.198578), (10**5, 3.811457)])
@pytest.mark.parametrize("sigma", [0.25, 1.0])
def test_the_largest_radius_of_n_samples(n, ratio, sigma):
    assert certified_radius(n, n, sigma=sigma) / sigma == pytest.approx(ratio, abs=5e-7)
    assert certified_radius(n, n, sigma=sigma) == pytest.approx(sigma * norm.ppf(0.001 ** (1 / n)))


def test_the_radii_of_1000_samples():
    radii = certified_radius([990, 900, 600], 1000, sigma=0.25)
    assert radii == pytest.approx([0.49450, 0.27862, 0.03209], abs=5e-6)


def test_half_of_the_votes_prove_nothing():
    assert certified_radius(50_100, 100_000, sigma=1.0) == 0
    assert (certified_radius(np.arange(501), 1000, sigma=1.0) == 0).all()


@pytest.mark.parametrize("alpha", [0.001, 0.05])
@pytest.mark.parametrize("p", [0.6, 0.9, 0.95])
def test_the_radius_is_too_large_no_more_often_than_alpha(p, alpha):
    hits = np.arange(201)
    too_large = certified_radius(hits, 200, sigma=1.0, alpha=alpha) > norm.ppf(p)
    assert 0 < binom.pmf(hits, 200, p)[too_large].sum() <= alpha  # exact, no sampling


def test_the_radius_grows_with_the_votes_with_sigma_and_with_doubt():
    radii = certified_radius(np.arange(101), 100, sigma=1.0)
    assert (np.diff(radii) >= 0).all()
    assert certified_radius(90, 100, sigma=2.0) == pytest.approx(2 * certified_radius(90, 100, sigma=1.0))
    assert certified_radius(90, 100, sigma=1.0, alpha=0.1) > certified_radius(90, 100, sigma=1.0, alpha=0.01)


@pytest.mark.parametrize("n", [50, 1000])
def test_a_constant_classifier_is_proved_up_to_the_limit_and_never_beyond(n):
    classes, radii = certify(constant, torch.rand(3, 4), sigma=0.5, n=n, alpha=0.001)
    assert classes.tolist() == [1, 1, 1]
    limit = 0.5 * norm.ppf(0.001 ** (1 / n))
    assert radii.tolist() == pytest.approx([limit] * 3)
    assert (radii.double() <= limit).all()


def test_a_linear_classifier_smooths_to_itself():
    net, x = line(), torch.rand(40, 1, 3, 3, generator=runtime.generator(1))
    with torch.no_grad():
        logits = net(x)
    w = (net[1].weight[1] - net[1].weight[0]).detach().norm()
    exact = (logits[:, 1] - logits[:, 0]).abs() / w
    classes, radii = certify(net, x, sigma=0.3, n=20_000)
    sure = exact > 0.05
    assert torch.equal(classes[sure], logits.argmax(1)[sure])
    assert (radii <= exact + 1e-6).all()
    assert (exact - radii)[sure].max() < 0.03
    assert torch.equal(predict(net, x, sigma=0.3, n=5000)[sure], logits.argmax(1)[sure])


def test_on_the_boundary_it_abstains():
    x = torch.zeros(20, 4)
    classes, radii = certify(Coin(), x, sigma=1.0, n=500)
    assert set(classes.tolist()) == {ABSTAIN}
    assert not radii.any()
    assert set(predict(Coin(), x, sigma=1.0, n=500).tolist()) == {ABSTAIN}


@pytest.mark.parametrize("n", [20, 101])
def test_predict_is_the_two_sided_binomial_test_of_the_two_leaders(n):
    x = torch.linspace(-0.5, 0.5, 41)[:, None]
    votes = noisy_votes(Coin(), x, n, sigma=1.0, generator=runtime.generator(3))
    said = predict(Coin(), x, sigma=1.0, n=n, alpha=0.05, generator=runtime.generator(3))
    for (zero, one), label in zip(votes.tolist(), said.tolist(), strict=True):
        certain = binomtest(max(zero, one), zero + one, 0.5).pvalue <= 0.05
        assert label == (int(one > zero) if certain else ABSTAIN)


def test_the_class_is_chosen_on_other_samples_than_those_that_prove_it():
    """If the choice saw the counting samples, a coin would be proved far more often than alpha allows."""
    _, radii = certify(Coin(), torch.zeros(2000, 1), sigma=1.0, n0=1, n=100, alpha=0.05)
    assert (radii > 0).float().mean() < 0.06


def test_noise_is_added_before_the_normalisation():
    seen = []

    class Watched(nn.Module):
        def forward(self, x):
            seen.append(x.clone())
            return constant(x)

    model = nn.Sequential(models.Normalize([0.5], [0.1]), Watched())
    noisy_votes(model, torch.full((1, 1, 2, 2), 0.5), 5000, sigma=0.25)
    noise = torch.cat(seen[1:])
    assert noise.std() == pytest.approx(0.25 / 0.1, rel=0.03)
    assert noise.mean() == pytest.approx(0, abs=0.06)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 10_000])
def test_every_copy_is_counted_once_however_they_are_batched(batch_size):
    asked = []
    votes = noisy_votes(
        lambda x: asked.append(len(x)) or constant(x), torch.rand(5, 4), 30, sigma=1.0, batch_size=batch_size
    )
    assert votes.tolist() == [[0, 30]] * 5
    assert sum(asked[1:]) == 150
    assert max(asked) <= max(batch_size, 1)


def test_votes_belong_to_their_own_input():
    x = torch.tensor([[9.0], [-9.0], [9.0]])
    assert noisy_votes(Coin(), x, 50, sigma=1.0, batch_size=7).tolist() == [[50, 0], [0, 50], [50, 0]]


def test_the_generator_decides_and_nothing_is_left_behind():
    net, x = line().train(), torch.rand(4, 1, 3, 3)
    before = torch.get_rng_state()
    runs = [
        noisy_votes(net, x, 200, sigma=1.0, generator=g) for g in (None, runtime.generator(0), runtime.generator(1))
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(torch.get_rng_state(), before)
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_an_empty_batch_gives_empty_results():
    classes, radii = certify(line(), torch.rand(0, 1, 3, 3), sigma=1.0, n=10)
    assert classes.shape == radii.shape == (0,)
    assert predict(line(), torch.rand(0, 1, 3, 3), sigma=1.0).shape == (0,)


def test_the_zoo_s_smoothed_network_proves_what_the_standard_one_does_not():
    digits = data.load("digits")
    x, y = digits.x_test[:60], digits.y_test[:60]
    proved = {}
    for name in ("digits-cnn", "digits-cnn-smoothed"):
        classes, radii = certify(zoo.load(name, device="cpu"), x, sigma=0.25, n=300)
        proved[name] = ((classes == y) & (radii > 0.25)).float().mean().item()
    assert proved["digits-cnn-smoothed"] > 0.7
    assert training.accuracy(zoo.load("digits-cnn-smoothed", device="cpu"), x, y) > 0.95


GOOD = {"sigma": 0.5, "n": 10}
BAD = {
    "sigma 0": ({"sigma": 0.0}, ValueError, r"sigma must be above 0"),
    "n 0": ({"n": 0}, ValueError, r"n must be at least 1"),
    "alpha 0": ({"alpha": 0.0}, ValueError, r"alpha must lie strictly between 0 and 0\.5"),
    "alpha one half": ({"alpha": 0.5}, ValueError, r"alpha must lie strictly between 0 and 0\.5"),
    "batch size": ({"batch_size": 0}, ValueError, r"batch_size must be at least 1"),
    "generator": ({"generator": 3}, TypeError, r"generator must be a torch\.Generator"),
}


@pytest.mark.parametrize("function", [certify, predict])
@pytest.mark.parametrize("bad", BAD)
def test_bad_options_are_refused(function, bad):
    options, kind, message = BAD[bad]
    with pytest.raises(kind, match=message):
        function(constant, torch.rand(2, 3), **GOOD | options)


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        (np.zeros((2, 3)), TypeError, r"x must be a tensor"),
        (torch.zeros(3), ValueError, r"x must be a float tensor \(batch, \.\.\.\)"),
        (torch.zeros(2, 3, dtype=torch.uint8), ValueError, r"x must be a float tensor.*uint8"),
        (torch.full((2, 3), torch.nan), ValueError, r"x holds NaN or infinity"),
    ],
)
def test_bad_inputs_are_refused(x, kind, message):
    with pytest.raises(kind, match=message):
        certify(constant, x, **GOOD)


def test_one_logit_is_no_vote():
    with pytest.raises(ValueError, match="model returned one logit"):
        certify(lambda x: x[:, :1], torch.rand(2, 3), **GOOD)


@pytest.mark.parametrize("hits", [-1, 11, 2.5])
def test_counts_that_cannot_be_are_refused(hits):
    with pytest.raises(ValueError, match="hits must be whole numbers"):
        certified_radius(hits, 10, sigma=1.0)
