"""Lab 13: noise that bounds what anybody can learn, and the ledger of what it has cost."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp
from scipy.stats import laplace as laplace_law
from scipy.stats import norm

from modelsec_course import privacy, runtime
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close

LAB = Lab(
    number="13",
    title="Differential privacy",
    question="Can leakage be bounded?",
    minutes=90,
    difficulty=3,
    prerequisites=("a little probability: densities, the Gaussian", "Lab 10, for what membership leaks"),
    outcomes=(
        "reconstruct records from statistics that nobody thought personal",
        "answer with a guarantee: Laplace, Gaussian and geometric noise, and randomised response",
        "count what thousands of answers cost together, and say which proof you rely on",
        "tell a bound from a number that looks like one",
    ),
    seconds=20,
    part="Privacy by design",
    stage="data",
)

# ----------------------------------------------------------------------------------------------- 13.laplace_mechanism

MANY = torch.zeros(40_000, dtype=torch.float64)


def _noise(mechanism, eps=1.0, sensitivity=1.0, value=0.0, seed=1):
    return mechanism(MANY + value, eps, sensitivity, runtime.generator(seed)) - value


def _laplace_spread(mechanism):
    """Adds noise of mean 0 and variance 2 (sensitivity / ε)², for any sensitivity and ε"""
    for eps, sensitivity in ((1.0, 1.0), (0.1, 1.0), (2.0, 1.0), (1.0, 5.0)):
        noise, scale = _noise(mechanism, eps, sensitivity), sensitivity / eps
        case = f"at eps = {eps:g} and sensitivity = {sensitivity:g}"
        expect_close(noise.var() / scale**2, 2.0, 0.15, f"the noise's variance, in units of b², {case}")
        expect_close(noise.mean() / scale, 0.0, 0.05, f"the noise's mean, in units of b, {case}")


def _laplace_law(mechanism):
    """Has Laplace's distribution: its quantiles, on either side"""
    noise = _noise(mechanism, seed=2)
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        want = laplace_law.cdf(laplace_law.ppf(share))
        got = (noise <= laplace_law.ppf(share)).double().mean()
        expect_close(got, want, 0.012, f"the share of noise below {laplace_law.ppf(share):.2f} at ε = 1")


def _laplace_private(mechanism):
    """Keeps the promise: no interval is more than e^ε times as likely with the record as without"""
    for eps in (0.5, 1.0):
        with_it, without = (_noise(mechanism, eps, value=v, seed=3 + v) + v for v in (1, 0))
        counts = [torch.histc(answers.double(), 7, -3, 4) for answers in (with_it, without)]
        expect(min(c.min() for c in counts) > 0, f"with ε = {eps:g}, some interval of length 1 near 0 is never hit "
                                                 "from one of two neighbours: no ε allows that")  # fmt: skip
        worst = float((counts[0] / counts[1]).log().abs().max())
        expect(worst < eps + 0.25, f"with ε = {eps:g}, an interval of length 1 is e^{worst:.2f} "
                                  "times as likely from the neighbouring database")  # fmt: skip


def _laplace_shape(mechanism):
    """Answers in the shape of the value, each entry with noise of its own, from the generator"""
    value = torch.arange(1200, dtype=torch.float64).view(30, 40)
    got = [mechanism(value, 1.0, 1.0, runtime.generator(seed)) for seed in (5, 5, 6)]
    expect(torch.is_tensor(got[0]) and got[0].shape == (30, 40), "expected a tensor of the value's shape, (30, 40)")
    expect(torch.equal(got[0], got[1]), "the same generator must give the same noise: draw from `generator`")
    expect(not torch.equal(got[0], got[2]), "another generator must give other noise")
    noise = got[0] - value
    expect(min(noise.std(0).min(), noise.std(1).min()) > 1e-6, "each entry needs noise of its own")
    different = len(_noise(mechanism).unique())
    words = f"{got[0].dtype}, and 40,000 draws gave {different:,} different ones: draw, and stay, in float64"
    expect(got[0].dtype == torch.float64 and different > len(MANY) - 5, f"the answers are {words}")


