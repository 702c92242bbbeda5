"""Lab 14: private training step by step, and audits that try to catch it out."""

from __future__ import annotations

import copy
import functools
import math

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.stats import beta, binom, norm
from torch import Tensor, nn
from torch.nn import functional as F

from modelsec_course import models, privacy, runtime
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close
from modelsec_course.robustness import clopper_pearson

LAB = Lab(
    number="14",
    title="Private training, audited",
    question="Does the promise hold in practice?",
    minutes=95,
    difficulty=4,
    prerequisites=("Lab 13, for ε, δ and composition", "Lab 10, for LiRA; lab 11, for inversion"),
    outcomes=(
        "train with differential privacy, and say which line carries the guarantee",
        "plan a run: noise, sampling rate and steps for a given ε",
        "prove a lower bound on ε from an attacker's guesses, with many runs or with one",
        "say which bug an audit can see, and what it cannot",
    ),
    seconds=40,
    part="Privacy by design",
    stage="training",
)

Gradients = dict[str, Tensor]

# ------------------------------------------------------------------------------------------- 14.per_sample_gradients


def _nets(seed: int = 0) -> list[tuple[nn.Module, Tensor, Tensor]]:
    """A linear and a convolutional network, with seven pictures each."""
    draw = runtime.generator(seed)
    x, y = torch.rand(7, 1, 6, 6, generator=draw), torch.randint(4, (7,), generator=draw)
    conv = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 4))
    return [(models.initialise(net, draw), x, y) for net in (models.linear(36, 4), conv)]


def _loop(model: nn.Module, x: Tensor, y: Tensor, reduce=None, names=lambda name: True) -> Gradients:
    """One backward pass for each record."""
    kept = {name: p for name, p in model.named_parameters() if names(name)}
    rows = [
        torch.autograd.grad(F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]), list(kept.values()))
        for i in range(len(x))
    ]
    return {name: torch.stack(parts) for name, parts in zip(kept, zip(*rows, strict=True), strict=True)}


def _expect_gradients(got: object, want: Gradients, what: str) -> None:
    expect(isinstance(got, dict), f"expected a dict from parameter names to tensors, got a {type(got).__name__}")
    expect(set(got) == set(want), f"expected the names {sorted(want)}, got {sorted(map(str, got))}")
    for name, value in want.items():
        expect_close(got[name], value, 1e-5, f"{what}, {name}")


def _each_loop(per_sample):
    """Equal a loop, one backward pass for each record, for every parameter"""
    for model, x, y in _nets():
        _expect_gradients(per_sample(model, x, y), _loop(model, x, y), f"a network of {len(model)} layers")


def _each_closed_form(per_sample):
    """Softmax regression: (p − onehot(y)) xᵀ for the weights, p − onehot(y) for the biases"""
    model, x, y = _nets(1)[0]
    residual = model(x).detach().softmax(1) - F.one_hot(y, 4)
    want = {"1.weight": residual[:, :, None] * x.flatten(1)[:, None], "1.bias": residual}
    _expect_gradients(per_sample(model, x, y), want, "softmax regression")


def _each_alone(per_sample):
    """A record's gradient depends on no other record, and a batch may hold one"""
    model, x, y = _nets(2)[1]
    both, alone = per_sample(model, x, y), per_sample(model, x[2:3], y[2:3])
    for name in both:
        expect_close(alone[name][0], both[name][2], 1e-6, f"record 2 by itself, and among seven: {name}")


def _each_leaves_no_trace(per_sample):
    """The model is as it was: its weights, its mode, and no .grad"""
    model, x, y = _nets(3)[0]
    model.train()
    before = copy.deepcopy(model.state_dict())
    per_sample(model, x, y)
    expect(all(torch.equal(before[name], value) for name, value in model.state_dict().items()), "the weights changed")
    left = getattr(per_sample, "left", [])
    expect(not left, f"the model is not as it was: {'; '.join(left)}")


def per_sample_gradients(model, x, y):
    return privacy.per_sample_gradients(model, x, y)


def _backward(model, x, y):
    """A mutant: right, but the batch's gradient stays in .grad."""
    F.cross_entropy(model(x), y).backward()
    return _loop(model, x, y)


def _evaluating(model, x, y):
    """A mutant: right, but the model stays in evaluation mode."""
    return _loop(model.eval(), x, y)


