"""The fast minimum-norm attack against closed forms, Carlini and Wagner's attack, and foolbox."""

import warnings

import pytest
import torch
from evasion_cases import still_right

from modelsec_course import data, zoo
from modelsec_course.evasion import NORMS, carlini_wagner, deepfool, fast_minimum_norm


def lengths(adversarial, x, right, norm="l2"):
    return NORMS[norm].length(adversarial - x)[right]


@pytest.mark.parametrize("norm", NORMS)
def test_it_equals_the_closed_form_for_two_classes(device, norm):
    held_out = data.load("tumours").to(device)
    victim = zoo.load("tumours-logistic", device=device).requires_grad_(False)
    z = victim[0](held_out.x_test)
    scale = 1.5 * z.abs().max().item()
    x, model = (z / scale + 1) / 2, lambda u: victim[-1]((2 * u - 1) * scale)  # inside the box
    weight, logits, y = victim[-1].weight, model(x), held_out.y_test
    gap = (logits[:, 1] - logits[:, 0]) * (2 * y - 1)
    exact = gap / torch.linalg.vector_norm(weight[1] - weight[0], ord={"linf": 1, "l2": 2}[norm]) / (2 * scale)
    right = gap > 0
    found = lengths(fast_minimum_norm(model, x, y, norm=norm), x, right, norm)
    torch.testing.assert_close(found, exact[right], rtol=0.02, atol=1e-6)
    assert (found >= exact[right] * (1 - 1e-4)).all()


def test_it_breaks_every_digit_and_comes_closer_than_carlini_and_wagner_at_a_tenth_of_the_steps(cnn, digits):
    x, y = digits[0][:60], digits[1][:60]
    right = still_right(cnn, x, y)
    fast = fast_minimum_norm(cnn, x, y, steps=40)
    assert not still_right(cnn, fast, y).any()
    slow = carlini_wagner(cnn, x, y, steps=100, searches=4)
    assert lengths(fast, x, right).mean() <= lengths(slow, x, right).mean()
    assert lengths(fast, x, right).median() <= 1.01 * lengths(slow, x, right).median()


@pytest.mark.parametrize("norm", NORMS)
def test_it_is_not_longer_than_deepfool_on_the_network(cnn, digits, norm):
    x, y = digits[0][:60], digits[1][:60]
    right = still_right(cnn, x, y)
    ours, theirs = (lengths(a(cnn, x, y, norm=norm), x, right, norm) for a in (fast_minimum_norm, deepfool))
    assert ours.median() <= theirs.median()


def test_more_steps_do_not_lengthen_the_answer(cnn, digits):
    x, y = digits[0][:60], digits[1][:60]
    right = still_right(cnn, x, y)
    short, long = (lengths(fast_minimum_norm(cnn, x, y, steps=n), x, right).mean() for n in (20, 100))
    assert long <= short * 1.005


def test_the_closest_point_seen_is_returned_and_not_the_last(cnn, digits):
    x, y = digits[0][:24], digits[1][:24]
    asked = []

    def watched(at):
        asked.append(at.detach().clone())
        return cnn(at)

    found = NORMS["l2"].length(fast_minimum_norm(watched, x, y, steps=30) - x)
    hits = torch.stack([~still_right(cnn, at, y) for at in asked])
    seen = torch.stack([NORMS["l2"].length(at - x) for at in asked]).masked_fill(~hits, torch.inf)
    torch.testing.assert_close(found, seen.amin(0), rtol=1e-3, atol=1e-5)
    assert (seen[-1] > found + 1e-6).any()


def test_an_input_that_cannot_be_broken_comes_back_as_it_is(device):
    x = torch.full((3, 4), 0.5, device=device)
    model = lambda v: torch.stack([v.sum(1) * 0 + 1, v[:, 0] * 1e-3], 1)  # noqa: E731
    assert torch.equal(fast_minimum_norm(model, x, torch.zeros(3, dtype=torch.int64, device=device), steps=9), x)


@pytest.mark.parametrize("norm", NORMS)
def test_it_is_not_longer_than_foolbox_at_the_same_number_of_steps(cnn, digits, norm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        foolbox = pytest.importorskip("foolbox")
    x, y = digits[0][:60], digits[1][:60]
    attack = {"l2": foolbox.attacks.L2FMNAttack, "linf": foolbox.attacks.LInfFMNAttack}[norm](steps=60)
    _, theirs, _ = attack(foolbox.PyTorchModel(cnn, bounds=(0, 1), device=x.device), x, y, epsilons=None)
    right = still_right(cnn, x, y) & ~still_right(cnn, theirs, y)
    ours = fast_minimum_norm(cnn, x, y, norm=norm, steps=60)
    assert still_right(cnn, ours, y).sum() <= still_right(cnn, theirs, y).sum()
    assert lengths(ours, x, right, norm).median() <= 1.01 * lengths(theirs, x, right, norm).median()
