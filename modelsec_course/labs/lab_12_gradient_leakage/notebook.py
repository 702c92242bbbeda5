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
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parameters_to_vector

from modelsec_course import data, federated, inversion, privacy, runtime, training
from modelsec_course.federated import MODULUS, expand
from modelsec_course.lab import check, claim, explore, figures, guarantee
from modelsec_course.lab import finish, quiz, start, threat
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
x, y = digits.x_train[order], digits.y_train[order]  # the patients, in an order that you do not know
sent = inversion.batch_gradient(mlp, x[:1], y[:1])  # what a hospital with one patient sends
print("gradients of shapes", [tuple(part.shape) for part in sent], "and the digit is not among them")

# %% [markdown]
# ### Exercise 1: the input, by one division


# %%
def invert_linear(weight_gradient, bias_gradient):
    """The one input of a linear layer, from its gradients: (features,).

    weight_gradient: ∂L/∂W (out, features).  bias_gradient: ∂L/∂b (out,); 0 for a unit that was not active.
    Use the unit whose ∂L/∂b is largest in absolute value: there rounding matters least.
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
print(f"largest error of a pixel {gap:.0e}; {dead:.0%} of the units were not active and say nothing")
claim("The picture is exact to a millionth", gap < 1e-6, f"{gap:.0e}")
claim("Control: it is not somebody else's picture", other > 0.3, f"largest difference {other:.2f}")

# %% [markdown]
# No search, no guess, and nothing is used of the layer above. Does it help to take more steps before sending? Every step's row is a
# multiple of the same picture, and in plain SGD the change is the sum of the steps, so a multiple too. (Adam divides each weight's
# step by a number of its own: then a row's quotient is not the picture.)

# %%
one = torch.zeros(1, dtype=torch.int64, device=device)
for steps in (1, 20):
    change = federated.local_updates(mlp, x[:1], y[:1], one, one, epochs=steps, lr=0.1)[0]
    gap = (invert_linear(change[:8192].view(128, 64), change[8192:8320]) - x[0].flatten()).abs().max().item()
    claim(f"From the change of weights it is exact to 1/10,000; local steps: {steps}", gap < 1e-4, f"{gap:.0e}")

# %% [markdown]
# ### Exercise 2: the label, by its sign
#
# The last layer's bias gives the label away. For cross-entropy $\partial L/\partial b_k = p_k - 1$ for the label and $p_k$ for
# all other classes.


# %%
def label_from_gradient(bias_gradient):
    """The label of a single example: an int.  bias_gradient: ∂L/∂b of the last layer, (classes,)."""
    ### BEGIN SOLUTION
    return int(bias_gradient.argmin())
    ### END SOLUTION


label_from_gradient = check("12.label_from_gradient", label_from_gradient)

# %%
told = [label_from_gradient(inversion.batch_gradient(mlp, x[i : i + 1], y[i : i + 1])[-1]) for i in range(100)]
claim("The label of each of 100 patients is right", told == y[:100].tolist())

# %% [markdown]
# ## 2 · Batches
#
# With eight patients the gradient is a mean of eight. Each row's quotient is now a mixture, $\sum_k g_k x_k / \sum_k g_k$ with
# weights of its own. Is a mixture safe? Guess: of eight pictures, how many can still be read?
#
# A ReLU unit that is active for **one** of the eight has that picture in its row, unmixed. And you can tell such rows without
# the truth: two of them agree to five digits, which two mixtures of many seldom do. (Of **two** pictures with
# one label, mixtures often agree: the weights have nearly the same ratio in each unit.) So count the false ones, too.


# %%
def hidden(width):
    """An untrained network with one hidden layer of so many ReLU units."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
    return initialise(net, runtime.generator(2)).to(device)


def read_batches(model, size, tries=8):
    """Of eight batches: the shares of pictures read, of labels told and of labels guessed; rows read, false ones."""
    result = torch.zeros(5)
    for some in torch.arange(tries * size).view(tries, size):
        gradient, truth = inversion.batch_gradient(model, x[some], y[some]), y[some].bincount(minlength=10)
        rows = inversion.shared_rows(inversion.row_inputs(gradient[0], gradient[1])[0])
        near = torch.cdist(x[some].flatten(1), rows) < 0.01
        told = inversion.label_counts(gradient[-1], size)
        guessed = inversion.label_counts(torch.zeros_like(gradient[-1]), size)  # each digit as often as any other
        right = [torch.minimum(counts, truth).sum() for counts in (told, guessed)]
        result += torch.tensor([near.any(1).sum(), *right, len(rows), (~near.any(0)).sum()])
    return [*(result[:3] / (tries * size)).tolist(), *map(int, result[3:])]


# %%
sizes = [1, 2, 4, 8, 16, 32]
seen = {width: {size: read_batches(hidden(width), size) for size in sizes} for width in (128, 512)}
figures.curves(
    sizes, {f"{width} units": [seen[width][size][0] for size in sizes] for width in seen},
    log="x", percent=True, xlabel="patients in the batch", ylabel="pictures read exactly",
    caption="Rows on which two units agree, eight batches of each size, untrained networks of one hidden layer. No search.",
)  # fmt: skip
rows, false = ({size: sum(of[size][i] for of in seen.values()) for size in sizes} for i in (3, 4))
print("rows that are nobody's picture: " + ", ".join(f"{false[size]} of {rows[size]} at {size}" for size in (2, 4, 8)))
claim("From four patients on, fewer than one in ten of the rows read are false",
      sum(list(false.values())[2:]) < sum(list(rows.values())[2:]) / 10)  # fmt: skip