def _laplace(value, eps, sensitivity, generator):
    return privacy.laplace(value, eps, sensitivity, generator=generator)


def _laplace_by_signs(value, eps, sensitivity, generator):
    """An exponential size with a fair sign."""
    size = -(1 - torch.rand(value.shape, generator=generator, dtype=torch.float64)).log()
    sign = 2.0 * torch.randint(2, value.shape, generator=generator) - 1
    return value + sign * size * sensitivity / eps


def _laplace_wrong(value, eps, sensitivity, generator, *, scale=lambda s, e: s / e, shape=None, law=None, real=None):
    v = torch.rand(value.shape if shape is None else shape, generator=generator, dtype=real or torch.float64) - 0.5
    noise = -v.sign() * (1 - 2 * v.abs()).log() if law is None else law(v)
    return value + scale(sensitivity, eps) * noise


exercise(
    "13.laplace_mechanism",
    title="The Laplace mechanism",
    reference=_laplace,
    properties=[_laplace_shape, _laplace_spread, _laplace_law, _laplace_private],
    hints=[
        "One number for each entry: `v = torch.rand(value.shape, generator=generator, dtype=torch.float64) - 0.5`.",
        "The noise is `-b * v.sign() * (1 - 2 * v.abs()).log()`. With the sensitivity b grows, with ε it falls.",
    ],
    second=_laplace_by_signs,
    mutants={
        "one draw for all entries": functools.partial(_laplace_wrong, shape=(1,)),
        "ε / sensitivity": functools.partial(_laplace_wrong, scale=lambda s, e: e / s),
        "forgets the sensitivity": functools.partial(_laplace_wrong, scale=lambda s, e: 1 / e),
        "ε as the scale": functools.partial(_laplace_wrong, scale=lambda s, e: s * e),
        "half the scale": functools.partial(_laplace_wrong, scale=lambda s, e: s / (2 * e)),
        "Gaussian noise of that spread": functools.partial(
            _laplace_wrong, law=lambda v: 2**0.5 * torch.special.ndtri(v + 0.5 + 1e-12)
        ),
        "noise to one side": functools.partial(_laplace_wrong, law=lambda v: -(1 - 2 * v.abs()).log()),
        "float32": functools.partial(_laplace_wrong, real=torch.float32),
        "rounded noise": lambda value, *args: value + _laplace_wrong(0 * value, *args).round(),
        "uniform noise": functools.partial(_laplace_wrong, law=lambda v: 24**0.5 * v),
    },
)  # fmt: skip

# --------------------------------------------------------------------------------------------- 13.randomised_response


def _response_rate(respond):
    """Tells the truth with probability e^ε / (1 + e^ε), whatever the truth is"""
    for eps in (math.log(3), 0.2, 2.0):
        want = 1 / (1 + math.exp(-eps))
        for bit in (True, False):
            said = respond(torch.full((40_000,), bit), eps, runtime.generator(7))
            expect_close((said == bit).double().mean(), want, 0.012, f"at ε = {eps:.2f}, the share of truths on {bit}")


def _response_private(respond):
    """Keeps the promise: "yes" is at most e^ε times as likely from a yes as from a no, and uses it up"""
    for eps in (0.5, 1.5):
        yes = [respond(torch.full((40_000,), bit), eps, runtime.generator(8)).double().mean() for bit in (True, False)]
        for one, other, word in ((yes[0], yes[1], "yes"), (1 - yes[1], 1 - yes[0], "no")):
            expect(other > 0, f'at ε = {eps}, "{word}" never comes from the other answer: that gives the truth away')
            case = f'at ε = {eps}, how many times likelier "{word}" is from a {word} than from its opposite'
            expect_close(one / other, math.exp(eps), 0.08 * math.exp(eps), case)


