"""Lab 12: what an update says of the data behind it, and how a server adds up what it may not see."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import scipy.optimize
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import inversion, models, runtime
from modelsec_course.federated import MODULUS, expand
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close

LAB = Lab(
    number="12",
    title="Gradient leakage in federated learning",
    question="Do updates reveal data?",
    minutes=75,
    difficulty=4,
    prerequisites=(
        "Lab 00, for autograd",
        "the chain rule, for one linear layer; ε and δ get one line here, Lab 13 the rest",
    ),
    outcomes=(
        "read an input and its label off a gradient, exactly, where algebra allows it",
        "reconstruct pictures by matching gradients, and say for which batches that works",
        "add up vectors that nobody sees, by masks that cancel, and keep adding when clients drop out",
        "say what a sum still tells, and what noise with a proof costs",
    ),
    seconds=40,
    part="Confidentiality",
    stage="training",
)

# ---------------------------------------------------------------------------------------------------- 12.invert_linear


def _first_layer(seed: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """∂L/∂W, ∂L/∂b of a ReLU network's first layer for one input, and the input; half of the units are dead."""
    draw = runtime.generator(seed)
    net = models.initialise(nn.Sequential(nn.Linear(12, 30), nn.ReLU(), nn.Linear(30, 4)), draw)
    x = torch.randn(1, 12, generator=draw)
    weight, bias, *_ = inversion.batch_gradient(net, x, torch.tensor([seed % 4]))
    return scale * weight, scale * bias, x[0]


def _linear_exact(invert):
    """Is the input itself, negative numbers too, for ten networks with dead units"""
    for seed in range(10):
        weight, bias, x = _first_layer(seed)
        expect_close(invert(weight, bias), x, 1e-4, f"the input of network {seed}")


def _linear_scale(invert):
    """Does not depend on the step size, or its sign, that the gradient was multiplied by"""
    for scale in (-0.01, 1e-4, -1000.0):
        weight, bias, x = _first_layer(3, scale)
        expect_close(invert(weight, bias), x, 1e-4, f"the input, from {scale:g} times the gradient")


def _linear_strongest(invert):
    """Survives rounding: units whose ∂L/∂b is nearly 0 are not believed"""
    draw, x = runtime.generator(5), torch.linspace(-1, 1, 9)
    for sign in (1, -1):
        bias = sign * torch.tensor([1e-9, 0.0, 3e-9, 0.7, 1e-3, 1e-9])
        weight = bias[:, None] * x + 1e-7 * torch.randn(6, 9, generator=draw)
        expect_close(invert(weight, bias), x, 1e-3, f"the input, from gradients rounded to 1e-7 around {sign * 0.7}")


def _linear_softmax(invert):
    """Is right for a softmax layer that sees the input itself, whose entries of ∂L/∂b add up to 0"""
    draw = runtime.generator(6)
    for y in range(4):
        x = torch.rand(9, generator=draw)
        bias = torch.randn(4, generator=draw).softmax(0) - F.one_hot(torch.tensor(y), 4)
        expect_close(invert(bias[:, None] * x, bias), x, 1e-4, f"the input of a softmax layer, label {y}")


def _linear_nothing(invert):
    """Raises ValueError when no unit says anything"""
    try:
        got = invert(torch.zeros(5, 3), torch.zeros(5))
    except ValueError:
        return
    raise AssertionError(f"all gradients are 0, and it returned {got} instead of raising ValueError")


def _projected(weight_gradient, bias_gradient):
    """Least squares over all units at once."""
    length = (bias_gradient * bias_gradient).sum()
    if length == 0:
        raise ValueError("every unit is dead")
    return (bias_gradient @ weight_gradient) / length


def _summed(weight_gradient, bias_gradient):
    """Right for most hidden layers, and 0 / 0 on a softmax layer."""
    if not bias_gradient.any():
        raise ValueError("every unit is dead")
    return weight_gradient.sum(0) / bias_gradient.sum()


def _of_unit(choose, divide=True):
    def invert(weight_gradient, bias_gradient):
        if not bias_gradient.any():
            raise ValueError("every unit is dead")
        i = choose(bias_gradient)
        return weight_gradient[i] / (bias_gradient[i] if divide else 1)

    return invert


