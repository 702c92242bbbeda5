"""The course's map, the boards and the closing card: what they count, link and escape."""

import json
import os
import re

import pytest

from modelsec_course.lab import claim, finish, progress, rooms, store
from modelsec_course.lab.closing import Closing, places
from modelsec_course.lab.drawing import Stop, draw
from modelsec_course.lab.exercise import PARTS, STAGES, Lab, Planned
from modelsec_course.lab.learner import next_step, notebook, standing
from modelsec_course.lab.overview import Overview
from modelsec_course.lab.rooms import load, planned
from modelsec_course.lab.standing import Board, Course


@pytest.fixture
def only_fake(fake, monkeypatch):
    """A course of one lab, 98."""
    monkeypatch.setattr(rooms, "rooms", lambda real=rooms.rooms: {"98": real()["98"]})


def solve(id="98.double"):
    store.record_exercise(id, "pass")


def answer(right=(True, True), number="98"):
    for question, verdict in zip(load(number).quiz, right, strict=True):
        store.record_answer(number, question.prompt, question.answer if verdict else question.answer - 1, verdict)


def complete():
    solve("98.double")
    solve("98.model")
    answer()


def links(html):
    return re.findall(r'<a[^>]* href="([^"]*)"', html)


def test_a_lab_stands_in_a_part_and_at_a_stage():
    facts = {"number": "01", "title": "t", "question": "q", "minutes": 1, "difficulty": 1}
    with pytest.raises(ValueError, match="part must be one of Integrity"):
        Lab(**facts, part="Cooking")
    with pytest.raises(ValueError, match="stage must be one of data, training"):
        Lab(**facts, stage="cloud")
    with pytest.raises(ValueError, match="stage must be one of"):
        Planned("05", "t", "q", PARTS[0], "cloud")


def test_a_planned_lab_that_is_built_is_no_longer_planned(only_fake):
    before = [one.number for one in planned()]
    assert before == sorted(before)
    assert not set(before) & set(rooms.labs())


def test_the_next_step_begins_goes_on_and_ends(only_fake):
    def ahead():
        return next_step([standing("98", store.read()[0])])

    assert not ahead().begun
    solve()
    assert ahead().begun
    complete()
    assert ahead() is None


def test_the_lab_last_saved_goes_on_whatever_its_number(tmp_path):
    for i, number in enumerate(("01", "00")):  # lab 00 was saved later
        page = tmp_path / f"{number}_lab.ipynb"
        page.write_text("{}")
        os.utime(page, (1e9 + i, 1e9 + i))
        store.record_exercise(next(iter(load(number).exercises)), "fail")
    standings = [standing(number, store.read()[0]) for number in ("00", "01", "02")]
    assert next_step(standings, tmp_path).number == "00"
    os.utime(tmp_path / "01_lab.ipynb", (2e9, 2e9))
    assert next_step(standings, tmp_path).number == "01"


def test_a_finished_lab_leads_to_the_one_after_it():
    contents = load("00")
    for id in contents.exercises:
        solve(id)
    answer([True] * len(contents.quiz), "00")
    assert next_step([standing(number, store.read()[0]) for number in ("00", "01")]).number == "01"


def test_the_learners_own_copy_comes_before_a_new_edition(tmp_path):
    for name in ("98_fake (new edition).ipynb", "98_fake.ipynb"):
        (tmp_path / name).write_text("{}")
    assert notebook("98", tmp_path) == "98_fake.ipynb"
    assert notebook("97", tmp_path) == ""


def test_progress_is_a_table_with_its_sum_and_the_next_step(only_fake):
    solve()
    answer((True, False))
    lines = repr(Course()).splitlines()
    assert lines[2].split() == ["98", "A", "lab", "for", "tests", "1", "of", "2", "1", "of", "2", "begun"]
    assert lines[4].split() == ["Together", "1", "of", "2", "1", "of", "2", "0", "done"]
    assert lines[2].index("1 of 2") == lines[4].index("1 of 2")
    assert lines[-1] == "Next: go on with lab 98, A lab for tests (`python3 course.py lab 98`)."
    complete()
    assert repr(Course()).splitlines()[-1] == "Every lab is done."


def test_progress_without_a_number_is_the_whole_course(only_fake, capsys):
    progress()
    assert "Together" in capsys.readouterr().out
    assert "<tfoot>" in Course().html()


