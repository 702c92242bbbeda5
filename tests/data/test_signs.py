"""The road signs: a camera whose geometry and gradients are right, and a set without shortcuts."""

import math
from dataclasses import replace

import cameras
import pytest
import torch
from cameras import plate

from modelsec_course import data, models, runtime, training
from modelsec_course.data import signs
from modelsec_course.data.signs import Conditions

STILL = Conditions(yaw=(0, 0), pitch=(0, 0), roll=(0, 0), shift=(0, 0), motion=(-1, -1))
CLASSES = len(signs.CLASSES)


def photographs(textures, n=24, seed=0, **options):
    labels = torch.arange(n) % len(textures)
    return signs.photograph(textures, labels, generator=runtime.generator(seed), **options)


def test_there_are_at_least_twenty_different_signs_each_on_a_transparent_ground():
    textures = signs.templates()
    assert textures.shape == (CLASSES, 4, 128, 128)
    assert CLASSES == len(set(signs.CLASSES)) >= 20
    assert (textures.min(), textures.max()) == (0, 1)
    assert (textures[:, 3, 64, 64] == 1).all()
    assert (textures[:, 3, 0, 0] == 0).all()
    seen = (textures[:, :3] * textures[:, 3:]).flatten(1)
    apart = torch.cdist(seen, seen, p=1) / seen.shape[1]
    assert apart[~torch.eye(CLASSES, dtype=torch.bool)].min() > 0.01


def test_nobody_can_spoil_the_templates_for_the_next():
    expected = signs.templates()
    signs.templates().zero_()
    assert torch.equal(signs.templates(), expected)


@pytest.mark.parametrize("size", [32, 48, 64])
def test_photographs_have_the_size_asked_for_and_the_range_of_pictures(size):
    pictures = photographs(signs.templates(), n=48, size=size)
    assert pictures.shape == (48, 3, size, size)
    assert pictures.dtype == torch.float32
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert (pictures.flatten(1).std(1) > 0.02).all()


