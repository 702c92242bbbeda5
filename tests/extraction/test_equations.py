"""Equation solving is exact with d + 1 queries, averages with more, and says when the queries do not suffice."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from modelsec_course import data, models, runtime, zoo
from modelsec_course.extraction import OutOfQueries, Victim, solve_logistic, solve_softmax


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=runtime.generator(seed)).double()


@pytest.mark.parametrize("d", [1, 2, 30, 200])
@pytest.mark.parametrize("seed", range(3))
def test_logistic_regression_is_exact_with_d_plus_one_queries(d, seed):
    w, b, x = normal(d, seed=seed) / d**0.5, normal(1, seed=seed + 9)[0], normal(d + 1, d, seed=seed + 20)
    got_w, got_b = solve_logistic(x, torch.sigmoid(x @ w + b))
    torch.testing.assert_close(got_w, w, atol=1e-9, rtol=0)
    torch.testing.assert_close(got_b, b, atol=1e-9, rtol=0)


def test_the_axes_read_the_weights_off():
    """The closed form: at 0 the log-odds are b, at the i-th unit vector they are w_i + b."""
    w, b = torch.tensor([2.0, -3.0, 0.5]).double(), torch.tensor(-1.0).double()
    x = torch.cat([torch.zeros(1, 3), torch.eye(3)]).double()
    odds = torch.logit(torch.sigmoid(x @ w + b))
    got_w, got_b = solve_logistic(x, torch.sigmoid(x @ w + b))
    torch.testing.assert_close(got_b, odds[0])
    torch.testing.assert_close(got_w, odds[1:] - odds[0])


def test_the_tumour_model_falls_to_31_answers():
    layer = zoo.load("tumours-logistic", device="cpu")[-1].double()
    for seed in range(5):
        victim, x = Victim(layer, budget=31), normal(31, 30, seed=seed)
        w, b = solve_logistic(x, victim(x)[:, 1])
        assert victim.left == 0
        assert (w - (layer.weight[1] - layer.weight[0])).abs().max() < 1e-9
        assert (b - (layer.bias[1] - layer.bias[0])).abs() < 1e-9
    with pytest.raises(OutOfQueries):
        victim(x[:1])


def test_scikit_learns_model_falls_too():
    tumours = data.load("tumours")
    x = tumours.x_train.double().numpy()
    fitted = LogisticRegression(max_iter=5000).fit((x - x.mean(0)) / x.std(0), tumours.y_train.numpy())
    queries = normal(31, 30, seed=3)
    w, b = solve_logistic(queries, torch.as_tensor(fitted.predict_proba(queries.numpy())[:, 1]))
    np.testing.assert_allclose(w, fitted.coef_[0], atol=1e-9)
    np.testing.assert_allclose(b, fitted.intercept_[0], atol=1e-9)


def test_more_answers_than_unknowns_average_rounding_out():
    w, b = normal(8) / 2, torch.tensor(0.3).double()
    error = {}
    for n in (9, 90, 9000):
        x = normal(n, 8, seed=n)
        rounded = torch.sigmoid(x @ w + b).round(decimals=3).clamp(5e-4, 1 - 5e-4)
        error[n] = (solve_logistic(x, rounded)[0] - w).norm().item()
    assert error[9000] < error[90] / 3 < error[9]


@pytest.mark.parametrize(("d", "classes"), [(1, 2), (7, 3), (64, 10)])
def test_softmax_regression_is_exact_up_to_the_gauge(d, classes):
    net = models.initialise(models.linear(d, classes), runtime.generator(d)).double().eval()
    weight, bias = net[1].weight.detach(), net[1].bias.detach()
    x = normal(d + 1, d, seed=4)
    for reference in (0, classes - 1):
        got_weight, got_bias = solve_softmax(x, Victim(net, budget=d + 1)(x), reference=reference)
        torch.testing.assert_close(got_weight, weight - weight[reference], atol=1e-9, rtol=0)
        torch.testing.assert_close(got_bias, bias - bias[reference], atol=1e-9, rtol=0)
        new = normal(50, d, seed=5)
        torch.testing.assert_close((new @ got_weight.T + got_bias).softmax(1), net(new).softmax(1), atol=1e-9, rtol=0)


def test_the_gauge_cannot_be_seen():
    """One (w, b) added to every class changes no answer, so both victims give the same solution."""
    weight, bias, shift, x = normal(4, 3), normal(4, seed=1), normal(3, seed=2), normal(4, 3, seed=3)
    one = (x @ weight.T + bias).softmax(1)
    other = (x @ (weight + shift).T + bias + 7).softmax(1)
    for a, b in zip(solve_softmax(x, one), solve_softmax(x, other), strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=0)


def test_two_classes_are_a_logistic_regression():
    x, p = normal(6, 5), torch.sigmoid(normal(6, seed=1))
    w, b = solve_logistic(x, p)
    weight, bias = solve_softmax(x, torch.stack([1 - p, p], 1))
    torch.testing.assert_close(weight[1], w)
    torch.testing.assert_close(bias[1], b)


@pytest.mark.parametrize("n", [1, 5])
def test_too_few_queries_are_named(n):
    with pytest.raises(ValueError, match=f"{n} queries give {n} independent equations for 6 unknowns"):
        solve_logistic(normal(n, 5), torch.full((n,), 0.5).double())


def test_queries_in_one_plane_are_named():
    x = normal(20, 3)
    x[:, 2] = x[:, 0] + x[:, 1]
    with pytest.raises(ValueError, match="20 queries give 3 independent equations for 4 unknowns"):
        solve_softmax(x, torch.full((20, 2), 0.5).double())


@pytest.mark.parametrize(
    ("x", "p", "words"),
    [
        (normal(4, 3), torch.tensor([0.5, 0.5, 1.0, 0.5]).double(), "clamp rounded answers"),
        (normal(4, 3), torch.tensor([0.5, 0.5, torch.nan, 0.5]).double(), "strictly between 0 and 1"),
        (normal(4, 3), torch.full((4,), 0.5), "must share a floating dtype"),
        (normal(4, 3), torch.full((4, 2), 0.5).double(), r"p \(n,\)"),
        (normal(4, 3), torch.full((3,), 0.5).double(), r"\(4, 3\) and \(3,\)"),
    ],
)
def test_answers_that_no_model_gives_are_refused(x, p, words):
    with pytest.raises(ValueError, match=words):
        solve_logistic(x, p)


def test_a_reference_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match="reference must be one of the 2 classes"):
        solve_softmax(normal(4, 3), torch.full((4, 2), 0.5).double(), reference=2)
