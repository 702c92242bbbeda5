import asyncio
import re

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest

from modelsec_course.lab import explore
from modelsec_course.lab.controls import Slider
from modelsec_course.lab.explorer import DELAY, Explorer


def draw(eps=0.1, index=0, shape="a", noise=False):
    fig, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, eps])
    return fig, f"At ε = {eps:.2f} <digit> {index} is read as {shape}{' with noise' if noise else ''}."


@pytest.fixture
def explorer():
    return Explorer(
        draw,
        {"eps": (0.0, 0.3, 0.01, 0.1), "index": (0, 5, 1, 2), "shape": {"first": "a", "second": "b"}, "noise": False},
        "The caption",
        {"eps": "ε (L∞)"},
    )


def test_keywords_become_controls(explorer):
    kinds = [Slider, Slider, widgets.Dropdown, widgets.Checkbox]
    assert [isinstance(*pair) for pair in zip(explorer.controls.values(), kinds, strict=True)] == [True] * 4
    assert explorer.controls["eps"].description == "ε (L∞)"
    assert explorer.controls["eps"].decimals == 2
    assert explorer.values == {"eps": 0.1, "index": 2, "shape": "a", "noise": False}


def test_moving_a_control_replaces_the_picture_in_place(explorer):
    children, before, figures = explorer.children, explorer._picture.value, plt.get_fignums()
    explorer.controls["eps"].value = 0.2
    assert explorer.children is children
    assert explorer._picture.value != before
    assert explorer.description == "At ε = 0.20 <digit> 2 is read as a."
    assert "&lt;digit&gt;" in explorer._words.value
    assert 'aria-live="polite"' in explorer._words.value
    assert 'alt="At ε = 0.20 &lt;digit&gt; 2 is read as a."' in explorer._picture.value
    assert plt.get_fignums() == figures


def test_a_callback_leaves_other_figures_alone(explorer):
    mine = plt.figure()
    explorer.controls["noise"].value = True
    assert plt.gcf() is mine
    plt.close(mine)


def test_a_fast_drag_draws_only_what_it_ends_with(explorer):
    async def drag():
        for i in range(31):
            explorer.controls["eps"].value = i / 100
        await asyncio.sleep(DELAY * 5)

    before = explorer.draws
    asyncio.run(drag())
    assert explorer.draws == before + 1
    assert "ε = 0.30" in explorer.description


def test_the_same_values_are_not_drawn_again(explorer):
    before = explorer.draws
    explorer.draw()
    assert explorer.draws == before


def test_an_error_is_said_and_the_picture_stays():
    def picky(eps):
        if eps > 0.2:
            raise ValueError("too <far>")
        return plt.subplots(figsize=(1, 1))[0]

    explorer = Explorer(picky, {"eps": (0.0, 0.3, 0.1, 0.1)})
    before = explorer._picture.value
    explorer.controls["eps"].value = 0.3
    assert explorer._picture.value == before
    assert 'role="alert"' in explorer._words.value
    assert "This setting could not be drawn: ValueError: too &lt;far&gt;" in explorer._words.value
    explorer.controls["eps"].value = 0.2
    assert "alert" not in explorer._words.value


def test_what_is_no_figure_is_said():
    assert "draw must return a figure" in Explorer(lambda eps: 3, {"eps": [1, 2]}).description


def test_as_text_it_is_its_description(explorer, capsys):
    explore(draw, eps=(0.0, 0.3, 0.01, 0.1), caption="The caption")
    assert capsys.readouterr().out == "At ε = 0.10 <digit> 0 is read as a.\n"
    bundle = explorer._repr_mimebundle_()
    assert bundle["text/plain"] == (
        "The caption\nε (L∞) 0.1, index 2, shape a, noise False\nAt ε = 0.10 <digit> 2 is read as a."
    )
    assert "<img" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle


@pytest.mark.parametrize("wrong", [(0, 1), "text", None, (0.0, 1.0, 0.1, 2.0), (0.0, 1.0, 0.0, 0.5), []])
def test_a_control_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="eps must be"):
        Explorer(draw, {"eps": wrong})


def test_stills_vary_the_first_slider_of_real_numbers_and_leave_the_widget_as_it_is(explorer):
    before, draws = explorer.values, explorer.draws
    strip = explorer.stills(3)
    assert re.findall(r"<strong>(.*?)</strong><br>(.*?)<", strip) == [
        ("ε (L∞): 0.00", "At ε\u00a0=\u00a00.00 &lt;digit&gt; 2 is read as a."),
        ("ε (L∞): 0.15", "At ε\u00a0=\u00a00.15 &lt;digit&gt; 2 is read as a."),
        ("ε (L∞): 0.30", "At ε\u00a0=\u00a00.30 &lt;digit&gt; 2 is read as a."),
    ]
    assert "The caption" in strip
    assert "index 2, shape first, noise off" in strip
    assert (explorer.values, explorer.draws) == (before, draws)


@pytest.mark.parametrize(
    ("control", "settings"),
    [
        ((0, 5, 1, 2), ["0", "2", "3", "5"]),
        ((1, 2, 1, 1), ["1", "2"]),
        ({"one": 1, "two": 2}, ["one", "two"]),
        (list("abcdef"), list("abcd")),
        (False, ["off", "on"]),
    ],
)
def test_stills_of_other_controls(control, settings):
    strip = Explorer(lambda x: plt.figure(figsize=(1, 1)), {"x": control}).stills()
    assert re.findall(r"<strong>x: (.*?)</strong>", strip) == settings


def test_stills_are_drawn_only_when_asked_for(monkeypatch):
    drawn = []

    def draw(x):
        drawn.append(x)
        return plt.figure(figsize=(1, 1))

    explorer = Explorer(draw, {"x": (0.0, 1.0, 0.5, 0.0)})
    explorer._repr_mimebundle_()
    assert drawn == [0.0]
    monkeypatch.setenv("MODELSEC_STILLS", "1")
    assert 'class="stills"' in explorer._repr_mimebundle_()["text/html"]
    assert drawn == [0.0, 0.0, 0.5, 1.0]