claim("Of eight patients, 128 units show at least one in ten exactly, 512 units more than half",
      seen[128][8][0] > 0.1 and seen[512][8][0] > 0.5, f"{seen[128][8][0]:.0%} and {seen[512][8][0]:.0%}")  # fmt: skip
worst = min(of[size][1] for of in seen.values() for size in sizes)
claim("Of the labels of batches up to 32, more than 90 % are told right", worst > 0.9,
      f"the worst: {worst:.0%}; each digit as often as any other: {seen[512][8][2]:.0%} at 8, {seen[512][32][2]:.0%} at 32")  # fmt: skip

# %% [markdown]
# A mean is not a blur. The labels come from the same rule as before: ∂L/∂b = mean p − counts / batch, and an untrained network
# says about 1/10 for each class.
#
# But who sends the update of an *untrained* network? All do, in the first round. Then the network learns. Guess: for how many
# epochs do its rows show pictures? Here 512 units train on public digits, and batches of eight are sent on the way.

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
    epochs, {name: [later[epoch][i] for epoch in epochs] for i, name in enumerate(names)},
    percent=True, xlabel="epochs of training before the update", ylabel="share of eight patients", ylim=(-0.03, 1.03),
    caption="Batches of eight, 512 units. Equal counts: who knows nothing and says that each digit is as frequent as any other.",
)  # fmt: skip
claim("After one epoch more than half of the pictures are still read, after 20 fewer than 15 %",
      later[1][0] > 0.5 and later[20][0] < 0.15, f"{later[1][0]:.0%}, then {later[20][0]:.0%}")  # fmt: skip
claim("Labels: after 20 epochs less than 20 points better than equal counts",
      later[20][1] < later[20][2] + 0.2, f"{later[20][1]:.0%} and {later[20][2]:.0%}")  # fmt: skip

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
    layers = [nn.Conv2d(1, 12, 3, padding=1), activation(), nn.Conv2d(12, 12, 3, padding=1, stride=2), activation()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(192, 10))


net = initialise(network(), runtime.generator(3)).to(device)

# %% [markdown]
# ### Exercise 3: match the gradient
#
# The pixels are the parameters here, and the loss is made of a gradient. So you need a gradient of a gradient: `create_graph=True`.


# %%
def dlg(model, gradient, start, y, steps):
    """Pictures whose gradient is `gradient`, by L-BFGS from `start`: (batch, ...), detached.

    gradient: one tensor for each of model.parameters(), of the mean cross-entropy.  y: (batch,) labels.
    steps: how many iterations of L-BFGS: one call of `torch.optim.LBFGS(...).step` with max_iter=steps.
    """
    ### BEGIN SOLUTION
    x = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [x], max_iter=steps, history_size=20, tolerance_grad=1e-9, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure():
        own = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()), create_graph=True)
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
film = [noise] + [dlg(net, sent, noise, label, steps) for steps in (2, 5, 10, 20, 40)] + [x[:1]]
figures.pictures(
    [torch.cat(film).clamp(0, 1)], titles=["start", *(f"{steps} steps" for steps in (2, 5, 10, 20, 40)), "the patient"],
    caption="From noise to the patient, by matching the gradient.",
)  # fmt: skip
error = inversion.mse(film[-2], x[:1]).item()
claim("After 40 steps the mean squared error is below 1/10,000", error < 1e-4, f"{error:.0e}")

# %% [markdown]
# ### How large a batch?
#
# The library does the same from several random starts at once, for several batches at once, and keeps the start with the lowest
# loss: never the one that comes nearest to the truth, which no attacker knows. A batch has no order, so before we compare, pictures
# are paired as well as they can be. **PSNR** is −10 log₁₀ of the mean squared error, in decibels: 20 dB is recognisable, 40 dB is
# sharp.
#
# Two controls: the pictures found for *another* batch, and the mean digit, which needs no attack.


# %%
def stacked(model, x, y):
    """The gradients of several batches x (k, batch, ...), each tensor with an axis for them in front."""
    return [torch.stack(parts) for parts in zip(*map(partial(inversion.batch_gradient, model), x, y), strict=True)]


def errors(found, x):
    """The mean squared error of every picture of several batches, (k, batch)."""
    return torch.stack(list(map(inversion.mse, found, x)))


mean_digit = digits.x_test.mean(0)
leaked, losses, rows, control = {}, {}, {}, {}
for size, steps in ((1, 80), (2, 80), (4, 120), (8, 120)):
    truth, labels = x[: 6 * size].unflatten(0, (6, size)), y[: 6 * size].view(6, size)
    attack = inversion.invert_gradient(
        net,
        stacked(net, truth, labels),
        truth[0].shape,
        labels,
        steps=steps,
        restarts=2,
        generator=runtime.generator(5),
    )
    leaked[size], losses[size] = errors(attack.x, truth), attack.loss
    control[size] = errors(attack.x.roll(1, 0), truth).mean().item()
    rows[size] = (truth[0], inversion.best_assignment(attack.x[0], truth[0]))
