"""Against torchattacks 3.5.1 and foolbox 3.3.4: equal where nothing is drawn or searched, else at least as strong."""

import warnings
from functools import partial

import pytest
import torch
from evasion_cases import still_right

from modelsec_course import runtime
from modelsec_course.evasion import NORMS, carlini_wagner, deepfool, fgsm, pgd

EPS = {"linf": 0.1, "l2": 0.6}


@pytest.fixture
def torchattacks():
    return pytest.importorskip("torchattacks")


@pytest.fixture
def foolbox():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("foolbox")


@pytest.fixture(params=["linear", "cnn"])
def victim(request, linear, cnn):
    return {"linear": linear, "cnn": cnn}[request.param]


@pytest.fixture
def some(digits):
    return digits[0][:60], digits[1][:60]


def moved(adversarial, x):
    return NORMS["l2"].length(adversarial - x)


def almost_everywhere_equal(a, b, atol=1e-6, share=0.999):
    """The mean over a batch may underflow where our sum does not, so a sign here and there may differ."""
    return ((a - b).abs() <= atol).double().mean() >= share


def shorter(ours, theirs, x, right, slack):
    """Where they succeed, our median distance is not above theirs (times 1 + slack)."""
    return moved(ours, x)[right].median() <= moved(theirs, x)[right].median() * (1 + slack)


def test_fgsm_equals_torchattacks(torchattacks, victim, digits):
    theirs = torchattacks.FGSM(victim, eps=EPS["linf"])(*digits)
    assert almost_everywhere_equal(fgsm(victim, *digits, eps=EPS["linf"]), theirs)


@pytest.mark.parametrize("norm", EPS)
def test_fgsm_equals_foolbox(foolbox, victim, digits, norm):
    attack = {"linf": foolbox.attacks.LinfFastGradientAttack, "l2": foolbox.attacks.L2FastGradientAttack}[norm]
    peer = foolbox.PyTorchModel(victim, bounds=(0, 1), device=digits[0].device)
    _, theirs, _ = attack(random_start=False)(peer, *digits, epsilons=EPS[norm])
    assert almost_everywhere_equal(fgsm(victim, *digits, eps=EPS[norm], norm=norm), theirs, atol=1e-5)


@pytest.mark.parametrize("norm", EPS)
def test_one_step_of_pgd_equals_torchattacks(torchattacks, victim, digits, norm):
    alpha = EPS[norm] / 2
    peer = {"linf": torchattacks.PGD, "l2": partial(torchattacks.PGDL2, eps_for_division=1e-30)}[norm]
    theirs = peer(victim, eps=EPS[norm], alpha=alpha, steps=1, random_start=False)(*digits)  # 1e-10 would shorten steps
    ours = pgd(
        victim, *digits, eps=EPS[norm], norm=norm, step_size=alpha, steps=1, random_start=False, stop_early=False
    )
    assert almost_everywhere_equal(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("norm", EPS)
def test_the_climb_equals_foolbox_step_for_step(foolbox, linear, digits, norm):
    # Foolbox's loss is a sum like ours, so that even ten steps agree on a linear model.
    attack = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]
    peer = foolbox.PyTorchModel(linear, bounds=(0, 1), device=digits[0].device)
    stepping = attack(abs_stepsize=EPS[norm] / 4, steps=10, random_start=False)
    _, theirs, _ = stepping(peer, *digits, epsilons=EPS[norm])
    ours = pgd(
        linear,
        *digits,
        eps=EPS[norm],
        norm=norm,
        step_size=EPS[norm] / 4,
        steps=10,
        random_start=False,
        stop_early=False,
    )
    assert almost_everywhere_equal(ours, theirs, atol=1e-4, share=0.99)


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("seed", [0, 1])
def test_pgd_from_the_same_start_breaks_what_torchattacks_breaks(torchattacks, victim, digits, norm, seed):
    x, y = digits
    peer = {"linf": torchattacks.PGD, "l2": torchattacks.PGDL2}[norm]
    torch.manual_seed(seed)
    theirs = peer(victim, eps=EPS[norm], alpha=EPS[norm] / 16, steps=40)(x, y)
    ours = pgd(victim, x, y, eps=EPS[norm], norm=norm, step_size=EPS[norm] / 16, generator=runtime.generator(seed))
    assert still_right(victim, ours, y).sum() <= still_right(victim, theirs, y).sum() + 1


def test_deepfool_is_no_longer_than_torchattacks(torchattacks, victim, some):
    x, y = some
    theirs, ours = torchattacks.DeepFool(victim, overshoot=5e-4)(x, y), deepfool(victim, x, y)
    right = still_right(victim, x, y)
    assert still_right(victim, ours, y).sum() <= still_right(victim, theirs, y).sum()
    assert shorter(ours, theirs, x, right & ~still_right(victim, theirs, y), 1e-3)


def test_deepfool_is_no_longer_than_foolbox(foolbox, victim, some):
    x, y = some
    peer = foolbox.PyTorchModel(victim, bounds=(0, 1), device=x.device)
    _, theirs, _ = foolbox.attacks.L2DeepFoolAttack(overshoot=5e-4, candidates=10)(peer, x, y, epsilons=None)
    ours, right = deepfool(victim, x, y), still_right(victim, x, y)
    assert still_right(victim, ours, y).sum() <= still_right(victim, theirs, y).sum()
    assert shorter(ours, theirs, x, right & ~still_right(victim, theirs, y), 1e-3)


def test_carlini_wagner_is_shorter_than_torchattacks(torchattacks, victim, some):
    x, y = some
    theirs = torchattacks.CW(victim, c=1, steps=100, lr=0.1)(x, y)
    ours, right = carlini_wagner(victim, x, y, steps=50, searches=4), still_right(victim, x, y)
    assert not still_right(victim, ours, y).any()
    assert shorter(ours, theirs, x, right & ~still_right(victim, theirs, y), 0)


def test_carlini_wagner_is_as_short_as_foolbox_on_the_same_budget(foolbox, victim, some):
    x, y = some
    peer = foolbox.PyTorchModel(victim, bounds=(0, 1), device=x.device)
    attack = foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=4, steps=50, stepsize=0.1, initial_const=1.0)
    _, theirs, _ = attack(peer, x, y, epsilons=None)
    ours, right = carlini_wagner(victim, x, y, steps=50, searches=4), still_right(victim, x, y)
    assert still_right(victim, ours, y).sum() <= still_right(victim, theirs, y).sum()
    assert shorter(ours, theirs, x, right & ~still_right(victim, theirs, y), 0.02)
