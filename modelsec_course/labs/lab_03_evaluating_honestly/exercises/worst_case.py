"""Run several attacks, each on what still stands, and count no success outside the ball."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import WatchedAttack, still_right
from modelsec_course.labs.lab_03_evaluating_honestly.exercises.shared import shares


def _scales() -> tuple[nn.Module, Tensor, Tensor]:
    """Says 1 where the mean pixel is above ½. Twelve pictures, of which the last two are mislabelled."""
    model = lambda x: torch.stack([0 * x.flatten(1).mean(1) + 0.5, x.flatten(1).mean(1)], 1)  # noqa: E731
    x = (
        shares(0.40, 0.42, 0.44, 0.46, 0.48, 0.60, 0.58, 0.56, 0.54, 0.52, 0.45, 0.55)
        .view(12, 1, 1, 1)
        .repeat(1, 1, 2, 2)
    )
    return model, x, torch.tensor([0] * 5 + [1] * 5 + [1, 0])


def _brighter(by: float):
    return lambda model, x, y: (x + by).clamp(0, 1)


def _minimum(worst_case):
    """An input stands if it stands every attack: the worst case, not the mean nor the last attack"""
    model, x, y = _scales()
    for names in (("brighter", "darker"), ("darker", "brighter")):
        attacks = {"brighter": _brighter(0.05), "darker": _brighter(-0.05)}
        got = worst_case(model, x, y, {name: attacks[name] for name in names}, 0.06)
        want = torch.tensor([1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0]).bool()
        expect_close(got.float(), want.float(), 1e-6, f"who stands {' and '.join(names)}")


def _wrong_already(worst_case):
    """What is wrong without any attack does not stand"""
    model, x, y = _scales()
    mend = {"moves everything back to its label": lambda model, x, y: x + 0.05 * (2 * y - 1).view(-1, 1, 1, 1)}
    got = worst_case(model, x, y, mend, 0.06)
    expect(got.shape == y.shape and got.dtype == torch.bool, "expected True or False for each input, shaped like y")
    expect(got.sum() == 10, f"{int(got.sum())} of 12 stand, but 2 are wrong before any attack")


def _only_the_standing(worst_case):
    """Each attack is given only what still stands, with its labels"""
    model, x, y = _scales()
    first, second = WatchedAttack(_brighter(0.05)), WatchedAttack(_brighter(-0.05))
    worst_case(model, x, y, {"first": first, "second": second}, 0.06)
    expect(len(first.given) == len(second.given) == 1, "each attack should run once")
    for watched, keep, when in ((first, list(range(10)), "right"), (second, [0, 1, 2, *range(5, 10)], "left standing")):
        (_, inputs, labels) = watched.given[0]
        expect(len(inputs) == len(keep), f"an attack got {len(inputs)} inputs; {len(keep)} are {when}")
        expect_close(inputs, x[keep], 1e-6, "the inputs that the attack got")
        expect_close(labels.float(), y[keep].float(), 1e-6, "the labels that the attack got")


def _budget(worst_case):
    """What leaves the ball of radius ε, or [0, 1], is no success"""
    model, x, y = _scales()
    far = {"too far": _brighter(0.3), "and back": _brighter(-0.3)}
    expect(worst_case(model, x, y, far, 0.06).sum() == 10, "an attack of ±0.3 broke inputs at eps = 0.06")
    mixed = {"half of it too far": lambda model, x, y: x + torch.where(y == 0, 0.3, -0.05).view(-1, 1, 1, 1)}
    got = worst_case(model, x, y, mixed, 0.06).sum()
    expect(got == 8, f"two inputs fell within eps while others moved too far: 8 should stand, got {int(got)}")
    out = {"out of the box": lambda model, x, y: x - 0.7}
    expect(worst_case(model, x, y, out, 1.0).sum() == 10, "pixels below 0 broke inputs at eps = 1")


def _one_by_one(model, x, y, attacks, eps):
    stands = model(x).argmax(1) == y
    for attack in attacks.values():
        indices = [i for i, held in enumerate(stands.tolist()) if held]
        if indices:
            found = attack(model, x[indices], y[indices])
            for i, x_adv in zip(indices, found, strict=True):
                legal = (x_adv - x[i]).abs().max() <= eps + 1e-6 and x_adv.min() >= 0 and x_adv.max() <= 1
                stands[i] = not (legal and model(x_adv[None]).argmax() != y[i])
    return stands


def worst_case(model, x, y, attacks, eps):
    stands = still_right(model, x, y)
    for attack in attacks.values():
        on = stands.nonzero().flatten()
        if not len(on):
            break
        x_adv = attack(model, x[on], y[on])
        allowed = (x_adv - x[on]).abs().flatten(1).amax(1) <= eps + 1e-6
        allowed &= ((x_adv >= 0) & (x_adv <= 1)).flatten(1).all(1)
        stands[on[allowed & ~still_right(model, x_adv, y[on])]] = False
    return stands


def _worst_wrong(model, x, y, attacks, eps, *, skip=True, start=True, budget=True, last=False, all_or_none=False):
    stands = still_right(model, x, y) if start else torch.ones_like(y, dtype=torch.bool)
    for attack in attacks.values():
        on = stands.nonzero().flatten() if skip else torch.arange(len(y))
        x_adv = attack(model, x[on], y[on])
        fell = ~still_right(model, x_adv, y[on])
        if budget:
            legal = (x_adv - x[on]).abs().flatten(1).amax(1) <= eps + 1e-6
            legal &= ~torch.tensor(all_or_none) | legal.all()
            fell &= legal & (x_adv >= 0).flatten(1).all(1) & (x_adv <= 1).flatten(1).all(1)
        if last:
            stands = stands.clone()
            stands[on] = ~fell
        else:
            stands[on[fell]] = False
    return stands


EXERCISE = Exercise(
    "03.worst_case",
    title="The worst case over several attacks",
    reference=worst_case,
    properties=[_minimum, _wrong_already, _only_the_standing, _budget],
    hints=[
        "Begin with `stands = model(x).argmax(1) == y`. Run each attack on `x[stands]` and `y[stands]`.",
        "An attack wins where three things hold: the model errs on x_adv, which is within eps of x and in [0, 1]. Take "
        "each input's largest change: `(x_adv - x[on]).abs().flatten(1).amax(1)`. Allow it a rounding of 1e-6.",
        "`on = stands.nonzero().flatten()` are the indices of those that stand; `stands[on[fell]] = False` crosses the "
        "fallen off.",
    ],
    second=_one_by_one,
    mutants={
        "lets the last attack decide": functools.partial(_worst_wrong, skip=False, last=True),
        "attacks everything again": functools.partial(_worst_wrong, skip=False),
        "forgets what was wrong already": functools.partial(_worst_wrong, start=False),
        "believes in attacks without a budget": functools.partial(_worst_wrong, budget=False),
        "throws an attack away if one input cheats": functools.partial(_worst_wrong, all_or_none=True),
        "runs the first attack only": lambda model, x, y, attacks, eps: worst_case(
            model, x, y, dict(list(attacks.items())[:1]), eps
        ),
    },
)
