"""Audits: published values, closed forms, bounds that hold as often as they say, and bugs that are caught or missed."""

import functools
import math

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm
from torch import nn

from modelsec_course import data, privacy, runtime

PLAN = {"noise_multiplier": 2.0, "sampling_rate": 0.04, "steps": 250, "lr": 2.0}
SHORT = {"noise_multiplier": 7.0, "sampling_rate": 0.4, "steps": 16, "lr": 2.0}


def test_every_run_right_gives_the_closed_form():
    for n in (50, 500):
        for alpha in (0.05, 0.01):
            miss = 1 - (alpha / 2) ** (1 / n)  # the highest rate at which n of n may still be right
            bound = privacy.audit_lower_bound(n, n, 0, n, confidence=1 - alpha)
            assert bound == pytest.approx(math.log((1 - miss) / miss), rel=1e-9)


@pytest.mark.parametrize(("confidence", "eps"), [(0.99, 4.5419), (0.95, 4.9056)])
def test_five_hundred_against_none_is_the_reference(confidence, eps):
    assert privacy.audit_lower_bound(500, 500, 0, 500, confidence=confidence) == pytest.approx(eps, abs=5e-5)


@pytest.mark.parametrize(
    ("right", "guesses", "canaries", "delta", "confidence", "eps"),
    [
        (100, 100, 500, 1e-5, 0.95, 3.479195),  # values of the authors' own code
        (100, 100, 500, 1e-5, 0.99, 3.023198),
        (60, 100, 500, 1e-5, 0.95, 0.050736),
        (1000, 1000, 1000, 0.0, 0.95, 5.809068),
    ],
)
def test_one_run_is_the_reference(right, guesses, canaries, delta, confidence, eps):
    bound = privacy.one_run_lower_bound(right, guesses, canaries, delta=delta, confidence=confidence)
    assert bound == pytest.approx(eps, abs=1e-6)


def test_one_run_without_delta_is_the_binomial_tail_of_randomised_response():
    for right, guesses in ((80, 100), (300, 400), (30, 30)):
        eps = privacy.one_run_lower_bound(right, guesses, 1000)
        assert binom.sf(right - 1, guesses, 1 / (1 + math.exp(-eps))) == pytest.approx(0.05, rel=1e-5)


def test_bounds_fall_with_delta_and_with_confidence():
    for bound in (
        functools.partial(privacy.audit_lower_bound, 80, 100, 5, 100),
        functools.partial(privacy.one_run_lower_bound, 95, 100, 500),
    ):
        assert bound() > bound(confidence=0.99) > 0
        assert bound() > bound(delta=1e-5) > bound(delta=1e-4) > 0


def test_guessing_proves_nothing():
    assert privacy.audit_lower_bound(50, 100, 50, 100) == 0
    assert privacy.gdp_lower_bound(50, 100, 50, 100, delta=1e-5) == 0
    assert privacy.one_run_lower_bound(50, 100, 100) == privacy.one_run_lower_bound(0, 10, 100) == 0


def test_never_with_and_never_without_prove_the_same():
    with_it, without = privacy.audit_lower_bound(30, 100, 0, 100), privacy.audit_lower_bound(100, 100, 70, 100)
    assert with_it == pytest.approx(without)
    assert with_it > 1


def test_the_gaussian_assumption_gives_the_gaussian_mechanism_back():
    for mu in (0.5, 1.0, 2.0):
        n = 10**7
        found, accused = round(n * norm.sf(1 - mu)), round(n * norm.sf(1))
        eps, truth = privacy.gdp_lower_bound(found, n, accused, n, delta=1e-5), privacy.gaussian_epsilon(1 / mu, 1e-5)
        assert truth - 0.02 < eps < truth  # its interval is narrow, and it lies below
        assert eps > privacy.audit_lower_bound(found, n, accused, n, delta=1e-5)


def test_randomised_response_is_refuted_no_more_often_than_said():
    """The audited algorithm is exactly 1-private: of 400 audits, at most about 5 % may say more."""
    draw, p = np.random.default_rng(0), 1 / (1 + math.exp(-1))
    for n in (60, 400):
        runs = zip(draw.binomial(n, p, 400), draw.binomial(n, 1 - p, 400), strict=True)
        assert sum(privacy.audit_lower_bound(int(a), n, int(b), n) > 1 for a, b in runs) <= 30
        wrong = sum(privacy.one_run_lower_bound(int(a), n, n) > 1 for a in draw.binomial(n, p, 400))
        assert 4 <= wrong <= 33  # nor less: the bound is tight here


