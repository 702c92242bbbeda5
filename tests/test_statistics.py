"""Clopper and Pearson's interval, against a published figure, its definition and the coverage it promises."""

import numpy as np
import pytest
from scipy.stats import binom

from modelsec_course.statistics import clopper_pearson, sensitivity_interval


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


def test_sensitivity_counts_only_those_who_are_ill_and_a_refusal_finds_nobody():
    y = np.repeat([0, 1], [53, 90])
    said = y.copy()
    said[:5] = 1  # missed
    said[5:8] = -1  # refused
    said[60:70] = 0  # false alarms change nothing
    assert sensitivity_interval(said, y) == pytest.approx((45 / 53, *clopper_pearson(45, 53)))
    share, low, high = sensitivity_interval(said, y, positive=1, confidence=0.9)
    assert (share, low, high) == pytest.approx((80 / 90, *clopper_pearson(80, 90, confidence=0.9)))
    with pytest.raises(ValueError, match="no member of the class 7"):
        sensitivity_interval(said, y, positive=7)
    with pytest.raises(ValueError, match="one answer for each label"):
        sensitivity_interval(said[:3], y)
