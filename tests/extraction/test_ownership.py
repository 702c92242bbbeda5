"""The p-values mean what they say: innocent models are accused no more often than promised, copies are found."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import binom, binomtest, kstest, t
from torch import nn

from modelsec_course import data, models, runtime, training
from modelsec_course.ensembles import batched
from modelsec_course.extraction import Victim, Watermark, dataset_inference, knockoff, mixtures, watermark_p_value

INNOCENTS, DRAWS = 40, 100


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def fresh(seed):
    return models.initialise(mlp(), runtime.generator(seed))


def edge():
    pixels = torch.zeros(1, 8, 8, dtype=torch.bool)
    pixels[..., 0] = pixels[..., 7] = True
    return pixels


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def owner(digits):
    """The mark, and a model that carries it: trained on the first 700 digits."""
    mark = Watermark.draw(edge(), generator=runtime.generator(0))
    x, y = mark.rows(digits.x_train[:15])
    net = fresh(1)
    rows = torch.cat([digits.x_train[:700], x]), torch.cat([digits.y_train[:700], y])
    training.fit(net, *rows, progress=False)
    return mark, net


@pytest.fixture(scope="module")
def innocents(digits):
    """Forty networks, each trained on half of the digits that are neither the owner's nor public."""
    x, y = digits.x_train[700:1337], digits.y_train[700:1337]
    members = torch.rand(INNOCENTS, len(x), generator=runtime.generator(2)) < 0.5
    return batched.train(mlp, x, y, members, generator=runtime.generator(3), progress=False)


def test_known_p_values():
    assert watermark_p_value(12, 20, 0.1) == pytest.approx(5.81e-8, rel=1e-3)  # REFERENCE: 12 of 20 at 1/10
    assert watermark_p_value(0, 20, 0.1) == 1
    assert watermark_p_value(20, 20, 0.1) == pytest.approx(1e-20)
    assert watermark_p_value(1, 1, 0.3) == pytest.approx(0.3)


