"""An adversarial input stays in the ball and in the box, whatever the attack and however odd the model."""

import hypothesis.strategies as st
import pytest
import torch
from evasion_cases import ATTACKS, NAMES, TARGETED, call, network, pictures, still_right
from hypothesis import given, settings

from modelsec_course import models, runtime
from modelsec_course.evasion import NORMS, carlini_wagner, deepfool, fgsm, pgd

BUDGETED = [name for name in NAMES if ATTACKS[name][2] is not None]


def keeps_to_the_box(x):
    return x.isfinite().all() and x.min() >= 0 and x.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_every_attack_keeps_to_the_ball_and_the_box(name, cnn, digits):
    x, y = digits[0][:64], digits[1][:64]
    attack, norm, eps = ATTACKS[name]
    adversarial = attack(cnn, x, y)
    assert adversarial.shape == x.shape
    assert adversarial.dtype == x.dtype
    assert adversarial.device == x.device
    assert keeps_to_the_box(adversarial)
    if eps is not None:
        assert NORMS[norm].length(adversarial - x).max() <= eps + 1e-6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_plain_pictures_at_the_ends_of_the_range_are_attacked_too(name, value, device):
    x = torch.full((4, 1, 8, 8), value, device=device)
    attack, norm, eps = ATTACKS[name]
    adversarial = attack(network(device), x, torch.arange(4, device=device))
    assert keeps_to_the_box(adversarial)
    if eps is not None:
        assert NORMS[norm].length(adversarial - x).max() <= eps + 1e-6


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=40, deadline=None)
@given(
    eps=st.floats(0, 1),
    steps=st.integers(1, 6),
    step_size=st.none() | st.floats(1e-6, 10),
    seed=st.integers(0, 2**32 - 1),
    random_start=st.booleans(),
    stop_early=st.booleans(),
    loss=st.sampled_from(["ce", "margin"]),
    targeted=st.booleans(),
)
def test_pgd_keeps_to_the_ball_for_all_its_options(norm, seed, **options):
    x, y = pictures(6)
    adversarial = pgd(network(), x, y, norm=norm, generator=runtime.generator(seed), **options)
    assert keeps_to_the_box(adversarial)
    assert NORMS[norm].length(adversarial - x).max() <= options["eps"] + 1e-6


@settings(max_examples=40, deadline=None)
@given(
    features=st.integers(1, 6),
    classes=st.integers(2, 6),
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([0, 1e-3, 1, 1e4]),
)
def test_every_attack_stays_finite_on_any_linear_model(features, classes, seed, scale):
    generator = runtime.generator(seed)
    model = models.initialise(models.linear(features, classes), generator)
    with torch.no_grad():
        model[-1].weight.mul_(scale)
    x = torch.rand(3, features, generator=generator).round(decimals=1)
    y = torch.randint(classes, (3,), generator=generator)
    for attack in (
        lambda *given: fgsm(*given, eps=0.2),
        lambda *given: pgd(*given, eps=0.2, steps=3, norm="l2"),
        lambda *given: deepfool(*given, steps=5),
        lambda *given: carlini_wagner(*given, steps=3, searches=2),
    ):
        assert keeps_to_the_box(attack(model, x, y))


@pytest.mark.parametrize("name", NAMES)
def test_wrong_inputs_count_as_broken_and_stay_finite(name, cnn, digits):
    x, y = digits[0][:32], (digits[1][:32] + 1) % 10  # every label is wrong, so nothing is left to break
    adversarial = call(name)(cnn, x, y)
    assert keeps_to_the_box(adversarial)
    broken = cnn(adversarial).argmax(1) != y
    assert name == "pgd-worst" or broken.double().mean() >= 0.9  # a single step may lead on to the label itself
    if ATTACKS[name][2] is None:
        assert torch.equal(adversarial, x)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_without_slope_leaves_the_attack_within_bounds(name, device):
    x = torch.rand(5, 4, generator=runtime.generator(0)).to(device)
    adversarial = call(name)(lambda v: v[:, :4] * 0, x, torch.zeros(5, dtype=torch.int64, device=device))
    assert keeps_to_the_box(adversarial)


@pytest.mark.parametrize("name", NAMES)
def test_infinite_and_undefined_slopes_count_as_none(name, device):
    x = torch.tensor([[0.0, 0.3], [0.2, 0.0]], device=device)
    adversarial = call(name)(
        lambda v: torch.stack([v[:, 0].sqrt(), v[:, 1].sqrt(), v[:, 0] - 2, v[:, 1] - 3], 1),
        x,
        torch.tensor([1, 0], device=device),
    )
    assert keeps_to_the_box(adversarial)


@pytest.mark.parametrize("name", TARGETED)
def test_targets_are_reached(name, cnn, digits):
    x, y = digits[0][:30], digits[1][:30]
    target = (y + 1) % 10
    reached = (cnn(TARGETED[name](cnn, x, target)).argmax(1) == target).double().mean()
    assert reached > (0.3 if name == "fgsm" else 0.95)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_aiming_at_the_label_mends_what_was_wrong(attack, cnn, digits):
    x, y = digits
    mended = still_right(cnn, attack(cnn, x, y, eps=0.05, targeted=True), y)
    assert mended.all()


@pytest.mark.parametrize(("norm", "median"), [("linf", 0.5**0.5), ("l2", 0.5)])
def test_random_starts_fill_the_ball(norm, median, device):
    # L∞: uniform in the square, so the largest of two numbers; L2: a uniform length in a uniform direction
    delta = NORMS[norm].random(torch.zeros(4000, 2, device=device), 0.5, runtime.generator(0))
    lengths = NORMS[norm].length(delta)
    assert lengths.max() <= 0.5 + 1e-6
    assert lengths.median().item() == pytest.approx(0.5 * median, abs=0.02)
    assert delta.mean(0).abs().max() < 0.02


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), eps=st.floats(0, 3))
def test_a_projection_lands_on_the_nearest_point_and_moves_nothing_inside(norm, seed, eps):
    delta = torch.randn(4, 7, generator=runtime.generator(seed), dtype=torch.float64)
    projected = NORMS[norm].project_(delta.clone(), eps)
    assert NORMS[norm].length(projected).max() <= eps + 1e-12
    torch.testing.assert_close(NORMS[norm].project_(projected.clone(), eps), projected)
    inside = NORMS[norm].length(delta) <= eps
    torch.testing.assert_close(projected[inside], delta[inside])
    rival = NORMS[norm].random(delta, eps, runtime.generator(seed + 1))
    assert ((projected - delta).norm(dim=1) <= (rival - delta).norm(dim=1) + 1e-9).all()


@pytest.mark.parametrize("norm", NORMS)
def test_the_steepest_step_climbs_as_much_as_the_dual_norm_says(norm):
    gradient = torch.randn(5, 2, 3, generator=runtime.generator(0), dtype=torch.float64)
    step = NORMS[norm].steepest_(gradient.clone())
    torch.testing.assert_close(NORMS[norm].length(step), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close((step * gradient).flatten(1).sum(1), NORMS[norm].dual(gradient))
