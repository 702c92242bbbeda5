import asyncio

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest

from modelsec_course.lab import explore
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
    kinds = [type(control) for control in explorer.controls.values()]
    assert kinds == [widgets.FloatSlider, widgets.IntSlider, widgets.Dropdown, widgets.Checkbox]
    assert explorer.controls["eps"].description == "ε (L∞)"
    assert explorer.controls["eps"].readout_format == ".2f"
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
