"""Lab 03: evaluating honestly. A scale-free loss, every target, BPDA, the worst case, red flags, five controls."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import evasion, robustness, runtime, zoo
from modelsec_course.evasion.losses import dlr
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close
from modelsec_course.lab.exercises.common import (
    curved_model,
    digits_model,
    expect_inside,
    flat,
    linear_model,
    shaped_like_x,
    still_right,
)  # fmt: skip

LAB = Lab(
    number="03",
    title="Evaluating honestly",
    question="Is this defence real?",
    minutes=90,
    difficulty=4,
    prerequisites=("Lab 01", "Lab 02 for the Square attack, which is used here"),
    outcomes=(
        "tell how far an attack is from the truth, where the truth is known",
        "break four defences that stop a careless attacker and nobody else",
        "report a robust accuracy as what it is: the worst case over several attacks, and an upper bound",
        "raise the flags that a fake defence cannot hide, and find what is wrong with an evaluation by a control",
    ),
    seconds=40,
    part="Integrity at test time",
    stage="model",
)


def shares(*values: float) -> Tensor:
    return torch.tensor(values)


# -------------------------------------------------------------------------------------------------------- 03.dlr_loss


def _by_hand(loss):
    """Equals the formula: the margin over the first logit minus the third"""
    logits = shares(3.0, 1.0, 0.0, 2.0, -4.0).repeat(4, 1)
    want = shares(-1 / 2, 2 / 2, 3 / 2, 1 / 2)  # z₁ = 3, z₃ = 1; y is the first, the second, the third, the fourth
    expect_close(
        loss(logits, torch.tensor([0, 1, 2, 3])), want, 1e-5, "the loss of [3, 1, 0, 2, −4] with y = 0, 1, 2, 3"
    )


def _random_logits(n: int = 32, classes: int = 6) -> tuple[Tensor, Tensor]:
    draw = runtime.generator(0)
    return torch.randn(n, classes, generator=draw), torch.randint(classes, (n,), generator=draw)


def _blind(loss):
    """Neither the scale of the logits nor a shift changes it"""
    logits, y = _random_logits()
    for scale, shift in ((1000, 5), (1, -100)):
        got = loss(scale * logits + shift, y)
        expect_close(got, loss(logits, y), 0.02, f"the loss of {scale} · logits + ({shift})")
    tied = torch.zeros(1, 5)
    expect(loss(tied, torch.tensor([2])).abs() < 1e-6, "five logits that tie: expected 0; add 1e-12 below the line")


def _sign(loss):
    """Above 0 exactly where the model errs"""
    logits, y = _random_logits()
    got = loss(logits, y)
    expect(got.shape == y.shape, f"expected one number for each input, {tuple(y.shape)}, got {tuple(got.shape)}")
    expect((got > 0) == (logits.argmax(1) != y), "its sign does not say whether the model errs")


def _slope(loss):
    """Has a slope where a sure model's cross-entropy has none"""
    logits, y = _random_logits()
    logits[torch.arange(len(y)), y] = 4.0
    sure = (1000 * logits).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(sure, y).sum(), sure)
    expect((gradient.abs().sum(1) > 0).all(), "its gradient is 0 for logits 1000 times as large")


def _dlr_sorted(logits, y):
    order, _ = logits.sort(dim=1)
    own = logits[torch.arange(len(y)), y]
    best = torch.where(own == order[:, -1], order[:, -2], order[:, -1])
    return (best - own) / (order[:, -1] - order[:, -3] + 1e-12)


def _dlr_wrong(logits, y, *, lowest=2, of=lambda logits: logits, exclude=True, sign=1, hidden=-torch.inf, floor=1e-12):
    logits = of(logits)
    others = logits.scatter(1, y[:, None], hidden) if exclude else logits
    ranked = logits.sort(dim=1, descending=True).values
    gap = others.amax(1) - logits.gather(1, y[:, None]).squeeze(1)
    return sign * gap / (ranked[:, 0] - ranked[:, lowest] + floor)


exercise(
    "03.dlr_loss",
    title="A loss that no scale hides from",
    reference=dlr,
    properties=[_by_hand, _blind, _sign, _slope],
    hints=[
        "The numerator is lab 01's margin. `logits.scatter(1, y[:, None], -torch.inf)` takes class y out of the race, "
        "`.amax(1)` finds the best other.",
        "`logits.topk(3, dim=1).values` are the three largest, in order: you need `[:, 0]` and `[:, 2]`.",
        "```python\nown = logits.gather(1, y[:, None]).squeeze(1)\n"
        "other = logits.scatter(1, y[:, None], -torch.inf).amax(1)\n```",
    ],
    second=_dlr_sorted,
    mutants={
        "divides by the first minus the second": functools.partial(_dlr_wrong, lowest=1),
        "takes class y for its own rival": functools.partial(_dlr_wrong, exclude=False),
        "works on probabilities": functools.partial(_dlr_wrong, of=lambda logits: logits.softmax(1)),
        "falls where it should climb": functools.partial(_dlr_wrong, sign=-1),
        "averages over the batch": lambda logits, y: dlr(logits, y).mean(),
        "hides class y behind a 0": lambda logits, y: _dlr_wrong(logits, y, hidden=0.0),
        "divides by 0 where logits tie": lambda logits, y: _dlr_wrong(logits, y, floor=0.0),
        "leaves the scale in": lambda logits, y: evasion.LOSSES["margin"](logits, y),
    },
)

