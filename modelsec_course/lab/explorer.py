"""`explore(draw, eps=(0.0, 0.3, 0.01, 0.1))`: sliders that redraw a figure in place."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np
from IPython.display import display

from modelsec_course.lab.controls import Slider, slider
from modelsec_course.lab.markup import PROSE, box, clip, esc, inline, plain
from modelsec_course.lab.sandbox import figures_apart
from modelsec_course.lab.style import THEMES, Shown, use_style

# ipywidgets draws a menu's arrow in black, which the dark theme swallows.
ARROW = (
    """<style>body[data-jp-theme-light="false"]{--jp-widgets-dropdown-arrow:url("data:image/svg+xml,"""
    """%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E%3Cpath fill='%23ddd' """
    """d='M5.2 5.9 9 9.7l3.8-3.8 1.2 1.2-5 5-5-5z'/%3E%3C/svg%3E")}</style>"""
)
LEGIBLE = 0.52  # of a figure's width: a still beside another is at least this wide
DELAY = 0.03  # seconds to gather the values of a fast drag: only the last is drawn


class Explorer(widgets.VBox):
    """Controls above one image and its description. `values` is what the controls say, `description` what is shown."""

    def __init__(
        self, draw: Callable, controls: Mapping[str, Any], caption: str = "", labels: Mapping[str, str] | None = None
    ):
        self._draw, self._caption, self._drawn, self._waiting = draw, caption, None, None
        self.description, self.draws = "", 0
        self.controls = {
            name: _control(name, setting, (labels or {}).get(name, name.replace("_", " ")))
            for name, setting in controls.items()
        }
        widest = max((len(control.description) for control in self.controls.values()), default=0)
        for control in self.controls.values():  # all start in one column
            if isinstance(control, Slider):
                control.label_width = f"{1 + 0.55 * widest:.1f}em"
            else:
                control.style.description_width = f"{1 + 0.55 * widest:.1f}em"
        self._picture, self._words = widgets.HTML(), widgets.HTML()
        super().__init__([*self.controls.values(), self._picture, self._words])
        for control in self.controls.values():
            control.observe(self._changed, "value")
        self.draw()

    @property
    def values(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.controls.items()}

    def draw(self) -> None:
        """Draw the present values, unless they are what is shown already."""
        self._waiting = None
        values = self.values
        if values == self._drawn:
            return
        try:
            shown, description = self._frame(values)
        except Exception as error:
            self._say(f"This setting could not be drawn: {type(error).__name__}: {clip(str(error), 300)}", alert=True)
            return
        self._drawn, self.draws = values, self.draws + 1
        self._picture.value = shown.html()
        self._say(description)

    def stills(self, count: int = 4) -> str:
        """HTML of the figure at up to `count` settings of one control, for a page without a kernel.

        That control is the first slider of real numbers, else the first of all; the others stay as they are.
        """
        name = next((name for name, c in self.controls.items() if isinstance(c, Slider) and not c.whole), None)
        name = name or next(iter(self.controls))
        frames = [self._still(name, *setting) for setting in _settings(self.controls[name], count)]
        others = [f"{c.description} {_reading(c)}" for other, c in self.controls.items() if other != name]
        note = f"Stills of an interactive figure{'; ' + ', '.join(others) if others else ''}."
        caption = f'<p style="{PROSE};max-width:46rem">{inline(self._caption)} <em>{esc(note)}</em></p>'
        widest = max((int(width) for width in re.findall(r'<img [^>]*?width="(\d+)"', "".join(frames))), default=0)
        columns = f"repeat(auto-fit,minmax(min(100%,{round(LEGIBLE * widest)}px),1fr))"
        style = f"display:grid;gap:.6rem 1.2rem;grid-template-columns:{columns}"
        strip = f'class="stills" style="{style}" role="group" aria-label="{esc(plain(note))}"'
        return f"{THEMES}{caption}<div {strip}>{''.join(frames)}</div>"

    def _still(self, name: str, label: str, value: Any) -> str:
        try:
            shown, description = self._frame(self.values | {name: value}, caption="")
            picture = shown.image()
        except Exception as error:
            picture, description = "", f"This setting could not be drawn: {type(error).__name__}: {error}"
        words = f"<strong>{esc(self.controls[name].description)}: {esc(label)}</strong><br>{inline(description)}"
        return f'<figure style="margin:.5rem 0">{picture}<figcaption style="{PROSE}">{words}</figcaption></figure>'

    def _frame(self, values: Mapping[str, Any], caption: str | None = None) -> tuple[Shown, str]:
        caption = self._caption if caption is None else caption
        with figures_apart():
            use_style()
            made = self._draw(**values)
            figure, description = made if isinstance(made, tuple) else (made, "")
            if not hasattr(figure, "savefig"):
                raise TypeError(f"draw must return a figure or (figure, description), not a {type(figure).__name__}")
            return Shown(figure, caption, description or self._caption, scale=1.5), description

    def _changed(self, _) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # not in a kernel
            self.draw()
            return
        if self._waiting is None:
            self._waiting = loop.call_later(DELAY, self.draw)

    def _say(self, words: str, *, alert: bool = False) -> None:
        self.description = plain(words)
        role = 'role="alert"' if alert else 'role="status" aria-live="polite"'
        colour = ";color:var(--jp-error-color1,#d32f2f)" if alert else ""
        style = f"{PROSE}{colour};max-width:48rem;min-height:1.5em;white-space:normal"
        self._words.value = f'{ARROW}<div {role} style="{style}">{inline(words)}</div>'

    def _repr_mimebundle_(self, **kwargs):
        data = super()._repr_mimebundle_(**kwargs)
        bundle, *rest = data if isinstance(data, tuple) else (data,)
        if bundle is not None:
            settings = ", ".join(f"{control.description} {control.value}" for control in self.controls.values())
            bundle["text/plain"] = f"{self._caption}\n{settings}\n{self.description}".strip()
            still = self._picture.value + box(f"<p>{esc(settings)}</p><p>{esc(self.description)}</p>")
            bundle["text/html"] = self.stills() if os.environ.get("MODELSEC_STILLS") else still
        return (bundle, *rest) if rest else bundle

    def __repr__(self) -> str:
        return self.description or self._caption or "An interactive figure"


def explore(draw: Callable, *, caption: str = "", labels: Mapping[str, str] | None = None, **controls: Any) -> None:
    """Show `draw(**values)`, a figure or (figure, description), and controls that redraw it.

    Each keyword is a control: (low, high, step, start) a slider, of whole numbers if all four are;
    a list, or a dict of value by label, a menu; True or False a checkbox. labels: their names on the page.
    """
    display(Explorer(draw, controls, caption, labels))


def _settings(control: widgets.Widget, count: int) -> list[tuple[str, Any]]:
    """(label, value) of up to `count` settings: evenly from end to end of a slider, the first of a menu."""
    if isinstance(control, widgets.Checkbox):
        return [("off", False), ("on", True)]
    if isinstance(control, widgets.Dropdown):
        labels = control._options_labels[:count]
        return list(zip(labels, control._options_values, strict=False))
    steps = round((control.max - control.min) / control.step)
    kind = int if control.whole else float
    at = dict.fromkeys(round(step) for step in np.linspace(0, steps, min(count, steps + 1)))
    values = [kind(round(control.min + step * control.step, 10)) for step in at]
    return [(control.reading(value), value) for value in values]


def _reading(control: widgets.Widget) -> str:
    """What a control says, as its page shows it."""
    if isinstance(control, widgets.Checkbox):
        return "on" if control.value else "off"
    if isinstance(control, widgets.Dropdown):
        return str(control.label)
    return control.reading(control.value)


def _control(name: str, setting: Any, label: str) -> widgets.Widget:
    look = {
        "description": label,
        "layout": widgets.Layout(width="min(calc(100% - 4px), 30rem)"),  # ipywidgets adds 2 px on each side,
    }
    if isinstance(setting, bool):
        return widgets.Checkbox(value=setting, indent=False, **look)
    if isinstance(setting, list | dict) and setting:
        return widgets.Dropdown(options=list(setting.items()) if isinstance(setting, dict) else setting, **look)
    if isinstance(setting, tuple) and len(setting) == 4:
        low, high, step, start = setting
        if not low <= start <= high or step <= 0:
            raise ValueError(
                f"{name} must be (low, high, step, start) with low <= start <= high and step > 0, not {setting}"
            )
        made = slider(low, high, step, start, label)
        made.layout = look["layout"]
        return made
    raise ValueError(f"{name} must be (low, high, step, start), a list, a dict, True or False, not {setting!r}")
