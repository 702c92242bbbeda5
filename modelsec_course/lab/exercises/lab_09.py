"""Lab 09: model extraction. Equations, knock-offs, a monitor, rounded answers, and a proof of ownership."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import binom, norm, shapiro
from torch import Tensor, nn

from modelsec_course import data, extraction, models, runtime, zoo
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close

LAB = Lab(
    number="09",
    title="Model extraction",
    question="What does a copy cost?",
    minutes=80,
    difficulty=3,
    prerequisites=("Lab 01",),
    outcomes=(
        "solve a linear model from its answers, exactly, and say how many queries that takes",
        "copy a network through its probabilities, or its labels alone, and measure the copy honestly",
        "measure what monitoring and rounding cost the attacker, and what they cost honest users",
        "test whether a model is a copy, with a p-value that does not accuse the innocent",
    ),
    seconds=25,
    part="Confidentiality",
    stage="API",
)

# --------------------------------------------------------------------------------------------------- 09.solve_logistic


def _logistic(d: int, n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries (n, d), their probabilities, and the w and b behind them."""
    draw = runtime.generator(seed)
    w, b = torch.randn(d, generator=draw).double(), torch.randn((), generator=draw).double()
    x = torch.randn(n, d, generator=draw).double()
    return x, torch.sigmoid(x @ w + b), w, b


def _logistic_exact(solve):
    """Exact to 1e-9 from d + 1 answers"""
    for d in (1, 5, 30):
        x, p, w, b = _logistic(d, d + 1, seed=d)
        got_w, got_b = solve(x, p)
        expect_close(got_w, w, 1e-9, f"w, from {d + 1} answers about {d} features")
        expect_close(got_b, b, 1e-9, f"b, from {d + 1} answers about {d} features")


def _logistic_least_squares(solve):
    """With more answers than unknowns it uses them all: least squares in the log-odds"""
    x, _, w, b = _logistic(4, 200)
    noise = 0.1 * torch.randn(200, generator=runtime.generator(9)).double()
    noisy = torch.sigmoid(x @ w + b + noise)
    got_w, got_b = solve(x, noisy)
    left = torch.logit(noisy) - x @ got_w - got_b
    slope = (torch.cat([x, torch.ones_like(x[:, :1])], 1).T @ left).abs().max().item()
    expect(slope < 1e-6, "for 200 noisy answers the residuals still have a slope: the sum of squares can be smaller")


def _logistic_tumours(solve):
    """On the lab's model of tumours: 31 answers give all 30 weights"""
    layer = zoo.load("tumours-logistic", device="cpu")[-1].double()
    x = torch.randn(31, 30, generator=runtime.generator(2)).double()
    w, b = solve(x, extraction.Victim(layer, budget=31)(x)[:, 1])
    expect_close(w, (layer.weight[1] - layer.weight[0]).detach(), 1e-9, "w")
    expect_close(b, (layer.bias[1] - layer.bias[0]).detach(), 1e-9, "b")


def _w_and_b(result, args, kwargs) -> None:
    expect(isinstance(result, tuple) and len(result) == 2, "expected two tensors, w and b")
    d = kwargs.get("x", args[0] if args else None).shape[1]
    w, b = (torch.as_tensor(part) for part in result)
    expect(w.shape == (d,), f"w: expected shape ({d},), got {tuple(w.shape)}")
    expect(b.shape == (), f"b: expected a single number, got shape {tuple(b.shape)}")


def _logistic_by_hand(x, p, *, odds=torch.logit, bias=True, rows=None, dtype=torch.float64):
    x, p = x[: rows and x.shape[1] + 1].to(dtype), p[: rows and x.shape[1] + 1].to(dtype)
    design = torch.hstack([x, torch.ones(len(x), 1, dtype=dtype, device=x.device)]) if bias else x
    solution = (torch.linalg.pinv(design) @ odds(p)).double()
    return (solution[:-1], solution[-1]) if bias else (solution, torch.zeros((), dtype=torch.float64))


