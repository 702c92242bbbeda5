# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 12 · Gradient leakage in federated learning

# %%
import copy
import math
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parameters_to_vector

from modelsec_course import data, federated, inversion, privacy, runtime, training
from modelsec_course.federated import MODULUS, expand
from modelsec_course.lab import check, claim, claims, explore, figures
from modelsec_course.lab import finish, guarantee, predict, quiz, start, threat
from modelsec_course.lab.words import number, percent
from modelsec_course.labs.lab_12_gradient_leakage import scene
from modelsec_course.models import initialise, linear

start("12")

# %%
threat.card("12")

# %% [markdown]
# ## 1 · The idea
#
# Forty hospitals want one model, and none may show its patients' pictures to anybody. In **federated learning** each trains on
# its own data and sends an **update**, a gradient or a change of weights. A server averages the updates. "The data never leave
# the hospital."
#
# But what is an update? One layer $z = Wx + b$, one picture, and the chain rule:
#
# $$ \frac{\partial L}{\partial W} = \frac{\partial L}{\partial z}\, x^\top, \qquad \frac{\partial L}{\partial b} = \frac{\partial L}{\partial z}. $$
#
# Every row of the first is the picture, times a number that stands in the second.

# %%
device = runtime.device()
digits = data.load("digits").to(device)
mlp = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
mlp = initialise(mlp, runtime.generator(0)).to(device)
order = torch.randperm(len(digits.x_train), generator=runtime.generator(1)).to(device)
# the patients, in an order that you do not know
x, y = digits.x_train[order], digits.y_train[order]
sent = inversion.batch_gradient(mlp, x[:1], y[:1])
figures.table(
    [
        (
            f"layer {i // 2 + 1}, {'bias' if i % 2 else 'weight'}",
            " × ".join(map(str, part.shape)),
        )
        for i, part in enumerate(sent)
    ],
    ["gradient of", "shape"],
    "What a hospital with one patient sends. The digit is not among it.",
)

# %% [markdown]
# ### Exercise 1: the input, by one division


# %%
def invert_linear(weight_gradient, bias_gradient):
    """The one input of a linear layer, from its gradients: (features,).

    weight_gradient: ∂L/∂W (out, features).
    bias_gradient: ∂L/∂b (out,); 0 for a unit that was not active.
    Use the unit whose |∂L/∂b| is largest: there rounding matters least.
    Raises ValueError if all of them are 0.
    """
    ### BEGIN SOLUTION
    strongest = bias_gradient.abs().argmax()
    if bias_gradient[strongest] == 0:
        raise ValueError("no unit was active: this layer says nothing of its input")
    return weight_gradient[strongest] / bias_gradient[strongest]
    ### END SOLUTION


invert_linear = check("12.invert_linear", invert_linear)

# %%
recovered = invert_linear(sent[0], sent[1])
gap = (recovered - x[0].flatten()).abs().max().item()
other = (recovered - x[1].flatten()).abs().max().item()
dead = (sent[1] == 0).float().mean().item()

# %%
claims(
    (
        "The picture is exact to a millionth",
        gap < 1e-6,
        f"{number(gap, 1)}; {percent(dead, 0)} of the units were not active and say "
        "nothing",
    ),
    (
        "Control: it is not somebody else's picture",
        other > 0.3,
        f"largest difference of a pixel {other:.2f}",
    ),
)

# %% [markdown]
# No search, no luck, and nothing is used of the layer above. Does it help to take more steps before sending? Every step's row is a
# multiple of the same picture. In plain SGD the change is the sum of the steps, so it is a multiple too. (Adam divides each weight's
# step by a number of its own: then a row's quotient is not the picture.)

# %%
one, gaps = torch.zeros(1, dtype=torch.int64, device=device), {}
for steps in (1, 20):
    change = federated.local_updates(mlp, x[:1], y[:1], one, one, epochs=steps, lr=0.1)[
        0
    ]
    weight, bias = change[:8192].view(128, 64), change[8192:8320]
    off = invert_linear(weight, bias) - x[0].flatten()
    gaps[steps] = off.abs().max().item()

# %%
claims(
    *(
        (
            f"From the change of weights it is exact to 1/10,000; local steps: {steps}",
            gap < 1e-4,
            number(gap, 1),
        )
        for steps, gap in gaps.items()
    )
)

# %% [markdown]
# ### Exercise 2: the label, by its sign
#
# The last layer's bias gives the label away. For cross-entropy $\partial L/\partial b_k = p_k - 1$ for the label and $p_k$ for
# all other classes.


# %%
def label_from_gradient(bias_gradient):
    """The label of a single example: an int.

    bias_gradient: ∂L/∂b of the last layer, (classes,).
    """
    ### BEGIN SOLUTION
    return int(bias_gradient.argmin())
    ### END SOLUTION


label_from_gradient = check("12.label_from_gradient", label_from_gradient)

# %%
told = [
    label_from_gradient(inversion.batch_gradient(mlp, x[i : i + 1], y[i : i + 1])[-1])
    for i in range(100)
]

# %%
claim("The label of each of 100 patients is right", told == y[:100].tolist())

# %% [markdown]
# ## 2 · Batches
#
# With eight patients the gradient is a mean of eight. Each row's quotient is now a mixture, $\sum_k g_k x_k / \sum_k g_k$ with
# weights of its own. Is a mixture safe?
#
# A ReLU unit that is active for **one** of the eight has that picture in its row, unmixed. And you can recognise such rows without
# the truth: two of them agree to five digits, which two mixtures of many seldom do. (Of **two** pictures with
# one label, mixtures often agree: the weights have nearly the same ratio in each unit.) So count the false ones, too.

# %%
guess_batch = predict(
    "12.batch",
    "Of the pictures in batches of eight, what share can be read behind 512 units?",
    percent=True,
)


# %%
def hidden(width):
    """An untrained network with one hidden layer of so many ReLU units."""
    layers = [nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10)]
    net = nn.Sequential(nn.Flatten(), *layers)
    return initialise(net, runtime.generator(2)).to(device)