def test_the_best_of_many_guess_numbers_still_holds():
    """Each canary's score is a coin flipped with probability ½ + ¼: no number of guesses proves more than log 3."""
    wrong = 0
    for seed in range(300):
        draw = runtime.generator(seed)
        included = torch.rand(500, generator=draw) < 0.5
        says = included ^ (torch.rand(500, generator=draw) < 0.25)
        scores = says + 0.5 * torch.rand(500, generator=draw)
        wrong += privacy.audit_one_run(scores, included) > math.log(3)
    assert wrong <= 24


def test_the_threshold_is_chosen_on_other_runs():
    """Pure noise: a threshold chosen on the runs it is judged by would prove something far more often."""
    wrong = 0
    for seed in range(100):
        draw = runtime.generator(seed)
        scores, present = torch.randn(200, generator=draw), torch.rand(200, generator=draw) < 0.5
        wrong += privacy.audit_runs(scores, present) > 0
    assert wrong <= 10


def test_repeated_runs_find_a_gaussian():
    draw = runtime.generator(3)
    present = torch.rand(4000, generator=draw) < 0.5
    scores = torch.randn(4000, generator=draw) + 2.0 * present  # sigma = 1/2
    eps = privacy.audit_runs(scores, present, delta=1e-5)
    assert 2 < eps < privacy.gaussian_epsilon(0.5, 1e-5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: privacy.audit_lower_bound(11, 10, 0, 10), "found must be at most"),
        (lambda: privacy.audit_lower_bound(5, 10, 0, 10, delta=1.0), "delta must be below 1"),
        (lambda: privacy.audit_lower_bound(5, 10, 0, 10, confidence=1.0), "confidence inside"),
        (lambda: privacy.one_run_lower_bound(5, 20, 10), "guesses at most canaries"),
        (lambda: privacy.audit_one_run(torch.rand(10), torch.rand(10) < 0.5), "some at most 10"),
        (lambda: privacy.audit_one_run(torch.rand(10), torch.ones(10)), "one bool"),
        (lambda: privacy.audit_one_run(torch.full((30,), math.nan), torch.rand(30) < 0.5), "NaN"),
        (lambda: privacy.audit_runs(torch.rand(10), torch.arange(10) < 5), "each half"),
        (lambda: privacy.train_with_bug("none!", None, None, None, generator=None, **PLAN), "one of 'none'"),
    ],
)
def test_impossible_counts_are_refused_in_words(call, says):
    with pytest.raises(ValueError, match=says):
        call()


# ------------------------------------------------------------------------------------------------------ canaries


def canaries(count, seed, n=1437, scale=20.0):
    digits = data.load("digits")
    return privacy.insert_canaries(
        digits.x_train[:n], digits.y_train[:n], count, classes=10, scale=scale, generator=runtime.generator(seed)
    )


def test_a_canary_moves_its_own_column_and_a_blank_row_nothing():
    made = canaries(6, 0, n=20)
    net = nn.Linear(64 + 6, 10, bias=False)
    nn.init.zeros_(net.weight)
    grads = privacy.per_sample_gradients(net, made.x, made.y)["weight"][20:]  # (canaries, 10, 70)
    assert grads[:, :, :64].abs().max() == 0
    alone = grads[:, :, 64:].abs().sum(1)
    assert torch.equal(alone > 0, torch.diag(made.included))
    scores = torch.stack([made.scores(-grad) for grad in grads])
    assert torch.equal(scores.diagonal() > 1, made.included)
    assert 0 < made.included.sum() < 6


@pytest.mark.parametrize("bug", privacy.BUGS)
def test_a_planted_bug_survives_an_empty_batch(bug):
    net = nn.Linear(3, 2, bias=False)
    before, seen = net.weight.detach().clone(), []
    privacy.train_with_bug(
        bug, net, torch.rand(2, 3), torch.tensor([0, 1]), noise_multiplier=1.0, sampling_rate=1e-6, steps=3, lr=1e-6,
        generator=runtime.generator(0), on_step=lambda _, sums: seen.append(sums["weight"].clone()),
    )  # fmt: skip
    assert len(seen) == 3
    assert all(step.isfinite().all() and step.any() for step in seen)
    assert not torch.equal(net.weight, before)


