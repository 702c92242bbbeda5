"""Attribute inference: Bayes' rule in closed form, its baseline, and what a memorising regressor tells of whom."""

from statistics import NormalDist, mean

import pytest
import torch
from torch import nn

from modelsec_course import data, models, runtime, training
from modelsec_course.membership.attributes import ask_each_value, impute, infer_attribute
from modelsec_course.statistics import clopper_pearson

WEIGHT = torch.tensor([0.5, 2.0, -1.0])


def plane(x):
    """A regressor with a known slope: 2 along the hidden column 1."""
    return x @ WEIGHT


def records(n=6, seed=0):
    return torch.randn(n, 3, generator=runtime.generator(seed))


def guess(x, y, model=plane, prior=(0.5, 0.5), values=(0.0, 1.0), sigma=1.0):
    return infer_attribute(model, x, y, column=1, values=values, prior=torch.as_tensor(prior), sigma=sigma)


def test_each_value_is_asked_and_the_hidden_one_is_never_looked_at():
    x = records()
    hidden = x.clone()
    hidden[:, 1] = torch.nan
    answers = ask_each_value(plane, hidden, column=1, values=(0.0, 1.0, 5.0))
    rest = x[:, 0] * 0.5 - x[:, 2]
    torch.testing.assert_close(answers, torch.stack([rest, rest + 2, rest + 10], 1))
    assert hidden[:, 1].isnan().all(), "the caller's records were changed"


@pytest.mark.parametrize("sigma", [0.3, 2.0])
@pytest.mark.parametrize("prior", [0.5, 0.1])
def test_on_a_plane_the_log_odds_are_those_of_two_gaussians(sigma, prior):
    x, y = records(), torch.linspace(-3, 3, 6)
    posterior = guess(x, y, prior=(1 - prior, prior), sigma=sigma)
    rest = y - (x[:, 0] * 0.5 - x[:, 2])  # (r² − (r − 2)²) / 2σ² = 2 (r − 1) / σ²
    expected = torch.logit(torch.tensor(prior)) + 2 * (rest - 1) / sigma**2
    torch.testing.assert_close(posterior[:, 1], expected.sigmoid())
    torch.testing.assert_close(posterior.sum(1), torch.ones(6))


def test_a_model_that_ignores_the_column_leaves_the_prior():
    x, y = records(), torch.zeros(6)
    prior = torch.tensor([[0.2, 0.3, 0.5]]).repeat(6, 1)
    prior[3] = torch.tensor([0.7, 0.2, 0.1])
    got = guess(x, y, model=lambda rows: rows[:, :1] * 4, prior=prior, values=(1.0, 2.0, 3.0), sigma=0.01)
    torch.testing.assert_close(got, prior)


def test_where_the_model_is_the_truth_the_posterior_is_right_as_often_as_two_gaussians_can_be_told_apart():
    generator, sigma, n = runtime.generator(4), 1.5, 4000
    x = torch.randn(n, 3, generator=generator)
    x[:, 1] = torch.randint(2, (n,), generator=generator).float()
    y = plane(x) + sigma * torch.randn(n, generator=generator)
    posterior = guess(x, y, sigma=sigma)
    right = int((posterior.argmax(1) == x[:, 1]).sum())
    low, high = clopper_pearson(right, n, confidence=0.999)
    assert low < NormalDist().cdf(2 / (2 * sigma)) < high  # two means, 2 apart
    sure = posterior[:, 1] > 0.8
    assert x[sure, 1].mean() == pytest.approx(posterior[sure, 1].mean().item(), abs=0.05)


def test_imputation_finds_what_the_other_columns_say_and_nothing_else():
    generator = runtime.generator(5)
    x, secret = torch.randn(600, 4, generator=generator), torch.randint(2, (600,), generator=generator)
    told = x.clone()
    told[:, 2] += 4 * secret
    for columns, expected in ((told, NormalDist().cdf(2)), (x, 0.5)):
        probability = impute(columns[:300], secret[:300], columns[300:])
        right = int((probability.argmax(1) == secret[300:]).sum())
        low, high = clopper_pearson(right, 300, confidence=0.999)
        assert low < expected < high
        torch.testing.assert_close(probability.sum(1), torch.ones(300))


def test_imputation_does_not_depend_on_the_columns_units():
    generator = runtime.generator(6)
    x, secret = torch.randn(200, 3, generator=generator), torch.randint(2, (200,), generator=generator)
    other = x * torch.tensor([1.0, 1000.0, 0.01]) + 7
    torch.testing.assert_close(
        impute(x[:100], secret[:100], x[100:]), impute(other[:100], secret[:100], other[100:]), atol=1e-4, rtol=0
    )


def ridge(x, y, penalty=1.0):
    """The closed form on standardised columns."""
    centre, spread = x.mean(0), x.std(0)
    z = (x - centre) / spread
    weight = torch.linalg.solve(z.T @ z + penalty * torch.eye(x.shape[1]), z.T @ (y - y.mean()))
    return lambda rows: (rows - centre) / spread @ weight + y.mean()


