import numpy as np
import pytest
import torch

from modelsec_course.lab.exercise import expect, expect_close


def message(got, want, tolerance=1e-6):
    with pytest.raises(AssertionError) as error:
        expect_close(got, want, tolerance, "the gradient")
    return str(error.value)


def test_expect():
    expect(True, "no")
    expect(torch.tensor([True, True]), "no")
    with pytest.raises(AssertionError, match="leaves the ball"):
        expect(torch.tensor([True, False]), "leaves the ball")


@pytest.mark.parametrize("got", [1.0, torch.tensor(1.0), np.float32(1), 1])
def test_close_numbers_of_any_kind(got):
    expect_close(got, 1.0, 1e-6, "x")


def test_the_largest_gap_is_named():
    want = torch.zeros(2, 3)
    got = want.clone()
    got[1, 2], got[0, 1] = 0.5, -0.25
    assert message(got, want) == (
        "the gradient at [1, 2]: expected 0, got 0.5, off by 0.5 (tolerance 1e-06) (2 of 6 values are off)"
    )
    assert message(2.5, 2.0) == "the gradient: expected 2, got 2.5, off by 0.5 (tolerance 1e-06)"


def test_shape_comes_first():
    assert message(torch.ones(3), torch.ones(3, 1)) == "the gradient: expected shape (3, 1), got shape (3,)"
    assert message(torch.ones(1), 1.0) == "the gradient: expected a single number, got shape (1,)"
    assert message(None, 1.0) == "the gradient: expected a single number, got NoneType"


def test_nan_is_never_close():
    assert "expected 1, got NaN" in message(float("nan"), 1.0, 1e9)
    assert "at [1]: expected 2, got NaN" in message(torch.tensor([1, torch.nan]), torch.tensor([1.0, 2.0]), 1e9)


def test_infinity_equals_itself_only():
    expect_close(float("inf"), float("inf"), 0, "x")
    assert "expected infinity, got 3" in message(3.0, float("inf"))


def test_nothing_equals_nothing():
    expect_close(torch.empty(0, 3), torch.empty(0, 3), 0, "x")
