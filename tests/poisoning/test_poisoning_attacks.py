import itertools
from functools import partial

import pytest
import torch
from poison_cases import TRIGGERS, digits, trained, victim

from modelsec_course import evasion, runtime, training
from modelsec_course.poisoning import Trigger, attack_success, backdoor, blended, clean_label, flip_labels, patch

STRONG = Trigger(torch.ones(8, 8), torch.ones(8, 8), 0.5)
ATTACKS = {
    "backdoor": partial(backdoor, trigger=STRONG, target=3),
    "clean-label": partial(clean_label, trigger=STRONG, target=3),
    "clean-label hardened": partial(clean_label, trigger=STRONG, target=3, perturb=lambda x, y: 1 - x),
}


def some(n=200, seed=0):
    draw = runtime.generator(seed)
    return torch.rand(n, 1, 8, 8, generator=draw) / 2, torch.randint(5, (n,), generator=draw)


# ------------------------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize("count", [0, 1, 77, 200])
@pytest.mark.parametrize("systematic", [False, True])
def test_exactly_so_many_labels_are_wrong_and_the_indices_say_which(count, systematic):
    _, y = some()
    mapping = (torch.arange(5) + 1) % 5 if systematic else None
    before = y.clone()
    flipped, indices = flip_labels(y, count, classes=5, mapping=mapping, generator=runtime.generator(1))
    assert (flipped != y).nonzero().flatten().tolist() == indices.tolist()
    assert len(indices) == count
    assert torch.equal(y, before)
    if systematic:
        assert torch.equal(flipped[indices], (y[indices] + 1) % 5)


def test_random_flips_reach_every_other_class_equally():
    y = torch.arange(4).repeat(3000)
    flipped, _ = flip_labels(y, len(y), classes=4, generator=runtime.generator(2))
    counts = torch.stack([(flipped[y == c]).bincount(minlength=4) for c in range(4)]).double()
    assert counts.diagonal().sum() == 0
    others = counts[~torch.eye(4, dtype=torch.bool)]
    assert ((others - 1000).abs() < 5 * (3000 * 2 / 9) ** 0.5).all()


def test_targeted_flips_leave_the_other_classes_alone():
    _, y = some()
    only_2 = torch.tensor([0, 1, 4, 3, 4])
    flipped, indices = flip_labels(y, 10, classes=5, mapping=only_2, generator=runtime.generator(3))
    assert (y[indices] == 2).all()
    assert (flipped[indices] == 4).all()
    with pytest.raises(ValueError, match=f"at most {int((y == 2).sum())}"):
        flip_labels(y, 150, classes=5, mapping=only_2)


def test_systematic_flips_hurt_more_than_random_ones():
    d, right = digits(), {}
    for name, mapping in {"random": None, "systematic": (torch.arange(10) + 1) % 10}.items():
        y, _ = flip_labels(d.y_train, 574, classes=10, mapping=mapping, generator=runtime.generator(4))
        right[name] = training.accuracy(trained(d.x_train, y), d.x_test, d.y_test)
    assert right["random"] > 0.87
    assert right["systematic"] < right["random"] - 0.15


# ---------------------------------------------------------------------------------------------------------- triggers


def test_a_trigger_mixes_in_proportion():
    trigger = Trigger(torch.tensor([0.8, 0.8]), torch.tensor([0.5, 0.0]), 0.5)
    torch.testing.assert_close(trigger(torch.tensor([[0.0, 0.3], [1.0, 0.3]])), torch.tensor([[0.2, 0.3], [0.95, 0.3]]))


@pytest.mark.parametrize("size", [1, 2, 8])
def test_a_patch_covers_its_corner_and_no_more(size):
    black = torch.zeros(1, 1, 8, 8)
    for corner, flip in {"bottom right": (), "bottom left": (3,), "top right": (2,), "top left": (2, 3)}.items():
        stamped = patch(corner, size=size)(black)
        assert stamped.sum() == size**2
        assert torch.equal(stamped.flip(flip) if flip else stamped, patch(size=size)(black))


def test_a_blended_trigger_is_faint_and_everywhere():
    x, _ = some()
    change = blended(0.1, generator=runtime.generator(0))(x) - x
    assert change.abs().max() <= 0.1
    assert (change != 0).double().mean() > 0.99


# --------------------------------------------------------------------------------------------------------- backdoors


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("count", [0, 1, 20])
def test_exactly_the_indexed_rows_are_poisoned_and_the_inputs_are_left_alone(name, count):
    x, y = some()
    before = x.clone(), y.clone()
    planted = ATTACKS[name](x, y, count, generator=runtime.generator(5))
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
    assert (planted.x != x).flatten(1).any(1).nonzero().flatten().tolist() == planted.indices.tolist()
    assert len(planted.indices.unique()) == count
    assert (planted.y[planted.indices] == 3).all()
    rest = torch.ones(len(y), dtype=torch.bool).index_fill(0, planted.indices, False)
    assert torch.equal(planted.y[rest], y[rest])
    labels_changed = bool((planted.y != y).any())
    assert labels_changed == (name == "backdoor" and count > 0)


