"""What a run of noisy releases has cost: epsilon at a delta, never less than the truth.

Neighbouring databases differ by one record added or removed. Each step draws a Poisson sample (every record is in it by
itself, with probability q), sums what the sample contributes, each record at most 1 in L2 norm, and adds Gaussian noise
of standard deviation sigma to every coordinate. Fixed-size batches of a shuffled data set are not covered.
"""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np
from scipy.special import logsumexp

from modelsec_course import validation
from modelsec_course.privacy.search import least

__all__ = ["ORDERS", "compose_advanced", "compose_basic", "noise_multiplier", "pld_epsilon", "rdp", "rdp_epsilon"]

ORDERS = (*(1 + tenth / 10 for tenth in range(1, 100)), *range(11, 64), 80, 96, 128, 192, 256, 512, 1024)
CONVERSIONS = ("improved", "classic")


def compose_basic(epsilons, deltas=()) -> tuple[float, float]:
    """(epsilon, delta) of several mechanisms run on the same records: the sums.

    epsilons, deltas: what each of them guarantees alone; no deltas means that all are 0.
    Source: Dwork, McSherry, Nissim & Smith, 2006, "Calibrating Noise to Sensitivity in Private Data Analysis".
    """
    for name, values in (("epsilons", epsilons), ("deltas", deltas)):
        for value in values:
            validation.number(f"each of {name}", value, low=0)
    return math.fsum(epsilons), math.fsum(deltas)


def compose_advanced(eps: float, count: int, delta_slack: float, delta: float = 0.0) -> tuple[float, float]:
    """(epsilon, delta) of `count` mechanisms, each of them (eps, delta)-private, run on the same records.

    It grows with the square root of `count`, at the price of `delta_slack`, in (0, 1); where the plain sum of the
    epsilons is smaller it is returned instead, without the slack.
    Source: Dwork, Rothblum & Vadhan, 2010, "Boosting and Differential Privacy".
    """
    validation.number("eps", eps, low=0)
    validation.count("count", count)
    validation.probability("delta_slack", delta_slack)
    validation.number("delta", delta, low=0, high=1)
    slow = math.sqrt(2 * count * math.log(1 / delta_slack)) * eps + count * eps * math.expm1(eps)
    return (slow, count * delta + delta_slack) if slow < count * eps else (count * eps, count * delta)


@functools.lru_cache(maxsize=1 << 16)
def rdp(q: float, sigma: float, order: float) -> float:
    """Rényi divergence, in nats, of one step of the sampled Gaussian mechanism.

    q: sampling rate, in [0, 1].  sigma: standard deviation of the noise over the sensitivity.  order: above 1, whole or
    not. The moment is an integral over a normal density, of a smooth function: the trapezium rule is exact but for
    rounding, for any order, and the deviation from 1 is summed in log-space, so neither a small q nor a high order
    loses digits.
    Source: Mironov, Talwar & Zhang, 2019, "Rényi Differential Privacy of the Sampled Gaussian Mechanism".
    """
    validation.number("q", q, low=0, high=1)
    validation.positive("sigma", sigma)
    if not 1 < order < math.inf:
        raise ValueError(f"order must be above 1 and finite, but it is {order!r}")
    if q in (0, 1):
        return q * order / (2 * sigma**2)
    if sigma < 0.05:  # hardly any noise: Minkowski's inequality, an upper bound which is then tight
        return order / (order - 1) * float(np.logaddexp(math.log1p(-q), math.log(q) + (order - 1) / (2 * sigma**2)))
    step = min(sigma, sigma**2) / 2  # the integrand's nearest pole is pi sigma² away from the real line
    z = np.arange(-13 * sigma, order + 13 * sigma, step)
    u = (z - 0.5) / sigma**2  # the log-likelihood ratio of one record in the sample to none
    ratio = order * np.where(u < 500, np.log1p(q * np.expm1(u.clip(max=500))), math.log(q) + u)
    with np.errstate(divide="ignore"):  # a ratio of exactly 0 adds nothing: log 0
        logs = ratio.clip(0) + np.log(-np.expm1(-np.abs(ratio)))  # log |e^ratio - 1|
    density = -((z / sigma) ** 2) / 2 - math.log(sigma * math.sqrt(2 * math.pi) / step)
    excess = logsumexp(logs + density, b=np.sign(ratio))
    return float(np.logaddexp(0, excess)) / (order - 1)


