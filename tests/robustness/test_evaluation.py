"""The worst case over several attacks: exact where the truth is known, and doubtful where it must be."""

import copy
import os
import re
import warnings
from functools import partial

import pytest
import torch
import victims
from torch import nn

from modelsec_course import data, models, runtime, training, zoo
from modelsec_course.evasion import auto, ensemble, fgsm, pgd, square_attack
from modelsec_course.robustness import (
    InputNoise,
    Quantise,
    ScaleLogits,
    Shatter,
    planted,
    red_flags,
    worst_case,
)  # fmt: skip
from modelsec_course.statistics import clopper_pearson

EPS = 0.15
HONEST = ["digits-cnn", "digits-linear", "digits-cnn-pgd", "digits-cnn-trades", "digits-cnn-ibp"]
SEEDS = range(int(os.environ.get("MODELSEC_SEEDS", "0")) + 1)  # 0 is the zoo's own; the others train anew


@pytest.fixture(scope="module")
def digits():
    held_out = data.load("digits")
    return held_out.x_test, held_out.y_test


@pytest.fixture(scope="module")
def linear():
    return zoo.load("digits-linear", device="cpu")


@pytest.fixture(scope="module")
def cnn():
    return zoo.load("digits-cnn", device="cpu")


@pytest.fixture
def victim(request, monkeypatch):
    """The zoo's model, or one that its recipe trains from another seed."""
    name, seed = request.param
    if not seed:
        return zoo.load(name, device="cpu")
    with monkeypatch.context() as other:
        other.setattr(runtime, "generator", victims.shifted(runtime.generator, seed))
        net = zoo.RECIPES[name].architecture()
        zoo.RECIPES[name].train(net)
    return net.eval()


def names(flags):
    return {flag.name for flag in flags}


# ------------------------------------------------------------------------------------------------------ the worst case


def test_the_ensemble_reports_exactly_the_closed_form_where_weaker_attacks_report_more(linear, digits):
    # softmax regression on the digits at eps = .15 in the box: 66 of 360
    exact = worst_case(linear, *digits, ensemble(eps=EPS, steps=40, queries=100), eps=EPS)
    assert exact.robust == pytest.approx(0.1833, abs=5e-5)
    assert exact.clean == pytest.approx(0.9611, abs=5e-5)
    assert exact.interval == clopper_pearson(66, 360)
    assert not exact.flags
    for attack in (partial(fgsm, eps=EPS), partial(pgd, eps=EPS)):
        assert worst_case(linear, *digits, {"weak": attack}).robust > exact.robust + 0.03


def test_it_attacks_only_what_still_stands_and_says_who_fell_to_what(cnn, digits):
    x, y = digits
    given = []

    def watched(attack):
        return lambda model, x, y: given.append(len(x)) or attack(model, x, y)

    attacks = {"FGSM": watched(partial(fgsm, eps=0.1)), "PGD": watched(partial(pgd, eps=0.1))}
    found = worst_case(cnn, x, y, attacks, eps=0.1)
    right = cnn(x).argmax(1) == y
    after = cnn(fgsm(cnn, x, y, eps=0.1)).argmax(1) == y
    assert given == [int(right.sum()), int((right & after).sum())]
    assert [turn.given for turn in found.rounds] == given
    assert found.fell_to.count("wrong already") == int((~right).sum())
    assert found.fell_to.count("FGSM") == found.rounds[0].fell == given[0] - given[1]
    assert found.fell_to.count("PGD") == found.rounds[1].fell
    assert found.fell_to.count("stands") == round(found.robust * 360) == given[1] - found.rounds[1].fell
    fooled = torch.tensor([to != "stands" for to in found.fell_to])
    assert torch.equal(cnn(found.x_adv).argmax(1) != y, fooled)
    untouched = torch.tensor([to in ("stands", "wrong already") for to in found.fell_to])
    assert torch.equal(found.x_adv[untouched], x[untouched])


def test_the_order_of_attacks_does_not_change_the_number(cnn, digits):
    x, y = digits[0][:120], digits[1][:120]
    attacks = {"PGD": partial(pgd, eps=0.1, random_start=False), "FGSM": partial(fgsm, eps=0.1)}
    there, back = (worst_case(cnn, x, y, dict(order)) for order in (attacks.items(), reversed(attacks.items())))
    assert there.robust == back.robust


def test_queries_and_gradients_are_counted_for_each_input_given(cnn, digits):
    x, y = digits[0][:40], digits[1][:40]
    attacks = {
        "PGD": partial(pgd, eps=1e-4, steps=7, stop_early=False),
        "Square": partial(square_attack, eps=1e-4, queries=30),
    }
    climb, square = worst_case(cnn, x, y, attacks).rounds
    assert (climb.queries, climb.gradients) == (7, 7)
    assert (square.queries, square.gradients) == (30, 0)


