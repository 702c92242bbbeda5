"""A real data set is fetched when asked for, once; without a network one error says what to use instead."""

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