def rdp_epsilon(q: float, sigma: float, steps: int, delta: float, conversion: str = "improved") -> float:
    """Epsilon, at `delta`, of `steps` steps of the sampled Gaussian mechanism: the least over ORDERS, never negative.

    q: sampling rate, in [0, 1].  sigma: standard deviation of the noise over the clipping norm.  steps: at least 0.
    delta: in (0, 1).  conversion: "improved", or "classic" as the first papers report it.
    Warns when the best order is the first or last of ORDERS: a wider grid would give less.
    Source: Mironov, 2017, "Rényi Differential Privacy"; Canonne, Kamath & Steinke, 2020, "The Discrete Gaussian for
    Differential Privacy" (the improved conversion; also Balle and others, 2020); Bretagnolle & Huber, 1979, for 0.
    """
    _check(q, sigma, steps, delta)
    validation.one_of("conversion", conversion, CONVERSIONS)
    return converted(steps * np.array([rdp(q, sigma, order) for order in ORDERS]), delta, conversion)


def converted(spent: np.ndarray, delta: float, conversion: str = "improved") -> float:
    """Epsilon, at `delta`, of the Rényi divergences `spent` at each of ORDERS; the rest is as in `rdp_epsilon`."""
    orders = np.array(ORDERS)
    if not spent.any():
        return 0.0
    epsilons = spent - math.log(delta) / (orders - 1)
    if conversion == "improved":
        if -math.expm1(-spent.min()) <= delta**2:  # the two outputs differ with probability delta at most
            return 0.0
        epsilons += np.log1p(-1 / orders) - np.log(orders) / (orders - 1)
    best = int(epsilons.argmin())
    if best in (0, len(orders) - 1) and epsilons[best] > 0:
        warnings.warn(f"the best order, {ORDERS[best]}, is at the edge of ORDERS: epsilon is too large", stacklevel=3)
    return max(float(epsilons[best]), 0.0)


def pld_epsilon(q: float, sigma: float, steps: int, delta: float) -> float:
    """The same epsilon by privacy loss distributions, the tightest known, computed by the dp-accounting library.

    Arguments as in `rdp_epsilon`. It takes about a second, not a millisecond.
    Source: Doroshenko, Ghazi, Kamath, Kumar & Manurangsi, 2022, "Connect the Dots: Tighter Discrete Approximations of
    Privacy Loss Distributions".
    """
    import dp_accounting

    _check(q, sigma, steps, delta)
    if not steps or not q:
        return 0.0
    event = dp_accounting.PoissonSampledDpEvent(q, dp_accounting.GaussianDpEvent(sigma))
    accountant = dp_accounting.pld.PLDAccountant(dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    return max(float(accountant.compose(event, steps).get_epsilon(delta)), 0.0)


def noise_multiplier(eps: float, delta: float, q: float, steps: int, accountant: str = "rdp") -> float:
    """The least sigma (to 1e-4) with which `steps` steps at sampling rate q spend at most `eps` at `delta`.

    accountant: "rdp", or "pld" for less noise, a minute later. The sigma's own epsilon never exceeds the target.
    Raises ValueError for an eps so small that the accountant does not certify it with any noise.
    """
    validation.positive("eps", eps)
    validation.positive("q", q)
    validation.count("steps", steps)
    validation.one_of("accountant", accountant, ("rdp", "pld"))
    spend = {"rdp": rdp_epsilon, "pld": pld_epsilon}[accountant]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the search passes through sigmas at the edge; it errs on the safe side there
        if spend(q, 1e6, steps, delta) > eps:
            raise ValueError(f"eps must be larger: at delta = {delta:g} no noise gets {accountant} down to {eps:g}")
        return least(lambda sigma: spend(q, sigma, steps, delta) <= eps, tolerance=1e-4)


def _check(q: float, sigma: float, steps: int, delta: float) -> None:
    validation.number("q", q, low=0, high=1)
    validation.positive("sigma", sigma)
    validation.count("steps", steps, low=0)
    validation.probability("delta", delta)