def test_what_leaves_the_ball_or_the_box_does_not_count(cnn, digits):
    x, y = digits[0][:60], digits[1][:60]
    far = {"far": partial(pgd, eps=0.4)}
    assert worst_case(cnn, x, y, far).robust < 0.05
    assert worst_case(cnn, x, y, far, eps=0.1).robust == worst_case(cnn, x, y, far, eps=0.1).clean
    out = {"out": lambda model, x, y: 2 * x - 3}
    assert worst_case(cnn, x, y, out).robust == worst_case(cnn, x, y, out).clean


def test_the_model_is_left_as_it_was(digits):
    net = models.initialise(models.cnn(), runtime.generator(0)).train()
    before = copy.deepcopy(net.state_dict())
    worst_case(net, digits[0][:8], digits[1][:8], ensemble(eps=0.1, steps=2, queries=3))
    assert net.training
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_the_report_reads_well(linear, digits):
    words = repr(worst_case(linear, *digits, {"FGSM": partial(fgsm, eps=EPS)}))
    assert words.startswith("clean accuracy 96.1%, at most 30.0% robust [25.3%, 35.0%]")
    assert "FGSM" in words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"attacks": {}}, "must not be empty"),
        ({"x": torch.zeros(0, 1, 8, 8), "y": torch.zeros(0, dtype=torch.int64)}, "must not be empty"),
        ({"y": torch.zeros(3)}, "one label for each input"),
        ({"norm": "l3"}, "norm must be one of"),
        ({"attacks": {"odd": lambda model, x, y: x[:1]}}, "attack 'odd' must return x_adv shaped like x"),
        ({"attacks": {"odd": lambda model, x, y: None}}, "it returned NoneType"),
    ],
)
def test_bad_input_is_named(linear, digits, change, words):
    given = {"x": digits[0][:5], "y": digits[1][:5], "attacks": {"FGSM": partial(fgsm, eps=0.1)}} | change
    with pytest.raises(ValueError, match=words):
        worst_case(linear, **given)


# ------------------------------------------------------------------------------------------------------------- flags


@pytest.mark.parametrize("victim", [(name, seed) for seed in SEEDS for name in HONEST], indirect=True, ids=str)
def test_an_honest_model_raises_no_flag(victim, digits):
    flags = red_flags(victim, *digits, eps=EPS)
    assert not flags, [str(flag) for flag in flags]


EXPECTED = {
    "scaled logits": "no slope",
    "quantised input": "no slope",
    "input noise": "randomness",
    "shattered gradient": "black box beats white box",
}


@pytest.mark.parametrize("victim", [("digits-cnn", seed) for seed in SEEDS], indirect=True, ids=str)
def test_every_planted_fake_is_caught_by_what_it_does(victim, digits):
    fakes = planted(victim)
    assert fakes.keys() == EXPECTED.keys()
    for name, fake in fakes.items():
        assert EXPECTED[name] in names(red_flags(fake.defended, *digits, eps=EPS)), name


def test_a_fake_stops_pgd_and_falls_to_the_attacker_who_knows_it(cnn, digits):
    x, y = digits[0][:120], digits[1][:120]
    honest = training.accuracy(cnn, auto(cnn, x, y, eps=EPS, steps=20, queries=10), y)
    for name, fake in planted(cnn).items():
        clean = training.accuracy(fake.defended, x, y)
        shown = training.accuracy(fake.defended, pgd(fake.defended, x, y, eps=EPS, steps=20), y)
        truth = training.accuracy(fake.defended, auto(fake.adaptive, x, y, eps=EPS, steps=20, queries=10), y)
        assert clean > 0.85, name
        assert shown > 0.5, name  # noise hides least: about .6, where the other three show .97
        assert shown > truth + 0.25 > honest, name


def test_train_mode_and_batch_norm_are_flagged(digits):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))
    models.initialise(net, runtime.generator(0)).train()
    x, y = digits[0][:30], digits[1][:30]
    attacks = {"FGSM": partial(fgsm, eps=0.1)}
    assert "train mode" in names(worst_case(net, x, y, attacks).flags)
    assert not worst_case(net.eval(), x, y, attacks).flags


def test_answers_that_depend_on_the_company_are_flagged(cnn, digits):
    x, y = digits[0][:30], digits[1][:30]
    company = lambda v: cnn(v) + v.flatten(1).cumsum(0).sum(1, keepdim=True) * torch.arange(10)  # noqa: E731
    assert "randomness" in names(worst_case(company, x, y, {"FGSM": partial(fgsm, eps=0.1)}).flags)


def test_probabilities_are_flagged(cnn, digits):
    x, y = digits[0][:30], digits[1][:30]
    flags = worst_case(lambda v: cnn(v).softmax(1), x, y, {"FGSM": partial(fgsm, eps=0.1)}).flags
    assert "probabilities" in names(flags)