exercise(
    "12.invert_linear",
    title="The input, by one division",
    reference=inversion.invert_linear,
    properties=[_linear_exact, _linear_scale, _linear_strongest, _linear_softmax, _linear_nothing],
    hints=[
        "Divide a row of `weight_gradient` by its entry of `bias_gradient`. Which row? With one input any will do that "
        "is not 0.",
        "Take the row whose entry is largest in absolute value: `i = bias_gradient.abs().argmax()`.",
        "If even that entry is 0, `raise ValueError(...)`.",
    ],
    second=_projected,
    mutants={
        "the first unit, dead or not": _of_unit(lambda bias: 0),
        "the largest, sign and all": _of_unit(lambda bias: bias.argmax()),
        "the smallest that is not 0": _of_unit(lambda bias: bias.abs().masked_fill(bias == 0, torch.inf).argmin()),
        "forgets to divide": _of_unit(lambda bias: bias.abs().argmax(), divide=False),
        "the mean over all units": lambda weight, bias: (weight / bias[:, None]).mean(0),
        "the sum over all units, by the sum": _summed,
        "NaN when nothing is known": lambda weight, bias: weight[bias.abs().argmax()] / bias[bias.abs().argmax()],
        "clamped to pixels": lambda weight, bias: inversion.invert_linear(weight, bias).clamp(0, 1),
        "no negative numbers": lambda weight, bias: inversion.invert_linear(weight, bias).abs(),
        "scaled to its largest value": lambda weight, bias: (
            inversion.invert_linear(weight, bias) / inversion.invert_linear(weight, bias).max()
        ),
    },
)  # fmt: skip

# ----------------------------------------------------------------------------------------------- 12.label_from_gradient


def _last_bias(logits: Tensor, y: int) -> Tensor:
    """∂L/∂b of the last layer for one example: softmax minus one-hot, in float64."""
    p = logits.double().softmax(0)
    p[y] -= 1
    return p


def _told(label, gradient: Tensor) -> int:
    got = label(gradient)
    expect(isinstance(got, (int, np.integer)), f"return an int, not {type(got).__name__}")
    return int(got)


def _label_exact(label):
    """Is the label, for any logits"""
    draw = runtime.generator(1)
    for classes in (3, 5, 10, 100):
        for _ in range(20):
            y = int(torch.randint(classes, (1,), generator=draw))
            gradient = _last_bias(3 * torch.randn(classes, generator=draw), y)
            got = _told(label, gradient)
            expect(got == y, f"with {classes} classes and label {y}, it says {got}")


def _label_sure(label):
    """Also when the model is nearly sure of the label, and when it is nearly sure of another one"""
    for y, said in ((2, 2), (2, 0), (0, 4)):
        gradient = _last_bias(12.0 * torch.eye(5)[said], y)
        got = _told(label, gradient)
        expect(got == y, f"label {y}, and a model that says {said}: it answers {got}")


def _label_two(label):
    """With two classes, whose entries differ by their sign only"""
    for y in (0, 1):
        got = _told(label, _last_bias(torch.tensor([0.3, -0.2]), y))
        expect(got == y, f"of two classes the label is {y}, and it says {got}")


def _label_scale(label):
    """In any unit: a gradient ten thousand times smaller has the same label"""
    for y in range(4):
        got = _told(label, 1e-4 * _last_bias(torch.tensor([1.0, -1, 0.5, 2]), y))
        expect(got == y, f"with 1e-4 times the gradient of label {y}, it says {got}")


exercise(
    "12.label_from_gradient",
    title="The label, by its sign",
    reference=inversion.label_from_gradient,
    properties=[_label_exact, _label_sure, _label_two, _label_scale],
    hints=[
        "∂L/∂bₖ is pₖ − 1 for the label and pₖ for all others. Which of these numbers can be negative?",
        "There is one negative entry: the smallest. `.argmin()`, and `int(...)`.",
    ],
    second=lambda gradient: int((gradient < 0).nonzero()[0]),
    mutants={
        "the largest entry": lambda gradient: int(gradient.argmax()),
        "a tensor": lambda gradient: gradient.argmin(),
        "the largest in absolute value": lambda gradient: int(gradient.abs().argmax()),
        "the smallest in absolute value": lambda gradient: int(gradient.abs().argmin()),
        "the first below −1/2": lambda gradient: int((gradient < -0.5).int().argmax()),
        "the first below −0.001": lambda gradient: int((gradient < -0.001).int().argmax()),
    },
)

# ------------------------------------------------------------------------------------------------------------- 12.dlg