def read_batches(model, size, tries=8):
    """Of eight batches: shares of pictures read, labels told and labels guessed.

    Then the number of rows read, and of those that are nobody's picture.
    """
    result = torch.zeros(5)
    for some in torch.arange(tries * size).view(tries, size):
        gradient = inversion.batch_gradient(model, x[some], y[some])
        rows = inversion.row_inputs(gradient[0], gradient[1])[0]
        rows = inversion.shared_rows(rows)
        near = torch.cdist(x[some].flatten(1), rows) < 0.01
        told = inversion.label_counts(gradient[-1], size)
        # guessed: each digit as often as any other
        guessed = inversion.label_counts(torch.zeros_like(gradient[-1]), size)
        truth = y[some].bincount(minlength=10)
        right = [torch.minimum(counts, truth).sum() for counts in (told, guessed)]
        false = (~near.any(0)).sum()
        result += torch.tensor([near.any(1).sum(), *right, len(rows), false])
    return [*(result[:3] / (tries * size)).tolist(), *map(int, result[3:])]


# %%
sizes = [1, 2, 4, 8, 16, 32]
seen = {
    width: {size: read_batches(hidden(width), size) for size in sizes}
    for width in (128, 512)
}
figures.curves(
    sizes,
    {f"{width} units": [seen[width][size][0] for size in sizes] for width in seen},
    guess=guess_batch,
    log="x",
    percent=True,
    xlabel="patients in the batch",
    ylabel="share of pictures read exactly",
    caption="Rows on which two units agree, eight batches of each size, untrained "
    "networks of one hidden layer. No search.",
)

# %%
rows, false = (
    {size: sum(of[size][i] for of in seen.values()) for size in sizes} for i in (3, 4)
)
figures.table(
    [(size, rows[size], false[size]) for size in sizes],
    ["patients in the batch", "rows read", "nobody's picture"],
    "Both widths together.",
)
worst = min(of[size][1] for of in seen.values() for size in sizes)

# %%
claims(
    (
        "From four patients on, fewer than one in ten of the rows read are false",
        sum(list(false.values())[2:]) < sum(list(rows.values())[2:]) / 10,
    ),
    (
        "Of eight patients, 128 units show at least one in ten exactly, 512 units more "
        "than half",
        seen[128][8][0] > 0.1 and seen[512][8][0] > 0.5,
        f"{percent(seen[128][8][0], 0)} and {percent(seen[512][8][0], 0)}",
        guess_batch,
    ),
    (
        "Of the labels of batches up to 32, more than 90 % are told right",
        worst > 0.9,
        f"the worst: {percent(worst, 0)}; each digit as often as any other: "
        f"{percent(seen[512][8][2], 0)} at 8, {percent(seen[512][32][2], 0)} at 32",
    ),
)

# %% [markdown]
# A mean is not a blur. The labels come from the same rule as before: $\partial L / \partial b$ is mean $p$ − counts / batch, and an untrained network
# says about 1/10 for each class.
#
# But who sends the update of an *untrained* network? Everybody does, in the first round. Then the network learns. For how many
# epochs do its rows show pictures? Here 512 units train on public digits, and batches of eight are sent on the way.

# %%
guess_later = predict(
    "12.epochs",
    "After 20 epochs of training, what share of the pictures can still be read?",
    percent=True,
)

# %%
epochs, model = [0, 1, 3, 8, 20], hidden(512)
later = {0: read_batches(model, 8)}
for before, after in pairwise(epochs):
    training.fit(
        model,
        digits.x_test,
        digits.y_test,
        epochs=after - before,
        generator=runtime.generator(30 + after),
        progress=False,
    )
    later[after] = read_batches(model, 8)
names = ("pictures read exactly", "labels told", "labels: equal counts")
figures.curves(
    epochs,
    {name: [later[epoch][i] for epoch in epochs] for i, name in enumerate(names)},
    roles={"pictures read exactly": "attack", "labels: equal counts": "control"},
    guess=guess_later,
    percent=True,
    xlabel="epochs of training before the update",
    ylabel="share of the 64 patients",
    ylim=(-0.03, 1.03),
    caption="Eight batches of eight, 512 units. Equal counts: a guess that each "
    "digit is as frequent as any other.",
)

# %%
claims(
    (
        "After one epoch more than half of the pictures are still read, after 20 fewer "
        "than 15 %",
        later[1][0] > 0.5 and later[20][0] < 0.15,
        f"{percent(later[1][0], 0)}, then {percent(later[20][0], 0)}",
        guess_later,
    ),
    (
        "Labels: after 20 epochs less than 20 points better than equal counts",
        later[20][1] < later[20][2] + 0.2,
        f"{percent(later[20][1], 0)} and {percent(later[20][2], 0)}",
    ),
)

# %% [markdown]
# So single rows are a matter of the **first rounds**, if the server is only curious. One that cheats can send whatever weights it
# likes, in any round, chosen so that rows show one record (Fowl et al., 2022; Boenisch et al., 2023).
#
# ## 3 · No such layer: match the gradient
#
# Now a network that begins with convolutions, where no row is a picture. **Deep leakage from gradients** (Zhu, Liu & Han, 2019)
# needs no algebra: start with noise, compute *its* gradient, and change the pixels until it matches the one that was sent.
#
# $$ \min_{x'} \; \lVert \nabla_\theta L(x', y) - g \rVert^2 $$


# %%
def network(activation=nn.Tanh):
    """Two convolutions: 3,358 weights."""
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        activation(),
        nn.Conv2d(12, 12, 3, padding=1, stride=2),
        activation(),
        nn.Flatten(),
        nn.Linear(192, 10),
    )


net = initialise(network(), runtime.generator(3)).to(device)

# %% [markdown]
# ### Exercise 3: match the gradient
#
# The pixels are the parameters here, and the loss is made of a gradient. So you need a gradient of a gradient: `create_graph=True`.


# %%
def dlg(model, gradient, start, y, steps):
    """Pictures whose gradient is `gradient`, by L-BFGS from `start`.

    Returns (batch, ...), detached.
    gradient: of the mean cross-entropy, one tensor for each of model.parameters().
    y: (batch,) labels.  steps: how many iterations of L-BFGS. It takes one call of
    `torch.optim.LBFGS(...).step`, with max_iter=steps.
    """
    ### BEGIN SOLUTION
    x = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [x],
        max_iter=steps,
        history_size=20,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure():
        loss = F.cross_entropy(model(x), y)
        own = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
        loss = sum((a - b).square().sum() for a, b in zip(own, gradient, strict=True))
        (x.grad,) = torch.autograd.grad(loss, x)
        return loss

    optimiser.step(closure)
    return x.detach()
    ### END SOLUTION


dlg = check("12.dlg", dlg)

