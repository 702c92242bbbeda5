"""Double masking: the masks cover every place, and no patch, anywhere and whatever it shows, breaks a certificate."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modelsec_course import data, models, runtime, training, zoo
from modelsec_course.robustness import patches

# --- the masks


@st.composite
def plans(draw):
    size = draw(st.integers(1, 24))
    return size, draw(st.integers(1, size)), draw(st.integers(1, 12))


@settings(max_examples=300, deadline=None)
@given(plans())
def test_every_place_of_a_patch_lies_within_a_mask_and_the_masks_are_as_few_and_as_small_as_stated(plan):
    size, patch, per_axis = plan
    masks = patches.mask_set(*plan)
    for top, left in itertools.product(range(size - patch + 1), repeat=2):
        assert masks[:, top : top + patch, left : left + patch].flatten(1).all(1).any(), (top, left)
    assert len(masks) <= per_axis**2
    stride = -(-(size - patch + 1) // per_axis)
    assert (masks.flatten(1).sum(1) == (patch + stride - 1) ** 2).all()


@settings(max_examples=300, deadline=None)
@given(plans(), st.integers(0, 2**31))
def test_the_covering_test_is_the_search_over_all_places(plan, seed):
    size, patch, _ = plan
    masks = patches.mask_set(*plan)
    kept = torch.rand(len(masks), generator=runtime.generator(seed)) < 0.9
    kept[0] = True
    masks = masks[kept]
    places = itertools.product(range(size - patch + 1), repeat=2)
    by_hand = all(masks[:, a : a + patch, b : b + patch].flatten(1).all(1).any() for a, b in places)
    assert patches.covers(masks, patch) == by_hand
    assert patches.covers(patches.mask_set(*plan), patch)


@pytest.mark.parametrize(("per_axis", "side"), [(3, 14), (4, 11), (6, 9), (28, 5)])
def test_the_closed_form_for_a_picture_of_32_pixels(per_axis, side):
    masks = patches.mask_set(32, 5, per_axis)
    assert len(masks) == per_axis**2
    assert (masks.flatten(1).sum(1) == side**2).all()
    assert patches.covers(masks, 5)
    assert not patches.covers(masks, side + 1)
    assert not patches.covers(masks[1:], 5)


# --- the certificate

SIZE, PATCH = 6, 2


def toy(seed, classes=3):
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIZE**2, 8), nn.ReLU(), nn.Linear(8, classes))
    return models.initialise(net, runtime.generator(seed))


def patched(picture):
    """A picture (1, SIZE, SIZE) with every content of black and white, and some wild ones, at every place."""
    contents = torch.tensor(list(itertools.product((0.0, 1.0), repeat=PATCH**2)))
    wild = torch.tensor([[1e6, -1e6, 1e6, -1e6], [torch.nan] * 4, [torch.inf, 0.0, -torch.inf, 1.0]])
    contents = torch.cat([contents, wild]).view(-1, 1, PATCH, PATCH)
    everywhere = []
    for top, left in itertools.product(range(SIZE - PATCH + 1), repeat=2):
        some = picture.repeat(len(contents), 1, 1, 1)
        some[:, :, top : top + PATCH, left : left + PATCH] = contents
        everywhere.append(some)
    return torch.cat(everywhere)


def simple(net, picture, masks, fill=0.5):
    """Algorithm 1 for one picture, word by word."""

    def say(hidden):
        return net(torch.where(hidden, fill, picture)[None]).argmax().item()

    alone = [say(mask) for mask in masks]
    majority = max(alone, key=alone.count)
    if len(set(alone)) == 1:
        return majority
    for mask, answer in zip(masks, alone, strict=True):
        if answer != majority and all(say(mask | other) == answer for other in masks):
            return answer
    return majority


@pytest.mark.parametrize("per_axis", [2, 3, 5])
def test_no_patch_at_any_place_with_any_content_breaks_a_certificate(per_axis):
    masks, proved, moved = patches.mask_set(SIZE, PATCH, per_axis), 0, 0
    for seed in range(8):
        net = toy(seed)
        x = torch.rand(8, 1, SIZE, SIZE, generator=runtime.generator(100 + seed))
        for y in range(3):
            labels = torch.full((8,), y)
            for picture in x[patches.certified(net, x, labels, masks)]:
                attacked = patched(picture)
                assert (patches.double_masking(net, attacked, masks) == y).all()
                proved += 1
                moved += bool((net(attacked).argmax(1) != y).any())
    assert proved > 10
    assert moved > 0  # the model alone is moved by what the defence withstands


def test_without_a_certificate_a_patch_may_win():
    masks, lost = patches.mask_set(SIZE, PATCH, 3), 0
    for seed in range(6):
        net, x = toy(seed), torch.rand(8, 1, SIZE, SIZE, generator=runtime.generator(100 + seed))
        y = patches.double_masking(net, x, masks)
        for picture, label in zip(x[~patches.certified(net, x, y, masks)], y, strict=False):
            lost += bool((patches.double_masking(net, patched(picture), masks) != label).any())
    assert lost > 0


def test_a_set_that_misses_a_place_proves_nothing_there():
    # One pixel decides; the mask that would hide it is missing.
    class Pixel(nn.Module):
        def forward(self, x):
            corner = x[:, 0, 0, 0]
            return torch.stack([torch.full_like(corner, 0.75), corner], 1)

    x, y = torch.zeros(1, 1, SIZE, SIZE), torch.zeros(1, dtype=torch.int64)
    masks = patches.mask_set(SIZE, PATCH, 3)
    attacked = x.clone()
    attacked[:, :, :PATCH, :PATCH] = 1
    assert patches.certified(Pixel(), x, y, masks)
    assert patches.double_masking(Pixel(), attacked, masks) == 0
    assert not patches.covers(masks[1:], PATCH)
    assert patches.double_masking(Pixel(), attacked, masks[1:]) == 1


def test_two_patches_may_break_what_is_proved_against_one():
    class TwoCorners(nn.Module):
        def forward(self, x):
            both = torch.maximum(x[:, 0, 0, 0], x[:, 0, -1, -1])
            return torch.stack([torch.full_like(both, 0.75), both], 1)

    x, y = torch.zeros(1, 1, SIZE, SIZE), torch.zeros(1, dtype=torch.int64)
    masks = patches.mask_set(SIZE, PATCH, 3)
    assert patches.certified(TwoCorners(), x, y, masks)
    attacked = x.clone()
    attacked[:, :, 0, 0] = attacked[:, :, -1, -1] = 1
    assert patches.double_masking(TwoCorners(), attacked, masks) == 1


@pytest.mark.parametrize("batch_size", [1, 7, 512])
def test_batches_answer_as_one_by_one(batch_size):
    masks, disagreed = patches.mask_set(SIZE, PATCH, 3), 0
    for seed in range(4):
        net, x = toy(seed, classes=5), torch.rand(20, 1, SIZE, SIZE, generator=runtime.generator(seed))
        expected = [simple(net, picture, masks) for picture in x]
        assert patches.double_masking(net, x, masks, batch_size=batch_size).tolist() == expected
        pairs = torch.stack([net(x.masked_fill(a | b, 0.5)).argmax(1) for a in masks for b in masks], 1)
        y = torch.tensor(expected)
        proved = (pairs == y[:, None]).all(1)
        assert torch.equal(patches.certified(net, x, y, masks, batch_size=batch_size), proved)
        disagreed += (~proved).sum()
    assert disagreed > 0


def test_what_is_certified_is_read_right_without_a_patch():
    net = zoo.load("digits-cnn", device="cpu")
    digits = data.load("digits")
    x, y = digits.x_test[:100], digits.y_test[:100]
    masks = patches.mask_set(8, 2, 4)
    proved = patches.certified(net, x, y, masks)
    assert proved.sum() > 0
    assert (patches.double_masking(net, x, masks)[proved] == y[proved]).all()


def test_no_pictures_are_no_trouble_and_the_model_is_left_as_it_was():
    net, masks = toy(0).train(), patches.mask_set(SIZE, PATCH, 2)
    x = torch.zeros(0, 1, SIZE, SIZE)
    assert patches.double_masking(net, x, masks).shape == (0,)
    assert patches.certified(net, x, torch.zeros(0, dtype=torch.int64), masks).shape == (0,)
    assert net.training
    assert all(p.requires_grad for p in net.parameters())


# --- training with cut-outs


def test_cut_outs_hide_so_many_squares_of_the_stated_sides_anywhere():
    seen = []
    model = lambda x: seen.append(x) or x.flatten(1)[:, :2]  # noqa: E731
    x, y = torch.zeros(3000, 2, 12, 10), torch.zeros(3000, dtype=torch.int64)
    patches.cut_outs(1, sides=(2, 4), fill=1.0)(model, x, y)
    hidden = seen[0]
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    across, along = hidden[:, 0].amax(1).sum(1), hidden[:, 0].amax(2).sum(1)
    assert torch.equal(across, along)
    assert torch.equal(hidden[:, 0].sum((1, 2)), across**2)
    shares = across.long().bincount(minlength=5)[2:] / 3000
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3), rtol=0, atol=0.04)
    assert (hidden[:, 0].mean(0) > 0).all()


def test_cut_outs_of_nothing_new_are_the_cross_entropy_and_touch_no_global_dice():
    net, x = toy(0), torch.full((6, 1, SIZE, SIZE), 0.5)
    y = torch.arange(6) % 3
    before = torch.get_rng_state()
    torch.testing.assert_close(patches.cut_outs(sides=(2, 3))(net, x, y), F.cross_entropy(net(x), y))
    assert torch.equal(torch.get_rng_state(), before)


def test_training_with_cut_outs_buys_certificates():
    digits, masks = data.load("digits"), patches.mask_set(8, 2, 7)
    x, y = digits.x_test[:200], digits.y_test[:200]
    share = {}
    for name, loss in {"plain": training.cross_entropy, "cut out": patches.cut_outs(sides=(1, 4))}.items():
        net = models.initialise(models.cnn(), runtime.generator(0))
        training.fit(net, digits.x_train, digits.y_train, epochs=6, loss=loss, progress=False)
        share[name] = patches.certified(net, x, y, masks).float().mean().item()
    assert share["cut out"] > share["plain"] + 0.1


@pytest.fixture(scope="module")
def street():
    """The zoo's network behind masks, 100 signs, the masks, and which signs are proved."""
    net = zoo.load("signs-poolnet-cutout", device="cpu").requires_grad_(requires_grad=False)
    held_out, masks = data.load("signs"), patches.mask_set(32, 5, 4)
    x, y = held_out.x_test[:100], held_out.y_test[:100]
    return net, x, y, masks, patches.certified(net, x, y, masks)


