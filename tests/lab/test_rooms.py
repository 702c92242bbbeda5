import importlib
import sys

import pytest
from fake_lab import forget

from modelsec_course import labs as package
from modelsec_course.lab.exercise import Exercise, Lab, Question
from modelsec_course.lab.rooms import labs, load


def test_labs_are_loaded_on_demand(fake):
    assert "98" in labs()
    assert "modelsec_course.labs.lab_98_for_tests" not in sys.modules
    contents = load("98")
    assert contents.lab.title == "A lab for tests"
    assert list(contents.exercises) == ["98.double", "98.model"]
    assert load(98) == contents


def test_a_lab_that_is_not_there_names_those_that_are(fake):
    with pytest.raises(ValueError, match=r"there is no lab '77': there are labs .*98"):
        load("77")


def test_an_id_is_given_once(double, monkeypatch):
    exercises = importlib.import_module("modelsec_course.labs.lab_98_for_tests.exercises")
    other = Exercise("97.double", title="", reference=len, properties=[len])
    for listed in ((double, double), (double, other)):
        monkeypatch.setattr(exercises, "EXERCISES", listed)
        with pytest.raises(ValueError, match="lists an exercise twice or another lab's"):
            load("98")


@pytest.mark.parametrize("id", ["double", "1.double", "98.Double", "98.a b"])
def test_an_id_has_a_form(id):
    with pytest.raises(ValueError, match=r"must look like '01.fgsm'"):
        Exercise(id, title="", reference=len, properties=[len])


def test_an_exercise_verifies_something():
    with pytest.raises(ValueError, match="no properties"):
        Exercise("97.empty", title="", reference=len, properties=[])


def test_a_half_imported_lab_can_be_loaded_again(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "__path__", [str(tmp_path)])
    room = tmp_path / "lab_96_a"
    room.mkdir()
    (room / "__init__.py").touch()
    (room / "about.py").write_text("from modelsec_course.lab.exercise import Lab\nLAB = Lab('96', 't', 'q', 1, 1)\n")
    source = (
        "from modelsec_course.lab.exercise import Exercise\n"
        "EXERCISES = (Exercise('96.a', title='a', reference=len, properties=[len]),)\n"
    )
    (room / "exercises.py").write_text(source + "1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load("96")
    (room / "exercises.py").write_text(source + "pass  # mended\n")
    importlib.invalidate_caches()
    assert list(load("96").exercises) == ["96.a"]
    forget("96")


@pytest.mark.parametrize(
    "wrong", [{"number": "1"}, {"number": 1}, {"difficulty": 0}, {"difficulty": 6}], ids=lambda wrong: str(wrong)
)
def test_a_lab_has_sensible_facts(wrong):
    with pytest.raises((ValueError, TypeError)):
        Lab(**({"number": "01", "title": "t", "question": "q", "minutes": 1, "difficulty": 1} | wrong))


def test_every_option_is_explained():
    with pytest.raises(ValueError, match="explain each of the 2 options"):
        Question("q", ("a", "b"), 0, ("because",))
    with pytest.raises(ValueError, match="index of an option"):
        Question("q", ("a", "b"), 2, ("because", "not"))
