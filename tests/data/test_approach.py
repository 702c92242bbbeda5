"""Drives towards a sign: one street and one light, a sign that comes nearer, gradients that are right."""

import math
from dataclasses import replace

import cameras
import pytest
import torch
import torch.nn.functional as F
from cameras import plate

from modelsec_course import runtime, zoo
from modelsec_course.data import signs
from modelsec_course.data.signs import Drive

FACING = Drive(aside=(0, 0), above=(0, 0), turn=(0, 0), roll=(0, 0), width=(0.6, 0.6), jitter=0)
CLASSES = len(signs.CLASSES)


def drives(textures, n=8, seed=0, **options):
    labels = torch.arange(n) % len(textures)
    return signs.approach(textures, labels, generator=runtime.generator(seed), **options)


def covered(drive, size=32, n=6):
    """(n, frames, size, size): the pixels that a plate changes, whatever its light."""
    there, gone = (drives(plate((1, 0, 0), opacity), n=n, size=size, drive=drive) for opacity in (1.0, 0.0))
    return ((there - gone).abs() > 0.02).any(2)


@pytest.mark.parametrize(("size", "frames"), [(32, 12), (64, 3), (8, 1)])
def test_frames_have_the_size_asked_for_and_the_range_of_pictures(size, frames):
    pictures = drives(signs.templates(), n=3, size=size, drive=Drive(frames=frames))
    assert pictures.shape == (3, frames, 3, size, size)
    assert pictures.dtype == torch.float32
    assert 0 <= pictures.min() < pictures.max() <= 1


