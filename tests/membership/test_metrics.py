"""Rates at few false accusations: exact counts, closed forms, intervals that cover, and refusals."""

import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from modelsec_course import runtime
from modelsec_course.membership import auc, tpr_at_fpr
from modelsec_course.statistics import clopper_pearson


def gaussians(mu, n=2000, seed=0):
    draw = runtime.generator(seed)
    members = torch.arange(2 * n) < n
    return torch.randn(2 * n, generator=draw) + mu * members, members


def test_a_hand_counted_rate():
    scores = torch.cat([torch.arange(100.0), torch.tensor([97.5, 98.5, 99.5, 10.0])])
    members = torch.arange(104) >= 100
    assert tpr_at_fpr(scores, members, 0.01) == (0.5, *clopper_pearson(2, 4))
    assert tpr_at_fpr(scores, members, 0.02).value == 0.75
    assert tpr_at_fpr(scores, members, 1).value == 1


@pytest.mark.parametrize("fpr", [0.001, 0.01, 0.07, 0.29, 0.5, 1.0])
def test_it_equals_scikit_learns_roc_also_with_ties(fpr):
    for digits in (6, 1):
        scores, members = gaussians(1.0)
        scores = scores.mul(10**digits).round() / 10**digits
        false, true, _ = roc_curve(members, scores, drop_intermediate=False)
        assert tpr_at_fpr(scores, members, fpr).value == pytest.approx(true[false <= fpr + 1e-12].max())
        assert auc(scores, members).value == pytest.approx(roc_auc_score(members, scores))


@pytest.mark.parametrize("mu", [1.0, 2.0])
def test_gaussian_scores_meet_the_closed_form(mu):
    scores, members = gaussians(mu, n=200_000)
    for fpr in (0.01, 0.001):
        at = norm.ppf(fpr)
        slope = norm.pdf(at + mu) / norm.pdf(at)  # of the ROC: the threshold rests on fpr × 200,000 others
        tolerance = 4 * slope * (fpr / 200_000) ** 0.5 + 0.001
        assert tpr_at_fpr(scores, members, fpr).value == pytest.approx(norm.cdf(at + mu), abs=tolerance)
    area = auc(scores, members)
    assert area.value == pytest.approx(norm.cdf(mu / 2**0.5), abs=0.003)


def test_the_interval_of_the_auc_covers_the_truth_as_often_as_it_says():
    covered = 0
    for seed in range(400):
        area = auc(*gaussians(1.0, n=60, seed=seed))
        covered += area.low <= norm.cdf(0.5**0.5) <= area.high
    assert 0.91 < covered / 400 < 0.985


def test_no_rate_is_answered_that_the_others_cannot_show():
    scores, members = torch.arange(150.0), torch.arange(150) >= 99
    with pytest.raises(ValueError, match="at least 100 non-members, but there are 99"):
        tpr_at_fpr(scores, members, 0.01)
    assert tpr_at_fpr(torch.arange(151.0), torch.arange(151) >= 100, 0.01).value == 1


def test_several_models_are_pooled():
    scores, members = gaussians(1.0)
    assert tpr_at_fpr(scores.view(4, -1), members.view(4, -1), 0.05) == tpr_at_fpr(scores, members, 0.05)


@pytest.mark.parametrize(
    ("scores", "members", "fpr", "words"),
    [
        (torch.zeros(4), torch.ones(4, dtype=torch.bool), 0.5, "both True and False"),
        (torch.zeros(4), torch.arange(4), 0.5, "bool"),
        (torch.zeros(3), torch.arange(4) < 2, 0.5, "shape"),
        (torch.tensor([0.0, torch.nan, 1, 2]), torch.arange(4) < 2, 0.5, "NaN"),
        (torch.zeros(4), torch.arange(4) < 2, 0.0, "fpr"),
        (torch.zeros(4), torch.arange(4) < 2, 1.5, "fpr"),
    ],
)
def test_bad_scores_are_explained(scores, members, fpr, words):
    with pytest.raises(ValueError, match=words):
        tpr_at_fpr(scores, members, fpr)
