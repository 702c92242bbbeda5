"""Stickers: nothing outside the mask, penalties that are what the papers say, and two-sided controls."""

import pytest
import torch

from modelsec_course import runtime, statistics, zoo
from modelsec_course.data import signs
from modelsec_course.evasion import (
    INKS,
    SHAPES,
    Photographs,
    eot,
    non_printability,
    pgd,
    physical_success,
    printed,
    random_ink,
    stick,
    sticker,
    sticker_mask,
    total_variation,
)

STOP, LIMIT = 0, signs.CLASSES.index("limit 80")


@pytest.fixture
def stop(device):
    return signs.templates()[STOP].to(device)


@pytest.fixture
def reader(device):
    return zoo.load("signs-poolnet", device=device)


def test_the_mask_is_its_box_where_the_sign_has_a_surface(stop):
    mask = sticker_mask(stop, [(-0.5, -0.25, 0.5, 0.25)])
    assert set(mask.unique().tolist()) == {0, 1}
    assert mask.mean().item() == pytest.approx(0.125, abs=1e-3)
    everywhere = sticker_mask(stop, [(-1, -1, 1, 1)])
    assert torch.equal(everywhere, (stop[3] > 0.5).float())
    assert sticker_mask(stop, [(-1, -1, -0.9, -0.9)]).sum() == 0  # beyond the octagon's corner


@pytest.mark.parametrize(("shape", "low", "high"), [("bars", 0.18, 0.22), ("centre", 0.23, 0.27)])
def test_the_named_stickers_cover_about_a_quarter_of_a_stop_sign(stop, shape, low, high):
    mask = sticker_mask(stop, shape)
    assert low < (mask.sum() / (stop[3] > 0.5).sum()).item() < high


def test_nothing_changes_outside_the_mask_and_the_opacity_never(stop):
    mask = sticker_mask(stop, "centre")
    textures = stick(stop, random_ink(4, generator=runtime.generator(0)).to(stop), mask)
    assert torch.equal(textures[:, 3], stop[3].expand(4, -1, -1))
    assert torch.equal(textures[:, :3] * (1 - mask), (stop[:3] * (1 - mask)).expand(4, -1, -1, -1))
    assert (textures[:, :3] != stop[:3])[:, :, mask > 0].float().mean() > 0.9


def test_the_gradient_in_the_ink_is_zero_where_the_mask_is(stop, reader):
    mask = sticker_mask(stop, [(0.0, -0.9, 0.9, 0.9)])  # the right half
    ink = torch.full((1, 3, 16, 16), 0.5, device=stop.device).requires_grad_()
    shots = Photographs(stop, mask, generator=runtime.generator(0))(ink, 4)
    (gradient,) = torch.autograd.grad(reader(shots).square().sum(), ink)
    assert (gradient[..., :7] == 0).all()
    assert (gradient[..., 9:14] != 0).any()


def test_photographs_are_of_new_streets_unless_somebody_has_but_one(stop):
    ink = torch.full((2, 3, 8, 8), 0.5, device=stop.device)
    mask = sticker_mask(stop, "centre")
    fresh = Photographs(stop, mask, generator=runtime.generator(1))
    assert (fresh(ink, 2) - fresh(ink, 2)).abs().amax((1, 2, 3)).min() > 0.05
    one = Photographs(stop, mask, generator=runtime.generator(1), one_photo=True)
    first = one(ink)
    assert torch.equal(first, one(ink))
    assert torch.equal(first, Photographs(stop, mask, generator=runtime.generator(1))(ink))


def test_total_variation_of_a_flat_print_is_zero_and_of_an_edge_its_height():
    flat, edge = torch.full((1, 3, 5, 5), 0.3), torch.zeros(1, 3, 5, 5)
    edge[..., 2:] = 0.6
    assert total_variation(flat).item() == pytest.approx(0, abs=2e-4)
    assert total_variation(edge).item() == pytest.approx(0.6 / 4, abs=2e-4)  # one column of the four steps


def test_non_printability_is_the_product_of_the_distances_to_the_inks():
    ink = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1)
    expected = 1.0
    for colour in INKS:
        expected *= (ink.flatten() - colour).norm().item()
    assert non_printability(ink).item() == pytest.approx(expected, rel=1e-4)


def test_what_is_printed_is_printable_and_is_the_nearest_ink():
    ink = random_ink(2, cells=9, generator=runtime.generator(0))
    out = printed(ink)
    assert non_printability(out).max() < 1e-5
    assert torch.equal(printed(out), out)
    others = (ink[:, None] - INKS.view(1, -1, 3, 1, 1)).norm(dim=2)
    torch.testing.assert_close((ink - out).norm(dim=1), others.amin(1))


