import functools
import inspect

import torch

from modelsec_course.lab.rooms import find
from modelsec_course.lab.sources import code, solution


def alone(x):
    y = x + 1
    return y


def test_a_notebooks_solution_is_shown_without_its_marks_and_its_check():
    shown = solution(find("01.fgsm"))
    assert shown.startswith("def fgsm(model, x, y, eps):\n")
    assert "sign()" in shown
    assert "SOLUTION" not in shown
    assert "check(" not in shown


def test_an_exercise_without_a_notebook_shows_its_reference(double):
    assert solution(double) == "def double(x):\n    return 2 * x"


def test_a_functions_own_code_is_shown_from_the_margin():
    def nested(x):
        return x

    assert code(alone) == inspect.getsource(alone).strip()
    assert code(nested) == "def nested(x):\n    return x"


def test_what_has_no_code_of_its_own_is_not_shown():
    for f in (lambda x: x, torch.abs, functools.partial(len), len):
        assert code(f) == ""
