"""The ledger equals closed forms, published values and other accountants, and is never below the tightest of them."""

import functools
import math
import warnings

import dp_accounting
import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelsec_course import privacy
from modelsec_course.privacy import accounting

# q, sigma, steps, delta, then epsilon: RDP with the classic conversion, with the improved one, and PLD (REFERENCE.md)
RUNS = [
    (0.01, 4.0, 10_000, 1e-5, 1.2586, 1.0355, 0.9470),
    (256 / 60_000, 1.1, 14_062, 1e-5, 3.0083, 2.5966, 2.3817),
    (0.04, 1.5, 2250, 1e-5, 8.0739, 7.3293, 6.7688),
    (0.02, 1.0, 500, 1e-4, None, 2.6606, 2.3060),
]
of_runs = pytest.mark.parametrize(("q", "sigma", "steps", "delta", "classic", "improved", "tight"), RUNS)
rates = st.floats(-4, -0.02).map(lambda power: 10**power)
noises = st.floats(0.4, 8)
orders = st.integers(2, 64) | st.integers(12, 109).map(lambda tenths: tenths / 10)
deltas = st.floats(-9, -2).map(lambda power: 10**power)


def exact(q, sigma, order):
    """The moment of the sampled Gaussian as an integral, with 40 digits."""
    with mpmath.workdps(40):
        q, s, a = map(mpmath.mpf, (q, sigma, order))

        def integrand(z):
            return mpmath.npdf(z, 0, s) * ((1 - q) + q * mpmath.exp((2 * z - 1) / (2 * s * s))) ** a

        ends = sorted({float(v) for v in (-12 * s, -4 * s, 0, 0.5, 1, a / 2, a, a + 4 * s, a + 12 * s)})
        return float(mpmath.log(mpmath.quad(integrand, ends)) / (a - 1))


def binomial(q, sigma, order):
    """The closed form for whole orders, with 60 digits."""
    with mpmath.workdps(60):
        q, s = mpmath.mpf(q), mpmath.mpf(sigma)
        terms = (
            mpmath.binomial(order, k) * (1 - q) ** (order - k) * q**k * mpmath.exp(k * (k - 1) / (2 * s * s))
            for k in range(order + 1)
        )
        return float(mpmath.log(sum(terms)) / (order - 1))


def other_rdp(q, sigma, steps, delta, at):
    """Epsilon by dp-accounting's RDP accountant over the orders in `at`."""
    accountant = dp_accounting.rdp.RdpAccountant(orders=list(at))
    accountant.compose(dp_accounting.PoissonSampledDpEvent(q, dp_accounting.GaussianDpEvent(sigma)), steps)
    return accountant.get_epsilon(delta)