def test_the_zoo_s_network_is_certified_on_road_signs_and_reads_them_and_the_ordinary_one_is_not(street):
    net, x, y, masks, proved = street
    assert len(masks) == 16
    assert proved.float().mean() >= 0.25
    assert (patches.double_masking(net, x, masks) == y).float().mean() >= 0.93
    assert patches.certified(zoo.load("signs-poolnet", device="cpu"), x, y, masks).float().mean() < 0.2


def test_a_certified_sign_stands_a_painted_patch_that_breaks_the_bare_network(street):
    net, x, y, masks, proved = street
    x, y = x[proved], y[proved]
    broken = torch.zeros_like(y, dtype=torch.bool)
    for top, left in ((8, 8), (13, 13), (18, 18)):
        where = torch.zeros(32, 32, dtype=torch.bool)
        where[top : top + 5, left : left + 5] = True
        paint = torch.rand(x.shape, generator=runtime.generator(0))
        for _ in range(15):
            paint.requires_grad_()
            (gradient,) = torch.autograd.grad(F.cross_entropy(net(torch.where(where, paint, x)), y), paint)
            paint = (paint.detach() + 0.15 * gradient.sign()).clamp(0, 1)
        attacked = torch.where(where, paint, x)
        broken |= net(attacked).argmax(1) != y
        assert (patches.double_masking(net, attacked, masks) == y).all()
    assert broken.any()


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_everything_is_where_its_inputs_are(device):
    net, x, y = toy(0).to(device), torch.rand(6, 1, SIZE, SIZE, device=device), torch.zeros(6, device=device).long()
    with torch.device("meta"):
        masks = patches.mask_set(SIZE, PATCH, 3).to(device)
        assert patches.covers(masks, PATCH)
        read, proved = patches.double_masking(net, x, masks), patches.certified(net, x, y, masks)
        loss = patches.cut_outs(sides=(2, 3))(net, x, y)
    assert {part.device.type for part in (read, proved, loss)} == {device}
    assert (read[proved] == y[proved]).all()


