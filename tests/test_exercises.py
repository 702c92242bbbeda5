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
from modelsec_course.lab.sources import solution

CONTENTS = {number: load(number) for number in labs()}
EXERCISES = {id: exercise for contents in CONTENTS.values() for id, exercise in contents.exercises.items()}
MUTANTS = [(id, name) for id, exercise in EXERCISES.items() for name in exercise.mutants]
of_exercises = pytest.mark.parametrize("id", EXERCISES)


def renamed(f):
    """The same function under another name, every parameter renamed, as a learner may."""
    declared, passed, star, defaults = [], [], False, {}
    for i, p in enumerate(inspect.signature(f).parameters.values()):
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            prefix = "*" if p.kind == p.VAR_POSITIONAL else "**"
            declared.append(f"{prefix}r{i}")
            passed.append(f"{prefix}r{i}")
            star = True
            continue
        if p.kind == p.KEYWORD_ONLY and not star:
            declared.append("*")
            star = True
        defaults[f"d{i}"] = p.default
        declared.append(f"r{i}" if p.default is p.empty else f"r{i}=d{i}")
        passed.append(f"{p.name}=r{i}" if p.kind == p.KEYWORD_ONLY else f"r{i}")
    space = {"f": f} | defaults
    exec(f"def learners({', '.join(declared)}): return f({', '.join(passed)})", space)
    return space["learners"]


@of_exercises
def test_the_reference_passes_whatever_its_parameters_are_called(id):
    report = run(EXERCISES[id], renamed(EXERCISES[id].reference))
    assert report.status == "pass", repr(Panel(report))


def test_renaming_renames_every_parameter():
    def f(a, b=2, *, c, d=4):
        return a, b, c, d

    other = renamed(f)
    assert not set(inspect.signature(other).parameters) & set("abcd")
    assert other(1, r2=3) == (1, 2, 3, 4)


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
def test_a_panel_can_show_the_notebooks_solution(id):
    shown = solution(EXERCISES[id])
    names = [node.name for node in ast.parse(shown).body if isinstance(node, ast.FunctionDef)]
    assert id.split(".")[1] in names
    assert "SOLUTION" not in shown
    written = {line.strip() for line in source(id[:2]).read_text(encoding="utf-8").splitlines()}
    assert [line for line in shown.splitlines() if line.strip() not in written] == []


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


@pytest.mark.parametrize("number", CONTENTS)
def test_a_quiz_is_not_answered_by_choosing_what_is_longest(number):
    quiz = CONTENTS[number].quiz
    lengths = [sorted((len(option), i == q.answer) for i, option in enumerate(q.options)) for q in quiz]
    told = [options[-1][1] and options[-2][0] < options[-1][0] for options in lengths]
    assert sum(told) <= len(quiz) / 2, [q.prompt for q, tells in zip(quiz, told, strict=True) if tells]


@functools.cache
def notebook(number):
    return list(ast.walk(ast.parse(source(number).read_text(encoding="utf-8"))))


def source(number):
    return Path(modelsec_course.__file__).parent.parent.joinpath(*rooms()[number].split("."), "notebook.py")


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