def _changed(change):
    """A mutant: the loop's result, changed."""
    return lambda model, x, y: {name: change(part) for name, part in _loop(model, x, y).items()}


exercise(
    "14.per_sample_gradients",
    title="One gradient for each record",
    reference=per_sample_gradients,
    properties=[_each_loop, _each_closed_form, _each_alone, _each_leaves_no_trace],
    hints=[
        "Write the loss of **one** record as a function of its weights. "
        "`functional_call(model, weights, (row[None],))` runs the model with these; `[None]` gives the row, and its "
        "label, a batch axis of 1.",
        "`grad(loss_of_one)` is a function that returns the gradient by `weights`, a dict like `weights`.",
        "`vmap(grad(loss_of_one), in_dims=(None, 0, 0))(weights, x, y)`: the same weights for all, one row and "
        "one label for each.",
    ],
    second=_loop,
    mutants={
        "the batch's mean, for everybody": _changed(lambda part: part.mean(0).expand(part.shape)),
        "each record's share of the mean": _changed(lambda part: part / len(part)),
        "the batch's sum": _changed(lambda part: part.sum(0)),
        "up instead of down": _changed(lambda part: -part),
        "forgets the biases": lambda model, x, y: _loop(model, x, y, names=lambda name: "bias" not in name),
        "leaves a gradient behind": _backward,
        "leaves the model in evaluation mode": _evaluating,
        "everybody has the first label": lambda model, x, y: _loop(model, x, y[:1].expand(len(y))),
    },
)

# ----------------------------------------------------------------------------------------------------------- 14.clip


def _gradients(norms: Tensor, seed: int = 0) -> Gradients:
    """Gradients of two parameters, whose joint norms are these."""
    draw = runtime.generator(seed)
    parts = {
        "weight": torch.randn(len(norms), 4, 3, generator=draw),
        "bias": torch.randn(len(norms), 4, generator=draw),
    }
    scale = norms / _norms(parts)
    return {name: part * scale.view(-1, *[1] * (part.dim() - 1)) for name, part in parts.items()}


def _norms(gradients: Gradients) -> Tensor:
    return torch.cat([part.flatten(1) for part in gradients.values()], 1).norm(dim=1)


def _clip_budget(clip):
    """No record's norm, over all parameters together, is above the bound"""
    for bound in (0.5, 2.0):
        got = _norms(clip(_gradients(torch.tensor([0.1, 1.0, 3.0, 40.0])), bound))
        expect(got.max() <= bound * (1 + 1e-5), f"with bound {bound}, a record's norm is {got.max():.4f}")


def _clip_small(clip):
    """A record within the bound is left as it is, and a long one keeps its direction"""
    gradients = _gradients(torch.tensor([0.1, 0.9, 3.0, 5.0]), seed=1)
    got = clip(gradients, 1.0)
    for name, part in gradients.items():
        expect_close(got[name][:2], part[:2], 1e-6, f"norms 0.1 and 0.9, bound 1: {name}")
        expect_close(got[name][2:] * torch.tensor([3.0, 5.0]).view(-1, *[1] * (part.dim() - 1)), part[2:], 1e-4,
                     f"norms 3 and 5, bound 1, times 3 and 5: {name}")  # fmt: skip


def _clip_neighbours(clip):
    """What happens to a record depends on no other"""
    few, many = _gradients(torch.tensor([0.5, 3.0]), seed=2), _gradients(torch.tensor([0.5, 3.0]), seed=2)
    many = {name: torch.cat([part, 100 * part[:1]]) for name, part in many.items()}
    for name, part in clip(few, 1.0).items():
        expect_close(clip(many, 1.0)[name][:2], part, 1e-6, f"with a third record of norm 50 beside them: {name}")


def _clip_zero(clip):
    """A gradient of 0 stays 0, and one that is not finite becomes 0"""
    gradients = _gradients(torch.tensor([1.0, 1.0, 1.0, 1.0]), seed=3)
    gradients["weight"][0], gradients["bias"][0] = 0.0, 0.0
    gradients["bias"][1, 0], gradients["weight"][2, 0, 0] = math.nan, math.inf
    got = clip(gradients, 0.5)
    for name, part in got.items():
        expect(part.isfinite(), f"{name} holds NaN or infinity: a record with such a gradient must be left out")
        expect(not part[:3].any(), f"a record whose gradient is 0, or not finite, must become all 0 in {name}")
    expect(_norms(got)[3] > 0.4, "the record beside them was lost")