# ---------------------------------------------------------------------------------------------------- 03.every_target


def _decoys() -> tuple[nn.Module, Tensor, Tensor]:
    """Four classes. The runner-up cannot be reached; the third is a step away, the fourth never."""
    weight = torch.zeros(4, 16)
    weight[1], weight[2], weight[3] = 0.05, 1.0, -0.01
    model = flat(weight, shares(0.0, -0.6, -9.0, -9.0))
    x = 0.5 + 0.02 * torch.rand(12, 1, 4, 4, generator=runtime.generator(2))
    return model, x, torch.zeros(12, dtype=torch.int64)


def _behind_the_decoy(attack):
    """Finds the class that falls although the runner-up does not"""
    model, x, y = _decoys()
    standing = still_right(model, attack(model, x, y, 0.1), y).sum().item()
    expect(standing == 0, f"{standing} of 12 inputs stand: one class is near, but it is not the runner-up")


def _exact(attack):
    """On linear models: leaves exactly the closed-form robust accuracy"""
    for seed in (0, 1, 2):
        model, x, y = linear_model(classes=6, seed=seed, n=96)
        weight, logits = model[1].weight.detach(), model(x).detach()
        gap = logits.gather(1, y[:, None]) - logits
        reach = (weight - weight[y][:, None]).abs().sum(2)  # what one unit of ε gains a class, (n, classes)
        others = torch.arange(6)[None] != y[:, None]
        for eps in (0.015, 0.03):
            slack = torch.where(others, gap - eps * reach, torch.inf).amin(1)
            clear = slack.abs() > 1e-3  # ties are nobody's fault
            stands = still_right(model, attack(model, x, y, eps), y)
            left, lost = ((stands & (slack < 0))[clear].sum().item(), (~stands & (slack > 0))[clear].sum().item())
            say = f"at eps = {eps}, {left} of {len(y)} inputs stand although some class can be reached"
            expect(left == 0, f"{say}: does the score climb to every class, and is each success kept?")
            expect(lost == 0, f"at eps = {eps}, {lost} of {len(y)} inputs fall that no change within eps can break")


def _target_ball(attack):
    """Never leaves the ball of radius ε, nor [0, 1]"""
    model, x, y = curved_model()
    for eps in (0.03, 0.3):
        expect_inside(attack(model, x, y, eps), x, eps)


def _beats_one(attack):
    """On the digits: breaks at least as many as climbing away from the truth does"""
    model, x, y = digits_model(60)
    once = evasion.apgd(model, x, y, eps=0.12, steps=20, loss="dlr", random_start=False)
    one, left = (still_right(model, v, y).sum().item() for v in (once, attack(model, x, y, 0.12)))
    expect(left <= one, f"{left} of {len(y)} digits stand, {one} without targets: expected no more")


def every_target(model, x, y, eps):
    with torch.no_grad():
        few = model(x[:1]).shape[1] < 4
    loss, most = ("margin", {"restarts": 3}) if few else ("dlr-targeted", {})
    return evasion.apgd(model, x, y, eps=eps, steps=20, loss=loss, targets=99, **most)


