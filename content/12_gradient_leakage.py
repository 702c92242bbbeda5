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
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parameters_to_vector

from modelsec_course import data, federated, inversion, privacy, runtime, training
from modelsec_course.federated import MODULUS, expand
from modelsec_course.lab import check, claim, explore, figures, guarantee
from modelsec_course.lab import progress, quiz, scenes, start, threat
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
# No search, no guess, and nothing is used of the layer above. Does it help to train longer before sending? Every step's gradient is a
# multiple of the same picture, and so is their sum.

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
sizes, tries = [1, 2, 4, 8, 16, 32], 8
exact, labels_right, false, told = {}, {}, dict.fromkeys(sizes, 0), dict.fromkeys(sizes, 0)
for width in (128, 512):
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
    wide = initialise(wide, runtime.generator(2)).to(device)
    exact[f"{width} units"] = shares = []
    for size in sizes:
        found = right = 0
        for some in torch.arange(tries * size).view(tries, size):
            gradient = inversion.batch_gradient(wide, x[some], y[some])
            read = inversion.shared_rows(inversion.row_inputs(gradient[0], gradient[1])[0])
            if len(read):
                near = torch.cdist(x[some].flatten(1), read) < 0.01
                found += int(near.any(1).sum())
                false[size], told[size] = false[size] + int((~near.any(0)).sum()), told[size] + len(read)
            counts = inversion.label_counts(gradient[-1], size)
            right += int(torch.minimum(counts, y[some].bincount(minlength=10)).sum())
        shares.append(found / (tries * size))
        labels_right[width, size] = right / (tries * size)
figures.curves(
    sizes, exact, log="x", percent=True, xlabel="patients in the batch", ylabel="pictures read exactly",
    caption=f"Rows on which two units agree, {tries} batches of each size, untrained networks of one hidden layer. "
    "No search.",
)  # fmt: skip
print("nobody's picture: " + ", ".join(f"{false[size]} of {told[size]} rows at {size}" for size in sizes))
claim("From four patients on, fewer than one in ten of the rows read are false",
      sum(list(false.values())[2:]) < sum(list(told.values())[2:]) / 10)  # fmt: skip
claim("Of eight patients, 128 units show at least one in ten exactly, 512 units more than half",
      exact["128 units"][3] > 0.1 and exact["512 units"][3] > 0.5,
      f"{exact['128 units'][3]:.0%} and {exact['512 units'][3]:.0%}")  # fmt: skip
claim("Of the labels of batches up to 32, more than 90 % are told right", min(labels_right.values()) > 0.9,
      f"the worst: {min(labels_right.values()):.0%}")  # fmt: skip

# %% [markdown]
# A mean is not a blur. The labels come from the same rule as before: ∂L/∂b = mean p − counts / batch, and an untrained network
# says about 1/10 for each class. On a trained one you would put its mean answer to public pictures in that place.
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

# %%
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
# loss: never the one that comes nearest to the truth, which no attacker knows. A batch has no order, so before we compare,
# pictures are paired as well as they can be. **PSNR** is −10 log₁₀ of the mean squared error, in decibels: 20 dB is recognisable, 40 dB is
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
leaked, rows, control = {}, {}, {}
for size, steps, restarts in ((1, 80, 4), (2, 80, 4), (4, 120, 6), (8, 120, 6)):
    truth, labels = x[: 6 * size].unflatten(0, (6, size)), y[: 6 * size].view(6, size)
    attack = inversion.invert_gradient(
        net, stacked(net, truth, labels), truth[0].shape, labels, steps=steps, restarts=restarts,
        generator=runtime.generator(5),
    )  # fmt: skip
    leaked[size] = errors(attack.x, truth).flatten()
    control[size] = errors(attack.x.roll(1, 0), truth).mean().item()
    rows[size] = (truth[0], inversion.best_assignment(attack.x[0], truth[0]))
    if size == 8:
        hasty = inversion.invert_gradient(
            net, stacked(net, truth, labels), truth[0].shape, labels, steps=30, restarts=6, generator=runtime.generator(5)
        )
        hasty = errors(hasty.x, truth).median().item()