def clip(gradients, bound):
    factors = privacy.clip_factors(_norms(gradients), bound)
    return _scaled(gradients, factors)


def _scaled(gradients: Gradients, factors: Tensor) -> Gradients:
    return {name: part.nan_to_num(0.0, 0.0, 0.0) * factors.view(-1, *[1] * (part.dim() - 1))
            for name, part in gradients.items()}  # fmt: skip


def _clip_by_rows(gradients, bound, *, joint=True, up=False, guard=True, own=True, finite=True):
    """Record by record."""
    result = {name: part.clone() for name, part in gradients.items()}
    everybody = torch.cat([part.flatten() for part in gradients.values()]).norm()
    for i in range(len(next(iter(gradients.values())))):
        joined = torch.cat([part[i].flatten() for part in gradients.values()]).norm()
        for part in result.values():
            norm = (joined if joint else part[i].norm()) if own else everybody
            if finite and not norm.isfinite():
                part[i] = 0
            elif up or norm > bound:
                part[i] *= bound / (norm + 1e-12 if guard else norm)
    return result


exercise(
    "14.clip",
    title="Bound everybody's say",
    reference=clip,
    properties=[_clip_budget, _clip_small, _clip_neighbours, _clip_zero],
    hints=[
        "One norm for each record, over **all** its parameters: put `part.flatten(1)` of each side by side with "
        "`torch.cat(..., 1)`, then `.norm(dim=1)`.",
        "Multiply each record by min(1, bound / norm): `(bound / norm).clamp(max=1)`. With a norm of 0 that is 1.",
        "For NaN and infinity: `factors.nan_to_num(0)` is not enough, since 0 · NaN is NaN. Use "
        "`torch.where(norm.isfinite(), ...)` or `part.nan_to_num(0, 0, 0)` as well.",
    ],
    second=_clip_by_rows,
    finite=False,
    mutants={
        "clips each parameter by itself": functools.partial(_clip_by_rows, joint=False),
        "lengthens short gradients too": functools.partial(_clip_by_rows, up=True),
        "clips the batch's norm": functools.partial(_clip_by_rows, own=False),
        "lets NaN through": functools.partial(_clip_by_rows, finite=False),
        "clamps each number": lambda gradients, bound: {k: v.clamp(-bound, bound) for k, v in gradients.items()},
        "does nothing": lambda gradients, bound: gradients,
        "0 / 0": functools.partial(_clip_by_rows, up=True, guard=False),
    },
)

# ---------------------------------------------------------------------------------------------------- 14.dp_sgd_step


def _step_setting(batch: int, seed: int = 0) -> tuple[Gradients, Gradients]:
    """Weights, and clipped gradients of `batch` records."""
    draw = runtime.generator(seed)
    weights = {"a": torch.randn(60, 50, generator=draw), "b": torch.randn(60, 50, generator=draw)}
    return weights, {name: torch.randn(batch, 60, 50, generator=draw) / 80 for name in weights}


def _noise(step, batch, *, lr=0.5, bound=2.0, sigma=3.0, expected=40.0, seed=4) -> Tensor:
    """What a step adds besides the gradients, in units of lr · bound · sigma / expected: (2, 60, 50)."""
    weights, clipped = _step_setting(batch)
    kept = {name: part.clone() for name, part in weights.items()}
    got = step(kept, clipped, lr, bound, sigma, expected, runtime.generator(seed))
    without = step(kept, clipped, lr, bound, 0.0, expected, runtime.generator(seed))
    return torch.stack([got[name] - without[name] for name in weights]) * expected / (lr * bound * sigma)


def _step_exact(step):
    """Without noise: w − lr · sum / expected, whatever the number of records drawn"""
    for batch in (3, 40, 90):
        weights, clipped = _step_setting(batch)
        got = step(weights, clipped, 0.5, 2.0, 0.0, 40.0, runtime.generator(0))
        for name, part in weights.items():
            want = part - 0.5 * clipped[name].sum(0) / 40
            expect_close(got[name], want, 1e-4, f"{batch} records drawn, 40 expected, sigma 0: {name}")


