import functools
import inspect

import torch

from modelsec_course.lab import check
from modelsec_course.lab.binding import by_position, names, renames


def reference(model, x, y, *, eps, steps=10):
    """What the lab calls the parameters."""


def echo(*values):
    return values


def test_the_same_names_need_nothing():
    def mine(model, x, y, *, eps, steps=20):
        return 1

    assert renames(mine, reference) == {}
    assert by_position(mine, reference) is mine


def test_names_that_are_left_over_are_matched_in_their_order():
    def mine(net, x, label, *, budget, steps=20, verbose=False):
        return echo(net, x, label, budget, steps)

    assert renames(mine, reference) == {"model": "net", "y": "label", "eps": "budget"}
    both = by_position(mine, reference)
    assert both(1, 2, y=3, eps=4) == (1, 2, 3, 4, 20)
    assert both(1, 2, label=3, budget=4, steps=5) == (1, 2, 3, 4, 5)
    assert inspect.signature(both) == inspect.signature(mine)


def test_a_learners_default_stays():
    def mine(net, image, label, budget=7, repeat=3):
        return echo(net, image, label, budget, repeat)

    assert by_position(mine, reference)(1, 2, 3, steps=5) == (1, 2, 3, 7, 5)


def test_what_takes_anything_is_given_the_names_of_the_lab():
    assert by_position(lambda *args, **kwargs: kwargs, reference)(1, 2, 3, eps=4) == {"eps": 4}
    assert by_position(lambda net, **kwargs: (net, kwargs), reference)(model=1, x=2) == (1, {"x": 2})


def test_what_has_no_signature_is_left_alone():
    assert names(torch.abs) == []
    assert by_position(torch.abs, reference) is torch.abs
    partial = functools.partial(lambda net, image, label, budget, times: (net, budget), 1)
    assert by_position(partial, partial) is partial


def test_the_notebook_goes_on_with_the_learners_function_by_the_labs_names(double):
    def mine(value):
        return value + value

    going_on = check("98.double", mine)
    assert going_on.__wrapped__ is mine
    assert going_on(x=3) == going_on(3) == going_on(value=3) == 6