def test_a_seed_decides_the_drives_and_another_seed_gives_others():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, same, other = (drives(signs.templates(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, same)
    assert (first - other).abs().mean((1, 2, 3, 4)).min() > 0.01


def test_every_drive_is_in_a_street_of_its_own():
    pictures = drives(plate(), n=60).flatten(1)  # more than are rendered at once
    apart = torch.cdist(pictures, pictures, p=1) / pictures.shape[1]
    assert apart[~torch.eye(60, dtype=torch.bool)].min() > 0.01


def test_what_is_on_the_sign_changes_nothing_else():
    red, blue = (drives(plate(colour), drive=FACING) for colour in ((1, 0, 0), (0, 0, 1)))
    beside = torch.ones(32, 32, dtype=torch.bool)
    beside[4:28, 4:28] = False  # 0.6 of 32 pixels in the middle, and the blur of coarseness and motion
    torch.testing.assert_close(red[..., beside], blue[..., beside], rtol=0, atol=0.02)
    assert (red - blue)[:, :, 0, 16, 16].abs().min() > 0.05


def test_light_is_a_drive_s_own_and_constant():
    middle = drives(plate((0.8, 0.8, 0.8)), n=40, drive=FACING)[..., 12:20, 12:20].mean((2, 3, 4))
    within, between = middle.std(1).mean(), middle.mean(1).std()
    assert within < 0.02
    assert between > 5 * within


def test_a_far_sign_is_coarse_and_a_near_one_sharp():
    board = (torch.arange(64)[:, None] // 8 + torch.arange(64) // 8).remainder(2).float().expand(3, 64, 64)
    textures = torch.cat([board, torch.ones(1, 64, 64)])[None]
    pictures = drives(textures, n=24, drive=replace(FACING, far=100, width=(0.8, 0.8)))[..., 8:24, 8:24]
    detail = (pictures[..., 1:] - pictures[..., :-1]).abs().mean((0, 2, 3, 4))
    assert detail[0] < 0.6 * detail[-1]
    assert (detail[:6].mean() < detail[6:].mean()).item()


# --- geometry


def test_distances_go_down_in_equal_steps():
    assert Drive(frames=5, far=60, near=20).distances == (60, 50, 40, 30, 20)
    assert Drive(frames=1, far=60, near=20).distances == (60,)


def test_a_sign_in_front_stays_a_square_of_its_width():
    where = covered(replace(FACING, width=(0.5, 0.5)), size=64)
    sharp = where[:, 6:]  # near
    assert sharp[..., 20:44, 20:44].float().mean() > 0.95
    assert sharp[..., :8, :].float().mean() < 0.02
    assert sharp.float().sum((2, 3)).mean().sqrt().item() == pytest.approx(32, abs=3)


@pytest.mark.parametrize("side", [1, -1])
def test_a_sign_beside_the_road_turns_away_as_the_car_comes_near(side):
    drive = replace(FACING, aside=(5.0 * side, 5.0 * side), near=7, far=70, width=(0.7, 0.7))
    where = covered(drive, size=64, n=24).float().mean(0) > 0.5
    across, along = where.any(1).sum(1), where.any(2).sum(1)
    ratio = (across / along)[[0, -1]].tolist()
    tall = [where[-1, :, column].sum().item() for column in (20, 43)]
    assert ratio[0] == pytest.approx(math.cos(math.atan(5 / 70)), abs=0.06)
    assert ratio[1] == pytest.approx(math.cos(math.atan(5 / 7)), abs=0.12)  # the nearer edge is seen larger
    assert (tall[0] - tall[1]) * side > 2  # the edge at the road is the nearer one


def test_a_sign_above_the_camera_is_seen_from_below():
    drive = replace(FACING, above=(5.0, 5.0), near=7, far=70, width=(0.7, 0.7))
    where = covered(drive, size=64, n=24).float().mean(0)[-1] > 0.5
    upper, lower = (where[row].sum().item() for row in (20, 43))
    assert lower - upper > 2  # the upper edge is the farther one
    assert (where.any(1).sum() / where.any(0).sum()).item() == pytest.approx(math.cos(math.atan(5 / 7)), abs=0.12)


def test_jitter_moves_the_sign_from_frame_to_frame():
    rows = torch.arange(32.0)
    moved = []
    for jitter in (0, 1):
        where = covered(replace(FACING, jitter=jitter), n=12)[:, 6:].float()
        centres = (where.sum(2) * rows).sum(2) / where.sum((2, 3))
        moved.append(centres.std(1).mean().item())
    assert moved[1] > moved[0] + 0.2


# --- gradients


def test_the_gradient_is_the_difference_quotient():
    cameras.gradient_is_the_difference_quotient(lambda textures: drives(textures, n=2))


def test_nothing_outside_the_sign_can_be_painted():
    cameras.nothing_outside_the_sign_can_be_painted(drives)


def test_a_sticker_that_is_climbed_over_drives_fools_on_others():
    net = zoo.load("signs-poolnet", device="cpu")
    stop, area = signs.templates()[:1], torch.zeros(1, 1, 128, 128)
    area[..., 40:88, 24:104] = 1
    paint, stops = torch.full((1, 3, 128, 128), 0.5), torch.zeros(8, dtype=torch.int64)

    def frames(paint, seed):
        texture = torch.cat([stop[:, :3].lerp(paint, area), stop[:, 3:]], 1)
        generator = runtime.generator(seed)
        return signs.approach(texture, stops, generator=generator, drive=Drive(frames=4)).flatten(0, 1)

    def wrong(paint, seed):
        return F.cross_entropy(net(frames(paint, seed)), stops.repeat(4))

    before = wrong(paint, 99).item()
    for seed in range(12):
        paint.requires_grad_()
        (gradient,) = torch.autograd.grad(wrong(paint, seed), paint)
        paint = (paint.detach() + 0.1 * gradient.sign()).clamp(0, 1)
    assert wrong(paint, 99).item() > before + 1


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_a_seed_means_the_same_drives_on_every_device(device):
    expected = drives(signs.templates(), n=24)
    textures, labels = signs.templates().to(device), torch.arange(24, device=device)
    signs.dice.fields.cache_clear()
    with torch.device("meta"):  # no tensor is made without a device: it would hold no numbers
        pictures = signs.approach(textures, labels, generator=runtime.generator(0))
    assert pictures.device.type == device
    torch.testing.assert_close(pictures.cpu(), expected, rtol=0, atol=1e-4)


# --- places


@pytest.mark.parametrize("place", signs.PLACES)
def test_a_map_expects_the_signs_of_its_place_and_may_be_surprised(place):
    here = torch.tensor([name in signs.PLACES[place] for name in signs.CLASSES])
    assert set(signs.PLACES[place]) < set(signs.CLASSES)
    never, sometimes = signs.plausible(place), signs.plausible(place, surprise=0.1)
    assert torch.equal(never > 0, here)
    assert sometimes.sum().item() == pytest.approx(1)
    assert sometimes[~here].sum().item() == pytest.approx(0.1)
    with torch.device("meta"):
        assert torch.equal(signs.plausible(place), never)


def test_places_that_no_map_knows_are_refused():
    with pytest.raises(ValueError, match=r"place must be one of 'junction in a town'.*'sea'"):
        signs.plausible("sea")
    with pytest.raises(ValueError, match="surprise must lie"):
        signs.plausible("motorway", surprise=2)


# --- bad input


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"textures": torch.zeros(2, 3, 8, 8)}, ValueError, r"textures must be floats \(k, 4, side, side\)"),
        ({"labels": torch.tensor([0, 2])}, ValueError, r"labels must hold at least one label and none above 1"),
        ({"size": 65}, ValueError, r"size must be at most 64.*65"),
        ({"generator": None}, TypeError, r"generator must be .*runtime\.generator\(seed\)"),
        ({"drive": {"far": 60}}, TypeError, r"drive must be signs\.Drive.*dict"),
    ],
)
def test_what_cannot_be_driven_to_is_refused(changes, kind, message):
    fine = {"textures": torch.zeros(2, 4, 8, 8), "labels": torch.tensor([0, 1]), "generator": runtime.generator(0)}
    with pytest.raises(kind, match=message):
        signs.approach(**fine | changes)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"frames": 0}, ValueError, "frames must be at least 1"),
        ({"near": 0.2}, ValueError, "near must lie in"),
        ({"far": 5}, ValueError, r"far must lie in \[8, 200\]"),
        ({"jitter": -1}, ValueError, "jitter must lie in"),
        ({"aside": 3}, TypeError, r"aside must be two numbers.*3"),
        ({"width": (0.9, 0.5)}, ValueError, r"width must lie in \[0\.9, 1\].*0\.5"),
        ({"turn": (0, 1)}, ValueError, r"turn must lie in \[0, 0\.6\]"),
    ],
)
def test_impossible_drives_are_refused(changes, kind, message):
    with pytest.raises(kind, match=message):
        Drive(**changes)