guess = errors(mean_digit.expand(6, 8, -1, -1, -1), truth).mean().item()
attack = inversion.invert_gradient(
    net,
    stacked(net, truth[:3], labels[:3]),
    truth[0].shape,
    labels[:3],
    steps=480,
    restarts=2,
    generator=runtime.generator(5),
)
longer = errors(attack.x, truth[:3])  # three of the batches of eight, with four times the steps

# %%
for size in (4, 8):
    figures.pictures(
        rows[size], row_labels=["patients", "found"], titles=[[""] * size, [f"{-10 * e.log10():.0f} dB" for e in leaked[size][0]]],
        caption=f"The first of six batches of {size}.",
    )  # fmt: skip
quartiles = {size: e.quantile(torch.tensor([0.25, 0.5, 0.75], device=device)).tolist() for size, e in leaked.items()}
figures.curves(
    list(leaked), {"median picture": [max(quartiles[s][1], 1e-6) for s in leaked], "another batch's": list(control.values()),
                   "mean digit": [guess] * 4},
    bands={"median picture": [[max(quartiles[s][i], 1e-6) for s in leaked] for i in (0, 2)]},
    log="xy", xlabel="patients in the batch", ylabel="mean squared error of a picture",
    caption="Six batches of each size. Band: the middle half of the pictures. Cut at 10⁻⁶: below 10⁻⁴ no eye sees a difference.",
)  # fmt: skip

# %%
shown = {size: f"{e.median().item():.0e}, worst {e.max().item():.0e}" for size, e in leaked.items()}
claim("One patient is found with an error below 10⁻⁹, each time", leaked[1].max() < 1e-9, shown[1])
claim(
    "Of batches of two, more than half of the pictures are found so", (leaked[2] < 1e-9).float().mean() > 0.5, shown[2]
)
low = {size: losses[size] < 1e-12 for size in (1, 2, 4)}
print("their loss is below 10⁻¹²: " + ", ".join(f"{int(low[size].sum())} of 6 batches of {size}" for size in low)
      + f"; the highest loss of a batch of two {losses[2].max():.0e}")  # fmt: skip
claim("Each batch whose loss is below 10⁻¹² has all its pictures, with errors below 10⁻⁶",
      all((leaked[size][low[size]] < 1e-6).all() for size in low))  # fmt: skip
claim(
    "Batches of eight are not exact after 120 steps: the worst pictures are more than 10⁻³ off",
    leaked[8].max() > 1e-3,
    shown[8],
)
claim("Still, the median picture of eight has less than a third of the mean digit's error", leaked[8].median() < guess / 3,
      f"{shown[8]}; mean digit {guess:.2f}")  # fmt: skip
claim("Four times the steps on three of them: less than a third of the median error", longer.median() < leaked[8][:3].median() / 3,
      f"{leaked[8][:3].median():.0e}, then {longer.median():.0e}, worst {longer.max():.0e}")  # fmt: skip
claim("Control: another batch's pictures are no better than the mean digit", min(control.values()) > 0.9 * guess)

# %% [markdown]
# Exact for one. For two and four some batches are exact and some are not, and where the loss is down at rounding errors the
# attacker knows. At eight, 120 steps are not enough. Four times as many make the median picture much better, and the worst is still
# far off. "Eight is safe" is a statement about patience.
#
# ### Which network?
#
# Guess: what makes the search harder, ReLU, whose second derivative is 0, or **training**? "Inverting gradients" (Geiping et
# al., 2020) matches the gradient's **direction**, by Adam. Four patients, one at a time, one start each, and three budgets.

# %%
kinds = {}
for name, activation in (("tanh", nn.Tanh), ("ReLU", nn.ReLU)):
    kinds[f"{name}, untrained"] = initialise(network(activation), runtime.generator(3)).to(device)
    kinds[f"{name}, trained"] = initialise(network(activation), runtime.generator(3)).to(device)
    training.fit(
        kinds[f"{name}, trained"],
        digits.x_test,
        digits.y_test,
        epochs=20,
        generator=runtime.generator(6),
        progress=False,
    )


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
budgets, by_steps, worst = [100, 400, 1600], {}, {}
for kind, model in kinds.items():
    for steps in budgets if kind == "ReLU, trained" else budgets[:2]:
        found = one_by_one(model, steps=steps, restarts=1, distance="cosine", optimiser="adam")
        by_steps.setdefault(kind, []).append(found.median().item())
        worst[kind] = found.max().item()
