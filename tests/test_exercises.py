"""Every exercise of every lab: right answers pass, each known wrong answer fails with words."""

import ast
import functools
import importlib
import inspect
from pathlib import Path

import pytest

import modelsec_course
from modelsec_course.lab.panel import Panel
from modelsec_course.lab.rooms import labs, load, rooms
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
def test_there_are_four_mutants(id):
    assert len(EXERCISES[id].mutants) >= 4


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


@functools.cache
def notebook(number):
    source = Path(modelsec_course.__file__).parent.parent.joinpath(*rooms()[number].split("."), "notebook.py")
    return list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))


def stubs(number):
    """{function: its parameters with their defaults} of all that a lab's notebook defines."""
    functions = (node for node in notebook(number) if isinstance(node, ast.FunctionDef))
    return {function.name: f"({ast.unparse(function.args)})" for function in functions}


def parameters(f):
    """The same of a function that exists, without its types."""
    signature = inspect.signature(f)
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


@of_exercises
def test_the_reference_has_the_name_and_the_parameters_of_the_stub(id):
    number, name = id.split(".")
    reference = EXERCISES[id].reference  # a learner who falls back on it asks help() about it
    assert reference.__name__ == name
    assert parameters(reference) == stubs(number)[name]


@pytest.mark.parametrize("number", CONTENTS)
def test_the_exercises_are_those_that_the_notebook_checks_in_its_order(number):
    calls = (node for node in notebook(number) if isinstance(node, ast.Call))
    checked = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "check"]
    in_order = sorted(checked, key=lambda call: call.lineno)
    assert [call.args[0].value for call in in_order] == list(CONTENTS[number].exercises)


@of_exercises
def test_the_module_says_what_is_asked(id):
    number, name = id.split(".")
    (sentence,) = importlib.import_module(f"{rooms()[number]}.exercises.{name}").__doc__.splitlines()
    assert len(sentence.split()) > 5
