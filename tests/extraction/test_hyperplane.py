"""Label-only extraction finds the plane to the last bit, at the price that bits have."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from modelsec_course import data, runtime, zoo
from modelsec_course.extraction import Victim, angle, find_hyperplane


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=runtime.generator(seed)).double()


class Linear:
    """A linear model that gives labels and counts."""

    def __init__(self, w, b):
        self.w, self.b, self.spent = w, b, 0

    def __call__(self, x):
        self.spent += len(x)
        return x @ self.w + self.b > 0

    def sides(self, seed=0):
        x = normal(1000, len(self.w), seed=seed)
        above = x @ self.w + self.b > 0
        return x[above][0], x[~above][0]


@pytest.mark.parametrize("d", [2, 5, 30, 100])
def test_the_plane_is_found_to_1e_9(d):
    model = Linear(normal(d, seed=d), torch.tensor(0.3).double())
    for seed in range(3):
        w, b = find_hyperplane(model, *model.sides(seed), bits=44, generator=runtime.generator(seed))
        assert angle(w, model.w) < 1e-9
        assert abs(b - model.b / model.w.norm()) < 1e-8
        assert w.norm().item() == pytest.approx(1)


def test_one_bit_more_costs_one_query_a_line_and_halves_the_error():
    model = Linear(normal(20, seed=1), torch.tensor(-0.5).double())
    spent, error = [], []
    for bits in (10, 20, 30):
        model.spent = 0
        angles = [angle(find_hyperplane(model, *model.sides(s), bits=bits)[0], model.w) for s in range(5)]
        spent.append(model.spent)
        error.append(math.exp(sum(map(math.log, angles)) / 5))
    assert spent[1] - spent[0] == spent[2] - spent[1] == 5 * 20 * 10  # five runs, 20 lines, 10 bits
    for before, after in itertools.pairwise(error):
        assert math.log2(before / after) == pytest.approx(10, abs=0.5)


def test_on_the_tumour_model_queries_follow_the_formula():
    """(d + 1)·log2(1 / error) + 2.4 d, measured by probes/p07_labelonly; within a tenth of it."""
    net = zoo.load("tumours-logistic", device="cpu")
    layer, z = net[-1].double(), net[0](data.load("tumours").x_test).double()
    w, b = (layer.weight[1] - layer.weight[0]).detach(), (layer.bias[1] - layer.bias[0]).detach()
    above = z @ w + b > 0
    for bits in (8, 20, 40):
        for seed in range(3):
            victim = Victim(layer, answers="label")
            got, _ = find_hyperplane(
                victim, z[above][seed], z[~above][seed], bits=bits, generator=runtime.generator(seed)
            )
            formula = 31 * math.log2(1 / angle(got, w)) + 2.4 * 30
            assert victim.spent == pytest.approx(formula, rel=0.1), (bits, seed)


def test_as_many_random_queries_know_far_less():
    """The control: a logistic regression fitted to the labels of random queries."""
    model = Linear(normal(30, seed=2), torch.tensor(0.2).double())
    w, _ = find_hyperplane(model, *model.sides(), bits=24)
    x = 1.5 * normal(model.spent, 30, seed=3)
    fitted = LogisticRegression(C=1e4, max_iter=3000).fit(x.numpy(), model(x).numpy())
    assert angle(w, model.w) < 1e-6
    assert angle(torch.as_tensor(fitted.coef_[0]), model.w) > 1e-2


def test_a_line_that_starts_on_the_wrong_side_is_stretched():
    """The two given points lie nearly along the plane, so the lines beside theirs miss it at first."""
    model = Linear(torch.tensor([0.0, 1.0, 0.0]).double(), torch.tensor(0.0).double())
    positive, negative = torch.tensor([5.0, 0.01, 0.0]).double(), torch.tensor([-5.0, -0.01, 0.0]).double()
    w, b = find_hyperplane(model, positive, negative, bits=50)
    assert angle(w, model.w) < 1e-8
    assert abs(b) < 1e-8


def test_integer_labels_will_do():
    model = Linear(normal(4, seed=5), torch.tensor(0.1).double())
    w, _ = find_hyperplane(lambda x: model(x).long(), *model.sides(), bits=40)
    assert angle(w, model.w) < 1e-8


@pytest.mark.parametrize("size", [1e-3, 1e-9, 1e-15])
def test_angles_are_exact_when_small(size):
    w = torch.tensor([1.0, 0.0]).double()
    v = torch.tensor([math.cos(size), math.sin(size)]).double()
    assert angle(w, 3 * v) == pytest.approx(size, rel=1e-6)
    assert angle(w, -w) == pytest.approx(math.pi)


def test_points_on_the_wrong_side_are_named():
    model = Linear(normal(3, seed=6), torch.tensor(0.0).double())
    positive, negative = model.sides()
    with pytest.raises(ValueError, match="negative is labelled 1: it must be 0"):
        find_hyperplane(model, positive, positive + 1e-3)
    with pytest.raises(ValueError, match="positive is labelled 0: it must be 1"):
        find_hyperplane(model, negative - 1e-3, negative)


def test_labels_that_are_not_linear_are_named():
    inside = lambda x: x.norm(dim=1) < 1  # noqa: E731
    with pytest.raises(ValueError, match="not those of a linear model"):
        find_hyperplane(inside, torch.zeros(3).double(), torch.tensor([2.0, 0.0, 0.0]).double())


def test_bad_points_are_refused():
    for positive, negative in ((torch.zeros(1), torch.ones(1)), (torch.zeros(2, 2), torch.ones(2, 2))):
        with pytest.raises(ValueError, match="one point of d >= 2"):
            find_hyperplane(lambda x: x[:, 0] > 0, positive, negative)
    with pytest.raises(ValueError, match="one shape"):
        find_hyperplane(lambda x: x[:, 0] > 0, torch.zeros(2), torch.zeros(3))
    with pytest.raises(TypeError, match="must be a tensor"):
        find_hyperplane(lambda x: x[:, 0] > 0, np.zeros(2), torch.zeros(2))