def _response_shape(respond):
    """Answers with bools in the shape of the bits, each flipped by itself, by the generator"""
    bits = torch.rand(50, 20, generator=runtime.generator(9)) < 0.5
    before = bits.clone()
    got = [respond(bits, 1.0, runtime.generator(seed)) for seed in (10, 10, 11)]
    expect(torch.is_tensor(got[0]) and got[0].dtype == torch.bool, "expected a tensor of bools")
    expect(got[0].shape == bits.shape, f"expected the shape of the bits, (50, 20), got {tuple(got[0].shape)}")
    expect(torch.equal(bits, before), "the caller's bits have changed: make a new tensor")
    expect(torch.equal(got[0], got[1]), "the same generator must give the same answers: draw from `generator`")
    lies = (got[0] != bits).double()
    shares = [float((respond(bits, 1.0, runtime.generator(seed)) != bits).double().mean()) for seed in range(10, 20)]
    expect(max(shares) > 0, "no bit was ever flipped")
    expect(any(0 < share < 1 for share in shares), "all bits are flipped together, or none is: each needs its own coin")
    expect(not torch.equal(got[0], got[2]), "another generator must flip other bits")
    expect(lies.mean(0).std() > 0.02 and lies.mean(1).std() > 0.02, "each bit must be flipped, or not, by itself")


def _response(bits, eps, generator):
    return privacy.randomised_response(bits, eps, generator=generator)


def _response_by_coin(bits, eps, generator):
    """Warner's coin: an answer that is random with probability 2 / (1 + e^ε), else the truth."""
    random = torch.rand(bits.shape, generator=generator) < 2 / (1 + math.exp(eps))
    return torch.where(random, torch.randint(2, bits.shape, generator=generator).bool(), bits)


def _response_wrong(bits, eps, generator, *, truth, shape=None, other=lambda bits: ~bits):
    kept = torch.rand(bits.shape if shape is None else shape, generator=generator) < truth(eps)
    return torch.where(kept, bits, other(bits))


def _sigmoid(eps):
    return 1 / (1 + math.exp(-eps))


exercise(
    "13.randomised_response",
    title="Randomised response",
    reference=_response,
    properties=[_response_shape, _response_rate, _response_private],
    hints=[
        "The ratio of both probabilities has to be p / (1 − p) = e^ε, so p = e^ε / (1 + e^ε).",
        "`torch.rand(bits.shape, generator=generator) < p` says who tells the truth; `~bits` is the opposite.",
    ],
    second=_response_by_coin,
    mutants={
        "the truth with probability 1 − e^−ε": functools.partial(_response_wrong, truth=lambda e: 1 - math.exp(-e)),
        "lies with probability e^−ε": functools.partial(_response_wrong, truth=lambda e: 1 - math.exp(-e) / 2),
        "a sigmoid of ε / 2": functools.partial(_response_wrong, truth=lambda e: _sigmoid(e / 2)),
        "the truth, or else no": functools.partial(_response_wrong, truth=_sigmoid, other=torch.zeros_like),
        "a coin instead of a lie": functools.partial(
            _response_wrong, truth=_sigmoid, other=lambda bits: torch.rand(bits.shape) < 0.5
        ),
        "one coin for all": functools.partial(_response_wrong, truth=_sigmoid, shape=(1,)),
        "the other way round": functools.partial(_response_wrong, truth=lambda e: 1 - _sigmoid(e)),
    },
)  # fmt: skip

# --------------------------------------------------------------------------------------------------------- 13.compose


def _two(compose, *args):
    got = compose(*args)
    expect(hasattr(got, "__len__") and len(got) == 2, f"expected two numbers, (basic, advanced), got {got!r}")
    return float(got[0]), float(got[1])


