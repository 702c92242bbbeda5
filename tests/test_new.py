"""`modelsec new`: a room that builds, whose exercise is checked and whose claims hold, as it is written."""

import importlib
import os
import re

import nbformat
import pytest

from modelsec_course import labs
from modelsec_course.app import readme
from modelsec_course.app.rooms import new_room
from modelsec_course.build import build
from modelsec_course.lab.rooms import load
from modelsec_course.lab.run import run
from modelsec_course.lab.threat import ThreatCard


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The room of a lab 97 in a course of its own, built; the package finds it."""
    new_room(tmp_path, "97", 'Louder, and "further"')
    build(tmp_path)
    monkeypatch.setattr(labs, "__path__", [*labs.__path__, str(tmp_path / "modelsec_course" / "labs")])
    importlib.invalidate_caches()
    return tmp_path


def test_the_room_is_a_lab(made):
    contents = load("97")
    assert contents.lab.title == "Louder, and 'further'"
    assert list(contents.exercises) == ["97.double"]
    assert len(contents.quiz) == 3
    assert len(ThreatCard(contents.threat).entries) == 3


def test_its_exercise_is_checked(made):
    (exercise,) = load("97").exercises.values()
    assert run(exercise, exercise.reference).status == "pass"
    assert run(exercise, exercise.second).status == "pass"
    assert len(exercise.mutants) >= 4
    assert {name: run(exercise, wrong).status for name, wrong in exercise.mutants.items()} == dict.fromkeys(
        exercise.mutants, "fail"
    )


@pytest.mark.parametrize(("folder", "expected"), [("notebooks", "todo"), ("solutions", "pass")])
def test_both_editions_run_to_their_end(made, folder, expected, monkeypatch):
    monkeypatch.setenv("MODELSEC_EXPECT", expected)
    monkeypatch.setenv("MODELSEC_HOME", str(made / "home"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(made / folder)
    names = {"__name__": "__main__"}
    notebook = nbformat.read("97_louder_and_further.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, cell.id, "exec"), names)
    assert sum("headline" in cell.metadata.get("tags", []) for cell in notebook.cells) == 1
    assert not os.path.exists(made / "home")


@pytest.mark.parametrize(
    ("number", "title", "why"),
    [
        ("7", "A lab", "two digits, like 07"),
        ("97", "…", "makes no name"),
        ("97", "Another", "Lab 97 is there already, in modelsec_course/labs/lab_97_louder_and_further"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_overwritten(made, number, title, why):
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit, match=re.escape(why)):
        new_room(made, number, title)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_a_planned_lab_keeps_its_question_and_its_place(tmp_path):
    new_room(tmp_path, "20", "Scaling up")
    card = (tmp_path / "modelsec_course" / "labs" / "lab_20_scaling_up" / "about.py").read_text()
    assert 'question="What changes when model, data and machine grow?"' in card
    assert 'part="Running it"' in card


def test_readmes_map_is_written_from_the_rooms(made):
    page = made / "README.md"
    page.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    assert readme.refresh(made, check=True) == [page]
    assert "old" in page.read_text()
    assert readme.refresh(made) == [page]
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| 97 | [Louder, and 'further'](notebooks/97_louder_and_further.ipynb) |" in text
    assert re.findall(r"^\| (\d\d) \|", text, re.M) == sorted(re.findall(r"^\| (\d\d) \|", text, re.M))
    assert readme.refresh(made) == []


def test_a_page_without_the_marks_is_left_alone(tmp_path):
    (tmp_path / "README.md").write_text("no map here\n")
    assert readme.refresh(tmp_path) == []
    assert readme.refresh(tmp_path / "nowhere") == []