@functools.cache
def _problem(batch: int, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
    """A small network with tanh; pictures, their labels, a start, and the gradient that was sent."""
    draw = runtime.generator(seed)
    net = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 6, 3, 2, 1), nn.Tanh(), nn.Flatten())
    net = models.initialise(net.append(nn.Linear(24, 4)), draw).eval()
    x, start = torch.rand(2, batch, 1, 4, 4, generator=draw)
    y = torch.randperm(4, generator=draw)[:batch]
    return net, x, y, start, inversion.batch_gradient(net, x, y)


def _dlg_one(dlg):
    """Finds the picture, from three different starts"""
    for seed in range(3):
        net, x, y, start, sent = _problem(1, seed)
        _expect_found(_searched(dlg, net, sent, start, y, 100), x, start, 1e-7)


def _dlg_two(dlg):
    """Finds both pictures of a batch of two"""
    net, x, y, start, sent = _problem(2, 4)
    hint = "; in a batch the gradient that was sent is that of the MEAN cross-entropy"
    _expect_found(_searched(dlg, net, sent, start, y, 150), x, start, 1e-3, hint)


def _dlg_follows(dlg):
    """Follows the gradient: with another picture's, it finds that one"""
    net, _, y, start, _ = _problem(1, 5)
    other = torch.rand(start.shape, generator=runtime.generator(9))
    found = _searched(dlg, net, inversion.batch_gradient(net, other, y), start, y, 100)
    _expect_found(found, other, start, 1e-7)


def _dlg_steps(dlg):
    """Takes as many steps as it is told: `steps` iterations, not rounds of twenty"""
    net, _, y, start, sent = _problem(2, 4)
    calls = []
    hook = net.register_forward_hook(lambda *_: calls.append(1))
    try:
        _searched(dlg, net, sent, start, y, 4)
    finally:
        hook.remove()
    expect(len(calls) <= 24, f"told to take 4 steps, it computed the model {len(calls)} times. One call of "
                             "LBFGS(...).step does max_iter iterations: call it once, with max_iter=steps")  # fmt: skip


def _searched(dlg, net, sent, start: Tensor, y: Tensor, steps: int):
    try:
        return dlg(net, sent, start.clone(), y, steps)
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        raise AssertionError(
            "the loss is made of a gradient, and that gradient has no graph: compute it with create_graph=True, for "
            "a start with requires_grad_()"
        ) from error


def _expect_found(found, x: Tensor, start: Tensor, bound: float, hint: str = "") -> None:
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    expect(isinstance(found, Tensor) and found.shape == x.shape, f"expected a tensor {tuple(x.shape)}, got {shape}")
    expect(not found.requires_grad, "the result still drags its gradient graph along: return it with .detach()")
    expect(found.isfinite().all(), "the result holds infinity or NaN: let the optimiser choose its step (strong_wolfe)")
    error, before = (inversion.mse(z, x).max().item() for z in (found, start))
    if bound <= error < 100 * bound:
        hint += (
            "; so near, the search stopped too early: a MEAN of squares over all weights is far smaller than their "
            "SUM, and the optimiser's tolerances take it for 0"
        )
    expect(error < bound, f"mean squared error to the true picture {error:.2g}, expected below {bound:g}; "
                          f"the random start had {before:.2g}{hint}")  # fmt: skip


def dlg(model, gradient, start, y, steps):
    """The library's search takes its own starts, so this is DLG as its authors wrote it."""
    return _dlg_by(_gradient_gap, model, gradient, start, y, steps)


def _gradient_gap(model, x, y, sent):
    own = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()), create_graph=True)
    return sum((a - b).square().sum() for a, b in zip(own, sent, strict=True))


def _dlg_by(gap, model, gradient, start, y, steps):
    x = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [x], max_iter=steps, history_size=20, tolerance_grad=1e-9, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure():
        loss = gap(model, x, y, gradient)
        (x.grad,) = torch.autograd.grad(loss, x)
        return loss

    optimiser.step(closure)
    return x.detach()


def _dlg_scipy(model, gradient, start, y, steps):
    """SciPy's L-BFGS-B, in float64."""

    def value(flat):
        x = torch.from_numpy(flat).to(start).view_as(start).requires_grad_()
        loss = 1e3 * _gradient_gap(model, x, y, gradient)
        (slope,) = torch.autograd.grad(loss, x)
        return loss.item(), slope.double().flatten().numpy()

    options = {"maxiter": 2 * steps, "maxfun": 6 * steps, "ftol": 1e-14, "gtol": 1e-8}
    found = scipy.optimize.minimize(value, start.double().numpy().ravel(), jac=True, method="L-BFGS-B", options=options)
    return torch.from_numpy(np.asarray(found.x)).to(start).view_as(start)