said = "; ".join(f"{kind} " + ", ".join(f"{e:.0e}" for e in values) for kind, values in by_steps.items())
figures.curves(
    budgets, {kind: [*values, torch.nan][:3] for kind, values in by_steps.items()} | {"mean digit": [guess] * 3},
    log="xy", xlabel="steps of Adam", ylabel="mean squared error (median of four)", alt=f"Error by steps. {said}",
    caption="A search of its own for each budget. Three networks end at 400 steps: thin lines lead to their names only.",
)  # fmt: skip
print("the worst of four, with the most steps: " + ", ".join(f"{kind} {e:.0e}" for kind, e in worst.items()))
slow, slower = (by_steps[f"{name}, trained"] for name in ("tanh", "ReLU"))
claim("Training: at 100 steps either trained network's error is at least ten times that of its untrained twin",
      slow[0] > 10 * by_steps["tanh, untrained"][0] and slower[0] > 10 * by_steps["ReLU, untrained"][0])  # fmt: skip
claim("At 400 steps trained tanh is below 10⁻³", slow[1] < 1e-3, f"{slow[1]:.0e}")
claim("At 100 steps trained ReLU looks safe, above 10⁻²; at 1,600 the error is less than a thirtieth of that",
      slower[0] > 1e-2 and slower[2] < slower[0] / 30, f"{slower[0]:.0e}, then {slower[2]:.0e}")  # fmt: skip

# %% [markdown]
# Training makes the search **longer**, not impossible, and with ReLU longer still. "Safe after 100 steps" is, again, a statement
# about patience. ReLU *untrained* need not be exact either: see the worst of its four.
#
# Why longer? One suspect: training makes the logits larger. A control: divide the trained last layer by 10, which changes no
# predicted class, and multiply the untrained one by 10. The search is by L-BFGS, with the squared distance, 50 steps.


# %%
def scaled(model, factor):
    """The same network, with logits `factor` times as large."""
    other = copy.deepcopy(model)
    other[-1].weight.data *= factor
    other[-1].bias.data *= factor
    return other


by_scale = {}
for kind, model in kinds.items():
    for factor in (1, 0.1) if ", trained" in kind else (1, 10):
        by_scale[kind, factor] = one_by_one(scaled(model, factor), steps=50, restarts=2).median().item()
    print(
        f"{kind}, logits of size {model(x).std():.1f}: "
        + ", ".join(f"× {factor:g}: {e:.0e}" for (of, factor), e in by_scale.items() if of == kind)
    )
as_is, small = by_scale["ReLU, trained", 1], by_scale["ReLU, trained", 0.1]
claim(
    "Trained ReLU: with logits a tenth as large the error falls to less than a tenth",
    small < as_is / 10,
    f"{as_is:.0e} → {small:.0e}",
)
claim("Untrained tanh: exact with either, below 10⁻⁹", max(by_scale["tanh, untrained", f] for f in (1, 10)) < 1e-9)

# %% [markdown]
# With trained ReLU the scale of the logits does much of it. It is not the whole story: large logits alone do not stop the search
# through untrained tanh. (Through untrained ReLU it depends on the draw of the weights: change `generator(3)` and see.) And a
# server that *chooses* the weights can choose a small last layer.
#
# ### Play with it
#
# Add Gaussian noise to the gradient, as long as so many times the gradient itself. Guess first: at which length does a picture
# become unreadable?

# %%
LEVELS = [0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]


def with_noise(gradient, lengths, seed):
    """Each update of `gradient`, (k, ...), plus Gaussian noise whose length is `lengths` (k,) times the update's."""
    draw = runtime.generator(seed)
    dice = [torch.randn(part.shape, generator=draw).to(part) for part in gradient]
    size, own = (sum(part.flatten(1).square().sum(1) for part in parts).sqrt() for parts in (gradient, dice))
    share = torch.as_tensor(lengths, device=device) * size / own
    return [g + n * share.view(-1, *[1] * (n.dim() - 1)) for g, n in zip(gradient, dice, strict=True)]


def attacked(size):
    """The first `size` patients, and what is found of them at each level: (levels, size, 1, 8, 8)."""
    truth, labels = x[:size].expand(7, size, 1, 8, 8), y[:size].expand(7, size)
    gradient = with_noise(stacked(net, truth, labels), LEVELS, 8)
    attack = inversion.invert_gradient(
        net, gradient, truth[0].shape, labels, steps=60, restarts=3, generator=runtime.generator(9), progress=False
    )
    return x[:size], attack.x


# %%
explore(
    scene.watch_it_leak(attacked, LEVELS), batch=(1, 8, 1, 1), noise=LEVELS,
    labels={"batch": "patients in the batch", "noise": "noise ÷ gradient"},
    caption="Patients, what is found of them, and the error at each length of noise.",
)  # fmt: skip

# %% [markdown]
# Under noise **as long as the gradient** one patient is at the edge of what is recognisable, about 20 dB. The gradient has 3,358
# numbers, the picture 64, so most of the noise averages out. While it is short the error grows with the square of its length:

# %%
truth, labels = x[:12, None], y[:12, None]
clear, loud, equal = (
    errors(inversion.invert_gradient(
        net, with_noise(stacked(net, truth, labels), [level] * 12, 10), truth[0].shape, labels, steps=60, restarts=3,
        generator=runtime.generator(11), progress=False,
    ).x, truth).median().item() for level in (0.01, 0.1, 1.0)
)  # fmt: skip
claim("Ten times the noise, about a hundred times the error", 70 < loud / clear < 140, f"{loud / clear:.0f} times")
claim(
    "As long as the gradient: less than a third of the mean digit's error",
    equal < guess / 3,
    f"{equal:.3f}, mean digit {guess:.2f}",
)