def test_a_seed_decides_the_scenes_and_another_seed_gives_others():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, same, other = (photographs(signs.templates(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, same)
    assert (first - other).flatten(1).abs().mean(1).min() > 0.01


def test_every_picture_is_taken_in_a_street_of_its_own():
    pictures = photographs(plate(), n=300).flatten(1)  # more than are rendered at once
    apart = torch.cdist(pictures, pictures, p=1) / pictures.shape[1]
    assert apart[~torch.eye(300, dtype=torch.bool)].min() > 0.01


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_a_seed_means_the_same_photographs_on_every_device(device):
    expected = photographs(signs.templates(), patches=0.5)
    textures, labels = signs.templates().to(device), torch.arange(24, device=device)
    signs.dice.fields.cache_clear()
    with torch.device("meta"):  # no tensor is made without a device: it would hold no numbers
        pictures = signs.photograph(textures, labels, generator=runtime.generator(0), patches=0.5)
        assert signs.signs().x_test.device.type == "cpu"
    assert pictures.device.type == device
    torch.testing.assert_close(pictures.cpu(), expected, rtol=0, atol=1e-4)


# --- geometry


def through(matrix, u, v):
    x, y, w = (matrix.double() @ torch.tensor([u, v, 1.0], dtype=torch.float64))[0]
    return (x / w).item(), (y / w).item()


def numbers(*values):
    return [torch.tensor([value]) for value in values]


def test_a_sign_seen_face_on_is_scaled_and_shifted():
    matrix = signs.homography(*numbers(0.0, 0.0, 0.0, 0.6, 0.1, -0.2))
    for u, v in ((0, 0), (1, 1), (-1, 0.3)):
        assert through(matrix, u, v) == pytest.approx((0.6 * u + 0.1, 0.6 * v - 0.2), abs=1e-6)


def test_a_turned_sign_is_seen_by_the_pinhole_formula():
    angle, width, focal = 0.5, 0.7, signs.camera.FOCAL_LENGTH
    matrix = signs.homography(*numbers(angle, 0.0, 0.0, width, 0.0, 0.0))
    for u, v in ((1, 0), (-1, 0.5)):
        depth = focal / width - u * math.sin(angle)
        assert through(matrix, u, v) == pytest.approx(
            (focal * u * math.cos(angle) / depth, focal * v / depth), abs=1e-6
        )
    roll = signs.homography(*numbers(0.0, 0.0, angle, width, 0.0, 0.0))
    assert through(roll, 1, 0) == pytest.approx((width * math.cos(angle), width * math.sin(angle)), abs=1e-6)


@pytest.mark.parametrize("size", [32, 64])
def test_a_sign_covers_exactly_its_share_of_the_picture(size):
    face_on = replace(STILL, width=(0.5, 0.5))
    there, gone = (photographs(plate((1, 0, 0), opacity), size=size, conditions=face_on) for opacity in (1.0, 0.0))
    changed = (there != gone).any(1)
    quarter = slice(size // 4, 3 * size // 4)
    assert not changed[:, :, : size // 4].any()
    assert not changed[:, :, 3 * size // 4 :].any()
    assert changed.sum() == changed[:, quarter, quarter].sum()
    assert changed[:, quarter, quarter].float().mean() > 0.99  # noise and a white wall may hide a pixel


def test_the_other_signs_leave_no_trace():
    textures = signs.templates()[[4, 5, 21]]  # white inside, with a number, a triangle
    together = photographs(textures, n=9)
    for label in range(3):
        alone = photographs(textures[label : label + 1], n=9)
        torch.testing.assert_close(together[label::3], alone[label::3], rtol=0, atol=1e-3)  # rounding


def test_fine_patterns_become_grey_and_not_a_moiré():
    # A chequerboard of single texels, seen small: each pixel sees many, so all see their mean.
    board = (torch.arange(128)[:, None] + torch.arange(128)).remainder(2).float().expand(3, 128, 128)
    textures = torch.cat([board, torch.ones(1, 128, 128)])[None]
    grey = plate((0.5, 0.5, 0.5), side=128)
    conditions = Conditions(width=(0.3, 0.7))
    torch.testing.assert_close(
        photographs(textures, conditions=conditions), photographs(grey, conditions=conditions), rtol=0, atol=0.1
    )


def test_conditions_are_kept():
    dark, bright = (
        photographs(signs.templates(), conditions=Conditions(exposure=(level, level))) for level in (0.4, 0.9)
    )
    assert (dark.mean((1, 2, 3)) < bright.mean((1, 2, 3))).all()
    sharp, blurred = (
        photographs(signs.templates(), conditions=Conditions(motion=(length, length))) for length in (-1, 6)
    )
    detail = [(pictures[..., 1:] - pictures[..., :-1]).abs().mean() for pictures in (sharp, blurred)]
    assert detail[1] < 0.9 * detail[0]


# --- gradients


def test_the_gradient_is_the_difference_quotient():
    cameras.gradient_is_the_difference_quotient(lambda textures: photographs(textures, n=2, patches=1.0))


def test_nothing_outside_the_sign_can_be_painted():
    cameras.nothing_outside_the_sign_can_be_painted(photographs)


def test_the_first_photograph_may_be_taken_without_gradients():
    signs.dice.fields.cache_clear()
    with torch.inference_mode():
        photographs(signs.templates())
    textures = signs.templates().requires_grad_()
    photographs(textures).sum().backward()
    assert textures.grad.abs().sum() > 0


# --- patches


def test_patches_hide_a_part_of_the_given_share_of_signs_and_nothing_else():
    textures = plate((0.9, 0.9, 0.9))
    sign = replace(STILL, width=(0.5, 0.5))
    none, half, every = (photographs(textures, n=400, patches=share, conditions=sign) for share in (0.0, 0.5, 1.0))
    changed = [(none != pictures).any(1) for pictures in (half, every)]
    assert changed[1].flatten(1).any(1).float().mean() > 0.97
    assert changed[0].flatten(1).any(1).float().mean().item() == pytest.approx(0.5, abs=0.08)
    for where in changed:
        assert not where[:, :8].any()
        assert not where[:, 24:].any()
        assert where.sum() == where[:, 8:24, 8:24].sum()
    assert 0.05 < changed[1][:, 8:24, 8:24].float().mean() < 0.5
    patched = half.flatten(1).ne(none.flatten(1)).any(1)
    assert torch.equal(half[patched], every[patched])


# --- the data set


@pytest.fixture(scope="module")
def loaded():
    return data.load("signs")


def test_the_set_is_as_documented_and_balanced(loaded):
    assert loaded.x_train.shape == (4800, 3, 32, 32)
    assert loaded.x_test.shape == (1200, 3, 32, 32)
    for x, y in ((loaded.x_train, loaded.y_train), (loaded.x_test, loaded.y_test)):
        assert x.dtype == torch.float32
        assert (x.min(), x.max()) == (0, 1)
        assert (y.bincount(minlength=CLASSES) == len(y) / CLASSES).all()
    assert loaded.classes == signs.CLASSES
    assert "render" in loaded.provenance
    assert loaded.licence == "CC BY 4.0"


def test_no_scene_is_in_both_halves(loaded):
    train, test = ({row.numpy().tobytes() for row in x.half()} for x in (loaded.x_train, loaded.x_test))
    assert len(train) == 4800
    assert not train & test
    nearest = torch.cdist(loaded.x_test.flatten(1), loaded.x_train.flatten(1)).min()
    assert nearest > 1  # of 55, the length of the picture of ones


def test_loading_again_renders_nothing_and_gives_fresh_tensors(loaded, monkeypatch):
    monkeypatch.setattr(signs, "photograph", None)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    again = data.load("signs")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(again.x_train, loaded.x_train)
    again.x_train.zero_()
    assert torch.equal(data.load("signs").x_train, loaded.x_train)


def probe_accuracy(pictures, labels):
    """Of softmax regression, trained on the first three quarters, on the rest."""
    net = models.initialise(models.linear(pictures[0].numel(), CLASSES), runtime.generator(0))
    cut = 3 * len(pictures) // 4
    training.fit(net, pictures[:cut], labels[:cut], epochs=8, progress=False)
    return training.accuracy(net, pictures[cut:], labels[cut:])


def test_the_street_says_nothing_about_the_sign():
    labels = torch.arange(2400) % CLASSES
    empty = signs.templates() * torch.tensor([1, 1, 1, 0]).view(4, 1, 1)
    street, sign = (
        signs.photograph(textures, labels, generator=runtime.generator(3)) for textures in (empty, signs.templates())
    )
    assert probe_accuracy(street, labels) < 2 / CLASSES
    assert probe_accuracy(sign, labels) > 6 / CLASSES


# --- bad input


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"textures": torch.zeros(2, 3, 8, 8)},
            ValueError,
            r"textures must be floats \(k, 4, side, side\).*\(2, 3, 8, 8\)",
        ),
        ({"textures": torch.zeros(2, 4, 8, 9)}, ValueError, r"textures must .*\(2, 4, 8, 9\)"),
        ({"textures": torch.zeros(2, 4, 8, 8).byte()}, ValueError, r"textures must be floats.*uint8"),
        ({"textures": [0]}, TypeError, r"textures must be a tensor.*list"),
        ({"labels": torch.tensor([0, 2])}, ValueError, r"labels must hold at least one label and none above 1"),
        ({"labels": torch.tensor([], dtype=torch.int64)}, ValueError, r"labels must hold at least one"),
        ({"labels": torch.tensor([-1])}, ValueError, r"labels holds the label -1"),
        ({"labels": torch.zeros(2)}, ValueError, r"labels must hold int64"),
        ({"labels": torch.zeros(2, 1).long()}, ValueError, r"labels must have shape \(2,\)"),
        ({"size": 65}, ValueError, r"size must be at most 64.*65"),
        ({"size": 4}, ValueError, r"size must be at least 8.*4"),
        ({"generator": None}, TypeError, r"generator must be .*runtime\.generator\(seed\)"),
        ({"patches": 1.5}, ValueError, r"patches must lie in \[0, 1\].*1\.5"),
        ({"conditions": {"yaw": 0}}, TypeError, r"conditions must be .*Conditions.*dict"),
    ],
)
def test_what_cannot_be_photographed_is_refused(changes, kind, message):
    fine = {"textures": torch.zeros(2, 4, 8, 8), "labels": torch.tensor([0, 1]), "generator": runtime.generator(0)}
    with pytest.raises(kind, match=message):
        signs.photograph(**fine | changes)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"width": (0.9, 0.5)}, ValueError, r"width must lie in \[0\.9, 4\].*0\.5"),
        ({"width": (0, 1)}, ValueError, r"width must lie in \[0\.01, 4\].*0"),
        ({"yaw": (-1.5, 1)}, ValueError, r"yaw must lie in \[-1\.2, 1\.2\].*-1\.5"),
        ({"exposure": ("dark", 1)}, TypeError, r"exposure must be a number.*'dark'"),
        ({"motion": 3}, TypeError, r"motion must be two numbers.*3"),
    ],
)
def test_impossible_conditions_are_refused(changes, kind, message):
    with pytest.raises(kind, match=message):
        Conditions(**changes)
