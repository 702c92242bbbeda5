"""Trees whose score cannot fall when a suspicious column rises."""

from __future__ import annotations

import functools

import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from modelsec_course import robustness, runtime
from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.labs.common import argument


def _waves(n=3000):
    """Rows (n, 3) in [0, 4]; the truth goes up and down in the first two columns and with the third alone."""
    draw = runtime.generator(0)
    x = 4 * torch.rand(n, 3, generator=draw)
    chance = 0.5 + 0.4 * torch.sin(3 * x[:, 0]) * (x[:, 1] - 2).sign() - 0.1 * (x[:, 2] - 2)
    return x, (torch.rand(n, generator=draw) < chance.clamp(0.02, 0.98)).long()


def _grid(column):
    """40 rows, and the same rows with one column at 25 values from low to high: (25, 40, 3)."""
    rows = 4 * torch.rand(40, 3, generator=runtime.generator(1))
    rows = rows.repeat(25, 1, 1)
    rows[:, :, column] = torch.linspace(0, 4, 25)[:, None]
    return rows


def _score(model, x):
    shape = x.shape[:-1]
    return torch.as_tensor(model.predict_proba(x.reshape(-1, x.shape[-1]).numpy())[:, 1]).reshape(shape)


def _rises(monotone):
    """Where the sign is 1, raising the column never lowers the probability of fraud"""
    x, y = _waves()
    model = monotone(x, y, torch.tensor([1, 0, 0]))
    fall = -_score(model, _grid(0)).diff(dim=0).min().item()
    expect(fall < 1e-9, f"signs = [1, 0, 0]: raising column 0 lowers the probability of class 1 by up to {fall:.2g}")


def _falls(monotone):
    """Where the sign is −1, raising it never raises the probability"""
    x, y = _waves()
    model = monotone(x, y, torch.tensor([0, 0, -1]))
    rise = _score(model, _grid(2)).diff(dim=0).max().item()
    expect(rise < 1e-9, f"signs = [0, 0, -1]: raising column 2 raises the probability of class 1 by up to {rise:.2g}")


def _free(monotone):
    """Where the sign is 0, the model may go up and down as the data do"""
    x, y = _waves()
    score = _score(monotone(x, y, torch.tensor([0, 1, 0])), _grid(0))
    steps = score.diff(dim=0)
    expect(
        steps.max() > 0.1 and steps.min() < -0.1,
        "signs = [0, 1, 0]: column 0 is free and its truth is a wave, but the model hardly follows it",
    )


def _learns(monotone):
    """It tells the classes apart about as well as trees can"""
    x, y = _waves()
    model, free = monotone(x, y, torch.tensor([0, 0, -1])), HistGradientBoostingClassifier(random_state=0)
    fresh = 4 * torch.rand(2000, 3, generator=runtime.generator(2))
    truth = torch.sin(3 * fresh[:, 0]) * (fresh[:, 1] - 2).sign() > 0.25 * (fresh[:, 2] - 2)
    best = _score(free.fit(x.numpy(), y.numpy()), fresh)
    right, most = (((score > 0.5) == truth).double().mean().item() for score in (_score(model, fresh), best))
    expect(right > most - 0.05, f"on fresh rows it is right for {right:.0%}, free trees for {most:.0%}")


def _classifier(result, args, kwargs) -> None:
    expect(hasattr(result, "predict_proba"), f"expected a fitted classifier, got a {type(result).__name__}: return it")
    width = argument(args, kwargs, 0, "x").shape[1]
    expect(getattr(result, "n_features_in_", width) == width, "the classifier was not fitted on all columns of x")


def monotone_model(x, y, signs):
    return robustness.monotone_model(x, y, signs)


def _trees(x, y, signs, *, use=lambda s: s, label=lambda y: y, rounds=80, **options):
    signs = [int(sign) for sign in use(torch.as_tensor(signs))]
    trees = HistGradientBoostingClassifier(max_iter=rounds, random_state=1, monotonic_cst=signs, **options)
    return trees.fit(x.numpy(), label(y).numpy())


EXERCISE = Exercise(
    "06.monotone_model",
    title="More is never less suspicious",
    reference=monotone_model,
    properties=[_rises, _falls, _free, _learns],
    hints=[
        "`HistGradientBoostingClassifier` has an argument for it: `help(HistGradientBoostingClassifier)`, and look for "
        "monotonic.",
        "`HistGradientBoostingClassifier(max_iter=80, random_state=0, monotonic_cst=signs.numpy())`, then "
        "`.fit(x.numpy(), y.numpy())`, which returns the model.",
    ],
    returns=_classifier,
    second=_trees,
    mutants={
        "trees without the constraint": functools.partial(_trees, use=torch.zeros_like),
        "signs turned round": functools.partial(_trees, use=lambda s: -s),
        "every column must rise": functools.partial(_trees, use=torch.ones_like),
        "signs in the wrong order": functools.partial(_trees, use=lambda s: s.flip(0)),
        "ignores the minus": functools.partial(_trees, use=lambda s: s.abs()),
        "learns the opposite": functools.partial(_trees, label=lambda y: 1 - y),
        "a linear model": lambda x, y, signs: LogisticRegression().fit(x.numpy(), y.numpy()),
        "one tree of two leaves": functools.partial(_trees, rounds=1, max_leaf_nodes=2),
    },
)