def _toward(model, x, eps, score, steps=12):
    """Steps up score(logits), (batch,), by signs, from x."""
    x_adv = x.clone()
    for k in range(steps):
        at = x_adv.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(score(model(at)).sum(), at)
        step = max(2 * eps * (1 - k / steps), eps / 8) * gradient.sign()
        x_adv = (x + (x_adv + step - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


def _gap(k, y):
    return lambda logits: logits[:, k] - logits.gather(1, y[:, None]).squeeze(1)


def _each_class(model, x, y, eps, *, keep=True, classes=None, sign=1):
    found = x.clone()
    for k in range(model(x[:1]).shape[1]) if classes is None else classes(model, x, y):
        x_adv = _toward(model, x, eps, lambda logits, k=k: sign * _gap(k, y)(logits))
        fooled = ~still_right(model, x_adv, y)
        found = torch.where(fooled[:, None, None, None], x_adv, found) if keep else x_adv
    return found


def _runner_up(model, x, y, eps):
    logits = model(x).detach().scatter(1, y[:, None], -torch.inf)
    k = logits.argmax(1)
    return _toward(
        model, x, eps, lambda logits: (logits.gather(1, k[:, None]) - logits.gather(1, y[:, None])).squeeze(1)
    )


exercise(
    "03.every_target",
    title="Try every class",
    reference=every_target,
    properties=[_behind_the_decoy, _exact, _target_ball, _beats_one],
    hints=[
        "A loop over all classes k. `climb` makes score(logits) large, one number for each input: which score is large "
        "when the model says k and not y?",
        "`score = lambda logits: logits[:, k] - logits.gather(1, y[:, None]).squeeze(1)`. For k = y it is 0, and "
        "harmless.",
        "Keep what is found: `found = torch.where(fooled[:, None, None, None], x_adv, found)`. A later class then "
        "cannot undo an earlier success.",
    ],
    timeout=40.0,
    returns=shaped_like_x,
    second=_each_class,
    mutants={
        "climbs away from the truth only": lambda model, x, y, eps: _toward(
            model, x, eps, lambda logits: evasion.LOSSES["margin"](logits, y)
        ),
        "tries the runner-up only": _runner_up,
        "returns the last class's try": functools.partial(_each_class, keep=False),
        "forgets the first class": functools.partial(_each_class, classes=lambda model, x, y: range(1, 4)),
        "climbs down": functools.partial(_each_class, sign=-1),
    },
)

# ------------------------------------------------------------------------------------------------------------ 03.bpda


def _round(x):
    return (4 * x).round() / 4


def _steep(x):
    return x + 0.01 * torch.sin(5000 * x)


def _forward(bpda):
    """Answers exactly what the defence answers"""
    x = torch.rand(6, 1, 4, 4, generator=runtime.generator(0))
    for name, defence in (("rounding", _round), ("a ripple", _steep), ("a threshold", lambda v: (v > 0.5).to(v.dtype))):
        expect_close(bpda(defence, x), defence(x), 1e-6, f"bpda of {name}")


def _backward(bpda):
    """Its gradient is the identity's, whatever the defence's is"""
    weight = torch.arange(16.0).view(1, 4, 4)
    for name, defence in (("rounding", _round), ("a ripple", _steep), ("doubling", lambda v: 2 * v)):
        at = torch.rand(6, 1, 4, 4, generator=runtime.generator(0)).requires_grad_()
        passed = bpda(defence, at)
        expect(passed.requires_grad, f"with {name}, no gradient comes through at all")
        (gradient,) = torch.autograd.grad((passed * weight).sum(), at)
        expect_close(gradient, weight.expand_as(at), 1e-5, f"the gradient through {name}, of Σ k · output_k")


def _breaks(bpda):
    """Breaks the quantised digits that plain PGD leaves standing"""
    model, x, y = digits_model(40)
    quantised = lambda v: model(_round(v))  # noqa: E731
    blind = still_right(quantised, evasion.pgd(quantised, x, y, eps=0.15, steps=20), y).float().mean().item()
    x_adv = evasion.pgd(lambda v: model(bpda(_round, v)), x, y, eps=0.15, steps=20)
    left = still_right(quantised, x_adv, y).float().mean().item()
    expect(left < 0.2, f"{left:.0%} stand; without BPDA {blind:.0%} do")


exercise(
    "03.bpda",
    title="A gradient where there is none",
    reference=lambda defence, x: evasion.BPDA(defence)(x),
    properties=[_forward, _backward, _breaks],
    hints=[
        "Add to x something that makes it defence(x), and that PyTorch takes for a constant.",
        "`.detach()` makes a constant of a tensor: its value stays, its gradient goes.",
        "The constant is `(defence(x) - x).detach()`.",
    ],
    second=lambda defence, x: defence(x).detach() + x - x.detach(),
    mutants={
        "the defence as it is": lambda defence, x: defence(x),
        "forgets the defence": lambda defence, x: x + 0,
        "detaches everything": lambda defence, x: (x + (defence(x) - x)).detach(),
        "adds its gradient to the defence's": lambda defence, x: defence(x) + x - x.detach(),
        "detaches x": lambda defence, x: x.detach() + (defence(x) - x),
    },
)

# ------------------------------------------------------------------------------------------------------ 03.worst_case


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


class _Watched:
    """An attack that notes what it is given."""

    def __init__(self, attack):
        self.attack, self.given = attack, []

    def __call__(self, model, x, y):
        self.given.append((x.clone(), y.clone()))
        return self.attack(model, x, y)


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
    first, second = _Watched(_brighter(0.05)), _Watched(_brighter(-0.05))
    worst_case(model, x, y, {"first": first, "second": second}, 0.06)
    expect(len(first.given) == len(second.given) == 1, "each attack should run once")
    for watched, keep, when in ((first, list(range(10)), "right"), (second, [0, 1, 2, *range(5, 10)], "left standing")):
        expect(
            len(watched.given[0][0]) == len(keep),
            f"an attack got {len(watched.given[0][0])} inputs; {len(keep)} are {when}",
        )
        expect_close(watched.given[0][0], x[keep], 1e-6, "the inputs that the attack got")
        expect_close(watched.given[0][1].float(), y[keep].float(), 1e-6, "the labels that the attack got")


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


def worst_case(model, x, y, attacks, eps, *, skip=True, start=True, budget=True, last=False, all_or_none=False):
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


exercise(
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
        "lets the last attack decide": functools.partial(worst_case, skip=False, last=True),
        "attacks everything again": functools.partial(worst_case, skip=False),
        "forgets what was wrong already": functools.partial(worst_case, start=False),
        "believes in attacks without a budget": functools.partial(worst_case, budget=False),
        "throws an attack away if one input cheats": functools.partial(worst_case, all_or_none=True),
        "runs the first attack only": lambda model, x, y, attacks, eps: worst_case(
            model, x, y, dict(list(attacks.items())[:1]), eps
        ),
    },
)

# --------------------------------------------------------------------------------------------------- 03.masking_flags

FLAGS = {"no slope", "randomness", "black box", "stands everything"}


@functools.cache
def _suspects() -> dict[str, tuple[nn.Module, set[str], bool]]:
    """name: (model, flags of which at least one must be raised, whether it is honest)."""
    model, _, _ = digits_model(30)
    fakes = robustness.planted(model)
    telling = {
        "scaled logits": {"no slope"},
        "quantised input": {"no slope", "black box", "stands everything"},
        "input noise": {"randomness"},
        "shattered gradient": {"black box"},
    }
    found = {name: (fake.defended, telling[name], False) for name, fake in fakes.items()}
    honest = ("digits-cnn", "digits-linear", "digits-cnn-pgd")
    return found | {name: (zoo.load(name, device="cpu"), set(), True) for name in honest}


def _suspect(name: str, doc: str):
    def verify(masking_flags):
        suspect, telling, honest = _suspects()[name]
        _, x, y = digits_model(30)
        flags = masking_flags(suspect, x, y, 0.15)
        expect(isinstance(flags, set), f"expected a set of names, got a {type(flags).__name__}")
        unknown = flags - FLAGS
        expect(
            not unknown, f"there is no flag {', '.join(map(repr, unknown))}: the names are {', '.join(sorted(FLAGS))}"
        )
        if honest:
            expect(not flags, f"raised {', '.join(sorted(flags))}, but this model hides nothing")
        else:
            expect(flags & telling, f"expected {' or '.join(sorted(telling))}, got {sorted(flags) or 'no flag'}")

    verify.__doc__ = doc
    return verify


def _random_only(masking_flags):
    """Raises randomness for a model that rolls dice, and for it alone"""
    model, x, y = digits_model(30)
    draw = runtime.generator(0)
    dice = lambda v: model(v) + 0.5 * torch.randn(len(v), 10, generator=draw)  # noqa: E731
    expect("randomness" in masking_flags(dice, x, y, 0.15), "two answers to the same question differ, yet no flag")
    expect("randomness" not in masking_flags(lambda v: 1000 * model(v), x, y, 0.15), "scaled logits are not random")


def _slopes(model, x, y) -> Tensor:
    at = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(at), y, reduction="sum"), at)
    return gradient.flatten(1).abs().amax(1)


