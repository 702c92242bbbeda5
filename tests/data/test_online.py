"""A real data set is fetched when asked for, once; without a network one error says what to use instead."""

import hashlib
import io
import sys
import types
import urllib.error

import numpy as np
import pytest
import torch

from modelsec_course import data
from modelsec_course.data import online


@pytest.fixture
def source(monkeypatch, tmp_path):
    """Stands for scikit-learn's download: counts how often it is asked, and can be offline."""

    class Source:
        asked, offline, homes = 0, False, set()

        def fetch(self, data_home, return_X_y):
            self.asked += 1
            self.homes.add(data_home)
            if self.offline:
                raise urllib.error.URLError("no route to host")
            pictures = np.arange(400)[:, None] % 256 * np.ones((1, 4096)) / 255
            return pictures.astype(np.float32), np.arange(400) // 10

    source = Source()
    monkeypatch.setenv("MODELSEC_CACHE", str(tmp_path))
    monkeypatch.setattr(online, "fetch_olivetti_faces", source.fetch)
    return source


def test_seven_photographs_of_each_person_train_and_three_test(source):
    faces = data.load("olivetti")
    assert faces.x_train.shape == (280, 1, 64, 64)
    assert faces.x_test.shape == (120, 1, 64, 64)
    assert faces.y_train.bincount().tolist() == [7] * 40
    assert faces.y_test.bincount().tolist() == [3] * 40
    assert torch.equal(faces.x_train[7], torch.full((1, 64, 64), 10 / 255))  # the eighth is the second person's first
    assert torch.equal(faces.x_test[0], torch.full((1, 64, 64), 7 / 255))


def test_it_is_fetched_once_into_a_folder_of_its_own(source):
    first, second = data.load("olivetti"), data.load("olivetti")
    assert source.asked == 1
    assert torch.equal(first.x_test, second.x_test)
    assert len(source.homes) == 1


def test_a_damaged_copy_is_fetched_again(source, tmp_path):
    expected = data.load("olivetti").x_train
    (kept,) = tmp_path.glob("*olivetti*.safetensors")
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    assert torch.equal(data.load("olivetti").x_train, expected)
    assert source.asked == 2


def test_offline_the_error_names_the_rendered_set_and_nothing_is_kept(source, tmp_path):
    source.offline = True
    with pytest.raises(ConnectionError, match=r'no route to host.*data\.load\("faces"\)'):
        data.load("olivetti")
    assert not list(tmp_path.glob("*.safetensors"))
    source.offline = False
    assert len(data.load("olivetti").x_train) == 280


@pytest.fixture
def ultrasound(monkeypatch, tmp_path):
    """Stands for the medmnist package: writes a file like BreastMNIST's, whose hash the course then expects."""
    archive, pixels = io.BytesIO(), np.arange(780, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    labels, parts = (np.arange(780) % 2).astype(np.uint8)[:, None], {}
    for part, chosen in (("train", slice(546)), ("val", slice(546, 624)), ("test", slice(624, None))):
        parts |= {f"{part}_images": pixels[chosen], f"{part}_labels": labels[chosen]}
    np.savez(archive, **parts)

    class Package(types.ModuleType):
        asked, offline, content, homes = 0, False, archive.getvalue(), []

        def BreastMNIST(self, split, root, download):
            self.asked += 1
            self.homes.append(root)
            if self.offline:
                raise RuntimeError("Automatic download failed!")
            with open(f"{root}/breastmnist.npz", "wb") as file:
                file.write(self.content)

    package = Package("medmnist")
    monkeypatch.setenv("MODELSEC_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "medmnist", package)
    monkeypatch.setattr(online, "BREASTMNIST_SHA256", hashlib.sha256(package.content).hexdigest())
    return package


def test_the_ultrasound_pictures_keep_their_published_split(ultrasound):
    breasts = data.load("breastmnist")
    assert breasts.x_train.shape == (624, 1, 28, 28)
    assert breasts.x_test.shape == (156, 1, 28, 28)
    assert breasts.classes[0] == "malignant"
    assert torch.equal(breasts.x_test[0], torch.full((1, 28, 28), (624 % 256) / 255))
    assert breasts.y_train[:3].tolist() == [0, 1, 0]
    data.load("breastmnist")
    assert ultrasound.asked == 1


def test_a_changed_file_is_refused_before_it_is_read(ultrasound, tmp_path):
    ultrasound.content = ultrasound.content[:-1] + b"!"
    with pytest.raises(ValueError, match="not read"):
        data.load("breastmnist")
    assert not list(tmp_path.glob("*.safetensors"))


def test_without_network_or_package_one_sentence_says_what_to_do(ultrasound, monkeypatch):
    ultrasound.offline = True
    with pytest.raises(ConnectionError, match=r'^BreastMNIST could not be fetched: .*data\.load\("tumours"\)$'):
        data.load("breastmnist")
    monkeypatch.setitem(sys.modules, "medmnist", None)  # as if it were not installed
    with pytest.raises(ModuleNotFoundError, match=r"^BreastMNIST is fetched by the medmnist package: pip install"):
        data.load("breastmnist")
