import pytest

from modelsec_course.lab.controls import slider


def test_a_slider_of_whole_numbers_gives_whole_numbers():
    index = slider(0, 5, 1, 2, "digit")
    assert (index.value, type(index.value)) == (2, int)
    index.value = 3.0  # JavaScript knows no other numbers
    assert (index.value, type(index.value), index.decimals) == (3, int, 0)
    assert type(slider(0.0, 5, 1, 2).value) is float


def test_a_value_beyond_the_ends_is_moved_to_the_end():
    eps = slider(0.0, 0.3, 0.01, 0.1)
    eps.value = 7
    assert eps.value == 0.3


@pytest.mark.parametrize(
    ("limits", "percent", "decimals"),
    [((0.0, 0.3, 0.01, 0.1), False, 2), ((0, 1, 0.005, 0), False, 3), ((0, 1, 0.01, 0.5), True, 0),
     ((0, 1, 0.005, 0.5), True, 1), ((0.25, 1, 0.5, 0.5), False, 2)],
)  # fmt: skip
def test_the_readout_has_as_many_decimals_as_a_step_needs(limits, percent, decimals):
    assert slider(*limits, percent=percent).decimals == decimals


def test_it_counts_as_touched_unless_it_waits_for_a_touch():
    assert slider(0, 1, 0.1, 0).touched
    assert not slider(0, 1, 0.1, 0, untouched="no guess yet").touched


@pytest.mark.parametrize("limits", [(1, 0, 1, 0), (0, 1, 1, 2), (0, 1, 0, 0), (0, 1, -1, 0)])
def test_limits_that_make_no_slider_are_refused(limits):
    with pytest.raises(ValueError, match="low <= start <= high and step > 0"):
        slider(*limits)
