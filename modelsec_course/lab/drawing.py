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
WIDTH, COLUMN, CHIP, HEIGHT, STEP, TOP = 830, 166, 154, 64, 72, 92  # in the drawing's own units
LETTERS = 20  # of a title, in one line of a chip


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
    """The map as SVG, in the theme's colours, with a title and a description for those who cannot see it."""
    columns = {stage: [stop for stop in stops if stop.stage == stage] for stage in STAGES}
    height = TOP + STEP * max(map(len, columns.values())) + 4
    told = "; ".join(
        f"{stage}: " + (", ".join(f"lab {stop.number} {stop.title} ({stop.state})" for stop in column) or "no lab")
        for stage, column in columns.items()
    )
    body = "".join(
        _stage(i, stage, column) for i, (stage, column) in enumerate(columns.items())
    )
    return (
        f'<svg class="map" viewBox="0 0 {WIDTH} {height}" role="group" aria-labelledby="msec-map msec-told" '
        'xmlns="http://www.w3.org/2000/svg">'
        '<title id="msec-map">Where the attacker of each lab stands</title>'
        f'<desc id="msec-told">From data to training, model, API and user. {esc(told)}.</desc>{body}</svg>'
    )


def legend() -> str:
    """The parts of the course with their colours and numerals."""
    items = (
        f'<li><span class="swatch" style="background:{colour}"></span>{numeral} · {esc(part)}</li>'
        for colour, numeral, part in zip(COLOURS, NUMERALS, PARTS, strict=True)
    )
    return f'<ul class="legend" aria-label="Parts of the course">{"".join(items)}</ul>'


def _stage(i: int, stage: str, column: list[Stop]) -> str:
    left, middle = i * COLUMN + 6, i * COLUMN + 6 + CHIP / 2
    arrow = (
        f'<path d="M{left + CHIP + 1} 30h7m-4 -4l4 4l-4 4" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        if i + 1 < len(STAGES)
        else ""
    )
    return (
        f'<rect x="{left}" y="6" width="{CHIP}" height="48" rx="24" class="stage"/>'
        f'<text x="{middle}" y="27" text-anchor="middle" class="name">{esc(stage)}</text>'
        f'<text x="{middle}" y="44" text-anchor="middle" class="quiet">{esc(STANDS[stage])}</text>{arrow}'
        f'<path d="M{middle} 54V{TOP - 10}" class="stem"/>' + "".join(_chip(left, TOP + row * STEP, stop) for row, stop in enumerate(column))
    )


def _chip(left: int, top: int, stop: Stop) -> str:
    at = PARTS.index(stop.part)
    share = stop.done / stop.of if stop.of else 0
    lines = textwrap.wrap(stop.title, LETTERS, break_long_words=False)[:2]
    title = "".join(f'<tspan x="{left + 14}" dy="{0 if i == 0 else 15}">{esc(line)}</tspan>' for i, line in enumerate(lines))
    drawn = (
        f'<rect x="{left}" y="{top}" width="{CHIP}" height="{HEIGHT}" rx="5" class="chip{" next" * stop.next}"/>'
        f'<rect x="{left}" y="{top}" width="6" height="{HEIGHT}" rx="2" fill="{COLOURS[at]}"/>'
        f'<text x="{left + 14}" y="{top + 18}"><tspan class="number">{stop.number}</tspan>'
        f'<tspan class="quiet"> · {NUMERALS[at]}</tspan></text>'
        f'<text x="{left + CHIP - 9}" y="{top + 18}" text-anchor="end" class="quiet">{esc("continue here" if stop.next else stop.state)}</text>'
        f'<text y="{top + 36}" class="label">{title}</text>'
        f'<rect x="{left + 6}" y="{top + HEIGHT - 4}" width="{round(share * (CHIP - 8), 1)}" height="3" fill="{COLOURS[at]}"/>'
    )
    words = f"Lab {stop.number}, {stop.title}: {stop.state}"
    if not stop.notebook:
        return f'<g class="{"planned" if stop.planned else "ready"}">{drawn}</g>'
    return f'<a href="{quote(stop.notebook)}" aria-label="{esc(words)}">{drawn}</a>'
