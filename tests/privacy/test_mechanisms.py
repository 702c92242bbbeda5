"""Each mechanism has the law it is named after, and keeps its promise between neighbours without a waste of noise."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from modelsec_course import privacy, runtime
from modelsec_course.privacy import discrete
from modelsec_course.privacy.search import least, source

deltas = st.floats(-12, -1).map(lambda power: 10**power)
MANY = torch.zeros(100_000, dtype=torch.float64)


def fits(noise, law, *args):
    """Kolmogorov and Smirnov's test: would this law give such a sample once in a thousand?"""
    return stats.kstest(noise.numpy(), law, args=args).pvalue > 1e-3


# ------------------------------------------------------------------------------------------------------------ Gaussian


@pytest.mark.parametrize(("eps", "sigma"), [(0.1, 30.749566), (1, 3.730632), (3, 1.390593), (8, 0.600229)])
def test_the_table_of_sigmas(eps, sigma):
    assert privacy.gaussian_sigma(eps, 1e-5) == pytest.approx(sigma, abs=1e-6)


@pytest.mark.parametrize(("sigma", "eps"), [(10, 0.340669), (5, 0.725522), (1, 4.377178), (0.5, 9.997256)])
def test_the_table_of_epsilons_of_one_answer(sigma, eps):
    assert privacy.gaussian_epsilon(sigma, 1e-5) == pytest.approx(eps, abs=1e-6)


@settings(deadline=None, max_examples=200)
@given(st.floats(1e-3, 60), deltas, st.floats(1e-3, 1e4))
@example(1e-3, 1e-12, 1.0)
@example(60.0, 1e-12, 1.0)
def test_sigma_never_exceeds_its_target_and_hardly_stays_below(eps, delta, sensitivity):
    sigma = privacy.gaussian_sigma(eps, delta, sensitivity)
    assert privacy.gaussian_epsilon(sigma, delta, sensitivity) <= eps
    assert privacy.gaussian_epsilon(sigma * (1 - 1e-6), delta, sensitivity) > eps * (1 - 1e-9)
    assert sigma == pytest.approx(sensitivity * privacy.gaussian_sigma(eps, delta), rel=1e-9)


@given(st.floats(0, 20), st.floats(0.05, 50))
def test_delta_is_the_integral_of_what_exceeds_e_to_the_eps(eps, sigma):
    """P[X > t] − e^ε P[Y > t], for N(1, σ²) and N(0, σ²), is largest where the densities' ratio is e^ε."""
    here = privacy.gaussian_delta(eps, sigma)
    cut = eps * sigma**2 + 0.5
    for t in (cut - sigma / 10, cut, cut + sigma / 10):
        other = stats.norm.sf(t, 1, sigma) - math.exp(eps) * stats.norm.sf(t, 0, sigma)
        assert here >= other - 1e-12
    assert here == pytest.approx(stats.norm.sf(cut, 1, sigma) - math.exp(eps) * stats.norm.sf(cut, 0, sigma), abs=1e-12)
    assert here >= privacy.gaussian_delta(eps + 0.1, sigma)


def test_the_textbooks_noise_is_too_much_at_one_and_too_little_at_ten():
    textbook = math.sqrt(2 * math.log(1.25e5))
    assert textbook == pytest.approx(4.844805, abs=1e-6)
    assert privacy.gaussian_epsilon(textbook, 1e-5) < 0.8
    assert privacy.gaussian_epsilon(textbook / 10, 1e-5) > 10.3


def test_so_much_noise_needs_no_epsilon():
    assert privacy.gaussian_epsilon(1e5, 1e-5) == 0
    assert privacy.gaussian_delta(0, 1e5) <= 1e-5


def test_gaussian_noise_has_its_spread():
    noise = privacy.gaussian(MANY, 1.0, 1e-5, 2.0, generator=runtime.generator(1))
    assert fits(noise, "norm", 0, 2 * privacy.gaussian_sigma(1.0, 1e-5))


# -------------------------------------------------------------------------------------------------- Laplace, geometric


@pytest.mark.parametrize(("eps", "sensitivity"), [(1.0, 1.0), (0.1, 1.0), (3.0, 7.5)])
def test_laplace_noise_has_its_law_and_variance(eps, sensitivity):
    noise = privacy.laplace(MANY + 100, eps, sensitivity, generator=runtime.generator(2)) - 100
    scale = sensitivity / eps
    assert fits(noise, "laplace", 0, scale)
    assert noise.var().item() == pytest.approx(2 * scale**2, rel=0.05)


@pytest.mark.parametrize(("eps", "sensitivity"), [(1.0, 1), (0.1, 1), (0.7, 3), (5.0, 2)])
def test_geometric_noise_has_its_law(eps, sensitivity):
    zeros = torch.zeros(100_000, dtype=torch.int64)
    noise = privacy.geometric(zeros, eps, sensitivity, generator=runtime.generator(3))
    ratio = math.exp(-eps / sensitivity)
    reach = int(min(40, 6 / -math.log(ratio)))
    seen = Counter(noise.tolist())
    want = {z: 100_000 * (1 - ratio) / (1 + ratio) * ratio ** abs(z) for z in range(-reach, reach + 1)}
    rest = 100_000 - sum(want.values())
    counted = [seen[z] for z in want]
    test = stats.chisquare([*counted, 100_000 - sum(counted)], [*want.values(), rest])
    assert test.pvalue > 1e-3
    assert noise.double().var().item() == pytest.approx(2 * ratio / (1 - ratio) ** 2, rel=0.05)