# %% [markdown]
# ## 4 · Secure aggregation
#
# The server needs the **sum** only. So let it see nothing else. Each pair of clients agrees on a secret seed. Both expand it to a
# **mask**, as long as the update. One adds the mask, the other subtracts it. Each update looks like dice, and in the sum all masks
# are gone. To cancel *exactly*, all is done in whole numbers modulo $2^{32}$, in which updates are written in **fixed point**: with
# 20 bits 0.3 is the whole number nearest to 0.3 · 2²⁰, which is 314,573, and −0.3 is $2^{32}$ − 314,573.
#
# ### Exercise 4: a sum of vectors that nobody sees


# %%
def secure_sum(vectors, seeds):
    """What each client sends, (clients, d), and the server's total of it, (d,); both int64 in [0, MODULUS).

    vectors: int64 (clients, d) in [0, MODULUS).  seeds[u][v] == seeds[v][u]: what u and v agreed on.
    expand(seed, d) is that pair's mask. The total is computed from what is sent and nothing else.
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
updates = torch.stack(
    [parameters_to_vector(inversion.batch_gradient(net, x[i : i + 1], y[i : i + 1])) for i in range(8)]
)
numbers = torch.randint(2**40, (8, 8), generator=runtime.generator(12)).triu(1)
masked, total = secure_sum(federated.encode(updates, 8, bits=20).cpu(), (numbers + numbers.T).tolist())
error = (federated.decode(total, bits=20) - updates.double().sum(0).cpu()).abs().max().item()
alike = torch.corrcoef(torch.stack([updates[0].double().cpu(), federated.decode(masked[0], bits=20)]))[0, 1].item()
print(f"largest error of the sum {error:.1e}; what client 0 sends has a correlation of {alike:.3f} with its update")
claim("The sum is exact up to fixed point, 8 times half of 2⁻²⁰", error <= 8 * 2**-21 + 1e-12, f"{error:.1e}")
claim("What is sent is uncorrelated with the update", abs(alike) < 0.07)

# %% [markdown]
# Real clients drop out: a phone loses its network after the masks are agreed, and its masks stay in the sum. In the protocol of
# Bonawitz et al. (2017) everybody has given the others **shares** of its key (Shamir, 1979): any two thirds of them can recover it,
# fewer learn nothing. The survivors hand in the lost one's shares, and the server takes its masks off. `federated.secure_sum` does
# that, with key agreement, a second mask of each client's own, and refusal when too few are left.

# %%
done = federated.secure_sum(updates, dropped={2, 5}, bits=20, generator=runtime.generator(13))
wanted = updates[list(done.survivors)].double().sum(0)
claim("With two of eight lost, the sum is that of the six others",
      (done.total - wanted).abs().max() <= 6 * 2**-21 + 1e-12, f"survivors {done.survivors}")  # fmt: skip
try:
    federated.secure_sum(updates, dropped={0, 1, 2}, generator=runtime.generator(13))
    refused = False
except ValueError as refusal:
    refused = True
    print("With three lost:", refusal)
claim("With three of eight lost, the round is refused", refused)

# %% [markdown]
# ### Attacked again: what the sum still says
#
# The attacker is the server, and knows all this. A masked update is dice. But the sum is public. The sum of eight updates of one
# patient each, divided by eight, is the gradient of a batch of eight; that of two is a batch of two. And what of a client that is
# **alone**: because nobody else was left and no threshold was kept, or because all the others work for the server, who takes their
# updates off? The network is untrained, and the labels are assumed known: section 2 counts them.


# %%
def unpacked(vector):
    """A flat update as one tensor for each parameter, as `invert_gradient` takes it."""
    sizes = [weight.numel() for weight in net.parameters()]
    return [
        part.view_as(weight).float()
        for part, weight in zip(vector.to(device).split(sizes), net.parameters(), strict=True)
    ]


def searched(vector, size):
    """The errors of the first `size` patients, from the sum of their updates."""
    found = inversion.invert_gradient(
        net,
        unpacked(vector / size),
        x[:size].shape,
        y[:size],
        steps=120,
        restarts=3,
        generator=runtime.generator(14),
        progress=False,
    )
    return inversion.mse(found.x, x[:size])


def summed(*clients):
    """What the server has when only these clients survive, and it asks for no threshold."""
    gone = set(range(8)) - set(clients)
    return federated.secure_sum(updates, dropped=gone, threshold=1, bits=20, generator=runtime.generator(15)).total


# %%
views = {
    "no protection": searched(updates[0], 1),
    "one masked update": searched(federated.decode(masked[0], bits=20), 1),
    "sum of eight": searched(summed(*range(8)), 8),
    "sum of two": searched(summed(0, 1), 2),
    "alone": searched(summed(0), 1),
}
figures.bars(
    {name: min(60, -10 * e.median().log10().item()) for name, e in views.items()} | {"mean digit": -10 * torch.tensor(guess).log10().item()},
    ylabel="PSNR of the median picture (dB)", horizontal=True, highlight=["mean digit"],
    caption="What a curious server finds, one patient for each client. Higher means more is leaked; cut at 60.",
)  # fmt: skip
claim("From a masked update nothing is found: no better than the mean digit", views["one masked update"].min() > guess)
claim(
    "A client that is alone is found, with an error below 10⁻⁶",
    views["alone"].max() < 1e-6,
    f"{views['alone'].max():.0e}",
)
claim("The sum of eight, untrained, still leaks: its median picture has less than a third of the mean digit's error",
      views["sum of eight"].median() < guess / 3, f"{views['sum of eight'].median():.0e}, mean digit {guess:.2f}")  # fmt: skip

# %% [markdown]
# Secure aggregation hides each client's **update**, not the **sum**, and what section 3 says of batches holds of sums. So it wants
# many clients, and a threshold (the number that must survive) that is kept.
#
# ### Spot the broken protocol
#
# A colleague finds the second mask superfluous: pairwise masks alone hide each update, and cancel. When a client drops out, the
# survivors reveal the seeds that they shared with it. Now client 3 is slow. Its masked update arrives *after* it was declared lost.
# What can the server do?

# %%
vectors = federated.encode(updates, 8, bits=20).cpu()
seeds = (numbers + numbers.T).tolist()
late = secure_sum(vectors, seeds)[0][
    3
]  # arrives when the server already has revealed[v], the seeds that 3 shared with v
revealed = {v: seeds[3][v] for v in range(8) if v != 3}

# %% tags=["student-only"]
# Your attack here: read client 3's update from `late` and `revealed`. Did it work? Compare with the truth:
# torch.equal(yours % MODULUS, vectors[3]) must be True.

# %% tags=["solution-only"]
bare = late.clone()
for v, seed in revealed.items():
    bare -= (1 if v > 3 else -1) * expand(seed, len(late))
claim("The server reads the late client's update, exactly", torch.equal(bare % MODULUS, vectors[3]))

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
    """A softmax regression trained by federated averaging, and its test accuracy after each round."""
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


def securely(updates, sizes):
    """The weighted mean, by a secure sum of updates and of sizes, which are secret too. One client in ten drops out."""
    rows = torch.cat([updates * sizes[:, None], sizes[:, None]], 1)
    total = federated.secure_sum(rows, dropped=range(0, len(rows), 10), bits=16, generator=runtime.generator(19)).total
    return total[:-1] / total[-1]


# %%
def alone(rows):
    """The accuracy of the same model, trained on these patients only."""
    model = initialise(linear(64, 10), runtime.generator(17)).to(device)
    training.fit(model, x[rows], y[rows], epochs=60, lr=0.02, generator=runtime.generator(20), progress=False)
    return accuracy(model)


together = {"rounds": 15, "share": 0.5, "epochs": 2, "lr": 1.0}
plain, curve = averaged(hospitals, **together)
_, dropping = averaged(hospitals, aggregate=securely, **together)
one, dice = alone(largest), runtime.generator(23)
random = [alone(torch.randperm(len(x), generator=dice)[: len(largest)].to(device)) for _ in range(3)]
fair = sum(random) / 3
print(f"The largest hospital has {len(largest)} digits, of each kind {y[largest].bincount(minlength=10).tolist()}: {one:.1%}. "
      f"As many at random, three draws: " + ", ".join(f"{right:.1%}" for right in random))  # fmt: skip
figures.curves(
    range(1, 16), {"federated averaging": curve, "secure sums, 1 in 10 lost": dropping, "as many at random, alone": [fair] * 15,
                   "largest hospital alone": [one] * 15},
    xlabel="round", ylabel="test accuracy", percent=True,
    caption="Forty hospitals with different mixtures of digits (Dirichlet, α = 1), half of them in each round.",
)  # fmt: skip
claim("Together they reach more than 88 %, at least 3 points more than as many random digits as the largest hospital has",
      curve[-1] > 0.88 and curve[-1] > fair + 0.03, f"{curve[-1]:.1%} and {fair:.1%}")  # fmt: skip
claim("The largest hospital alone is worse than random digits", one < fair, f"{one:.1%}")
claim(
    "Secure sums, with clients lost, end within 4 points of it",
    abs(dropping[-1] - curve[-1]) < 0.04,
    f"{dropping[-1]:.1%}",
)

# %% [markdown]
# So much of what the largest hospital lacks here is not *more* digits but *other* ones: see how many it has of each kind. A
# federation brings both.
#
# Now 1,437 phones with **one** digit each, and a model whose only layer sees the picture. Every update is the picture, by
# Exercise 1. Two steps to a proof: **clip** each update to length C, then add Gaussian noise of σ·C to their sum. Guess: what
# does clipping alone hide?
#
# **ε and δ**, in one line (Lab 13 has the rest): whether one phone takes part changes the probability of anything that can be seen
# by a factor of at most $e^ε$, up to a probability δ, here 10⁻⁵. At ε = 1 that is little; at 20 the promise is empty.

# %%
phones = torch.arange(len(x), device=device)
sent = federated.local_updates(plain, x, y, phones, phones[:12], lr=1.0)
clip, sigma, share, rounds = 1.0, 2.0, 0.2, 40


def read(update):
    """Exercise 1 on a softmax regression's update: (n, 64), clamped to pixels."""
    return torch.stack([invert_linear(u[:640].view(10, 64), u[640:]) for u in update]).clamp(0, 1)