def _compose_basic(compose):
    """Basic: the epsilons add up"""
    for eps, count in ((0.1, 100), (0.5, 1), (2.0, 7), (1e-3, 10_000)):
        got = _two(compose, eps, count, 1e-5)[0]
        expect_close(got, eps * count, 1e-9 * eps * count, f"basic, {count} answers at ε = {eps:g}")


def _compose_advanced(compose):
    """Advanced: 100 answers at 0.1 cost 5.850235 at δ = 10⁻⁵, and other closed forms"""
    for eps, count, delta, want in ((0.1, 100, 1e-5, 5.850235), (0.0, 50, 1e-5, 0.0), (0.3, 40, math.exp(-2), None)):
        if want is None:
            want = eps * 4 * math.sqrt(10) + 12 * (math.exp(0.3) - 1)  # √(2 · 40 · 2) is 4 √10
        got = _two(compose, eps, count, delta)[1]
        expect_close(got, want, 1e-5, f"advanced, {count} answers at ε = {eps:g}, δ = {delta:.3g}")


def _compose_root(compose):
    """Advanced: for small ε, four times as many answers cost twice as much, and less than basic"""
    one, four = (_two(compose, 1e-4, count, 1e-6)[1] for count in (10_000, 40_000))
    expect_close(four / one, 2.0, 0.02, "the cost of 40,000 answers at ε = 10⁻⁴ over that of 10,000")
    basic, advanced = _two(compose, 1e-4, 1_000_000, 1e-6)
    expect(advanced < basic / 5, f"a million answers at ε = 10⁻⁴: basic {basic:.4g}, advanced {advanced:.4g}, not less")


def _compose_exponent(compose):
    """Advanced: for large ε the second term rules, and basic is the smaller of the two"""
    basic, advanced = _two(compose, 3.0, 50, 1e-5)
    want = 3 * math.sqrt(100 * math.log(1e5)) + 150 * (math.exp(3) - 1)
    expect_close(advanced, want, 1e-6 * want, "advanced, 50 answers at ε = 3: the formula, even where basic is smaller")
    expect(basic < advanced, f"50 answers at ε = 3: basic is {basic:.4g}, advanced {advanced:.4g}")


def _compose_reference(eps, count, delta):
    return count * eps, eps * math.sqrt(2 * count * math.log(1 / delta)) + count * eps * math.expm1(eps)


def _compose_by_hand(eps, count, delta):
    total = sum(eps for _ in range(count))
    return [total, (-2 * math.log(delta) * total * eps) ** 0.5 + total * (np.exp(eps) - 1)]


def _compose_wrong(eps, count, delta, *, two=2.0, gap=math.expm1, root=1.0, times=1.0, log=lambda d: -math.log(d)):
    spread = eps * math.sqrt(two * count * log(delta))
    return count * eps * times, root * spread + count * eps * gap(eps)


exercise(
    "13.compose",
    title="Composition",
    reference=_compose_reference,
    properties=[_compose_basic, _compose_advanced, _compose_root, _compose_exponent],
    hints=[
        "Basic is `count * eps`. Return two numbers: `return basic, advanced`.",
        "The first term of advanced is `eps * math.sqrt(2 * count * math.log(1 / delta))`, the second is "
        "`count * eps * (math.exp(eps) - 1)`.",
    ],
    second=_compose_by_hand,
    mutants={
        "forgets the 2": functools.partial(_compose_wrong, two=1.0),
        "ε² in place of ε (e^ε − 1)": functools.partial(_compose_wrong, gap=lambda e: e),
        "forgets the second term": functools.partial(_compose_wrong, gap=lambda e: 0.0),
        "forgets the first term": functools.partial(_compose_wrong, root=0.0),
        "log to base 10": functools.partial(_compose_wrong, log=lambda d: -math.log10(d)),
        "the smaller of the two": lambda *a: (a[0] * a[1], min(_compose_reference(*a))),
        "advanced first": lambda *a: _compose_reference(*a)[::-1],
    },
)  # fmt: skip

# -------------------------------------------------------------------------------------------------- 13.gaussian_sigma


