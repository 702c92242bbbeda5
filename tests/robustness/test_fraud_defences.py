"""Defences of a table's model: each against its own words."""

import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from modelsec_course import robustness, runtime
from modelsec_course.data import payments
from modelsec_course.evasion import tabular

TABLE = payments.SCHEMA
SIGNS = torch.tensor([int(name in payments.RISES) for name in TABLE.names])
RAISED = tuple(name for name in payments.RISES if TABLE[name].mutable and name not in TABLE.derived)
PADDING = TABLE.restricted(names=RAISED, only="up")


@pytest.fixture(scope="module")
def month():
    return payments.simulate(customers=700, generator=runtime.generator(1))


def free(x, y):
    return robustness.monotone_model(x, y, 0 * SIGNS, rounds=60)


def caught(model, month, threshold):
    late = month[month.hours >= 480]
    x = late.x[late.y == 1]
    return x[tabular.scorer(model)(x) >= threshold]


def passes(model, x, threshold, moves):
    return tabular.feasible_evasion(model, x, moves, threshold=threshold, queries=200).rate(200)


def test_padding_never_lowers_a_monotone_score_and_does_lower_a_free_one(month):
    early = month[month.hours < 480]
    honest = payments.simulate(customers=700, fraud=0.0, generator=runtime.generator(2)).x
    rates = {}
    for name, signs in (("free", 0 * SIGNS), ("monotone", SIGNS)):
        model = robustness.monotone_model(early.x, early.y, signs, rounds=60)
        threshold = robustness.refusal_threshold(model, honest)
        refused = caught(model, month, threshold)
        rates[name] = [passes(model, refused, threshold, moves) for moves in (PADDING, TABLE)]
    assert rates["monotone"][0] == 0 < 0.05 < rates["free"][0], rates
    assert rates["monotone"][1] > 0.5, rates  # no help against one who may lower and wait


def test_retraining_helps_against_its_own_moves_and_keeps_honest_payments(month):
    early = month[month.hours < 480]
    honest = payments.simulate(customers=700, fraud=0.0, generator=runtime.generator(2)).x

    def lowest(model, x):
        return tabular.feasible_evasion(model, x, TABLE, threshold=-1.0, queries=30).x

    models = {"plain": free(early.x, early.y), "hard": robustness.hardened(free, early.x, early.y, lowest, rounds=2)}
    rate, alarms = {}, {}
    for name, model in models.items():
        threshold = robustness.refusal_threshold(model, honest)
        rate[name] = tabular.feasible_evasion(
            model, caught(model, month, threshold), TABLE, threshold=threshold, queries=30
        ).rate(30)
        late = month[month.hours >= 480]
        alarms[name] = (tabular.scorer(model)(late.x[late.y == 0]) >= threshold).double().mean().item()
    assert rate["hard"] < 0.8 * rate["plain"], rate
    assert max(alarms.values()) < 0.02, alarms


def test_the_threshold_refuses_the_share_that_was_asked_for():
    scores = torch.arange(1000.0)
    threshold = robustness.refusal_threshold(lambda x: x[:, 0], scores[:, None], 0.05)
    assert (scores >= threshold).double().mean() == pytest.approx(0.05, abs=0.002)


def test_velocity_limits_refuse_whatever_the_model_says(month):
    guarded = robustness.limited(lambda x: torch.zeros(len(x)), TABLE, {"payments_1h": 2, "spent_24h": 500})
    columns, score = TABLE.columns(month.x), guarded(month.x)
    over = (columns["payments_1h"] > 2) | (columns["spent_24h"] > 500)
    assert torch.equal(score.isinf(), over)
    assert (score[~over] == 0).all()


def test_the_queue_sees_the_most_suspicious_of_each_day_that_are_not_refused():
    scores = torch.tensor([0.1, 0.9, 0.5, 0.4, 0.3, 0.2, 0.95])
    days = torch.tensor([0, 0, 0, 1, 1, 1, 0])
    seen = robustness.review_queue(scores, days, threshold=0.8, capacity=1)
    assert seen.tolist() == [False, False, True, True, False, False, False]
    assert robustness.review_queue(scores, days, threshold=0.8, capacity=0).sum() == 0
    many = robustness.review_queue(scores, days, threshold=0.8, capacity=9)
    assert torch.equal(many, scores < 0.8)


def test_the_queue_equals_a_loop(month):
    draw = runtime.generator(3)
    scores, days = torch.rand(500, generator=draw), torch.randint(7, (500,), generator=draw)
    want = torch.zeros(500, dtype=torch.bool)
    for day in range(7):
        rows = ((days == day) & (scores < 0.9)).nonzero().flatten()
        want[rows[scores[rows].argsort(descending=True)[:6]]] = True
    assert torch.equal(robustness.review_queue(scores, days, threshold=0.9, capacity=6), want)


def test_signs_that_do_not_fit_are_refused(month):
    with pytest.raises(ValueError, match="each -1, 0 or 1"):
        robustness.monotone_model(month.x[:50], month.y[:50], torch.tensor([1, 2]))


def test_a_monotone_model_is_scikit_learns(month):
    early = month[month.hours < 240]
    ours = robustness.monotone_model(early.x, early.y, SIGNS, rounds=20)
    theirs = HistGradientBoostingClassifier(max_iter=20, random_state=0, monotonic_cst=SIGNS.numpy())
    theirs.fit(early.x.numpy(), early.y.numpy())
    assert (ours.predict_proba(early.x[:99]) == theirs.predict_proba(early.x[:99])).all()