def memoriser(x, y, seed):
    net = nn.Sequential(
        models.Normalize(x.mean(0), x.std(0)),
        nn.Linear(10, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1),
    )  # fmt: skip
    models.initialise(net, runtime.generator(seed))
    options = {"loss": training.squared_error, "generator": runtime.generator(seed + 1), "progress": False}
    training.fit(net, x, y, epochs=200, lr=3e-3, batch_size=len(x), **options)
    return net


def sex_of_diabetics(seed):
    """Shares guessed right: {(who, how)}, for the attacks and for imputation with and without the outcome."""
    loaded = data.load("diabetes")
    order = torch.randperm(442, generator=runtime.generator(seed))
    x, y = torch.cat([loaded.x_train, loaded.x_test])[order], torch.cat([loaded.y_train, loaded.y_test])[order]
    groups = {"members": slice(0, 147), "others": slice(147, 294)}
    known = slice(294, 442)
    column = loaded.features.index("sex")
    y = (y - y[groups["members"]].mean()) / y[groups["members"]].std()
    sex, rest = (x[:, column] == 2).long(), x[:, torch.arange(10) != column]
    prior, found = sex[known].bincount() / len(sex[known]), {}
    fitted = {"memoriser": memoriser(x[:147], y[:147], seed + 10), "ridge": ridge(x[:147], y[:147])}
    for who, rows in groups.items():
        guesses = {"imputed": impute(rest[known], sex[known], rest[rows])}
        both = torch.cat([rest, y[:, None]], 1)
        guesses["imputed with outcome"] = impute(both[known], sex[known], both[rows])
        for name, model in fitted.items():
            with torch.no_grad():
                sigma = max(0.05, (model(x[:147]).reshape(-1) - y[:147]).square().mean().sqrt().item())
            guesses[name] = infer_attribute(
                model, x[rows], y[rows], column=column, values=(1, 2), prior=prior, sigma=sigma
            )
        found |= {(who, how): (p.argmax(1) == sex[rows]).float().mean().item() for how, p in guesses.items()}
    return found


def test_a_memorising_regressor_gives_away_the_sex_of_its_members_only_and_ridge_of_nobody():
    runs = [sex_of_diabetics(seed) for seed in range(5)]
    share = {key: mean(run[key] for run in runs) for key in runs[0]}
    imputed = max(share["members", "imputed"], share["members", "imputed with outcome"])
    assert imputed == pytest.approx(0.69, abs=0.04)  # FINDINGS: .70
    assert min(run["members", "memoriser"] for run in runs) >= 0.9
    assert share["others", "memoriser"] == pytest.approx(0.53, abs=0.06)  # 735 people: ± .04
    assert share["others", "memoriser"] < share["others", "imputed"] - 0.05
    for who in ("members", "others"):
        assert share[who, "ridge"] < imputed
        assert share[who, "imputed"] == pytest.approx(imputed, abs=0.04)


X, Y = records(), torch.zeros(6)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"column": 3}, ValueError, r"x must be \(n, columns\) with more than column = 3"),
        ({"column": 0.5}, TypeError, r"column must be a whole number"),
        ({"sigma": 0}, ValueError, r"sigma must be above 0"),
        ({"prior": torch.tensor([0.5])}, ValueError, r"prior must hold a probability above 0 for each of the 2 values"),
        ({"prior": torch.tensor([1.0, 0.0])}, ValueError, r"prior must hold a probability above 0"),
        ({"prior": [0.5, 0.5]}, TypeError, r"prior must be a tensor"),
        ({"y": Y.long()}, ValueError, r"y must hold floating-point numbers"),
        ({"y": Y[:2]}, ValueError, r"y must have shape \(6,\)"),
        ({"model": 3}, TypeError, r"model must be callable"),
        ({"model": lambda x: x[:, :2]}, ValueError, r"a number for each of 6 records, but it returned \(6, 2\)"),
        ({"values": (), "prior": torch.ones(0)}, ValueError, r"values must hold what the hidden column can be"),
    ],
)
def test_bad_arguments_are_refused(options, kind, message):
    good = {"model": plane, "x": X, "y": Y, "column": 1, "values": (0, 1), "prior": torch.ones(2) / 2, "sigma": 1.0}
    with pytest.raises(kind, match=message):
        infer_attribute(**good | options)


@pytest.mark.parametrize(
    ("attribute", "queries", "message"),
    [
        (torch.tensor([0, 2, 0, 2, 0, 2]), X, r"attribute must hold every value from 0 on.*\[0, 2\]"),
        (torch.zeros(6, dtype=torch.int64), X, r"at least two of them"),
        (torch.tensor([0, 1]), X, r"attribute must have shape \(6,\)"),
        (torch.arange(6) % 2, X[:, :2], r"with the same columns.*\(6, 3\) and \(6, 2\)"),
    ],
)
def test_imputation_needs_people_of_every_value_and_the_same_columns(attribute, queries, message):
    with pytest.raises(ValueError, match=message):
        impute(X, attribute, queries)