# --- bad input


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ((8, 9, 2), r"patch must be at most the picture's size, 8.*9"),
        ((8, 2, 0), "per_axis must be"),
        ((0, 1, 1), "size"),
    ],
)
def test_masks_that_cannot_be_are_refused(plan, message):
    with pytest.raises(ValueError, match=message):
        patches.mask_set(*plan)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(2, 8, 8)}, r"x must be floats \(n, channels, height, width\)"),
        ({"masks": torch.zeros(4, 6, 6, dtype=torch.bool)}, r"masks must fit x, \(8, 8\).*\(6, 6\).*mask_set"),
        ({"masks": torch.zeros(4, 8, 8)}, r"masks must be bool.*float32"),
        ({"masks": torch.zeros(0, 8, 8, dtype=torch.bool)}, r"masks must be bool"),
        ({"batch_size": 0}, "batch_size"),
        ({"fill": torch.nan}, "fill"),
    ],
)
def test_what_cannot_be_masked_is_refused(changes, message):
    fine = {"model": nn.Flatten(), "x": torch.zeros(2, 1, 8, 8), "masks": patches.mask_set(8, 2, 2)}
    with pytest.raises(ValueError, match=message):
        patches.double_masking(**fine | changes)
    with pytest.raises(ValueError, match=message):
        patches.certified(**{"y": torch.zeros(2, dtype=torch.int64)} | fine | changes)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"count": 0}, ValueError),
        ({"sides": (4, 2)}, ValueError),
        ({"sides": 3}, TypeError),
        ({"generator": 1}, TypeError),
    ],
)
def test_cut_outs_that_cannot_be_are_refused(options, kind):
    with pytest.raises(kind):
        patches.cut_outs(**options)


def test_cut_outs_larger_than_the_picture_are_refused():
    with pytest.raises(ValueError, match=r"sides must be at most 6.*8"):
        patches.cut_outs(sides=(4, 8))(toy(0), torch.zeros(2, 1, SIZE, SIZE), torch.zeros(2, dtype=torch.int64))
