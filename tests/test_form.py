"""The form that all labs share: how one opens and closes, what is linked, how results are shown."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

LABS = sorted((Path(__file__).parent.parent / "notebooks").glob("[0-9][0-9]_*.ipynb"))
BULLET = re.compile(r"^[*-] .*(?:\n(?:  |[^\n*#-]).*)*", re.M)


@pytest.fixture(scope="module", params=LABS, ids=lambda path: path.stem)
def lab(request):
    """(its number, its cells)"""
    return request.param.name[:2], nbformat.read(request.param, as_version=4).cells


def code(cells):
    return [cell.source for cell in cells if cell.cell_type == "code"]


def test_it_opens_with_its_picture_its_card_and_its_threat(lab):
    number, cells = lab
    assert cells[0].cell_type == "markdown"
    assert "attachment:headline.png" in cells[0].source
    assert code(cells)[0].endswith(f'start("{number}")')
    assert f'threat.card("{number}")' in "\n".join(code(cells))


def test_it_ends_with_what_is_guaranteed_the_quiz_and_the_closing_card(lab):
    number, cells = lab
    said = "\n".join(code(cells))
    places = [said.rindex(call) for call in ("guarantee(", f'quiz("{number}")', f'finish("{number}")')]
    assert places == sorted(places)
    assert code(cells)[-1].strip() == f'finish("{number}")'


def test_every_paper_on_the_reading_list_is_linked(lab):
    _, cells = lab
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    reading = text[text.lower().rindex("further reading") :]
    bullets = BULLET.findall(reading)
    assert len(bullets) >= 3
    assert [bullet for bullet in bullets if "](http" not in bullet] == []


def test_results_are_shown_in_figures_tables_and_claims_not_printed(lab):
    _, cells = lab
    printed = [
        node.lineno
        for source in code(cells)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert printed == []


def test_a_guess_is_asked_in_a_cell_of_its_own_and_shown_later(lab):
    _, cells = lab
    sources = code(cells)
    asked = {}
    for i, source in enumerate(sources):
        if names := re.findall(r"^(\w+) = predict\(", source, re.M):
            assert len(ast.parse(source).body) == len(names), f"cell {i} answers where it asks"
            asked |= dict.fromkeys(names, i)
    assert asked, "the lab asks for no guess"
    for name, i in asked.items():
        used = [j for j, source in enumerate(sources) if j != i and re.search(rf"\b{name}\b", source)]
        assert used, f"{name} is asked for and never shown"
        assert min(used) > i
