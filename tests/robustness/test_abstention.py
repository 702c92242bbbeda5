"""A model that may abstain: coverage and risk against their definitions."""

import math

import pytest
import torch

from modelsec_course import data, runtime, zoo
from modelsec_course.robustness import (
    ABSTAIN,
    guaranteed_threshold,
    risk_coverage,
    risk_coverage_area,
    selective_predict,
    threshold_for,
)


def some(n=200, classes=4):
    logits = 3 * torch.randn(n, classes, generator=runtime.generator(0))
    y = torch.where(torch.rand(n, generator=runtime.generator(1)) < 0.7, logits.argmax(1), 0)
    logits[: n // 4] = logits[0]  # a quarter of the confidences tie
    return logits, y


def test_it_answers_where_it_is_sure_enough():
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]]))
    assert selective_predict(logits, 0.55).tolist() == [0, 1, ABSTAIN]
    assert selective_predict(logits, 0.0).tolist() == logits.argmax(1).tolist()
    assert selective_predict(logits, 1.1).tolist() == [ABSTAIN] * 3


def test_coverage_falls_as_the_threshold_rises():
    logits, _ = some()
    covered = [(selective_predict(logits, t / 50) != ABSTAIN).float().mean() for t in range(52)]
    assert covered == sorted(covered, reverse=True)


def test_the_curve_is_what_each_of_its_thresholds_gives():
    logits, y = some()
    thresholds, coverage, risk = risk_coverage(logits, y)
    assert (thresholds.diff() < 0).all()
    assert (coverage.diff() > 0).all()
    for t, share, wrong in zip(thresholds, coverage, risk, strict=True):
        said = selective_predict(logits, t.item())
        answered = said != ABSTAIN
        assert answered.float().mean() == pytest.approx(share)
        assert (said != y)[answered].float().mean() == pytest.approx(wrong)
    assert coverage[-1] == 1
    assert risk[-1] == pytest.approx((logits.argmax(1) != y).float().mean())


@pytest.mark.parametrize("coverage", [0.0, 0.005, 0.01, 0.5, 0.8, 0.999, 1.0])
def test_the_threshold_is_the_highest_that_covers_enough(coverage):
    logits, _ = some()
    threshold = threshold_for(logits, coverage)
    assert (selective_predict(logits, threshold) != ABSTAIN).float().mean() >= coverage - 1e-6
    stricter = selective_predict(logits, threshold + 1e-6) != ABSTAIN
    assert stricter.float().mean() < max(coverage, 1 / len(logits))


def test_abstaining_on_the_digits_lowers_the_risk_on_data_that_did_not_choose_the_threshold():
    digits, net = data.load("digits"), zoo.load("digits-linear", device="cpu")
    with torch.no_grad():
        logits = net(digits.x_test)
    threshold = threshold_for(logits[:180], 0.8)
    said = selective_predict(logits[180:], threshold)
    answered = said != ABSTAIN
    assert 0.7 < answered.float().mean() < 0.9
    wrong = said != digits.y_test[180:]
    assert wrong[answered].float().mean() < (logits.argmax(1) != digits.y_test)[180:].float().mean()


def test_bad_arguments_are_refused():
    logits, y = some()
    with pytest.raises(ValueError, match=r"logits must be floats \(batch, classes\)"):
        selective_predict(y, 0.5)
    with pytest.raises(ValueError, match="threshold must lie in"):
        selective_predict(logits, math.nan)
    with pytest.raises(ValueError, match="coverage must lie in"):
        threshold_for(logits, 1.5)
    with pytest.raises(ValueError, match="y must have shape"):
        risk_coverage(logits, y[:3])
    with pytest.raises(ValueError, match="at least one input"):
        risk_coverage(logits[:0], y[:0])
    with pytest.raises(ValueError, match="at least one input"):
        threshold_for(logits[:0], 0.5)


def test_the_area_is_the_mean_risk_and_refusing_at_random_is_worse():
    logits, y = some()
    distinct = logits + 0.01 * torch.randn(logits.shape, generator=runtime.generator(2))
    _, _, risk = risk_coverage(distinct, y)
    assert len(risk) == len(y)
    assert risk_coverage_area(distinct, y) == pytest.approx(risk.mean().item(), abs=1e-6)
    right, sure = torch.tensor([[0.0, 3.0], [0.0, 2.0], [0.0, 1.0]]), torch.tensor([1, 1, 0])
    assert risk_coverage_area(right, sure) == pytest.approx((0 + 0 + 1 / 3) / 3)


def test_a_guaranteed_threshold_keeps_its_promise():
    broken, covered = 0, []
    for seed in range(200):
        draw = runtime.generator(seed)
        score = 4 * torch.randn(4000, generator=draw)
        y = (torch.rand(4000, generator=draw) < torch.sigmoid(score)).long()  # calibrated by construction
        logits = torch.stack([torch.zeros(4000), score], 1)
        threshold, bound = guaranteed_threshold(logits[:400], y[:400], risk=0.05, confidence_level=0.9)
        said = selective_predict(logits[400:], threshold)
        answered = said != ABSTAIN
        covered.append(answered.float().mean().item())
        assert bound <= 0.05
        broken += bool((said != y[400:])[answered].float().mean() > 0.05)
    assert broken / 200 < 0.1
    assert sum(covered) / 200 > 0.4


def test_too_few_records_guarantee_nothing():
    logits, y = torch.tensor([[0.0, 9.0]]).expand(20, 2), torch.ones(20, dtype=torch.int64)
    threshold, _ = guaranteed_threshold(logits, y, risk=0.02)
    assert threshold == 2
    with pytest.raises(ValueError, match="at least one input"):
        guaranteed_threshold(logits[:0], y[:0], risk=0.02)