def _white(model, x, y, eps):
    return evasion.apgd(model, x, y, eps=eps, steps=10, loss="dlr-targeted")


def _black(model, x, y, eps):
    return evasion.square_attack(model, x, y, eps=eps, queries=200)


def masking_flags(model, x, y, eps, *, without=(), few=0.05, white=_white, everything=1.0, twice=True):
    flags = set()
    with torch.no_grad():
        again = model(x) if twice else model(x + 1e-3)
        if not torch.allclose(model(x), again, atol=1e-3):
            flags.add("randomness")
    if (_slopes(model, x, y) == 0).float().mean() > few:
        flags.add("no slope")
    x_adv = white(model, x, y, eps)
    left = still_right(model, x_adv, y)
    if left.any():
        fell = ~still_right(model, _black(model, x[left], y[left], eps), y[left])
        if fell.sum() > few * len(x):
            flags.add("black box")
    if still_right(model, evasion.apgd(model, x, y, eps=everything, steps=20, loss="margin"), y).float().mean() > few:
        flags.add("stands everything")
    return flags - set(without)


def _flags_from_the_library(model, x, y, eps):
    theirs = {
        "no slope": "no slope",
        "randomness": "randomness",
        "black box beats white box": "black box",
        "stands ε = 1": "stands everything",
    }
    flags = robustness.red_flags(model, x, y, eps=eps)
    return {theirs[flag.name] for flag in flags if flag.name in theirs}