def test_random_prints_are_printable_and_their_seeds_own():
    one, same, other = (random_ink(4, generator=runtime.generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.min() >= 0.05
    assert one.max() <= 0.95


def test_success_is_counted_on_every_scene_and_its_interval_is_clopper_and_pearsons(stop, device):
    class Always(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.one_hot((x.mean((1, 2, 3)) > 0.45).long(), 3).float()

    textures, draw = stop[None].repeat(2, 1, 1, 1), lambda: runtime.generator(5)
    result = physical_success(Always(), textures, 0, scenes=50, generator=draw())
    wanted = physical_success(Always(), textures, 1, targeted=True, scenes=50, generator=draw())
    assert result.share[0] == result.share[1] == wanted.share[0]
    assert 0 < result.share[0] < 1
    low, high = statistics.clopper_pearson(round(50 * result.share[0]), 50)
    assert (result.low[0], result.high[0]) == (low, high)
    never = physical_success(Always(), textures, 2, targeted=True, scenes=50, generator=draw())
    assert never.share.tolist() == [0, 0]
    assert never.high[0] == pytest.approx(1 - 0.025 ** (1 / 50))


@pytest.fixture(scope="module")
def stickers():
    """On the centre, towards 80: three for all streets, three from one photograph each, three of chance."""
    reader, stop = zoo.load("signs-poolnet", device="cpu"), signs.templates()[STOP]
    mask = sticker_mask(stop, "centre")
    start = torch.full((3, 3, 32, 32), 0.5) + 0.1 * torch.rand(3, 3, 32, 32, generator=runtime.generator(0))
    options = {"targeted": True, "steps": 30}
    many = sticker(reader, Photographs(stop, mask, generator=runtime.generator(1)), start, LIMIT, **options)
    lone = Photographs(stop, mask, generator=runtime.generator(2), one_photo=True)
    one = sticker(reader, lone, start, LIMIT, samples=1, **options)
    return reader, stop, mask, lone, {"many": many, "one": one, "random": random_ink(3, generator=runtime.generator(3))}


def test_one_photo_stickers_win_on_their_photo_and_eot_stickers_on_the_others(stickers):
    reader, stop, mask, lone, inks = stickers
    assert (reader(lone(inks["one"])).argmax(1) == LIMIT).all()
    rates = {}
    for name, ink in inks.items():
        textures, draw = stick(stop, ink, mask), runtime.generator(9)
        rates[name] = physical_success(reader, textures, LIMIT, targeted=True, scenes=200, generator=draw).share.mean()
    assert rates["many"] > 0.75
    assert rates["one"] < 0.75 * rates["many"]
    assert rates["random"] < 0.05


def test_stickers_stay_printable_in_range_and_do_not_touch_the_network(stickers):
    reader, *_, inks = stickers
    assert inks["many"].min() >= 0.05 - 1e-6
    assert inks["many"].max() <= 0.95 + 1e-6
    assert not inks["many"].requires_grad
    assert all(p.grad is None for p in reader.parameters())


def test_the_penalties_do_what_they_say(stickers):
    reader, stop, mask, *_ = stickers
    start = torch.full((1, 3, 32, 32), 0.5) + 0.1 * torch.rand(1, 3, 32, 32, generator=runtime.generator(0))

    def made(**weights):
        shots = Photographs(stop, mask, generator=runtime.generator(1))
        ink = sticker(reader, shots, start, LIMIT, targeted=True, steps=15, samples=8, **weights)
        return ink[..., 10:22, 10:22]  # what is seen of it

    plain, smooth, printable = made(), made(smooth=3.0), made(printable=30.0)
    assert total_variation(smooth) < 0.6 * total_variation(plain)
    assert non_printability(printable) < 0.2 * non_printability(plain)


def test_eot_makes_a_sticker_out_of_pgd(stickers):
    reader, stop, mask, *_ = stickers
    shots = Photographs(stop, mask, generator=runtime.generator(4))
    start, target = torch.full((1, 3, 32, 32), 0.5), torch.tensor([LIMIT])
    attack = eot(pgd, shots, samples=16)
    ink = attack(reader, start, target, eps=0.45, steps=20, step_size=0.05, targeted=True, stop_early=False)
    textures = stick(stop, ink, mask)
    success = physical_success(reader, textures, LIMIT, targeted=True, scenes=100, generator=runtime.generator(9))
    assert success.share[0] > 0.6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda sign: sticker_mask(sign[None], "bars"), "one texture"),
        (lambda sign: sticker_mask(sign, "middle"), "must be one of 'bars', 'centre'"),
        (lambda sign: sticker_mask(sign, [(0.5, 0, 0.1, 1)]), "left, top, right, bottom"),
        (lambda sign: stick(sign, torch.rand(1, 3, 8, 8), torch.ones(8, 8)), "mask"),
        (lambda sign: total_variation(torch.rand(3, 8, 8)), "ink must be floats"),
        (lambda sign: printed(torch.rand(1, 3, 8, 8), torch.rand(4)), "inks must be colours"),
    ],
)
def test_bad_input_is_explained(call, message):
    assert set(SHAPES) == {"bars", "centre"}
    with pytest.raises(ValueError, match=message):
        call(signs.templates()[STOP])
