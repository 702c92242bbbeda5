"""The language of a table's rules."""

import pytest
import torch

from modelsec_course.data.tables import Feature, Schema, count, feature, near, safe_divide

COLUMNS = {"a": torch.tensor([1.0, 2.0, 3.0]), "b": torch.tensor([2.0, 2.0, 0.0])}
A, B = feature("a"), feature("b")


@pytest.mark.parametrize(
    ("rule", "kept", "gaps"),
    [
        (A <= B, [1, 1, 0], [0, 0, 3]),
        (A < B, [1, 0, 0], [0, 1e-5, 3]),
        (A >= B + 1, [0, 0, 1], [2, 1, 0]),
        (A == B, [0, 1, 0], [1, 0, 3]),
        (near(A, B, 0.4), [1, 1, 0], [0, 0, 3]),
        ((A <= 1) | (B <= 1), [1, 0, 1], [0, 1, 0]),
        ((A <= 2) & (B >= 1), [1, 1, 0], [0, 0, 2]),
        (safe_divide(A, B, -1.0) <= 0, [0, 0, 1], [0.5, 1, 0]),
        (count(A > 1, B > 1) == 2, [0, 1, 0], [1, 0, 1]),
        (2 * A - B / 2 <= 3 - 1 / (A + 1), [1, 0, 0], [0, 1 / 3, 3.25]),
    ],
)
def test_a_rule_holds_where_it_says_and_its_gap_is_how_far(rule, kept, gaps):
    assert rule.holds(COLUMNS).tolist() == [bool(k) for k in kept]
    torch.testing.assert_close(rule.gap(COLUMNS), torch.tensor(gaps, dtype=torch.float32), rtol=1e-5, atol=1e-6)


def test_linear_rules_know_their_halfspaces():
    ((weights, bound),) = (2 * A + 1 <= B - 3).branches[0]
    assert (weights, bound) == ({"a": 2.0, "b": -1.0}, -4.0)
    assert len(((A <= 1) | (B == 2)).branches) == 2
    assert (A * B <= 1).branches is None


def test_what_python_would_take_for_a_truth_is_refused():
    with pytest.raises(TypeError, match="joined by & and"):
        bool(A <= B)
    with pytest.raises(TypeError, match="!="):
        _ = A != B


def test_a_schema_refuses_what_makes_no_sense():
    one = Feature("a", 0, 1)
    with pytest.raises(ValueError, match="not there: z"):
        Schema((one,), {"rule": feature("z") <= 1})
    with pytest.raises(ValueError, match="derived from each other"):
        Schema((one, Feature("b", 0, 1)), derived={"a": B + 1, "b": A + 1})
    with pytest.raises(ValueError, match="a name of its own"):
        Schema((one, one))
    with pytest.raises(ValueError, match="low must not be above high"):
        Feature("a", 2, 1)
    with pytest.raises(ValueError, match="no whole number"):
        Feature("a", 0.2, 0.8, "whole")


def test_the_price_of_a_change_counts_each_way_and_derived_columns_are_free():
    table = Schema(
        (Feature("a", 0, 9, cost=(1.0, 5.0)), Feature("b", 0, 9, mutable=False), Feature("c", 0, 99, cost=(7.0, 7.0))),
        derived={"c": A + B},
    )
    x, made = torch.tensor([[4.0, 1.0, 5.0]] * 2), torch.tensor([[2.0, 1.0, 3.0], [5.0, 1.0, 6.0]])
    assert table.price(made, x).tolist() == [2.0, 5.0]
    assert table.derive(torch.tensor([[3.0, 4.0, 0.0]])).tolist() == [[3.0, 4.0, 7.0]]
    low, high = table.restricted(only="up").limits(x[:1])
    assert low.tolist() == [[4.0, 1.0, 5.0]]
    assert high.tolist() == [[9.0, 1.0, 5.0]]
    assert table.restricted(only="up").price(made, x).tolist() == [torch.inf, 5.0]
