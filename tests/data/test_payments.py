"""Simulated payments: their rules, their history counted naively, and how they are made again."""

import time

import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from modelsec_course import data, runtime
from modelsec_course.data import payments
from modelsec_course.evasion import tabular

TABLE = payments.SCHEMA


@pytest.fixture(scope="module")
def made():
    return payments.simulate()


def test_fifty_thousand_rows_keep_every_rule_and_take_less_than_two_seconds(made):
    began = time.process_time()
    again = payments.simulate()
    assert time.process_time() - began < 2
    assert torch.equal(again.x, made.x)
    assert len(made.x) >= 50_000
    assert tabular.broken_rules(made.x, TABLE) == {}
    assert 0.005 < made.y.double().mean() <= 0.02
    assert made.hours.diff().min() >= 0


def test_history_equals_a_naive_count():
    small = payments.simulate(customers=15, days=10, fraud=0.02, generator=runtime.generator(2))
    columns = TABLE.columns(small.x)
    clock = small.hours.double()
    for i in range(len(clock)):
        own = small.customer == small.customer[i]
        ago = clock[i] - clock
        before = own & (ago >= 0) & ((ago > 0) | (torch.arange(len(clock)) <= i))
        assert columns["payments_1h"][i] == (before & (ago < 1)).sum()
        assert columns["payments_24h"][i] == (before & (ago < 24)).sum()
        earlier = columns["amount"][before & (ago < 24)].sum() - columns["amount"][i]
        assert columns["earlier_24h"][i] == pytest.approx(float(earlier), abs=0.02)


def test_each_kind_of_fraud_looks_like_itself(made):
    columns = TABLE.columns(made.x)
    of = {name: made.kind == k for k, name in enumerate(payments.KINDS)}
    mean = lambda what, who: columns[what][of[who]].mean().item()  # noqa: E731
    assert mean("amount", "card testing") < 10 < 100 < mean("amount", "cash-out")
    assert mean("payments_1h", "card testing") > 2.5 * mean("payments_1h", "honest")
    assert mean("online", "cloned card") == 0
    assert mean("online", "cash-out") == 1
    assert mean("night", "cloned card") > 5 * mean("night", "honest")


def test_seeds_differ_and_honest_payments_alone_can_be_had():
    assert len(payments.simulate(customers=50, fraud=0.0).y.unique()) == 1
    one, other = (payments.simulate(customers=50, generator=runtime.generator(k)) for k in (1, 2))
    assert one.x.shape != other.x.shape or not torch.equal(one.x, other.x)
    with pytest.raises(ValueError, match="most payments are honest"):
        payments.simulate(fraud=0.5)


def test_boosted_trees_find_nine_frauds_of_ten_at_one_false_alarm_of_a_hundred():
    bank = data.load("payments")
    assert bank.features[0] == "amount (€)"
    assert bank.x_train.dtype == torch.float32
    trees = HistGradientBoostingClassifier(max_iter=100, random_state=0)
    trees.fit(bank.x_train.numpy(), bank.y_train.numpy())
    score = torch.as_tensor(trees.predict_proba(bank.x_test.numpy())[:, 1])
    threshold = score[bank.y_test == 0].quantile(0.99)
    assert 0.85 < (score[bank.y_test == 1] >= threshold).double().mean() < 0.99
