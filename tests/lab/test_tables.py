import numpy as np
import pytest
import torch
from test_cards import HOSTILE, sound

from modelsec_course.lab import figures, tables
from modelsec_course.lab.tables import Table
from modelsec_course.lab.words import NBSP, percent

ROWS = [["PGD", percent(0.084), 12345], ["noise", percent(0.97), torch.tensor(0.5)]]
HEADER = ["attack", "accuracy", "queries"]


def test_columns_of_numbers_stand_right_and_every_row_has_its_name():
    table = Table(ROWS, HEADER, "At ε = 0.1, 95 % of", highlight=["PGD"])
    page = sound(table.html())
    assert [tag[1].get("scope") for tag in page.tags if tag[0] == "th"] == ["col"] * 3 + ["row"] * 2
    assert table.right == [False, True, True]
    assert table.html().count('<tr role="row" class="marked">') == 1
    assert f"At ε{NBSP}={NBSP}0.1, 95{NBSP}% of" in table.html()


def test_the_text_of_a_table_is_aligned_for_a_terminal():
    lines = repr(Table(ROWS, HEADER, "A caption")).replace(NBSP, " ").split("\n")
    assert lines == [
        "attack  accuracy  queries", "PGD        8.4 %   12,345", "noise     97.0 %      0.5", "A caption"
    ]  # fmt: skip


def test_cells_may_be_numbers_of_every_kind_and_yes_or_no():
    table = Table([["a", np.float32(0.25), np.int64(3), torch.tensor(True), None]], list("abcde"))
    assert table.rows[0] == ["a", "0.25", "3", "yes", "None"]


def test_everything_in_a_table_is_escaped():
    html = Table([[HOSTILE, HOSTILE]], [HOSTILE, "b"], HOSTILE).html()
    assert "<script>" not in html
    assert {tag[0] for tag in sound(html).tags} <= {
        "style",
        "div",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }


def test_a_row_of_another_length_and_a_highlight_of_nothing_are_refused():
    with pytest.raises(ValueError, match="a row has 1 cells, but the header names 2"):
        Table([["a"]], ["a", "b"])
    with pytest.raises(ValueError, match="highlight names no first cell of a row: b"):
        Table([["a"]], ["a"], highlight=["b"])


def test_a_notebook_shows_it(monkeypatch):
    kept = []
    monkeypatch.setattr(tables, "display", kept.append)
    figures.table([["a", 1]], ["name", "value"])
    assert repr(kept[0]).split("\n")[0] == "name  value"


def test_a_narrow_page_names_the_column_beside_each_number():
    wide = Table([["PGD", 1, 2, 3]], ["attack", "a & b", "c", "d"])
    assert 'class="wide"' in wide.html()
    assert '<td role="cell" data-column="a &amp; b"' in wide.html()
    assert 'class=""' in Table(ROWS, HEADER).html()
    assert 'class="widest"' in Table([list(range(8))], list("abcdefgh")).html()


def test_powers_of_ten_are_numbers_too():
    assert Table([["a", 3e-14], ["b", 0.5]], ["x", "error"]).right == [False, True]
