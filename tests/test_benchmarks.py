"""The benchmark's frame: who is in the table, what is counted. Never how fast: that is for a quiet machine."""

import itertools
import json
import re

import pytest
import torch
from torch import nn

from benchmarks import __main__ as command
from benchmarks import contests as beside
from benchmarks import evasion, harness, peers, victims

ATTACKS = ["FGSM, L∞", "PGD-3, L∞", "PGD-3, L2", "DeepFool, L2", "C&W, c = 1", "C&W, 2 searches", "Fast minimum norm"]


@pytest.mark.timeout(120)
def test_the_quick_suite_fills_the_whole_table(tmp_path, capsys):
    threads = torch.get_num_threads()
    rows = command.main(["evasion", "--quick", "--json", str(tmp_path / "rows.json")])
    printed = capsys.readouterr().out
    contests = {title: list(group) for title, group in itertools.groupby(rows, key=lambda row: row["contest"])}
    assert len(contests) == 11
    for attack in ATTACKS:
        assert any(title.startswith(attack) for title in contests), attack
    assert sum("resisting" in title for title in contests) == 4
    for title, group in contests.items():
        assert title in printed
        who = [row["who"] for row in group]
        assert who[0] == "ours"
        assert sum(name.startswith("bound: ") for name in who) == 1
        searching = re.search(r"\d searches", title)
        lacking = {"torchattacks"} if searching else {"torchattacks", "ART"} if "Fast minimum" in title else set()
        assert set(peers.NAMES) - set(who) == {peer for peer in lacking if peers.installed(peer)}
        for row in group:
            if row.get("missing"):
                continue
            assert len(row["seconds"]) == len(row["ratios"]) == 1
            if not row["who"].startswith("bound"):
                assert 0 <= row["success"] <= 1
                assert ("distance" in row) == any(name in title for name in ("DeepFool", "C&W", "minimum norm"))
    assert json.loads((tmp_path / "rows.json").read_text())["rows"] == json.loads(json.dumps(rows))
    assert torch.get_num_threads() == threads


@pytest.mark.timeout(240)
def test_the_quick_robustness_suite_fills_its_table():
    rows = command.main(["robustness", "--quick"])
    contests = {title: list(group) for title, group in itertools.groupby(rows, key=lambda row: row["contest"])}
    expected = {  # the start of a title: how many there are, and which peers have the same thing
        "APGD-2, cross-entropy": (2, {"torchattacks", "ART"}),
        "APGD-2, every target": (2, {"torchattacks"}),
        "Square, L∞": (2 + 6, {"torchattacks", "ART"}),
        "Square, L2": (2, {"torchattacks", "ART"}),
        "HopSkipJump": (1, {"foolbox", "ART"}),
        "Ensemble": (2, {"torchattacks"}),
        "Certification": (1, {"ART"}),
        "An epoch": (1, {"torchattacks", "ART"}),
    }
    assert len(contests) == sum(many for many, _ in expected.values())
    for start, (many, rivals) in expected.items():
        groups = [group for title, group in contests.items() if title.startswith(start)]
        assert len(groups) == many, start
        for group in groups:
            who = [row["who"] for row in group]
            assert who[0] == "ours"
            assert sum(name.startswith("bound: ") for name in who) == 1
            assert {name for name in who if name in peers.NAMES} >= {name for name in rivals if peers.installed(name)}


@pytest.mark.timeout(120)
def test_the_quick_membership_suite_fills_its_table():
    rows = command.main(["membership", "--quick"])
    contests = {title: list(group) for title, group in itertools.groupby(rows, key=lambda row: row["contest"])}
    ways = {"ours", "in groups of a quarter", "one by one"}
    expected = [ways | {"scikit-learn"}, ways, ways, {"ours", "one by one, records in a loop"}]
    assert [{row["who"] for row in group} for group in contests.values()] == expected
    assert all(0 <= row["success"] <= 1 for row in rows)


@pytest.mark.timeout(120)
def test_the_quick_privacy_suite_fills_its_table():
    rows = command.main(["privacy", "--quick"])
    contests = {title: list(group) for title, group in itertools.groupby(rows, key=lambda row: row["contest"])}
    inversion = [group for title, group in contests.items() if title.startswith("Gradient inversion")]
    assert [{row["who"] for row in group} for group in inversion] == 3 * [{"ours", "a loop over restarts"}]
    private = [group for title, group in contests.items() if title.startswith("DP-SGD")]
    rivals = {"ours, readable", "Opacus, hooks", "Opacus, functorch", "Opacus, ghost", "plain SGD"}
    assert [{row["who"] for row in group} for group in private] == 3 * [{"ours"} | rivals]
    assert all(0 <= row.get("success", 0) <= 1 for row in rows)