def test_geometric_noise_uses_up_what_eps_allows():
    """Between neighbours its best attacker has exactly the advantage (e^ε − 1) / (e^ε + 1); Laplace leaves less."""
    for eps in (0.5, 1.0, 2.0):
        counts = torch.zeros(200_000, dtype=torch.int64), torch.ones(200_000, dtype=torch.int64)
        says = [privacy.geometric(c, eps, 1, generator=runtime.generator(4 + i)) for i, c in enumerate(counts)]
        advantage = (says[1] > 0).double().mean() - (says[0] > 0).double().mean()
        assert advantage.item() == pytest.approx(math.tanh(eps / 2), abs=0.01)
        noisy = [privacy.laplace(c.double(), eps, 1, generator=runtime.generator(6 + i)) for i, c in enumerate(counts)]
        advantage = (noisy[1] > 0.5).double().mean() - (noisy[0] > 0.5).double().mean()
        assert advantage.item() == pytest.approx(1 - math.exp(-eps / 2), abs=0.01)


def textbook_laplace(count, eps, n, generator):
    """The inverse of the distribution function, in floats: what libraries draw."""
    v = torch.rand(n, generator=generator, dtype=torch.float64) - 0.5
    return count - v.sign() * (1 - 2 * v.abs()).log() / eps


def possible(output, count, eps):
    """Whether any of the 2^53 uniform floats gives this output from this count."""
    noise = output - count
    near = (-(noise.abs() * eps)).exp().mul(2.0**52).round()
    hits = [count - noise.sign() * ((near + d) / 2.0**52).log() / eps == output for d in range(-4, 5)]
    return torch.stack(hits).any(0)


def test_floats_leak_the_database_and_whole_numbers_do_not():
    """Mironov, 2012: many a float is an answer of one database only. A whole number is an answer of all."""
    outputs = textbook_laplace(0, 1.0, 20_000, runtime.generator(8))
    assert possible(outputs, 0, 1.0).all()
    assert possible(outputs, 1, 1.0).double().mean() < 0.5
    whole = [
        Counter(privacy.geometric(torch.full((100_000,), c), 1.0, 1, generator=runtime.generator(9 + c)).tolist())
        for c in (0, 1)
    ]
    common = [k for k, times in whole[0].items() if times > 200]
    assert len(common) >= 9
    for k in common:  # each is an answer of both, and the odds are as promised
        assert abs(math.log(whole[0][k] / whole[1][k])) == pytest.approx(1.0, abs=0.35)


@given(st.integers(1, 5000), st.integers(0, 2**40))
@settings(deadline=None, max_examples=20)
def test_uniform_whole_numbers_are_below_their_limit(limit, seed):
    drawn = discrete._below(limit, 2000, runtime.generator(seed))
    assert 0 <= drawn.min() <= drawn.max() < limit


def test_uniform_whole_numbers_and_events_are_as_likely_as_they_should_be():
    drawn = discrete._below(3 << 20, 60_000, runtime.generator(10)) >> 20
    assert stats.chisquare(drawn.bincount(minlength=3).numpy()).pvalue > 1e-3
    for top, bottom in ((0, 7), (1, 3), (5, 7), (1, 1)):
        happened = discrete._happens(torch.full((60_000,), top), bottom, runtime.generator(11)).double().mean().item()
        assert happened == pytest.approx(math.exp(-top / bottom), abs=0.008)


def test_a_rate_is_rounded_towards_more_noise():
    with pytest.raises(ValueError, match="eps / sensitivity must be at least"):
        privacy.geometric(torch.zeros(3, dtype=torch.int64), 1e-7, 1)
    noise = privacy.geometric(torch.zeros(2000, dtype=torch.int64), 1.9e-6, 1, generator=runtime.generator(12))
    assert noise.double().abs().mean().item() == pytest.approx(2.0**20, rel=0.1)  # 1 / 1.9e-6 is half of that


# ------------------------------------------------------------------------------------ randomised response, exponential


@pytest.mark.parametrize("eps", [math.log(3), 0.2, 3.0])
def test_randomised_response_tells_the_truth_with_its_probability(eps):
    for bit in (True, False):
        said = privacy.randomised_response(torch.full((100_000,), bit), eps, generator=runtime.generator(13))
        want = math.exp(eps) / (1 + math.exp(eps))
        assert (said == bit).double().mean().item() == pytest.approx(want, abs=0.006)
        assert math.log(want / (1 - want)) == pytest.approx(eps)


def test_three_truths_in_four_are_an_epsilon_of_log_three():
    assert math.log(0.75 / 0.25) == pytest.approx(1.098612, abs=1e-6)
    said = privacy.randomised_response(torch.ones(100_000, dtype=torch.bool), 1.098612, generator=runtime.generator(14))
    assert said.double().mean().item() == pytest.approx(0.75, abs=0.006)