exercise(
    "03.masking_flags",
    title="Four red flags",
    reference=masking_flags,
    properties=[
        _suspect("scaled logits", "Catches the logits times 1000"),
        _suspect("quantised input", "Catches the quantised input"),
        _suspect("input noise", "Catches the noise on the input"),
        _suspect("shattered gradient", "Catches the shattered gradient"),
        _suspect("digits-cnn", "Raises nothing on the plain network"),
        _suspect("digits-linear", "Raises nothing on softmax regression"),
        _suspect("digits-cnn-pgd", "Raises nothing on the adversarially trained network"),
        _random_only,
    ],
    hints=[
        "Four questions, four `if`s, each adding a name to the set. Start with the easiest: ask the model twice.",
        "No slope: `gradient.flatten(1).abs().amax(1) == 0` for each input; take the mean. Black box: attack only what "
        "`white_box` left standing, and count who falls.",
        "Stands everything: `any_change` may turn a picture into any other; count who is still read correctly. A share "
        "of 5 % of all inputs is a good threshold: one digit is not a pattern.",
    ],
    timeout=60.0,
    second=_flags_from_the_library,
    mutants={
        "never asks twice": functools.partial(masking_flags, without=("randomness",)),
        "forgets the slope": functools.partial(masking_flags, without=("no slope",)),
        "trusts the white box": functools.partial(masking_flags, without=("black box",)),
        "compares neighbouring pictures": functools.partial(masking_flags, twice=False),
        "tries too weak a white box": functools.partial(
            masking_flags, white=lambda model, x, y, eps: evasion.fgsm(model, x, y, eps=eps)
        ),
        "expects all to fall at ε": functools.partial(masking_flags, everything=0.15),
        "raises everything": lambda model, x, y, eps: set(FLAGS),
    },
)

# --------------------------------------------------------------------------------------------- the controls: 03.overlap


def _counts_the_shared(overlap):
    """Counts the pictures in both batches"""
    pool = torch.rand(30, 1, 4, 4, generator=runtime.generator(0))
    for asked, judged, want in ((pool[:10], pool[10:], 0), (pool[:10], pool[6:20], 4), (pool[5:], pool[:9].flip(0), 4)):
        expect(overlap(asked, judged) == want, f"{want} pictures are shared, got {overlap(asked, judged)!r}")


def _all_pixels(overlap):
    """A picture is shared only if all its pixels are"""
    pool = torch.rand(8, 1, 4, 4, generator=runtime.generator(1))
    other = pool.clone()
    other[:, 0, 3, 3] += 0.01
    expect(overlap(pool, other) == 0, "one pixel differs in each picture, so none is shared")
    expect(overlap(pool, torch.cat([pool[:3], pool[:3]])) == 6, "each judged picture counts, also a repeated one")
    twice = torch.cat([pool[:3], pool[:3]])
    expect(overlap(twice, pool) == 3, "three judged pictures were asked about, each of them twice: expected 3")


def _asked(asked, judged):
    return [any(torch.equal(one, other) for other in asked) for one in judged]


exercise(
    "03.overlap",
    title="Control 1: what was judged?",
    reference=lambda asked, judged: sum(_asked(asked, judged)),
    properties=[_counts_the_shared, _all_pixels],
    hints=[
        "For each judged picture: is there any asked one that equals it? `torch.equal(a, b)` compares two pictures.",
        "`sum(any(torch.equal(one, other) for other in asked) for one in judged)`",
    ],
    second=lambda asked, judged: int((torch.cdist(judged.flatten(1), asked.flatten(1), p=1).amin(1) == 0).sum()),
    mutants={
        "compares place by place": lambda asked, judged: sum(
            torch.equal(a, b) for a, b in zip(asked, judged, strict=False)
        ),
        "returns the share": lambda asked, judged: sum(_asked(asked, judged)) / len(judged),
        "is content with one pixel": lambda asked, judged: int(
            (judged.flatten(1)[:, None, 0] == asked.flatten(1)[None, :, 0]).any(1).sum()
        ),
        "counts pairs": lambda asked, judged: sum(torch.equal(one, other) for one in judged for other in asked),
        "counts the asked ones": lambda asked, judged: sum(_asked(judged, asked)),
    },
)

# ------------------------------------------------------------------------------------------------- 03.regulariser_pull


def _decay(model, x, y):
    return sum((p**2).sum() for p in model.parameters())


def _slope_penalty(model, x, y, create_graph=True):
    at = x.clone().requires_grad_()
    loss = F.cross_entropy(model(at), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, at, create_graph=create_graph)
    return (gradient**2).flatten(1).sum(1).mean()


def _knows_the_pull(pull):
    """The largest pull on any weight, where it is known"""
    model, x, y = linear_model(classes=3)
    largest = max(p.abs().max().item() for p in model.parameters())
    expect_close(pull(_decay, model, x, y), 2 * largest, 1e-4, "the pull of Σ w², which is 2w")
    expect_close(pull(lambda m, x, y: -3 * m[1].bias.sum(), model, x, y), 3.0, 1e-5, "the pull of −3 Σ bias")


