"""How many adversarial pictures made on a surrogate fool the victim, among what both read correctly before?"""

from __future__ import annotations

import functools

import torch

from modelsec_course import evasion
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import WatchedAttack, digits_model, still_right


def _readers():
    """Eight inputs (8, 2): the surrogate reads the first number, the victim the second; both should be the label 1.

    The attack turns a row's numbers to 0 as the third and fourth say.
    """
    seen = torch.tensor([[1, 1], [1, 1], [1, 1], [1, 1], [0, 1], [1, 0], [0, 0], [1, 1]]).float()
    turns = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0], [1, 1], [1, 1], [0, 0], [0, 1]]).float()
    x, y = torch.cat([seen, turns], 1), torch.ones(8, dtype=torch.int64)
    surrogate = lambda z: torch.stack([0.5 - z[:, 0], z[:, 0] - 0.5], 1)  # noqa: E731
    victim = lambda z: torch.stack([0.5 - z[:, 1], z[:, 1] - 0.5], 1)  # noqa: E731
    return surrogate, victim, x, y


def _turn(model, x, y):
    return torch.cat([x[:, :2] * (1 - x[:, 2:]), x[:, 2:]], 1)


def _rate_exact(rate):
    """Counts only what both models read correctly before"""
    surrogate, victim, x, y = _readers()
    expect_close(rate(_turn, surrogate, victim, x, y), 3 / 5, 1e-6, "the rate (5 inputs count, 3 of them transfer)")
    expect_close(rate(_turn, surrogate, victim, x[[4, 5, 7]], y[:3]), 1.0, 1e-6, "the rate (1 input counts)")


def _rate_control(rate):
    """An attack that changes nothing transfers to nobody"""
    surrogate, victim, x, y = _readers()
    expect_close(rate(lambda model, x, y: x, surrogate, victim, x, y), 0.0, 1e-6, "the rate of doing nothing")


def _rate_none(rate):
    """Where no input counts, the rate is 0"""
    surrogate, victim, x, y = _readers()
    expect_close(rate(_turn, surrogate, victim, x[4:7], y[:3]), 0.0, 1e-6, "the rate when no input counts")


def _rate_crafts(rate):
    """The attack sees the surrogate, never the victim"""
    surrogate, victim, x, y = _readers()
    watched = WatchedAttack(_turn)
    rate(watched, surrogate, victim, x, y)
    expect(watched.given, "the attack was never called")
    expect(all(model is surrogate for model, _, _ in watched.given), "the attack was given the victim")


def _rate_own(rate):
    """On the lab's model as its own surrogate: the white-box success"""
    model, x, y = digits_model(40)
    attack = functools.partial(evasion.pgd, eps=0.1, steps=10, stop_early=False)
    success = (~still_right(model, attack(model, x, y), y)).float().mean()
    expect_close(rate(attack, model, model, x, y), success, 0.051, "the rate")


def transfer_rate(attack, surrogate, model, x, y):
    both = still_right(model, x, y) & still_right(surrogate, x, y)
    if not both.any():
        return 0.0
    x_adv = attack(surrogate, x[both], y[both])
    return (~still_right(model, x_adv, y[both])).float().mean().item()


def _rate_wrong(attack, surrogate, model, x, y, *, count="both", fooled="model", on="surrogate"):
    right = {"model": still_right(model, x, y), "surrogate": still_right(surrogate, x, y)}
    counted = {"both": right["model"] & right["surrogate"], "all": torch.ones_like(y, dtype=torch.bool), **right}[count]
    x_adv = attack({"surrogate": surrogate, "model": model}[on], x, y)
    fell = {"model": ~still_right(model, x_adv, y), "surrogate": ~still_right(surrogate, x_adv, y)}
    hit = fell["model"] & fell["surrogate"] if fooled == "both" else fell[fooled]
    return (hit & counted).float().sum().item() / max(int(counted.sum()), 1)


@torch.no_grad()
def _rate_rows(attack, surrogate, model, x, y):
    rows = [i for i in range(len(x)) if model(x[i : i + 1]).argmax() == y[i] == surrogate(x[i : i + 1]).argmax()]
    if not rows:
        return 0.0
    crafted = attack(surrogate, x[rows], y[rows])
    return 1 - (model(crafted).argmax(1) == y[rows]).double().mean()


EXERCISE = Exercise(
    "02.transfer_rate",
    title="What transfers",
    reference=transfer_rate,
    properties=[_rate_exact, _rate_control, _rate_none, _rate_crafts, _rate_own],
    hints=[
        "`both = (surrogate(x).argmax(1) == y) & (model(x).argmax(1) == y)` says which inputs count.",
        "Craft on the surrogate, for those inputs: `x_adv = attack(surrogate, x[both], y[both])`. Then ask the "
        "**victim**.",
        "The rate is the mean of `model(x_adv).argmax(1) != y[both]`; the mean of nothing is not a number, so return "
        "0.0 if `both` is all False.",
    ],
    second=_rate_rows,
    mutants={
        "counts every input": functools.partial(_rate_wrong, count="all"),
        "counts what the victim alone reads correctly": functools.partial(_rate_wrong, count="model"),
        "counts what the surrogate alone reads correctly": functools.partial(_rate_wrong, count="surrogate"),
        "measures the surrogate's mistakes": functools.partial(_rate_wrong, fooled="surrogate"),
        "leaves out what the surrogate withstood": functools.partial(_rate_wrong, fooled="both"),
        "attacks the victim itself": functools.partial(_rate_wrong, on="model"),
        "returns the accuracy that is left": lambda *a: 1 - transfer_rate(*a),
    },
)
