"""The course as one drawing: data → training → model → API → user, and each lab where its attacker stands."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from modelsec_course.lab.exercise import PARTS, STAGES
from modelsec_course.lab.markup import esc

# Okabe and Ito's, told apart by colour-blind readers on white and on black; the last is the theme's own ink.
COLOURS = ("#0072B2", "#D55E00", "#CC79A7", "#009E73", "currentColor")
NUMERALS = ("I", "II", "III", "IV", "V")
STANDS = {
    "data": "who gathers it",
    "training": "who takes part",
    "model": "who holds the file",
    "API": "who asks it",
    "user": "who uses it",
}
WIDTH, COLUMN, CHIP, HEIGHT, STEP, TOP = 700, 140, 130, 66, 72, 80  # in the drawing's own units
LETTERS = 17  # of a title, in one line of a chip


@dataclass(frozen=True)
class Stop:
    """A lab on the map. minutes: 0 for a planned lab. done, of: exercises and questions. notebook: its file, or ""."""

    number: str
    title: str
    part: str
    stage: str
    minutes: int = 0
    done: int = 0
    of: int = 0
    notebook: str = ""
    next: bool = False

    @property
    def planned(self) -> bool:
        return not self.minutes

    @property
    def state(self) -> str:
        if self.planned:
            return "planned"
        if self.done == self.of:
            return "✔ done"
        return f"{self.done} of {self.of}" if self.done else f"{self.minutes} min"


def draw(stops: Sequence[Stop]) -> str:
    """The map: an SVG in the theme's colours with its description, and over each lab that is ready a link to it.

    The links lie over the drawing, not in it: JupyterLab mends the links of an output, and fails on those of an SVG.
    """
    columns = {stage: [stop for stop in stops if stop.stage == stage] for stage in STAGES}
    height = TOP + STEP * max(map(len, columns.values()))
    told = "; ".join(
        f"{stage}: " + (", ".join(f"lab {stop.number} {stop.title} ({stop.state})" for stop in column) or "no lab")
        for stage, column in columns.items()
    )
    pictures, links = [], []
    for i, (stage, column) in enumerate(columns.items()):
        pictures.append(_stage(i * COLUMN + 5, stage, last=i + 1 == len(STAGES)))
        for row, stop in enumerate(column):
            pictures.append(_chip(i * COLUMN + 5, TOP + row * STEP, stop))
            links.append(_link(i * COLUMN + 5, TOP + row * STEP, height, stop) if stop.notebook else "")
    return (
        f'<div class="map"><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="msec-map msec-told" '
        'xmlns="http://www.w3.org/2000/svg">'
        '<title id="msec-map">Where the attacker of each lab stands</title>'
        f'<desc id="msec-told">From data to training, model, API and user. {esc(told)}.</desc>{"".join(pictures)}</svg>'
        f"{''.join(links)}</div>"
    )


def legend() -> str:
    """The parts of the course with their colours and numerals."""
    items = (
        f'<li><span class="swatch" style="background:{colour}"></span>{numeral} · {esc(part)}</li>'
        for colour, numeral, part in zip(COLOURS, NUMERALS, PARTS, strict=True)
    )
    return f'<ul class="legend" aria-label="Parts of the course">{"".join(items)}</ul>'


def _stage(left: int, stage: str, *, last: bool) -> str:
    middle, edge = left + CHIP / 2, left + CHIP + 1
    arrow = f'<path d="M{edge} 28h8m-4 -4l4 4l-4 4" fill="none" stroke="currentColor" stroke-width="1.5"/>'
    return (
        f'<path d="M{middle} 50V{TOP - 8}" class="stem"/>'
        f'<rect x="{left}" y="5" width="{CHIP}" height="46" rx="23" class="stage"/>'
        f'<text x="{middle}" y="25" text-anchor="middle" class="name">{esc(stage)}</text>'
        f'<text x="{middle}" y="42" text-anchor="middle" class="quiet">{esc(STANDS[stage])}</text>'
    ) + ("" if last else arrow)


def _chip(left: int, top: int, stop: Stop) -> str:
    at, text, right = PARTS.index(stop.part), left + 13, left + CHIP - 8
    share = stop.done / stop.of if stop.of else 0
    lines = textwrap.wrap(stop.title, LETTERS, break_long_words=False)[:3]
    title = "".join(
        f'<text x="{text}" y="{top + 32 + 13.5 * i}" class="label">{esc(line)}</text>' for i, line in enumerate(lines)
    )
    kind = "planned" if stop.planned else "ready"
    return (
        f'<g class="{kind}{" next" * stop.next}">'
        f'<rect x="{left}" y="{top}" width="{CHIP}" height="{HEIGHT}" rx="4" class="chip"/>'
        f'<rect x="{left}" y="{top}" width="5" height="{HEIGHT}" rx="2" fill="{COLOURS[at]}"/>'
        f'<text x="{text}" y="{top + 16}"><tspan class="number">{stop.number}</tspan>'
        f'<tspan class="quiet"> · {NUMERALS[at]}</tspan></text>'
        f'<text x="{right}" y="{top + 16}" text-anchor="end" class="quiet">{esc(stop.state)}</text>{title}'
        f'<rect x="{left + 5}" y="{top + HEIGHT - 4}" width="{share * (CHIP - 7):.1f}" height="4" '
        f'fill="{COLOURS[at]}"/></g>'
    )


def _link(left: int, top: int, height: int, stop: Stop) -> str:
    place = {
        "left": left / WIDTH, "top": top / height, "width": CHIP / WIDTH, "height": HEIGHT / height
    }  # fmt: skip
    style = ";".join(f"{name}:{share:.3%}" for name, share in place.items())
    ahead = ", continue here" if stop.next else ""
    words = f"Lab {stop.number}, {stop.title}: {stop.state}{ahead}"
    return f'<a href="{quote(stop.notebook)}" style="{style}" aria-label="{esc(words)}" title="{esc(words)}"></a>'