def test_the_quick_extraction_suite_fills_its_table():
    rows = command.main(["extraction", "--quick"])
    contests = {title: list(group) for title, group in itertools.groupby(rows, key=lambda row: row["contest"])}
    loops = {"ours", "ordinary loop (DataLoader)", "bound: the steps alone"}
    loops |= {"ART, KnockoffNets"} if peers.installed("ART") else {"ART"}
    expected = [loops, loops | {"scikit-learn, MLPClassifier"}, {"ours", "one line after the other"}]
    assert [{row["who"] for row in group} for group in contests.values()] == expected
    assert all(0 <= row.get("success", 0) <= 1 for row in rows)


def test_the_quick_signs_suite_fills_its_table():
    rows = command.main(["signs", "--quick"])
    contests = {title: list(group) for title, group in itertools.groupby(rows, key=lambda row: row["contest"])}
    expected = 2 * [{"ours", "as many photographs"}] + 2 * [{"ours", "every pair", "prediction alone"}]
    assert [{row["who"] for row in group} for group in contests.values()] == expected
    for ours, every, alone in list(contests.values())[2:]:
        assert ours["success"] == every["success"] <= alone["success"] <= 1


def test_the_quick_stickers_suite_fills_its_table():
    rows = command.main(["stickers", "--quick"])
    contests = {title: list(group) for title, group in itertools.groupby(rows, key=lambda row: row["contest"])}
    first, *others = contests.values()
    assert [row["who"] for row in first] == ["ours"]
    assert len(others) == 4
    for group in others:
        assert [row["who"].split(":")[0] for row in group][1:3] == ["one photograph", "upside down"]
        assert all(0 <= row["low"] <= row["success"] <= row["high"] <= 1 for row in group)


def test_a_peer_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(peers, "installed", lambda peer: False)
    contest = next(iter(evasion.contests(torch.device("cpu"), quick=True)))
    assert contest.missing == list(peers.NAMES)
    lines = harness.table(harness.hold(contest, 1, torch.device("cpu"))).splitlines()
    assert [line.split()[0] for line in lines if line.endswith("not installed")] == list(peers.NAMES)


def test_a_ratio_is_taken_within_its_round(monkeypatch):
    clock = itertools.accumulate(itertools.chain([0], itertools.cycle([1.0, 0, 4.0, 0, 3.0, 0, 1.0, 0])))
    monkeypatch.setattr(harness.time, "perf_counter", lambda: next(clock))
    contest = harness.Contest("race", {"ours": lambda: None, "peer": lambda: None}, lambda result: {})
    ours, peer = harness.hold(contest, 2, torch.device("cpu"))
    assert ours["seconds"] == [1.0, 1.0]
    assert peer["seconds"] == [4.0, 3.0]  # in the second round the peer goes first
    assert peer["ratios"] == pytest.approx([1 / 4, 1 / 3])


def test_quartiles_of_one_round_are_that_round():
    assert harness.quartiles([2.0]) == (2.0, 2.0, 2.0)
    assert harness.quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 3.0, 4.0)


def test_success_needs_an_error_within_the_ball_and_the_box():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(2))
    x, y = torch.tensor([[0.6, 0.4]]).repeat(4, 1), torch.zeros(4, dtype=torch.int64)
    x_adv = torch.tensor([[0.4, 0.6], [0.55, 0.5], [0.1, 0.9], [0.6, 1.1]])  # yes; still right; too far; out of the box
    judged = beside.judged(model, x, y, torch.inf, 0.25, x_adv)
    assert judged == {"success": 0.25}
    free = beside.judged(model, x, y, torch.inf, None, x_adv)
    assert free["success"] == 0.5
    assert free["distance"] == pytest.approx(0.5 * 2**0.5)  # lengths .28, .71, ∞, ∞: the lower middle one


def test_the_pictures_are_in_the_box_and_the_same_each_time():
    x_train, y_train, x_test, y_test = victims.pictures()
    assert x_train.shape == (1437, 3, 32, 32)
    assert x_test.shape == (360, 3, 32, 32)
    assert 0 <= x_train.min() <= x_train.max() <= 1
    victims.pictures.cache_clear()
    assert torch.equal(victims.pictures()[2], x_test)
    assert len(y_train) == 1437
    assert len(y_test) == 360


@pytest.mark.parametrize("arguments", [[], ["speed"], ["evasion", "--rounds", "0"]])
def test_a_wrong_command_line_ends_with_the_usage(arguments, capsys):
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert "usage: python -m benchmarks" in capsys.readouterr().err
