# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 02 · Black-box evasion and transfer

# %%
from contextlib import suppress
from functools import partial

import torch

from modelsec_course import data, evasion, models, runtime, training, zoo
from modelsec_course.lab import check, claim, claims, explore, figures, finish
from modelsec_course.lab import guarantee, predict, quiz, start, threat
from modelsec_course.lab.words import number, percent
from modelsec_course.labs.lab_02_black_box_evasion import scene
from modelsec_course.serving import Guard, Refused

start("02")

# %%
threat.card("02")

# %% [markdown]
# ## 1 · The idea
#
# In lab 01 you had the weights. Now they are secret: the model stands behind a service, and you may only **ask**. What
# you get for a **query**, one input shown to the model, decides how you attack:
#
# * **scores**, a number for each class: estimate the gradient, or search at random and keep what helps;
# * a **label** only: walk along the boundary;
# * **nothing**: attack a model of your own, and hope that the victim shares its mistakes. That is **transfer**.
#
# With scores, the slope along a direction $u$ is a difference of two answers:
#
# $$ \frac{s(x + \sigma u) - s(x - \sigma u)}{2 \sigma} \;\approx\; u \cdot \nabla s(x). $$

# %%
device = runtime.device()
digits = data.load("digits").to(device)
model = zoo.load("digits-cnn", device=device)
right = model(digits.x_test).argmax(1) == digits.y_test
x = digits.x_test[right][:100]  # digits that the victim reads correctly
y = digits.y_test[right][:100]
eps = 0.15


@torch.no_grad()
def margin(model, x, y):
    """The attacker's score (batch,): the best wrong logit minus the right one.

    Above 0 the model errs.
    """
    return evasion.LOSSES["margin"](model(x), y)


def fooled(x_adv):
    """The share of the 100 digits that the victim now misreads."""
    return (margin(model, x_adv, y) > 0).float().mean().item()


open_box = fooled(evasion.pgd(model, x, y, eps=eps))

# %%
claim(
    "With the weights, PGD fools more than three quarters at ε = 0.15",
    open_box > 0.75,
    percent(open_box, 0),
)

# %% [markdown]
# That is the number to compare with. How far does an attacker get without the weights?

# %%
guess_square = predict(
    "02.square",
    "1,000 queries for each digit, scores only, ε = 0.15: how many digits are fooled?",
    percent=True,
)

# %% [markdown]
# The answer comes in section 2. Here is what two of those queries look like, and what the answers tell you about one
# random direction $u$.

# %%
with torch.no_grad():
    u = torch.randn(x[:7].shape, generator=runtime.generator(9)).to(device)
    probes = [x[:7], (x[:7] + 0.2 * u).clamp(0, 1), (x[:7] - 0.2 * u).clamp(0, 1)]
    scores = [margin(model, rows, y[:7]).tolist() for rows in probes]
figures.pictures(
    probes,
    titles=[[f"s = {number(s, 2)}" for s in row] for row in scores],
    row_labels=["x", "x + σu", "x − σu"],
    caption="Above each picture its score, the margin: the higher side of x is uphill.",
)

# %% [markdown]
# ### Exercise 1: a gradient from scores alone
#
# Natural evolution strategies (NES; Ilyas et al., 2018) average the slope along many random directions, each times its
# direction:
#
# $$ \hat g = \frac{1}{m} \sum_{i=1}^{m} \frac{s(x + \sigma u_i) - s(x - \sigma u_i)}{2 \sigma}\, u_i, \qquad u_i \sim \mathcal{N}(0, I). $$
#
# Since $\mathbb{E}[u u^\top] = I$, this is $\nabla s$ on average, even for a quadratic score.