length = sent.norm(dim=1, keepdim=True)
clipped = sent * (clip / length.clamp_min(clip))
print(f"{int((length > clip).sum())} of 12 updates are longer than C = {clip:g}; the median is {length.median():.2f}. "
      f"The noise's length is {sigma * clip * 650**0.5:.0f}")  # fmt: skip
exact = (read(sent * (0.05 / length.clamp_min(0.05))) - x[:12].flatten(1)).square().mean(1).max().item()
claim(
    "Clipped to 0.05, an update is the picture still: a length is all that was changed",
    exact < 1e-6,
    f"error {exact:.0e}",
)

# %% [markdown]
# Most of these updates are short: the noise is set for one of length C, so hides them better.
#
# The **adapting** attacker knows the other phones' updates and takes them off. It has seen this phone in T rounds, in which the
# phone sent the same each time, and averages them. A mean of T noises is shorter by √T, so T looks count as one with σ/√T. No real
# server has it so easy. But a proof that holds for this one holds for all that know less.
#
# Two attackers read the mean. The first solves for the picture, as in Exercise 1. The second has a **prior**: it computes the
# update of each of 360 public digits, and takes the mean of these digits, each weighted by how well its update fits. How many
# rounds do they need, and what does ε say by then?


# %%
def cut(update):
    return update * (clip / update.norm(dim=1, keepdim=True).clamp_min(clip))