def _sees_the_constant(pull):
    """0 for a penalty that pulls nothing, without an error"""
    model, x, y = linear_model(classes=3)
    for p in model.parameters():
        p.grad = torch.ones_like(p)  # left over from training
    for name, penalty in (
        ("a number", lambda model, x, y: torch.tensor(5.0)),
        ("a slope without its graph", functools.partial(_slope_penalty, create_graph=False)),
        ("a function of x only", lambda model, x, y: (x.clone().requires_grad_() ** 2).sum()),
    ):
        expect(
            float(pull(penalty, model, x, y)) == 0,
            f"the penalty is {name}: expected 0, got {pull(penalty, model, x, y)}",
        )


def _sees_the_real_one(pull):
    """Above 0 for a penalty on the slope that keeps its graph"""
    model, x, y = linear_model(classes=3)
    expect(float(pull(_slope_penalty, model, x, y)) > 1e-6, "got 0 for a penalty that does pull")


def regulariser_pull(penalty, model, x, y):
    value = penalty(model, x, y)
    if not value.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    return max((g.abs().max().item() for g in gradients if g is not None), default=0.0)


def _by_backward(penalty, model, x, y):
    for p in model.parameters():
        p.grad = None
    value = penalty(model, x, y)
    if value.grad_fn is not None:
        value.backward()
    return max(0.0 if p.grad is None else p.grad.abs().max().item() for p in model.parameters())


def _leftover(penalty, model, x, y):
    value = penalty(model, x, y)
    if value.requires_grad:
        value.backward()
    return max(0.0 if p.grad is None else p.grad.abs().max().item() for p in model.parameters())


def _pull_wrong(penalty, model, x, y, *, first=False, cancel=False):
    value = penalty(model, x, y)
    if not value.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    found = [g for g in (gradients[:1] if first else gradients) if g is not None]
    return (
        abs(sum(g.sum().item() for g in found)) if cancel else max((g.abs().max().item() for g in found), default=0.0)
    )


exercise(
    "03.regulariser_pull",
    title="Control 2: does the regulariser pull?",
    reference=regulariser_pull,
    properties=[_knows_the_pull, _sees_the_constant, _sees_the_real_one],
    hints=[
        "A penalty changes training only through its gradient in the **weights**: "
        "`torch.autograd.grad(value, list(model.parameters()), allow_unused=True)`.",
        "A constant has `value.requires_grad == False`: answer 0 before PyTorch complains. With `allow_unused=True` "
        "the gradient of a weight that plays no part is `None`: skip it.",
        "`max((g.abs().max().item() for g in gradients if g is not None), default=0.0)`",
    ],
    second=_by_backward,
    mutants={
        "asks for the value": lambda penalty, model, x, y: penalty(model, x, y).item(),
        "stumbles over a constant": lambda penalty, model, x, y: max(
            g.abs().max().item() for g in torch.autograd.grad(penalty(model, x, y), list(model.parameters()))
        ),
        "looks at the first weights only": functools.partial(_pull_wrong, first=True),
        "finds what was left in .grad": _leftover,
        "lets pulls cancel": functools.partial(_pull_wrong, cancel=True),
        "always finds something": lambda penalty, model, x, y: regulariser_pull(penalty, model, x, y) + 1e-3,
    },
)

# ----------------------------------------------------------------------------------------------------- 03.pixel_change


def _scaled_back(change):
    """In the units of the pixels, channel by channel"""
    z = torch.randn(5, 3, 4, 4, generator=runtime.generator(0))
    mean, std = shares(0.5, 0.4, 0.3), shares(0.25, 0.2, 0.05)
    for channel in range(3):
        moved = z.clone()
        moved[2, channel, 1, 1] += 0.1
        expect_close(
            change(z, moved, mean, std), 0.1 * std[channel].item(), 1e-6, f"+0.1 in channel {channel}, standardised"
        )


def _either_way(change):
    """The largest change counts, up or down"""
    z = torch.zeros(4, 1, 3, 3)
    moved = z.clone()
    moved[0, 0, 0, 0], moved[3, 0, 2, 2] = 0.2, -0.7
    expect_close(change(z, moved, shares(0.5), shares(0.5)), 0.35, 1e-6, "+0.2 and −0.7 where std is ½")
    expect_close(change(z, z, shares(0.5), shares(0.5)), 0.0, 1e-9, "no change")


def pixel_change(z, z_adv, mean, std):
    return ((z_adv - z) * std[:, None, None]).abs().max().item()


def _through_pixels(z, z_adv, mean, std):
    pixels = [v * std.view(1, -1, 1, 1) + mean.view(1, -1, 1, 1) for v in (z, z_adv)]
    return torch.linalg.vector_norm(pixels[1] - pixels[0], torch.inf)


