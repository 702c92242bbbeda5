"""Lab 13's widget draws closed forms: the best attacker reaches them, and nobody passes the bound."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from modelsec_course.labs.lab_13_differential_privacy import scene as neighbours
from modelsec_course.privacy import gaussian_sigma

of_eps = pytest.mark.parametrize("eps", [0.1, 0.7, 1.0, 4.0])


@of_eps
def test_the_best_attackers_advantage_is_the_closed_form(eps):
    want = {
        "Laplace": 1 - math.exp(-eps / 2),
        "Geometric": math.tanh(eps / 2),
        "Gaussian": 2 * norm.cdf(0.5 / gaussian_sigma(eps, neighbours.DELTA)) - 1,
    }
    for name, (_, tail) in neighbours.mechanisms(eps).items():
        assert (tail(1) - tail(0)).max() == pytest.approx(want[name], abs=1e-3 * want[name])


@of_eps
def test_no_attacker_passes_the_bound(eps):
    for name, (_, tail) in neighbours.mechanisms(eps).items():
        false, true = tail(0), tail(1)
        delta = neighbours.DELTA if name == "Gaussian" else 0.0
        assert (true <= math.exp(eps) * false + delta + 1e-12).all()
        assert (1 - false <= math.exp(eps) * (1 - true) + delta + 1e-12).all()


@of_eps
def test_the_noise_that_is_drawn_is_a_distribution_with_the_deviation_in_words(eps):
    for name, (density, _) in neighbours.mechanisms(eps).items():
        z = np.arange(-4000.0, 4001.0) if name == "Geometric" else np.linspace(-4000, 4000, 4_000_001)
        weight = density(z) * (z[1] - z[0])
        assert weight.sum() == pytest.approx(1, abs=1e-3)
        assert math.sqrt((weight * z**2).sum()) == pytest.approx(neighbours._deviation(name, eps), rel=1e-3)


@of_eps
def test_beyond_the_edge_in_words_a_gaussian_answer_passes_the_ratio(eps):
    sigma = gaussian_sigma(eps, neighbours.DELTA)
    edge = float(neighbours._beyond(158, eps).split()[1]) - 158
    loss = [norm.logpdf(edge + step - 1, scale=sigma) - norm.logpdf(edge + step, scale=sigma) for step in (-0.1, 0.1)]
    assert loss[0] < eps < loss[1]