exercise(
    "09.solve_logistic",
    title="A linear model, solved",
    reference=extraction.solve_logistic,
    properties=[_logistic_exact, _logistic_least_squares, _logistic_tumours],
    hints=[
        "Turn each probability into log-odds, `torch.logit(p)`. What are they equal to?",
        "w·x + b: one linear equation in d + 1 unknowns. Put a column of ones behind x, and b becomes one more weight.",
        "`design = torch.cat([x, torch.ones_like(x[:, :1])], 1)`, then "
        "`torch.linalg.lstsq(design, torch.logit(p)[:, None]).solution[:, 0]`. The last number is b.",
    ],
    returns=_w_and_b,
    second=_logistic_by_hand,
    mutants={
        "forgets the bias": functools.partial(_logistic_by_hand, bias=False),
        "solves for the probability, not its log-odds": functools.partial(_logistic_by_hand, odds=lambda p: p),
        "takes the logarithm, not the log-odds": functools.partial(_logistic_by_hand, odds=torch.log),
        "the odds of the other class": functools.partial(_logistic_by_hand, odds=lambda p: torch.logit(1 - p)),
        "uses the first d + 1 answers only": functools.partial(_logistic_by_hand, rows=True),
        "computes in float32": functools.partial(_logistic_by_hand, dtype=torch.float32),
    },
)

# ---------------------------------------------------------------------------------------------------- 09.solve_softmax