@pytest.mark.parametrize(("n", "chance"), [(1, 0.5), (20, 0.1), (100, 0.1), (50, 0.9)])
def test_p_values_are_the_binomial_tail(n, chance):
    for hits in range(0, n + 1, max(1, n // 10)):
        ours = watermark_p_value(hits, n, chance)
        assert ours == pytest.approx(binomtest(hits, n, chance, alternative="greater").pvalue)
        tail = math.fsum(math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(hits, n + 1))
        assert ours == pytest.approx(tail)


@pytest.mark.parametrize(("n", "chance"), [(1, 0.5), (20, 0.1), (100, 0.1)])
def test_a_discrete_p_value_is_conservative_exactly(n, chance):
    """P(p <= α) <= α for every α, with equality at the n + 1 values that p takes, and only there."""
    p = np.array([watermark_p_value(k, n, chance) for k in range(n + 1)])
    mass = binom.pmf(np.arange(n + 1), n, chance)
    for alpha in np.concatenate([np.linspace(0, 1, 101), p]):
        assert mass[p <= alpha].sum() <= alpha + 1e-12
    for attained in p:
        assert mass[p <= attained * (1 + 1e-12)].sum() == pytest.approx(attained)


def hits_under_new_labels(answers, classes, seed):
    """For each innocent model and each new draw of secret labels, how many keys it hits: (DRAWS, models)."""
    votes = F.one_hot(answers, classes).sum(2).argmax(2)  # (models, keys)
    labels = torch.randint(classes, (DRAWS, *votes.shape), generator=runtime.generator(seed))
    return (votes == labels).sum(2)


@pytest.fixture(scope="module")
def answers(innocents, owner, digits):
    """What the innocent models say to 50 stamped digits: (models, keys, digits)."""
    stamped = owner[0].stamp(digits.x_test[:50])
    return innocents.logits(stamped.flatten(0, 1)).argmax(2).view(INNOCENTS, 20, 50)


def test_innocent_models_are_accused_no_more_than_promised(answers):
    hits = hits_under_new_labels(answers, 10, seed=4).flatten().numpy()
    p = np.array([watermark_p_value(int(k), 20, 0.1) for k in hits])
    for alpha in (0.003, 0.01, 0.05, 0.2):
        promised = binom.ppf(0.999, len(p), alpha) / len(p)  # what chance makes of the promise, in 4,000 tests
        assert (p <= alpha).mean() <= promised


def test_hits_of_innocent_models_are_binomial_and_their_randomised_p_values_uniform(answers):
    """p itself takes 21 values, so it cannot be uniform; spread evenly over each step, it is."""
    hits = hits_under_new_labels(answers, 10, seed=5).flatten().numpy()
    expected = binom.pmf(np.arange(6), 20, 0.1)
    counted = np.array([(hits == k).mean() for k in range(6)])
    assert np.abs(counted - expected).max() < 4 * math.sqrt(0.25 / len(hits))
    u = torch.rand(len(hits), generator=runtime.generator(6)).numpy()
    randomised = binom.sf(hits, 20, 0.1) + u * binom.pmf(hits, 20, 0.1)
    assert kstest(randomised, "uniform").pvalue > 1e-3


def test_pictures_with_one_key_are_not_independent_trials(innocents, digits):
    """Counting 100 digits with one white square as 100 trials accuses innocent models far more often than α = 1 %."""
    p, draw = [], runtime.generator(7)
    for _ in range(20):
        (row, column), label = torch.randint(5, (2,), generator=draw).tolist(), torch.randint(10, (), generator=draw)
        stamped = digits.x_test[:100].clone()
        stamped[..., row : row + 4, column : column + 4] = 1
        counts = (innocents.logits(stamped).argmax(2) == label).sum(1)
        p += [watermark_p_value(int(count), 100, 0.1) for count in counts]
    assert (np.array(p) < 0.01).mean() > 0.05


def test_no_innocent_model_passes_for_a_copy_and_copies_do(owner, innocents, digits):
    mark, net = owner
    x, public = digits.x_test[:100], digits.x_train[1337:]
    asked = mixtures(public, 1000, generator=runtime.generator(8))
    clean = mixtures(public, 1000, noise=0.0, generator=runtime.generator(8))
    p = {"owner": mark.p_value(net, x)}
    for name, queries in (("noisy", asked), ("clean", clean)):
        copy = knockoff(Victim(net), queries, fresh(9), epochs=40, progress=False)
        p[name] = mark.p_value(copy, x)
    assert p["owner"] == pytest.approx(1e-20)
    assert p["noisy"] < 1e-6
    assert p["clean"] > 1e-4  # a thief who leaves the edge dark loses the mark
    assert np.median([mark.p_value(innocents.model(i), x) for i in range(10)]) > 0.05


def test_the_mark_costs_little_accuracy(owner, digits):
    plain = fresh(1)
    training.fit(plain, digits.x_train[:700], digits.y_train[:700], progress=False)
    cost = training.accuracy(plain, digits.x_test, digits.y_test) - training.accuracy(
        owner[1], digits.x_test, digits.y_test
    )
    assert cost < 0.04


def test_keys_light_exactly_the_allowed_pixels():
    mark = Watermark.draw(edge(), keys=30, lit=5, generator=runtime.generator(1))
    assert mark.patterns.shape == (30, 1, 8, 8)
    assert (mark.patterns.flatten(1).sum(1) == 5).all()
    assert mark.patterns[:, ~edge()].sum() == 0
    x = torch.rand(4, 1, 8, 8, generator=runtime.generator(2))
    stamped = mark.stamp(x)
    assert stamped.shape == (30, 4, 1, 8, 8)
    lit = mark.patterns.bool()
    for key in range(30):
        assert (stamped[key][:, lit[key]] == 1).all()
        assert torch.equal(stamped[key][:, ~lit[key]], x[:, ~lit[key]])


def test_labels_are_drawn_uniformly_and_independently_of_the_patterns():
    labels = torch.cat([Watermark.draw(edge(), keys=50, generator=runtime.generator(k)).labels for k in range(40)])
    counts = labels.bincount(minlength=10).numpy()
    assert np.abs(counts - 200).max() < 4.5 * math.sqrt(2000 * 0.1 * 0.9)


def test_rows_carry_the_secret_labels_and_hits_count_keys_by_majority():
    mark = Watermark(torch.eye(3), torch.tensor([2, 0, 1]), classes=3)
    x, y = mark.rows(torch.zeros(2, 3))
    assert x.tolist() == [row for row in torch.eye(3).tolist() for _ in range(2)]
    assert y.tolist() == [2, 2, 0, 0, 1, 1]
    knows_two = lambda z: z @ F.one_hot(torch.tensor([2, 0, 0]), 3).float()  # noqa: E731
    assert mark.hits(knows_two, torch.zeros(5, 3)) == 2
    assert mark.p_value(knows_two, torch.zeros(5, 3)) == pytest.approx(watermark_p_value(2, 3, 1 / 3))


def test_dataset_inference_is_calibrated_when_nobody_was_trained_on_either_side(innocents, digits):
    """One innocent model, many random splits of digits that it never saw: p is uniform."""
    model, x, y = innocents.model(0), digits.x_test, digits.y_test
    p = []
    for seed in range(200):
        order = torch.randperm(360, generator=runtime.generator(seed))
        one, other = order[:180], order[180:]
        p.append(dataset_inference(model, (x[one], y[one]), (x[other], y[other])))
    assert kstest(p, "uniform").pvalue > 1e-3


def test_dataset_inference_finds_a_model_that_has_memorised(innocents, digits):
    """With a tenth of the labels wrong the victim is betrayed and an independent model is not."""
    draw = runtime.generator(10)

    def wrong(y):
        return torch.where(torch.rand(len(y), generator=draw) < 0.1, torch.randint(10, y.shape, generator=draw), y)

    x, y, outside = digits.x_train[:700], wrong(digits.y_train[:700]), (digits.x_test, wrong(digits.y_test))
    victim = fresh(11)
    training.fit(victim, x, y, epochs=80, progress=False)
    assert dataset_inference(victim, (x, y), outside) < 1e-4
    independent = [dataset_inference(innocents.model(i), (x, y), outside) for i in range(10)]
    assert np.median(independent) > 0.02


def test_dataset_inference_is_welchs_test_of_the_margins():
    model = lambda z: z  # noqa: E731
    inside = torch.tensor([[3.0, 1.0], [0.0, 5.0], [4.0, 0.0]]), torch.tensor([0, 1, 0])  # margins 2, 5, 4
    outside = torch.tensor([[1.0, 1.5], [2.0, 1.0]]), torch.tensor([0, 0])  # margins -0.5, 1
    a, b = np.array([2.0, 5.0, 4.0]), np.array([-0.5, 1.0])
    spread = a.var(ddof=1) / 3 + b.var(ddof=1) / 2
    freedom = spread**2 / ((a.var(ddof=1) / 3) ** 2 / 2 + (b.var(ddof=1) / 2) ** 2)
    want = t.sf((a.mean() - b.mean()) / math.sqrt(spread), freedom)
    assert dataset_inference(model, inside, outside) == pytest.approx(want)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((21, 20, 0.1), "at most n = 20"),
        ((-1, 20, 0.1), "at least 0"),
        ((1, 20, 1.5), "chance must lie in"),
        ((0, 0, 0.1), "n must be"),
    ],
)
def test_counts_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        watermark_p_value(*arguments)


def test_keys_that_cannot_be_are_refused(digits):
    with pytest.raises(ValueError, match="lit must be 1 to 16"):
        Watermark.draw(edge(), lit=17)
    with pytest.raises(ValueError, match="at least two inputs each"):
        dataset_inference(fresh(0), (digits.x_test[:1], digits.y_test[:1]), (digits.x_test, digits.y_test))
