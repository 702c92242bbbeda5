"""The zoo: victims are as strong as stated, and a file that is not the one in the manifest is never opened up."""

import hashlib
import json
import pickle
import shutil

import pytest
import torch
from torch import nn

from modelsec_course import data, training, zoo
from modelsec_course.zoo import shelf


@pytest.fixture(params=zoo.names())
def name(request):
    return request.param


@pytest.fixture
def copied(tmp_path):
    """The zoo's files in a folder of their own."""
    folder = tmp_path / "weights"
    shutil.copytree(shelf.WEIGHTS, folder)
    return folder


@pytest.fixture
def never_parsed(monkeypatch):
    def parse(content):
        raise AssertionError("a file that should have been refused was parsed")

    monkeypatch.setattr(shelf, "parse", parse)


def manifest():
    return json.loads((shelf.WEIGHTS / "manifest.json").read_text())


@pytest.mark.parametrize("name", [name for name in zoo.names() if zoo.RECIPES[name].classifies])
def test_every_victim_is_as_accurate_as_its_manifest_says(name):
    net, held_out = zoo.load(name, device="cpu"), data.load(zoo.RECIPES[name].data)
    stated = manifest()[name]["test_accuracy"]
    assert training.accuracy(net, held_out.x_test, held_out.y_test) == pytest.approx(stated, abs=5e-5)
    assert stated > {"signs-cnn-pgd": 0.87, "signs-cnn-stickers": 0.93, "faces-mlp": 0.93, "faces-cnn": 0.93}.get(
        name, 0.95
    )


def test_a_victim_comes_in_eval_mode_on_the_device_asked_for_and_fresh(name):
    net, other = zoo.load(name, device="cpu"), zoo.load(name, device="cpu")
    assert isinstance(net, nn.Module)
    assert not any(module.training for module in net.modules())
    assert {value.device.type for value in net.state_dict().values()} == {"cpu"}
    with torch.no_grad():
        next(net.parameters()).fill_(9)
    assert not (next(other.parameters()) == 9).all()


def test_loading_leaves_the_global_random_state_alone(name):
    # Building the untrained network draws its weights, which must not show.
    torch.manual_seed(3)
    before = torch.get_rng_state()
    zoo.load(name, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_manifest_recipes_and_files_agree():
    assert set(manifest()) == set(zoo.names()) == set(zoo.RECIPES)
    assert {path.name for path in shelf.WEIGHTS.glob("*.safetensors")} == {
        f"{name}.safetensors" for name in zoo.names()
    }
    assert zoo.verify() == []
    assert max(path.stat().st_size for path in shelf.WEIGHTS.iterdir()) < 2**20


@pytest.mark.usefixtures("never_parsed")
@pytest.mark.parametrize("damage", ["one bit", "one more byte", "cut", "empty", "another victim", "pickle"])
def test_a_file_that_is_not_the_one_in_the_manifest_is_refused_before_it_is_parsed(copied, damage):
    path = copied / "digits-cnn.safetensors"
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "one bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "one more byte": content + b"\0",
            "cut": content[:-1],
            "empty": b"",
            "another victim": (copied / "digits-linear.safetensors").read_bytes(),
            "pickle": pickle.dumps({"weight": [1.0]}),
        }[damage]
    )
    with pytest.raises(
        ValueError, match=r"digits-cnn\.safetensors is not the file.*SHA-256.*modelsec build zoo digits-cnn"
    ):
        zoo.load("digits-cnn", device="cpu", folder=copied)
    assert len(zoo.verify(copied)) == 1


@pytest.mark.usefixtures("never_parsed")
def test_a_missing_file_is_refused_with_the_remedy(copied):
    (copied / "digits-cnn.safetensors").unlink()
    with pytest.raises(ValueError, match=r"'digits-cnn' is missing.*git checkout.*modelsec build zoo digits-cnn"):
        zoo.load("digits-cnn", device="cpu", folder=copied)
    assert len(zoo.verify(copied)) == 1