def quiet(*args, **kwargs):
    """rdp_epsilon without its warning about the edge of the orders."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return privacy.rdp_epsilon(*args, **kwargs)


# ------------------------------------------------------------------------------------------------------------- moments


@given(st.floats(0.05, 50), st.floats(1.01, 500))
def test_without_sampling_a_step_costs_order_over_two_sigma_squared(sigma, order):
    assert privacy.rdp(1.0, sigma, order) == pytest.approx(order / (2 * sigma**2), rel=1e-12)
    assert privacy.rdp(0.0, sigma, order) == 0
    # an almost full sample goes the long way, through the integral
    assert privacy.rdp(1 - 1e-9, sigma, order) == pytest.approx(order / (2 * sigma**2), rel=1e-6)


@given(rates, st.floats(0.3, 10))
def test_at_order_two_it_is_the_closed_form(q, sigma):
    assert privacy.rdp(q, sigma, 2) == pytest.approx(math.log1p(q**2 * math.expm1(1 / sigma**2)), rel=1e-8)


def test_the_published_moments():
    assert privacy.rdp(0.01, 1.0, 2) == pytest.approx(1.718134e-4, rel=1e-6)
    published = {2.5: 1.0854871e-3, 5: 2.18075656e-3, 50: 2.38460375e-2, 100: 167.416308}
    for order, want in published.items():
        assert 50 * privacy.rdp(0.01, 2.5, order) == pytest.approx(want, rel=1e-4 if order == 2.5 else 1e-7)


@settings(max_examples=30, deadline=None)
@given(rates, noises, st.integers(2, 128))
@example(1e-4, 0.4, 128)
@example(0.9, 0.4, 128)
def test_whole_orders_equal_the_binomial_sum(q, sigma, order):
    assert privacy.rdp(q, sigma, order) == pytest.approx(binomial(q, sigma, order), rel=1e-7)


@settings(max_examples=15, deadline=None)
@given(rates, noises, st.floats(1.1, 40))
@example(0.001, 0.8, 1.3)  # here dp-accounting's series is 1.4 % off
def test_any_order_equals_the_integral_with_forty_digits(q, sigma, order):
    assert privacy.rdp(q, sigma, order) == pytest.approx(exact(q, sigma, order), rel=1e-7)


@pytest.mark.parametrize("order", [1.5, 2, 8.5, 64, 1024])
@pytest.mark.parametrize("sigma", [0.02, 0.0499])
def test_with_hardly_any_noise_it_is_a_bound_that_is_tight(sigma, order):
    got = privacy.rdp(0.01, sigma, order)
    floor = (order * math.log(0.01) + (order**2 - order) / (2 * sigma**2)) / (order - 1)  # one term of the sum
    assert floor * (1 - 1e-9) <= got <= floor * (1 + 1e-3) + 1e-6
    assert got <= order / (2 * sigma**2)


@given(rates, noises, orders)
def test_a_higher_order_costs_more_and_no_more_than_without_sampling(q, sigma, order):
    here = privacy.rdp(q, sigma, order)
    assert 0 <= here <= privacy.rdp(q, sigma, order + 1) * (1 + 1e-9)
    assert here <= order / (2 * sigma**2) * (1 + 1e-9)


# ------------------------------------------------------------------------------------------------------------- epsilon


@of_runs
def test_the_table_of_epsilons(q, sigma, steps, delta, classic, improved, tight):
    assert privacy.rdp_epsilon(q, sigma, steps, delta) == pytest.approx(improved, rel=1e-4)
    assert privacy.pld_epsilon(q, sigma, steps, delta) == pytest.approx(tight, abs=1e-3)
    if classic:
        assert privacy.rdp_epsilon(q, sigma, steps, delta, "classic") == pytest.approx(classic, rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(rates, noises, st.integers(1, 20_000), deltas)
def test_epsilon_is_dp_accountings_within_a_thousandth_over_the_same_orders(q, sigma, steps, delta):
    whole = range(2, 257)  # at fractional orders its series has lost digits; see the integral above
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounting, "ORDERS", tuple(whole))
        ours = quiet(q, sigma, steps, delta)
    assert ours == pytest.approx(other_rdp(q, sigma, steps, delta, whole), rel=1e-3, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(rates, noises, st.integers(1, 20_000), deltas)
@example(0.01, 1.0, 1, 0.01)  # an epsilon of 0
def test_the_default_orders_are_no_worse_than_dp_accountings(q, sigma, steps, delta):
    ours = quiet(q, sigma, steps, delta)
    theirs = dp_accounting.rdp.RdpAccountant()
    theirs.compose(dp_accounting.PoissonSampledDpEvent(q, dp_accounting.GaussianDpEvent(sigma)), steps)
    assert ours <= theirs.get_epsilon(delta) * 1.001 + 1e-3


@settings(max_examples=12, deadline=None)
@given(st.floats(-3, -0.5).map(lambda power: 10**power), st.floats(0.7, 8), st.integers(1, 3000), deltas)
@example(1e-3, 0.7, 1, 1e-9)
@example(0.3, 2.0, 1000, 1e-2)
@example(0.01, 1.0, 1, 0.01)
@example(0.02, 0.8, 1, 0.012)
def test_epsilon_is_never_below_pld(q, sigma, steps, delta):
    tight = privacy.pld_epsilon(q, sigma, steps, delta)
    assert quiet(q, sigma, steps, delta) >= tight - 1e-3
    assert quiet(q, sigma, steps, delta, "classic") >= tight - 1e-3


@given(st.floats(0.5, 50), st.integers(1, 100), deltas)
@settings(deadline=None)
def test_without_sampling_it_is_never_below_the_exact_gaussian(sigma, steps, delta):
    exactly = privacy.gaussian_epsilon(sigma / math.sqrt(steps), delta)
    assert quiet(1.0, sigma, steps, delta) >= exactly - 1e-9


@settings(max_examples=40, deadline=None)
@given(rates, noises, st.integers(0, 5000), deltas)
def test_epsilon_rises_with_steps_and_rate_and_falls_with_noise_and_delta(q, sigma, steps, delta):
    here = quiet(q, sigma, steps, delta)
    assert here >= 0
    assert quiet(q, sigma, steps + 1, delta) >= here
    assert quiet(min(1.0, 1.1 * q), sigma, steps, delta) >= here - 1e-9
    assert quiet(q, 1.1 * sigma, steps, delta) <= here + 1e-9
    assert quiet(q, sigma, steps, min(0.9, 2 * delta)) <= here
    assert quiet(q, sigma, steps, delta, "classic") >= here


def test_nothing_done_costs_nothing_and_no_epsilon_is_negative():
    assert privacy.rdp_epsilon(0.5, 1.0, 0, 1e-5) == 0
    assert privacy.rdp_epsilon(0.0, 1.0, 10, 1e-5) == 0
    assert privacy.pld_epsilon(0.0, 1.0, 10, 1e-5) == privacy.pld_epsilon(0.5, 1.0, 0, 1e-5) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an epsilon of 0 cannot be too large
        assert privacy.rdp_epsilon(0.001, 50.0, 1, 0.3) == 0


@pytest.mark.parametrize(("sigma", "steps", "edge"), [(0.3, 1000, "1.1"), (400.0, 1, "1024")])
def test_the_edge_of_the_orders_warns(sigma, steps, edge):
    with pytest.warns(UserWarning, match=f"the best order, {edge}, is at the edge of ORDERS"):
        privacy.rdp_epsilon(1.0, sigma, steps, 1e-5)


def test_the_table_is_computed_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for q, sigma, steps, delta, *_ in RUNS:
            privacy.rdp_epsilon(q, sigma, steps, delta)


@pytest.mark.parametrize("share", [0.1, 0.01, 1 / 3, 256 / 60_000])
@pytest.mark.parametrize("epochs", [1, 3, 10, 60])
def test_planned_steps_are_the_steps_that_are_accounted(share, epochs):
    steps = round(epochs / share)  # int(3 / 0.1) of floats would be 29
    assert quiet(share, 1.0, steps, 1e-5) > quiet(share, 1.0, steps - 1, 1e-5)
    with pytest.raises(TypeError, match="steps must be a whole number"):
        privacy.rdp_epsilon(share, 1.0, epochs / share, 1e-5)


def test_a_central_limit_number_is_below_pld_so_it_is_not_offered():
    q, sigma, steps, delta = 0.01, 0.7, 50, 1e-5
    limit = privacy.gaussian_epsilon(1 / (q * math.sqrt(steps * math.expm1(1 / sigma**2))), delta)
    first_step_alone = q * privacy.gaussian_delta(math.log1p(math.expm1(limit) / q), sigma)
    assert first_step_alone > 2 * delta
    assert limit < 0.5 * privacy.pld_epsilon(q, sigma, steps, delta)
    with pytest.raises(ValueError, match="conversion must be one of 'improved', 'classic'"):
        privacy.rdp_epsilon(q, sigma, steps, delta, "gdp")


# --------------------------------------------------------------------------------------------------------- calibration


@settings(max_examples=12, deadline=None)
@given(st.floats(0.2, 20), deltas, st.floats(-3, 0).map(lambda power: 10**power), st.integers(1, 5000))
def test_the_noise_never_exceeds_the_target_and_is_the_least(eps, delta, q, steps):
    sigma = privacy.noise_multiplier(eps, delta, q, steps)
    spent = quiet(q, sigma, steps, delta)
    assert spent <= eps
    assert quiet(q, sigma * (1 - 2e-4), steps, delta) > eps


def test_pld_calibration_needs_less_noise_and_keeps_the_target():
    target = (2.0, 1e-5, 0.1, 50)
    by_rdp, by_pld = (privacy.noise_multiplier(*target, accountant=name) for name in ("rdp", "pld"))
    assert by_pld < by_rdp
    assert privacy.pld_epsilon(0.1, by_pld, 50, 1e-5) <= 2.0 < privacy.pld_epsilon(0.1, by_pld * 0.999, 50, 1e-5)


# --------------------------------------------------------------------------------------------------------- composition


def test_composition_by_closed_forms():
    assert privacy.compose_basic([0.1, 0.2, 0.3], [1e-6, 0, 2e-6]) == pytest.approx((0.6, 3e-6))
    assert privacy.compose_basic([0.1] * 10)[0] == 1.0  # a plain sum of floats would be below
    assert privacy.compose_advanced(0.1, 100, 1e-5) == pytest.approx((5.850235, 1e-5), abs=1e-6)
    assert privacy.compose_advanced(0.1, 100, 1e-5, delta=1e-7)[1] == pytest.approx(2e-5)
    assert privacy.compose_advanced(0.1, 10, 1e-5) == (1.0, 0.0)  # the sum is smaller, and needs no slack


@given(st.floats(1e-4, 3), st.integers(1, 2000), deltas)
def test_advanced_composition_is_never_more_than_the_sum_nor_less_than_the_truth(eps, count, slack):
    total, delta = privacy.compose_advanced(eps, count, slack)
    assert total <= count * eps
    assert delta in (0, slack)
    if count <= 200:  # randomised response is the worst eps-private mechanism: its exact delta is a binomial sum
        assert spent_by_responses(eps, count, total * (1 + 1e-9)) <= delta + 1e-12


def spent_by_responses(eps, count, total):
    """The exact delta at `total` of `count` randomised responses (Kairouz, Oh & Viswanath, 2015)."""
    k = np.arange(count + 1)
    losses = (2 * k - count) * eps
    weights = [math.exp(math.lgamma(count + 1) - math.lgamma(i + 1) - math.lgamma(count - i + 1)
                        + i * eps - count * math.log1p(math.exp(eps))) for i in k]  # fmt: skip
    return float(sum(w * -math.expm1(min(0.0, total - loss)) for w, loss in zip(weights, losses, strict=True)))


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"q": 1.5}, ValueError, r"q must lie in \[0, 1\]"),
        ({"q": "0.1"}, TypeError, "q must be a number"),
        ({"sigma": 0.0}, ValueError, "sigma must be above 0"),
        ({"sigma": math.nan}, ValueError, "sigma"),
        ({"steps": -1}, ValueError, "steps must be at least 0"),
        ({"steps": 10.0}, TypeError, "steps must be a whole number"),
        ({"delta": 0.0}, ValueError, "delta must lie strictly between 0 and 1"),
        ({"delta": 1.0}, ValueError, "delta must lie strictly between 0 and 1"),
    ],
)
@pytest.mark.parametrize("spend", [privacy.rdp_epsilon, privacy.pld_epsilon])
def test_what_cannot_be_accounted_is_refused(spend, change, kind, message):
    with pytest.raises(kind, match=message):
        spend(**({"q": 0.1, "sigma": 1.0, "steps": 10, "delta": 1e-5} | change))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (functools.partial(privacy.rdp, 0.1, 1.0, 1.0), "order must be above 1"),
        (functools.partial(privacy.rdp, 0.1, 1.0, math.inf), "order must be above 1 and finite"),
        (functools.partial(privacy.noise_multiplier, 0.0, 1e-5, 0.1, 10), "eps must be above 0"),
        (functools.partial(privacy.noise_multiplier, 1e-3, 1e-9, 0.1, 10), "eps must be larger: .* no noise gets rdp"),
        (functools.partial(privacy.noise_multiplier, 1.0, 1e-5, 0.0, 10), "q must be above 0"),
        (functools.partial(privacy.noise_multiplier, 1.0, 1e-5, 0.1, 0), "steps must be at least 1"),
        (functools.partial(privacy.noise_multiplier, 1.0, 1e-5, 0.1, 10, "gdp"), "accountant must be one of"),
        (functools.partial(privacy.compose_basic, [0.1, -0.1]), "each of epsilons must lie in"),
        (functools.partial(privacy.compose_advanced, 0.1, 0, 1e-5), "count must be at least 1"),
        (functools.partial(privacy.compose_advanced, 0.1, 10, 0.0), "delta_slack must lie strictly between 0 and 1"),
    ],
)
def test_what_cannot_be_composed_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_orders_are_increasing_and_above_one():
    assert list(accounting.ORDERS) == sorted(set(accounting.ORDERS))
    assert accounting.ORDERS[0] > 1