# %% tags=["headline"]
sent = inversion.batch_gradient(net, x[:1], y[:1])
noise = torch.rand(x[:1].shape, generator=runtime.generator(4)).to(device)
label = torch.tensor([label_from_gradient(sent[-1])], device=device)
counts = (2, 5, 10, 20, 40)
film = [noise, *(dlg(net, sent, noise, label, steps) for steps in counts), x[:1]]
figures.pictures(
    [torch.cat(film).clamp(0, 1)],
    titles=["start", *(f"{steps} steps" for steps in counts), "the patient"],
    caption="From noise to the patient, by matching the gradient.",
)
error = inversion.mse(film[-2], x[:1]).item()

# %%
claim(
    "After 40 steps the mean squared error is below 1/10,000",
    error < 1e-4,
    number(error, 1),
)

# %% [markdown]
# ### How large a batch?
#
# The library does the same from several random starts at once, for several batches at once, and keeps the start with the lowest
# loss: never the one that comes nearest to the truth, which no attacker knows. A batch has no order, so before we compare, pictures
# are paired as well as they can be. **PSNR** is $-10 \log_{10}$ of the mean squared error, in decibels: 20 dB is recognisable, 40 dB
# is sharp.
#
# Two controls: the pictures found for *another* batch, and the mean digit, which needs no attack.


# %%
def stacked(model, x, y):
    """The gradients of several batches x (k, batch, ...), each (k, ...)."""
    each = map(partial(inversion.batch_gradient, model), x, y)
    return [torch.stack(parts) for parts in zip(*each, strict=True)]


def errors(found, x):
    """The mean squared error of every picture of several batches, (k, batch)."""
    return torch.stack(list(map(inversion.mse, found, x)))


def search(truth, labels, steps):
    """What a search finds for several batches, by two random starts each."""
    return inversion.invert_gradient(
        net,
        stacked(net, truth, labels),
        truth[0].shape,
        labels,
        steps=steps,
        restarts=2,
        generator=runtime.generator(5),
    )


# %%
leaked, losses, rows, control = {}, {}, {}, {}
for size, steps in ((1, 80), (2, 80), (4, 120), (8, 120)):
    truth = x[: 6 * size].unflatten(0, (6, size))
    labels = y[: 6 * size].view(6, size)
    attack = search(truth, labels, steps)
    leaked[size], losses[size] = errors(attack.x, truth), attack.loss
    control[size] = errors(attack.x.roll(1, 0), truth).mean().item()
    rows[size] = (truth[0], inversion.best_assignment(attack.x[0], truth[0]))
mean_digit = digits.x_test.mean(0)
mean_error = errors(mean_digit.expand(6, 8, -1, -1, -1), truth).mean().item()
# three of the batches of eight, with four times the steps
longer = errors(search(truth[:3], labels[:3], 480).x, truth[:3])

# %%
for size in (4, 8):
    decibels = [f"{-10 * e.log10():.0f} dB" for e in leaked[size][0]]
    figures.pictures(
        rows[size],
        row_labels=["patients", "found"],
        titles=[[], decibels],
        caption=f"The first of six batches of {size}.",
    )

# %%
quarters = torch.tensor([0.25, 0.5, 0.75], device=device)
low, median, high = zip(
    *(e.quantile(quarters).clamp_min(1e-6).tolist() for e in leaked.values()),
    strict=True,
)
figures.curves(
    list(leaked),
    {
        "median picture": median,
        "another batch's": list(control.values()),
        "mean digit": [mean_error] * 4,
    },
    bands={"median picture": (low, high)},
    roles={"median picture": "attack", "mean digit": "control"},
    log="xy",
    xlabel="patients in the batch",
    ylabel="mean squared error of a picture",
    caption="Six batches of each size. Band: the middle half of the pictures. Cut at "
    "10⁻⁶: below 10⁻⁴ no eye sees a difference.",
)

# %%
exact = {size: losses[size] < 1e-12 for size in (1, 2, 4)}
figures.table(
    [
        (
            size,
            number(e.median(), 1),
            number(e.max(), 1),
            f"{int(exact[size].sum())} of 6" if size in exact else "–",
        )
        for size, e in leaked.items()
    ],
    ["patients", "median error", "worst error", "batches with a loss below 10⁻¹²"],
    "Mean squared errors of the pictures found.",
)

# %%
claims(
    (
        "One patient is found with an error below 10⁻⁹, each time",
        leaked[1].max() < 1e-9,
        f"worst {number(leaked[1].max(), 1)}",
    ),
    (
        "Of batches of two, more than half of the pictures are found so",
        (leaked[2] < 1e-9).float().mean() > 0.5,
        f"median {number(leaked[2].median(), 1)}",
    ),
    (
        "Each batch whose loss is below 10⁻¹² has all its pictures, with errors below "
        "10⁻⁶",
        all((leaked[size][exact[size]] < 1e-6).all() for size in exact),
    ),
    (
        "Batches of eight are not exact after 120 steps: the worst pictures are more "
        "than 10⁻³ off",
        leaked[8].max() > 1e-3,
        number(leaked[8].max(), 1),
    ),
    (
        "Still, the median picture of eight has less than a third of the mean digit's "
        "error",
        leaked[8].median() < mean_error / 3,
        f"{number(leaked[8].median(), 1)}; mean digit {number(mean_error, 2)}",
    ),
    (
        "Four times the steps on three of them: less than a third of the median error",
        longer.median() < leaked[8][:3].median() / 3,
        f"{number(leaked[8][:3].median(), 1)}, then {number(longer.median(), 1)}, "
        f"worst {number(longer.max(), 1)}",
    ),
    (
        "Control: another batch's pictures are no better than the mean digit",
        min(control.values()) > 0.9 * mean_error,
        f"{number(min(control.values()), 2)} or more",
    ),
)

# %% [markdown]
# Exact for one. For two and four some batches are exact and some are not, and where the loss is down to rounding error, the
# attacker knows. At eight, 120 steps are not enough. Four times as many make the median picture much better, and the worst is still
# far off. "Eight is safe" is a statement about patience.
#
# ### Which network?
#
# What makes the search harder: ReLU, whose second derivative is 0, or **training**? "Inverting gradients" (Geiping et al., 2020)
# matches the gradient's **direction**, by Adam. Four patients, one at a time, one start each, and up to 600 steps. The trained
# networks have had eight epochs.

# %%
def trained(model, epochs):
    """A copy of the network, trained on public digits."""
    net = copy.deepcopy(model)
    training.fit(
        net,
        digits.x_test,
        digits.y_test,
        epochs=epochs,
        generator=runtime.generator(6),
        progress=False,
    )
    return net