def test_a_backdoor_takes_other_classes_and_a_clean_label_attack_the_target_class():
    x, y = some()
    for name, eligible in {"backdoor": y != 3, "clean-label": y == 3}.items():
        everyone = ATTACKS[name](x, y, int(eligible.sum()))
        assert torch.equal(everyone.indices, eligible.nonzero().flatten())
        with pytest.raises(ValueError, match=f"at most {int(eligible.sum())}"):
            ATTACKS[name](x, y, int(eligible.sum()) + 1)


def test_hardening_comes_before_the_trigger():
    x, y = some()
    planted = ATTACKS["clean-label hardened"](x, y, 5)
    torch.testing.assert_close(planted.x[planted.indices], STRONG(1 - x[planted.indices]))


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_seed_chooses_the_same_rows(name):
    x, y = some()
    one, same, other = (ATTACKS[name](x, y, 10, generator=runtime.generator(s)).indices for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


# ----------------------------------------------------------------------------------------------------------- success


def test_success_excludes_the_target_class():
    y = torch.tensor([7, 7, 7, 1, 2])
    says_what_it_sees = lambda x: torch.nn.functional.one_hot((10 * x.flatten(1)[:, 0]).round().long(), 10)  # noqa: E731
    x = (y / 10).view(-1, 1, 1, 1)
    assert attack_success(says_what_it_sees, x, y, trigger=lambda z: z, target=7) == 0
    assert attack_success(says_what_it_sees, x, y, trigger=lambda z: z.clamp_min(0.15), target=2) == 1 / 4
    with pytest.raises(ValueError, match="every input is of class 7"):
        attack_success(says_what_it_sees, x[:3], y[:3], trigger=lambda z: z, target=7)


@pytest.mark.parametrize("kind", TRIGGERS)
def test_a_backdoor_opens_for_its_trigger_only(kind):
    d, (model, _), (clean, _) = digits(), victim(kind), victim("clean")
    success = {
        (who, trigger): attack_success(net, d.x_test, d.y_test, trigger=TRIGGERS[trigger], target=0)
        for (who, net), trigger in itertools.product({"victim": model, "clean": clean}.items(), TRIGGERS)
    }
    assert success.pop(("victim", kind)) > 0.8
    assert max(success.values()) < 0.15
    assert training.accuracy(model, d.x_test, d.y_test) > training.accuracy(clean, d.x_test, d.y_test) - 0.04


def test_a_clean_label_patch_fails_and_hardened_corners_succeed():
    d, (clean, _) = digits(), victim("clean")
    harden = partial(evasion.pgd, clean, eps=0.4, steps=20, stop_early=False)
    corners = patch("top left", "top right", "bottom left", "bottom right")
    for trigger, perturb, low, high in ((patch(), None, 0, 0.15), (corners, None, 0, 0.7), (corners, harden, 0.75, 1)):
        planted = clean_label(d.x_train, d.y_train, 60, trigger=trigger, target=0, perturb=perturb)
        model = trained(planted.x, planted.y, seed=3)
        assert low <= attack_success(model, d.x_test, d.y_test, trigger=trigger, target=0) <= high


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x, y: backdoor(x, y, -1, trigger=STRONG, target=0), ValueError, "count must be at least 0"),
        (lambda x, y: backdoor(x, y[:-1], 1, trigger=STRONG, target=0), ValueError, "y must have shape"),
        (lambda x, y: backdoor(x, y, 1, trigger=3, target=0), TypeError, "trigger must be callable"),
        (lambda x, y: clean_label(x, y, 1, trigger=STRONG, target=-1), ValueError, "target must be at least 0"),
        (lambda x, y: flip_labels(y, 1, classes=5, mapping=torch.arange(3)), ValueError, "mapping must hold 5 labels"),
        (lambda x, y: flip_labels(y, 1, classes=5, generator=0), TypeError, "generator must be a torch.Generator"),
        (lambda x, y: flip_labels(y, 1, classes=3), ValueError, "y holds the label 4"),
        (lambda x, y: Trigger(torch.ones(2), torch.ones(2), 1.5), ValueError, "strength must lie in"),
        (lambda x, y: Trigger(2 * torch.ones(2), torch.ones(2)), ValueError, r"pattern must lie in \[0, 1\]"),
        (lambda x, y: patch("middle"), ValueError, "corner must be one of"),
        (lambda x, y: patch(size=9), ValueError, "size must be at most 8"),
    ],
)
def test_bad_input_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call(*some())