def _step_spread(step):
    """The noise on the sum has standard deviation sigma · bound, for every setting"""
    for batch, bound, sigma, expected in ((40, 2.0, 3.0, 40.0), (90, 0.5, 1.0, 40.0), (3, 1.0, 8.0, 200.0)):
        spread = _noise(step, batch, bound=bound, sigma=sigma, expected=expected).std().item()
        setting = f"{batch} records drawn, {expected:g} expected, bound {bound}, sigma {sigma}"
        expect(0.95 < spread < 1.05, f"with {setting}, the noise is {spread:.3g} times as wide as it should be")


def _step_empty(step):
    """An empty batch still gets its noise: otherwise its emptiness shows"""
    spread = _noise(step, 0).std().item()
    expect(0.95 < spread < 1.05, f"with no record drawn, the noise is {spread:.3g} times as wide as it should be")


def _step_fresh(step):
    """Each parameter and each step has noise of its own, drawn from the generator"""
    noise, other = _noise(step, 5).flatten(1), _noise(step, 5, seed=5).flatten(1)
    expect_close(noise, _noise(step, 5).flatten(1), 1e-3, "the noise with the same seed again")
    alike = torch.corrcoef(torch.cat([noise, other]))
    expect(alike.fill_diagonal_(0).abs().max() < 0.2, "two parameters, or two seeds, got the same noise")
    weights, clipped = _step_setting(5)
    draw = runtime.generator(6)
    first, second = (step(weights, clipped, 1.0, 1.0, 1.0, 1.0, draw)["a"] for _ in range(2))
    expect(not torch.equal(first, second), "two steps with one generator got the same noise")


def _step_pure(step):
    """The weights that came in are as they were"""
    weights, clipped = _step_setting(5)
    before = {name: part.clone() for name, part in weights.items()}
    step(weights, clipped, 0.5, 1.0, 1.0, 10.0, runtime.generator(0))
    expect(all(torch.equal(before[k], weights[k]) for k in weights), "the weights were changed: return new ones")


def _take_step(
    weights, clipped, lr, bound, sigma, expected, generator,
    *, divide=lambda batch, expected: expected, width=lambda bound, sigma, expected: bound * sigma, same=False,
    empty=True, down=1,
):  # fmt: skip
    """Noise first, then all records added to it."""
    result, drawn = {}, None
    for name, weight in weights.items():
        batch = len(clipped[name])
        if drawn is None or not same:
            drawn = torch.randn(weight.shape, generator=generator)
        total = width(bound, sigma, expected) * drawn * (1.0 if batch or empty else 0.0)
        for row in clipped[name]:
            total = total + row
        result[name] = weight - down * lr * total / divide(batch, expected)
    return result


def dp_sgd_step(weights, clipped, lr, bound, sigma, expected, generator):
    new = {}
    for name, weight in weights.items():
        noise = torch.randn(weight.shape, generator=generator, device=generator.device).to(weight)
        new[name] = weight - lr * (clipped[name].sum(0) + sigma * bound * noise) / expected
    return new


