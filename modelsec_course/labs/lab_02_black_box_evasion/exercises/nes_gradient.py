"""Estimate a gradient from scores alone, by pairs of queries on either side of x."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F

from modelsec_course import evasion, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import Watched, digits_model, expect_draws


def _quadratic():
    draw = runtime.generator(5)
    curvature, slope = torch.randn(4, 4, generator=draw), torch.randn(4, generator=draw)
    curvature, x = curvature + curvature.T, torch.randn(3, 4, generator=draw)
    return lambda z: 0.5 * ((z @ curvature) * z).sum(1) + z @ slope, x, x @ curvature + slope


def _nes_unbiased(estimate):
    """On a quadratic: right on average, whatever σ is"""
    scores, x, exact = _quadratic()
    for sigma in (0.05, 0.5):
        got = torch.stack([estimate(scores, x, sigma, 200, runtime.generator(k)) for k in range(30)])
        pairs = 30 * 200 / 2
        spread = ((exact.square().sum(1, keepdim=True) + exact.square()) / pairs).sqrt()  # of the mean, in closed form
        gap = ((got.mean(0) - exact) / spread).abs().max().item()
        share = ((got.mean(0) * exact).sum() / exact.square().sum()).item()
        say = f"with sigma = {sigma}, the mean of 30 estimates is {share:.2f} times the slope"
        expect(gap < 5, f"{say}, and {gap:.0f} standard errors off")


def _nes_pairs(estimate):
    """Where the score is the same on both sides of x: exactly 0"""
    centre = torch.full((2, 3), 0.4)
    got = estimate(lambda z: (z - centre).square().sum(1), centre, 0.1, 6, runtime.generator(0))
    expect_close(got, torch.zeros(2, 3), 1e-5, "the estimate where scores are symmetric about x")


def _nes_asks(estimate):
    """Asks exactly `samples` times about each input"""
    for samples in (2, 10):
        asked = Watched(lambda z: z.flatten(1).sum(1))
        estimate(asked, torch.zeros(5, 1, 2, 2), 0.1, samples, runtime.generator(0))
        say = f"samples = {samples} for 5 inputs: asked {asked.rows} times in all"
        expect(asked.rows == 5 * samples, f"{say}, expected {5 * samples}")


def _nes_points_uphill(estimate):
    """On the lab's model: 200 samples point the gradient's way"""
    model, x, y = digits_model(20)
    _, gradient = evasion.losses.input_gradient(model, x, y, "margin")
    with torch.no_grad():
        got = estimate(lambda z: evasion.LOSSES["margin"](model(z), y), x, 0.02, 200, runtime.generator(1))
    cosine = F.cosine_similarity(got.flatten(1), gradient.flatten(1)).median().item()
    expect(cosine > 0.6, f"the median cosine to the true gradient is {cosine:.2f}, expected about 0.75")


def _nes_draws(estimate):
    """Draws from `generator`: the same seed, the same estimate"""
    scores, x, _ = _quadratic()
    expect_draws(lambda generator: estimate(scores, x, 0.1, 4, generator), "the estimate")


def nes_gradient(scores, x, sigma, samples, generator):
    return evasion.nes_gradient(scores, x, sigma=sigma, samples=samples, generator=generator)


def _nes_at_once(scores, x, sigma, samples, generator, *, both=True, divide=2.0, kind=None, average=True):
    estimate = torch.zeros_like(x)
    directions = torch.randn(samples // 2, *x.shape, generator=generator)
    for u in map(kind, directions) if kind else directions:
        ahead, behind = scores(x + sigma * u), scores(x - sigma * u) if both else scores(x)
        estimate = estimate + torch.einsum("b...,b->b...", u, (ahead - behind) / (divide * sigma))
    return estimate / (samples // 2 if average else 1)


EXERCISE = Exercise(
    "02.nes_gradient",
    title="A gradient from scores alone",
    reference=nes_gradient,
    properties=[_nes_pairs, _nes_asks, _nes_unbiased, _nes_draws, _nes_points_uphill],
    hints=[
        "Draw `u = torch.randn(x.shape, generator=generator)`, and move it with `.to(x.device)`. How much does the "
        "score rise from `x - sigma * u` to `x + sigma * u`?",
        "That rise over a distance of 2σ is the slope along u. Multiply u by it: "
        "`slope.view(-1, *[1] * (x.dim() - 1)) * u`.",
        "Add that up over `samples // 2` directions and divide by their number. Each direction costs two queries.",
    ],
    second=_nes_at_once,
    mutants={
        "compares with x itself, not with −u": functools.partial(_nes_at_once, both=False, divide=1.0),
        "forgets that the two points are 2σ apart": functools.partial(_nes_at_once, divide=1.0),
        "divides by samples, not by directions": lambda *a: nes_gradient(*a) / 2,
        "forgets to average": functools.partial(_nes_at_once, average=False),
        "asks twice as often": lambda scores, x, sigma, samples, generator: nes_gradient(
            scores, x, sigma, 2 * samples, generator
        ),
        "directions at length 1": functools.partial(_nes_at_once, kind=lambda u: F.normalize(u.flatten(1)).view_as(u)),
        "clamps what it asks": lambda scores, *a: nes_gradient(lambda z: scores(z.clamp(0, 1)), *a),
        "downhill": lambda *a: -nes_gradient(*a),
        "draws from nowhere": lambda scores, x, sigma, samples, generator: nes_gradient(
            scores, x, sigma, samples, runtime.generator(0)
        ),
    },
)