exercise(
    "03.pixel_change",
    title="Control 3: how far did the pixels move?",
    reference=pixel_change,
    properties=[_scaled_back, _either_way],
    hints=[
        "z = (x − mean) / std, so x = z · std + mean. What does that make of a difference z′ − z?",
        "The mean drops out: `(z_adv - z) * std[:, None, None]` is the change in pixels, for std of shape (channels,).",
    ],
    second=_through_pixels,
    mutants={
        "stays in standardised units": lambda z, z_adv, mean, std: (z_adv - z).abs().max().item(),
        "divides": lambda z, z_adv, mean, std: ((z_adv - z) / std[:, None, None]).abs().max().item(),
        "takes one std for all channels": lambda z, z_adv, mean, std: ((z_adv - z) * std.mean()).abs().max().item(),
        "looks upwards only": lambda z, z_adv, mean, std: ((z_adv - z) * std[:, None, None]).max().item(),
        "averages": lambda z, z_adv, mean, std: ((z_adv - z) * std[:, None, None]).abs().mean().item(),
    },
)

# ---------------------------------------------------------------------------------------------------------- 03.company


def _alone(company):
    """0 for a model that looks at each picture by itself"""
    model, x, _ = digits_model(20)
    expect(float(company(model, x)) == 0, f"each answer is the picture's own, got {company(model, x)}")


def _in_company(company):
    """Counts the pictures whose class depends on the batch they come in"""
    x = torch.linspace(0.1, 0.9, 20).view(20, 1, 1, 1).repeat(1, 1, 2, 2)

    def crowd(v):  # above the mean of its batch or not; alone, nothing is above its own mean
        level = v.flatten(1).mean(1)
        return torch.stack([0 * level, level - level.mean() - 1e-4], 1)

    expect_close(company(crowd, x), 0.5, 1e-6, "half of the pictures lie above the batch's mean, and none alone")


def _batch_norm(company):
    """Sees batch norm in train mode"""
    # alone an even picture is normalised to 0, and class 0; in the batch the lightest third rises above ½
    readout = flat(shares(0.0, 1.0)[:, None], shares(0.0, -0.5))
    net = nn.Sequential(nn.BatchNorm2d(1, momentum=0.0), nn.AvgPool2d(2), readout).train()
    x = torch.linspace(0.1, 0.9, 24).view(24, 1, 1, 1).repeat(1, 1, 2, 2)
    expect(float(company(lambda v: net(v), x)) > 0.1, "its answers depend on the batch, yet none was found to change")


def company(answer, x):
    with torch.no_grad():
        together, alone = answer(x).argmax(1), torch.cat([answer(one[None]).argmax(1) for one in x])
    return (together != alone).float().mean().item()


def _company_differently(answer, x):
    together = answer(x).argmax(1).tolist()
    return sum(int(answer(x[i : i + 1]).argmax()) != together[i] for i in range(len(x))) / len(x)


def _shuffled(answer, x):
    order = torch.arange(len(x) - 1, -1, -1)
    return (answer(x).argmax(1)[order] != answer(x[order]).argmax(1)).float().mean().item()


exercise(
    "03.company",
    title="Control 4: does the answer depend on the company?",
    reference=company,
    properties=[_alone, _in_company, _batch_norm],
    hints=[
        "Ask about the whole batch at once, and about each picture on its own: `answer(x[i : i + 1])`.",
        "Compare the two lists of `argmax(1)`, and return the share that differs.",
    ],
    second=_company_differently,
    mutants={
        "asks the same batch twice": lambda answer, x: (
            (answer(x).argmax(1) != answer(x).argmax(1)).float().mean().item()
        ),
        "shuffles the batch": _shuffled,
        "says whether, not how many": lambda answer, x: float(company(answer, x) > 0),
        "counts": lambda answer, x: company(answer, x) * len(x),
        "compares one picture only": lambda answer, x: float(answer(x).argmax(1)[0] != answer(x[:1]).argmax(1)[0]),
    },
)

# ----------------------------------------------------------------------------------------------------- 03.success_rate


def _threshold() -> nn.Module:
    return flat(shares(-1.0, 1.0)[:, None], shares(0.5, -0.5))  # says 1 above ½


def _nothing_done(success):
    """0 where nothing was changed, however poor the model"""
    model, x = _threshold(), shares(0.1, 0.2, 0.7, 0.8, 0.9)[:, None]
    y = torch.tensor([1, 0, 0, 1, 1])  # two are wrong already
    expect(float(success(model, x, x, y)) == 0, f"x_adv is x, so nothing succeeded; got {success(model, x, x, y)}")


def _of_the_right(success):
    """The share of those that were right before and are wrong after"""
    model, x = _threshold(), shares(0.1, 0.2, 0.7, 0.8, 0.9)[:, None]
    y, x_adv = torch.tensor([1, 0, 0, 1, 1]), shares(0.2, 0.6, 0.8, 0.4, 0.9)[:, None]
    expect_close(success(model, x, x_adv, y), 2 / 3, 1e-6, "three were right, two of them are wrong now")