public = torch.arange(len(digits.x_test), device=device)
fits = cut(federated.local_updates(plain, digits.x_test, digits.y_test, public, public, lr=1.0))
seen, draw, errors_by, with_prior = [1, 10, 100, 1000, 10_000, 100_000], runtime.generator(21), {}, {}


def middle(found):
    """The median error of twelve pictures, (12, 64)."""
    return (found.clamp(0, 1) - x[:12].flatten(1)).square().mean(1).median().item()


blind = middle(mean_digit.flatten().expand(12, 64))
for T in seen:
    deviation = sigma * clip / T**0.5
    noisy = cut(sent) + deviation * torch.randn(sent.shape, generator=draw).to(device)
    weight, bias = noisy[:, :640].view(12, 10, 64), noisy[:, 640:]
    errors_by[T] = middle(
        (weight * bias[:, :, None]).sum(1) / bias.square().sum(1, keepdim=True)
    )  # least squares over the rows
    likely = (-torch.cdist(noisy, fits).square() / (2 * deviation**2)).softmax(1)  # (12, 360)
    with_prior[T] = middle(likely @ digits.x_test.flatten(1))

# %%
spent = {T: privacy.gaussian_epsilon(sigma / T**0.5, 1e-5) for T in seen}
figures.curves(
    seen, {"no prior": list(errors_by.values()), "with a prior": list(with_prior.values()), "mean digit": [blind] * len(seen)}, log="xy",
    xlabel="rounds in which the phone took part", ylabel="mean squared error (median)",
    caption=f"σ = {sigma}, clipped at {clip}, δ = 10⁻⁵. ε by then: " + ", ".join(f"{spent[T]:,.0f} after {T:,}" for T in seen) + ".",
)  # fmt: skip
claim("Without a prior the picture is no better than the mean digit after 10 rounds, nor after 1,000",
      min(errors_by[10], errors_by[1000]) > blind, f"ε = {spent[10]:.1f} and {spent[1000]:,.0f}")  # fmt: skip
claim("With one, 1,000 rounds are enough to get below two thirds of the mean digit's error", with_prior[1000] < blind * 2 / 3,
      f"{with_prior[1000]:.3f}, mean digit {blind:.3f}")  # fmt: skip
claim("After 100,000 it is better without one too, and ε says so: it is above 1,000", errors_by[100_000] < blind and spent[100_000] > 1000,
      f"error {errors_by[100_000]:.3f}, ε = {spent[100_000]:,.0f}")  # fmt: skip

# %% [markdown]
# The second needs fewer rounds, but knows 360 digits and no others: it stays at one that looks alike, and the first becomes exact.
# The guarantee is empty before either works. That is no comfort: an attacker who knows more may need fewer rounds still, and where
# these two fail proves little. ε is what holds. It covers more modest ones, too, who only ask *whether* a phone took part.
#
# What does it cost? Two things cost accuracy: the clipping and the noise. So each has a control without the other. ε here is for a
# phone that takes part in a fifth of the rounds, chosen by dice that nobody sees.


# %%
def privately(owners, clip, level, **options):
    """The accuracy after 40 private rounds: updates clipped to `clip`, noise of level · clip on their sum."""
    mean = partial(
        federated.private_mean,
        clip=clip,
        noise_multiplier=level,
        expected=share * len(owners.unique()),
        generator=runtime.generator(22),
    )
    return averaged(owners, rounds=rounds, share=share, lr=1.0, aggregate=mean, progress=False, **options)[1][-1]