kinds = {}
for name, activation in (("tanh", nn.Tanh), ("ReLU", nn.ReLU)):
    model = initialise(network(activation), runtime.generator(3)).to(device)
    kinds[f"{name}, untrained"], kinds[f"{name}, trained"] = model, trained(model, 8)


def one_by_one(model, **options):
    """The errors of four patients, attacked one at a time."""
    truth, labels = x[:4, None], y[:4, None]
    attack = inversion.invert_gradient(
        model,
        stacked(model, truth, labels),
        truth[0].shape,
        labels,
        generator=runtime.generator(7),
        progress=False,
        **options,
    )
    return errors(attack.x, truth).flatten()


# %%
budgets = {kind: [100] for kind in kinds}
budgets["tanh, trained"].append(300)
budgets["ReLU, trained"].append(600)
by_steps, worst = {}, {}
for kind, model in kinds.items():
    for steps in budgets[kind]:
        found = one_by_one(
            model, steps=steps, restarts=1, distance="cosine", optimiser="adam"
        )
        by_steps.setdefault(kind, {})[steps] = found.median().item()
        worst[kind] = found.max().item()

# %%
all_steps = sorted({steps for errs in by_steps.values() for steps in errs})
lines = {
    kind: [errs.get(steps, math.nan) for steps in all_steps]
    for kind, errs in by_steps.items()
}
said = "; ".join(
    f"{kind} " + ", ".join(f"{number(e, 1)} at {s}" for s, e in errs.items())
    for kind, errs in by_steps.items()
)
figures.curves(
    all_steps,
    lines | {"mean digit": [mean_error] * 3},
    roles={"mean digit": "control"},
    log="xy",
    xlabel="steps of Adam",
    ylabel="mean squared error (median of four)",
    alt=f"Error by steps. {said}",
    caption="A search of its own for each point. Untrained networks get 100 steps, "
    "trained tanh 100 and 300, trained ReLU 100 and 600. Thin lines lead to names "
    "only.",
)

# %%
figures.table(
    [
        (kind, max(errs), number(errs[max(errs)], 1), number(worst[kind], 1))
        for kind, errs in by_steps.items()
    ],
    ["network", "steps", "median error", "worst of four"],
    "With the most steps that each was given.",
)
slow, slower = (by_steps[f"{name}, trained"] for name in ("tanh", "ReLU"))

# %%
claims(
    (
        "Training: at 100 steps either trained network's error is at least ten times "
        "that of its untrained twin",
        slow[100] > 10 * by_steps["tanh, untrained"][100]
        and slower[100] > 10 * by_steps["ReLU, untrained"][100],
    ),
    ("At 300 steps trained tanh is below 10⁻³", slow[300] < 1e-3, number(slow[300], 1)),
    (
        "At 100 steps trained ReLU is above 5 × 10⁻³; at 600 the error is less than a "
        "thousandth of that",
        slower[100] > 5e-3 and slower[600] < slower[100] / 1000,
        f"{number(slower[100], 1)}, then {number(slower[600], 1)}",
    ),
)

# %% [markdown]
# Training makes the search **longer**, not impossible. "Safe after 100 steps" is, again, a statement about patience. Even *untrained*, ReLU is
# slower than tanh on some patient: see the worst of four.
#
# Why longer? One suspect: training makes the logits larger. A control, by another search and on a network trained for 20 epochs: divide its last layer by
# 10, which changes no predicted class, and multiply an untrained one's by 10. The search is by L-BFGS, with the squared distance, 50
# steps, one start.


# %%
def scaled(model, factor):
    """The same network, with logits `factor` times as large."""
    other = copy.deepcopy(model)
    other[-1].weight.data *= factor
    other[-1].bias.data *= factor
    return other


subjects = {kind: kinds[kind] for kind in ("tanh, untrained", "ReLU, untrained")}
subjects["ReLU, 20 epochs"] = trained(kinds["ReLU, untrained"], 20)
by_scale, table = {}, []
for kind, model in subjects.items():
    other = 10 if "untrained" in kind else 0.1
    for factor in (1, other):
        found = one_by_one(scaled(model, factor), steps=50, restarts=1)
        by_scale[kind, factor] = found.median().item()
    as_it_is, rescaled = (number(by_scale[kind, f], 1) for f in (1, other))
    table.append((kind, f"{model(x).std():.1f}", as_it_is, f"× {other:g}", rescaled))
figures.table(
    table,
    ["network", "size of its logits", "median error", "scaled", "then the error is"],
)
as_is, small = (by_scale["ReLU, 20 epochs", factor] for factor in (1, 0.1))

# %%
claims(
    (
        "Trained ReLU: with logits a tenth as large the error falls to less than a "
        "tenth",
        small < as_is / 10,
        f"{number(as_is, 1)} → {number(small, 1)}",
    ),
    (
        "Untrained tanh: exact with either, below 10⁻⁹",
        max(by_scale["tanh, untrained", f] for f in (1, 10)) < 1e-9,
    ),
)

# %% [markdown]
# There, with trained ReLU, smaller logits lower the error more than tenfold. It is not the whole story: large logits alone do not stop it
# through untrained tanh. (Through untrained ReLU it depends on the draw of the weights: change `generator(3)` and see.) And a
# server that *chooses* the weights can choose a small last layer.
#
# ### Play with it
#
# Add Gaussian noise to the gradient. Its length is a multiple of the gradient's own.

# %%
guess_noise = predict(
    "12.noise",
    "One patient: how many times as long as the gradient must noise be to hide it?",
    low=0,
    high=3,
    step=0.05,
)

# %%
LEVELS = [0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]


def through(lengths, truth, labels, seeds):
    """What is found of batches `truth` (k, batch, ...) through noise of `lengths`."""
    return inversion.invert_gradient(
        net,
        scene.with_noise(stacked(net, truth, labels), lengths, seeds[0]),
        truth[0].shape,
        labels,
        steps=60,
        restarts=3,
        generator=runtime.generator(seeds[1]),
        progress=False,
    ).x


def attacked(size):
    """The first `size` patients; what is found at each level, (7, size, 1, 8, 8)."""
    truth, labels = x[:size].expand(7, size, 1, 8, 8), y[:size].expand(7, size)
    return x[:size], through(LEVELS, truth, labels, (8, 9))