def _mended(success):
    """An answer that changed is no success if it was wrong before"""
    model, x = _threshold(), shares(0.1, 0.2, 0.7, 0.8)[:, None]
    y, x_adv = torch.tensor([1, 1, 1, 1]), shares(0.9, 0.8, 0.7, 0.8)[:, None]
    expect_close(success(model, x, x_adv, y), 0.0, 1e-6, "the first two were mended, the others left alone")
    x_adv = shares(0.9, 0.2, 0.2, 0.8)[:, None]
    expect_close(success(model, x, x_adv, y), 1 / 2, 1e-6, "one was mended, and one of two that were right was broken")


def _none_right(success):
    """0 where the model was right about nothing"""
    model, x = _threshold(), shares(0.1, 0.2)[:, None]
    expect_close(success(model, x, x + 0.1, torch.tensor([1, 1])), 0.0, 1e-6, "no input was right before")


def success_rate(model, x, x_adv, y):
    before, after = still_right(model, x, y), still_right(model, x_adv, y)
    return (before & ~after).float().sum().item() / max(int(before.sum()), 1)


def _rate_by_lists(model, x, x_adv, y):
    right = model(x).argmax(1) == y
    return (model(x_adv[right]).argmax(1) != y[right]).double().mean() if right.any() else 0.0


exercise(
    "03.success_rate",
    title="Control 5: who was right before?",
    reference=success_rate,
    properties=[_nothing_done, _of_the_right, _mended, _none_right],
    hints=[
        "Two questions for each input: was the model right about x, and is it wrong about x_adv?",
        "`before = model(x).argmax(1) == y`; divide the number of `before & ~after` by the number of `before`.",
    ],
    second=_rate_by_lists,
    mutants={
        "counts what was wrong already": lambda model, x, x_adv, y: (~still_right(model, x_adv, y))
        .float().mean().item(),
        "divides by all": lambda model, x, x_adv, y: (still_right(model, x, y) & ~still_right(model, x_adv, y))
        .float().mean().item(),
        "counts changed answers": lambda model, x, x_adv, y: (model(x).argmax(1) != model(x_adv).argmax(1))
        .float().mean().item(),
        "divides by none": lambda model, x, x_adv, y: (
            (still_right(model, x, y) & ~still_right(model, x_adv, y)).float().sum() / still_right(model, x, y).sum()
        ).item(),
        "subtracts accuracies": lambda model, x, x_adv, y: (
            still_right(model, x, y).float().mean() - still_right(model, x_adv, y).float().mean()
        ).item(),
    },
)  # fmt: skip

QUIZ = (
    Question(
        "An attack leaves 25 % of the inputs standing at ε = 0.15. What do you know about the robust accuracy there?",
        ("it is 25 %", "it is at most 25 %", "it is at least 25 %"),
        1,
        (
            "Only if no better attack exists. On softmax regression PGD leaves about 25 % where 18.3 % is the truth.",
            "Every input that fell certainly falls. One that stands may fall to the next attack.",
            "That would need a proof: lab 04.",
        ),
    ),
    Question(
        "Multiplying all logits by 1000 changes no answer. Why does PGD on the cross-entropy break so much less?",
        (
            "the model has become more robust",
            "the softmax is 1 in float32, so the loss has no slope left to climb",
            "the loss is 1000 times as large",
        ),
        1,
        (
            "No picture's class has changed, so exactly the same pictures fool it.",
            "The gradient underflows to 0. A loss that divides the scale out, such as DLR, does not notice.",
            "A larger loss would not matter: the step's length is chosen by its sign.",
        ),
    ),
    Question(
        "A black-box attack breaks inputs that the white-box attack left standing. What does that tell you?",
        (
            "that the white-box number is not to be trusted",
            "that the black-box attack is the better one for every model",
            "that the model leaks its weights through its answers",
        ),
        0,
        (
            "Who knows everything should do at least as well. If not, the slope is hidden or the attack is weak.",
            "It sees less. On an honest model it finds less.",
            "It only asks for answers.",
        ),
    ),
    Question(
        "BPDA replaces a quantiser by the identity on the way back. Why does that work?",
        (
            "the quantiser hardly changes the picture, so the slope without it points almost the right way",
            "the identity is the quantiser's true gradient",
            "the attack may leave the ball",
        ),
        0,
        (
            "Whoever moves x far enough moves the rounded picture the same way. The forward pass stays exact.",
            "Its true gradient is 0 almost everywhere, which is why PGD stands still.",
            "It never does: the ball is around x, and the projection is as before.",
        ),
    ),
    Question(
        "At ε = 1 in L∞ an evaluation still reports 40 % robust accuracy. What follows?",
        (
            "the defence is remarkable, since no change fools it",
            "ε = 1 is too small to tell",
            "the attack is broken",
        ),
        2,
        (
            "Grey for every input would fool it on nine classes of ten.",
            "Pixels are in [0, 1]: no larger change exists.",
            "Every picture may be turned into any other, also into one that it reads as another class. None was found.",
        ),
    ),
)