@pytest.mark.parametrize(("bug", "same"), [("file order", True), ("shuffled", False)])
def test_without_dice_every_row_takes_part_once_in_a_pass(bug, same):
    x, y, sums = torch.eye(12), torch.zeros(12, dtype=torch.int64), []
    net = nn.Linear(12, 2, bias=False)
    privacy.train_with_bug(
        bug, net, x, y, noise_multiplier=1e-6, sampling_rate=0.25, steps=8, lr=1e-6, generator=runtime.generator(0),
        on_step=lambda _, total: sums.append(total["weight"].abs().sum(0) > 1e-3),
    )  # fmt: skip
    steps = torch.stack(sums).view(2, 4, 12)  # two passes of four steps
    assert torch.equal(steps.sum(1), torch.ones(2, 12, dtype=torch.int64))
    assert steps.sum(2).eq(3).all()
    assert torch.equal(steps[0], steps[1]) == same


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scale": 0.0}, "scale must be above 0"),
        ({"included": torch.ones(3)}, "included must be bool"),
        ({"classes": 3}, "there are 3 classes"),
    ],
)
def test_impossible_canaries_are_refused_in_words(change, says):
    with pytest.raises(ValueError, match=says):
        privacy.insert_canaries(torch.rand(5, 4), torch.arange(5), 3, **{"classes": 5, **change})
    with pytest.raises(ValueError, match="68 columns"):
        canaries(4, 0, n=10).scores(torch.rand(10, 70))


def test_in_file_order_a_canarys_own_steps_are_those_of_its_row():
    made = canaries(9, 1, n=100)
    steps = torch.eye(7)[:, torch.arange(100, 109) % 7]  # 1 in the step that takes the canary's row, once in 7
    assert made.readings(steps, 7)["own steps"].tolist() == [1.0] * 9
    assert made.readings(steps, 5)["own steps"].sum() < 9


# ------------------------------------------------------------------------- the library's training, and planted bugs


def trainer(bug, plan):
    if bug == "library":
        return functools.partial(privacy.dp_sgd, progress=False, **plan)
    return functools.partial(privacy.train_with_bug, bug, **plan)


def audited(bug, seed, count=1500, scale=20.0):
    made = canaries(count, seed, scale=scale)
    return privacy.audit_training(
        trainer(bug, PLAN), made, classes=10, sampling_rate=0.04, delta=1e-5, generator=runtime.generator(seed)
    )


@pytest.fixture(scope="module")
def claimed():
    return {plan["steps"]: privacy.rdp_epsilon(plan["sampling_rate"], plan["noise_multiplier"], plan["steps"], 1e-5)
            for plan in (PLAN, SHORT)}  # fmt: skip


def test_without_a_bug_it_is_the_librarys_training():
    made, weights = canaries(30, 0, n=200), []
    for bug in ("library", "none"):
        net = nn.Linear(64 + 30, 10, bias=False)
        nn.init.zeros_(net.weight)
        trainer(bug, PLAN | {"steps": 20})(net, made.x, made.y, generator=runtime.generator(5))
        weights.append(net.weight.detach())
    assert weights[0].abs().max() > 0
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-6)


def test_no_false_alarm_in_fifty_runs_of_dp_sgd():
    """With a plan whose ε is small, so that a false alarm would be easy."""
    plan = {"noise_multiplier": 2.0, "sampling_rate": 0.1, "steps": 20, "lr": 2.0}
    eps = privacy.rdp_epsilon(0.1, 2.0, 20, 1e-5)
    for seed in range(50):
        bounds = privacy.audit_training(
            trainer("library", plan), canaries(600, seed, n=300), classes=10, sampling_rate=0.1, delta=1e-5,
            generator=runtime.generator(seed),
        )  # fmt: skip
        assert max(bounds.values()) < eps, seed


@pytest.mark.parametrize(
    ("bug", "weights", "transcript"),
    [
        ("library", False, False),
        ("noise / 4", True, True),
        ("noise / batch", True, True),
        ("batch clipped", True, True),
        ("noise reused", False, True),
        ("file order", False, True),
        ("shuffled", False, False),
        ("seed repeated", False, False),
    ],
)
def test_what_one_run_shows_of_each_bug(bug, weights, transcript, claimed):
    for seed in range(3):
        bounds = audited(bug, seed)
        assert (bounds["weights"] > claimed[250]) == weights
        assert (bounds["transcript"] > claimed[250]) == transcript


def test_small_canaries_miss_the_clipped_batch(claimed):
    assert max(audited("batch clipped", 0, scale=1.0).values()) < claimed[250]


@pytest.mark.parametrize(
    ("bug", "caught"), [("library", False), ("noise reused", False), ("shuffled", False), ("seed repeated", True)]
)
def test_a_repeated_seed_shows_over_repeated_runs_only(bug, caught, claimed):
    digits = data.load("digits")
    bound = privacy.audit_repeated(
        trainer(bug, SHORT), digits.x_train[:100], digits.y_train[:100], classes=10, runs=80, delta=1e-5
    )
    assert (bound > claimed[16]) == caught
