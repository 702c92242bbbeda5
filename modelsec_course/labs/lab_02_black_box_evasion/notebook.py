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
from modelsec_course.lab import check, claim, explore, figures, guarantee
from modelsec_course.lab import finish, quiz, start, threat
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
# With scores, the slope along a direction u is a difference of two answers:
#
# $$ \frac{s(x + \sigma u) - s(x - \sigma u)}{2 \sigma} \;\approx\; u \cdot \nabla s(x). $$

# %%
device = runtime.device()
digits = data.load("digits").to(device)
model = zoo.load("digits-cnn", device=device)
right = model(digits.x_test).argmax(1) == digits.y_test
x, y = digits.x_test[right][:100], digits.y_test[right][:100]  # digits that the victim reads correctly
eps = 0.15


@torch.no_grad()
def margin(model, x, y):
    """The attacker's score (batch,): the best wrong logit minus the right one. Above 0 the model errs."""
    return evasion.LOSSES["margin"](model(x), y)


open_box = (margin(model, evasion.pgd(model, x, y, eps=eps), y) > 0).float().mean().item()
claim("With the weights, PGD fools more than three quarters at ε = 0.15", open_box > 0.75, f"{open_box:.0%}")

# %% [markdown]
# That is the number to compare with. Guess first: without the weights, with 1,000 queries for each digit, how many?
# Here is what two of those queries look like, and what the answers tell you about one random direction u.

# %%
with torch.no_grad():
    u = torch.randn(x[:7].shape, generator=runtime.generator(9)).to(device)
    asked = [x[:7], (x[:7] + 0.2 * u).clamp(0, 1), (x[:7] - 0.2 * u).clamp(0, 1)]
figures.pictures(
    asked, titles=[[f"s = {s:.1f}".replace("-", "−") for s in margin(model, rows, y[:7]).tolist()] for rows in asked],
    row_labels=["x", "x + σu", "x − σu"],
    caption="The score s is the margin: where it is higher on one side than on the other, that side is uphill.",
)  # fmt: skip