def _sigma_values(sigma):
    """The exact noise at δ = 10⁻⁵, to a relative 10⁻⁸: 3.73063163 for ε = 1, 0.60022885 for ε = 8, and others"""
    for eps in (0.1, 1.0, 3.0, 8.0, 50.0):
        want = privacy.gaussian_sigma(eps, 1e-5)
        expect_close(sigma(eps, 1e-5), want, 1.2e-8 * want, f"σ at ε = {eps:g}")


def _sigma_promise(sigma):
    """Keeps the promise, and only just: the δ that it spends is at most δ, and hardly less"""
    for eps, delta in ((0.5, 1e-3), (1.0, 1e-8), (4.0, 1e-5), (12.0, 1e-6), (0.01, 1e-5)):
        got = float(sigma(eps, delta))
        spent = privacy.gaussian_delta(eps, got) / delta
        case = f"with ε = {eps:g}, δ = {delta:g} it says σ = {got:.9g}, which spends {spent:.10f} δ"
        expect(spent <= 1 + 1e-9, f"{case}: more than was promised")
        expect(spent > 1 - 1e-4, f"{case}: more noise than is needed")


def _sigma_scale(sigma):
    """Scales with the sensitivity"""
    one, some = sigma(1.0, 1e-5), sigma(1.0, 1e-5, 7.5)
    expect_close(some / one, 7.5, 1e-6, "σ at sensitivity 7.5 over σ at 1")


def _sigma_root(eps, delta, sensitivity=1.0):
    """A root finder on the logarithm of σ, then a hair more noise."""

    def over(log_sigma):
        sigma = math.exp(log_sigma)
        ends = norm.logcdf(0.5 / sigma - eps * sigma), eps + norm.logcdf(-0.5 / sigma - eps * sigma)
        return ends[0] + math.log(max(-math.expm1(ends[1] - ends[0]), 1e-300)) - math.log(delta)

    return sensitivity * math.exp(brentq(over, -6, 12, xtol=1e-12)) * (1 + 1e-10)


def _sigma_wrong(eps, delta, sensitivity=1.0, *, weight=math.exp, end=1, steps=100, power=1, **change):
    shift, share, low = (change.get(name, usual) for name, usual in (("shift", 0.5), ("share", 1.0), ("low", 0.0)))

    def spent(sigma):
        return norm.cdf(shift / sigma - eps * sigma) - weight(eps) * norm.cdf(-shift / sigma - eps * sigma)

    ends = [low, 1.0]
    while spent(ends[1]) > delta * share:
        ends[1] *= 2
    for _ in range(steps):
        middle = sum(ends) / 2
        ends[int(spent(middle) <= delta * share)] = middle
    return sensitivity**power * ends[end]


exercise(
    "13.gaussian_sigma",
    title="Just enough Gaussian noise",
    reference=privacy.gaussian_sigma,
    properties=[_sigma_scale, _sigma_values, _sigma_promise],
    hints=[
        "Write `spent(sigma)`, the left side of the rule. For large σ it is below δ, for small σ above.",
        "Double `high` until `spent(high) <= delta`. Then halve the interval from 0: the middle is the new `high` if "
        "it is good enough, else the new `low`.",
        "After 100 halvings return `sensitivity * high`: `low` spends a little too much.",
    ],
    second=_sigma_root,
    mutants={
        "the textbook's formula": lambda e, d, s=1.0: s * math.sqrt(2 * math.log(1.25 / d)) / e,
        "forgets the sensitivity": functools.partial(_sigma_wrong, power=0),
        "the square of the sensitivity": functools.partial(_sigma_wrong, power=2),
        "stops after ten halvings": functools.partial(_sigma_wrong, steps=10),
        "ends on the wrong side": functools.partial(_sigma_wrong, steps=12, end=0),
        "stops after 25 halvings": functools.partial(_sigma_wrong, steps=25),
        "the wrong side of 30 halvings": functools.partial(_sigma_wrong, steps=30, end=0),
        "starts from 0.3": functools.partial(_sigma_wrong, low=0.3),
        "forgets e^ε": functools.partial(_sigma_wrong, weight=lambda e: 1.0),
        "1/σ for 1/2σ": functools.partial(_sigma_wrong, shift=1.0),
        "half of δ, to be safe": functools.partial(_sigma_wrong, share=0.5),
    },
)  # fmt: skip