def test_a_huge_epsilon_is_the_truth():
    bits = torch.rand(1000, generator=runtime.generator(15)) < 0.5
    assert torch.equal(privacy.randomised_response(bits, 1e6), bits)
    assert torch.equal(privacy.exponential(torch.tensor([[0.0, 3, 1]] * 50), 1e9, 1.0), torch.ones(50).long())


def test_the_exponential_mechanism_draws_from_the_softmax_of_half_epsilon():
    scores = torch.tensor([0.0, 1.0, 3.0, -2.0])
    drawn = privacy.exponential(scores.expand(100_000, 4), 1.5, 2.0, generator=runtime.generator(16))
    want = (scores.double() * 1.5 / 4).softmax(0) * 100_000
    assert stats.chisquare(drawn.bincount(minlength=4).numpy(), want.numpy()).pvalue > 1e-3


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6), st.floats(0.05, 3), st.data())
def test_the_exponential_mechanism_is_private_in_closed_form(scores, eps, data):
    """Every score moved by at most the sensitivity changes no probability by more than e^ε."""
    moves = data.draw(st.lists(st.floats(-2, 2), min_size=len(scores), max_size=len(scores)))
    before, after = torch.tensor(scores).double(), (torch.tensor(scores) + torch.tensor(moves)).double()
    change = (after * eps / 4).log_softmax(0) - (before * eps / 4).log_softmax(0)
    assert change.abs().max() <= eps + 1e-9


# ------------------------------------------------------------------------------------------------------ all mechanisms

REAL, WHOLE, BITS = torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.bool)
MECHANISMS = {
    "laplace": lambda value=REAL, eps=1.0, sensitivity=1.0, **k: privacy.laplace(value, eps, sensitivity, **k),
    "gaussian": lambda value=REAL, eps=1.0, sensitivity=1.0, **k: privacy.gaussian(value, eps, 1e-5, sensitivity, **k),
    "exponential": lambda value=REAL, eps=1.0, sensitivity=1.0, **k: privacy.exponential(value, eps, sensitivity, **k),
    "geometric": lambda value=WHOLE, eps=1.0, sensitivity=1, **k: privacy.geometric(value, eps, sensitivity, **k),
    "response": lambda value=BITS, eps=1.0, sensitivity=1, **k: privacy.randomised_response(value, eps, **k),
}
of_mechanisms = pytest.mark.parametrize("name", MECHANISMS)


@of_mechanisms
def test_a_result_is_shaped_like_the_answer_and_follows_its_generator(name):
    shown = [MECHANISMS[name](generator=runtime.generator(seed)) for seed in (17, 17)]
    assert shown[0].shape == ((2,) if name == "exponential" else (2, 3))
    assert torch.equal(*shown)
    if name != "exponential":
        many = {"geometric": WHOLE, "response": BITS}.get(name, REAL).repeat(50, 50)
        assert shown[0].dtype == many.dtype
        one, other = (MECHANISMS[name](many, generator=runtime.generator(seed)) for seed in (18, 19))
        assert not torch.equal(one, other)


@of_mechanisms
def test_without_a_generator_no_two_answers_have_the_same_noise(name):
    """A default seed would be known to everybody, who could subtract the noise."""
    many = {"geometric": WHOLE, "response": BITS}.get(name, REAL).repeat(50, 50)
    assert not torch.equal(MECHANISMS[name](many), MECHANISMS[name](many))


@of_mechanisms
def test_nothing_asked_is_nothing_answered(name):
    empty = {"geometric": WHOLE, "response": BITS}.get(name, REAL)[:0]
    assert len(MECHANISMS[name](empty)) == 0


@of_mechanisms
def test_bad_arguments_are_refused_in_words(name):
    ask = MECHANISMS[name]
    for eps in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="eps must "):
            ask(eps=eps)
    with pytest.raises(TypeError, match="must be a tensor"):
        ask([0.0])
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator"):
        ask(generator=0)
    with pytest.raises(ValueError, match="must hold"):
        ask(BITS.float() / 0 if name not in ("geometric", "response") else REAL)
    if name != "response":
        with pytest.raises((ValueError, TypeError), match="sensitivity must be"):
            ask(sensitivity=0)
    with pytest.raises(ValueError, match="at least one candidate"):
        privacy.exponential(torch.zeros(3, 0), 1.0, 1.0)


def test_geometric_noise_needs_a_whole_sensitivity():
    with pytest.raises(TypeError, match="sensitivity must be a whole number"):
        privacy.geometric(WHOLE, 1.0, 0.5)


@given(st.floats(1e-6, 1e6))
def test_the_least_number_that_holds_is_found_and_holds(bound):
    assert least(lambda value: value >= bound) == bound
    rough = least(lambda value: value >= bound, tolerance=1e-3)
    assert bound <= rough <= bound * 1.0011


def test_the_default_source_is_seeded_by_the_operating_system():
    given_one = runtime.generator(3)
    assert source(given_one) is given_one
    assert source(None).initial_seed() != source(None).initial_seed()
