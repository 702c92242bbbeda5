"""Auto-PGD: exact where the truth is known, and never weaker than what it is to replace."""

import importlib
import itertools

import pytest
import torch
from evasion_cases import robust_accuracy, still_right

from modelsec_course import models, runtime
from modelsec_course.evasion import LOSSES, NORMS, apgd, fgsm, pgd
from modelsec_course.evasion.auto_pgd import _checkpoints
from modelsec_course.evasion.losses import dlr, dlr_targeted

apgd_module = importlib.import_module("modelsec_course.evasion.auto_pgd")  # the package gives the function this name
BOXED = {0.05: 0.8556, 0.1: 0.5722, 0.15: 0.1833}  # softmax regression on the digits, the closed form in [0, 1]


@pytest.mark.parametrize("eps", BOXED)
@pytest.mark.parametrize("seed", [0, 1])
def test_targeted_apgd_is_exact_on_softmax_regression(linear, digits, eps, seed):
    x, y = digits
    adversarial = apgd(linear, x, y, eps=eps, steps=40, loss="dlr-targeted", generator=runtime.generator(seed))
    assert robust_accuracy(linear, adversarial, y) == pytest.approx(BOXED[eps], abs=5e-5)


@pytest.mark.parametrize("at_once", [1, 3, 9])
def test_classes_tried_beside_each_other_are_as_exact_as_one_after_the_other(linear, digits, monkeypatch, at_once):
    asked, (x, y) = [], digits
    monkeypatch.setattr(apgd_module, "SMALL", 0)  # no room but that of the batch itself
    some, labels = x[: 360 // at_once], y[: 360 // at_once]
    if at_once > 1:
        monkeypatch.setattr(apgd_module, "SMALL", at_once * len(some) * 64)
    ask = lambda v: asked.append(len(v)) or linear(v)  # noqa: E731
    adversarial = apgd(ask, some, labels, eps=0.15, steps=40, loss="dlr-targeted")
    right = exact_robust(linear, some, labels, 0.15)
    assert torch.equal(still_right(linear, adversarial, labels), right)
    assert max(asked) <= at_once * len(some)
    assert max(asked[1:]) > (at_once - 1) * right.sum()


def exact_robust(linear, x, y, eps):
    """Who stands whatever happens within eps and [0, 1]: Σ max(d·hi, d·lo) for each pair of classes."""
    weight, logits = linear[-1].weight, linear(x)
    pull = weight[None] - weight[y][:, None]  # (n, classes, d)
    high, low = ((x + s * eps).clamp(0, 1) - x for s in (1, -1))
    gain = torch.maximum(pull * high.flatten(1)[:, None], pull * low.flatten(1)[:, None]).sum(2)
    ahead = logits + gain - logits.gather(1, y[:, None])
    return (ahead.scatter(1, y[:, None], -torch.inf) < 0).all(1)


def test_where_pgd_and_fgsm_report_too_much(linear, digits):
    x, y = digits
    climb = robust_accuracy(linear, pgd(linear, x, y, eps=0.15, steps=40), y)
    assert BOXED[0.15] + 0.03 < climb < robust_accuracy(linear, fgsm(linear, x, y, eps=0.15), y)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("loss", [*LOSSES, "dlr-targeted"])
def test_no_input_falls_that_the_closed_form_says_must_stand(linear, digits, norm, loss):
    x, y = 0.25 + digits[0] / 2, digits[1]  # so that the box never binds
    model, eps = lambda u: linear(2 * (u - 0.25)), {"linf": 0.05, "l2": 0.25}[norm]
    weight, logits = linear[-1].weight, model(x)
    normal = weight[y][:, None] - weight[None]
    length = torch.linalg.vector_norm(normal, ord={"linf": 1, "l2": 2}[norm], dim=2).clamp_min(1e-12)
    distance = ((logits.gather(1, y[:, None]) - logits) / length / 2).scatter(1, y[:, None], torch.inf).amin(1)
    stands = still_right(model, apgd(model, x, y, eps=eps, norm=norm, loss=loss, steps=40), y)
    assert stands[distance > eps * (1 + 1e-4)].all()
    exact = (distance > eps).double().mean().item()
    assert stands.double().mean().item() <= exact + {"ce": 0.05, "dlr-targeted": 1e-9}.get(loss, 0.04)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 0.7)])
def test_apgd_is_not_weaker_than_pgd_with_as_many_steps(cnn, digits, norm, eps):
    ours, theirs = (robust_accuracy(cnn, a(cnn, *digits, eps=eps, norm=norm, steps=40), digits[1]) for a in (apgd, pgd))
    assert ours <= theirs + 1 / 360