# %%
explore(
    scene.watch_it_leak(attacked, LEVELS, guess_noise),
    batch=(1, 8, 1, 1),
    noise=LEVELS,
    labels={"batch": "patients in the batch", "noise": "noise ÷ gradient"},
    caption="Patients, what is found of them, and the error at each length of noise.",
)

# %% [markdown]
# Under noise **as long as the gradient** one patient is at the edge of what is recognisable, about 20 dB. The gradient has 3,358
# numbers, the picture 64, so most of the noise averages out. While it is short, the error grows with the square of its length:

# %%
truth, labels = x[:12, None], y[:12, None]
clear, loud, equal = (
    errors(through([level] * 12, truth, labels, (10, 11)), truth).median().item()
    for level in (0.01, 0.1, 1.0)
)

# %%
claims(
    (
        "Ten times the noise, about a hundred times the error",
        70 < loud / clear < 140,
        f"{loud / clear:.0f} times",
    ),
    (
        "As long as the gradient: less than a third of the mean digit's error",
        equal < mean_error / 3,
        f"{number(equal, 2)}, mean digit {number(mean_error, 2)}",
    ),
)

# %% [markdown]
# ## 4 · Secure aggregation
#
# The server needs the **sum** only. So let it see nothing else. Each pair of clients agrees on a secret seed. Both expand it to a
# **mask**, as long as the update. One adds the mask, the other subtracts it. Each masked update looks random, and in the sum all masks
# are gone. To cancel *exactly*, everything is done in whole numbers modulo $2^{32}$, in which updates are written in **fixed point**:
# with 20 bits, 0.3 is the whole number nearest to $0.3 \cdot 2^{20}$, which is 314,573, and −0.3 is $2^{32} - 314{,}573$.
#
# ### Exercise 4: a sum of vectors that nobody sees


# %%
def secure_sum(vectors, seeds):
    """What each client sends, (clients, d), and the server's total of it, (d,).

    Both are int64 in [0, MODULUS), and so are the vectors, (clients, d).
    seeds[u][v] == seeds[v][u]: what u and v agreed on.
    expand(seed, d) is that pair's mask.
    The total is computed from what is sent and nothing else.
    """
    ### BEGIN SOLUTION
    sent = vectors.clone()
    for u in range(len(vectors)):
        for v in range(u + 1, len(vectors)):
            mask = expand(seeds[u][v], vectors.shape[1])
            sent[u] += mask
            sent[v] -= mask
    return sent % MODULUS, sent.sum(0) % MODULUS
    ### END SOLUTION


secure_sum = check("12.secure_sum", secure_sum)

# %%
gradients = [
    inversion.batch_gradient(net, x[i : i + 1], y[i : i + 1]) for i in range(8)
]
updates = torch.stack([parameters_to_vector(parts) for parts in gradients])
vectors = federated.encode(updates, 8, bits=20).cpu()
drawn = torch.randint(2**40, (8, 8), generator=runtime.generator(12)).triu(1)
seeds = (drawn + drawn.T).tolist()
masked, total = secure_sum(vectors, seeds)

# %%
off = federated.decode(total, bits=20) - updates.double().sum(0).cpu()
error = off.abs().max().item()
pair = torch.stack([updates[0].double().cpu(), federated.decode(masked[0], bits=20)])
alike = torch.corrcoef(pair)[0, 1].item()

# %%
claims(
    (
        "The sum is exact up to fixed point, 8 times half of 2⁻²⁰",
        error <= 8 * 2**-21 + 1e-12,
        f"largest error {number(error, 2)}",
    ),
    (
        "What client 0 sends is uncorrelated with its update",
        abs(alike) < 0.07,
        f"correlation {number(alike, 1)}",
    ),
)

# %% [markdown]
# Real clients drop out: a phone loses its network after the masks are agreed, and its masks stay in the sum. In the protocol of
# Bonawitz et al. (2017) each client has given the others **shares** of its key
# ([Shamir, 1979](https://doi.org/10.1145/359168.359176)): any two thirds of them can recover it, fewer learn nothing. The survivors
# hand in the lost one's shares, and the server takes its masks off. `federated.secure_sum` does
# that, with key agreement, a second mask of each client's own, and refusal when too few are left.

# %%
done = federated.secure_sum(
    updates, dropped={2, 5}, bits=20, generator=runtime.generator(13)
)
wanted = updates[list(done.survivors)].double().sum(0)
refusal = ""
try:
    federated.secure_sum(updates, dropped={0, 1, 2}, generator=runtime.generator(13))
except ValueError as error:
    refusal = str(error)

# %%
claims(
    (
        "With two of eight lost, the sum is that of the six others",
        (done.total - wanted).abs().max() <= 6 * 2**-21 + 1e-12,
        f"survivors {', '.join(map(str, done.survivors))}",
    ),
    ("With three of eight lost, the round is refused", refusal != "", refusal),
)

# %% [markdown]
# ### Attacked again: what the sum still says
#
# The attacker is the server, and knows all this. A masked update looks random. But the sum is public. The sum of eight updates of one
# patient each, divided by eight, is the gradient of a batch of eight; that of two is a batch of two. And what of a client that is
# **alone**, because nobody else was left and no threshold was kept, or because all the others work for the server, which takes their
# updates off? The network is untrained, and the labels are assumed known: section 2 counts them.


# %%
def unpacked(vector):
    """A flat update as one tensor for each parameter, as `invert_gradient` takes it."""
    weights = list(net.parameters())
    parts = vector.to(device).split([weight.numel() for weight in weights])
    return [p.view_as(w).float() for p, w in zip(parts, weights, strict=True)]


def searched(vector, size):
    """The errors of the first `size` patients, from the sum of their updates."""
    found = inversion.invert_gradient(
        net,
        unpacked(vector / size),
        x[:size].shape,
        y[:size],
        steps=120,
        restarts=2,
        generator=runtime.generator(14),
        progress=False,
    )
    return inversion.mse(found.x, x[:size])


# %%
def summed(*clients):
    """What the server has when only these clients survive, without a threshold."""
    return federated.secure_sum(
        updates,
        dropped=set(range(8)) - set(clients),
        threshold=1,
        bits=20,
        generator=runtime.generator(15),
    ).total