guess = errors(mean_digit.expand(6, 8, -1, -1, -1), truth).mean().item()

# %%
for size in (4, 8):
    figures.pictures(
        rows[size], row_labels=["patients", "found"], titles=[[""] * size, [f"{-10 * e.log10():.0f} dB" for e in leaked[size][:size]]],
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
claim("Of batches of two, more than half of the pictures", (leaked[2] < 1e-9).float().mean() > 0.5, shown[2])
claim("Batches of eight are not exact: the worst pictures are more than 10⁻³ off", leaked[8].max() > 1e-3, shown[8])
claim("Still, the median picture of eight has less than a third of the mean digit's error", leaked[8].median() < guess / 3,
      f"{shown[8]}; mean digit {guess:.2f}")  # fmt: skip
claim("With a quarter of the steps the error at eight is at least twice as large", hasty > 2 * leaked[8].median(), f"{hasty:.0e}")
claim("Control: another batch's pictures are no better than the mean digit", min(control.values()) > 0.9 * guess)

# %% [markdown]
# Exact for one. For two and four some batches are exact and some are not (four and eight get more steps and starts). At eight
# the search is slow, and goes on getting better: "too hard at eight" is a statement about patience.
#
# It depends on the network, too. Guess: what makes it harder, ReLU, whose second derivative is 0, or **training**? "Inverting gradients" (Geiping et al., 2020) matches the gradient's **direction** by Adam, which is less
# exact and less choosy. Eight patients, one at a time:

# %%
kinds = {"tanh, untrained": net}
kinds["ReLU, untrained"] = initialise(network(nn.ReLU), runtime.generator(3)).to(device)
kinds["ReLU, trained"] = initialise(network(nn.ReLU), runtime.generator(3)).to(device)
training.fit(kinds["ReLU, trained"], digits.x_test, digits.y_test, epochs=20, generator=runtime.generator(6), progress=False)
truth, labels = x[:8, None], y[:8, None]
methods = {"squared, L-BFGS": {"steps": 50}, "cosine, Adam": {"steps": 200, "distance": "cosine", "optimiser": "adam"}}
quality = {}
for kind, model in kinds.items():
    for method, options in methods.items():
        attack = inversion.invert_gradient(
            model, stacked(model, truth, labels), truth[0].shape, labels, restarts=3, generator=runtime.generator(7), **options
        )
        quality[f"{kind}: {method}"] = errors(attack.x, truth).flatten()
figures.bars(
    {name: min(60, -10 * e.median().log10().item()) for name, e in quality.items()} | {"mean digit": -10 * torch.tensor(guess).log10().item()},
    ylabel="PSNR of the median picture (dB)", horizontal=True, highlight=["mean digit"],
    caption="Eight patients, one at a time, three starts each. Higher means more is leaked; cut at 60.",
)  # fmt: skip
by_length, by_angle = (quality[f"ReLU, trained: {method}"].median() for method in methods)
exact = [e for name, e in quality.items() if "tanh" in name or name == "ReLU, untrained: squared, L-BFGS"]
print("the worst of eight: " + ", ".join(f"{name} {e.max():.0e}" for name, e in quality.items()))
claim("It is training: untrained, the median by distance is below 10⁻⁶, tanh or ReLU; trained, no median is below 10⁻³",
      min(by_angle, by_length) > 1e-3 and all(e.median() < 1e-6 for e in exact),
      f"trained: by direction {by_angle:.0e}, by distance {by_length:.0e}")  # fmt: skip

# %% [markdown]
# With ReLU, untrained, a few pictures may stay inexact: see the worst of eight above. With tanh all are exact.
#
# ### Play with it
#
# Add Gaussian noise to the gradient, as long as so many times the gradient itself. Guess first: at which length does a picture
# become unreadable?

# %%
LEVELS = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]


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


