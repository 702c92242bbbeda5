"""Clopper and Pearson's interval, against a published figure, its definition and the coverage it promises."""

import numpy as np
import pytest
from scipy.stats import binom

from modelsec_course.statistics import clopper_pearson


def test_the_published_figure():
    assert clopper_pearson(95, 100) == pytest.approx((0.887165, 0.983568), abs=5e-7)


@pytest.mark.parametrize(("hits", "n"), [(1, 10), (5, 10), (9, 10), (17, 360), (999, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_each_end_leaves_half_of_the_doubt(hits, n, confidence):
    low, high = clopper_pearson(hits, n, confidence=confidence)
    assert binom.sf(hits - 1, n, low) == pytest.approx((1 - confidence) / 2)
    assert binom.cdf(hits, n, high) == pytest.approx((1 - confidence) / 2)


def test_nothing_and_everything_have_closed_forms():
    assert clopper_pearson(0, 20) == pytest.approx((0, 1 - 0.025 ** (1 / 20)))
    assert clopper_pearson(20, 20) == pytest.approx((0.025 ** (1 / 20), 1))


@pytest.mark.parametrize("truth", [0.02, 0.3, 0.5, 0.9])
def test_it_covers_the_truth_as_often_as_it_says(truth):
    hits = np.arange(61)
    low, high = clopper_pearson(hits, 60)
    covered = binom.pmf(hits, 60, truth)[(low <= truth) & (truth <= high)].sum()  # exact, no sampling
    assert covered >= 0.95


@pytest.mark.parametrize(("hits", "n"), [(-1, 5), (6, 5), (1.5, 5), (1, 0), (np.nan, 5)])
def test_counts_that_cannot_be_are_refused(hits, n):
    with pytest.raises(ValueError, match="must be"):
        clopper_pearson(hits, n)
