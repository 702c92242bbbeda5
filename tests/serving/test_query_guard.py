"""The guard counts exactly, forgets nothing that it should remember, and lets benign clients through."""

from contextlib import suppress
from functools import partial

import pytest
import torch

from modelsec_course import data, runtime, zoo
from modelsec_course.evasion import square_attack
from modelsec_course.serving import Guard, Refused, closeness


def double(x):
    return 2 * x


def numbers(*values):
    return torch.tensor(values, dtype=torch.float32)[:, None]


def test_closeness_is_the_mean_distance_to_the_nearest_of_those_before():
    got = closeness(numbers(1.0, 4.0, 1.5), numbers(0.0, 10.0), 2)
    torch.testing.assert_close(got, torch.tensor([(1 + 9) / 2, (3 + 4) / 2, (0.5 + 1.5) / 2]))
    assert closeness(numbers(1.0, 2.0), numbers(), 1).tolist() == [torch.inf, 1.0]  # nothing came before the first
    assert closeness(numbers(1.0, 2.0), numbers(), 5).isinf().all()


@pytest.mark.parametrize("split", [1, 2, 3, 7])
def test_closeness_does_not_depend_on_how_the_queries_are_split(split):
    queries = torch.rand(7, 3, generator=runtime.generator(0))
    whole, parts, before = closeness(queries, queries[:0], 2), [], queries[:0]
    for part in queries.split(split):
        parts.append(closeness(part, before, 2))
        before = torch.cat([before, part])
    torch.testing.assert_close(torch.cat(parts), whole)


def test_without_limits_a_guard_is_the_model():
    x = torch.rand(5, 2)
    assert torch.equal(Guard(double)(x), double(x))


def test_a_budget_is_kept_to_the_query_for_each_client():
    guard = Guard(double, budget=5)
    guard(torch.rand(3, 2), "ann")
    with pytest.raises(Refused, match="'ann' is refused: budget") as refused:
        guard(torch.rand(3, 2), "ann")
    assert (refused.value.client, refused.value.reason) == ("ann", "budget")
    guard(torch.rand(2, 2), "ann")  # what was refused did not count
    guard(torch.rand(5, 2), "bob")
    assert guard.answered == {"ann": 5, "bob": 5}


def test_near_duplicates_ban_the_client_but_not_others():
    guard = Guard(double, threshold=0.1, neighbours=2)
    guard(numbers(0.0, 0.5, 0.05), "ann")  # two neighbours at a mean distance of 0.25
    with pytest.raises(Refused, match="near duplicates"):
        guard(numbers(0.01), "ann")
    with pytest.raises(Refused, match="banned"):
        guard(numbers(0.9), "ann")
    guard(numbers(0.01, 0.02), "bob")


def test_a_shared_memory_sees_an_attack_that_is_spread_over_accounts():
    for shared in (False, True):
        guard = Guard(double, threshold=0.1, neighbours=2, shared=shared)
        guard(numbers(0.0, 0.02), "ann")
        if shared:
            with pytest.raises(Refused):
                guard(numbers(0.01), "bob")
        else:
            guard(numbers(0.01), "bob")


def test_what_lies_beyond_the_window_is_forgotten():
    guard = Guard(double, threshold=0.1, neighbours=1, window=2)
    guard(numbers(0.0, 1.0, 2.0))
    guard(numbers(0.0))
    with pytest.raises(Refused):
        guard(numbers(2.0))


def test_the_encoder_says_what_counts_as_alike():
    guard = Guard(double, threshold=0.1, neighbours=1, encode=lambda x: x[:, :1])
    guard(torch.tensor([[0.0, 0.0]]))
    with pytest.raises(Refused):
        guard(torch.tensor([[0.0, 5.0]]))


def test_the_threshold_bans_the_share_of_benign_clients_that_was_asked_for():
    generator = runtime.generator(0)
    streams = torch.rand(400, 30, 4, generator=generator)
    guard = Guard(double, neighbours=3)
    for share in (0.0, 0.05, 0.5):
        guard.calibrate(streams, share)
        for unseen, slack in ((streams, 1 / 400), (torch.rand(400, 30, 4, generator=generator), 0.08)):
            banned = 0
            for client, stream in enumerate(unseen):
                fresh = Guard(double, neighbours=3, threshold=guard.threshold)
                try:
                    fresh(stream, client)
                except Refused:
                    banned += 1
            assert banned / 400 == pytest.approx(share, abs=slack)


def test_a_shared_memory_needs_a_threshold_set_on_everybodys_queries():
    generator, banned = runtime.generator(0), {}
    for name, shape in (("own", (100, 50, 4)), ("everybody's", (30, 500, 4))):
        threshold = Guard(double).calibrate(torch.rand(shape, generator=generator), 0.01)
        guards = [Guard(double, threshold=threshold, shared=True) for _ in range(10)]
        for guard in guards:
            for client in range(10):
                with suppress(Refused):
                    guard(torch.rand(50, 4, generator=generator), client)
        banned[name] = sum(len(guard.banned) for guard in guards) / 100
    assert banned["own"] > 0.5
    assert banned["everybody's"] < 0.05


def test_an_attack_on_one_digit_is_stopped_and_clients_with_many_digits_are_not():
    digits, model = data.load("digits"), zoo.load("digits-cnn", device="cpu")
    order = torch.stack([torch.randperm(1437, generator=runtime.generator(k))[:100] for k in range(100)])
    guard = Guard(model, neighbours=10)
    guard.calibrate(digits.x_train[order], 0.01)
    for client in range(3):
        guard(digits.x_test[client * 100 : client * 100 + 100], client)
    for k in range(5):
        with pytest.raises(Refused, match="near duplicates"):
            square_attack(
                partial(guard, client=f"mallory {k}"), digits.x_test[k : k + 1], digits.y_test[k : k + 1], eps=0.05
            )
        assert guard.answered[f"mallory {k}"] == 10


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"budget": 0}, ValueError, "budget must be at least 1"),
        ({"threshold": -1}, ValueError, "threshold must lie in"),
        ({"neighbours": 1.5}, TypeError, "neighbours must be a whole number"),
        ({"window": 0}, ValueError, "window must be at least 1"),
        ({"encode": 3}, TypeError, "encode must be callable"),
    ],
)
def test_bad_options_are_refused(options, kind, message):
    with pytest.raises(kind, match=message):
        Guard(double, **options)


def test_a_model_in_train_mode_is_refused():
    with pytest.raises(ValueError, match=r"train mode.*eval\(\)"):
        Guard(torch.nn.Linear(2, 2))


def test_streams_too_short_to_have_neighbours_are_refused():
    with pytest.raises(ValueError, match=r"streams.*more than 10"):
        Guard(double, neighbours=10).calibrate(torch.rand(4, 10, 2))
