"""A slider that has a name, and choices that are a group of their own.

ipywidgets draws sliders from parts that tell a screen reader neither name nor value, and gives radio buttons no group:
an arrow key on the last answer of a question goes on to the next question, and answers it.
"""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from modelsec_course.lab import words

RENDER = r"""
function render({ model, el }) {
  const label = document.createElement("label"), input = document.createElement("input");
  const readout = document.createElement("output");
  const get = name => model.get(name);
  label.className = "msec-slider-label";
  label.textContent = get("description");
  label.style.width = get("label_width");
  label.hidden = !get("description");
  input.type = "range";
  input.setAttribute("aria-label", get("name") || get("description"));
  readout.setAttribute("aria-hidden", "true");  // the slider itself says its value
  let touched = get("touched");  // here at once, at the other end when the slider is let go
  const words = value => !touched ? get("untouched") : get("percent")
    ? (100 * value).toFixed(get("decimals")) + "\u00a0%" : value.toFixed(get("decimals"));
  const show = () => {
    readout.textContent = words(Number(input.value));
    input.setAttribute("aria-valuetext", readout.textContent);
  };
  const update = () => {
    for (const name of ["min", "max", "step", "value"]) input[name] = get(name);
    input.disabled = get("disabled");
    touched = get("touched");
    show();
  };
  const send = () => {
    model.set("value", Number(input.value));  // first: each change makes the slider show what the model says
    model.set("touched", true);
    model.save_changes();
    show();
  };
  input.addEventListener("input", () => {
    if (get("continuous")) return send();
    touched = true;
    show();
  });
  input.addEventListener("change", send);
  input.addEventListener("pointerup", () => { if (!touched) send(); });
  input.addEventListener("keydown", event => {
    event.stopPropagation();  // the notebook's own shortcuts
    if ((event.key === "Enter" || event.key === " ") && !touched) send();
  });
  model.on("change", update);
  el.classList.add("msec-slider");
  el.append(label, input, readout);
  update();
  return () => model.off("change", update);
}
export default { render };
"""
LOOK = """
.msec-slider{display:flex;align-items:center;gap:.6rem;min-height:28px;box-sizing:border-box;
color:var(--jp-content-font-color1,inherit);font-family:var(--jp-content-font-family,system-ui,sans-serif);
font-size:var(--jp-widgets-font-size,13px)}
.msec-slider [hidden]{display:none}
.msec-slider-label{flex:none;text-align:right;white-space:nowrap}
.msec-slider input{flex:1 1 6rem;min-width:4rem;margin:0;height:1.4rem;cursor:pointer;
accent-color:var(--jp-brand-color1,#1976d2)}
.msec-slider input:focus-visible{outline:2px solid var(--jp-brand-color1,#1976d2);outline-offset:2px;border-radius:3px}
.msec-slider output{flex:none;min-width:4em;font-variant-numeric:tabular-nums}
"""


class Slider(anywidget.AnyWidget):
    """The browser's own slider: keyboard, name and value come with it. `value` is an int if `whole`, else a float."""

    _esm, _css = RENDER, LOOK
    value = traitlets.Any(0.0).tag(sync=True)
    min = traitlets.Float(0).tag(sync=True)
    max = traitlets.Float(1).tag(sync=True)
    step = traitlets.Float(0.01).tag(sync=True)
    decimals = traitlets.Int(2).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    label_width = traitlets.Unicode("auto").tag(sync=True)
    percent = traitlets.Bool(False).tag(sync=True)
    continuous = traitlets.Bool(True).tag(sync=True)
    touched = traitlets.Bool(True).tag(sync=True)
    untouched = traitlets.Unicode().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    whole = traitlets.Bool(False)

    @traitlets.validate("value")
    def _inside(self, proposal: Any) -> float | int:
        value = min(max(proposal["value"], self.min), self.max)
        return round(value) if self.whole else float(value)

    def reading(self, value: float) -> str:
        """What the readout beside the slider says of a value."""
        return words.percent(value, self.decimals) if self.percent else f"{value:.{self.decimals}f}"


def slider(
    low: float,
    high: float,
    step: float,
    start: float,
    description: str = "",
    *,
    name: str = "",
    percent: bool = False,
    continuous: bool = True,
    untouched: str | None = None,
) -> Slider:
    """A slider with a readout; of whole numbers if all four are.

    description: its label on the page.  name: what a screen reader says, if that is to be another text.
    percent: the value is a share, shown as %.  continuous: False tells of a drag only its end.
    untouched: what the readout says before the first touch (`touched` is False until then), None to show `start`.
    Raises ValueError unless low <= start <= high and step > 0.
    """
    if not low <= start <= high or step <= 0:
        raise ValueError(f"a slider needs low <= start <= high and step > 0, not {(low, high, step, start)}")
    scale = 100 if percent else 1
    decimals = max(len(f"{scale * value:.6f}".rstrip("0").split(".")[1]) for value in (low, step))
    whole = all(isinstance(value, int) for value in (low, high, step, start))
    start = start if whole else float(start)
    made = Slider(min=low, max=high, step=step, value=start, whole=whole, percent=percent, decimals=decimals)
    made.description, made.name, made.continuous = description, name, continuous
    made.touched, made.untouched = untouched is None, untouched or ""
    return made


RENDER_CHOICES = r"""
function render({ model, el }) {
  const group = "msec-choices-" + Math.random().toString(36).slice(2);  // a page has many of them
  el.classList.add("msec-choices");
  el.setAttribute("role", "radiogroup");
  el.setAttribute("aria-label", model.get("name"));
  const inputs = model.get("options").map((words, i) => {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name: group });
    input.addEventListener("change", () => { model.set("value", i); model.save_changes(); });
    label.append(input, words);
    el.append(label);
    return input;
  });
  const update = () => inputs.forEach((input, i) => { input.checked = model.get("value") === i; });
  el.addEventListener("keydown", event => event.stopPropagation());  // the notebook's own shortcuts
  model.on("change:value", update);
  update();
  return () => model.off("change:value", update);
}
export default { render };
"""
LOOK_CHOICES = """
.msec-choices{max-width:52rem}
.msec-choices label{display:flex;align-items:flex-start;gap:.55rem;width:fit-content;padding:.15rem .4rem;
line-height:1.5;color:var(--jp-content-font-color1,inherit);font-size:var(--jp-content-font-size1,14px);
font-family:var(--jp-content-font-family,system-ui,sans-serif);cursor:pointer;border-radius:3px}
.msec-choices label input{flex:none;margin:4px 0 0;outline:none;accent-color:var(--jp-brand-color1,#1976d2)}
.msec-choices label:has(input:focus-visible){outline:2px solid var(--jp-brand-color1,#1976d2)}
"""


class Choices(anywidget.AnyWidget):
    """The browser's own radio buttons, one group: `value` is the number of the option chosen, None before."""

    _esm, _css = RENDER_CHOICES, LOOK_CHOICES
    value = traitlets.Int(None, allow_none=True).tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