def _rounds_of_twenty(model, gradient, start, y, steps):
    for _ in range(steps):
        start = dlg(model, gradient, start, y, 20)
    return start


def _adam(model, gradient, start, y, steps):
    x = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.1)
    for _ in range(steps):
        (x.grad,) = torch.autograd.grad(_gradient_gap(model, x, y, gradient), x)
        optimiser.step()
    return x.detach()


def _no_graph(model, x, y, sent):
    own = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
    return sum((a - b).square().sum() for a, b in zip(own, sent, strict=True))


def _of_the_sum(model, x, y, sent):
    return _gradient_gap(model, x, y, [part / len(y) for part in sent])


def _in_place(model, gradient, start, y, steps):
    found = dlg(model, gradient, start, y, steps)
    start.copy_(found)
    return found


exercise(
    "12.dlg",
    title="Match the gradient",
    reference=dlg,
    properties=[_dlg_one, _dlg_two, _dlg_follows, _dlg_steps],
    hints=[
        "`x = start.clone().requires_grad_()` is what you optimise. Its loss is how far its own gradient is from the "
        "one that was sent. The gradient of a gradient needs `create_graph=True`.",
        "`own = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()), create_graph=True)`; then "
        "add up `(a - b).square().sum()` over the pairs of `own` and `gradient`.",
        "`torch.optim.LBFGS([x], max_iter=steps, history_size=20, tolerance_grad=1e-9, tolerance_change=1e-14, "
        'line_search_fn="strong_wolfe").step(closure)`. The closure puts `torch.autograd.grad(loss, x)[0]` into '
        "`x.grad` and returns the loss.",
    ],
    second=_dlg_scipy,
    mutants={
        "returns the start": lambda model, gradient, start, y, steps: start.clone(),
        "minimises the model's own loss": lambda model, gradient, start, y, steps: _dlg_by(
            lambda model, x, y, sent: F.cross_entropy(model(x), y), model, gradient, start, y, steps
        ),
        "matches the last bias only": lambda model, gradient, start, y, steps: _dlg_by(
            lambda model, x, y, sent: (
                torch.autograd.grad(F.cross_entropy(model(x), y), [model[-1].bias], create_graph=True)[0] - sent[-1]
            ).square().sum(),
            model, gradient, start, y, steps,
        ),
        "matches the gradient's length only": lambda model, gradient, start, y, steps: _dlg_by(
            lambda model, x, y, sent: (
                _gradient_gap(model, x, y, [torch.zeros_like(s) for s in sent]) - sum(s.square().sum() for s in sent)
            ).square(),
            model, gradient, start, y, steps,
        ),
        "matches minus the gradient": lambda model, gradient, start, y, steps: dlg(
            model, [-part for part in gradient], start, y, steps
        ),
        "takes the wrong label": lambda model, gradient, start, y, steps: dlg(
            model, gradient, start, (y + 1) % 4, steps
        ),
        "takes the gradient of the sum": functools.partial(_dlg_by, _of_the_sum),
        "forgets create_graph": functools.partial(_dlg_by, _no_graph),
        "Adam, which is not exact in so few steps": _adam,
        "rounds of twenty iterations": _rounds_of_twenty,
        "gives up after five steps": lambda model, gradient, start, y, steps: dlg(model, gradient, start, y, 5),
        "writes into the caller's start": _in_place,
        "keeps the graph": lambda model, gradient, start, y, steps: dlg(
            model, gradient, start, y, steps
        ).requires_grad_(),
    },
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------ 12.secure_sum


def _parties(clients: int, length: int = 200, seed: int = 0) -> tuple[Tensor, list[list[int]]]:
    """Encoded vectors (clients, length), and the seeds that each pair has agreed on, seeds[u][v] == seeds[v][u]."""
    draw = runtime.generator(seed)
    vectors = torch.randint(-1000, 1000, (clients, length), generator=draw) % MODULUS
    numbers = torch.randint(2**40, (clients, clients), generator=draw).triu(1)
    return vectors, (numbers + numbers.T).tolist()


def _sum_exact(secure_sum):
    """The server's total is the sum of the vectors, exactly, for two clients and for many"""
    for clients in (2, 3, 6, 9):
        vectors, seeds = _parties(clients, seed=clients)
        _, total = _asked(secure_sum, vectors, seeds)
        expect_close(total, vectors.sum(0) % MODULUS, 0, f"the total of {clients} clients")


def _sum_of_sent(secure_sum):
    """The total is the sum of what was sent, modulo 2³²"""
    vectors, seeds = _parties(5)
    sent, total = _asked(secure_sum, vectors, seeds)
    expect_close(total, sent.sum(0) % MODULUS, 0, "the sum of what was sent, modulo 2³²")


def _sum_hides(secure_sum):
    """What each client sends looks like dice, even if its vector is all zeros"""
    vectors, seeds = _parties(7, length=2000)
    vectors[3] = 0
    sent, _ = _asked(secure_sum, vectors, seeds)
    expect(((sent >= 0) & (sent < MODULUS)).all(), f"numbers must lie in [0, 2³²), not {sent.min()} to {sent.max()}: "
                                                   "one outside tells how many masks were added")  # fmt: skip
    for u in range(7):
        parts = torch.histc(sent[u].double(), bins=8, min=0, max=float(MODULUS)) / 2000
        expect(parts.max() < 0.18, f"client {u}'s numbers are not spread evenly over [0, 2³²): "
                                   f"{parts.max():.0%} of them fall into one eighth")  # fmt: skip


def _sum_subset(secure_sum):
    """Without one client's vector the masks of the others do not cancel"""
    for clients in (3, 5):
        vectors, seeds = _parties(clients, seed=20)
        sent, _ = _asked(secure_sum, vectors, seeds)
        for left_out in range(clients):
            some = [u for u in range(clients) if u != left_out]
            same = (sent[some].sum(0) % MODULUS == vectors[some].sum(0) % MODULUS).double().mean()
            expect(same < 0.1, f"without client {left_out} of {clients} the server still reads the sum of the others: "
                               "its masks must be shared with every other client")  # fmt: skip


def _sum_pairs(secure_sum):
    """Every pair shares a mask: under another seed those two send something else, and nobody else does"""
    vectors, seeds = _parties(5)
    first, _ = _asked(secure_sum, vectors, seeds)
    for u, v in itertools.combinations(range(5), 2):
        others = [list(row) for row in seeds]
        others[u][v] = others[v][u] = seeds[u][v] + 1
        same = (_asked(secure_sum, vectors, others)[0] == first).double().mean(1)
        for w in range(5):
            if w in (u, v):
                expect(same[w] < 0.1, f"clients {u} and {v} agree on another seed, and client {w} sends the same: its "
                                      f"mask with client {u + v - w} is missing or ignores their seed")  # fmt: skip
            else:
                expect(same[w] == 1, f"clients {u} and {v} agree on another seed, and client {w} sends something else")


def _asked(secure_sum, vectors: Tensor, seeds: list[list[int]]) -> tuple[Tensor, Tensor]:
    got = secure_sum(vectors.clone(), seeds)
    expect(
        isinstance(got, (tuple, list)) and len(got) == 2,
        "return a pair: what is sent, (clients, d), and the total, (d,)",
    )
    sent, total = got
    shape = tuple(sent.shape) if isinstance(sent, Tensor) else type(sent).__name__
    expect(shape == tuple(vectors.shape), f"what is sent must have shape {tuple(vectors.shape)}, got {shape}")
    return sent, total


def secure_sum(vectors, seeds):
    masked = _masked(vectors, seeds)
    return masked, masked.sum(0) % MODULUS


def _masked(
    vectors, seeds, *, sign=lambda u, v: 1 if v > u else -1, seed=lambda u, v, s: s, partners=lambda u, v, n: True,
    shrink=1, wrap=True,
):  # fmt: skip
    sent = vectors.clone()
    for u in range(len(vectors)):
        for v in range(len(vectors)):
            if u != v and partners(u, v, len(vectors)):
                sent[u] += sign(u, v) * (expand(seed(u, v, seeds[u][v]), vectors.shape[1]) // shrink)
    return sent % MODULUS if wrap else sent


def _pair_by_pair(vectors, seeds):
    """Each pair's mask is drawn once, added to one and taken from the other."""
    sent = vectors.clone()
    for v in range(len(vectors)):
        for u in range(v):
            mask = expand(seeds[v][u], vectors.shape[1])
            sent[u] = (sent[u] - mask) % MODULUS
            sent[v] = (sent[v] + mask) % MODULUS
    return sent, sent.sum(0) % MODULUS


def _and_total(**options):
    def wrong(vectors, seeds):
        sent = _masked(vectors, seeds, **options)
        return sent, sent.sum(0) % MODULUS

    return wrong


exercise(
    "12.secure_sum",
    title="A sum of vectors that nobody sees",
    reference=secure_sum,
    properties=[_sum_exact, _sum_of_sent, _sum_hides, _sum_subset, _sum_pairs],
    hints=[
        "Clients u and v both know `expand(seeds[u][v], d)`. If one adds it and the other subtracts it, what is left "
        "in the sum?",
        "Let the one with the lower number add: for each pair u < v, `sent[u] += mask` and `sent[v] -= mask`, on a "
        "copy of `vectors`.",
        "End with `sent % MODULUS`, for otherwise a number's size tells. The server knows `sent` only: its total is "
        "`sent.sum(0) % MODULUS`.",
    ],
    second=_pair_by_pair,
    mutants={
        "everybody adds": _and_total(sign=lambda u, v: 1),
        "no modulus": lambda vectors, seeds: (
            _masked(vectors, seeds, wrap=False), _masked(vectors, seeds, wrap=False).sum(0) % MODULUS
        ),
        "one mask for all pairs": _and_total(seed=lambda u, v, s: 7),
        "masks of their number, not of the seed": _and_total(seed=lambda u, v, s: min(u, v) * 1000 + max(u, v)),
        "masks that are too small": _and_total(shrink=2**12),
        "pairs 0–1, 2–3, … only": _and_total(partners=lambda u, v, n: u // 2 == v // 2),
        "neighbours only": _and_total(partners=lambda u, v, n: abs(u - v) == 1),
        "a ring of neighbours": _and_total(partners=lambda u, v, n: (u - v) % n in (1, n - 1)),
        "nothing is masked": lambda vectors, seeds: (vectors, vectors.sum(0) % MODULUS),
        "the total is not of what was sent": lambda vectors, seeds: (
            _masked(vectors, seeds, sign=lambda u, v: 1), vectors.sum(0) % MODULUS
        ),
        "returns the sum only": lambda vectors, seeds: vectors.sum(0) % MODULUS,
    },
)  # fmt: skip

# ---------------------------------------------------------------------------------------------------------------- quiz

QUIZ = (
    Question(
        "A client trains on one record and sends the first layer's gradient (with bias). What does the server learn?",
        (
            "the record, exactly, by a division",
            "the label, but not the record",
            "a blurred record, if it searches long enough",
        ),
        0,
        (
            "Every row of ∂L/∂W is the record times that row's ∂L/∂b. No search is needed.",
            "The label is in the last layer. The record is in the first.",
            "A search is what networks without such a layer need.",
        ),
    ),
    Question(
        "Does a batch of eight protect?",
        (
            "yes: a gradient of eight is a mean, and a mean has forgotten its parts",
            "not reliably: a wide ReLU layer, hardly trained, shows most of the eight exactly, and a search finds more "
            "with more steps",
            "yes, if the labels are secret",
        ),
        1,
        (
            "Each of these gradients has thousands of numbers, and eight pictures of 64 pixels have 512.",
            "Training hides single rows and makes the search longer. Neither is a proof, and a server may send weights "
            "that show rows.",
            "The last layer's gradient counts them.",
        ),
    ),
    Question(
        "In secure aggregation all masks cancel. Why does each client also add a mask of its own?",
        (
            "one mask could be guessed",
            "it makes the sum private",
            "a client that is declared lost has its pairwise masks revealed; were its vector to arrive late, nothing "
            "else would hide it",
        ),
        2,
        (
            "A mask is uniform modulo 2³². Guessing is hopeless.",
            "The own masks are taken off again. The sum is exact.",
            "And the others reveal, for each client, either its key or its own mask, never both.",
        ),
    ),
    Question(
        "Twenty clients take part, and nineteen of them work for the server. What does secure aggregation hide of the "
        "twentieth?",
        (
            "nothing: the server subtracts nineteen vectors that it knows",
            "all of it: the masks are still uniform",
            "its label, but not its vector",
        ),
        0,
        (
            "The sum is public by design. Against this only noise helps, and not noise that the server adds.",
            "The masks hide the vector on its way. The sum minus the others is the vector.",
            "With the vector, the label is there too.",
        ),
    ),
    Question(
        "Noise as long as the gradient itself is added to a single client's gradient. The attack still finds a "
        "recognisable picture. Why?",
        (
            "the noise was not random enough",
            "thousands of noisy numbers about 64 pixels average most of it out",
            "the attack knows the noise",
        ),
        1,
        (
            "It was Gaussian and fresh.",
            "So noise by eye is no defence. Differential privacy sets it by a proof: in section 5 it is "
            "fifty times as long as a clipped update.",
            "It knows the distribution only.",
        ),
    ),
)