@pytest.mark.usefixtures("never_parsed")
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]", b"3", b'{"digits-cnn": "338d"}'])
def test_a_damaged_manifest_is_refused_with_the_remedy(copied, content):
    (copied / "manifest.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"the zoo's manifest\.json is .*git checkout"):
        zoo.load("digits-cnn", device="cpu", folder=copied)
    assert len(zoo.verify(copied)) == len(zoo.names())


@pytest.mark.usefixtures("never_parsed")
@pytest.mark.parametrize("content", ["{}", '{"digits-cnn": {}}'])
def test_a_victim_without_a_hash_is_refused(copied, content):
    (copied / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match=r"manifest entry for 'digits-cnn' is missing"):
        zoo.load("digits-cnn", device="cpu", folder=copied)


def test_nothing_in_the_zoo_is_unpickled(name, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the zoo unpickled something")

    for module, function in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(module, function, refuse)
    zoo.load(name, device="cpu")


def test_the_file_is_read_once(copied, monkeypatch):
    # What was hashed is what is parsed: a file that changes in between changes nothing.
    path, parse = copied / "digits-linear.safetensors", shelf.parse

    def swap_then_parse(content):
        path.write_bytes(b"changed after the check")
        return parse(content)

    monkeypatch.setattr(shelf, "parse", swap_then_parse)
    assert zoo.load("digits-linear", device="cpu", folder=copied)[-1].weight.isfinite().all()


@pytest.mark.parametrize("name", ["digits-linear", "tumours-logistic"])
def test_a_recipe_makes_its_victim_again(name, tmp_path):
    made = zoo.build([name], folder=tmp_path / "new" / "zoo")
    assert made[name]["test_accuracy"] == manifest()[name]["test_accuracy"]
    again, kept = zoo.load(name, device="cpu", folder=tmp_path / "new" / "zoo"), zoo.load(name, device="cpu")
    for key, value in kept.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, rtol=1e-3, atol=1e-3)


@pytest.fixture
def quick_recipe(monkeypatch):
    """A recipe that takes no time, in place of the digits' network."""
    recipe = zoo.RECIPES["digits-linear"]
    untrained = type(recipe)(recipe.summary, recipe.data, recipe.architecture, lambda net: None)
    monkeypatch.setitem(zoo.RECIPES, "digits-cnn", untrained)


@pytest.mark.usefixtures("quick_recipe")
def test_a_build_writes_the_file_its_hash_and_nothing_else(tmp_path):
    made = zoo.build(["digits-cnn"], folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"digits-cnn.safetensors", "manifest.json"}
    content = (tmp_path / "digits-cnn.safetensors").read_bytes()
    assert made["digits-cnn"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert json.loads((tmp_path / "manifest.json").read_text()) == made
    zoo.load("digits-cnn", device="cpu", folder=tmp_path)


@pytest.mark.usefixtures("quick_recipe")
def test_a_build_keeps_the_other_victims(copied):
    before = (copied / "digits-linear.safetensors").read_bytes()
    made = zoo.build("digits-cnn", folder=copied)
    assert set(made) == set(zoo.names())
    assert (copied / "digits-linear.safetensors").read_bytes() == before


def test_a_build_that_fails_changes_nothing(copied, monkeypatch):
    def fail(net):
        raise ArithmeticError("training failed")

    recipe = zoo.RECIPES["digits-cnn"]
    monkeypatch.setitem(zoo.RECIPES, "digits-cnn", type(recipe)(recipe.summary, recipe.data, recipe.architecture, fail))
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    with pytest.raises(ArithmeticError):
        zoo.build(["digits-cnn"], folder=copied)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


@pytest.mark.parametrize("name", ["digits_cnn", "../digits-cnn", "", None, 3])
def test_an_unknown_victim_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"name must be one of 'digits-cnn', .*but it is "):
        zoo.load(name)


@pytest.mark.parametrize("only", ["digits_cnn", ["digits-cnn", "cnn"], [3]])
def test_an_unknown_victim_is_not_built(only, tmp_path):
    with pytest.raises(ValueError, match=r"only must be one of 'digits-cnn', .*but it is "):
        zoo.build(only, folder=tmp_path)


@pytest.mark.parametrize("device", ["abacus", 3.5])
def test_a_victim_is_not_sent_to_what_is_no_device(device):
    with pytest.raises((TypeError, ValueError), match=r"device must be a device such as 'cpu'.*but it is "):
        zoo.load("digits-cnn", device=device)
