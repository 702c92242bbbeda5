"""A grid of pictures, which a page lays out, as one image: what a headline needs of `figures.pictures`."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from modelsec_course.lab.style import ATTACK, PROOF

__all__ = ["Grid", "read"]

WIDTH, GAP, TEXT, FRAME = 960, 10, 20, 6  # pixels
INK, RIM = "#222222", "#999999"
COLUMNS = re.compile(r"grid-template-columns:(auto )?repeat\((\d+),")
DATA = "data:image/png;base64,"


@dataclass
class Cell:
    """What stands at one place: its words, its picture, how it is marked."""

    look: str = ""
    words: str = ""
    picture: Image.Image | None = None


@dataclass
class Grid:
    """columns: pictures in a row.  named: whether each row begins with its name.  cells: row by row."""

    columns: int
    named: bool
    alt: str
    cells: list[Cell] = field(default_factory=list)

    def png(self) -> bytes:
        """The grid drawn on white, WIDTH pixels wide."""
        a_row = self.columns + self.named
        rows = [self.cells[i : i + a_row] for i in range(0, len(self.cells), a_row)]
        left = max((_length(row[0].words) for row in rows), default=0) + 2 * GAP if self.named else 0
        size = (WIDTH - left - FRAME) // self.columns - GAP
        heads = [(TEXT + GAP // 2) * any(cell.words for cell in row[self.named :]) for row in rows]
        sheet = Image.new("RGB", (WIDTH, sum(heads) + len(rows) * (size + GAP) + FRAME), "white")
        draw, top = ImageDraw.Draw(sheet), FRAME // 2
        for row, head in zip(rows, heads, strict=True):
            top += head
            if self.named:
                draw.text((left - GAP, top + size / 2), row[0].words, INK, _font(), anchor="rm")
            for c, cell in enumerate(row[self.named :]):
                _place(sheet, draw, cell, (left + FRAME + c * (size + GAP), top), size)
            top += size + GAP
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG")
        return buffer.getvalue()


def read(page: str) -> Grid | None:
    """The grid of pictures in a page's HTML; None where there is none."""
    reader = _Reader()
    reader.feed(page)
    return reader.grid


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.grid: Grid | None = None
        self.depth = 0  # of <div> inside the grid; 1 is the grid's own

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "div" and self.grid is None and given.get("class") == "msec-grid":
            names, columns = COLUMNS.search(given["style"]).groups()
            self.grid, self.depth = Grid(int(columns), bool(names), given.get("aria-label", "")), 1
        elif tag == "div" and self.depth:
            self.depth += 1
            self.grid.cells.append(Cell(given.get("class", "")))
        elif tag == "img" and self.depth:
            data = base64.b64decode(given["src"].removeprefix(DATA))
            self.grid.cells[-1].picture = Image.open(io.BytesIO(data)).convert("RGB")

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "div" and self.depth > 0

    def handle_data(self, data: str) -> None:
        if self.depth > 1:
            self.grid.cells[-1].words += data


def _place(sheet: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, at: tuple[int, int], size: int) -> None:
    if cell.picture is None:
        return
    x, y = at
    wrong, framed = "wrong" in cell.look, "framed" in cell.look
    sheet.paste(cell.picture.resize((size, size), Image.Resampling.BICUBIC), at)
    colour, width = (ATTACK, FRAME) if wrong else (PROOF, FRAME) if framed else (RIM, 1)
    out = width // 2
    draw.rectangle((x - out, y - out, x + size + out - 1, y + size + out - 1), outline=colour, width=width)
    draw.text((x + size / 2, y - GAP), cell.words, ATTACK if wrong else INK, _font(), anchor="ms")


def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), TEXT)


def _length(words: str) -> int:
    return round(_font().getlength(words))
