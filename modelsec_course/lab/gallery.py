"""Grids of pictures, as labs show them: images sized to the column, and words that keep their size."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from IPython.display import display
from PIL import Image

from modelsec_course.lab.charts import numbers
from modelsec_course.lab.markup import PROSE, Card, esc, inline, plain
from modelsec_course.lab.style import ATTACK, PROOF, THEMES, data_address, when_dark

SHARP = 48  # pixels: a smaller picture is enlarged smoothly to at least this, for people to read
LOOK = f"""<style>.msec-grid{{display:grid;gap:.45rem .5rem;justify-content:start;align-items:end;{PROSE};
font-size:13px;line-height:1.3;--wrong:#b34c00}}
{when_dark(".msec-grid", "{--wrong:#ff9350}")}
.msec-grid>div{{min-width:0;text-align:center;overflow-wrap:anywhere}}
.msec-grid>.name{{text-align:right;align-self:center;padding-right:.3rem;min-width:min-content;max-width:10rem;
overflow-wrap:normal}}
.msec-grid .wrong{{color:var(--wrong);font-weight:700}}
.msec-grid img{{display:block;width:100%;height:auto;margin:2px 0 0;box-sizing:border-box;border-radius:2px;
outline:1px solid #8888;outline-offset:-1px}}
.msec-grid .framed img{{outline:4px solid {PROOF};outline-offset:-2px}}
.msec-grid .wrong img{{outline:3px solid {ATTACK};outline-offset:-2px}}
.msec-grid .blocks{{image-rendering:pixelated}}</style>"""


class Grid(Card):
    """Pictures in rows, with their titles, names and frames."""

    def __init__(self, batches: list[np.ndarray], titles: list, names: list[str], caption: str, alt: str, size: float):
        self.batches, self.titles, self.names = batches, titles, names
        self.caption, self.alt, self.size = caption, plain(alt), size
        self.framed: list[list[bool]] = [[] for _ in batches]
        self.wrong: list[list[bool]] = [[] for _ in batches]
        self.smooth = True

    def text(self) -> str:
        return f"Figure: {plain(self.caption) or self.alt}"

    def html(self) -> str:
        columns = max(map(len, self.batches))
        widths = f"{'auto ' if self.names else ''}repeat({columns},minmax(0,{round(100 * self.size)}px))"
        cells = "".join(self._row(r, columns) for r in range(len(self.batches)))
        caption = f'<figcaption style="{PROSE}">{inline(self.caption)}</figcaption>' if self.caption else ""
        grid = (
            f'<div class="msec-grid" role="group" aria-label="{esc(self.alt)}" style="grid-template-columns:{widths}">'
        )
        return f'{THEMES}{LOOK}<figure class="msec-figure">{grid}{cells}</div>{caption}</figure>'

    def _row(self, r: int, columns: int) -> str:
        name = f'<div class="name">{inline(self.names[r])}</div>' if self.names else ""
        batch = _colours(self.batches[r])
        return (
            name + "".join(self._cell(r, c, batch) for c in range(len(batch))) + "<div></div>" * (columns - len(batch))
        )

    def _cell(self, r: int, c: int, batch: np.ndarray) -> str:
        title = self.titles[r][c] if r < len(self.titles) and c < len(self.titles[r]) else ""
        wrong = _at(self.wrong[r], c)
        looks = [name for name, holds in (("wrong", wrong), ("framed", _at(self.framed[r], c))) if holds]
        words = f"<span>{'✘ ' if wrong else ''}{inline(title)}</span>" if title or wrong else ""
        address = data_address(_png(batch[c], self.smooth))
        image = f'<img alt="" decoding="sync"{"" if self.smooth else " class=blocks"} src="{address}">'
        return f'<div class="{" ".join(looks)}">{words}{image}</div>'


def pictures(
    rows: Sequence[Any],
    titles: Sequence[str] | Sequence[Sequence[str]] | None = None,
    row_labels: Sequence[str] | None = None,
    caption: str = "",
    alt: str | None = None,
    size: float = 1.05,
    *,
    framed: Sequence[Any] | None = None,
    wrong: Sequence[Any] | None = None,
    smooth: bool = True,
) -> None:
    """A grid of images, each of `rows` a batch: (n, c, h, w), (n, h, w) or flat squares (n, h·h), in [0, 1].

    titles: above the columns, or for every picture (a sequence for each row).  row_labels: left of each row.
    framed: for each row, which of its pictures get a thick frame (bools, or None); the caption says what it means.
    wrong: for each row, which answers in its titles are wrong (bools, or None): they are crossed and vermilion.
    size: the largest width of a picture, in hundreds of pixels.  smooth: False shows small pictures as blocks.
    A row with negative values is a change: blue is less, red is more, white is none, scaled to its largest.
    """
    batches = [_images(row) for row in rows]
    titles = [titles] if titles and isinstance(titles[0], str) else list(titles or [])
    grid = Grid(batches, titles, list(row_labels or []), caption, "", size)
    grid.framed, grid.wrong, grid.smooth = _marks(framed, batches), _marks(wrong, batches), smooth
    grid.alt = plain(alt or f"{_words(grid)} {caption}")
    display(grid)


def _marks(given: Sequence[Any] | None, batches: list[np.ndarray]) -> list[list[bool]]:
    rows = [[] if row is None else [bool(mark) for mark in row] for row in given or [None] * len(batches)]
    if len(rows) != len(batches):
        raise ValueError(f"framed and wrong are given row by row: {len(rows)} for {len(batches)} rows of pictures")
    return rows


def _at(marks: list[bool], c: int) -> bool:
    return c < len(marks) and marks[c]


def _words(grid: Grid) -> str:
    names = grid.names or [f"row {r}" for r in range(1, len(grid.batches) + 1)]
    said = [f"{len(names)} row(s) of pictures" + (f": {', '.join(names)}." if grid.names else ".")]
    for what, marks in (("Framed", grid.framed), ("Wrong answers", grid.wrong)):
        counts = [f"{name} {sum(row)} of {len(row)}" for name, row in zip(names, marks, strict=True) if row]
        said += [f"{what}: {', '.join(counts)}."] if counts else []
    return " ".join(said)


def _images(row: Any) -> np.ndarray:
    batch = numbers(row)
    if batch.ndim == 2:
        side = round(batch.shape[1] ** 0.5)
        if side * side != batch.shape[1]:
            raise ValueError(
                f"a flat row must hold squares, but {batch.shape[1]} values make none: reshape it to (n, h, w)"
            )
        batch = batch.reshape(-1, side, side)
    if batch.ndim not in (3, 4):
        raise ValueError(f"a row must have shape (n, c, h, w), (n, h, w) or (n, h*h), not {batch.shape}")
    if batch.ndim == 4:
        batch = batch[:, 0] if batch.shape[1] == 1 else batch.transpose(0, 2, 3, 1)
    return batch


def _colours(batch: np.ndarray) -> np.ndarray:
    """(n, h, w) or (n, h, w, 3) in [0, 1]; a change is shown around white, or around mid-grey if it has colours."""
    if batch.min() >= 0:
        return (batch / max(1, batch.max()) if batch.ndim == 3 else batch).clip(0, 1)
    level = 0.5 + batch / (2 * np.abs(batch).max())
    return level if batch.ndim == 4 else mpl.colormaps["RdBu_r"](level)[..., :3]


def _png(image: np.ndarray, smooth: bool) -> bytes:
    picture = Image.fromarray(np.round(255 * image).astype(np.uint8))
    if smooth and min(picture.size) < SHARP:
        factor = -(-SHARP // min(picture.size))
        picture = picture.resize([factor * pixels for pixels in picture.size], Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