def test_the_map_places_every_lab_by_stage_and_links_those_that_are_ready(only_fake, tmp_path):
    (tmp_path / "98_fake.ipynb").write_text("{}")
    card = Overview(tmp_path)
    page = card.html()
    assert set(links(page)) == {"98_fake.ipynb"}
    assert 'aria-label="Lab 98, A lab for tests: 45 min, continue here"' in page
    assert [stop.number for stop in card.stops()] == sorted([*(one.number for one in planned()), "98"])
    description = re.search(r"<desc[^>]*>(.*?)</desc>", page)[1]
    for stage in STAGES:
        assert f"{stage}: " in description
    for part in PARTS:
        assert part in page
    assert page.count("planned") > len(planned())
    assert "Does the &lt;engine&gt; hold?" in page
    assert "Begin with lab 98" in page
    solve()
    assert "Continue here: lab 98, A lab for tests" in Overview(tmp_path).html()


def test_the_links_of_the_map_lie_over_the_drawing_because_jupyterlab_fails_on_links_in_an_svg():
    page = draw([Stop("98", "<b>", PARTS[0], "API", 45, 1, 4, "98 fake.ipynb")])
    drawing, over = page.split("</svg>")
    assert "<a" not in drawing
    assert links(over) == ["98%20fake.ipynb"]
    assert "<b>" not in page
    left, top, width, height = (float(n) for n in re.findall(r":([\d.]+)%", over)[:4])
    assert 60 <= left <= 62  # the fourth of five columns
    assert left + width < 80
    assert top + height <= 100


def test_the_table_links_the_labs_that_one_builds_on(only_fake, tmp_path):
    for name in ("98_fake.ipynb", "01_white_box_evasion.ipynb"):
        (tmp_path / name).write_text("{}")
    row = re.search(r'<tr class="ready">.*?</tr>', Overview(tmp_path).html())[0]
    assert '<td><a href="01_white_box_evasion.ipynb">Lab 01</a></td>' in row


def test_without_notebooks_the_map_has_no_dead_links(only_fake, tmp_path):
    assert links(Overview(tmp_path).html()) == []


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The notebook of lab 98, in the current folder."""
    cells = [
        ("markdown", "first", "### Exercise 1: double"),
        ("code", "code", "def double(x):\n    ...\n\n\ndouble = check('98.double', double)"),
        ("markdown", "second", "### Exercise 2"),
        ("code", "more", '# check("98.other")\nmodel = check("98.model", model)'),
        ("markdown", "third", "## Quiz"),
        ("code", "quiz", 'quiz("98")'),
    ]
    made = {"cells": [{"cell_type": kind, "id": id, "source": source} for kind, id, source in cells]}
    (tmp_path / "98_fake.ipynb").write_text(json.dumps(made))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    return tmp_path / "98_fake.ipynb"


def test_exercises_are_found_under_their_headings(page):
    assert places(page) == {"98.double": "first", "98.model": "second", "quiz": "third"}
    page.write_text("no notebook")
    assert places(page) == {}


def test_what_is_left_is_linked_to_its_heading(only_fake, page):
    answer((True, False))
    card = Closing("98")
    assert links(card.html()) == [f"98_fake.ipynb#cell-id={cell}" for cell in ("first", "second", "third")]
    assert 'Quiz</a><span class="soft">: 1 answered wrongly' in card.html()
    solve()
    assert links(Closing("98").html()) == [f"98_fake.ipynb#cell-id={cell}" for cell in ("second", "third")]
    complete()
    done = Closing("98").html()
    assert links(done) == []
    assert "Everything is solved." in done


def test_the_links_lead_to_the_copy_that_runs(only_fake, page, monkeypatch):
    page.rename(page.with_name("98_fake (new edition).ipynb"))
    monkeypatch.setenv("JPY_SESSION_NAME", "98_fake (new edition).ipynb")
    assert links(Closing("98").html())[0] == "98_fake%20%28new%20edition%29.ipynb#cell-id=first"


def test_next_opens_the_next_labs_notebook(fake, tmp_path):
    (tmp_path / "01_attack.ipynb").write_text("{}")
    page = Closing("00", tmp_path).html()
    assert re.search(r'<a class="next" href="01_attack\.ipynb"><strong>Next: lab 01, White-box evasion', page)
    assert "Next: lab 01" in Closing("00", tmp_path / "nowhere").html()
    assert links(Closing("00", tmp_path / "nowhere").html()) == []
    assert "Next: lab" not in Closing("98", tmp_path).html()


def test_the_closing_card_says_what_this_run_measured(only_fake, page, capsys):
    claim("Doubling <doubles>", True, measured="2 of 2")
    capsys.readouterr()
    finish("98")
    said = capsys.readouterr().out
    assert "✔ Doubling <doubles>" in said
    assert "2 of 2" in said
    assert "Doubling &lt;doubles&gt;" in Closing("98").html()


def test_the_board_of_one_lab_is_green_when_all_is_done(only_fake):
    assert 'class="msec good"' not in Board("98").html()
    complete()
    assert 'class="msec good"' in Board("98").html()
