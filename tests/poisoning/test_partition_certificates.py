import itertools

import pytest
import torch
import torch.nn.functional as F
from poison_cases import TRIGGERS, digits

from modelsec_course import runtime
from modelsec_course.poisoning import PartitionEnsemble, attack_success, backdoor, partition, partition_certificate


def outcomes(ballots, classes, changed):
    """The winners of every election in which at most `changed` of these voters vote otherwise."""
    winners = set()
    for who in itertools.combinations(range(len(ballots)), changed):
        for choice in itertools.product(range(classes), repeat=changed):
            now = list(ballots)
            for i, vote in zip(who, choice, strict=True):
                now[i] = vote
            counts = [now.count(c) for c in range(classes)]
            winners.add(counts.index(max(counts)))
    return winners


@pytest.mark.parametrize(("voters", "classes"), [(5, 3), (6, 2), (7, 2), (4, 4)])
def test_the_certificate_is_what_brute_force_finds(voters, classes):
    for ballots in itertools.combinations_with_replacement(range(classes), voters):
        winner, radius = partition_certificate(torch.tensor([ballots.count(c) for c in range(classes)])[None])
        exact = next((r - 1 for r in range(1, voters + 1) if len(outcomes(ballots, classes, r)) > 1), voters)
        assert {winner.item()} == outcomes(ballots, classes, 0)
        assert radius.item() == exact, ballots


def test_known_answers():
    votes = torch.tensor([[30, 12, 8], [12, 30, 8], [25, 25, 0], [25, 24, 1], [24, 25, 1], [0, 0, 50]])
    winner, radius = partition_certificate(votes)
    assert winner.tolist() == [0, 1, 0, 0, 1, 2]
    assert radius.tolist() == [9, 8, 0, 0, 0, 24]


def test_a_row_has_its_part_from_its_own_numbers_alone():
    x = torch.rand(500, 1, 4, 4, generator=runtime.generator(0))
    parts, order = partition(x, 13), torch.randperm(500, generator=runtime.generator(1))
    assert torch.equal(partition(x[order], 13), parts[order])
    assert torch.equal(partition(x[:7], 13), parts[:7])
    assert parts.min() >= 0
    assert parts.max() < 13


def test_parts_are_about_equally_large():
    counts = partition(digits().x_train, 50).bincount(minlength=50).double()
    chi_square = ((counts - counts.mean()).square() / counts.mean()).sum()
    assert 20 < chi_square < 95  # 49 degrees of freedom: 0.01 % on either side


def test_a_part_is_ridge_regression_on_its_own_rows():
    draw = runtime.generator(2)
    x, y = torch.rand(90, 5, generator=draw), torch.randint(3, (90,), generator=draw)
    ensemble, fresh = PartitionEnsemble(x, y, parts=4, classes=3, penalty=0.7), torch.rand(20, 5, generator=draw)
    for part in range(4):
        mine = ensemble.parts == part
        rows = torch.cat([x[mine], torch.ones(int(mine.sum()), 1)], 1).double()
        stacked = torch.cat([rows, 0.7**0.5 * torch.eye(6).double()])
        answers = torch.cat([F.one_hot(y[mine], 3).double() - 1 / 3, torch.zeros(6, 3).double()])
        weights = torch.linalg.lstsq(stacked, answers).solution
        torch.testing.assert_close(ensemble.weights[part], weights)
        chosen = (torch.cat([fresh, torch.ones(20, 1)], 1).double() @ weights).argmax(1)
        assert torch.equal(ensemble.choices(fresh)[:, part], chosen)


def test_a_row_moves_no_other_parts_vote():
    d = digits()
    before = PartitionEnsemble(d.x_train, d.y_train, parts=30, classes=10)
    added = torch.cat([d.x_train, d.x_test[:1]]), torch.cat([d.y_train, (d.y_test[:1] + 1) % 10])
    relabelled = d.x_train, d.y_train.index_fill(0, torch.tensor([5]), 3)
    removed = d.x_train[1:], d.y_train[1:]
    touched = (partition(d.x_test[:1], 30), before.parts[5:6], before.parts[:1])
    for (x, y), part in zip((added, relabelled, removed), touched, strict=True):
        after = PartitionEnsemble(x, y, parts=30, classes=10)
        assert (after.weights != before.weights).flatten(1).any(1).nonzero().flatten().tolist() == part.tolist()


def test_no_attack_within_the_radius_turns_a_digit_and_a_larger_one_does():
    d = digits()
    ensemble = PartitionEnsemble(d.x_train, d.y_train, parts=50, classes=10)
    label, radius = ensemble.certify(d.x_test)
    fell = 0
    for i in range(8):
        runner_up = ensemble.votes(d.x_test[i : i + 1])[0].index_fill(0, label[i], -1).argmax()
        noise = 0.01 * torch.rand(600, 1, 8, 8, generator=runtime.generator(i))
        copies = (d.x_test[i] + noise).clamp(0, 1)
        parts, chosen = partition(copies, 50).tolist(), ensemble.choices(d.x_test[i : i + 1])[0]
        mine = [parts.index(part) for part in set(parts) if chosen[part] == label[i]]
        for count in (int(radius[i]), len(mine)):
            x = torch.cat([d.x_train, copies[mine[:count]]])
            y = torch.cat([d.y_train, runner_up.expand(len(mine[:count]))])
            stands = PartitionEnsemble(x, y, parts=50, classes=10).votes(d.x_test[i : i + 1]).argmax() == label[i]
            if count == int(radius[i]):
                assert stands
            fell += int(not stands)
    assert fell >= 5


def test_votes_withstand_a_backdoor_that_opens_a_single_model():
    d = digits()
    planted = backdoor(d.x_train, d.y_train, 15, trigger=TRIGGERS["blended"], target=0)
    success = {}
    for parts in (1, 50):
        voters = PartitionEnsemble(planted.x, planted.y, parts=parts, classes=10)
        success[parts] = attack_success(voters.votes, d.x_test, d.y_test, trigger=TRIGGERS["blended"], target=0)
        assert (voters.certify(d.x_test)[0] == d.y_test).double().mean() > 0.9
    assert success[1] > 0.5
    assert success[50] < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: partition_certificate(torch.tensor([1, 2])), r"counts \(batch, classes\)"),
        (lambda: partition_certificate(torch.tensor([[0.5, 0.5]])), "whole numbers"),
        (lambda: partition_certificate(torch.tensor([[-1, 3]])), "whole numbers"),
        (lambda: partition(torch.rand(3, 2), 0), "parts must be at least 1"),
        (lambda: partition(2 * torch.rand(30, 2), 3), r"x must lie in \[0, 1\]"),
        (lambda: PartitionEnsemble(torch.rand(3, 2), torch.zeros(2).long(), parts=2, classes=2), "y must have shape"),
        (lambda: PartitionEnsemble(torch.rand(3, 2), torch.full((3,), 2), parts=2, classes=2), "y holds the label 2"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
