"""What the monitor sees and what it misses; rounded answers stay probabilities with the same label."""

import numpy as np
import pytest
import torch
from scipy.stats import shapiro

from modelsec_course import data, evasion, runtime, zoo
from modelsec_course.extraction import Victim, mixtures, nearest_earlier, prada_score, round_outputs, solve_logistic


def zeros(n):
    return torch.zeros(n, dtype=torch.int64)


def test_distances_are_to_the_nearest_earlier_query_with_the_same_label():
    queries = torch.tensor([[0.0], [10.0], [4.0], [9.0], [1.0], [12.0]])
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    assert nearest_earlier(queries, labels).tolist() == [4.0, 1.0, 1.0, 2.0]  # the first of each label has none
    assert nearest_earlier(queries, zeros(6)).tolist() == [10.0, 4.0, 1.0, 1.0, 2.0]


def test_pictures_are_flattened():
    queries = torch.zeros(2, 1, 2, 2)
    queries[1] = 3
    assert nearest_earlier(queries, zeros(2)).tolist() == [6.0]


def test_the_score_is_shapiro_and_wilks_w_without_outliers():
    steps = np.random.default_rng(0).gamma(4, size=60)
    steps[30] = 500
    line = torch.as_tensor(np.append(0, np.cumsum(steps)))[:, None]
    kept = np.delete(steps, 30)
    assert np.abs(kept - steps.mean()).max() < 3 * steps.std()  # no other is an outlier
    assert prada_score(line, zeros(61)) == pytest.approx(shapiro(kept).statistic)


def test_against_a_loop_over_the_digits():
    digits, net = data.load("digits"), zoo.load("digits-cnn", device="cpu")
    x = digits.x_test[:150]
    labels, found = net(x).argmax(1), []
    for i in range(150):
        before = [(x[i] - x[j]).norm().item() for j in range(i) if labels[j] == labels[i]]
        found += [min(before)] if before else []
    np.testing.assert_allclose(nearest_earlier(x, labels), found, rtol=1e-5)


@pytest.fixture(scope="module")
def streams():
    """What several clients of digits-cnn ask, and the alarm that 1 % of honest ones would raise."""
    digits, net = data.load("digits"), zoo.load("digits-cnn", device="cpu")

    @torch.no_grad()
    def score(x):
        return prada_score(x, net(x).argmax(1))

    draw = runtime.generator(0)
    honest = [score(digits.x_test[torch.randperm(360, generator=draw)[:200]]) for _ in range(100)]
    public, public_y = digits.x_test[:100], digits.y_test[:100]
    seen = []
    for k in range(20):
        ask = lambda z: seen.append(z.clone()) or net(z)  # noqa: E731
        evasion.square_attack(ask, public[k : k + 1], public_y[k : k + 1], eps=0.15, queries=20)
    seeds = public[:50]
    for _ in range(2):
        seeds = torch.cat([seeds, evasion.fgsm(net, seeds, net(seeds).argmax(1), eps=0.1, targeted=True)])
    asked = {
        "square": torch.cat(seen)[:200],
        "jacobian": seeds,
        "blends": mixtures(public, 200, generator=draw),
        "noise": torch.rand(200, 1, 8, 8, generator=draw),
    }
    return {name: score(x) for name, x in asked.items()}, float(np.quantile(honest, 0.01))


@pytest.mark.parametrize("attack", ["square", "jacobian"])
def test_small_steps_from_new_digits_are_caught(attack, streams):
    scores, alarm = streams
    assert scores[attack] < alarm


@pytest.mark.parametrize("attack", ["blends", "noise"])
def test_blends_and_noise_are_missed(attack, streams):
    """A limit of the method, not of the code: their distances have one heap."""
    scores, alarm = streams
    assert scores[attack] > alarm


def test_too_few_queries_have_no_score():
    with pytest.raises(ValueError, match="at least 20 distances that are not all equal, but there are 4"):
        prada_score(torch.arange(5.0)[:, None] ** 2, zeros(5))
    with pytest.raises(ValueError, match="not all equal"):
        prada_score(torch.arange(50.0)[:, None], zeros(50))
    with pytest.raises(ValueError, match="but there are 0"):
        prada_score(torch.zeros(0, 2), zeros(0))


def random_probabilities(classes, scale, seed=0):
    return (scale * torch.randn(500, classes, generator=runtime.generator(seed))).softmax(1)


@pytest.mark.parametrize("classes", [2, 3, 10, 50])
@pytest.mark.parametrize("decimals", [1, 2, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounded_answers_are_probabilities_with_the_same_label(classes, decimals, dtype):
    for scale in (0.01, 1.0, 5.0):
        p = random_probabilities(classes, scale).to(dtype)
        got = round_outputs(p, decimals)
        units = got.double() * 10**decimals
        assert got.dtype == dtype
        torch.testing.assert_close(units, units.round(), atol=1e-2 if dtype == torch.float32 else 1e-9, rtol=0)
        torch.testing.assert_close(got.sum(1), torch.ones(500, dtype=dtype), atol=1e-6, rtol=0)
        assert torch.equal(got.argmax(1), p.argmax(1))
        first, second = got.topk(2, dim=1).values.T
        assert (first > second).all()
        others = ~torch.nn.functional.one_hot(p.argmax(1), classes).bool()
        assert (got - p).abs()[others].max() < 10**-decimals


def test_known_roundings():
    p = torch.tensor([[0.66, 0.29, 0.05], [0.4, 0.35, 0.25], [0.29, 0.42, 0.29]], dtype=torch.float64)
    assert round_outputs(p, 1).tolist() == [[0.8, 0.2, 0.0], [0.5, 0.3, 0.2], [0.2, 0.6, 0.2]]
    assert round_outputs(p, 2).tolist() == p.tolist()  # 0.29 · 100 is 28.999999999999996 in floating point


def test_rounding_to_the_nearest_would_change_labels():
    p = random_probabilities(50, 1.0)
    nearest = p.round(decimals=1)
    first, second = nearest.topk(2, dim=1).values.T
    assert (first == second).float().mean() > 0.5


def test_rounding_takes_digits_from_the_equation_solver():
    layer = zoo.load("tumours-logistic", device="cpu")[-1].double()
    w, error = (layer.weight[1] - layer.weight[0]).detach(), []
    x = torch.randn(2000, 30, generator=runtime.generator(3)).double() / 3
    for decimals in (None, 4, 2):
        p = Victim(layer, decimals=decimals)(x)[:, 1]
        inside = (p > 0) & (p < 1)
        error.append(((solve_logistic(x[inside], p[inside])[0] - w).norm() / w.norm()).item())
    assert error[0] < 1e-9 < 1e-6 < error[1] < error[2]


@pytest.mark.parametrize("wrong", [torch.tensor([0.5, 0.5]), torch.tensor([[1, 0]])])
def test_what_is_no_batch_of_probabilities_is_refused(wrong):
    with pytest.raises(ValueError, match=r"floats \(n, classes\)"):
        round_outputs(wrong, 1)