# ----------------------------------------------------------------------------------------------------- 13.rdp_epsilon

RUNS = (  # q, σ, steps, δ, and what dp-accounting says: RDP with the improved conversion, and PLD
    (0.01, 4.0, 10_000, 1e-5, 1.0355, 0.9470),
    (256 / 60_000, 1.1, 14_062, 1e-5, 2.5966, 2.3817),
    (0.04, 1.5, 2250, 1e-5, 7.3293, 6.7688),
    (0.02, 1.0, 500, 1e-4, 2.6606, 2.3060),
)


def _whole(q, sigma, alpha, less=1):
    k = np.arange(alpha + 1)
    logs = gammaln(alpha + 1) - gammaln(k + 1) - gammaln(alpha - k + 1)
    logs += k * np.log(q) + k * (k - less) / (2 * sigma**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs += np.where(alpha > k, (alpha - k) * np.log1p(-q), 0.0)
    return float(logsumexp(logs)) / (alpha - 1)


def _ledger(q, sigma, steps, delta, orders=range(2, 257), *, convert=None, rdp=_whole, pick=min, floor=0.0):
    spent = [steps * rdp(q, sigma, alpha) + (convert or _improved)(alpha, delta) for alpha in orders]
    return max(floor, float(pick(spent)))


def _improved(alpha, delta):
    return math.log1p(-1 / alpha) - math.log(delta * alpha) / (alpha - 1)


def _classic(alpha, delta):
    return -math.log(delta) / (alpha - 1)


def _rdp_published(epsilon):
    """Agrees with an independent accountant on four training runs, to 1 %, and is never below the tightest bound"""
    for q, sigma, steps, delta, want, tight in RUNS:
        case = f"ε at q = {q:.4g}, σ = {sigma:g}, {steps:,} steps, δ = {delta:g}"
        got = epsilon(q, sigma, steps, delta)
        classic = _ledger(q, sigma, steps, delta, convert=_classic)
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
    want = _ledger(0.01, 60.0, 1, 1e-5, [2000])
    expect_close(epsilon(0.01, 60.0, 1, 1e-5, [2000]), want, 1e-6, "ε at q = 0.01, σ = 60, from order 2,000 alone")


def _rdp_orders(epsilon):
    """Looks at every order: a short, quiet run is cheapest at one far above 64"""
    want = _ledger(0.001, 4.0, 100, 1e-5)
    expect_close(epsilon(0.001, 4.0, 100, 1e-5), want, 0.001 * want, "ε at q = 0.001, σ = 4, 100 steps, all orders")


def _rdp_zero(epsilon):
    """Is never negative"""
    expect_close(epsilon(0.001, 50.0, 1, 0.3), 0.0, 1e-12, "ε of one step at q = 0.001, σ = 50, δ = 0.3")


def _rdp_library(q, sigma, steps, delta, orders=range(2, 257)):
    return max(0.0, min(steps * privacy.rdp(q, sigma, a) + _improved(a, delta) for a in orders))


exercise(
    "13.rdp_epsilon",
    title="The ledger of a training run",
    reference=_ledger,
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
        "the classic conversion": functools.partial(_ledger, convert=_classic),
        "may be negative": functools.partial(_ledger, floor=-math.inf),
        "forgets the sampling": functools.partial(_ledger, rdp=lambda q, s, a: a / (2 * s**2)),
        "q² times the full cost": functools.partial(_ledger, rdp=lambda q, s, a: q**2 * a / (2 * s**2)),
        "k² for k (k − 1)": functools.partial(_ledger, rdp=functools.partial(_whole, less=0)),
        "divides by α": functools.partial(_ledger, rdp=lambda q, s, a: _whole(q, s, a) * (a - 1) / a),
        "the largest over the orders": functools.partial(_ledger, pick=max),
        "the first 63 orders": lambda q, s, steps, d, orders=range(2, 257): _ledger(q, s, steps, d, list(orders)[:63]),
        "steps added as √T": lambda q, s, steps, d, orders=range(2, 257): _ledger(q, s, math.sqrt(steps), d, orders),
        "exponentials without logarithms": lambda q, s, steps, d, orders=range(2, 257): _ledger(
            q, s, steps, d, orders, rdp=lambda q, s, a: math.log(sum(
                math.comb(a, k) * (1 - q) ** (a - k) * q**k * math.exp(min(k * (k - 1) / (2 * s * s), 709.0))
                for k in range(a + 1))) / (a - 1),
        ),
        "one step too few": lambda q, s, steps, d, orders=range(2, 257): _ledger(q, s, steps - 1, d, orders),
    },
)  # fmt: skip