exercise(
    "14.dp_sgd_step",
    title="A private step",
    reference=dp_sgd_step,
    properties=[_step_exact, _step_spread, _step_empty, _step_fresh, _step_pure],
    hints=[
        "For each parameter: `clipped[name].sum(0)` first. Over an empty batch that is 0, which is right.",
        "Then the noise: `sigma * bound * torch.randn(weight.shape, generator=generator)`. Then divide, by `expected`.",
        "`new[name] = weight - lr * (total + noise) / expected`, into a new dict.",
    ],
    second=_take_step,
    mutants={
        "divides by the batch that was drawn": functools.partial(_take_step, divide=lambda b, e: max(b, 1)),
        "noises the mean": functools.partial(_take_step, width=lambda bound, sigma, e: bound * sigma * e),
        "divides the noise twice": functools.partial(_take_step, width=lambda bound, sigma, e: bound * sigma / e),
        "forgets the bound": functools.partial(_take_step, width=lambda bound, sigma, e: sigma),
        "takes sigma for a variance": functools.partial(_take_step, width=lambda b, sigma, e: b * math.sqrt(sigma)),
        "one noise for all parameters": functools.partial(_take_step, same=True),
        "no noise for an empty batch": functools.partial(_take_step, empty=False),
        "no noise at all": functools.partial(_take_step, width=lambda bound, sigma, e: 0.0),
        "climbs": functools.partial(_take_step, down=-1),
        "noise that is the same at every step": lambda w, c, lr, b, s, e, g: _take_step(
            w, c, lr, b, s, e, runtime.generator(0)
        ),
    },
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------ 14.most_hits


def _hits_none(most):
    """At ε = 0 and δ = 0 an attacker finds as many members as it accuses others"""
    for alarm in (0.0, 0.01, 0.5, 1.0):
        expect_close(most(alarm, 0.0, 0.0), alarm, 1e-9, f"alarm {alarm}, eps 0, delta 0")


def _hits_member(most):
    """Few alarms: e^ε times as many hits, and δ"""
    for alarm, eps, delta in ((0.01, 1.0, 0.0), (0.01, 2.0, 1e-3), (0.0, 3.0, 0.02)):
        want = math.exp(eps) * alarm + delta
        expect_close(most(alarm, eps, delta), want, 1e-9, f"alarm {alarm}, eps {eps}, delta {delta}")


def _hits_none_of_them(most):
    """Many alarms: the second inequality binds, 1 − e^−ε (1 − δ − alarm)"""
    for alarm, eps, delta in ((0.5, 1.0, 0.0), (0.3, 2.0, 1e-3), (0.01, 8.0, 1e-4)):
        want = 1 - math.exp(-eps) * (1 - delta - alarm)
        expect_close(most(alarm, eps, delta), want, 1e-9, f"alarm {alarm}, eps {eps}, delta {delta}")


def _hits_are_chances(most):
    """Is a chance: never above 1"""
    for alarm, eps, delta in ((1.0, 1.0, 0.0), (0.95, 0.5, 0.2), (0.9, 3.0, 0.3)):
        got = float(most(alarm, eps, delta))
        expect_close(got, 1.0, 1e-9, f"alarm {alarm}, eps {eps}, delta {delta}")


def _hits_gaussian(most):
    """No attacker on a Gaussian answer does better, and the best one does as well at some alarm"""
    sigma, eps = 1.3, 1.5
    delta = privacy.gaussian_delta(eps, sigma)
    room = []
    for alarm in np.linspace(0.005, 0.995, 199).tolist():
        hit = norm.cdf(norm.ppf(alarm) + 1 / sigma)  # the best attacker, by a threshold
        room.append(most(alarm, eps, delta) - hit)
        expect(room[-1] > -1e-9, f"noise {sigma}: an attacker has {hit:.4f} hits at alarm {alarm:.3f}, and you allow "
               f"{hit + room[-1]:.4f} at eps {eps}, delta {delta:.4f}")  # fmt: skip
    expect(min(room) < 1e-3, f"the bound is never reached: it is {min(room):.4f} above what is possible")


def most_hits(alarm, eps, delta):
    return min(1.0, math.exp(eps) * alarm + delta, 1 - math.exp(-eps) * (1 - delta - alarm))


def _hits_by_bisection(
    alarm, eps, delta, *, first=True, second=True, cap=1.0, spend=lambda delta: delta, odds=math.exp
):
    """Whether both inequalities hold, asked of ever closer chances."""

    def allowed(hit):
        return (not first or hit <= odds(eps) * alarm + spend(delta) + 1e-15) and (
            not second or 1 - alarm <= odds(eps) * (1 - hit) + spend(delta) + 1e-15
        )

    low, high = 0.0, cap
    if allowed(high):
        return high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if allowed(middle) else (low, middle)
    return high


exercise(
    "14.most_hits",
    title="What a promise says",
    reference=most_hits,
    properties=[_hits_none, _hits_member, _hits_none_of_them, _hits_are_chances, _hits_gaussian],
    hints=[
        "Both inequalities bound the hits from above. Solve each for hit; both must hold, so the smaller counts.",
        "The second one: e^ε (1 − hit) ≥ 1 − alarm − δ, so hit ≤ 1 − e^−ε (1 − δ − alarm).",
        "`min(1.0, math.exp(eps) * alarm + delta, 1 - math.exp(-eps) * (1 - delta - alarm))`",
    ],
    second=_hits_by_bisection,
    mutants={
        "the first inequality only": functools.partial(_hits_by_bisection, second=False),
        "the second inequality only": functools.partial(_hits_by_bisection, first=False),
        "forgets delta": functools.partial(_hits_by_bisection, spend=lambda delta: 0.0),
        "above 1": lambda alarm, eps, delta: min(
            math.exp(eps) * alarm + delta, 1 - math.exp(-eps) * (1 - delta - alarm)
        ),
        "ε for e^ε": functools.partial(_hits_by_bisection, odds=lambda eps: 1 + eps),
        "the larger of the two": lambda alarm, eps, delta: min(
            1.0, max(math.exp(eps) * alarm + delta, 1 - math.exp(-eps) * (1 - delta - alarm))
        ),
    },
)

# --------------------------------------------------------------------------------------------- 14.audit_lower_bound


def _audit_perfect(audit):
    """All of n right, in closed form: log((1 − miss) / miss), miss = 1 − (α/2)^(1/n)"""
    for n, alpha, eps in ((500, 0.01, 4.5419), (500, 0.05, 4.9056), (50, 0.05, None)):
        miss = 1 - (alpha / 2) ** (1 / n)
        want = eps or math.log((1 - miss) / miss)
        what = f"{n} of {n} found, 0 of {n} accused, alpha {alpha}, of which each end may err with half"
        expect_close(audit(n, n, 0, n, 0.0, alpha), want, 1e-3, what)


def _audit_delta(audit):
    """A private algorithm may fail with probability δ: that part of the hits proves nothing"""
    low, high = clopper_pearson(90, 100)[0], clopper_pearson(2, 100)[1]
    for delta in (0.01, 0.2):
        want = max(math.log((low - delta) / high), math.log((1 - high - delta) / (1 - low)))
        expect_close(audit(90, 100, 2, 100, delta, 0.05), want, 1e-3, f"90 of 100 found, 2 accused, delta {delta}")


def _audit_both_sides(audit):
    """An attacker who is only sure of “without” proves as much"""
    want = audit(30, 100, 0, 100, 0.0, 0.05)
    what = "all 100 found and 70 of 100 accused, as against 30 found and none accused"
    expect_close(audit(100, 100, 70, 100, 0.0, 0.05), want, 1e-6, what)


def _audit_nothing(audit):
    """Guessing proves nothing, nor does an attacker who is mostly wrong: 0, never less, however large δ"""
    for counts in ((50, 100, 50, 100), (10, 100, 90, 100), (0, 20, 0, 20)):
        expect_close(audit(*counts, 0.0, 0.05), 0.0, 1e-9, f"found {counts[0]} of {counts[1]}, accused {counts[2]}")
    expect_close(audit(10, 100, 0, 100, 0.5, 0.05), 0.0, 1e-9, "with delta 0.5, 10 of 100 found")


def _audit_covers(audit):
    """Randomised response at ε = 1: a bound above 1 comes out in at most about α of many audits"""
    draw, p = np.random.default_rng(0), 1 / (1 + math.exp(-1))
    counts = list(zip(draw.binomial(60, p, 400).tolist(), draw.binomial(60, 1 - p, 400).tolist(), strict=True))
    wrong = sum(audit(found, 60, accused, 60, 0.0, 0.05) > 1 for found, accused in counts)
    expect(wrong <= 12, f"of 400 audits with alpha 0.05, {wrong} say more than the true ε = 1: is half of alpha left "
           "to each rate?")  # fmt: skip


def audit_lower_bound(found, present, accused, absent, delta, alpha):
    return privacy.audit_lower_bound(found, present, accused, absent, delta=delta, confidence=1 - alpha)


def _audit_by_beta(
    found, present, accused, absent, delta, alpha, *, tail=2.0, forget=False, sides=(0, 1), floor=True, exact=True
):
    """With the beta distribution written out."""
    hit = beta.ppf(alpha / tail, found, present - found + 1) if found else 0.0
    alarm = beta.ppf(1 - alpha / tail, accused + 1, absent - accused) if accused < absent else 1.0
    if not exact:
        hit, alarm = found / present, (accused + 0.5) / absent
    delta = 0.0 if forget else delta
    pairs = ((hit - delta, alarm), (1 - alarm - delta, 1 - hit))
    logs = [math.log(max(pairs[side][0], 1e-300) / max(pairs[side][1], 1e-300)) for side in sides]
    return max([0.0, *logs]) if floor else max(logs)


exercise(
    "14.audit_lower_bound",
    title="What guesses prove about ε",
    reference=audit_lower_bound,
    properties=[_audit_perfect, _audit_delta, _audit_both_sides, _audit_nothing, _audit_covers],
    hints=[
        "`clopper_pearson(found, present, confidence=1 - alpha)` returns the two ends of an interval, alpha / 2 on "
        "either side. Of the hits you need the lower end, of the false alarms the upper.",
        "Privacy says hit ≤ e^ε · alarm + δ. Solve for ε. The same holds for the other answer: "
        "1 − alarm ≤ e^ε · (1 − hit) + δ.",
        "`math.log(max(1, (hit - delta) / alarm, (1 - alarm - delta) / (1 - hit)))`",
    ],
    second=_audit_by_beta,
    mutants={
        "rates as they were counted": functools.partial(_audit_by_beta, exact=False),
        "the whole of alpha for each rate": functools.partial(_audit_by_beta, tail=1.0),
        "forgets delta": functools.partial(_audit_by_beta, forget=True),
        "looks at hits only": functools.partial(_audit_by_beta, sides=(0,)),
        "looks at the answer *without* only": functools.partial(_audit_by_beta, sides=(1,)),
        "less than nothing": functools.partial(_audit_by_beta, floor=False),
        "hits and alarms exchanged": lambda f, p, a, n, d, alpha: _audit_by_beta(a, n, f, p, d, alpha),
    },
)

# -------------------------------------------------------------------------------------------- 14.one_run_lower_bound


def _one_reference(one_run):
    """The values of the authors' own code"""
    for right, alpha, eps in ((100, 0.05, 3.479195), (100, 0.01, 3.023198), (60, 0.05, 0.050736)):
        expect_close(one_run(right, 100, 500, 1e-5, alpha), eps, 1e-3,
                     f"{right} of 100 guesses right, 500 canaries, delta 1e-5, alpha {alpha}")  # fmt: skip


def _one_closed_form(one_run):
    """All r right and δ = 0: p^r = α, so ε = log(p / (1 − p)) with p = α^(1/r)"""
    for r, alpha in ((10, 0.05), (300, 0.01)):
        p = alpha ** (1 / r)
        expect_close(one_run(r, r, 1000, 0.0, alpha), math.log(p / (1 - p)), 1e-3, f"{r} of {r} right, alpha {alpha}")


def _one_nothing(one_run):
    """A coin's guesses prove nothing"""
    for right, guesses in ((50, 100), (10, 100), (0, 20)):
        expect_close(one_run(right, guesses, 200, 1e-5, 0.05), 0.0, 1e-6, f"{right} of {guesses} right")


def _one_delta(one_run):
    """δ costs more the more canaries there are; without δ they do not matter"""
    few, many = one_run(90, 100, 200, 1e-4, 0.05), one_run(90, 100, 1000, 1e-4, 0.05)
    expect(few > many + 0.01, f"90 of 100 right, delta 1e-4: {few:.4f} with 200 canaries, {many:.4f} with 1,000")
    expect_close(one_run(90, 100, 1000, 0.0, 0.05), one_run(90, 100, 200, 0.0, 0.05), 1e-4, "the bound without delta")


def one_run_lower_bound(right, guesses, canaries, delta, alpha):
    return privacy.one_run_lower_bound(right, guesses, canaries, delta=delta, confidence=1 - alpha)


def _one_by_brent(
    right, guesses, canaries, delta, alpha, *, at_least=0, twice=2.0, share=True, scale=lambda m, r: m, odds=math.exp
):
    """The sum written out, the root by Brent's method."""

    def chance(eps):
        p = odds(eps) / (1 + odds(eps))
        below, worst = 0.0, 0.0
        for i in range(1, right + 1):
            below += binom.pmf(right - i, guesses, p)
            worst = max(worst, below / i if share else below)
        return binom.sf(right - 1 + at_least, guesses, p) + twice * scale(canaries, guesses) * delta * worst

    if right == 0 or chance(0.0) >= alpha:
        return 0.0
    return brentq(lambda eps: chance(eps) - alpha, 0.0, 30.0)


exercise(
    "14.one_run_lower_bound",
    title="One run is enough",
    reference=one_run_lower_bound,
    properties=[_one_reference, _one_closed_form, _one_nothing, _one_delta],
    hints=[
        "Write `chance(eps)` first. `binom.sf(right - 1, guesses, p)` is the probability of at least `right`, and "
        "`binom.pmf(right - i, guesses, p)`, added up over i = 1 … `right`, the P of the second term.",
        "`chance` rises with eps. If it is α or more at eps = 0 already, the answer is 0.",
        "Else halve an interval from 0 to 30 some 40 times: where `chance(middle) < alpha` is the new lower end.",
    ],
    second=_one_by_brent,
    mutants={
        "more than, not at least": functools.partial(_one_by_brent, at_least=1),
        "forgets delta": functools.partial(_one_by_brent, twice=0.0),
        "forgets the 2": functools.partial(_one_by_brent, twice=1.0),
        "forgets to divide by i": functools.partial(_one_by_brent, share=False),
        "counts guesses as canaries": functools.partial(_one_by_brent, scale=lambda m, r: r),
        "half of ε": functools.partial(_one_by_brent, odds=lambda eps: math.exp(eps / 2)),
        "a binomial of all canaries": lambda v, r, m, d, alpha: _one_by_brent(v, m, m, d, alpha),
        "no interval": lambda v, r, m, d, alpha: math.log(max(1.0, v / max(r - v, 1))),
    },
)  # fmt: skip

# ---------------------------------------------------------------------------------------------------------------- quiz

QUIZ = (
    Question(
        "A step of DP-SGD draws 90 records where 64 were expected. By what is the noisy sum divided?",
        (
            "by 90, the number of records in it",
            "by 64, whatever was drawn",
            "by either: it changes the step's length and nothing else",
        ),
        1,
        (
            "The number drawn depends on who is in the data, and the guarantee is for a sum divided by a constant.",
            "A constant reveals nothing. The sum, with its noise, is all that comes from the data.",
            "It is a number that the data chose, and that no noise hides. It gives away little, but is not accounted.",
        ),
    ),
    Question(
        "An audit of 1,000 canaries proves ε ≥ 0.3. The accountant says ε ≤ 1.5. What do you know?",
        (
            "the true ε is 0.3",
            "the accountant is wrong",
            "that the truth lies between, if the accountant's assumptions hold for this code",
        ),
        2,
        (
            "A lower bound is what *this* attacker could prove with so many canaries.",
            "Not from this: 0.3 is below 1.5. Only a bound above the claim would refute it.",
            "The audit refutes nothing. It would also refute nothing if the bug were one that it cannot see.",
        ),
    ),
    Question(
        "An implementation draws its noise once and adds it at every step. Where does it show?",
        (
            "in the steps' noisy gradients: what changes between steps is data",
            "in the final weights of one run",
            "in the test accuracy",
        ),
        0,
        (
            "The differences of two steps hold no noise at all.",
            "There it looks like more noise, not less: the same draw added up many times.",
            "It is a little lower, and so it is with a smaller learning rate.",
        ),
    ),
    Question(
        "A face recogniser is trained with ε = 8 for each photograph. There are 12 of each person. What of the person?",
        (
            "ε = 8 as well",
            "at most 12 · 8 = 96, which promises nothing, so a likeness may well come out",
            "nothing can be reconstructed, since the training was private",
        ),
        1,
        (
            "The neighbours of the definition differ in one photograph, not in twelve.",
            "The unit of privacy is part of the claim. A class that is one person is learnt as a class should be.",
            "Private training hides whether a record was used, not what a class looks like.",
        ),
    ),
    Question(
        "A team tries 40 settings on the private data and publishes the best model, with the ε of its own run. Fair?",
        (
            "yes: only one model is published",
            "yes, if the other 39 are deleted",
            "no: the choice was made from the data as well, and it has to be accounted or made on public data",
        ),
        2,
        (
            "But which one is published depends on all 40 runs.",
            "What was deleted has done its work: it decided what is left.",
            "Choosing is a computation on the data. Labs do it all the time, ours too: say so.",
        ),
    ),
)
