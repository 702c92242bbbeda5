"""Each check names the argument, shows its value and says what was expected."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from modelsec_course import validation

ODD = [None, "3", [3], (1, 2), {}, object, 1 + 2j, torch.tensor(3.0)]


@given(st.integers(-1000, 1000) | st.floats(-1e6, 1e6))
def test_numbers_within_their_limits_pass(value):
    validation.number("eps", value, low=-1e6, high=1e6)


@given(st.floats(allow_nan=True, allow_infinity=True).filter(lambda value: not 0 <= value <= 1))
def test_numbers_outside_their_limits_are_refused(value):
    with pytest.raises(ValueError, match=r"eps must lie in \[0, 1\], but it is .*: the radius"):
        validation.number("eps", value, low=0, high=1, hint="the radius")


@pytest.mark.parametrize("value", [*ODD, True], ids=repr)
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match=r"lr must be a number, but it is "):
        validation.number("lr", value)
    with pytest.raises(TypeError, match=r"lr must be a number"):
        validation.positive("lr", value)


@pytest.mark.parametrize("value", [0, -1, 0.0, -1e-9])
def test_zero_and_below_are_not_positive(value):
    with pytest.raises(ValueError, match=rf"lr must be above 0, but it is {value!r}: smaller"):
        validation.positive("lr", value, hint="smaller")


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, -0.5, 2])
def test_a_probability_lies_strictly_between_0_and_1(value):
    validation.probability("delta", 1e-9)
    with pytest.raises(ValueError, match=rf"delta must lie .*0.*1.*, but it is {value!r}"):
        validation.probability("delta", value)


@pytest.mark.parametrize("value", [*ODD, True, 2.0], ids=repr)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(TypeError, match=r"steps must be a whole number, but it is "):
        validation.count("steps", value)


def test_a_count_has_a_least_value():
    validation.count("classes", 2, low=2)
    with pytest.raises(ValueError, match=r"classes must be at least 2, but it is 1: two at least"):
        validation.count("classes", 1, low=2, hint="two at least")


@pytest.mark.parametrize("value", [*ODD, "L2", ""], ids=repr)
def test_a_choice_lists_the_choices(value):
    with pytest.raises(ValueError, match=r"norm must be one of 'linf', 'l2', but it is "):
        validation.one_of("norm", value, ("linf", "l2"))


@pytest.mark.parametrize("value", [0, 1, None, "True", torch.tensor(True)], ids=repr)
def test_a_flag_is_true_or_false(value):
    with pytest.raises(TypeError, match=r"targeted must be True or False, but it is "):
        validation.flag("targeted", value)


@pytest.mark.parametrize("value", [0, 7, "cpu", torch.Generator])
def test_randomness_is_a_generator(value):
    validation.randomness("generator", None)
    validation.randomness("generator", torch.Generator())
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator or None.*runtime\.generator\(seed\)"):
        validation.randomness("generator", value)


@pytest.mark.parametrize(
    ("y", "kind", "message"),
    [
        ([0, 1, 2], TypeError, r"y must be a tensor, but it is a list: use torch\.as_tensor\(y\)"),
        (torch.zeros(2).long(), ValueError, r"y must have shape \(3,\).*\(2,\)"),
        (torch.zeros(3, 10).long(), ValueError, r"y must have shape \(3,\).*\(3, 10\).*argmax"),
        (torch.zeros(()).long(), ValueError, r"y must have shape \(3,\).*\(\)"),
        (torch.zeros(3), ValueError, r"y must hold int64 labels, but it holds torch\.float32: use y\.long\(\)"),
        (torch.tensor([0, -4, 1]), ValueError, r"y holds the label -4, but labels start at 0"),
        (torch.zeros(3, device="meta").long(), ValueError, r"y is on meta, but x is on cpu: move one"),
    ],
)
def test_labels_are_one_index_for_each_input(y, kind, message):
    with pytest.raises(kind, match=message):
        validation.labels(y, torch.zeros(3, 5))


def test_good_labels_pass():
    validation.labels(torch.tensor([0, 9, 3]), torch.zeros(3, 5))
    validation.labels(torch.zeros(0).long(), torch.zeros(0, 5))
