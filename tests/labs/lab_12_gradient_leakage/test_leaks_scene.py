"""Lab 12's widget shows the batch, what was found at the chosen noise, and the error at every level."""

import matplotlib.pyplot as plt
import pytest
import torch

from modelsec_course import runtime
from modelsec_course.lab.predicting import Guess
from modelsec_course.labs.lab_12_gradient_leakage.scene import watch_it_leak, with_noise

LEVELS = [0.0, 0.1, 1.0]


@pytest.fixture
def asked():
    return []


@pytest.fixture
def draw(asked):
    def attack(batch):
        asked.append(batch)
        x = torch.rand(batch, 1, 4, 4, generator=runtime.generator(batch))
        found = torch.stack([x.flip(0) + level / 10 for level in LEVELS])  # a batch has no order
        return x, found

    return watch_it_leak(attack, LEVELS)


@pytest.mark.parametrize(("batch", "grid"), [(1, (1, 2)), (3, (2, 3))])
def test_each_patient_stands_beside_what_is_found_of_it(draw, batch, grid):
    figure, words = draw(batch, 1.0)
    pictures = [axes for axes in figure.axes if axes.images]
    assert pictures[0].get_subplotspec().get_gridspec().get_geometry() == grid
    shown = torch.stack([torch.as_tensor(axes.images[0].get_array()) for axes in pictures])
    torch.testing.assert_close(shown[batch:], shown[:batch] + 0.1)
    assert words == f"Batch of {batch}, noise 1 times as long as the gradient: mean squared error 0.01, PSNR **20 dB**."
    plt.close(figure)


def test_the_curve_has_every_level_and_marks_the_chosen_one(draw, asked):
    for level, floor in ((0.0, 1e-12), (0.1, 1e-4)):
        figure, words = draw(2, level)
        curve = figure.axes[-1]
        torch.testing.assert_close(torch.tensor(curve.lines[0].get_ydata()), torch.tensor([1e-12, 1e-4, 1e-2]))
        assert curve.collections[0].get_offsets().tolist() == [[level, pytest.approx(floor, rel=1e-4)]]
        assert [text.get_text() for text in curve.get_xticklabels()] == ["0", "0.1", "1"]
        plt.close(figure)
    assert asked == [2]
    assert "noise 0.1 times" in words
    assert "no noise" in draw(2, 0.0)[1]
    plt.close("all")


def test_noise_is_as_many_times_as_long_as_each_update_itself():
    draw = runtime.generator(1)
    gradient = [torch.randn(3, 40, generator=draw), torch.randn(3, 5, 4, generator=draw)]
    lengths = [0.0, 0.5, 2.0]
    noise = [n - g for n, g in zip(with_noise(gradient, lengths, seed=2), gradient, strict=True)]
    size, own = (torch.cat([part.flatten(1) for part in parts], 1).norm(dim=1) for parts in (noise, gradient))
    torch.testing.assert_close(size / own, torch.tensor(lengths))


def test_the_learners_guess_is_a_dashed_line(monkeypatch):
    monkeypatch.setenv("MODELSEC_EXPECT", "pass")
    guess = Guess("12.noise", "How long?", 0, 3, 0.05, False)
    guess.slider.value, guess.slider.touched = 1.5, True
    x = torch.rand(1, 1, 4, 4)
    figure, _ = watch_it_leak(lambda batch: (x, x.repeat(3, 1, 1, 1, 1)), LEVELS, guess)(1, 0.1)
    assert [text.get_text() for text in figure.axes[-1].texts] == ["your guess: 1.5"]
    plt.close(figure)