whole = 1e9  # longer than any update: nothing is clipped
settings = [(whole, 0.0), (1.0, 0.0), (1.0, sigma), (1.0, 4 * sigma), (3.0, 0.0), (3.0, sigma)]
private = {setting: privately(phones, *setting) for setting in settings}
of_few = {level: privately(hospitals, 1.0, level, epochs=2) for level in (0.0, 4 * sigma)}
epsilon = {level: privacy.rdp_epsilon(share, level, rounds, 1e-5) for level in (sigma, 4 * sigma)}


# %%
def name(clip, level):
    noise = f"σ = {level:g}, ε = {epsilon[level]:.1f}" if level else "no noise"
    return f"C = {clip:g}, {noise}" if clip < whole else "not clipped, no noise"


figures.bars(
    {name(*setting): right for setting, right in private.items()} | {f"40 hospitals: {name(1.0, level)}": right for level, right in of_few.items()},
    ylabel="test accuracy after 40 rounds", percent=True, horizontal=True, highlight=[name(whole, 0.0)],
    caption="1,437 phones with one digit each, a fifth of them in each round; δ = 10⁻⁵. The last two: forty hospitals, two epochs each.",
)  # fmt: skip
claim("Clipping to 1 costs at least 1 point without any noise; clipping to 3 less than 2",
      private[1.0, 0.0] < private[whole, 0.0] - 0.01 and private[3.0, 0.0] > private[whole, 0.0] - 0.02,
      f"{private[whole, 0.0]:.1%} → {private[1.0, 0.0]:.1%} and {private[3.0, 0.0]:.1%}")  # fmt: skip
claim("At an ε below 4, C = 3, the phones lose less than 5 points to clipping and noise together",
      epsilon[sigma] < 4 and private[3.0, sigma] > private[whole, 0.0] - 0.05, f"{private[3.0, sigma]:.1%}")  # fmt: skip
claim("At the same ε, C = 3 ends at least 1 point above C = 1", private[3.0, sigma] > private[1.0, sigma] + 0.01,
      f"{private[3.0, sigma]:.1%} and {private[1.0, sigma]:.1%}")  # fmt: skip
claim("Control: without noise forty hospitals reach more than 80 %", of_few[0.0] > 0.8, f"{of_few[0.0]:.1%}")
claim("The same noise on forty hospitals: less accurate than on the phones by at least 10 points",
      of_few[4 * sigma] < private[1.0, 4 * sigma] - 0.1, f"{of_few[4 * sigma]:.1%} and {private[1.0, 4 * sigma]:.1%}")  # fmt: skip

# %% [markdown]
# ε depends on σ, not on C: at the same ε, C = 3 has three times the noise of C = 1, and here loses less. For a bound is a limit to
# the model's **step**, too, as a small learning rate is. So look first at the bars without noise. (A C that you choose by looking
# at clients' updates is one more thing that tells of them.)

# %%
guarantee(
    holds="Secure aggregation: the server learns the survivors' sum and nothing else, if enough clients are honest. With noise "
    "of σ·C on the sum of clipped updates: (ε, δ) for each client, whatever the attack.",
    does_not="Secure aggregation hides each update from the server, **not the sum**: here that of eight, of an untrained network, showed pictures. It does "
    "not check what clients send, and here the server adds the noise, so it must be trusted to.",
    adapts="By making sums small: dropping clients, running clients of its own, comparing the sums of two rounds. By choosing an "
    "architecture that leaks: a wide first layer shows single rows in the first rounds, and in any round if the server sets its weights. "
    "By patience: a trained network takes more steps.",
    cost="Masks: seconds and bytes, no accuracy. Test accuracy with 1,437 clients: "
    + "; ".join(f"{right:.1%} ({name(*setting)})" for setting, right in private.items())
    + f". With forty: {of_few[0.0]:.1%} without noise, {of_few[4 * sigma]:.1%} at σ = {4 * sigma:g}.",
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
# * L. Zhu, Z. Liu, S. Han, 2019, *Deep Leakage from Gradients*.
# * B. Zhao, K. R. Mopuri, H. Bilen, 2020, *iDLG: Improved Deep Leakage from Gradients*. The label, by its sign.
# * J. Geiping, H. Bauermeister, H. Dröge, M. Moeller, 2020, *Inverting Gradients: How Easy Is It to Break Privacy in Federated
#   Learning?* Trained networks, larger pictures.
# * L. Fowl, J. Geiping, W. Czaja, M. Goldblum, T. Goldstein, 2022, *Robbing the Fed*. A server that chooses the architecture.
# * F. Boenisch et al., 2023, *When the Curious Abandon Honesty: Federated Learning Is Not Private*. Rows that show one record.
# * B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Agüera y Arcas, 2017, *Communication-Efficient Learning of Deep Networks from
#   Decentralized Data*. Federated averaging.
# * K. Bonawitz et al., 2017, *Practical Secure Aggregation for Privacy-Preserving Machine Learning*.
# * B. McMahan, D. Ramage, K. Talwar, L. Zhang, 2018, *Learning Differentially Private Recurrent Language Models*.
#   Noise for clients.
#
# To see how the library writes these, open `modelsec_course/inversion/matching.py`, `lbfgs.py` and `modelsec_course/federated/`.

# %%
finish("12")