# %%
views = {
    "no protection": searched(updates[0], 1),
    "one masked update": searched(federated.decode(masked[0], bits=20), 1),
    "sum of eight": searched(summed(*range(8)), 8),
    "sum of two": searched(summed(0, 1), 2),
    "alone": searched(summed(0), 1),
}
shown = {name: e.median().item() for name, e in views.items()}
shown["mean digit"] = mean_error
figures.bars(
    {name: min(60, -10 * math.log10(e)) for name, e in shown.items()},
    roles=dict.fromkeys(views, "attack"),
    ylabel="PSNR of the median picture (dB)",
    horizontal=True,
    caption="What a curious server finds, one patient for each client; grey needs no "
    "attack. Higher means more is leaked; cut at 60.",
)

# %%
claims(
    (
        "From a masked update nothing is found: no better than the mean digit",
        views["one masked update"].min() > mean_error,
    ),
    (
        "A client that is alone is found, with an error below 10⁻⁶",
        views["alone"].max() < 1e-6,
        number(views["alone"].max(), 1),
    ),
    (
        "The sum of eight, untrained, still leaks: its median picture has less than a "
        "third of the mean digit's error",
        views["sum of eight"].median() < mean_error / 3,
        f"{number(shown['sum of eight'], 1)}, mean digit {number(mean_error, 2)}",
    ),
)

# %% [markdown]
# Secure aggregation hides each client's **update**, not the **sum**, and what section 3 says of batches holds of sums. So it needs
# many clients, and a threshold (the number that must survive) that is kept.
#
# ### Spot the broken protocol
#
# A colleague finds the second mask superfluous: pairwise masks alone hide each update, and cancel. When a client drops out, the
# survivors reveal the seeds that they shared with it. Now client 3 is slow. Its masked update arrives *after* it was declared lost,
# when the server already has `revealed[v]`, the seed that 3 shared with each `v`. What can the server do?

# %%
late = masked[3]
revealed = {v: seeds[3][v] for v in range(8) if v != 3}

# %% tags=["student-only"]
# Your attack here: read client 3's update from `late` and `revealed`.
# Did it work? torch.equal(yours % MODULUS, vectors[3]) must be True.

# %% tags=["solution-only"]
bare = late.clone()
for v, seed in revealed.items():
    bare -= (1 if v > 3 else -1) * expand(seed, len(late))
