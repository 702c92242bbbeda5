"""Answer with Laplace noise of just the scale that ε and the sensitivity demand."""

from __future__ import annotations

import functools

import torch
from scipy.stats import laplace as laplace_law

from modelsec_course import privacy, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import expect_draws, expect_tensor

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
    got = mechanism(value, 1.0, 1.0, runtime.generator(5))
    expect_tensor(got, value.shape, "the answer, shaped like the value")
    expect_draws(lambda generator: mechanism(value, 1.0, 1.0, generator), "the answer")
    noise = got - value
    expect(min(noise.std(0).min(), noise.std(1).min()) > 1e-6, "each entry needs noise of its own")
    different = len(_noise(mechanism).unique())
    words = f"{got.dtype}, and 40,000 draws gave {different:,} different ones: draw, and stay, in float64"
    expect(got.dtype == torch.float64 and different > len(MANY) - 5, f"the answers are {words}")


def laplace_mechanism(value, eps, sensitivity, generator):
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


EXERCISE = Exercise(
    "13.laplace_mechanism",
    title="The Laplace mechanism",
    reference=laplace_mechanism,
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