explore(
    scenes.watch_it_leak(attacked, LEVELS), batch=(1, 8, 1, 1), noise=(0.0, 3.0, 0.5, 1.0),
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
claim("As long as the gradient: less than a third of the mean digit's error", equal < guess / 3, f"{equal:.3f}, mean digit {guess:.2f}")

# %% [markdown]
# ## 4 · Secure aggregation
#
# The server needs the **sum** only. So let it see nothing else. Each pair of clients agrees on a secret seed. Both expand it to a
# **mask**, as long as the update. One adds the mask, the other subtracts it. Each update looks like dice, and in the sum all masks
# are gone. To cancel *exactly*, all is done in whole numbers modulo $2^{32}$, in which updates are written in **fixed point**.
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
updates = torch.stack([parameters_to_vector(inversion.batch_gradient(net, x[i : i + 1], y[i : i + 1])) for i in range(8)])
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
# patient each is a batch of eight; that of two is a batch of two. And what of a client that is **alone**: because nobody else was
# left and no threshold was kept, or because all the others work for the server, who takes their updates off?


# %%
def unpacked(vector):
    """A flat update as one tensor for each parameter, as `invert_gradient` takes it."""
    sizes = [weight.numel() for weight in net.parameters()]
    return [part.view_as(weight).float() for part, weight in zip(vector.to(device).split(sizes), net.parameters(), strict=True)]


def searched(vector, size):
    """The errors of the first `size` patients, from a server's vector."""
    found = inversion.invert_gradient(
        net, unpacked(vector / size), x[:size].shape, y[:size], steps=120, restarts=6, generator=runtime.generator(14), progress=False
    )
    return inversion.mse(found.x, x[:size])


def summed(*clients):
    """What the server has when only these clients survive, and it asks for no threshold."""
    gone = set(range(8)) - set(clients)
    return federated.secure_sum(updates, dropped=gone, threshold=1, bits=20, generator=runtime.generator(15)).total


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
claim("A client that is alone is found, with an error below 10⁻⁶", views["alone"].max() < 1e-6, f"{views['alone'].max():.0e}")
claim("The sum of eight still leaks: its median picture has less than a third of the mean digit's error",
      views["sum of eight"].median() < guess / 3, f"{views['sum of eight'].median():.0e}, mean digit {guess:.2f}")  # fmt: skip

# %% [markdown]
# Secure aggregation hides each client's **update**, not the **sum**, and a sum of eight pictures is still eight pictures, as in
# section 3. So it wants many clients, and a threshold (the number that must survive) that is kept.
#
# ### Spot the broken protocol
#
# A colleague finds the second mask superfluous: pairwise masks alone hide each update, and cancel. When a client drops out, the
# survivors reveal the seeds that they shared with it. Now client 3 is slow. Its masked update arrives *after* it was declared lost.
# What can the server do?

# %%
vectors = federated.encode(updates, 8, bits=20).cpu()
seeds = (numbers + numbers.T).tolist()
late = secure_sum(vectors, seeds)[0][3]  # arrives when the server already has revealed[v], the seeds that 3 shared with v
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
# It takes the seven masks off: with each `expand(revealed[v], len(late))` client 3 did one thing, and the server undoes it
# (3 added for v > 3 and subtracted for v < 3, or the other way in your protocol). A server need not even wait: it *says* that client 3 was lost. So each client adds a mask of its
# own, whose seed it has shared out as well. For each client the others reveal **either** its key, if it was lost, **or** its own
# mask's seed, if it was not: never both.
#
# </details>
#
# ## 5 · Federated averaging, and noise with a proof
#
# Gradients were the simple case. In **federated averaging** (McMahan et al., 2017) each client takes several steps before it sends its
# change of weights. Forty hospitals, about 36 digits each, half of them in each round. Plain, and with secure sums. Control:
# the largest hospital by itself.

# %%
hospitals = federated.deal(y, 40, alpha=1.0, generator=runtime.generator(16))
largest = hospitals == hospitals.bincount().argmax()


def accuracy(model):
    return training.accuracy(model, digits.x_test, digits.y_test)


def averaged(owners, **options):
    """A softmax regression trained by federated averaging, and its test accuracy after each round."""
    model, after = initialise(linear(64, 10), runtime.generator(17)).to(device), []
    federated.fedavg(
        model, x, y, owners, generator=runtime.generator(18), on_round=lambda _: after.append(accuracy(model)), **options
    )
    return model, after


def securely(updates, sizes):
    """The weighted mean, by a secure sum of updates and of sizes, which are secret too. One client in ten drops out."""
    rows = torch.cat([updates * sizes[:, None], sizes[:, None]], 1)
    total = federated.secure_sum(rows, dropped=range(0, len(rows), 10), bits=16, generator=runtime.generator(19)).total
    return total[:-1] / total[-1]


together = {"rounds": 15, "share": 0.5, "epochs": 2, "lr": 1.0}
plain, curve = averaged(hospitals, **together)
_, dropping = averaged(hospitals, aggregate=securely, **together)
alone = initialise(linear(64, 10), runtime.generator(17)).to(device)
training.fit(alone, x[largest], y[largest], epochs=60, lr=0.02, generator=runtime.generator(20), progress=False)
figures.curves(
    range(1, 16), {"federated averaging": curve, "secure sums, 1 in 10 lost": dropping, "largest hospital alone": [accuracy(alone)] * 15},
    xlabel="round", ylabel="test accuracy", percent=True,
    caption="Forty hospitals with different mixtures of digits (Dirichlet, α = 1), half of them in each round.",
)  # fmt: skip
claim("Together they reach more than 88 %, at least 5 points more than the largest alone",
      curve[-1] > 0.88 and curve[-1] > accuracy(alone) + 0.05, f"{curve[-1]:.1%} and {accuracy(alone):.1%}")  # fmt: skip
claim("Secure sums, with clients lost, end within 4 points of it", abs(dropping[-1] - curve[-1]) < 0.04, f"{dropping[-1]:.1%}")

# %% [markdown]
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
claim("Clipped to 0.05, an update is the picture still: a length is all that was changed", exact < 1e-6, f"error {exact:.0e}")

# %% [markdown]
# Most of these updates are short: the noise is set for one of length C, so hides them better. The **adapting** attacker knows the other phones' updates and takes them off, and has seen this phone in T rounds, and averages
# them. That is generous, and it is what the proof assumes. How many rounds does the attacker need, and what does ε say by then?

# %%
seen = [1, 10, 100, 1000, 10_000, 100_000]
draw = runtime.generator(21)
errors_by = {}
for T in seen:
    noisy = clipped + sigma * clip * torch.randn(clipped.shape, generator=draw).to(device) / T**0.5  # the mean of T rounds
    weight, bias = noisy[:, :640].view(12, 10, 64), noisy[:, 640:]
    found = (weight * bias[:, :, None]).sum(1) / bias.square().sum(1, keepdim=True)  # least squares over the rows
    errors_by[T] = (found.clamp(0, 1) - x[:12].flatten(1)).square().mean(1).median().item()
spent = {T: privacy.gaussian_epsilon(sigma / T**0.5, 1e-5) for T in seen}  # T looks are one with noise σ / √T
figures.curves(
    seen, {"found": list(errors_by.values()), "mean digit": [guess] * len(seen)}, log="xy",
    xlabel="rounds in which the phone took part", ylabel="mean squared error (median)",
    caption=f"σ = {sigma}, clipped at {clip}, δ = 10⁻⁵. ε by then: " + ", ".join(f"{spent[T]:,.0f} after {T:,}" for T in seen) + ".",
)  # fmt: skip
claim("After 10 rounds the picture is no better than the mean digit", errors_by[10] > guess, f"ε = {spent[10]:.1f}")
claim("After 100,000 it is better, and ε says so: it is above 1,000", errors_by[100_000] < guess and spent[100_000] > 1000,
      f"error {errors_by[100_000]:.3f}, ε = {spent[100_000]:,.0f}")  # fmt: skip

# %% [markdown]
# The guarantee is empty long before this reconstruction works. That is no comfort: this attacker is simple, knows nothing of
# how digits look, and where it fails proves little. And ε covers more modest ones, who only ask *whether* a phone took part. What does it cost? ε here is for a phone that takes part in a fifth of the
# rounds, chosen by dice that nobody sees.

# %%
private = {}
for level in (0.0, sigma, 4 * sigma):
    mean = partial(
        federated.private_mean, clip=clip, noise_multiplier=level, expected=share * len(x), generator=runtime.generator(22)
    )
    _, private[level] = averaged(phones, rounds=rounds, share=share, lr=1.0, aggregate=mean, progress=False)
epsilon = {level: privacy.rdp_epsilon(share, level, rounds, 1e-5) for level in private if level}
of_few = {}
for level in (0.0, 4 * sigma):
    few = partial(
        federated.private_mean, clip=clip, noise_multiplier=level, expected=share * 40, generator=runtime.generator(22)
    )
    _, of_few[level] = averaged(hospitals, rounds=rounds, share=share, epochs=2, lr=1.0, aggregate=few, progress=False)
names = {0.0: "clipped, no noise"} | {level: f"σ = {level:g}, ε = {e:.1f}" for level, e in epsilon.items()}
figures.curves(
    range(1, rounds + 1), {names[level]: after for level, after in private.items()} | {f"40 hospitals, σ = {level:g}": after for level, after in of_few.items()},
    xlabel="round", ylabel="test accuracy", percent=True,
    caption="1,437 phones with one digit each, a fifth of them in each round; δ = 10⁻⁵. The last two: few clients, two epochs each.",
)  # fmt: skip
claim("At an ε below 4 the phones lose less than 3 points to noise",
      epsilon[sigma] < 4 and private[sigma][-1] > private[0.0][-1] - 0.03,
      f"ε = {epsilon[sigma]:.1f}: {private[0.0][-1]:.1%} → {private[sigma][-1]:.1%}")  # fmt: skip
claim("Control: without noise forty hospitals reach more than 80 %", of_few[0.0][-1] > 0.8, f"{of_few[0.0][-1]:.1%}")
claim("The same noise on forty hospitals: less accurate than on the phones by at least 10 points",
      of_few[4 * sigma][-1] < private[4 * sigma][-1] - 0.1, f"{of_few[4 * sigma][-1]:.1%} and {private[4 * sigma][-1]:.1%}")  # fmt: skip

# %%
guarantee(
    holds="Secure aggregation: the server learns the survivors' sum and nothing else, if enough clients are honest. With noise "
    "of σ·C on the sum of clipped updates: (ε, δ) for each client, whatever the attack.",
    does_not="Secure aggregation hides each update from the server, **not the sum**: here even that of eight showed the pictures. It does "
    "not check what clients send, and here the server adds the noise, so it must be trusted to.",
    adapts="By making sums small: dropping clients, running clients of its own, comparing the sums of two rounds. By choosing an "
    "architecture that leaks: a first layer wide enough shows single rows.",
    cost="Masks: seconds and bytes, no accuracy. Test accuracy with 1,437 clients: "
    + ", ".join(f"{private[level][-1]:.1%} ({names[level]})" for level in private)
    + f"; with forty: {of_few[0.0][-1]:.1%} without noise, {of_few[4 * sigma][-1]:.1%} at σ = {4 * sigma:g}.",
)

# %% [markdown]
# At work you would not write this yourself. **Flower** (`flwr`) is the framework that most research and many products use: it has
# federated averaging, secure aggregation with dropouts (SecAgg+), and clipping with noise. `docs/federated-with-flower.md` goes
# through this lab's hospitals in its terms.
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
# * B. McMahan, D. Ramage, K. Talwar, L. Zhang, 2018, *Learning Differentially Private Recurrent Language Models*. Noise for clients.
#
# To see how the library writes these, open `modelsec_course/inversion/matching.py`, `lbfgs.py` and `modelsec_course/federated/`.

# %%
progress("12")
