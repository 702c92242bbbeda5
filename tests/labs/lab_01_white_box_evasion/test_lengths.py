"""A change that does not fool the model has no length to be proud of."""

import pytest

from modelsec_course import evasion
from modelsec_course.labs.lab_01_white_box_evasion.exercises.deepfool import near_on_digits


def test_pictures_that_fool_nobody_count_as_infinitely_far():
    with pytest.raises(AssertionError, match="infinity; 40 of 40 do not fool it"):
        near_on_digits(lambda model, x, y: x.clone())


def test_an_attack_that_fools_fewer_than_half_does_not_pass_by_its_short_changes():
    def timid(model, x, y):
        found = evasion.deepfool(model, x, y)
        found[: len(x) // 2 + 1] = x[: len(x) // 2 + 1]
        return found

    with pytest.raises(AssertionError, match="21 of 40"):
        near_on_digits(timid)


def test_half_of_the_digits_are_near():
    near_on_digits(evasion.deepfool)
