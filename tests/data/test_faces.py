"""The faces: distinct people, pictures that vary as they should, and a cache that never hands out a damaged picture."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import load_file, save_file

from modelsec_course import data
from modelsec_course.data import faces
from modelsec_course.data.faces import album, groups
from modelsec_course.data.faces.canvas import cover, ellipse


@pytest.fixture(scope="module")
def crowd():
    return faces.invent(60, seed=99)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELSEC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def photographs(people, who, seed=0, **options):
    return faces.photograph(people, torch.as_tensor(who), seed=seed, progress=False, **options).float() / 255


def test_a_disc_covers_its_area_whatever_the_pixels():
    axis = torch.linspace(-1, 1, 201)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    area = cover(ellipse(x, y, 0.5, 0.5)).mean().item() * 2.01**2
    assert area == pytest.approx(torch.pi * 0.25, rel=0.01)


def test_the_same_seed_gives_the_same_people_and_pictures_and_another_does_not(crowd):
    again, other = faces.invent(60, seed=99), faces.invent(60, seed=98)
    assert all(torch.equal(crowd[trait], again[trait]) for trait in crowd)
    assert not torch.equal(crowd["skin"], other["skin"])
    pictures = [photographs(crowd, range(5), seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])


def test_a_person_looks_alike_in_company_and_alone(crowd):
    together = photographs(crowd, range(3), calm=True)
    alone = torch.cat([photographs(crowd, [i], calm=True) for i in range(3)])
    assert (together - alone).abs().max() <= 1 / 255


def test_passport_pictures_of_any_two_people_differ_at_a_glance(crowd):
    pictures = photographs(crowd, range(60), calm=True).flatten(1)
    apart = torch.cdist(pictures, pictures, p=1) / pictures.shape[1]
    assert apart[~torch.eye(60, dtype=torch.bool)].min() > 0.02


def test_a_person_is_nearer_to_themselves_than_to_others_across_pose_and_light(crowd):
    # Not by pixels alone (light and background move those most), but on average clearly.
    x = photographs(crowd, torch.arange(60).repeat_interleave(6), seed=3).flatten(1)
    x = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
    apart = torch.cdist(x, x)
    same = torch.arange(360)[:, None] // 6 == torch.arange(360) // 6
    assert apart[same & ~torch.eye(360, dtype=torch.bool)].mean() < 0.8 * apart[~same].mean()


def test_glasses_and_beards_are_where_the_traits_say():
    plain = faces.invent(40, seed=5) | {name: torch.zeros(40) for name in ("glasses", "beard", "freckles", "mole")}
    bare = photographs(plain, range(40), calm=True)[:, 0]
    for trait, value, rows in (("glasses", 1.0, slice(16, 40)), ("beard", 2.0, slice(30, 62))):
        with_it = photographs(plain | {trait: torch.full((40,), value)}, range(40), calm=True)[:, 0]
        change = (with_it - bare).abs()
        assert (change[:, rows].flatten(1).sum(1) > 5).all(), trait
        outside = change.sum((1, 2)) - change[:, rows].sum((1, 2))
        assert (outside < 0.1 * change.sum((1, 2))).all(), trait


def test_nothing_is_cut_off_by_the_windows_that_parts_are_painted_in(crowd, monkeypatch):
    # Wide poses are where a window too tight would show.
    before = photographs(crowd, range(60), seed=4)
    monkeypatch.setattr("modelsec_course.data.faces.canvas.REACH", 2.0)  # every window is the whole picture
    assert (photographs(crowd, range(60), seed=4) - before).abs().max() < 0.02


def test_the_private_set_has_a_hundred_people_on_as_many_pictures_each():
    private = data.load("faces")
    assert private.x_train.shape == (1200, 1, 32, 32)
    assert private.x_test.shape == (800, 1, 32, 32)
    assert 0 <= private.x_train.min() < private.x_train.max() <= 1
    assert (private.y_train.bincount() == 12).all()
    assert (private.y_test.bincount() == 8).all()
    assert len(private.classes) == faces.PRIVATE == 100
    assert faces.PUBLIC >= 500
    assert faces.STRANGERS == 360
    assert not (private.x_train[:, None] == private.x_test[None, :100]).flatten(2).all(2).any()


def test_nobody_is_in_two_groups_but_the_private_people_with_the_judge():
    traits = {group: torch.stack(list(faces.people(group).values()), 1) for group in groups.GROUPS}
    assert torch.equal(traits["train"], traits["test"])
    assert torch.equal(traits["judge"][:100], traits["train"])
    everybody = torch.cat([traits["judge"], traits["public"]])
    assert len(everybody.unique(dim=0)) == len(everybody) == 1460


def test_small_pictures_are_the_large_ones_averaged():
    small, y = faces.pictures("test")
    large, same = faces.pictures("test", size=64)
    assert torch.equal(y, same)
    torch.testing.assert_close(small, large.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)))


@pytest.mark.parametrize(("group", "size", "word"), [("friends", 32, "group"), ("train", 48, "size")])
def test_a_wrong_group_or_size_is_refused_in_words(group, size, word):
    with pytest.raises(ValueError, match=word):
        faces.pictures(group, size=size)


def test_pictures_are_drawn_once_and_then_kept(folder):
    drawn = []

    def draw():
        drawn.append(1)
        return torch.arange(12, dtype=torch.uint8).view(3, 4)

    for _ in range(3):
        assert torch.equal(album.kept("some", draw), torch.arange(12, dtype=torch.uint8).view(3, 4))
    assert len(drawn) == 1
    assert [path.name for path in folder.glob("*.safetensors")] == [f"faces-some-{album.version()}.safetensors"]


@pytest.mark.parametrize("damage", ["one bit", "cut", "empty", "not ours", "a folder"])
def test_a_damaged_file_is_drawn_anew(folder, damage):
    right = torch.arange(200, dtype=torch.uint8)
    album.kept("some", lambda: right)
    (path,) = folder.glob("*.safetensors")
    content = bytearray(path.read_bytes())
    if damage == "one bit":
        content[-7] ^= 4
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[:-30])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "not ours":
        save_file({"pictures": right + 1}, path)
    else:
        path.unlink()
        path.mkdir()
    assert torch.equal(album.kept("some", lambda: right), right)
    if damage != "a folder":
        assert torch.equal(load_file(path)["pictures"], right)


def test_where_nothing_can_be_written_pictures_are_drawn_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MODELSEC_CACHE", str(tmp_path / "file" / "cache"))
    assert album.kept("some", lambda: torch.ones(3, dtype=torch.uint8)).sum() == 3


def test_a_changed_renderer_does_not_find_the_old_pictures(folder, monkeypatch):
    album.kept("some", lambda: torch.zeros(3, dtype=torch.uint8))
    monkeypatch.setattr(album, "version", lambda: "another")
    assert album.kept("some", lambda: torch.ones(3, dtype=torch.uint8)).sum() == 3


def test_of_several_that_ask_at_once_one_draws(folder):
    drawn = []

    def draw():
        drawn.append(1)
        time.sleep(0.3)
        return torch.ones(5, dtype=torch.uint8)

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(album.kept, "some", draw) for _ in range(4)]
    assert [int(job.result().sum()) for job in jobs] == [5] * 4
    assert len(drawn) == 1