@pytest.mark.parametrize("bad", [lambda v: v * 0, lambda v: (v - v).sqrt(), lambda v: v.detach()])
def test_gradients_that_are_zero_infinite_or_hidden_are_flagged(cnn, digits, bad):
    x, y = digits[0][:30], digits[1][:30]
    model = lambda v: cnn(v).detach() + bad(cnn(v))  # noqa: E731
    flags = worst_case(model, x, y, {"Square": partial(square_attack, eps=0.1, queries=5)}).flags
    assert "no slope" in names(flags)


def test_a_black_box_that_wins_after_a_white_box_is_flagged_and_one_that_comes_first_is_not(cnn, digits):
    x, y = digits[0][:60], digits[1][:60]
    blind, square = (
        partial(pgd, eps=EPS, steps=1, step_size=1e-6, random_start=False),
        partial(square_attack, eps=EPS, queries=200),
    )
    after = worst_case(cnn, x, y, {"PGD": blind, "Square": square})
    first = worst_case(cnn, x, y, {"Square": square, "PGD": blind})
    assert names(after.flags) == {"black box beats white box"}
    assert not first.flags


def test_a_success_that_does_not_show_again_is_flagged_and_not_counted(cnn, digits):
    x, y = digits[0][:60], digits[1][:60]
    noisy = nn.Sequential(InputNoise(0.3), cnn).eval()
    found = worst_case(noisy, x, y, {"FGSM": partial(fgsm, eps=0.1)})
    fell = sum(turn.fell for turn in found.rounds)
    assert {"success vanishes", "randomness"} <= names(found.flags)
    claimed = int(re.search(r"of (\d+) successes do not show again", str(found.flags[-1]))[1])
    assert fell < claimed
    assert round(found.robust * 60) == 60 - fell - found.fell_to.count("wrong already")


def test_behind_dice_the_majority_of_the_answers_counts_and_not_a_lucky_one():
    # input i is answered wrongly with probability x[i] once it has been touched, and never before
    dice = runtime.generator(0)
    x = torch.tensor([0.1, 0.2, 0.8, 0.9] * 100)[:, None].expand(-1, 2) / 2
    y = torch.zeros(400, dtype=torch.int64)

    def model(v):
        wrong = torch.rand(len(v), generator=dice) < (v[:, 0] - 0.45).clamp_min(0) * 2 + 0.05 * (v[:, 0] > 0.45)
        return torch.stack([~wrong, wrong], 1).float()

    found = worst_case(model, x.clone(), y, {"touch": lambda _, some, __: some + 0.45 + 0.025 * (some > 0.3)})
    fell = torch.tensor([name == "touch" for name in found.fell_to]).view(100, 4).double().mean(0)
    assert found.clean == 1
    assert (fell[:2] < 0.06).all()
    assert (fell[2:] > 0.94).all()


def test_a_model_that_stands_changes_of_any_size_is_flagged(cnn, digits):
    x, y = digits[0][:60], digits[1][:60]
    assert "stands ε = 1" in names(red_flags(nn.Sequential(Quantise(), cnn).eval(), x, y, eps=EPS, queries=50))


# ------------------------------------------------------------------------------------------------------------- fakes


def test_the_fakes_do_to_a_number_what_they_say():
    x = torch.tensor([[0.0, 0.1, 0.13, 0.49, 0.9, 1.0]])
    torch.testing.assert_close(Quantise(5)(x), torch.tensor([[0.0, 0.0, 0.25, 0.5, 1.0, 1.0]]))
    torch.testing.assert_close(ScaleLogits(1000)(x), 1000 * x)
    assert (Shatter(0.01)(x) - x).abs().max() <= 0.01
    noise = InputNoise(0.2, runtime.generator(3))
    draws = torch.stack([noise(x.repeat(500, 1)) - x for _ in range(2)])
    assert draws.std().item() == pytest.approx(0.2, rel=0.05)
    assert not torch.equal(draws[0], draws[1])


@pytest.mark.parametrize(
    "make",
    [lambda: Quantise(1), lambda: ScaleLogits(0), lambda: InputNoise(-1), lambda: Shatter(0), lambda: planted(3)],
)
def test_a_fake_that_could_do_nothing_is_refused(make):
    with pytest.raises((ValueError, TypeError), match="must be"):
        make()


# ------------------------------------------------------------------------------------------------------------ an oracle


@pytest.mark.parametrize("name", ["digits-cnn", "digits-cnn-pgd", "digits-cnn-trades"])
def test_it_never_reports_more_robustness_than_torchattacks_autoattack(name, digits):
    torchattacks = pytest.importorskip("torchattacks")
    model = zoo.load(name, device="cpu")
    x, y = digits[0][:24], digits[1][:24]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torchattacks.AutoAttack(model, norm="Linf", eps=EPS, version="standard", n_classes=10, seed=0)(x, y)
    shown = training.accuracy(model, theirs, y)
    assert worst_case(model, x, y, ensemble(eps=EPS), eps=EPS).robust <= shown