# %%
def nes_gradient(scores, x, sigma, samples, generator):
    """The slope of `scores` at x, estimated from `samples` queries for each input.

    scores: takes a batch shaped like x and returns (batch,).  x: (batch, ...).
    samples: an even number.  generator: draws each direction, by
    `torch.randn(x.shape, generator=generator).to(x.device)`.
    Returns the mean over samples / 2 directions, shaped like x.
    """
    ### BEGIN SOLUTION
    gradient = torch.zeros_like(x)
    for _ in range(samples // 2):
        u = torch.randn(x.shape, generator=generator).to(x.device)
        slope = (scores(x + sigma * u) - scores(x - sigma * u)) / (2 * sigma)
        gradient += slope.view(-1, *[1] * (x.dim() - 1)) * u
    return gradient / (samples // 2)
    ### END SOLUTION


nes_gradient = check("02.nes_gradient", nes_gradient)

# %% [markdown]
# How good is such an estimate? Its cosine to the true gradient says: 1 is the same direction, 0 a right angle.

# %%
guess_cosine = predict(
    "02.cosine",
    "64 pixels, 100 random directions: what cosine has the estimate to the gradient?",
)

# %% [markdown]
# With $m$ directions in $d$ dimensions theory says about $\sqrt{m / (m + d + 1)}$.

# %%
_, gradient = evasion.losses.input_gradient(model, x, y, "margin")
score = partial(margin, model, y=y)
cosine, theory = {}, {}
for m in (5, 25, 100):
    draws = runtime.generator(m)
    estimate = nes_gradient(score, x, 0.01, 2 * m, draws)
    cosines = torch.cosine_similarity(estimate.flatten(1), gradient.flatten(1))
    cosine[m] = cosines.mean().item()
    theory[m] = (m / (m + x[0].numel() + 1)) ** 0.5
figures.table(
    [[m, cosine[m], theory[m]] for m in cosine],
    ["directions m", "cosine, measured", "cosine, by the formula"],
    caption="How well an estimate from m directions points along the gradient.",
)

# %%
claim(
    "The cosine is within 0.06 of the formula, for 5, 25 and 100 directions",
    all(abs(cosine[m] - theory[m]) < 0.06 for m in cosine),
    f"{number(cosine[100], 2)} with 100",
    guess_cosine,
)

# %% [markdown]
# Far from perfect, but PGD only needs a direction that climbs. The next cell is PGD along your estimate, with **momentum**:
# each step remembers the slopes before it, to average out their noise. It counts every query in `spent`.


# %%
def nes(model, x, y, eps, queries, samples=20, sigma=0.05, momentum=0.9):
    """PGD along nes_gradient. Returns x_adv and each input's queries, (batch,)."""
    generator = runtime.generator(1)
    standing = torch.arange(len(x), device=x.device)
    x_adv, slope, spent = x.clone(), torch.zeros_like(x), torch.zeros_like(y)
    for step in range(1 + (queries - 1) // (samples + 1)):
        if step:
            at, own = x_adv[standing], y[standing]
            score = lambda z, own=own: margin(model, z.clamp(0, 1), own)  # noqa: E731
            new = nes_gradient(score, at, sigma, samples, generator)
            slope[standing] = momentum * slope[standing] + new
            at = at + eps / 5 * slope[standing].sign()
            change = (at - x[standing]).clamp(-eps, eps)
            x_adv[standing] = (x[standing] + change).clamp(0, 1)
            spent[standing] += samples
        spent[standing] += 1  # has it fallen?
        standing = standing[margin(model, x_adv[standing], y[standing]) <= 0]
        if not len(standing):
            break
    return x_adv, spent


# %% [markdown]
# ### Exercise 2: the Square attack
#
# Why estimate a gradient at all? Paint a random **square** onto the picture: all of it at $x + \varepsilon$, or all of it
# at $x - \varepsilon$. If the score grew, keep it. Then try a smaller one (Andriushchenko et al., 2020). These two helpers
# draw the squares and say how large they are:


# %%
def random_squares(n, side, size, generator):
    """A random square of `side` pixels in each of n pictures.

    Returns (n, 1, size, size), True inside.
    """
    shape = (n, 2, 1)
    corner = torch.randint(size - side + 1, shape, generator=generator).to(device)
    line = torch.arange(size, device=device)
    inside = (line >= corner) & (line < corner + side)  # (n, 2, size): rows, columns
    return (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]


def side_at(query, queries, size):
    """The side of a square, in pixels: from 80 % of the picture's area downwards.

    The area halves eight times, early more often than late.
    """
    halved_at = (0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.6, 0.8)
    halvings = sum(query > share * queries for share in halved_at)
    return max(1, round(size * (0.8 / 2**halvings) ** 0.5))


# %%
@torch.no_grad()
def square_attack(model, x, y, eps, queries, generator):
    """Random squares of ±eps around x; of two pictures keep the one with more margin.

    model: returns logits.  x: (batch, 1, h, h) in [0, 1].  y: (batch,) true labels.
    queries: the most for each input, the first for x itself; an input with margin > 0
    has fallen and is asked about no more.
    Returns x_adv within eps of x and in [0, 1], and `spent`, int64 (batch,): the
    queries for each input.
    """
    x_adv, best, spent = x.clone(), margin(model, x, y), torch.ones_like(y)
    for query in range(1, queries):
        standing = (best <= 0).nonzero().flatten()
        n = len(standing)
        if not n:
            break
        side = side_at(query, queries, x.shape[-1])
        mask = random_squares(n, side, x.shape[-1], generator)
        coin = torch.randint(2, (n, 1, 1, 1), generator=generator).to(x.device)
        sign = 2.0 * coin - 1  # one for each square
        ### BEGIN SOLUTION
        square = (x[standing] + eps * sign).clamp(0, 1)
        proposal = torch.where(mask, square, x_adv[standing])
        new = margin(model, proposal, y[standing])
        spent[standing] += 1
        better = new > best[standing]
        rows = standing[better]
        x_adv[rows], best[rows] = proposal[better], new[better]
        ### END SOLUTION
    return x_adv, spent


square_attack = check("02.square_attack", square_attack)

# %% [markdown]
# ### Exercise 3: transfer
#
# Now ask nothing. Train a **surrogate**, your own model of the same task, and attack *it* in the open. How many of the
# pictures fool the victim? Careful with the count: a digit that one of the two models misreads anyway proves nothing.


# %%
def transfer_rate(attack, surrogate, model, x, y):
    """Of the inputs that both models read correctly, the share that then fools `model`.

    attack(surrogate, x, y) -> x_adv: crafts the pictures.
    x: (batch, ...).  y: (batch,) true labels.
    Returns a number in [0, 1]; 0.0 if there is no input that both read correctly.
    """
    ### BEGIN SOLUTION
    both = (surrogate(x).argmax(1) == y) & (model(x).argmax(1) == y)
    if not both.any():
        return 0.0
    x_adv = attack(surrogate, x[both], y[both])
    return (model(x_adv).argmax(1) != y[both]).float().mean().item()
    ### END SOLUTION


transfer_rate = check("02.transfer_rate", transfer_rate)

# %% [markdown]
# Two surrogates share the victim's architecture and its whole training set, and only start from other weights. A **stranger**
# is another network, trained on every second digit.


# %%
def own_model(network, x, y, start, order):
    """A network of the attacker's, trained on x, y; two seeds: weights and batches."""
    models.initialise(network, runtime.generator(start)).to(device)
    training.fit(network, x, y, epochs=12, generator=runtime.generator(order))
    return network


known = digits.x_train, digits.y_train
half = digits.x_train[::2], digits.y_train[::2]
surrogates = [own_model(models.cnn(), *known, 21 + k, 30 + k) for k in (0, 1)]
stranger = own_model(models.strided_cnn(), *half, 23, 32)

# %% [markdown]
# PGD can stop at its **first success** or use all its steps, a **full climb**. Does a picture that *just* fools the surrogate
# transfer as well as one from a full climb?

# %%
guess_transfer = predict(
    "02.transfer",
    "A full climb on a surrogate, shown once: how many digits does the victim misread?",
    percent=True,
)

# %%
first_success = partial(evasion.pgd, eps=eps, steps=20, stop_early=True)
full_climb = partial(evasion.pgd, eps=eps, steps=20, stop_early=False)


def random_signs(model, x, y):
    """The control: ±eps in every pixel, at random."""
    draw = torch.rand(x.shape, generator=runtime.generator(3)).to(x.device)
    return (x + eps * (draw - 0.5).sign()).clamp(0, 1)


def mean_rate(attack):
    """The mean transfer rate from the two surrogates."""
    rates = [transfer_rate(attack, surrogate, model, x, y) for surrogate in surrogates]
    return sum(rates) / len(rates)


rates = {
    "random signs": mean_rate(random_signs),
    "first success": mean_rate(first_success),
    "full climb": mean_rate(full_climb),
    "full climb on the stranger": transfer_rate(full_climb, stranger, model, x, y),
}

# %%
figures.bars(
    rates,
    ylabel="transfer rate (of the digits both models read)",
    horizontal=True,
    percent=True,
    roles={name: "attack" for name in rates if name != "random signs"},
    guess=guess_transfer,
    caption="Pictures made at ε = 0.15 on a surrogate, shown once to the victim. "
    "Upper three: the mean of two surrogates. Grey: the control.",
)

# %%
claims(
    (
        "A full climb transfers to more than 40 % of the digits",
        rates["full climb"] > 0.4,
        percent(rates["full climb"]),
        guess_transfer,
    ),
    (
        "Random signs transfer to less than 10 %",
        rates["random signs"] < 0.1,
        percent(rates["random signs"]),
    ),
    (
        "From the stranger a full climb still transfers to more than a quarter",
        rates["full climb on the stranger"] > 0.25,
        percent(rates["full climb on the stranger"]),
    ),
    (
        "The first success transfers at least 20 points worse than a full climb",
        rates["first success"] < rates["full climb"] - 0.2,
        percent(rates["first success"]),
    ),
)

# %% [markdown]
# A first success stops just behind the *surrogate's* boundary. The victim's lies a little elsewhere, so go deep.
#
# ## 2 · The headline figure
#
# Which attack fools how many digits, with how many queries? One run answers for every budget: a digit counts at $q$ queries if it
# fell and had `spent` at most $q$. The control spends its queries on random signs, new ones each time.


# %%
@torch.no_grad()
def random_guesses(model, x, y, eps, queries):
    """The control: each query shows x with random signs of ±eps."""
    x_adv, spent, generator = x.clone(), torch.ones_like(y), runtime.generator(4)
    standing = (margin(model, x, y) <= 0).nonzero().flatten()
    for _ in range(1, queries):
        if not len(standing):
            break
        own = x[standing]
        signs = (torch.rand(own.shape, generator=generator) - 0.5).sign()
        x_adv[standing] = (own + eps * signs.to(x.device)).clamp(0, 1)
        spent[standing] += 1
        standing = standing[margin(model, x_adv[standing], y[standing]) <= 0]
    return x_adv, spent


def square(model, x, y, eps, queries):
    return square_attack(model, x, y, eps, queries, runtime.generator(5))


attacks = {"Square": square, "NES": nes, "random guesses": random_guesses}


# %% tags=["headline"]
def reached(x_adv, spent):
    """The share of digits that had fallen within each budget."""
    fell = margin(model, x_adv, y) > 0
    return [(fell & (spent <= q)).float().mean().item() for q in budgets]


budgets = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000]
curves = {n: reached(*attack(model, x, y, eps, 1000)) for n, attack in attacks.items()}
spent = torch.zeros_like(y)
moved = partial(evasion.transfer, attack=full_climb, surrogates=surrogates)
curves["transfer"] = reached(moved(model, x, y, spent=spent), spent)
figures.curves(
    budgets,
    {"PGD, white-box": [open_box] * len(budgets)} | curves,
    xlabel="queries for each digit",
    ylabel="share of 100 digits fooled",
    percent=True,
    log="x",
    ylim=(-0.03, 1.03),
    roles={"Square": "attack", "random guesses": "control"},
    guess=guess_square,
    caption="ε = 0.15. PGD, which sees the gradient, is drawn to compare with.",
)

# %%
by = {name: dict(zip(budgets, shares, strict=True)) for name, shares in curves.items()}
plain = fooled(nes(model, x, y, eps, 300, momentum=0)[0])
patient = fooled(evasion.pgd(model, x, y, eps=eps, steps=100, restarts=5))

# %%
claims(
    (
        "Square comes within 5 points of white-box PGD, or above it",
        by["Square"][1000] > open_box - 0.05,
        f"{percent(by['Square'][1000], 0)} and {percent(open_box, 0)}",
        guess_square,
    ),
    (
        "NES needs more: fewer than Square with 100 queries, over half with 1,000",
        by["NES"][100] < by["Square"][100] and by["NES"][1000] > 0.5,
        f"{percent(by['NES'][100], 0)} and {percent(by['NES'][1000], 0)}",
    ),
    (
        "Transfer's second query, its first picture, does more than Square's first 30",
        by["transfer"][2] > by["Square"][30],
        f"{percent(by['transfer'][2], 0)} and {percent(by['Square'][30], 0)}",
    ),
    (
        "Without momentum NES fools at least 6 points fewer with 300 queries",
        plain < by["NES"][300] - 0.06,
        f"{percent(plain, 0)} and {percent(by['NES'][300], 0)}",
    ),
    (
        "As many random guesses reach less than 60 % of what Square does",
        by["random guesses"][1000] < 0.6 * by["Square"][1000],
    ),
    (
        "And yet they fool more than a quarter of the digits",
        by["random guesses"][1000] > 0.25,
        percent(by["random guesses"][1000], 0),
    ),
    (
        "PGD with 100 steps and five starts comes within 3 points of Square",
        patient > by["Square"][1000] - 0.03,
        percent(patient, 0),
    ),
)

# %% [markdown]
# Secrecy cost the attacker some hundred queries, or one picture from a model trained on data like the victim's. Two surprises.
# Random guesses are no harmless control: given a thousand tries, more than a quarter of the digits fall to luck. And Square,
# blind, keeps up with PGD. An attack with the gradient should never lose, so PGD with its usual 40 steps is **too weak**
# here (the last claim climbs longer). Lab 03 makes such a tie a warning sign. Now choose the attack, ε and the budget yourself.

# %%
explore(
    scene.spend_queries(model, x[:40], y[:40], attacks, most=300),
    attack=list(attacks),
    eps=(0.05, 0.3, 0.05, 0.15),
    budget=(1, 300, 1, 100),
    digit=(0, 39, 1, 4),
    labels={"eps": "ε", "budget": "queries"},
    caption="Left: digits fooled by each budget. Right: one digit, before and after.",
)

# %% [markdown]
# ## 3 · Labels are enough
#
# Suppose the service hides its scores and gives the label only. Start from *any* picture that is read as another class. On
# the way from $x$ to it lies a boundary point, found by halving. There, probe in random directions: the votes tell you where
# the wrong class lies. Hop that way, come back to the boundary, now nearer to $x$, and probe again. From here on **near**
# means L2, the length $\lVert x' - x \rVert_2$ of the whole change: no ε bounds a pixel.


# %%
def column(values, x):
    """(batch,) as (batch, 1, ..., 1), to multiply inputs with."""
    return values.view(-1, *[1] * (x.dim() - 1))


def unit(v):
    """Each input of the batch at length 1."""
    return v / column(v.flatten(1).norm(dim=1).clamp_min(1e-12), v)


def bisect(fools, x, point, halvings=12):
    """From `point`, which fools the model, towards x as far as it still does."""
    low, high = x.new_zeros(len(x)), x.new_ones(len(x))
    for _ in range(halvings):
        middle = (low + high) / 2
        wrong = fools(torch.lerp(x, point, column(middle, x)))
        low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
    return torch.lerp(x, point, column(high, x))


def step_out(fools, at, direction, length, halvings=12):
    """From `at` along `direction`, as far as fools the model.

    Tries length, length / 2, length / 4, ...; stays at `at` if none does.
    """
    for _ in range(halvings):
        wrong = fools((at + column(length, at) * direction).clamp(0, 1))
        length = torch.where(wrong, length, length / 2)
    point = (at + column(length, at) * direction).clamp(0, 1)
    return torch.where(column(fools(point), at), point, at)


# %% [markdown]
# ### Exercise 4: HopSkipJump
#
# Write what one turn does (Chen, Jordan & Wainwright, 2020): the **vote** of `probes` random directions $u_i$, the hop, the
# halving. A yes adds its direction, a no subtracts it, and the sum, at length 1, says where to hop:
#
# $$ v = \sum_i \pm u_i, \qquad \text{hop along}\; v / \lVert v \rVert_2. $$


# %%
def hop_skip_jump(fools, x, start, turns, probes, generator):
    """From `start`, which fools the model, to a picture near x that does, by labels.

    fools: takes a batch shaped like x and returns (batch,) True where the model errs.
    x, start: (batch, ...) in [0, 1].  probes: queries for a vote; each direction is
    `torch.randn(x.shape, generator=generator).to(x.device)`, at length 1.
    Clamp each probe to [0, 1].
    Returns pictures shaped like x, in [0, 1], that fool the model.
    """
    at = bisect(fools, x, start)
    for turn in range(1, turns + 1):
        distance = (at - x).flatten(1).norm(dim=1)  # (batch,)
        radius = distance / 10  # how far away to probe
        step = distance / turn**0.5  # how far to hop at most
        ### BEGIN SOLUTION
        votes = torch.zeros_like(x)
        for _ in range(probes):
            u = unit(torch.randn(x.shape, generator=generator).to(x.device))
            wrong = fools((at + column(radius, x) * u).clamp(0, 1))
            votes += column(torch.where(wrong, 1.0, -1.0), x) * u
        point = step_out(fools, at, unit(votes), step)
        at = bisect(fools, x, point)
        ### END SOLUTION
    return at


hop_skip_jump = check("02.hop_skip_jump", hop_skip_jump)

# %% [markdown]
# Watch it walk. All pictures but the last row are read as the *wrong* class. After how many turns do you see the digit?

# %%
few, own = x[:8], y[:8]
others = [digits.x_train[digits.y_train != label] for label in own]
starts = torch.stack([pool[k] for k, pool in enumerate(others)])


@torch.no_grad()
def fools(z):
    return model(z).argmax(1) != own


def walked(turns):
    return hop_skip_jump(fools, few, starts, turns, 100, runtime.generator(6))


turns = (0, 1, 3, 10)
rows = [starts, *map(walked, turns), few]
said = [model(row).argmax(1) for row in rows]
apart = [(row - few).flatten(1).norm(dim=1).median().item() for row in rows]
figures.pictures(
    rows,
    titles=[[f"says {k}" for k in row.tolist()] for row in said],
    row_labels=["start", *(f"turn {n}" for n in turns), "x"],
    wrong=[None, *(row != own for row in said[1:])],
    caption="HopSkipJump from a picture of another class towards x (last row), "
    "always on the wrong side of the boundary.",
)

# %%
claim(
    "Ten turns come at least twice as near as the first point, and all still fool",
    apart[-2] < apart[1] / 2 and fools(rows[-2]).all(),
    f"{number(apart[1])} → {number(apart[-2])}",
)

# %% [markdown]
# How near does it come to the nearest adversarial picture there is? On a linear model you know that distance: the formula of
# lab 00. (The digits are printed in greys from ¼ to ¾, so that no pixel runs into black or white, where the formula ends.)
# On the network, compare with the smallest change that an attack *with* gradients finds, the library's `fast_minimum_norm`.

# %%
guess_labels = predict(
    "02.labels",
    "2,000 labels on the network: how many times as far as with gradients?",
    low=1,
    high=3,
    step=0.05,
)

# %%
linear = zoo.load("digits-linear", device=device)


def grey(z):
    return 0.25 + z / 2


def on_grey(u):
    return linear(2 * (u - 0.25))


logits, weight = linear(x).detach(), 2 * linear[-1].weight.detach()
gap = logits.gather(1, y[:, None]) - logits
slope = (weight[y][:, None] - weight).norm(dim=2)
distances = torch.where(slope > 0, gap / slope.clamp_min(1e-9), torch.inf)
closed_form = distances.amin(1)  # |f| / ‖w‖ to the nearest class
some = (closed_form > 0).nonzero().flatten()[:24]  # the linear model reads these too
found = evasion.fast_minimum_norm(model, x[some], y[some])
by_gradients = (found - x[some]).flatten(1).norm(dim=1)

# %%
asked = (100, 500, 2000)


def hopped(victim, at, pool, shortest, attack=evasion.hop_skip_jump):
    """The median of distance ÷ shortest, for each number of queries."""
    walks = [attack(victim, at, y[some], queries=q, images=pool) for q in asked]
    lengths = [(walk - at).flatten(1).norm(dim=1) for walk in walks]
    return [(length / shortest).median().item() for length in lengths]


on_linear = on_grey, grey(x[some]), grey(digits.x_train), closed_form[some]
on_network = model, x[some], digits.x_train, by_gradients
no_hops = partial(evasion.hop_skip_jump, starts=2000, restarts=1)  # starts only
ratios = {
    "linear": hopped(*on_linear),
    "network": hopped(*on_network),
    "linear, starts and halving only": hopped(*on_linear, attack=no_hops),
}
figures.curves(
    asked,
    ratios,
    xlabel="queries for each digit (labels only)",
    ylabel="distance ÷ the smallest known",
    log="x",
    roles={"network": "attack", "linear, starts and halving only": "control"},
    guess=guess_labels,
    caption="HopSkipJump, medians over 24 digits. "
    "1 is the best there is (linear) or the best that gradients find (network).",
)

# %%
hops, blind = ratios["linear"][-1], ratios["linear, starts and halving only"][-1]
claims(
    (
        "On the linear model 2,000 labels come within 10 % of the closed form",
        1 <= hops < 1.1,
        f"{number(hops)} times",
    ),
    (
        "As many queries spent on starts alone end at least 30 % too far",
        blind > 1.3,
        f"{number(blind)} times",
    ),
    (
        "On the network they come within 20 % of what gradients find",
        ratios["network"][-1] < 1.2,
        f"{number(ratios['network'][-1])} times",
        guess_labels,
    ),
)

# %% [markdown]
# Labels alone, and in L2 hardly farther than with gradients. (Section 2 counted something else: who falls within ε.)
#
# ## 4 · A defence, attacked again
#
# A query attack has a habit: it asks about *one* picture again and again. An honest client does not. So let the service
# remember (Chen, Carlini & Wagner, 2020): if a query lies nearer than a **threshold** to its client's ten nearest earlier
# ones, on average, ban the client. And give each client a **budget** of 300 answers. The library's `Guard` does both.
#
# The threshold is set on honest clients, so that 1 % of *them* would be banned; each asks about 100 digits.


# %%
def honest(x, clients, seed):
    """(clients, 100, ...): what honest clients ask, random digits of x, none twice."""
    draw = runtime.generator(seed)
    orders = [torch.randperm(len(x), generator=draw)[:100] for _ in range(clients)]
    return torch.stack([x[order.to(x.device)] for order in orders])


def is_banned(guard, stream, client=0):
    """Does this guard refuse a client who asks about these pictures?"""
    with suppress(Refused):
        guard(stream, client)
    return client in guard.banned


habits = honest(digits.x_train, 200, 7)
threshold = Guard(model).calibrate(habits, false_positives=0.01)
streams = honest(digits.x_test, 200, 8)  # new digits
banned = sum(is_banned(Guard(model, threshold=threshold), stream) for stream in streams)

# %%
claim(
    "At most 8 % of honest clients with new digits are banned (the control)",
    banned / 200 <= 0.08,
    f"{percent(banned / 200)} at a threshold of {number(threshold)}",
)

# %% [markdown]
# Now 30 attackers, each with an account of their own and one digit to break. A refusal ends the attack.


# %%
def attackers(attack, guard, ask=None):
    """The share of 20 digits that fall, each attacked from an account of its own.

    attack(model, x, y) -> x_adv.  ask(guard, k): how attacker k asks, if not directly.
    """
    fallen = 0
    for k in range(20):
        asks = ask(guard, k) if ask else partial(guard, client=k)
        with suppress(Refused):
            x_adv = attack(asks, x[k : k + 1], y[k : k + 1])
            fallen += int(margin(model, x_adv, y[k : k + 1]).item() > 0)
    return fallen / 20


def limits():
    return Guard(model, budget=300, threshold=threshold)


def by_square(model, x, y):
    return square(model, x, y, eps, 300)[0]


success = {
    "Square, no guard": attackers(by_square, Guard(model)),
    "Square, guard": attackers(by_square, limits()),
}

# %%
claim(
    "Of 20 digits Square fools over 60 % without a guard, below 30 % through it",
    success["Square, no guard"] > 0.6 and success["Square, guard"] < 0.3,
    " → ".join(percent(share, 0) for share in success.values()),
)

# %% [markdown]
# It works, against attackers who do not know of it. (What still falls does so within ten queries, before there are ten
# neighbours to look at.) What would you do, if you did know? Three ideas:
#
# 1. **Many accounts.** Banned? Open another. The service remembers each client by itself.
# 2. **Look farther away.** NES with $\sigma = 0.4$ and 98 samples asks about points so far apart that none resembles another.
# 3. **Transfer.** One query for each picture resembles nothing.
#
# Against the first, the service can compare with *everybody's* last 1,000 queries, `shared=True`. What does that do to the
# honest, at the same threshold?

# %%
guess_banned = predict(
    "02.banned",
    "A shared memory, the same threshold: how many honest clients are banned?",
    percent=True,
)


# %%
def turned_away(threshold):
    """The share of 30 honest clients with new digits whom a shared memory bans.

    Nine others have asked 100 digits each before them.
    """
    banned, draw = 0, runtime.generator(9)
    for stream in honest(digits.x_test, 30, 10):
        guard = Guard(model, threshold=threshold, shared=True)
        order = torch.randperm(len(digits.x_train), generator=draw)[:900].to(device)
        for client, asks in enumerate(digits.x_train[order].split(100)):
            is_banned(guard, asks, client)
        banned += is_banned(guard, stream, 9)
    return banned / 30


draw = runtime.generator(11)
orders = [torch.randperm(len(digits.x_train), generator=draw)[:1000] for _ in range(30)]
habits = digits.x_train[torch.stack(orders).to(device)]  # 1,000 queries of everybody's
crowd = Guard(model).calibrate(habits, false_positives=0.01)
away = {t: turned_away(t) for t in (threshold, crowd)}

# %%
claims(
    (
        "With a shared memory the old threshold bans more than 3 of 4 honest clients",
        away[threshold] > 0.75,
        f"threshold {number(threshold, 2)}: {percent(away[threshold], 0)}",
        guess_banned,
    ),
    (
        "A threshold set on everybody's queries bans at most 15 %",
        away[crowd] <= 0.15,
        f"threshold {number(crowd, 2)}: {percent(away[crowd], 0)}",
    ),
)

# %% [markdown]
# The more a memory holds, the nearer the ten nearest, for everybody. So a shared memory needs a lower threshold. Which of
# the three ideas does it still stop?


# %%
def many_accounts(guard, k):
    """Asks as one account after the other: up to 40 for a digit."""
    account = 0

    def ask(x):
        nonlocal account
        while account < 40:
            try:
                return guard(x, client=(k, account))
            except Refused:
                account += 1
        raise Refused(k, "out of accounts")

    return ask


def everybody():
    return Guard(model, budget=300, threshold=crowd, shared=True)


def by_luck(model, x, y):
    return random_guesses(model, x, y, eps, 300)[0]


wide = {"samples": 98, "sigma": 0.4, "step_size": eps}
nes_wide = partial(evasion.nes, eps=eps, queries=300, **wide)

# %%
alone, shared = limits(), everybody()
asked_once = everybody()
success |= {
    "Square, many accounts": attackers(by_square, alone, many_accounts),
    "the same, shared memory": attackers(by_square, shared, many_accounts),
    "random guesses, shared memory": attackers(by_luck, everybody()),
    "NES far apart, shared memory": attackers(nes_wide, everybody()),
    "transfer, shared memory": attackers(moved, asked_once),
}
defended = ("Square, guard", "the same, shared memory")
undefended = [name for name in success if "guesses" not in name]
figures.bars(
    success,
    ylabel="share of 20 digits fooled",
    horizontal=True,
    percent=True,
    roles={name: "attack" for name in undefended} | dict.fromkeys(defended, "defence"),
    caption="ε = 0.15, at most 300 answers an account; each bar has its own guard. "
    "Blue: the attack that this guard was made for. Grey: the control.",
)
far_apart = success["NES far apart, shared memory"]
by_guessing = success["random guesses, shared memory"]
transferred = success["transfer, shared memory"]
queries = max(asked_once.answered.values())  # the most for any digit

# %%
claims(
    (
        "Many accounts bring Square back above 60 %",
        success["Square, many accounts"] > 0.6,
        percent(success["Square, many accounts"], 0),
    ),
    (
        "A shared memory stops many accounts below 50 %",
        success["the same, shared memory"] < 0.5,
        percent(success["the same, shared memory"], 0),
    ),
    (
        "NES far apart fools more than 20 % through the shared memory",
        far_apart > 0.2,
        percent(far_apart, 0),
    ),
    (
        "Random guesses fool fewer than NES does there",
        by_guessing < far_apart,
        percent(by_guessing, 0),
    ),
    (
        "Transfer fools more than 40 %, with at most three queries for each digit",
        transferred > 0.4 and queries <= 3,
        percent(transferred, 0),
    ),
)

# %% [markdown]
# The guard stops the attack it was made for, and makes others costly and conspicuous. But an attacker who knows about it
# walks around it, and the *model* is what it was: the adversarial pictures are still there.

# %%
guarantee(
    holds="Nobody gets more than `budget` answers from one account, exactly. "
    "About 1 % of honest clients like those of the calibration are banned, if the "
    "memory holds no more than it did there and clients do not share pictures.",
    does_not="The model is as easy to fool as before: secrecy is no defence.",
    adapts="More accounts, queries far apart, or a surrogate and a query or two.",
    cost="A memory of everybody's queries, which is private data. Honest clients are "
    f"banned: here {percent(away[threshold], 0)} at the threshold for single clients, "
    f"{percent(away[crowd], 0)} at the lower one.",
)

# %% [markdown]
# ### Spot the broken experiment
#
# A colleague's service answers with the label alone, as a one-hot vector. They attack it with NES, 300 queries, and report
# that no attack within ε = 0.15 works. Run it, then write **one** control, within the same ε, that exposes it.


# %%
def labels_only(x):
    return torch.nn.functional.one_hot(model(x).argmax(1), 10).float()


shown, truth = x[:40], y[:40]


def fallen(x_adv):
    """The share of these 40 digits that the model now misreads."""
    return (margin(model, x_adv, truth) > 0).float().mean().item()


theirs = fallen(nes(labels_only, shown, truth, eps, 300)[0])
figures.table(
    [["NES on labels, σ = 0.05", percent(theirs)]],
    ["attack, 300 queries", "share of 40 digits fooled"],
)

# %% tags=["student-only"]
# Your control here: which attack needs no slope?

# %% tags=["solution-only"]
luck = fallen(random_guesses(labels_only, shown, truth, eps, 300)[0])
far = fallen(nes(labels_only, shown, truth, eps, 300, sigma=0.4)[0])
once = fallen(moved(labels_only, shown, truth))
near = partial(evasion.hop_skip_jump, queries=300, images=digits.x_train)
hopped_to = near(labels_only, shown, truth)
within = ((hopped_to - shown).abs().flatten(1).amax(1) < eps).float().mean().item()

# %% tags=["solution-only"]
claims(
    (
        "NES fools less than 15 % through labels, and random guesses more than NES",
        theirs < 0.15 and luck > theirs,
        f"{percent(theirs)} and {percent(luck)}",
    ),
    ("NES with σ = 0.4 instead of 0.05 fools more than 20 %", far > 0.2, percent(far)),
    (
        "Transfer fools more than 40 %, with at most three labels for each digit",
        once > 0.4,
        percent(once),
    ),
    (
        "HopSkipJump fools every digit, but under a quarter of its pictures within ε",
        fallen(hopped_to) == 1 and within < 0.25,
        percent(within),
    ),
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# A one-hot answer is flat: the slope that NES estimates is 0 unless a probe crosses the boundary, and with $\sigma = 0.05$
# hardly one does. That says something about **σ**, not about the service: random signs, a larger σ and transfer all do better.
# HopSkipJump does not fit here. It shortens the L2 length, and few of its pictures lie within ε in every pixel.
#
# </details>

# %% [markdown]
# ## 5 · Quiz

# %%
quiz("02")

# %% [markdown]
# ### Further reading
#
# * N. Papernot, P. McDaniel, I. Goodfellow, 2016, [*Transferability in Machine Learning: from Phenomena to Black-Box Attacks
#   using Adversarial Samples*](https://arxiv.org/abs/1605.07277).
# * A. Ilyas, L. Engstrom, A. Athalye, J. Lin, 2018, [*Black-box Adversarial Attacks with Limited Queries and
#   Information*](https://arxiv.org/abs/1804.08598). NES.
# * M. Andriushchenko, F. Croce, N. Flammarion, M. Hein, 2020, [*Square Attack: a query-efficient black-box adversarial attack
#   via random search*](https://arxiv.org/abs/1912.00049).
# * J. Chen, M. Jordan, M. Wainwright, 2020, [*HopSkipJumpAttack: A Query-Efficient Decision-Based
#   Attack*](https://arxiv.org/abs/1904.02144).
# * S. Chen, N. Carlini, D. Wagner, 2020, [*Stateful Detection of Black-Box Adversarial
#   Attacks*](https://arxiv.org/abs/1907.05587). The guard, and attacks on it.
#
# To see how the library writes these attacks, open `modelsec_course/evasion/blackbox.py`, `squares.py` and `decision.py`.

# %%
finish("02")
