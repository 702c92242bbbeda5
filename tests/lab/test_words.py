import pytest

from modelsec_course.lab import words


@pytest.mark.parametrize(
    ("share", "decimals", "said"),
    [(0.084, 1, "8.4 %"), (1, 1, "100.0 %"), (-0.02, 1, "−2.0 %"), (0.5, None, "50 %"), (0.125, 0, "12 %")],
)
def test_a_share_is_a_percentage_that_never_breaks(share, decimals, said):
    assert words.percent(share, decimals) == said.replace(" ", words.NBSP)


def test_points_carry_their_sign_and_nothing_is_zero():
    assert [words.points(share) for share in (0.03, -0.224, 0.001, -0.001)] == ["+3", "−22", "0", "0"]


@pytest.mark.parametrize(
    ("value", "said"),
    [(3, "3"), (0.1234, "0.123"), (-0.5, "−0.5"), (9999, "9999"), (12345, "12,345"), (12345.6, "12,346"),
     (1e-5, "10⁻⁵"), (2.5e-7, "2.5 × 10⁻⁷"), (float("nan"), "NaN"), (float("-inf"), "−infinity"), (True, "1")],
)  # fmt: skip
def test_a_number_is_short_and_readable(value, said):
    assert words.number(value) == said.replace(" ", words.NBSP)


def test_an_interval_names_its_unit_once():
    assert words.interval(0.071, 0.092) == f"7.1 to 9.2{words.NBSP}%"
    assert words.interval(0.5, 2, percent=False) == "0.5 to 2"


@pytest.mark.parametrize(
    ("text", "tidied"),
    [("95 % of 3 s", "95~% of 3~s"), ("8.4%, 9.1%.", "8.4~%, 9.1~%."), ("at ε = 0.1 or L = 3", "at ε~=~0.1 or L~=~3"),
     ("see lab 03", "see lab~03"), ("50%|###", "50%|###"), ("3 samples", "3 samples"), ("12 months", "12 months")],
)  # fmt: skip
def test_no_line_breaks_between_a_number_and_its_unit(text, tidied):
    assert words.tidy(text) == tidied.replace("~", words.NBSP)
    assert words.tidy(words.tidy(text)) == words.tidy(text)