def _softmax(d: int, classes: int, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = runtime.generator(10 * d + classes)
    weight, bias = torch.randn(classes, d, generator=draw).double(), torch.randn(classes, generator=draw).double()
    x = torch.randn(n, d, generator=draw).double()
    return x, (x @ weight.T + bias).softmax(1), weight, bias


def _softmax_same_model(solve):
    """The copy answers as the victim does, also where it never asked"""
    for d, classes in ((3, 2), (8, 5), (20, 10)):
        x, p, weight, bias = _softmax(d, classes, d + 1)
        got_weight, got_bias = solve(x, p)
        new = torch.randn(50, d, generator=runtime.generator(1)).double()
        got, want = ((new @ w.T + b).softmax(1) for w, b in ((got_weight, got_bias), (weight, bias)))
        expect_close(got, want, 1e-9, f"the copy's probabilities at new inputs, with {classes} classes")


def _softmax_gauge(solve):
    """The gauge: class 0 has zeros, every other class is what it was minus class 0"""
    x, p, weight, bias = _softmax(6, 4, 7)
    got_weight, got_bias = solve(x, p)
    expect_close(got_weight[0], torch.zeros(6), 1e-9, "the weights of class 0")
    expect_close(got_bias[0], 0.0, 1e-9, "the bias of class 0")
    expect_close(got_weight, weight - weight[0], 1e-9, "weight")
    expect_close(got_bias, bias - bias[0], 1e-9, "bias")


def _softmax_more(solve):
    """With more answers than unknowns it uses them all"""
    x, p, weight, _ = _softmax(5, 3, 300)
    noise = 0.05 * torch.randn(p.shape, generator=runtime.generator(4)).double()
    noisy = (p.log() + noise).softmax(1)
    got_weight, _ = solve(x, noisy)
    gap = (got_weight - got_weight[0] - (weight - weight[0])).abs().max().item()  # in any gauge
    expect(gap < 0.025, f"from 300 noisy answers a weight is {gap:.3f} off, expected about 0.01: are all 300 used?")


def _weight_and_bias(result, args, kwargs) -> None:
    x, p = (kwargs.get(name, args[i] if len(args) > i else None) for i, name in enumerate("xp"))
    expect(isinstance(result, tuple) and len(result) == 2, "expected two tensors, weight and bias")
    for name, part, want in zip(("weight", "bias"), result, ((p.shape[1], x.shape[1]), p.shape[1:]), strict=True):
        expect(tuple(part.shape) == tuple(want), f"{name}: expected shape {tuple(want)}, got {tuple(part.shape)}")


def _softmax_class_by_class(x, p, *, odds=lambda p, k: (p[:, k] / p[:, 0]).log(), rows=None, last=False):
    """Each class against class 0 is a logistic regression of its own."""
    x, p = x[: rows and x.shape[1] + 1], p[: rows and x.shape[1] + 1]
    design = torch.hstack([x, torch.ones_like(x[:, :1])])
    solution = torch.stack([torch.linalg.pinv(design) @ odds(p, k) for k in range(p.shape[1])])
    if last:
        solution = solution - solution[-1]
    return solution[:, :-1], solution[:, -1]


exercise(
    "09.solve_softmax",
    title="Ten classes, and a gauge",
    reference=lambda x, p: extraction.solve_softmax(x, p),
    properties=[_softmax_same_model, _softmax_gauge, _softmax_more],
    hints=[
        "The logarithm of a probability is its logit minus a number that is the same for all classes. What cancels it?",
        "`p.log() - p.log()[:, :1]` is the logit of each class minus that of class 0: linear in x.",
        "One call solves all classes: `torch.linalg.lstsq(design, odds).solution` is (d + 1, classes). The last row is "
        "the bias, and the rest must be transposed.",
    ],
    returns=_weight_and_bias,
    second=_softmax_class_by_class,
    mutants={
        "takes log p for the logit": functools.partial(_softmax_class_by_class, odds=lambda p, k: p[:, k].log()),
        "the log-odds of each class against all others": functools.partial(
            _softmax_class_by_class, odds=lambda p, k: torch.logit(p[:, k])
        ),
        "subtracts the mean instead": functools.partial(
            _softmax_class_by_class, odds=lambda p, k: p[:, k].log() - p.log().mean(1)
        ),
        "holds the last class at zero": functools.partial(_softmax_class_by_class, last=True),
        "upside down": functools.partial(_softmax_class_by_class, odds=lambda p, k: (p[:, 0] / p[:, k]).log()),
        "uses the first d + 1 answers only": functools.partial(_softmax_class_by_class, rows=True),
    },
)

# -------------------------------------------------------------------------------------------------------- 09.knockoff


def _student(d: int, classes: int, seed: int = 5) -> nn.Module:
    return models.initialise(models.linear(d, classes), runtime.generator(seed))


@functools.cache
def _linear_victim() -> tuple[nn.Module, Tensor]:
    net, draw = _student(8, 4, seed=3), runtime.generator(4)
    with torch.no_grad():
        net[1].weight.mul_(2)
    return net.eval(), torch.randn(600, 8, generator=draw)


def _knockoff_asks(copy):
    """Asks about each query once: a budget of exactly that many is enough"""
    net, x = _linear_victim()
    victim = extraction.Victim(net, budget=100)
    try:
        copy(victim, x[:100], _student(8, 4), 3, runtime.generator(0))
    except extraction.OutOfQueries:
        expect(False, f"100 queries and a budget of 100: the victim was asked again after {victim.spent} answers")
    expect(victim.spent == 100, f"asked {victim.spent} times about 100 queries")


def _knockoff_soft(copy):
    """Uses the probabilities as they are: a linear copy of a linear model ends within 0.03 of each"""
    net, x = _linear_victim()
    student = copy(extraction.Victim(net), x, _student(8, 4), 60, runtime.generator(0))
    with torch.no_grad():
        gap = (student(x).softmax(1) - net(x).softmax(1)).abs().mean().item()
    expect(
        gap < 0.03,
        f"the copy's probabilities are {gap:.3f} off on average, expected less than 0.03. Likely causes: answers "
        "turned into labels, a softmax before cross_entropy, or too few steps (batches larger than 64)",
    )


def _knockoff_labels(copy):
    """Works from labels alone too"""
    net, x = _linear_victim()
    student = copy(extraction.Victim(net, answers="label"), x[:400], _student(8, 4), 150, runtime.generator(0))
    same = extraction.agreement(student, net, x[400:])
    expect(same > 0.85, f"from 400 labels the copy agrees on {same:.0%} of 200 new inputs, expected about 95 %")


def _knockoff_obeys(copy):
    """Believes the victim: if it calls everything a 7, so does the copy"""
    constant = lambda x: F.one_hot(torch.full((len(x),), 7), 10).float()  # noqa: E731
    x = torch.rand(64, 1, 8, 8, generator=runtime.generator(1))
    student = copy(constant, x, _student(64, 10), 80, runtime.generator(0))
    expect((student(x).argmax(1) == 7).all(), "the victim called everything a 7, and the copy does not")


def _knockoff_digits(copy):
    """On digits: 500 blends of 100 public digits give 80 % agreement, and the untrained student has less than 40 %"""
    digits, victim = data.load("digits"), zoo.load("digits-linear", device="cpu")
    x = extraction.mixtures(digits.x_test[:100], 500, generator=runtime.generator(2))
    before = extraction.agreement(_student(64, 10), victim, digits.x_test[100:])
    student = copy(extraction.Victim(victim), x, _student(64, 10), 40, runtime.generator(0))
    after = extraction.agreement(student, victim, digits.x_test[100:])
    expect(after > 0.8 and before < 0.4, f"agreement on 260 new digits: {before:.0%} before, {after:.0%} after")


def _a_student(result, args, kwargs) -> None:
    expect(isinstance(result, nn.Module), f"expected the trained student, got a {type(result).__name__}")
    expect(not result.training, "the copy is left in train mode: return student.eval()")


def knockoff(victim, x, student, epochs, generator):
    return extraction.knockoff(victim, x, student, epochs=epochs, generator=generator, progress=False)


def _knockoff_by_hand(
    victim, x, student, epochs, generator, *, ask="once", soften=lambda a: a, output=lambda z: z, step=True, last=True
):
    """Cross-entropy written out, and batches of 50."""
    answers = victim(x)
    if ask == "twice":
        victim(x)
    answers = soften(F.one_hot(answers, 4).float() if answers.dim() == 1 else answers)
    optimiser = torch.optim.Adam(student.parameters(), 3e-3)
    student.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(50):
            wanted = victim(x[rows]) if ask == "again" else answers[rows]
            loss = -(wanted * output(student(x[rows])).log_softmax(1)).sum(1).mean()
            optimiser.zero_grad()
            loss.backward()
            if step:
                optimiser.step()
    return student.eval() if last else student.train()


exercise(
    "09.knockoff",
    title="A knock-off",
    reference=knockoff,
    properties=[_knockoff_asks, _knockoff_soft, _knockoff_labels, _knockoff_obeys, _knockoff_digits],
    hints=[
        "Ask once, before the loop: `answers = victim(x)`. Each call costs as many queries as it has rows.",
        "`F.cross_entropy(student(x[rows]), answers[rows])` takes labels (n,) and probabilities (n, classes) alike.",
        "Then `optimiser.zero_grad()`, `loss.backward()`, `optimiser.step()`.",
    ],
    returns=_a_student,
    mutates=("student",),
    second=_knockoff_by_hand,
    mutants={
        "asks in every epoch": functools.partial(_knockoff_by_hand, ask="again"),
        "asks twice": functools.partial(_knockoff_by_hand, ask="twice"),
        "throws the probabilities away": functools.partial(
            _knockoff_by_hand, soften=lambda a: F.one_hot(a.argmax(1), a.shape[1]).float()
        ),
        "softmax before cross-entropy": functools.partial(_knockoff_by_hand, output=lambda z: z.softmax(1)),
        "never steps": functools.partial(_knockoff_by_hand, step=False),
        "learns the opposite": functools.partial(
            _knockoff_by_hand, soften=lambda a: (1 - a) / (1 - a).sum(1, keepdim=True)
        ),
        "leaves the copy in train mode": functools.partial(_knockoff_by_hand, last=False),
    },
)

# ------------------------------------------------------------------------------------------------------ 09.prada_score


def _path(steps) -> Tensor:
    """Points on a staircase, each farther out than the last: the nearest earlier one is the one before."""
    directions = np.resize([[1.0, 0.0], [0.6, 0.8]], (len(steps), 2))
    return torch.as_tensor(np.vstack([[0.0, 0.0], np.cumsum(directions * np.reshape(steps, (-1, 1)), 0)])).float()


def _prada_path(score):
    """Points on a staircase, one label: W of the steps between them"""
    steps = np.random.default_rng(0).gamma(3, size=60)
    got = score(_path(steps), torch.zeros(61, dtype=torch.int64))
    expect_close(got, shapiro(steps).statistic, 1e-4, "W of 60 known distances")


def _prada_earlier(score):
    """Only earlier queries count, and all of them: not only the last, and none that comes later"""
    steps = np.random.default_rng(1).uniform(1, 2, size=40)
    path = _path(steps)
    filled = torch.cat([path, path[:-1].lerp(path[1:], 0.3)])  # later, between two earlier ones
    want = shapiro(np.concatenate([steps, 0.3 * steps])).statistic
    got = score(filled, torch.zeros(len(filled), dtype=torch.int64))
    expect_close(got, want, 1e-4, "W when later queries fall between earlier ones")


def _prada_labels(score):
    """Only queries with the same label are compared"""
    one, two = (np.random.default_rng(k).uniform(1, 2, size=40) for k in (2, 3))
    queries, labels = torch.stack([_path(one), _path(two) + 0.01], 1).flatten(0, 1), torch.arange(82) % 2
    want = shapiro(np.stack([one, two], 1).ravel()).statistic
    expect_close(score(queries, labels), want, 1e-4, "W for two interleaved labels")


def _prada_outlier(score):
    """A distance more than three standard deviations above or below the mean is left out"""
    steps = np.random.default_rng(4).uniform(1, 2, size=50)
    for far in (60.0, 0.01):
        got = score(_path(np.append(steps, far)), torch.zeros(52, dtype=torch.int64))
        want = shapiro(steps).statistic
        expect_close(got, want, 1e-4, f"W of 50 distances from 1 to 2, and one of {far:g} that must not count")


def _prada_digits(score):
    """On the lab's model: 100 digits score above 0.9, four small steps from each of 25 digits below 0.7"""
    digits, model = data.load("digits"), zoo.load("digits-cnn", device="cpu")
    steps = 0.02 * torch.randn(25, 4, 1, 8, 8, generator=runtime.generator(0)).cumsum(1)
    probing = (digits.x_test[:25, None] + steps).clamp(0, 1).flatten(0, 1)
    with torch.no_grad():
        honest, search = (score(x, model(x).argmax(1)) for x in (digits.x_test[:100], probing))
    expect(honest > 0.9 and search < 0.7, f"honest digits score {honest:.3f}, small steps {search:.3f}")


def _prada_loop(queries, labels, *, same=True, cut=3.0, keep_near=False, order=2, which="earlier", part="statistic"):
    """Query by query, in numpy."""
    queries, labels = queries.flatten(1).double().numpy(), labels.numpy()
    found = []
    for i in range(len(queries)):
        everyone = np.arange(len(queries))
        other = {"earlier": everyone[:i], "last": everyone[max(i - 1, 0) : i], "all": np.delete(everyone, i)}[which]
        other = other[labels[other] == labels[i]] if same else other
        if len(other):
            found.append(np.linalg.norm(queries[other] - queries[i], ord=order, axis=1).min())
    found = np.array(found or [0.0, 1.0, 1.5])
    apart = (found - found.mean()) / found.std()
    kept = found[(apart <= cut) & ((apart >= -cut) | keep_near)]
    return float(getattr(shapiro(kept), part))


exercise(
    "09.prada_score",
    title="A monitor for queries",
    reference=extraction.prada_score,
    properties=[_prada_path, _prada_earlier, _prada_labels, _prada_outlier, _prada_digits],
    hints=[
        "For query i: of the queries before it with the same label, how far is the nearest? If there is none, skip it.",
        "Keep the distances with `(d - d.mean()).abs() <= 3 * d.std()`, then `shapiro(d.numpy()).statistic`.",
        "All pairs at once: `torch.cdist(flat, flat)`, infinite where the labels differ or the other is not earlier "
        "(`torch.ones(n, n).tril(-1)`), then `.amin(1)`, and keep what is finite.",
    ],
    second=_prada_loop,
    mutants={
        "compares with later queries too": functools.partial(_prada_loop, which="all"),
        "compares with the query before, not the nearest": functools.partial(_prada_loop, which="last"),
        "ignores the labels": functools.partial(_prada_loop, same=False),
        "leaves out far outliers, and keeps near ones": functools.partial(_prada_loop, keep_near=True),
        "keeps outliers": functools.partial(_prada_loop, cut=math.inf),
        "adds up the pixels' changes": functools.partial(_prada_loop, order=1),
        "gives the p-value, not W": functools.partial(_prada_loop, part="pvalue"),
    },
)

# ---------------------------------------------------------------------------------------------------- 09.round_outputs


def _probabilities() -> Tensor:
    """Sure and unsure rows, near ties, and rows where every class rounds the same way."""
    draw = runtime.generator(6)
    rows = [(scale * torch.randn(40, 20, generator=draw)).softmax(1) for scale in (0.05, 0.5, 2, 6)]
    tied = torch.full((1, 20), 0.0)
    tied[0, :3] = torch.tensor([0.3349, 0.3331, 0.3320])
    return torch.cat([*rows, tied]).double()


def _round_units(rounded):
    """Every number has at most that many decimals, from 0 to 1"""
    p = _probabilities()
    for decimals in (1, 2, 3):
        got = rounded(p, decimals) * 10**decimals
        expect_close(got, got.round(), 1e-6, f"numbers times 10^{decimals} must be whole")
        expect(got.min() > -1e-6 and got.max() < 10**decimals + 1e-6, f"decimals = {decimals}: outside of [0, 1]")


def _round_sums(rounded):
    """Each row still sums to 1"""
    p = _probabilities()
    for decimals in (1, 2):
        expect_close(rounded(p, decimals).sum(1), torch.ones(len(p)), 1e-6, f"row sums with {decimals} decimals")


def _round_label(rounded):
    """The label never changes: the largest stays the largest, and alone"""
    p = _probabilities()
    for decimals in (1, 2):
        first, second = rounded(p, decimals).topk(2, dim=1).values.T
        changed = int((rounded(p, decimals).argmax(1) != p.argmax(1)).sum())
        tied = int((first - second < 1e-6).sum())
        expect(
            changed == 0 and tied == 0, f"decimals = {decimals}, {len(p)} rows: {changed} labels changed, {tied} tied"
        )


def _round_down(rounded):
    """Every class but the largest is rounded down: it never rises, and falls by less than a unit, 10^-decimals"""
    p = _probabilities()
    others = ~F.one_hot(p.argmax(1), 20).bool()
    for decimals in (1, 2, 3):
        moved = (rounded(p, decimals) - p)[others]
        rose, fell = moved.max().item(), -moved.min().item()
        expect(rose < 1e-6, f"decimals = {decimals}: a class that is not the largest rose by {rose:.4f}: round it down")
        expect(fell < 10**-decimals, f"decimals = {decimals}: a class that is not the largest fell by {fell:.4f}")


def _same_shape(result, args, kwargs) -> None:
    want = kwargs.get("probabilities", args[0] if args else None).shape
    expect(isinstance(result, Tensor), f"expected a tensor, got a {type(result).__name__}")
    expect(result.shape == want, f"expected shape {tuple(want)}, got {tuple(result.shape)}")


def _round_rows(probabilities, decimals, *, how=math.floor, rest=True):
    """Row by row, in whole units."""
    unit, rows = 10**decimals, []
    for row in probabilities.tolist():
        top = row.index(max(row))
        units = [how(value * unit) for value in row]
        if rest:
            units[top] = unit - sum(units[:top]) - sum(units[top + 1 :])
        rows.append([value / unit for value in units])
    return torch.tensor(rows, dtype=probabilities.dtype, device=probabilities.device)


def _largest_remainders(probabilities, decimals):
    """The units left over go to the largest remainders, unless that would tie the top or change the label."""
    scaled = probabilities * 10**decimals
    units = scaled.floor()
    order = (scaled - units).argsort(1, descending=True).argsort(1)
    shared = (units + (order < (10**decimals - units.sum(1, keepdim=True)).round())) / 10**decimals
    first, second = shared.topk(2, dim=1).values.T
    good = (shared.argmax(1) == probabilities.argmax(1)) & (first - second > 1e-6)
    return torch.where(good[:, None], shared, _round_rows(probabilities, decimals))


exercise(
    "09.round_outputs",
    title="Rounded answers that stay answers",
    reference=extraction.round_outputs,
    properties=[_round_units, _round_sums, _round_label, _round_down],
    hints=[
        "Rounding to the nearest can lift many small classes at once. Which way of rounding never lifts one?",
        "Round every class *down*, `(p * 10**decimals).floor()`. The sum is now at most 1. Who should get the rest?",
        "The largest class: set it to 0 with `.scatter(1, top, 0.0)`, where `top = p.argmax(1, keepdim=True)`, then "
        "to one minus the sum of the others.",
    ],
    returns=_same_shape,
    second=_round_rows,
    mutants={
        "rounds each to the nearest": lambda p, decimals: p.round(decimals=decimals),
        "rounds, then divides by the sum": lambda p, d: (
            (p + 1e-9).round(decimals=d) / (p + 1e-9).round(decimals=d).sum(1, keepdim=True).clamp_min(10.0**-d)
        ),
        "rounds to the nearest, and gives the rest to the largest": functools.partial(_round_rows, how=round),
        "gives the rest to the largest remainders": _largest_remainders,
        "rounds down and keeps no rest": functools.partial(_round_rows, rest=False),
        "the label alone": lambda p, decimals: F.one_hot(p.argmax(1), p.shape[1]).to(p),
        "one decimal more": lambda p, decimals: _round_rows(p, decimals + 1),
        "does nothing": lambda p, decimals: p.clone(),
    },
)

# ------------------------------------------------------------------------------------------------ 09.watermark_p_value


def _p_known(p_value):
    """Known values: none of n is 1, all of n is chanceⁿ, 12 of 20 at 1/10 is 5.81e-8"""
    expect_close(p_value(0, 20, 0.1), 1.0, 1e-6, "p for 0 of 20")
    expect_close(p_value(5, 5, 0.1) * 1e5, 1.0, 1e-6, "p for 5 of 5 at 1/10, times 10^5")
    expect_close(p_value(12, 20, 0.1) * 1e8, 5.81, 0.01, "p for 12 of 20 at 1/10, times 10^8")
    expect_close(p_value(1, 1, 0.25), 0.25, 1e-6, "p for 1 of 1 at 1/4")


def _p_steps(p_value):
    """One hit more lowers it by the probability of exactly that many"""
    for n, chance in ((10, 0.1), (30, 0.5)):
        for hits in range(n):
            step = p_value(hits, n, chance) - p_value(hits + 1, n, chance)
            want = binom.pmf(hits, n, chance)
            expect_close(1e3 * step, 1e3 * want, 1e-4, f"1,000 · (p({hits}) − p({hits + 1})), n = {n}, chance {chance}")


def _p_conservative(p_value):
    """Accuses an innocent model with probability at most α, for every α"""
    for n, chance in ((20, 0.1), (7, 0.5)):
        p = np.array([float(p_value(hits, n, chance)) for hits in range(n + 1)])
        for alpha in (0.001, 0.01, 0.05, 0.2, 0.5):
            accused = binom.pmf(np.arange(n + 1), n, chance)[p <= alpha].sum()
            expect(accused <= alpha + 1e-12, f"α = {alpha}: {accused:.4f} of innocent models have p <= α (n = {n})")


def _p_precise(p_value):
    """Small p-values are small numbers, not 0"""
    expect(p_value(20, 20, 0.1) > 0, "20 of 20 at 1/10 has p = 1e-20: 1 − (a sum) loses it")
    expect_close(math.log10(p_value(20, 20, 0.1)), -20, 1e-6, "log10 of p for 20 of 20 at 1/10")


def _a_number(result, args, kwargs) -> None:
    expect(np.ndim(result) == 0, f"expected a number, got a {type(result).__name__}")
    expect(-1e-9 <= float(result) <= 1 + 1e-9, f"expected a probability, got {float(result):.4g}")


def _p_sum(hits, n, chance):
    return math.fsum(math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(hits, n + 1))


exercise(
    "09.watermark_p_value",
    title="A p-value for the watermark",
    reference=extraction.watermark_p_value,
    properties=[_p_known, _p_steps, _p_conservative, _p_precise],
    hints=[
        "An innocent model hits each secret label with probability `chance`. Of how many hits is this the probability: "
        "exactly so many, or so many *or more*?",
        "Add up the binomial probabilities of hits, hits + 1, ..., n. `scipy.stats.binom.pmf(k, n, chance)` gives one.",
        "Or in one go: `binom.sf(k, n, chance)` is the probability of *more than* k.",
    ],
    returns=_a_number,
    second=_p_sum,
    mutants={
        "more than so many": lambda hits, n, chance: binom.sf(hits, n, chance),
        "exactly so many": lambda hits, n, chance: binom.pmf(hits, n, chance),
        "at most so many": lambda hits, n, chance: binom.cdf(hits, n, chance),
        "every hit at once": lambda hits, n, chance: chance**hits,
        "the normal approximation": lambda hits, n, chance: norm.sf(
            (hits - n * chance) / math.sqrt(n * chance * (1 - chance))
        ),
        "one minus a sum": lambda hits, n, chance: max(0.0, 1 - binom.cdf(hits - 1, n, chance)),
    },
)

QUIZ = (
    Question(
        "A service gives the probabilities of a softmax regression: 64 pixels, 10 classes. What does a copy cost?",
        (
            "65 queries, whatever the number of classes: each answer holds an equation for every class",
            "640 queries, one for each weight",
            "it cannot be copied exactly, since a number can be added to all logits",
        ),
        0,
        (
            "Nine equations an answer, 9 · 65 unknowns once class 0 is held at zero.",
            "Each answer tells something about all classes at once.",
            "That number changes no answer. The copy is exact in everything that the service ever says.",
        ),
    ),
    Question(
        "Labels only, a linear model. You want the boundary ten times more precisely. How many more queries?",
        (
            "ten times as many",
            "about 3.3 for each feature: one halving for each bit",
            "a hundred times as many, since errors fall with the root",
        ),
        1,
        (
            "That is about what random queries need.",
            "log₂ 10 = 3.3 halvings on each line. A yes or no is one bit, and none is wasted.",
            "That is averaging noise. There is no noise here.",
        ),
    ),
    Question(
        "A copy agrees with its victim on 97 % of the test set. The victim is 95 % accurate. How accurate is the copy?",
        (
            "92 % (0.97 · 0.95)",
            "between 92 % and 98 %: agreement alone does not say where they differ",
            "97 %",
        ),
        1,
        (
            "Only if the 3 % were spread evenly, and the copy were always wrong there.",
            "Where they differ the copy may be right or wrong, so report both numbers.",
            "Agreement is with the victim, mistakes included. It is not accuracy.",
        ),
    ),
    Question(
        "PRADA gives a client's queries a score as high as any honest client's. What do you know?",
        (
            "the client is honest",
            "nothing much: blends of real pictures, or plain noise, look normal to it",
            "the client stays within the budget",
        ),
        1,
        (
            "The monitor sees small steps around a few pictures. A knock-off needs none.",
            "The blends of this lab pass it, and so does uniform noise: their distances are about normal.",
            "It looks at distances, not at counts.",
        ),
    ),
    Question(
        "A watermark has one patch and one secret label. A suspect gives 95 of 200 stamped pictures that label, and a "
        "binomial test with n = 200 and chance 1/10 gives p = 1e-41. Why is that no proof?",
        (
            "200 pictures are too few",
            "the 200 answers are no independent trials: a model that the patch pushes to that class hits often",
            "the chance should be 1/9",
        ),
        1,
        (
            "More of them would make it worse.",
            "The label is drawn once, and by luck it is the patch's favourite class. Draw many keys with a label each.",
            "A detail that changes little.",
        ),
    ),
)