@pytest.mark.parametrize("loss", ["ce", "dlr-targeted"])
def test_robust_accuracy_never_rises_with_eps(cnn, digits, loss):
    x, y = digits[0][:120], digits[1][:120]
    robust = [
        robust_accuracy(cnn, apgd(cnn, x, y, eps=eps, steps=20, loss=loss), y) for eps in (0, 0.05, 0.1, 0.2, 0.3)
    ]
    assert all(later <= earlier for earlier, later in itertools.pairwise(robust)), robust
    assert robust[-1] == 0


def test_more_targets_and_restarts_never_let_an_input_stand_again(cnn, digits):
    x, y = digits[0][:120], digits[1][:120]
    options = {"eps": 0.1, "steps": 10, "loss": "dlr-targeted"}
    one, three = (still_right(cnn, apgd(cnn, x, y, targets=n, **options), y) for n in (1, 3))
    assert (three <= one).all()
    assert three.sum() < one.sum()
    again = still_right(cnn, apgd(cnn, x, y, targets=1, restarts=3, **options), y)
    assert (again <= one).all()


def test_the_last_point_is_looked_at(linear, digits):
    # One step is a step of 2 eps back into the ball, which is FGSM; an attack that forgets its last point breaks none.
    x, y = digits
    adversarial = apgd(linear, x, y, eps=0.05, steps=1, random_start=False)
    assert torch.equal(still_right(linear, adversarial, y), still_right(linear, fgsm(linear, x, y, eps=0.05), y))


@pytest.mark.parametrize("loss", ["dlr", "dlr-targeted"])
@pytest.mark.parametrize("classes", [2, 3])
def test_dlr_refuses_fewer_than_four_classes_and_names_the_margin(loss, classes, device):
    model = models.initialise(models.linear(4, classes), runtime.generator(0)).to(device)
    x = torch.rand(5, 4, generator=runtime.generator(1)).to(device)
    with pytest.raises(ValueError, match=f"has {classes} classes: use loss='margin'"):
        apgd(model, x, model(x).argmax(1), eps=0.1, loss=loss)


def test_dlr_is_refused_by_attacks_that_cannot_aim(cnn, digits):
    with pytest.raises(ValueError, match="loss must be one of 'ce', 'margin', 'dlr'"):
        pgd(cnn, *digits, eps=0.1, loss="dlr-targeted")


def test_dlr_is_the_formula_and_blind_to_scale_and_shift():
    logits, y = torch.tensor([[3.0, 1.0, 0.0, 2.0], [0.0, 5.0, 1.0, 3.0]]), torch.tensor([0, 3])
    torch.testing.assert_close(dlr(logits, y), torch.tensor([-1 / 2, 2 / 4]))
    torch.testing.assert_close(dlr_targeted(logits, y, torch.tensor([1, 2])), torch.tensor([-2 / 2.5, -2 / 4.5]))
    for function, extra in ((dlr, ()), (dlr_targeted, (torch.tensor([1, 2]),))):
        torch.testing.assert_close(function(1000 * logits - 7, y, *extra), function(logits, y, *extra))


def test_scaled_logits_do_not_hide_from_the_dlr_loss(cnn, digits):
    x, y = digits[0][:120], digits[1][:120]
    options = {"eps": 0.1, "steps": 20, "loss": "dlr-targeted", "targets": 3}
    sure = lambda v: 1000 * cnn(v)  # noqa: E731
    plain, scaled = (robust_accuracy(sure, apgd(model, x, y, **options), y) for model in (cnn, sure))
    assert scaled == pytest.approx(plain, abs=2 / 120)


def test_the_checkpoints_of_a_hundred_steps_are_the_papers():
    # p_1 = .22, p_{j+1} = p_j + max(p_j − p_{j−1} − .03, .06), rounded up to whole steps
    assert sorted(_checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]


@pytest.mark.parametrize("norm", NORMS)
def test_apgd_breaks_what_torchattacks_breaks(cnn, linear, digits, norm):
    torchattacks = pytest.importorskip("torchattacks")
    x, y = digits[0][:120], digits[1][:120]
    eps, name = {"linf": (0.1, "Linf"), "l2": (0.7, "L2")}[norm]
    for model in (linear, cnn):
        for loss, peer in (("ce", torchattacks.APGD), ("dlr-targeted", torchattacks.APGDT)):
            more = {} if loss == "ce" else {"n_classes": 10}
            theirs = peer(model, norm=name, eps=eps, steps=20, seed=0, **more)(x, y)
            ours = apgd(model, x, y, eps=eps, norm=norm, steps=20, loss=loss)
            assert robust_accuracy(model, ours, y) <= robust_accuracy(model, theirs, y) + 1 / 120
