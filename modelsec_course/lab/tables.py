"""`figures.table(rows, header)`: a table as a card, in place of printed columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from IPython.display import display

from modelsec_course.lab.markup import STYLE, Card, esc, inline, plain
from modelsec_course.lab.words import number, tidy

WIDTHS = (
    (8, "widest"),
    (4, "wide"),
)  # columns from which a narrow page shows each row as a list; roles keep it a table
FIGURES = "0123456789.,+-\N{MINUS SIGN}%\N{NO-BREAK SPACE} ×⁻⁰¹²³⁴⁵⁶⁷⁸⁹"


def _as_lists(kind: str, width: str) -> str:
    """The rule by which tables of this class show each row as a list on pages narrower than `width`."""
    table = f".msec.msec table.{kind}"
    return (
        f"@container (max-width:{width}){{\n{table} thead{{display:none}}\n"
        f"{table},{table} :is(tbody,tr,caption){{display:block}}\n"
        f"{table} :is(td,tbody th){{display:flex;justify-content:space-between;gap:1rem;\npadding:.1rem .3rem}}\n"
        f"{table} tbody th{{font-weight:600}}\n"
        f"{table} td::before{{content:attr(data-column);color:var(--soft)}}}}\n"
    )


NARROW = (
    "<style>.msec.msec.bare{container-type:inline-size}\n"
    + _as_lists("widest", "46rem")
    + _as_lists("wide", "31rem")
    + "</style>"
)


class Table(Card):
    """Rows under a header. A column of numbers is set right-aligned; the first cell of a row names it."""

    def __init__(
        self, rows: Sequence[Sequence[Any]], header: Sequence[str], caption: str = "", highlight: Sequence[str] = ()
    ):
        self.header, self.caption = [str(name) for name in header], caption
        self.rows = [[_text(cell) for cell in row] for row in rows]
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"a row has {len(row)} cells, but the header names {len(self.header)}: {row}")
        self.highlight = {str(name) for name in highlight}
        if strangers := self.highlight - {row[0] for row in self.rows if row}:
            raise ValueError(f"highlight names no first cell of a row: {', '.join(sorted(strangers))}")
        columns = list(zip(*self.rows, strict=True))
        self.right = [bool(c) and all(_is_figure(cell) for cell in column) for c, column in enumerate(columns)]

    def text(self) -> str:
        table = [[plain(cell) for cell in row] for row in [self.header, *self.rows]]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for row in table:
            cells = zip(row, widths, self.right or [False] * len(row), strict=True)
            lines.append("  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in cells).rstrip())
        return "\n".join([*lines, *([plain(self.caption)] if self.caption else [])])

    def html(self) -> str:
        sides = [' class="right"' if right else "" for right in self.right or [False] * len(self.header)]
        cells = zip(self.header, sides, strict=True)
        head = "".join(f'<th role="columnheader" scope="col"{side}>{inline(name)}</th>' for name, side in cells)
        body = "".join(self._row(row, sides) for row in self.rows)
        caption = f"<caption>{inline(self.caption)}</caption>" if self.caption else ""
        head = f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        width = next((name for least, name in WIDTHS if len(self.header) >= least), "")
        table = f'{caption}{head}<tbody role="rowgroup">{body}</tbody>'
        return f'{STYLE}{NARROW}<div class="msec bare"><table role="table" class="{width}">{table}</table></div>'

    def _row(self, row: list[str], sides: list[str]) -> str:
        marked = ' class="marked"' if row[0] in self.highlight else ""
        rest = zip(self.header[1:], row[1:], sides[1:], strict=True)
        cells = "".join(
            f'<td role="cell" data-column="{esc(plain(name))}"{side}>{inline(cell)}</td>' for name, cell, side in rest
        )
        return f'<tr role="row"{marked}><th role="rowheader" scope="row">{inline(row[0])}</th>{cells}</tr>'


def table(
    rows: Sequence[Sequence[Any]], header: Sequence[str], caption: str = "", highlight: Sequence[str] = ()
) -> None:
    """Show a table. Numbers are written by `words.number`; strings may hold `code` and **bold**.

    rows: one sequence of cells a row, the first its name.  header: the names of the columns.
    highlight: the first cells of rows to set off.
    Raises ValueError for a row of another length than the header, and for a highlight that is no row.
    """
    display(Table(rows, header, caption, highlight))


def _text(cell: Any) -> str:
    if isinstance(cell, torch.Tensor | np.generic | np.ndarray) and cell.ndim == 0:
        cell = cell.item()
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return number(cell) if isinstance(cell, int | float) else tidy(str(cell))


def _is_figure(cell: str) -> bool:
    return cell in ("", "–") or (any(c.isdigit() for c in cell) and all(c in FIGURES for c in plain(cell)))
