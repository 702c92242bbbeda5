"""The attacks reach what closed forms say they can, and nothing where there is nothing to find."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from modelsec_course import data, ensembles, runtime
from modelsec_course.membership import auc, gap_attack, lira, logit_scale, rmia, tpr_at_fpr

DRAW = runtime.generator


def world(n=40_000, shadows=64, mu=1.0, seed=0):
    """Answers N(difficulty + μ, 1) of models with a record and N(difficulty, 1) of those without."""
    draw = DRAW(seed)
    difficulty = 3 * torch.randn(n, generator=draw, dtype=torch.float64)
    members = torch.rand(shadows + 1, n, generator=draw) < 0.5
    answers = difficulty + mu * members + torch.randn(members.shape, generator=draw, dtype=torch.float64)
    return answers[0], answers[1:], members[1:], members[0], difficulty


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("mu", [1.0, 2.0])
def test_with_exact_gaussians_the_attack_meets_the_closed_form(mu, mode):
    target, _, _, truth, difficulty = world(mu=mu)
    members = torch.tensor([True, True, False, False])[:, None].expand(4, len(target))
    wobble = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)[:, None] * 2**-0.5  # unit variance, unbiased
    shadows = difficulty + (mu * members) + wobble
    scores = lira(target, shadows, members, mode=mode)
    area, found = auc(scores, truth), tpr_at_fpr(scores, truth, 0.01)
    assert area.low - 0.002 <= norm.cdf(mu / 2**0.5) <= area.high + 0.002
    at = norm.ppf(0.01)
    tolerance = 4 * norm.pdf(at + mu) / norm.pdf(at) * (0.01 / 20_000) ** 0.5 + 2 * (found.high - found.low)
    assert abs(found.value - norm.cdf(at + mu)) < tolerance
    assert found.value > 2 * tpr_at_fpr(target, truth, 0.01).value


def test_one_threshold_for_all_falls_short_of_the_closed_form():
    target, shadows, members, truth, _ = world()
    plain, found = tpr_at_fpr(target, truth, 0.01), tpr_at_fpr(lira(target, shadows, members), truth, 0.01)
    assert plain.value == pytest.approx(norm.sf(norm.isf(0.01) - 10**-0.5), abs=0.006)  # difficulties have variance 9
    assert 0.06 < found.value < 0.095  # 64 shadows: a little below .0924


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("variance", ["pooled", "each"])
def test_lira_equals_a_loop_over_records(mode, variance):
    target, shadows, members, *_ = (part.numpy() for part in world(n=30, shadows=20))
    groups = []
    for group in (members, ~members):
        means = [shadows[group[:, i], i].mean() for i in range(30)]
        squares = [((shadows[group[:, i], i] - means[i]) ** 2).sum() for i in range(30)]
        free = group.sum(0) - 1
        stds = np.sqrt(np.array(squares) / free if variance == "each" else np.full(30, sum(squares) / free.sum()))
        groups.append(norm(np.array(means), stds))
    expected = {"online": groups[0].logpdf(target) - groups[1].logpdf(target), "offline": -groups[1].logsf(target)}
    got = lira(*map(torch.tensor, (target, shadows, members)), mode=mode, variance=variance)
    assert np.allclose(got.numpy(), expected[mode])


def test_several_targets_score_as_each_alone():
    target, shadows, members, *_ = world(n=30)
    both = lira(torch.stack([target, -target]), shadows, members)
    assert torch.allclose(both[1], lira(-target, shadows, members))


def test_the_floor_keeps_constant_shadows_finite():
    members = torch.tensor([True, True, False, False])[:, None].expand(4, 3)
    shadows = members.double() * 2
    for mode in ("online", "offline"):
        got = lira(torch.tensor([2.0, 0.0, 1.0]).double(), shadows, members, mode=mode, floor=0.5)
        assert got.isfinite().all()
        assert got[0] > got[2] > got[1]
    assert lira(torch.tensor([2.0, 0.0, 1.0]).double(), shadows, members, floor=0.5)[0] == pytest.approx(8)  # (2/.5)²/2


def test_one_shadow_model_is_enough_to_answer():
    target, shadows, members, *_ = world(n=50, shadows=1)
    for scores in (lira(target, shadows, members), lira(target, shadows, members, mode="offline")):
        assert scores.isfinite().all()


def test_log_odds_are_exact_where_p_rounds():
    margin = torch.tensor([0.0, 5.0, 20.0, 300.0, -300.0])
    logits, y = torch.stack([margin, torch.zeros(5)], 1), torch.zeros(5, dtype=torch.int64)
    assert torch.equal(logit_scale(logits, y), margin)
    logits, y = torch.randn(2, 7, 5, generator=DRAW(1), dtype=torch.float64), torch.arange(7) % 5
    p = logits.softmax(-1)[:, torch.arange(7), y]
    assert torch.allclose(logit_scale(logits, y), (p / (1 - p)).log())
    assert torch.equal(gap_attack(logits, y), (logits.argmax(-1) == y).double())


def test_rmia_equals_a_loop_over_pairs():
    draw = DRAW(2)
    p, z, p_shadow, z_shadow = (torch.rand(shape, generator=draw).double() for shape in ((9,), (7,), (5, 9), (5, 7)))
    members = torch.rand(5, 9, generator=draw) < 0.5
    members[0] = False
    for gamma, a in ((1.0, 0.3), (1.5, 0.0), (0.5, 1.0)):
        got = rmia(p, z, p_shadow, z_shadow, members, gamma=gamma, a=a)
        for i in range(9):
            out = p_shadow[~members[:, i], i].mean()
            ratio = p[i] / (((1 + a) * out + 1 - a) / 2)
            others = [z[j] / (((1 + a) * z_shadow[:, j].mean() + 1 - a) / 2) for j in range(7)]
            beaten = sum(bool(ratio / other >= gamma) for other in others)
            assert int(got[i] * 8 + 1e-9) == beaten  # the rest, below one z, breaks ties
        assert ((got >= 0) & (got < 1)).all()


def test_rmia_guesses_where_there_is_nothing():
    draw = DRAW(3)
    p, z, p_shadow, z_shadow = (
        torch.rand(shape, generator=draw) for shape in ((6000,), (300,), (4, 6000), (4, 300))
    )  # fmt: skip
    members, truth = torch.rand(4, 6000, generator=draw) < 0.5, torch.rand(6000, generator=draw) < 0.5
    assert abs(auc(rmia(p, z, p_shadow, z_shadow, members), truth).value - 0.5) < 0.03


@pytest.fixture(scope="module")
def digits():
    """24 networks on halves of 600 digits with one label in ten wrong, untrained ones, and what they say."""
    everything, draw = data.load("digits"), DRAW(4)
    x, y = everything.x_train[:600], everything.y_train[:600].clone()
    wrong = torch.rand(600, generator=draw) < 0.1
    y[wrong] = (y[wrong] + torch.randint(1, 10, (600,), generator=draw)[wrong]) % 10
    members = torch.rand(24, 600, generator=draw) < 0.5
    net = lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))  # noqa: E731
    said = []
    for epochs, lr in ((60, 3e-3), (1, 1e-12)):
        models = ensembles.train(net, x, y, members, epochs=epochs, lr=lr, generator=DRAW(5), progress=False)
        said.append(logit_scale(models.logits(x), y))
    return *said, members, wrong


def test_on_digits_lira_finds_five_times_what_one_threshold_finds(digits):
    trained, _, members, wrong = digits
    scores = lira(trained[:8], trained[8:], members[8:])
    found, plain = tpr_at_fpr(scores, members[:8], 0.01), tpr_at_fpr(trained[:8], members[:8], 0.01)
    assert found.low > 5 * plain.value
    odd = scores[:, wrong][members[:8][:, wrong]].mean()
    assert odd > scores[:, ~wrong][members[:8][:, ~wrong]].mean() + 1  # who is odd is exposed


def test_untrained_models_and_another_models_list_are_guessed(digits):
    trained, untrained, members, _ = digits
    for scores, truth in (
        (lira(untrained[:8], untrained[8:], members[8:]), members[:8]),
        (lira(trained[:8], trained[8:], members[8:]), members[:8].roll(1, 0)),
    ):
        area = auc(scores, truth)
        assert area.low - 0.01 < 0.5 < area.high + 0.01  # records recur in eight victims: not quite independent
        assert tpr_at_fpr(scores, truth, 0.01).value < 0.025


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "both"}, "mode"),
        ({"variance": "none"}, "variance"),
        ({"floor": 0.0}, "floor"),
        ({"members": torch.zeros(4, 3, dtype=torch.bool)}, "with and one without"),
        ({"members": torch.ones(4, 3)}, "bool"),
        ({"target": torch.zeros(4)}, "target must be"),
        ({"target": torch.tensor([0.0, torch.nan, 0.0])}, "finite"),
        ({"shadows": torch.full((4, 3), torch.inf)}, "logit_scale"),
    ],
)
def test_bad_input_of_lira_is_explained(change, words):
    members = torch.tensor([True, True, False, False])[:, None].expand(4, 3)
    arguments = {"target": torch.zeros(3), "shadows": torch.zeros(4, 3), "members": members}
    with pytest.raises(ValueError, match=words):
        lira(**arguments | change)


def test_bad_input_of_rmia_and_log_odds_is_explained():
    p, members = torch.full((3,), 0.5), torch.tensor([[True, False, True]])
    with pytest.raises(ValueError, match="probabilities"):
        rmia(4 * p, p, p[None], p[None], members)
    with pytest.raises(ValueError, match="gamma"):
        rmia(p, p, p[None], p[None], members, gamma=0)
    with pytest.raises(ValueError, match="label 4"):
        logit_scale(torch.zeros(2, 3), torch.tensor([0, 4]))
    with pytest.raises(ValueError, match="two classes"):
        logit_scale(torch.zeros(2, 1), torch.tensor([0, 0]))
