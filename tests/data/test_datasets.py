"""The data sets: what they hold, that they never change, and that nobody can spoil them for the next."""

import pytest
import torch

from modelsec_course import data
from modelsec_course.data import dataset

# scikit-learn's own descriptions of the sets
FACTS = {
    "digits": {"shape": (1, 8, 8), "train": 1437, "test": 360, "classes": 10, "low": 0.0, "high": 1.0},
    "tumours": {"shape": (30,), "train": 426, "test": 143, "classes": 2, "low": 0.0, "high": 4254.0},
}


@pytest.fixture(params=sorted(FACTS))
def name(request):
    return request.param


def test_names_lists_every_set_that_loads():
    assert set(FACTS) <= set(data.names())
    assert list(data.names()) == sorted(data.names())


def test_shapes_types_and_ranges_are_as_documented(name):
    loaded, facts = data.load(name), FACTS[name]
    assert loaded.x_train.shape == (facts["train"], *facts["shape"])
    assert loaded.x_test.shape == (facts["test"], *facts["shape"])
    x, y = torch.cat([loaded.x_train, loaded.x_test]), torch.cat([loaded.y_train, loaded.y_test])
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    assert (x.min().item(), x.max().item()) == (facts["low"], facts["high"])
    assert set(y.tolist()) == set(range(facts["classes"]))
    assert len(loaded.classes) == facts["classes"]
    assert loaded.provenance
    assert loaded.licence


def test_the_split_is_stratified(name):
    loaded = data.load(name)
    train, test = (y.bincount() / len(y) for y in (loaded.y_train, loaded.y_test))
    assert (train - test).abs().max() < 0.01


def test_no_record_is_in_both_halves_by_construction(name):
    loaded = data.load(name)
    train, test = ({tuple(row) for row in x.flatten(1).tolist()} for x in (loaded.x_train, loaded.x_test))
    assert not train & test


def test_loading_twice_gives_the_same_values_in_other_tensors(name):
    first, second = data.load(name), data.load(name)
    expected = second.x_train.clone()
    first.x_train.fill_(-1)
    first.y_test.fill_(0)
    assert torch.equal(second.x_train, expected)
    assert torch.equal(data.load(name).x_train, expected)
    assert torch.equal(data.load(name).y_test, second.y_test)


def test_loading_neither_reads_nor_writes_the_global_random_state(name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = data.load(name).x_test
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert torch.equal(data.load(name).x_test, first)


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_a_set_moves_as_a_whole_and_shows_itself_in_three_lines(name, device):
    loaded = data.load(name)
    moved = loaded.to(device)
    assert {getattr(moved, part).device.type for part in ("x_train", "y_train", "x_test", "y_test")} == {device}
    assert loaded.x_train.device.type == "cpu"
    assert repr(loaded).startswith(f"{name}: {FACTS[name]['train']} training and {FACTS[name]['test']} test inputs")
    assert repr(loaded).splitlines()[1:] == [loaded.provenance, f"Licence: {loaded.licence}."]


def test_the_columns_of_records_are_named():
    assert len(data.load("tumours").features) == 30
    assert data.load("digits").features == ()


def test_the_diabetes_set_holds_numbers_to_predict_and_both_sexes_alike_in_both_halves():
    loaded = data.load("diabetes")
    assert (loaded.x_train.shape, loaded.x_test.shape) == ((294, 10), (148, 10))
    assert loaded.classes == ()
    assert len(loaded.features) == 10
    y, sex = torch.cat([loaded.y_train, loaded.y_test]), loaded.features.index("sex")
    assert y.dtype == torch.float32
    assert (y.min(), y.max()) == (25, 346)  # scikit-learn's description
    shares = [(x[:, sex] == 2).float().mean() for x in (loaded.x_train, loaded.x_test)]
    assert set(loaded.x_train[:, sex].tolist()) == {1, 2}
    assert abs(shares[0] - shares[1]) < 0.01
    assert repr(loaded).startswith("diabetes: 294 training and 148 test inputs of 10, a number to predict.\n")
    assert torch.equal(data.load("diabetes").y_test, loaded.y_test)
    assert not {tuple(row) for row in loaded.x_train.tolist()} & {tuple(row) for row in loaded.x_test.tolist()}


@pytest.mark.parametrize("name", ["digit", "", None, 3, ["digits"]])
def test_an_unknown_set_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"name must be one of .*'digits'.*'tumours'.*but it is "):
        data.load(name)


@pytest.mark.parametrize("device", ["abacus", 3.5])
def test_a_set_is_not_moved_to_what_is_no_device(device):
    with pytest.raises((TypeError, ValueError), match=r"device must be a device such as 'cpu'.*but it is "):
        data.load("digits").to(device)


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(dataset, "_LOADERS", dict(dataset._LOADERS))


def tiny(**changes):
    parts = {"x_train": torch.zeros(4, 2), "y_train": torch.tensor([0, 1, 0, 1]), "x_test": torch.zeros(2, 2)}
    parts |= {"y_test": torch.tensor([0, 1]), "classes": ("a", "b"), "provenance": "here", "licence": "CC0"}
    return data.Dataset("tiny", **parts | changes)


@pytest.mark.usefixtures("registry")
def test_a_new_set_plugs_into_the_registry():
    loader = data.register("tiny")(tiny)
    assert loader is tiny
    assert "tiny" in data.names()
    assert data.load("tiny").classes == ("a", "b")
    with pytest.raises(ValueError, match=r"'tiny' is registered twice"):
        data.register("tiny")(tiny)


@pytest.mark.usefixtures("registry")
def test_only_functions_with_a_name_are_registered():
    with pytest.raises(TypeError, match=r"name must be .*None.*@register"):
        data.register(None)
    with pytest.raises(TypeError, match=r"loader must be callable.*3"):
        data.register("three")(3)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"x_train": [[0.0, 0.0]] * 4}, TypeError, r"x_train must be a tensor.*list"),
        ({"y_train": torch.tensor([0, 1])}, ValueError, r"y_train must have shape \(4,\).*\(2,\)"),
        ({"y_test": torch.tensor([0.0, 1.0])}, ValueError, r"y_test must hold int64.*float32"),
        ({"y_test": torch.tensor([0, 2])}, ValueError, r"y_test holds the label 2, but classes names only 2"),
        ({"y_test": torch.tensor([0, -1])}, ValueError, r"y_test holds the label -1"),
        ({"classes": ()}, ValueError, r"y_train must hold floating-point numbers.*int64"),
    ],
)
def test_a_set_whose_parts_do_not_belong_together_is_refused(changes, kind, message):
    with pytest.raises(kind, match=message):
        tiny(**changes)
