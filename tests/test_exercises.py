"""Every exercise of every lab: right answers pass, each known wrong answer fails with words."""

import functools

import pytest

from modelsec_course.lab.panel import Panel
from modelsec_course.lab.rooms import labs, load
from modelsec_course.lab.run import run

CONTENTS = {number: load(number) for number in labs()}
EXERCISES = {id: exercise for contents in CONTENTS.values() for id, exercise in contents.exercises.items()}
MUTANTS = [(id, name) for id, exercise in EXERCISES.items() for name in exercise.mutants]
of_exercises = pytest.mark.parametrize("id", EXERCISES)


def as_learner(f):
    """The same function under another name, as a learner's would be."""
    return functools.wraps(f)(lambda *args, **kwargs: f(*args, **kwargs))


@of_exercises
def test_the_reference_passes(id):
    report = run(EXERCISES[id], as_learner(EXERCISES[id].reference))
    assert report.status == "pass", repr(Panel(report))


@of_exercises
def test_another_right_answer_passes(id):
    assert EXERCISES[id].second is not None
    report = run(EXERCISES[id], EXERCISES[id].second)
    assert report.status == "pass", repr(Panel(report))


@of_exercises
def test_there_are_three_mutants(id):
    assert len(EXERCISES[id].mutants) >= 3


@pytest.mark.parametrize(("id", "name"), MUTANTS)
def test_a_mutant_fails_with_words(id, name):
    report = run(EXERCISES[id], EXERCISES[id].mutants[name])
    assert report.status == "fail", repr(Panel(report))
    assert all(row.message.strip() for row in report.rows if row.status in ("fail", "error", "timeout"))


@of_exercises
def test_a_stub_is_not_attempted(id):
    def stub(*args, **kwargs):
        raise NotImplementedError

    assert run(EXERCISES[id], stub).status == "todo"


@of_exercises
def test_there_are_hints_and_titles(id):
    exercise = EXERCISES[id]
    assert len(exercise.hints) >= 2
    assert all(hint.strip() for hint in exercise.hints)
    assert exercise.title
    assert all((prop.__doc__ or "").strip() for prop in exercise.properties)


@pytest.mark.parametrize("number", CONTENTS)
def test_a_lab_has_three_to_five_questions_with_every_option_explained(number):
    quiz = CONTENTS[number].quiz
    assert 3 <= len(quiz) <= 5
    for question in quiz:
        assert len(question.options) == len(question.why) >= 2
        assert all(why.strip() for why in question.why)
        assert 0 <= question.answer < len(question.options)
        assert len(set(question.options)) == len(question.options)