# %% [markdown]
#
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
    """The slope of `scores` at x, estimated from `samples` queries for each input (an even number).

    scores: takes a batch shaped like x and returns (batch,).  x: (batch, ...).  generator: draws the directions,
    `torch.randn(x.shape, generator=generator).to(x.device)`.
    Returns the mean over samples / 2 directions, shaped like x.
    """
    ### BEGIN SOLUTION
    gradient = torch.zeros_like(x)
    for _ in range(samples // 2):
        u = torch.randn(x.shape, generator=generator).to(x.device)
        slope = (scores(x + sigma * u) - scores(x - sigma * u)) / (2 * sigma)  # (batch,)
        gradient += slope.view(-1, *[1] * (x.dim() - 1)) * u
    return gradient / (samples // 2)
    ### END SOLUTION


nes_gradient = check("02.nes_gradient", nes_gradient)

# %% [markdown]
# How good is such an estimate? With m directions in d dimensions its cosine to the true gradient should be about
# $\sqrt{m / (m + d + 1)}$, and here d = 64 pixels. Do 5 directions suffice? 100?

# %%
_, gradient = evasion.losses.input_gradient(model, x, y, "margin")
cosine, formula = {}, lambda m: (m / (m + x[0].numel() + 1)) ** 0.5
for m in (5, 25, 100):
    estimate = nes_gradient(lambda z: margin(model, z, y), x, 0.01, 2 * m, runtime.generator(m))
    cosine[m] = torch.cosine_similarity(estimate.flatten(1), gradient.flatten(1)).mean().item()
    print(f"{m:3} directions: cosine {cosine[m]:.2f}, formula {formula(m):.2f}")
claim("The cosine is within 0.06 of the formula, for 5, 25 and 100 directions",
      all(abs(cosine[m] - formula(m)) < 0.06 for m in cosine))  # fmt: skip

# %% [markdown]
# Poor, but PGD only needs a direction that climbs. The next cell is PGD along your estimate, with **momentum**: each step
# remembers the slopes before it, to average their noise. It keeps count of every query in `spent`.


# %%
def nes(model, x, y, eps, queries, samples=20, sigma=0.05, momentum=0.9):
    """PGD along nes_gradient. Returns x_adv, and the queries spent on each input (batch,)."""
    generator, standing = runtime.generator(1), torch.arange(len(x), device=x.device)
    x_adv, slope, spent = x.clone(), torch.zeros_like(x), torch.zeros_like(y)
    for step in range(1 + (queries - 1) // (samples + 1)):
        if step:
            at, own = x_adv[standing], y[standing]
            new = nes_gradient(lambda z: margin(model, z.clamp(0, 1), own), at, sigma, samples, generator)  # noqa: B023
            slope[standing] = momentum * slope[standing] + new
            at = at + eps / 5 * slope[standing].sign()
            x_adv[standing] = (x[standing] + (at - x[standing]).clamp(-eps, eps)).clamp(0, 1)
            spent[standing] += samples
        spent[standing] += 1  # has it fallen?
        standing = standing[margin(model, x_adv[standing], y[standing]) <= 0]
        if not len(standing):
            break
    return x_adv, spent


# %% [markdown]
# ### Exercise 2: the Square attack
#
# Why estimate a gradient at all? Paint a random **square** onto the picture: all of it at x + ε, or all of it at x − ε.
# If the score grew, keep it. Then try a smaller one (Andriushchenko et al., 2020). These two helpers draw the squares and say
# how large they are:


# %%
def random_squares(n, side, size, generator):
    """A random square of `side` pixels in each of n pictures: (n, 1, size, size), True inside."""
    corner = torch.randint(size - side + 1, (n, 2, 1), generator=generator).to(device)
    line = torch.arange(size, device=device)
    inside = (line >= corner) & (line < corner + side)  # (n, 2, size): its rows, its columns
    return (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]


def side_at(query, queries, size):
    """Squares begin at 80 % of the picture and halve their area eight times, early more often than late."""
    halvings = sum(query > share * queries for share in (0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.6, 0.8))
    return max(1, round(size * (0.8 / 2**halvings) ** 0.5))


# %%
@torch.no_grad()
def square_attack(model, x, y, eps, queries, generator):
    """Random squares of ±eps around x; of two pictures keep the one with the higher margin.

    model: returns logits.  x: (batch, 1, h, h) in [0, 1].  y: (batch,) true labels.  queries: the most for each input,
    the first for x itself; an input with margin > 0 has fallen and is asked about no more.
    Returns x_adv within eps of x and in [0, 1], and `spent`, int64 (batch,): the queries for each input.
    """
    x_adv, best, spent = x.clone(), margin(model, x, y), torch.ones_like(y)
    for query in range(1, queries):
        standing = (best <= 0).nonzero().flatten()
        if not len(standing):
            break
        mask = random_squares(len(standing), side_at(query, queries, x.shape[-1]), x.shape[-1], generator)
        sign = 2.0 * torch.randint(2, (len(standing), 1, 1, 1), generator=generator).to(x.device) - 1  # one a square
        ### BEGIN SOLUTION
        proposal = torch.where(mask, (x[standing] + eps * sign).clamp(0, 1), x_adv[standing])
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
    """Of the inputs that both models read correctly, the share whose adversarial picture fools `model`.

    attack(surrogate, x, y) -> x_adv: crafts the pictures.  x: (batch, ...).  y: (batch,) true labels.
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
# is another network, trained on every second digit. Guess: does a picture that *just* fools the surrogate transfer as well
# as one from a full climb?

# %%
surrogates = [models.initialise(models.cnn(), runtime.generator(k)).to(device) for k in (21, 22)]
for k, surrogate in enumerate(surrogates):
    training.fit(surrogate, digits.x_train, digits.y_train, epochs=12, generator=runtime.generator(30 + k))
stranger = models.initialise(models.strided_cnn(), runtime.generator(23)).to(device)
training.fit(stranger, digits.x_train[::2], digits.y_train[::2], epochs=12, generator=runtime.generator(32))
first_success = partial(evasion.pgd, eps=eps, steps=20, stop_early=True)
full_climb = partial(evasion.pgd, eps=eps, steps=20, stop_early=False)


def random_signs(model, x, y):
    """The control: ±eps in every pixel, at random."""
    draw = torch.rand(x.shape, generator=runtime.generator(3)).to(x.device)
    return (x + eps * (draw - 0.5).sign()).clamp(0, 1)


rates = {
    name: sum(transfer_rate(attack, surrogate, model, x, y) for surrogate in surrogates) / 2
    for name, attack in {
        "random signs": random_signs, "PGD, first success": first_success, "PGD, full climb": full_climb,
    }.items()
}  # fmt: skip
rates["full climb on the stranger"] = transfer_rate(full_climb, stranger, model, x, y)
figures.bars(
    rates, ylabel="transfer rate", horizontal=True, percent=True,
    caption="ε = 0.15: pictures made on a surrogate, shown once to the victim. Upper three: mean of two surrogates.",
)  # fmt: skip
claim("A full climb transfers to more than 40 % of the digits, random signs to less than 10 %",
      rates["PGD, full climb"] > 0.4 and rates["random signs"] < 0.1)  # fmt: skip
claim("From the stranger it still transfers to more than a quarter", rates["full climb on the stranger"] > 0.25)
claim("The first success transfers at least 20 points worse",
      rates["PGD, first success"] < rates["PGD, full climb"] - 0.2)  # fmt: skip

# %% [markdown]
# A first success stops just behind the *surrogate's* boundary. The victim's lies a little elsewhere, so go deep.
#
# ## 2 · The headline figure
#
# Who reaches how many digits, with how many queries? One run answers for every budget: a digit counts at q queries if it
# fell and had `spent` at most q. The control spends its queries on random signs, new ones each time.


# %% tags=["headline"]
@torch.no_grad()
def random_guesses(model, x, y, eps, queries):
    """The control: each query shows x with random signs of ±eps."""
    x_adv, spent, generator = x.clone(), torch.ones_like(y), runtime.generator(4)
    standing = (margin(model, x, y) <= 0).nonzero().flatten()
    for _ in range(1, queries):
        if not len(standing):
            break
        draw = torch.rand(len(standing), *x.shape[1:], generator=generator).to(x.device)
        x_adv[standing] = (x[standing] + eps * (draw - 0.5).sign()).clamp(0, 1)
        spent[standing] += 1
        standing = standing[margin(model, x_adv[standing], y[standing]) <= 0]
    return x_adv, spent


square = lambda model, x, y, eps, queries: square_attack(model, x, y, eps, queries, runtime.generator(5))  # noqa: E731
spent = torch.zeros_like(y)
results = {
    "Square": square(model, x, y, eps, 1000),
    "NES": nes(model, x, y, eps, 1000),
    "transfer": (evasion.transfer(model, x, y, attack=full_climb, surrogates=surrogates, spent=spent), spent),
    "random guesses": random_guesses(model, x, y, eps, 1000),
}
budgets = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000]


def reached(x_adv, spent):
    """The share of digits that had fallen within each budget."""
    fell = margin(model, x_adv, y) > 0
    return [(fell & (spent <= q)).float().mean().item() for q in budgets]


curves = {name: reached(*result) for name, result in results.items()}
figures.curves(
    budgets, curves | {"PGD, white-box": [open_box] * len(budgets)},
    xlabel="queries for each digit", ylabel="digits fooled", percent=True, log="x", ylim=(-0.03, 1.03),
    caption="ε = 0.15. PGD sees the gradient and asks nothing; it is drawn as a line to compare with.",
)  # fmt: skip

# %%
by = {name: dict(zip(budgets, values, strict=True)) for name, values in curves.items()}
claim("Square comes within 5 points of white-box PGD, or above it",
      by["Square"][1000] > open_box - 0.05, f"{by['Square'][1000]:.0%} and {open_box:.0%}")  # fmt: skip
claim("NES needs more: it fools fewer than Square with 100 queries, and more than half with 1,000",
      by["NES"][100] < by["Square"][100] and by["NES"][1000] > 0.5)  # fmt: skip
claim("Transfer's second query, its first picture, does more than Square's first 30",
      by["transfer"][2] > by["Square"][30])  # fmt: skip
plain = (margin(model, nes(model, x, y, eps, 300, momentum=0)[0], y) > 0).float().mean().item()
claim("Without momentum NES fools at least 6 points fewer with 300 queries", plain < by["NES"][300] - 0.06,
      f"{plain:.0%} and {by['NES'][300]:.0%}")  # fmt: skip
claim("As many random guesses reach less than 60 % of what Square does",
      by["random guesses"][1000] < 0.6 * by["Square"][1000])  # fmt: skip
claim("And yet they fool more than a quarter of the digits", by["random guesses"][1000] > 0.25,
      f"{by['random guesses'][1000]:.0%}")  # fmt: skip
patient = (margin(model, evasion.pgd(model, x, y, eps=eps, steps=100, restarts=5), y) > 0).float().mean().item()
claim("PGD with 100 steps and five starts fools as many as Square, to within 3 points",
      patient > by["Square"][1000] - 0.03, f"{patient:.0%}")  # fmt: skip

# %% [markdown]
# Secrecy cost the attacker some hundred queries, or one picture of a model trained on data like the victim's. Two surprises.
# Random guesses are no harmless control: given a thousand tries, more than a quarter of the digits fall to luck. And Square,
# blind, keeps up with PGD. An attack with the gradient should never lose, so PGD with its usual 40 steps is **too weak**
# here (the last claim climbs longer). Lab 03 makes such a tie a warning sign. Now choose the attack, ε and the budget yourself.

# %%
explore(
    scene.spend_queries(
        model, x[:40], y[:40], {"Square": square, "NES": nes, "random guesses": random_guesses}, most=300
    ),
    attack=["Square", "NES", "random guesses"], eps=(0.05, 0.3, 0.05, 0.15), budget=(1, 300, 1, 100),
    digit=(0, 39, 1, 4), labels={"eps": "ε", "budget": "queries"},
    caption="Left: digits fooled within each number of queries. Right: one digit, before and after.",
)  # fmt: skip

# %% [markdown]
# ## 3 · Labels are enough
#
# Suppose the service hides its scores and gives the label only. Start from *any* picture that is read as another class. On
# the way from x to it lies a boundary point, found by halving. There, ask around: where the wrong class lies, the votes say.
# Hop that way, come back to the boundary, now nearer to x, and look around again. From here on **near** means L2, the length
# $\lVert x' - x \rVert_2$ of the whole change: no ε bounds a pixel.


# %%
def column(values, x):
    """(batch,) as (batch, 1, ..., 1), to multiply inputs with."""
    return values.view(-1, *[1] * (x.dim() - 1))


def unit(v):
    """Each input of the batch at length 1."""
    return v / column(v.flatten(1).norm(dim=1).clamp_min(1e-12), v)


def bisect(fools, x, point, halvings=12):
    """From `point`, which fools the model, straight towards x as far as it still does."""
    low, high = torch.zeros(len(x), device=x.device), torch.ones(len(x), device=x.device)
    for _ in range(halvings):
        middle = (low + high) / 2
        wrong = fools(torch.lerp(x, point, column(middle, x)))
        low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
    return torch.lerp(x, point, column(high, x))


def step_out(fools, at, direction, length, halvings=12):
    """From `at` along `direction`, by the longest of length, length / 2, length / 4, ... that fools the model."""
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
    """From `start`, which fools the model, to a picture near x that does, by labels alone.

    fools: takes a batch shaped like x and returns (batch,) True where the model errs.  x, start: (batch, ...) in [0, 1].
    probes: queries for a vote; each direction `torch.randn(x.shape, generator=generator).to(x.device)`, at length 1.
    Clamp each probe to [0, 1].  Returns pictures shaped like x, in [0, 1], that fool the model.
    """
    at = bisect(fools, x, start)
    for turn in range(1, turns + 1):
        distance = (at - x).flatten(1).norm(dim=1)  # (batch,)
        radius = distance / 10  # how far away to look around
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
starts = torch.stack([digits.x_train[digits.y_train != label][k] for k, label in enumerate(own)])


@torch.no_grad()
def fools(z):
    return model(z).argmax(1) != own


turns = (0, 1, 3, 10)
walk = [hop_skip_jump(fools, few, starts, n, 100, runtime.generator(6)) for n in turns]
figures.pictures(
    [starts, *walk, few],
    titles=[[f"says {k}" for k in model(rows).argmax(1).tolist()] for rows in (starts, *walk, few)],
    row_labels=["start", *(f"turn {n}" for n in turns), "x"],
    caption="HopSkipJump from a picture of another class towards x, always on the wrong side of the boundary.",
)  # fmt: skip
apart = [(picture - few).flatten(1).norm(dim=1).median().item() for picture in walk]
claim("Ten turns come at least twice as near as the first boundary point, and still every picture fools the model",
      apart[-1] < apart[0] / 2 and fools(walk[-1]).all(), f"{apart[0]:.2f} → {apart[-1]:.2f}")  # fmt: skip

# %% [markdown]
# How near does it come to the nearest adversarial picture there is? On a linear model you know that distance: lab 00's
# formula. (The digits are printed in greys from ¼ to ¾, so that no pixel runs into black or white, where the formula ends.)
# On the network, compare with the smallest change that an attack *with* gradients finds, the library's `fast_minimum_norm`.

# %%
linear, grey = zoo.load("digits-linear", device=device), lambda z: 0.25 + z / 2
on_grey = lambda u: linear(2 * (u - 0.25))  # noqa: E731
logits, weight = linear(x).detach(), 2 * linear[-1].weight.detach()
gap, slope = logits.gather(1, y[:, None]) - logits, (weight[y][:, None] - weight).norm(dim=2)
closed_form = torch.where(slope > 0, gap / slope.clamp_min(1e-9), torch.inf).amin(1)  # |f| / ‖w‖, to the nearest class
some = (closed_form > 0).nonzero().flatten()[:24]  # those that the linear model reads correctly
found = evasion.fast_minimum_norm(model, x[some], y[some])
problems = {
    "linear model ÷ closed form": (on_grey, grey(x[some]), grey(digits.x_train), closed_form[some]),
    "network ÷ gradient attack": (model, x[some], digits.x_train, (found - x[some]).flatten(1).norm(dim=1)),
}


# %%
asked = (100, 300, 1000, 2000)


def hopped(victim, at, pool, shortest, attack=evasion.hop_skip_jump):
    """The median of distance ÷ shortest, for each number of queries."""
    walks = [attack(victim, at, y[some], queries=q, images=pool) for q in asked]
    return [((walked - at).flatten(1).norm(dim=1) / shortest).median().item() for walked in walks]


no_hops = partial(evasion.hop_skip_jump, starts=2000, restarts=1)  # the control: every query goes into new starts
ratios = {name: hopped(*problem) for name, problem in problems.items()}
ratios["linear, starts and halving only"] = hopped(*problems["linear model ÷ closed form"], attack=no_hops)
figures.curves(
    asked, ratios, xlabel="queries for each digit (labels only)", ylabel="distance ÷ the smallest known", log="x",
    caption="Medians over 24 digits. 1 is the best there is (linear), or the best that gradients find (network).",
)  # fmt: skip
claim("On the linear model 2,000 labels come within 10 % of the closed form",
      1 <= ratios["linear model ÷ closed form"][-1] < 1.1, f"{ratios['linear model ÷ closed form'][-1]:.2f} times")  # fmt: skip
claim("As many queries spent on starts alone end at least 30 % too far",
      ratios["linear, starts and halving only"][-1] > 1.3)  # fmt: skip
claim("On the network they come within 20 % of what gradients find",
      ratios["network ÷ gradient attack"][-1] < 1.2, f"{ratios['network ÷ gradient attack'][-1]:.2f} times")  # fmt: skip

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
    """(clients, 100, ...) what each honest client asks: random digits of x, none twice."""
    draw = runtime.generator(seed)
    return torch.stack([x[torch.randperm(len(x), generator=draw)[:100].to(x.device)] for _ in range(clients)])


threshold = Guard(model).calibrate(honest(digits.x_train, 200, 7), false_positives=0.01)
banned = 0
for stream in honest(digits.x_test, 200, 8):
    try:
        Guard(model, threshold=threshold)(stream)
    except Refused:
        banned += 1
print(f"threshold {threshold:.2f}: {banned} of 200 honest clients with new digits are banned")
claim("At most 8 % of honest clients are banned (the control)", banned / 200 <= 0.08, f"{banned / 200:.1%}")

# %% [markdown]
# Now 30 attackers, each with an account of their own and one digit to break. A refusal ends the attack.


# %%
def attackers(attack, guard, ask=None):
    """The share of 30 digits that fall; attack(model, x, y) runs for each from an account of its own."""
    fooled = 0
    for k in range(30):
        asks = ask(guard, k) if ask else partial(guard, client=k)
        with suppress(Refused):
            x_adv = attack(asks, x[k : k + 1], y[k : k + 1])
            fooled += int(margin(model, x_adv, y[k : k + 1]).item() > 0)
    return fooled / 30


def limits():
    return Guard(model, budget=300, threshold=threshold)


by_square = lambda model, x, y: square(model, x, y, eps, 300)[0]  # noqa: E731
success = {"Square, no guard": attackers(by_square, Guard(model)), "Square, guard": attackers(by_square, limits())}
claim("Without a guard Square fools more than 60 % within 300 queries, through it less than 30 %",
      success["Square, no guard"] > 0.6 and success["Square, guard"] < 0.3,
      f"{success['Square, no guard']:.0%} → {success['Square, guard']:.0%}")  # fmt: skip

# %% [markdown]
# It works, against attackers who do not know of it. (What still falls does so within ten queries, before there are ten
# neighbours to look at.) What would you do, if you did know? Three ideas:
#
# 1. **Many accounts.** Banned? Open another. The service remembers each client by itself.
# 2. **Look farther away.** NES with σ = 0.4 and 98 samples asks about points so far apart that none resembles another.
# 3. **Transfer.** One query for each picture resembles nothing.
#
# Against the first, the service can compare with *everybody's* last 1,000 queries, `shared=True`. Guess what that does to the
# honest, at the same threshold.


# %%
def turned_away(threshold):
    """The share of 30 honest clients with new digits whom a shared memory bans: nine others have asked before them."""
    banned, draw = 0, runtime.generator(9)
    for stream in honest(digits.x_test, 30, 10):
        guard = Guard(model, threshold=threshold, shared=True)
        order = torch.randperm(len(digits.x_train), generator=draw)[:900].to(device)  # no digit twice
        others = digits.x_train[order].split(100)
        for client, asks in enumerate([*others, stream]):
            with suppress(Refused):
                guard(asks, client)
        banned += len(others) in guard.banned
    return banned / 30


draw = runtime.generator(11)
orders = torch.stack([torch.randperm(len(digits.x_train), generator=draw)[:1000] for _ in range(30)]).to(device)
crowd = Guard(model).calibrate(digits.x_train[orders], false_positives=0.01)  # on 1,000 queries of everybody's
away = {t: turned_away(t) for t in (threshold, crowd)}
claim("With everybody's queries to compare with, the old threshold bans more than 3 of 4 honest clients",
      away[threshold] > 0.75, f"threshold {threshold:.2f}: {away[threshold]:.0%}")  # fmt: skip
claim("A threshold set on everybody's queries bans at most 15 %", away[crowd] <= 0.15,
      f"threshold {crowd:.2f}: {away[crowd]:.0%}")  # fmt: skip

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


nes_wide = partial(evasion.nes, eps=eps, queries=300, samples=98, sigma=0.4, step_size=eps)
once = partial(evasion.transfer, attack=full_climb, surrogates=surrogates)
everybody = lambda: Guard(model, budget=300, threshold=crowd, shared=True)  # noqa: E731
by_luck = lambda model, x, y: random_guesses(model, x, y, eps, 300)[0]  # noqa: E731
asked_once = everybody()
success |= {
    "Square, many accounts": attackers(by_square, limits(), many_accounts),
    "Square, many accounts, shared memory": attackers(by_square, everybody(), many_accounts),
    "random guesses, shared memory": attackers(by_luck, everybody()),
    "NES far apart, shared memory": attackers(nes_wide, everybody()),
    "transfer, shared memory": attackers(once, asked_once),
}
figures.bars(
    success, ylabel="digits fooled", horizontal=True, percent=True,
    caption="30 digits, ε = 0.15, at most 300 answers for each account. Each bar has its own guard.",
)  # fmt: skip

# %%
claim("Many accounts bring Square back above 60 %, and a shared memory stops them below 50 %",
      success["Square, many accounts"] > 0.6 and success["Square, many accounts, shared memory"] < 0.5)  # fmt: skip
claim("NES far apart fools more than 20 % through the shared memory, and more than random guesses do",
      success["NES far apart, shared memory"] > max(0.2, success["random guesses, shared memory"]))  # fmt: skip
claim("Transfer fools more than 40 %, with at most three queries for each digit",
      success["transfer, shared memory"] > 0.4 and max(asked_once.answered.values()) <= 3)  # fmt: skip

# %% [markdown]
# The guard stops the attack it was made for, and makes others dear and visible. But who knows it walks around it, and the
# *model* is what it was: the adversarial pictures are still there.

# %%
guarantee(
    holds="Nobody gets more than `budget` answers from one account, exactly. About 1 % of honest clients like those of "
    "the calibration are banned, if the memory holds no more than it did there and clients do not share pictures.",
    does_not="The model is as easy to fool as before. Hiding weights or scores is not a defence.",
    adapts="More accounts, queries that lie far apart, or a surrogate and a query or two.",
    cost=f"A memory of everybody's queries, which is private data. Honest clients are banned: here "
    f"{100 * away[threshold]:.0f} % at the threshold for single clients, {100 * away[crowd]:.0f} % at the lower one.",
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
    return (margin(model, x_adv, truth) > 0).float().mean().item()


theirs = fallen(nes(labels_only, shown, truth, eps, 300)[0])
print(f"NES fools {theirs:.0%} of 40 digits")

# %% tags=["student-only"]
# Your control here: which attack needs no slope?

# %% tags=["solution-only"]
luck = fallen(random_guesses(labels_only, shown, truth, eps, 300)[0])
wide = fallen(nes(labels_only, shown, truth, eps, 300, sigma=0.4)[0])
moved = fallen(evasion.transfer(labels_only, shown, truth, attack=full_climb, surrogates=surrogates))
claim("NES fools less than 15 % through labels, and random guesses more than NES", theirs < 0.15 and luck > theirs,
      f"{theirs:.0%} and {luck:.0%}")  # fmt: skip
claim("NES with σ = 0.4 instead of 0.05 fools more than 20 %", wide > 0.2, f"{wide:.0%}")
claim("Transfer fools more than 40 %, with at most three labels for each digit", moved > 0.4, f"{moved:.0%}")
hopped_to = evasion.hop_skip_jump(labels_only, shown, truth, queries=300, images=digits.x_train)
claim("HopSkipJump with 300 labels fools every digit, but less than a quarter of its pictures lie within ε",
      fallen(hopped_to) == 1 and ((hopped_to - shown).abs().flatten(1).amax(1) < eps).float().mean() < 0.25)  # fmt: skip

# %% [markdown]
# <details><summary>Answer</summary>
#
# A one-hot answer is flat: the slope that NES estimates is 0 unless a probe crosses the boundary, and with σ = 0.05 hardly one
# does. That says something about **σ**, not about the service: random signs, a larger σ and transfer all do better.
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
# * N. Papernot, P. McDaniel, I. Goodfellow, 2016, *Transferability in Machine Learning: from Phenomena to Black-Box Attacks
#   using Adversarial Samples*.
# * A. Ilyas, L. Engstrom, A. Athalye, J. Lin, 2018, *Black-box Adversarial Attacks with Limited Queries and Information*. NES.
# * M. Andriushchenko, F. Croce, N. Flammarion, M. Hein, 2020, *Square Attack: a query-efficient black-box adversarial attack via
#   random search*.
# * J. Chen, M. Jordan, M. Wainwright, 2020, *HopSkipJumpAttack: A Query-Efficient Decision-Based Attack*.
# * S. Chen, N. Carlini, D. Wagner, 2020, *Stateful Detection of Black-Box Adversarial Attacks*. The guard, and attacks on it.
#
# To see how the library writes these attacks, open `modelsec_course/evasion/blackbox.py`, `squares.py` and `decision.py`.

# %%
finish("02")