claim(
    "The server reads the late client's update, exactly",
    torch.equal(bare % MODULUS, vectors[3]),
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# It takes the seven masks off: with each `expand(revealed[v], len(late))` client 3 did one thing, and the server undoes it (3 added
# for v > 3 and subtracted for v < 3, or the other way in your protocol). A server need not even wait: it *says* that client 3 was
# lost. So each client adds a mask of its own, whose seed it has shared out as well. For each client the others reveal **either**
# its key, if it was lost, **or** its own mask's seed, if it was not: never both.
#
# </details>
#
# ## 5 · Federated averaging, and noise with a proof
#
# Gradients were the simple case. In **federated averaging** (McMahan et al., 2017) each client takes several steps before it sends
# its change of weights. Forty hospitals, about 36 digits each, half of them in each round. Plain, and with secure sums. Two
# controls: the largest hospital by itself, and as many digits drawn at random.

# %%
hospitals = federated.deal(y, 40, alpha=1.0, generator=runtime.generator(16))
largest = (hospitals == hospitals.bincount().argmax()).nonzero()[:, 0]


def accuracy(model):
    return training.accuracy(model, digits.x_test, digits.y_test)


def averaged(owners, **options):
    """A softmax regression by federated averaging; its accuracy after each round."""
    model, after = initialise(linear(64, 10), runtime.generator(17)).to(device), []
    federated.fedavg(
        model,
        x,
        y,
        owners,
        generator=runtime.generator(18),
        on_round=lambda _: after.append(accuracy(model)),
        **options,
    )
    return model, after


# %%
def securely(updates, sizes):
    """The weighted mean, by a secure sum of updates and of their secret sizes.

    One client in ten drops out.
    """
    rows = torch.cat([updates * sizes[:, None], sizes[:, None]], 1)
    total = federated.secure_sum(
        rows, dropped=range(0, len(rows), 10), bits=16, generator=runtime.generator(19)
    ).total
    return total[:-1] / total[-1]


# %%
def alone(rows):
    """The accuracy of the same model, trained on these patients only."""
    model = initialise(linear(64, 10), runtime.generator(17)).to(device)
    training.fit(
        model,
        x[rows],
        y[rows],
        epochs=60,
        lr=0.02,
        generator=runtime.generator(20),
        progress=False,
    )
    return accuracy(model)


together = {"rounds": 15, "share": 0.5, "epochs": 2, "lr": 1.0}
plain, curve = averaged(hospitals, **together)
_, dropping = averaged(hospitals, aggregate=securely, **together)
draw, n = runtime.generator(23), len(largest)
some = {"largest hospital": largest}
for k in (1, 2, 3):
    some[f"random draw {k}"] = torch.randperm(len(x), generator=draw)[:n].to(device)
right = {who: alone(rows) for who, rows in some.items()}
one, *random = right.values()
fair = sum(random) / 3

# %%
figures.curves(
    range(1, 16),
    {
        "federated averaging": curve,
        "secure sums, 1 in 10 lost": dropping,
        "as many at random, alone": [fair] * 15,
        "largest hospital alone": [one] * 15,
    },
    roles={
        "federated averaging": "truth",
        "secure sums, 1 in 10 lost": "defence",
        "as many at random, alone": "control",
    },
    xlabel="round",
    ylabel="accuracy on 360 test digits",
    percent=True,
    caption="Forty hospitals with different mixtures of digits (Dirichlet, α = 1), "
    "half of them in each round.",
)

# %%
figures.table(
    [
        (who, *y[rows].bincount(minlength=10).tolist(), percent(right[who]))
        for who, rows in some.items()
    ],
    ["trained on", *map(str, range(10)), "accuracy"],
    f"How many of {n} digits are of each kind, and the accuracy alone.",
)

# %%
claims(
    (
        "Together they reach more than 88 %, at least 3 points more than as many "
        "random digits as the largest hospital has",
        curve[-1] > 0.88 and curve[-1] > fair + 0.03,
        f"{percent(curve[-1])} and {percent(fair)}",
    ),
    (
        "The largest hospital alone is worse than random digits",
        one < fair,
        percent(one),
    ),
    (
        "Secure sums, with clients lost, end within 4 points of it",
        abs(dropping[-1] - curve[-1]) < 0.04,
        percent(dropping[-1]),
    ),
)

# %% [markdown]
# So much of what the largest hospital lacks here is not *more* digits but *other* ones: see how many it has of each kind. A
# federation brings both.
#
# Now 1,437 phones with **one** digit each, and a model whose only layer sees the picture. Every update is the picture, by
# Exercise 1. Two steps to a proof: **clip** each update to length $C$, then add Gaussian noise of $\sigma C$ to their sum. What does
# clipping alone hide?
#
# **ε and δ**, in one line (lab 13 has the rest): whether one phone takes part changes the probability of anything that can be seen
# by a factor of at most $e^\varepsilon$, up to a probability $\delta$, here $10^{-5}$. At $\varepsilon = 1$ that is little; at 20 the
# promise is empty.

# %%
phones = torch.arange(len(x), device=device)
sent = federated.local_updates(plain, x, y, phones, phones[:12], lr=1.0)
clip, sigma, share, rounds = 1.0, 2.0, 0.2, 40


def read(update):
    """Exercise 1 on a softmax regression's update: (n, 64), clamped to pixels."""
    rows = [invert_linear(u[:640].view(10, 64), u[640:]) for u in update]
    return torch.stack(rows).clamp(0, 1)


def cut(update, clip=clip):
    """Updates (n, d), each shortened to length `clip` if it is longer."""
    return update * (clip / update.norm(dim=1, keepdim=True).clamp_min(clip))


length = sent.norm(dim=1)
off = (read(cut(sent, 0.05)) - x[:12].flatten(1)).square().mean(1).max().item()
figures.table(
    [
        ("longest of 12 updates", number(length.max(), 2)),
        ("median update", number(length.median(), 2)),
        (f"noise, σ = {sigma:g} and C = {clip:g}", number(sigma * clip * 650**0.5, 2)),
    ],
    ["vector of 650 numbers", "length"],
    f"{int((length > clip).sum())} of the 12 updates are longer than C = {clip:g}.",
)

# %%
claim(
    "Clipped to 0.05, an update is the picture still: a length is all that was changed",
    off < 1e-6,
    f"error {number(off, 1)}",
)

# %% [markdown]
# Most of these updates are short. The noise is set for one of length $C$, so it hides them better.
#
# The **adapting** attacker knows the other phones' updates and takes them off. It has seen this phone in $T$ rounds, in which the
# phone sent the same each time, and averages them. A mean of $T$ noises is shorter by $\sqrt T$, so $T$ looks count as one with
# $\sigma / \sqrt T$. No real server has it so easy. But a proof that holds for this one holds for all that know less.
#
# Two attackers read the mean. The first solves for the picture, as in Exercise 1. The second has a **prior**: it computes the
# update of each of 360 public digits, and takes the mean of these digits, each weighted by how well its update fits. How many
# rounds do they need, and what does ε say by then?


# %%
public = torch.arange(len(digits.x_test), device=device)
fits = federated.local_updates(
    plain, digits.x_test, digits.y_test, public, public, lr=1.0
)
seen, draw = [1, 10, 100, 1000, 10_000, 100_000], runtime.generator(21)
errors_by, with_prior = {}, {}


def middle(found):
    """The median error of twelve pictures, (12, 64)."""
    return (found.clamp(0, 1) - x[:12].flatten(1)).square().mean(1).median().item()


blind = middle(mean_digit.flatten().expand(12, 64))
for T in seen:
    deviation = sigma * clip / T**0.5
    noisy = cut(sent) + deviation * torch.randn(sent.shape, generator=draw).to(device)
    weight, bias = noisy[:, :640].view(12, 10, 64), noisy[:, 640:]
    # least squares over the rows
    solved = (weight * bias[:, :, None]).sum(1) / bias.square().sum(1, keepdim=True)
    errors_by[T] = middle(solved)
    fit = torch.cdist(noisy, cut(fits)).square()  # (12, 360)
    likely = (-fit / (2 * deviation**2)).softmax(1)
    with_prior[T] = middle(likely @ digits.x_test.flatten(1))

# %%
spent = {T: privacy.gaussian_epsilon(sigma / T**0.5, 1e-5) for T in seen}
figures.curves(
    seen,
    {
        "no prior": list(errors_by.values()),
        "with a prior": list(with_prior.values()),
        "mean digit": [blind] * len(seen),
    },
    roles={"no prior": "attack", "mean digit": "control"},
    log="xy",
    xlabel="rounds in which the phone took part",
    ylabel="mean squared error (median)",
    caption=f"σ = {sigma:g}, clipped at {clip:g}, δ = 10⁻⁵. ε by then: "
    + ", ".join(f"{spent[T]:,.0f} after {T:,}" for T in seen)
    + ".",
)

# %%
claims(
    (
        "Without a prior the picture is no better than the mean digit after 10 rounds, "
        "nor after 1,000",
        min(errors_by[10], errors_by[1000]) > blind,
        f"ε = {spent[10]:.1f} and {spent[1000]:,.0f}",
    ),
    (
        "With one, 1,000 rounds are enough to get below two thirds of the mean digit's "
        "error",
        with_prior[1000] < blind * 2 / 3,
        f"{number(with_prior[1000], 2)}, mean digit {number(blind, 2)}",
    ),
    (
        "After 100,000 it is better without one, too, and ε says so: it is above 1,000",
        errors_by[100_000] < blind and spent[100_000] > 1000,
        f"error {number(errors_by[100_000], 2)}, ε = {spent[100_000]:,.0f}",
    ),
)

# %% [markdown]
# The second attacker needs fewer rounds, but knows 360 digits and no others: it stays at one that looks similar, while the first
# becomes exact. The guarantee is empty before either works. That is no comfort: an attacker who knows more may need fewer rounds
# still, and where these two fail proves little. ε is what holds. It also covers more modest attackers, who only ask *whether* a phone
# took part.
#
# What does it cost? Two things cost accuracy: the clipping and the noise. So each has a control without the other. ε here is for a
# phone that takes part in a fifth of the rounds, chosen at random and in secret. Without clipping and noise the model reads about
# nine of ten digits.

# %%
guess_cost = predict(
    "12.cost",
    "Clipping at C = 3, noise for an ε below 4: how accurate is the phones' model?",
    percent=True,
)


# %%
def privately(owners, clip, level, **options):
    """The accuracy after 40 private rounds.

    Updates are clipped to `clip`, and their sum has noise of level · clip.
    """
    mean = partial(
        federated.private_mean,
        clip=clip,
        noise_multiplier=level,
        expected=share * len(owners.unique()),
        generator=runtime.generator(22),
    )
    return averaged(
        owners,
        rounds=rounds,
        share=share,
        lr=1.0,
        aggregate=mean,
        progress=False,
        **options,
    )[1][-1]


# %%
whole, loud = 1e9, 4 * sigma  # nothing is clipped to `whole`
settings = [
    (whole, 0.0),
    (1.0, 0.0),
    (1.0, sigma),
    (1.0, loud),
    (3.0, 0.0),
    (3.0, sigma),
]
private = {setting: privately(phones, *setting) for setting in settings}
of_few = {level: privately(hospitals, 1.0, level, epochs=2) for level in (0.0, loud)}
epsilon = {
    level: privacy.rdp_epsilon(share, level, rounds, 1e-5) for level in (sigma, loud)
}


# %%
def name(clip, level):
    noise = f"σ = {level:g}, ε = {epsilon[level]:.1f}" if level else "no noise"
    return f"C = {clip:g}, {noise}" if clip < whole else "not clipped, no noise"


reached = {name(*setting): right for setting, right in private.items()}
bars = reached | {
    f"40 hospitals: {name(1.0, level)}": right for level, right in of_few.items()
}
figures.bars(
    bars,
    roles={label: "proof" for label in bars if "ε" in label},
    guess=guess_cost,
    ylabel="accuracy on 360 test digits after 40 rounds",
    percent=True,
    horizontal=True,
    caption="1,437 phones with one digit each, a fifth of them in each round; δ = "
    "10⁻⁵. The last two: forty hospitals, two epochs each. Green has a proof.",
)

# %%
claims(
    (
        "Clipping to 1 costs at least 1 point without any noise; clipping to 3 less "
        "than 2",
        private[1.0, 0.0] < private[whole, 0.0] - 0.01
        and private[3.0, 0.0] > private[whole, 0.0] - 0.02,
        f"{percent(private[whole, 0.0])} → {percent(private[1.0, 0.0])} and "
        f"{percent(private[3.0, 0.0])}",
    ),
    (
        "At an ε below 4, C = 3, the phones lose less than 5 points to clipping and "
        "noise together",
        epsilon[sigma] < 4 and private[3.0, sigma] > private[whole, 0.0] - 0.05,
        percent(private[3.0, sigma]),
        guess_cost,
    ),
    (
        "At the same ε, C = 3 ends at least 1 point above C = 1",
        private[3.0, sigma] > private[1.0, sigma] + 0.01,
        f"{percent(private[3.0, sigma])} and {percent(private[1.0, sigma])}",
    ),
    (
        "Control: without noise forty hospitals reach more than 80 %",
        of_few[0.0] > 0.8,
        percent(of_few[0.0]),
    ),
    (
        "The same noise on forty hospitals: less accurate than on the phones by at "
        "least 10 points",
        of_few[loud] < private[1.0, loud] - 0.1,
        f"{percent(of_few[loud])} and {percent(private[1.0, loud])}",
    ),
)

# %% [markdown]
# ε depends on $\sigma$, not on $C$: at the same ε, $C = 3$ has three times the noise of $C = 1$, and here loses less. A bound also
# limits the model's **step**, as a small learning rate does. So look first at the bars without noise. (If you choose $C$ by looking at
# clients' updates, that is one more thing that tells of them.)

# %%
guarantee(
    holds="Secure aggregation: the server learns the survivors' sum and nothing else, "
    "if enough clients are honest. With noise of σ·C on the sum of clipped updates: "
    "(ε, δ) for each client, whatever the attack.",
    does_not="Secure aggregation hides each update from the server, **not the sum**: "
    "here that of eight, of an untrained network, showed pictures. It does not check "
    "what clients send, and here the server adds the noise, so it must be trusted to.",
    adapts="By making sums small: dropping clients, running clients of its own, "
    "comparing the sums of two rounds. By choosing an architecture that leaks: a wide "
    "first layer shows single rows in the first rounds, and in any round if the server "
    "sets its weights. By patience: a trained network takes more steps.",
    cost="Masks: seconds and bytes, no accuracy. Test accuracy with 1,437 clients: "
    + "; ".join(f"{percent(right)} ({label})" for label, right in reached.items())
    + f". With forty: {percent(of_few[0.0])} without noise, {percent(of_few[loud])} at "
    f"σ = {loud:g}.",
)

# %% [markdown]
# At work you would not write this yourself. **Flower** (`flwr`) is a widely used framework. It has federated averaging, secure
# aggregation with dropouts (SecAgg+), clipping with noise, and counts ε. Its SecAgg+ assumes a server that keeps to the protocol.
# `docs/federated-with-flower.md` goes through this lab's hospitals in its terms, and says more.
#
# ## 6 · Quiz

# %%
quiz("12")

# %% [markdown]
# ### Further reading
#
# * L. Zhu, Z. Liu, S. Han, 2019, [*Deep Leakage from Gradients*](https://arxiv.org/abs/1906.08935).
# * B. Zhao, K. R. Mopuri, H. Bilen, 2020, [*iDLG: Improved Deep Leakage from Gradients*](https://arxiv.org/abs/2001.02610). The label,
#   by its sign.
# * J. Geiping, H. Bauermeister, H. Dröge, M. Moeller, 2020, [*Inverting Gradients: How Easy Is It to Break Privacy in Federated
#   Learning?*](https://arxiv.org/abs/2003.14053) Trained networks, larger pictures.
# * L. Fowl, J. Geiping, W. Czaja, M. Goldblum, T. Goldstein, 2022, [*Robbing the Fed: Directly Obtaining Private Data in Federated
#   Learning with Modified Models*](https://arxiv.org/abs/2110.13057). A server that chooses the architecture.
# * F. Boenisch et al., 2023, [*When the Curious Abandon Honesty: Federated Learning Is Not
#   Private*](https://arxiv.org/abs/2112.02918). Rows that show one record.
# * B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Agüera y Arcas, 2017, [*Communication-Efficient Learning of Deep Networks from
#   Decentralized Data*](https://arxiv.org/abs/1602.05629). Federated averaging.
# * K. Bonawitz et al., 2017, [*Practical Secure Aggregation for Privacy-Preserving Machine
#   Learning*](https://doi.org/10.1145/3133956.3133982).
# * B. McMahan, D. Ramage, K. Talwar, L. Zhang, 2018, [*Learning Differentially Private Recurrent Language
#   Models*](https://arxiv.org/abs/1710.06963). Noise for clients.
#
# To see how the library writes these, open `modelsec_course/inversion/matching.py`, `lbfgs.py` and `modelsec_course/federated/`.

# %%
finish("12")
