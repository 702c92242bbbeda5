"""An interactive figure as still frames beside one another, for a page without a kernel."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np

from modelsec_course.lab.controls import Slider
from modelsec_course.lab.markup import PROSE, clip, esc, inline, plain
from modelsec_course.lab.style import Shown

Frame = Callable[[Mapping[str, Any]], tuple[Shown, str]]  # values of the controls: the figure, what it shows
LEGIBLE = 0.52  # of a figure's width: a still beside another is at least this wide


def strip(controls: Mapping[str, widgets.Widget], frame: Frame, caption: str, count: int) -> str:
    """HTML of `frame` at up to `count` settings of one control; the others stay as they are.

    That control is the first slider of real numbers, else the first of all.
    """
    real = [name for name, control in controls.items() if isinstance(control, Slider) and not control.whole]
    name = (real or list(controls))[0]
    values = {other: control.value for other, control in controls.items()}
    frames = [
        _still(f"{controls[name].description}: {label}", values | {name: value}, frame)
        for label, value in _settings(controls[name], count)
    ]
    others = [f"{control.description} {_reading(control)}" for other, control in controls.items() if other != name]
    note = f"Stills of an interactive figure{'; ' + ', '.join(others) if others else ''}."
    widest = max((int(width) for width in re.findall(r'<img [^>]*?width="(\d+)"', "".join(frames))), default=0)
    columns = f"repeat(auto-fit,minmax(min(100%,{round(LEGIBLE * widest)}px),1fr))"
    style = f"display:grid;gap:.6rem 1.2rem;grid-template-columns:{columns}"
    return (
        f'<p style="{PROSE};max-width:46rem">{inline(caption)} <em>{esc(note)}</em></p>'
        f'<div class="stills" style="{style}" role="group" aria-label="{esc(plain(note))}">{"".join(frames)}</div>'
    )


def _still(heading: str, values: Mapping[str, Any], frame: Frame) -> str:
    try:
        shown, description = frame(values)
        picture = shown.image()
    except Exception as error:  # as the widget itself does at such a setting
        picture = ""
        description = f"This setting could not be drawn: {type(error).__name__}: {clip(str(error), 300)}"
    words = f"<strong>{esc(heading)}</strong><br>{inline(description)}"
    return f'<figure style="margin:.5rem 0">{picture}<figcaption style="{PROSE}">{words}</figcaption></figure>'


def _settings(control: widgets.Widget, count: int) -> list[tuple[str, Any]]:
    """(label, value) of up to `count` settings: evenly from end to end of a slider, the first of a menu."""
    if isinstance(control, widgets.Checkbox):
        return [("off", False), ("on", True)]
    if isinstance(control, widgets.Dropdown):
        return list(zip(control._options_labels[:count], control._options_values, strict=False))
    steps = round((control.max - control.min) / control.step)
    at = dict.fromkeys(round(step) for step in np.linspace(0, steps, min(count, steps + 1)))
    values = [(int if control.whole else float)(round(control.min + step * control.step, 10)) for step in at]
    return [(control.reading(value), value) for value in values]


def _reading(control: widgets.Widget) -> str:
    """What a control says, in words."""
    if isinstance(control, widgets.Checkbox):
        return "on" if control.value else "off"
    if isinstance(control, widgets.Dropdown):
        return str(control.label)
    return control.reading(control.value)