# ---------------------------------------------------------------------------------------------------------------- quiz

QUIZ = (
    Question(
        "A clinic answers exact counts, never about fewer than 50 people. What protects a patient?",
        (
            "the rule: a group of 50 hides one person",
            "nothing: two groups that differ by one person give the record away",
            "the number of records, if it is large",
        ),
        1,
        (
            "Each answer hides the person, but the difference of two does not, and the rule sees one at a time.",
            "And where such pairs are forbidden, enough random groups do the same by least squares.",
            "Exact answers about a million people differ by exactly one, too.",
        ),
    ),
    Question(
        '"Our model was trained with ε = 2." What do you have to ask before the number means anything?',
        (
            "which δ, which databases are neighbours, what one record is, and how batches were drawn",
            "how accurate the model is",
            "how many records there were",
        ),
        0,
        (
            "By record, an ε of 2 promises little to a person with 300 of them. Shuffled batches need another proof.",
            "Accuracy is the price. The promise does not depend on it.",
            "The promise is for one record among any number. (δ should be well below 1 over that number.)",
        ),
    ),
    Question(
        "An answer with ε = 0.5 is published. Years later an attack is far better. What is left of the promise?",
        (
            "nothing: it holds for attacks known at the time",
            "less and less, as computers get faster",
            "all of it: it bounds what anybody can conclude about one record from this answer, by any computation",
        ),
        2,
        (
            "No attack is named in the definition: it speaks of all sets of outputs.",
            "Nor is computing time. What can grow is the number of answers: each spends more.",
            "Post-processing is free. Only a further answer from the same records costs.",
        ),
    ),
    Question(
        "For one run, three accountants say 3.0 (classic RDP), 2.6 (improved RDP) and 2.4 (PLD). Which is right?",
        (
            "the largest, to be safe",
            "all three are upper bounds, so the smallest of them is the one to report",
            "the one in the middle: the others are outliers",
        ),
        1,
        (
            "It is no safer: the run has not changed, only the proof. You would add noise for nothing.",
            "As long as each is a proof, for this sampling and these neighbours.",
            "A bound is no measurement. They do not scatter around a truth; all lie above it.",
        ),
    ),
    Question(
        "A hospital's statistics have ε = 1 where a record is one visit. Bea came twelve times. What is she promised?",
        (
            "ε = 1, like everybody",
            "ε = 12 at best: her visits add up, so the unit should have been a person",
            "ε = 1/12, as each visit has its share",
        ),
        1,
        (
            "That is the promise to each visit. Twelve of them move an answer up to twelve times as far.",
            "From neighbour to neighbour, twelve steps of e^ε each. Always ask what one record is.",
            "The other way round: more records of hers make her easier to see.",
        ),
    ),
)
