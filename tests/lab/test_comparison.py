"""A picture before and after a change: what is drawn of it, and what is said."""

import pytest
import torch

from modelsec_course.lab import comparison

NAMES = ("stop", "give way", "limit 50", "danger", "parking", "turn left")


@pytest.fixture
def shown(monkeypatch):
    said = []
    monkeypatch.setattr(comparison, "show", lambda fig, caption, alt: said.append((fig, caption, alt)))
    return said


def pair(eps):
    before = torch.full((3, 8, 8), 0.5)
    return before, before + eps * torch.ones(3, 8, 8)


@pytest.mark.parametrize(("eps", "times"), [(1 / 255, 20), (8 / 255, 15), (16 / 255, 7), (0.0, 20)])
def test_a_change_is_enlarged_as_far_as_it_can_be_drawn_and_at_most_twentyfold(eps, times):
    before, after = pair(eps)
    assert comparison.enlargement(after - before) == times
    assert times * eps <= 0.5


def test_the_words_name_the_truth_both_answers_and_the_enlargement(shown):
    chances = torch.tensor([0.98, 0.02]), torch.tensor([0.25, 0.75])
    comparison.before_after(*pair(8 / 255), chances, NAMES, 0, "The caption.")
    ((figure, caption, alt),) = shown
    assert caption == "The caption."
    assert "of class stop" in alt
    assert "says stop, 98 %" in alt
    assert "says give way, 75 %" in alt
    assert "15 times" in alt
    colours = {text.get_text(): text.get_color() for axes in figure.axes for text in axes.texts}
    assert colours["stop, 98 %"] != colours["give way, 75 %"]
