"""Lab 08's tables and its attack on a vote: what they show is what they were given."""

import pytest
import torch

from modelsec_course import data, poisoning, runtime
from modelsec_course.labs.lab_08_poisoning_and_backdoors import scene


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def ensemble(digits):
    return poisoning.PartitionEnsemble(digits.x_train, digits.y_train, parts=50, classes=10)


def stand(ensemble, digits, extra):
    label, radius = ensemble.certify(digits.x_test[:4])
    draw = runtime.generator(0)
    return [
        scene.withstands(
            ensemble, digits.x_train, digits.y_train, digits.x_test[i], label[i], int(radius[i]) + extra, draw
        )
        for i in range(4)
    ]


def test_every_digit_withstands_its_radius_and_most_fall_to_more(ensemble, digits):
    assert all(stand(ensemble, digits, 0))
    assert sum(stand(ensemble, digits, 4)) <= 2


def test_detectors_show_no_rate_where_there_is_no_poison(capsys):
    scene.detectors({"clean": [[float("nan"), 0.3], [float("nan"), 0.01]]})
    assert capsys.readouterr().out.splitlines()[-1].split() == ["clean", "–", "30", "%", "–", "1", "%"]


def test_verdicts_count_the_accused_on_the_right_side_of_each_limit(capsys):
    scene.verdicts({"patch": [1.9, 2.1, 3.0], "clean": [0.9, 1.2]}, {"patch": [0.5, 0.79, 0.9], "clean": [0.81, 1.0]})
    patch, clean = capsys.readouterr().out.splitlines()[-2:]
    words = [word.strip() for word in patch.split("  ") if word]
    assert words == ["patch", "1.9 to 3.0", "2 of 3", "50.0 to 90.0 %", "2 of 3"]
    assert clean.count("0 of 2") == 2


def test_a_trigger_is_drawn_where_the_sliders_say(digits):
    asked = []

    def train(x, y):
        asked.append((x, y))
        return lambda pictures: torch.nn.functional.one_hot(pictures.flatten(1).argmax(1) % 10, 10).float()

    draw = scene.draw_a_trigger(train, digits, train(None, None), target=0)
    figure, words = draw(row=1, column=1, size=1, strength=1.0, poisons=3)
    picture = figure.axes[0].images[0].get_array()
    assert picture[1, 1] == 1
    assert "3 of 1,437 rows" in words
    changed = (asked[-1][0] != digits.x_train).flatten(1).any(1)
    assert changed.sum() <= 3
