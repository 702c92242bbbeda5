"""The ε of a whole training run: Rényi accounting of the sampled Gaussian mechanism."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.special import gammaln, logsumexp

from modelsec_course import privacy
from modelsec_course.lab.exercise import Exercise, expect, expect_close

RUNS = (  # q, σ, steps, δ, and what dp-accounting says: RDP with the improved conversion, and PLD
    (0.01, 4.0, 10_000, 1e-5, 1.0355, 0.9470),
    (256 / 60_000, 1.1, 14_062, 1e-5, 2.5966, 2.3817),
    (0.04, 1.5, 2250, 1e-5, 7.3293, 6.7688),
    (0.02, 1.0, 500, 1e-4, 2.6606, 2.3060),
)


def _renyi(q, sigma, alpha, less=1):
    """R(α) of one step: the logarithm of E[(density with a record / density without)^α], over α − 1."""
    k = np.arange(alpha + 1)
    logs = gammaln(alpha + 1) - gammaln(k + 1) - gammaln(alpha - k + 1)
    logs += k * np.log(q) + k * (k - less) / (2 * sigma**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs += np.where(alpha > k, (alpha - k) * np.log1p(-q), 0.0)
    return float(logsumexp(logs)) / (alpha - 1)


def _improved(alpha, delta):
    return math.log1p(-1 / alpha) - math.log(delta * alpha) / (alpha - 1)


def _classic(alpha, delta):
    return -math.log(delta) / (alpha - 1)


def rdp_epsilon(q, sigma, steps, delta, orders=range(2, 257)):
    return max(0.0, min(steps * _renyi(q, sigma, alpha) + _improved(alpha, delta) for alpha in orders))


def _ledger_wrong(q, sigma, steps, delta, orders=range(2, 257), *, convert=_improved, rdp=_renyi, pick=min, floor=0.0):
    return max(floor, pick(steps * rdp(q, sigma, alpha) + convert(alpha, delta) for alpha in orders))


def _rdp_published(epsilon):
    """Agrees with an independent accountant on four training runs, to 1 %, and is never below the tightest bound"""
    for q, sigma, steps, delta, want, tight in RUNS:
        case = f"ε at q = {q:.4g}, σ = {sigma:g}, {steps:,} steps, δ = {delta:g}"
        got = epsilon(q, sigma, steps, delta)
        classic = _ledger_wrong(q, sigma, steps, delta, convert=_classic)
        expect(abs(got - classic) > 1e-3, f"{case} is {got:.5g}: that is the older conversion, + ln(1/δ) / (α − 1)")
        expect_close(got, want, 0.01 * want, case)
        expect(got > tight - 1e-3, f"{case} is {got:.5g}, below {tight}, the tightest bound that is known")


def _rdp_full(epsilon):
    """Without sampling (q = 1) it is Gaussian: order α costs α / 2σ² a step"""
    for alpha, sigma, steps in ((2, 1.0, 1), (5, 3.0, 10), (40, 20.0, 100)):
        want = steps * alpha / (2 * sigma**2) + _improved(alpha, 1e-5)
        got = epsilon(1.0, sigma, steps, 1e-5, [alpha])
        expect_close(got, want, 1e-6 * want, f"ε of {steps} full steps at σ = {sigma:g}, from order {alpha} alone")


def _rdp_two(epsilon):
    """At α = 2 the cost of a step is ln(1 + q² (exp(1/σ²) − 1))"""
    for q, sigma in ((0.01, 1.0), (0.3, 0.8), (0.001, 3.0)):
        want = 1000 * math.log1p(q**2 * math.expm1(1 / sigma**2)) + _improved(2, 1e-5)
        got = epsilon(q, sigma, 1000, 1e-5, [2])
        expect_close(got, want, 1e-6 * want, f"ε of 1,000 steps at q = {q:g}, σ = {sigma:g}, from order 2 alone")


def _rdp_large(epsilon):
    """Stays finite where a term has 56,000 digits, and at an order where C(α, k) overflows"""
    want = 256 / (2 * 0.25) + 256 / 255 * math.log(0.01) + _improved(256, 1e-5)  # the last term is all there is
    expect_close(epsilon(0.01, 0.5, 1, 1e-5, [256]), want, 1e-3, "ε at q = 0.01, σ = 0.5, from order 256 alone")
    want = rdp_epsilon(0.01, 60.0, 1, 1e-5, [2000])
    expect_close(epsilon(0.01, 60.0, 1, 1e-5, [2000]), want, 1e-6, "ε at q = 0.01, σ = 60, from order 2,000 alone")


def _rdp_orders(epsilon):
    """Looks at every order: a short, quiet run is cheapest at one far above 64"""
    want = rdp_epsilon(0.001, 4.0, 100, 1e-5)
    expect_close(epsilon(0.001, 4.0, 100, 1e-5), want, 0.001 * want, "ε at q = 0.001, σ = 4, 100 steps, all orders")


def _rdp_zero(epsilon):
    """Is never negative"""
    expect_close(epsilon(0.001, 50.0, 1, 0.3), 0.0, 1e-12, "ε of one step at q = 0.001, σ = 50, δ = 0.3")


def _rdp_library(q, sigma, steps, delta, orders=range(2, 257)):
    return max(0.0, min(steps * privacy.rdp(q, sigma, a) + _improved(a, delta) for a in orders))


EXERCISE = Exercise(
    "13.rdp_epsilon",
    title="The ledger of a training run",
    reference=rdp_epsilon,
    properties=[_rdp_two, _rdp_full, _rdp_large, _rdp_zero, _rdp_orders, _rdp_published],
    hints=[
        "For each α: `k = torch.arange(alpha + 1, dtype=torch.float64)`, and the logarithm of each term is a sum of "
        "logarithms. ln C(α, k) is `lgamma(alpha + 1) - lgamma(k + 1) - lgamma(alpha - k + 1)`.",
        "`terms.logsumexp(0) / (alpha - 1)` is R(α). Multiply by `steps`, add the conversion, keep the smallest over "
        "all orders; `max(best, 0.0)` at the end.",
        "At q = 1 the logarithm of 1 − q is −∞, and 0 · −∞ is NaN: `torch.xlogy(alpha - k, 1 - q)` gives 0 there. It "
        "wants tensors: `torch.tensor(1 - q, dtype=torch.float64)`, for in float32 1 − q is off by 10⁻⁸, and T steps "
        "add that up.",
    ],
    second=_rdp_library,
    mutants={
        "the classic conversion": functools.partial(_ledger_wrong, convert=_classic),
        "may be negative": functools.partial(_ledger_wrong, floor=-math.inf),
        "forgets the sampling": functools.partial(_ledger_wrong, rdp=lambda q, s, a: a / (2 * s**2)),
        "q² times the full cost": functools.partial(_ledger_wrong, rdp=lambda q, s, a: q**2 * a / (2 * s**2)),
        "k² for k (k − 1)": functools.partial(_ledger_wrong, rdp=functools.partial(_renyi, less=0)),
        "divides by α": functools.partial(_ledger_wrong, rdp=lambda q, s, a: _renyi(q, s, a) * (a - 1) / a),
        "the largest over the orders": functools.partial(_ledger_wrong, pick=max),
        "the first 63 orders": lambda q, s, steps, d, orders=range(2, 257): rdp_epsilon(
            q, s, steps, d, list(orders)[:63]
        ),
        "steps added as √T": lambda q, s, steps, d, orders=range(2, 257): rdp_epsilon(
            q, s, math.sqrt(steps), d, orders
        ),
        "exponentials without logarithms": lambda q, s, steps, d, orders=range(2, 257): _ledger_wrong(
            q, s, steps, d, orders, rdp=lambda q, s, a: math.log(sum(
                math.comb(a, k) * (1 - q) ** (a - k) * q**k * math.exp(min(k * (k - 1) / (2 * s * s), 709.0))
                for k in range(a + 1))) / (a - 1),
        ),
        "one step too few": lambda q, s, steps, d, orders=range(2, 257): rdp_epsilon(
            q, s, steps - 1, d, orders
        ),
    },
)  # fmt: skip
