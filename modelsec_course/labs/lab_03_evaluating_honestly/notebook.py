# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 03 · Evaluating honestly

# %%
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import data, evasion, models, robustness, runtime, training, zoo
from modelsec_course.lab import check, claim, claims, explore, figures, finish
from modelsec_course.lab import guarantee, predict, quiz, start, threat
from modelsec_course.lab.words import interval, number, percent, points
from modelsec_course.labs.lab_03_evaluating_honestly import scene

start("03")

# %%
threat.card("03")

# %% [markdown]
# ## 1 · The idea
#
# "Robust accuracy at ε" is the share of inputs that **no** allowed change turns into a mistake:
#
# $$ R(\varepsilon) = \frac1n \sum_i \; \min_{x' \in B_\varepsilon(x_i)} \mathbf 1\bigl[f(x') = y_i\bigr]
#    \;\le\; \frac1n \sum_i \mathbf 1\bigl[f(\text{attack}(x_i)) = y_i\bigr]. $$
#
# An attack tries *some* changes, so it measures an **upper bound**. A weak attack gives a high number, and a defender
# likes high numbers. How far above the truth may the bound be? Start where the truth is known: softmax regression.

# %%
device = runtime.device()
digits = data.load("digits").to(device)
x, y = digits.x_test, digits.y_test  # (360, 1, 8, 8) in [0, 1], (360,)
linear = zoo.load("digits-linear", device=device)
model = zoo.load("digits-cnn", device=device)
EPS = 0.15


def exact(x, y, eps):
    """(batch,) True where no change within eps and [0, 1] makes softmax regression err.

    A closed form, with no attack in it.
    """
    weight, logits = linear[-1].weight, linear(x)
    own = logits.gather(1, y[:, None]).squeeze(1)
    up = (1 - x).clamp(max=eps).flatten(1)  # how far each pixel may go
    down = (-x).clamp(min=-eps).flatten(1)
    stands = logits.argmax(1) == y
    for k in range(10):
        normal = weight[k] - weight[y]  # (batch, 64): what a pixel does for k against y
        gain = torch.maximum(normal * up, normal * down).sum(1)  # the most they can do
        beaten = logits[:, k] - own + gain > 0
        stands &= ~beaten | (k == y)
    return stands


truth = exact(x, y, EPS).float().mean().item()

# %%
claim(
    "At ε = 0.15 exactly 66 of 360 digits stand",
    round(360 * truth) == 66,
    percent(truth),
)

# %% [markdown]
# Now the attacks of lab 01 on the same model.

# %%
guess_pgd = predict(
    "03.pgd",
    "18.3 % is the truth. What robust accuracy does PGD report, with 40 steps?",
    percent=True,
)

# %%
fgsm = training.accuracy(linear, evasion.fgsm(linear, x, y, eps=EPS), y)
pgd = training.accuracy(linear, evasion.pgd(linear, x, y, eps=EPS, steps=40), y)
figures.bars(
    {"FGSM": fgsm, "PGD, 40 steps": pgd, "the truth": truth},
    ylabel="robust accuracy (share of 360 digits)",
    percent=True,
    horizontal=True,
    roles={"FGSM": "attack", "PGD, 40 steps": "attack", "the truth": "truth"},
    guess=guess_pgd,
    caption="Softmax regression at ε = 0.15: what two attacks report, and the truth.",
)

# %%
claims(
    ("FGSM reports 10 points too much", fgsm > truth + 0.1, percent(fgsm)),
    ("PGD reports 4 or more too much", pgd > truth + 0.04, percent(pgd), guess_pgd),
)

# %% [markdown]
# The model is linear and the gradient exact. More steps, then?

# %%
long_climb = evasion.pgd(linear, x, y, eps=EPS, steps=400)
patient = training.accuracy(linear, long_climb, y)

# %%
claim(
    "With 400 steps PGD still reports 4 points too much",
    patient > truth + 0.04,
    percent(patient),
)

# %% [markdown]
# No. An attacker *maximises* a convex loss, and that can have many local maxima. PGD climbs away from
# the true class, towards whichever other is easiest *at first*. That one may be out of reach, and another near.
#
# Auto-PGD (Croce & Hein, 2020) has two repairs: a better loss, and every class in turn.
#
# ### Exercise 1: a loss that no scale hides from
#
# Cross-entropy goes flat when a model is very sure. The **difference of logits ratio** does not. Sort the logits,
# $z_{(1)} \ge z_{(2)} \ge \dots$; then
#
# $$ \mathrm{DLR}(z, y) = \frac{\max_{k \ne y} z_k - z_y}{z_{(1)} - z_{(3)}}. $$
#
# Multiply all logits by 1000: it stays the same. (The paper has the opposite sign; here the attacker climbs.)


# %%
def dlr_loss(logits, y):
    """The difference of logits ratio: above 0 where the model errs.

    logits: (batch, classes), at least three classes.  y: (batch,) true labels.
    Returns one number for each input, (batch,).
    Add 1e-12 below the line, for three logits that tie.
    """
    ### BEGIN SOLUTION
    own = logits.gather(1, y[:, None]).squeeze(1)
    other = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    ranked = logits.topk(3, dim=1).values
    return (other - own) / (ranked[:, 0] - ranked[:, 2] + 1e-12)
    ### END SOLUTION


dlr_loss = check("03.dlr_loss", dlr_loss)

# %% [markdown]
# ### Exercise 2: try every class
#
# Aim at one class $k$ at a time: climb $z_k - z_y$, which is above 0 as soon as $k$ beats $y$ (and always 0 for $k = y$,
# which does no harm). Auto-PGD divides that by DLR's denominator. This helper climbs any score; its steps shrink, so it can
# cross the ball and still settle.


# %%
def climb(model, x, eps, score, steps=12):
    """From x, steps by the gradient's signs up a score, within eps and [0, 1].

    score(logits): one number for each input.
    """
    x_adv = x.clone()
    for k in range(steps):
        at = x_adv.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(score(model(at)).sum(), at)
        step = max(2 * eps * (1 - k / steps), eps / 8)
        change = (x_adv + step * gradient.sign() - x).clamp(-eps, eps)
        x_adv = (x + change).clamp(0, 1)
    return x_adv


# %%
def every_target(model, x, y, eps):
    """Climb towards each class in turn, and keep for each input what fooled the model.

    model: returns logits (batch, classes).  x: (batch, channels, height, width) in
    [0, 1].  y: (batch,) true labels.
    Returns x_adv, shaped like x, within eps of x and in [0, 1]; x itself where nothing
    fooled the model.
    """
    found = x.clone()
    for k in range(model(x[:1]).shape[1]):
        ### BEGIN SOLUTION
        lead = lambda z, k=k: z[:, k] - z.gather(1, y[:, None]).squeeze(1)  # noqa: E731
        x_adv = climb(model, x, eps, lead)
        with torch.no_grad():
            fooled = model(x_adv).argmax(1) != y
        found = torch.where(fooled[:, None, None, None], x_adv, found)
        ### END SOLUTION
    return found


every_target = check("03.every_target", every_target)

# %%
targeted = evasion.apgd(linear, x, y, eps=EPS, steps=40, loss="dlr-targeted")
library = training.accuracy(linear, targeted, y)
reached = training.accuracy(linear, every_target(linear, x, y, EPS), y)
untargeted = climb(linear, x, EPS, lambda z: dlr_loss(z, y))
one_loss = training.accuracy(linear, untargeted, y)

# %%
claims(
    (
        "Trying every class hits the truth to the last digit",
        round(360 * reached) == 66,
        percent(reached),
    ),
    (
        "So does the library's Auto-PGD",
        round(360 * library) == 66,
        percent(library),
    ),
    ("A better loss alone does not", one_loss > truth + 0.01, percent(one_loss)),
)

# %% [markdown]
# An attack that is exact where you know the answer has earned some trust where you do not.
#
# ## 2 · Four defences, too good to be true
#
# A colleague presents four ways to protect lab 01's network at ε = 0.15. None needs training:
#
# * **scaled logits**: multiply them by 1000, "to make the model sure of itself";
# * **quantised input**: round every pixel to one of five values, "to wash the attack out";
# * **input noise**: add fresh noise (σ = 0.2) at every call, "so that the attacker chases a moving target";
# * **shattered gradient**: add a ripple of $0.01 \sin(5000\,x)$ to every pixel, "to give the gradient no direction".

# %%
few, labels = x[:100], y[:100]
fakes = robustness.planted(model)
subjects = {"no defence": model} | {name: fake.defended for name, fake in fakes.items()}
clean, shown = {}, {}
for name, subject in subjects.items():
    x_adv = evasion.pgd(subject, few, labels, eps=EPS, steps=20)
    clean[name] = training.accuracy(subject, few, labels)
    shown[name] = training.accuracy(subject, x_adv, labels)
figures.table(
    [[name, percent(clean[name], 0), percent(shown[name], 0)] for name in subjects],
    ["defence", "clean accuracy", "under PGD"],
    caption="The colleague's table: 100 digits, PGD with 20 steps at ε = 0.15.",
)

# %%
claims(
    (
        "Without a defence PGD leaves less than a third",
        shown["no defence"] < 1 / 3,
        percent(shown["no defence"], 0),
    ),
    (
        "Behind each of the four it leaves more than half",
        min(shown[name] for name in fakes) > 1 / 2,
        f"{percent(min(shown[name] for name in fakes), 0)} or more",
    ),
)

# %% [markdown]
# Would you buy one? Nothing about the *network* has changed. Behind scaled logits, even the answers are the same, picture
# for picture. So what was measured is not the model but the attack: its gradient was taken away. That is **gradient
# masking** (Athalye, Carlini & Wagner, 2018).
#
# ### Exercise 3: a gradient where there is none
#
# Rounding is flat almost everywhere, so its gradient is 0. But its *value* is close to $x$. **Backward pass differentiable
# approximation** (BPDA) keeps the value and pretends that the gradient is the identity's.


# %%
def bpda(defence, x):
    """defence(x), with the gradient of x itself.

    defence: maps pictures to pictures of the same shape, close by.
    x: (batch, ...), may require a gradient.
    """
    ### BEGIN SOLUTION
    return x + (defence(x) - x).detach()
    ### END SOLUTION


bpda = check("03.bpda", bpda)

# %% [markdown]
# Against noise the answer is to average: **expectation over transformations** takes the mean over many draws
# (`evasion.EOT`). Against scaled logits, attack the logits before they are scaled. So for each defence there is an attack
# that knows it.

# %%
guess_gap = predict(
    "03.gap",
    "Quantised input: how far apart are PGD and the attack that knows the defence?",
    percent=True,
)

# %% [markdown]
# The headline figure: one row per defence, one mark per attack.

# %% tags=["headline"]
defences = {"no defence": (model, model)}
defences |= {name: (fake.defended, fake.adaptive) for name, fake in fakes.items()}
left = {}
for name, (defended, adaptive) in defences.items():
    left[name] = {
        attack: training.accuracy(defended, run(defended, few, labels), labels)
        for attack, run in scene.rungs(adaptive, eps=EPS).items()
    }
scene.ladder(
    left,
    caption="What five attacks leave at ε = 0.15, of 100 digits. "
    "A long bar means that the number depends on who attacks and how well.",
)

# %%
knows = {name: shares[scene.KNOWS] for name, shares in left.items()}
gap = {name: left[name]["PGD, 20 steps"] - knows[name] for name in fakes}
masked = ("scaled logits", "quantised input", "shattered gradient")
by_square = {
    name: left[name]["PGD, 20 steps"] - left[name]["Square, 200 queries"]
    for name in ("quantised input", "shattered gradient")
}
without = list(left["no defence"].values())  # FGSM first

# %%
claims(
    (
        "Rounding stops PGD and not the attack that knows it: a gap of over 70 points",
        gap["quantised input"] > 0.7,
        f"{points(gap['quantised input'])} points",
        guess_gap,
    ),
    (
        "So do scaling and the ripple",
        min(gap[name] for name in masked) > 0.7,
        f"{points(min(gap[name] for name in masked))} points or more",
    ),
    (
        "Noise gives a gap of more than 20 points",
        gap["input noise"] > 0.2,
        f"{points(gap['input noise'])} points",
    ),
    (
        "Square needs no gradient and breaks rounding and the ripple more than PGD",
        min(by_square.values()) > 0.3,
        f"{points(min(by_square.values()))} points or more",
    ),
    (
        "Without a defence all but FGSM agree within 20 points",
        max(without[1:]) - min(without) < 0.2,
        interval(min(without), max(without[1:])),
    ),
)

# %% [markdown]
# Read it row by row. The DLR loss alone undoes the scaling, and does nothing against rounding. A black box, which
# knows *less*, breaks what the white box could not: a strong white-box attack on an honest model leaves it next to nothing. And
# behind noise one step (FGSM) beats twenty. Each of these is a sign that the attack failed, not that the model stood.
#
# One more look at rounding: it ends *below* no defence at all. A pixel that crosses a threshold jumps a whole level, ¼. And one
# that does not cross it? Digits are multiples of 1/16, at least ⅛ from any threshold.

# %%
at = {}
for e in (0.1, EPS):
    targeted = partial(evasion.apgd, eps=e, loss="dlr-targeted")
    for name in ("no defence", "quantised input"):
        defended, adaptive = defences[name]
        x_adv = targeted(adaptive, few, labels)
        at[name, e] = training.accuracy(defended, x_adv, labels)
rows = {n: [percent(at[n, e], 0) for e in (0.1, EPS)] for n, _ in at}
figures.table(
    [[name, *shares] for name, shares in rows.items()],
    ["defence", "ε = 0.1", "ε = 0.15"],
    caption="Accuracy left, of 100 digits, by an attack that knows the defence.",
)

# %%
claims(
    (
        "At ε = 0.15 rounding leaves less than no defence",
        at["quantised input", EPS] < at["no defence", EPS],
    ),
    (
        "At ε = 0.1 it leaves at least 10 points more",
        at["quantised input", 0.1] > at["no defence", 0.1] + 0.1,
    ),
)

# %% [markdown]
# So below ε = ⅛ rounding really takes changes away, on these digits. One ε is one opinion. Climb the ladder yourself, one
# attack after the other, and move ε. At which rung would you have stopped?

# %%
explore(
    scene.climb_the_ladder(model, x[:40], y[:40]),
    defence=list(fakes),
    eps=(0.05, 0.3, 0.05, 0.15),
    attacks=(1, 5, 1, 2),
    labels={"defence": "defence", "eps": "ε", "attacks": "attacks"},
    caption="40 digits. Hatched: the attack that knows the defence. "
    "Dotted: the network without it, attacked in the open.",
)

# %% [markdown]
# ## 3 · The worst case, reported
#
# One attack is one opinion. A robust accuracy should be the **worst case over several**: an input stands only if it
# withstands them all. The average of two attacks, or the better of their two accuracies, is not that.
#
# ### Exercise 4: which inputs withstand them all?


# %%
def worst_case(model, x, y, attacks, eps):
    """Run each attack on what the ones before it left standing.

    model: returns logits (batch, classes).  x: (batch, ...) in [0, 1].
    y: (batch,) true labels.
    attacks: a dict of attack(model, x, y) -> x_adv by name. They may be wrong, or
    cheat: what is further than eps from x in some pixel (by more than 1e-6), or outside
    [0, 1], is no success.
    Returns (batch,) bool: True where the model is right, and stays right under every
    attack.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        stands = model(x).argmax(1) == y
    for attack in attacks.values():
        on = stands.nonzero().flatten()
        if not len(on):
            break
        x_adv = attack(model, x[on], y[on])
        allowed = (x_adv - x[on]).abs().flatten(1).amax(1) <= eps + 1e-6
        allowed &= ((x_adv >= 0) & (x_adv <= 1)).flatten(1).all(1)
        with torch.no_grad():
            fell = allowed & (model(x_adv).argmax(1) != y[on])
        stands[on[fell]] = False
    return stands
    ### END SOLUTION


worst_case = check("03.worst_case", worst_case)

# %% [markdown]
# The library's `robustness.worst_case` does that and keeps the books: what fell to which attack, at which price, with the interval
# that a count of 120 inputs deserves. (A success has to show in most of nine answers there. Section 5 says why.) Three real
# networks: lab 01's, and two that were trained against attacks, as lab 04 will do it:

# %%
networks = {
    "standard network": "digits-cnn",
    "trained with PGD": "digits-cnn-pgd",
    "trained with TRADES": "digits-cnn-trades",
}
some, truths = x[:120], y[:120]
ensemble = evasion.ensemble(eps=EPS, steps=20, queries=200)
reports = {}
for name, stored in networks.items():
    victim = zoo.load(stored, device=device)
    reports[name] = robustness.worst_case(victim, some, truths, ensemble, eps=EPS)
scene.books(reports)

# %%
ensemble = evasion.ensemble(eps=EPS, steps=20, queries=200)
mine = worst_case(model, some, truths, ensemble, EPS).float().mean().item()
robust = {name: report.robust for name, report in reports.items()}
hardened = [robust["trained with PGD"], robust["trained with TRADES"]]
fell = [report.fell_to.count("Square, black-box") for report in reports.values()]

# %%
claims(
    (
        "Your worst case and the library's agree (within one digit)",
        abs(mine - robust["standard network"]) < 0.009,
        percent(mine),
    ),
    (
        "The standard network keeps less than a fifth",
        robust["standard network"] < 0.2,
        percent(robust["standard network"]),
    ),
    (
        "The two that were trained against attacks keep more than half",
        min(hardened) > 0.5,
        f"{percent(min(hardened))} or more",
    ),
    (
        "After both white-box attacks the black box finds at most 2 of 120",
        max(fell) <= 2,
        f"{max(fell)}",
    ),
)

# %% [markdown]
# ## 4 · Red flags
#
# You cannot know the right attack for every defence in advance. But masking leaves traces, and looking for them is cheap:
#
# * **no slope**: the cross-entropy's gradient is exactly 0 for some inputs;
# * **randomness**: two answers to the same question differ;
# * **black box**: inputs that withstood a white-box attack fall to a black-box one;
# * **stands everything**: at ε = 1 any picture may become any other, so nothing can be robust; if something is, the attack
#   is broken.
#
# ### Exercise 5: raise them


# %%
def white_box(model, x, y, eps):
    return evasion.apgd(model, x, y, eps=eps, steps=10, loss="dlr-targeted")


def black_box(model, x, y, eps):
    return evasion.square_attack(model, x, y, eps=eps, queries=200)


def any_change(model, x, y):
    return evasion.apgd(model, x, y, eps=1.0, steps=20, loss="margin")


# %%
def masking_flags(model, x, y, eps):
    """The names of the flags that this model raises.

    They are "no slope", "randomness", "black box" and "stands everything".
    model: returns logits (batch, classes).  x: (batch, 1, 8, 8) in [0, 1].
    y: (batch,) true labels.
    A flag needs more than 5 % of all inputs; "randomness" needs two answers that
    differ. Use `white_box`, `black_box` and, for "stands everything", `any_change`.
    Returns a set of names, empty for an honest model.
    """
    flags = set()
    ### BEGIN SOLUTION
    with torch.no_grad():
        if not torch.allclose(model(x), model(x), atol=1e-3):
            flags.add("randomness")
    at = x.clone().requires_grad_()
    loss = F.cross_entropy(model(at), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, at)
    if (gradient.flatten(1).abs().amax(1) == 0).float().mean() > 0.05:
        flags.add("no slope")
    with torch.no_grad():
        standing = model(white_box(model, x, y, eps)).argmax(1) == y
    if standing.any():
        x_adv = black_box(model, x[standing], y[standing], eps)
        with torch.no_grad():
            fell = model(x_adv).argmax(1) != y[standing]
        if fell.sum() > 0.05 * len(x):
            flags.add("black box")
    x_adv = any_change(model, x, y)
    with torch.no_grad():
        if (model(x_adv).argmax(1) == y).float().mean() > 0.05:
            flags.add("stands everything")
    ### END SOLUTION
    return flags


masking_flags = check("03.masking_flags", masking_flags)

# %%
honest = networks | {
    "softmax regression": "digits-linear",
    "trained for bounds": "digits-cnn-ibp",
}
suspects = {name: fake.defended for name, fake in fakes.items()}
suspects |= {name: zoo.load(stored, device=device) for name, stored in honest.items()}
raised = {n: masking_flags(net, x[:60], y[:60], EPS) for n, net in suspects.items()}
figures.table(
    [[name, ", ".join(sorted(flags)) or "none"] for name, flags in raised.items()],
    ["model", "flags"],
    highlight=list(fakes),
    caption="Who raises which flags. Set off: the four fakes.",
)

# %%
claim(
    "Every fake raises a flag, and no honest model does",
    all(bool(flags) == (name in fakes) for name, flags in raised.items()),
)

# %% [markdown]
# A flag is no proof of masking, and its absence is no proof of robustness. It tells you where to look before you believe.
#
# ## 5 · Attacked again: luck
#
# Noise is the one fake that has a gradient; it only points elsewhere at every call. The textbook answer is to average it over
# many draws. But look at *how* PGD lost above: it leaves an input alone at its first success. With dice in the model, a
# first success may be luck, and at the next roll the picture is read correctly again.
#
# Two repairs, then: average 16 draws, for the gradient and for the verdict; or do not stop. Which one does more?

# %%
guess_luck = predict(
    "03.luck",
    "PGD that stops leaves three quarters behind noise. And PGD that climbs on?",
    percent=True,
)


# %%
def attacked(net, samples, stop_early):
    """What 20 steps of PGD leave when every answer is the mean over `samples` draws."""
    averaged = evasion.EOT(net, samples)
    attack = partial(evasion.pgd, eps=EPS, steps=20, stop_early=stop_early)
    return training.accuracy(net, attack(averaged, few, labels), labels)


noisy = fakes["input noise"].defended
luck = {
    "stops at the first success": attacked(noisy, 1, True),
    "stops, mean of 16 draws": attacked(noisy, 16, True),
    "climbs on": attacked(noisy, 1, False),
    "climbs on, mean of 16 draws": attacked(noisy, 16, False),
    "no noise, stops": attacked(model, 1, True),
    "no noise, climbs on": attacked(model, 1, False),
}
figures.bars(
    luck,
    ylabel="accuracy under PGD (share of 100 digits)",
    percent=True,
    horizontal=True,
    roles={name: "attack" for name in luck if not name.startswith("no noise")},
    guess=guess_luck,
    caption="Behind noise a first success may be luck. "
    "Grey: the control. Without noise it makes no difference when the attack stops.",
)

# %%
averaged = luck["climbs on, mean of 16 draws"]
claims(
    (
        "Climbing on breaks at least 20 points more than stopping",
        luck["climbs on"] < luck["stops at the first success"] - 0.2,
        percent(luck["climbs on"], 0),
        guess_luck,
    ),
    (
        "It breaks at least 10 points more than averaging alone",
        luck["climbs on"] < luck["stops, mean of 16 draws"] - 0.1,
        percent(luck["stops, mean of 16 draws"], 0),
    ),
    (
        "Once it climbs on, averaging changes less than 15 points",
        abs(luck["climbs on"] - averaged) < 0.15,
        percent(averaged, 0),
    ),
    (
        "Without noise stopping makes no difference (within 3 points)",
        abs(luck["no noise, stops"] - luck["no noise, climbs on"]) < 0.03,
    ),
)

# %% [markdown]
# Averaging helps, since fewer successes are luck. But we had expected it to be the key, and it is not: twenty steps, each
# with fresh dice, are an average already.
#
# Luck works the other way as well. A worst case over *many* attacks gives every input many rolls. The next cell runs ten
# "attacks" that do nothing at all, against the noisy network.

# %%
guess_nothing = predict(
    "03.nothing",
    "Ten attacks that do nothing: what robust accuracy does your worst case report?",
    percent=True,
)

# %%
nothing = {f"nothing {k}": lambda model, x, y: x for k in range(10)}
once = worst_case(noisy, few, labels, nothing, EPS).float().mean().item()
most = robustness.worst_case(noisy, few, labels, nothing, eps=EPS)
figures.table(
    [
        ["clean accuracy", percent(most.clean, 0)],
        ["ten times nothing, your worst case", percent(once, 0)],
        ["ten times nothing, the majority of nine answers", percent(most.robust, 0)],
        *([f"red flag: {flag.name}", flag.words] for flag in most.flags),
    ],
    ["", "the noisy network"],
)

# %%
claims(
    (
        "Ten attacks that do nothing 'break' more than 10 points of the noisy network",
        once < most.clean - 0.1,
        percent(once, 0),
        guess_nothing,
    ),
    (
        "If a success has to show in most of nine answers, fewer are broken",
        most.robust > once,
        percent(most.robust, 0),
    ),
    ("And flags go up", len(most.flags) > 0),
)

# %% [markdown]
# With dice in the model there is no single answer to count: show each result again, many times, and report the share.

# %%
guarantee(
    holds="Without dice in the model, an input that fell, fell: recount it on the "
    "returned tensor, inside the ball and the box, and it is certain.",
    does_not="An input that stands has withstood these attacks. "
    "Robust accuracy from attacks is an upper bound, never a proof.",
    adapts="The attacker reads the defence and attacks what is behind it. "
    "Publish the defence, or somebody else will find out how it works.",
    cost="Several attacks with restarts and targets: tens to hundreds of gradients.",
)

# %% [markdown]
# ## 6 · Spot the broken experiment, five times
#
# Five colleagues, five numbers, all wrong. Run each one and pick the fault, *before* you read on:
#
# (a) the data were used twice · (b) the units of ε · (c) the wrong loss · (d) train mode · (e) a gradient that is not there ·
# (f) too few steps · (g) mistakes that were there before
#
# Then write the **control** that exposes it: a measurement that comes out differently when the experiment is sound.
#
# ### The first colleague
#
# *"I asked the victim about only 100 pictures, and my copy agrees with it completely. A copy for the price of 100 queries."*

# %%
order = torch.randperm(len(x), generator=runtime.generator(2)).to(device)
shuffled = x[order]
asked = shuffled[:100]
with torch.no_grad():
    answers = model(asked).argmax(1)
copied = models.initialise(models.cnn(), runtime.generator(0)).to(device)
training.fit(copied, asked, answers, epochs=40, generator=runtime.generator(1))
judged = shuffled[:100]
agreement = training.accuracy(copied, judged, model(judged).argmax(1))
figures.table([["the copy and the victim", percent(agreement, 0)]], ["", "agree on"])


# %%
def overlap(asked, judged):
    """How many of the `judged` pictures are also among the `asked` ones.

    asked: (m, 1, 8, 8).  judged: (n, 1, 8, 8).  Returns a whole number.
    """
    ### BEGIN SOLUTION
    return sum(any(torch.equal(one, other) for other in asked) for one in judged)
    ### END SOLUTION


overlap = check("03.overlap", overlap)

# %%
fresh = shuffled[100:]
mended = training.accuracy(copied, fresh, model(fresh).argmax(1))

# %%
claims(
    (
        "Every picture that the copy was judged on it had been trained on",
        overlap(asked, judged) == 100,
    ),
    (
        "On fresh pictures it agrees on at least 4 points fewer",
        overlap(asked, fresh) == 0 and mended < agreement - 0.04,
        f"{percent(agreement, 0)} → {percent(mended, 0)}",
    ),
)

# %% [markdown]
# ### The second colleague
#
# *"I penalise the loss's slope in the input, with weight 10: the slope is what attackers use. It costs no accuracy at
# all, not even a hundredth of a point."*


# %%
def slope_penalty(net, x, y, **options):
    """The mean squared slope of the loss, in the input."""
    at = x.clone().requires_grad_()
    loss = F.cross_entropy(net(at), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, at, **options)
    return (gradient**2).flatten(1).sum(1).mean()


def trained(weight, penalty=slope_penalty):
    """A small network, trained with this weight on the penalty."""

    def loss(net, x, y):
        return F.cross_entropy(net(x), y) + weight * penalty(net, x, y)

    first = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    net = nn.Sequential(*first, nn.Flatten(), nn.Linear(256, 10))
    models.initialise(net, runtime.generator(0)).to(device)
    recipe = {"loss": loss, "epochs": 15, "generator": runtime.generator(1)}
    training.fit(net, digits.x_train, digits.y_train, **recipe)
    return net


plain, regularised = trained(0), trained(10)
rows = []
for weight, net in ((0, plain), (10, regularised)):
    rows.append([f"weight {weight}", percent(training.accuracy(net, x, y), 2)])
figures.table(rows, ["slope penalty", "clean accuracy"])


# %%
def regulariser_pull(penalty, net, x, y):
    """The largest |∂ penalty(net, x, y) / ∂ w| over all weights w of the net.

    0.0 if the penalty pulls at none.
    """
    ### BEGIN SOLUTION
    value = penalty(net, x, y)
    if not value.requires_grad:
        return 0.0
    weights = list(net.parameters())
    gradients = torch.autograd.grad(value, weights, allow_unused=True)
    pulls = (g.abs().max().item() for g in gradients if g is not None)
    return max(pulls, default=0.0)
    ### END SOLUTION


regulariser_pull = check("03.regulariser_pull", regulariser_pull)

# %%
kept = partial(slope_penalty, create_graph=True)
heavy, light = trained(10, kept), trained(0.3, kept)
pull, kept_pull = (regulariser_pull(p, plain, x, y) for p in (slope_penalty, kept))
pairs = zip(plain.parameters(), regularised.parameters(), strict=True)
same = all(torch.equal(a, b) for a, b in pairs)
none, much, little = (training.accuracy(net, x, y) for net in (plain, heavy, light))
pgd = partial(evasion.pgd, eps=0.1, steps=20)
before, after = (training.accuracy(n, pgd(n, x, y), y) for n in (plain, light))

# %%
claims(
    (
        "The penalty pulls at no weight: both networks are the same, weight for weight",
        pull == 0 and same,
    ),
    (
        "With its graph kept it pulls, and weight 10 costs more than 5 points",
        kept_pull > 0 and much < none - 0.05,
        f"{percent(none)} → {percent(much)}",
    ),
    (
        "With weight 0.3 it costs less than 2 points",
        little > none - 0.02,
        f"{percent(none)} → {percent(little)}",
    ),
    (
        "And buys at least 4 under PGD at ε = 0.1",
        after > before + 0.04,
        f"{percent(before)} → {percent(after)}",
    ),
)

# %% [markdown]
# ### The third colleague
#
# *"My pipeline standardises the pictures, as one does. At ε = 0.15 it keeps four digits in five. Yours keeps one in seven."*

# %%
mean = digits.x_train.mean((0, 2, 3))  # one channel: (1,)
std = digits.x_train.std((0, 2, 3))


def standardise(pixels):
    return (pixels - mean[:, None, None]) / std[:, None, None]


def on_z(z):
    return model(z * std[:, None, None] + mean[:, None, None])


z, black, white = standardise(x), standardise(0.0), standardise(1.0)
z_adv = z.clone()
for _ in range(20):
    at = z_adv.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(on_z(at), y, reduction="sum"), at)
    change = (z_adv + EPS / 4 * gradient.sign() - z).clamp(-EPS, EPS)
    z_adv = (z + change).clamp(black, white)
theirs = (on_z(z_adv).argmax(1) == y).float().mean().item()
figures.table([["standardised", percent(theirs)]], ["pipeline", "left at ε = 0.15"])


# %%
def pixel_change(z, z_adv, mean, std):
    """The largest change of any pixel, in the units of the raw pixels.

    z, z_adv: (batch, channels, height, width), standardised: (x − mean) / std of raw
    pictures x.  mean, std: (channels,).
    """
    ### BEGIN SOLUTION
    return ((z_adv - z) * std[:, None, None]).abs().max().item()
    ### END SOLUTION


pixel_change = check("03.pixel_change", pixel_change)

# %%
moved = pixel_change(z, z_adv, mean, std)
ours = {}
for e in (EPS, moved):
    x_adv = evasion.pgd(model, x, y, eps=e, steps=20)
    ours[e] = training.accuracy(model, x_adv, y)

# %%
claims(
    (
        "No pixel moved by more than 0.06: the ball was less than half as wide",
        moved < 0.06,
        number(moved),
    ),
    (
        "Both pipelines agree once ε means the same (within 4 points)",
        abs(ours[moved] - theirs) < 0.04,
        f"{percent(theirs)} theirs, {percent(ours[moved])} ours at the same ε",
    ),
    (
        "At 0.15 in pixels ours keeps less than 30 %",
        ours[EPS] < 0.3,
        percent(ours[EPS]),
    ),
)

# %% [markdown]
# ### The fourth colleague
#
# *"I attack my network with PGD at ε = 0.15, then read its answers. A quarter of the pictures still stand, or more."*


# %%
def fourth():
    """Their network, trained, and what PGD makes of x."""
    first = [nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
    net = nn.Sequential(*first, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))
    models.initialise(net, runtime.generator(0)).to(device)
    recipe = {"epochs": 10, "generator": runtime.generator(1)}
    training.fit(net, digits.x_train, digits.y_train, **recipe)
    return net, evasion.pgd(net, x, y, eps=EPS, steps=20)


normed, x_adv = fourth()
with torch.no_grad():
    theirs = (normed.train()(x_adv).argmax(1) == y).float().mean().item()
figures.table([["their network, under PGD", percent(theirs)]], ["", "still stand"])


# %%
def company(answer, x):
    """The share of the pictures whose class depends on the batch that they come in.

    answer(x) -> logits (batch, classes).  x: (batch, ...).
    Compare a picture's class in the whole batch with its class on its own.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        together = answer(x).argmax(1)
        alone = torch.cat([answer(x[i : i + 1]).argmax(1) for i in range(len(x))])
    return (together != alone).float().mean().item()
    ### END SOLUTION


company = check("03.company", company)

# %%
depends = company(normed, x_adv)
normed, _ = fourth()  # anew: in train mode every look has moved its running averages
mended = training.accuracy(normed, x_adv, y)
in_eval_mode = company(normed, x_adv)
full = evasion.pgd(normed, x, y, eps=EPS, steps=20, stop_early=False)
in_eval = training.accuracy(normed, full, y)
with torch.no_grad():
    in_train = (normed.train()(full).argmax(1) == y).float().mean().item()

# %%
claims(
    (
        "In train mode more than 3 % of the answers depend on the company",
        depends > 0.03,
        percent(depends),
    ),
    ("In eval mode none does", in_eval_mode == 0, percent(in_eval_mode)),
    (
        "In eval mode at least 5 points fewer stand",
        mended < theirs - 0.05,
        f"{percent(theirs)} → {percent(mended)}",
    ),
    (
        "Pictures of a full climb stand as rarely in either mode (within 6 points)",
        abs(in_train - in_eval) < 0.06,
        f"{percent(in_eval)}, {percent(in_train)}",
    ),
)

# %% [markdown]
# Train mode normalises each batch by its own mean, which nudges every picture. First successes stop just behind the boundary,
# so a nudge brings many back: luck again. It also *changes* the network, at every look.
#
# ### The fifth colleague
#
# *"In poor light (noise of 0.3) FGSM succeeds on more than a quarter of the pictures, at ε = 0.02 already."*

# %%
noise = torch.randn(x.shape, generator=runtime.generator(5)).to(device)
dark = (x + 0.3 * noise).clamp(0, 1)
x_adv = evasion.fgsm(model, dark, y, eps=0.02)
theirs = 1 - training.accuracy(model, x_adv, y)
figures.table([["FGSM, ε = 0.02, poor light", percent(theirs)]], ["", "succeeds on"])


# %%
def success_rate(model, x, x_adv, y):
    """Of the inputs that the model gets right, the share whose x_adv it gets wrong.

    0.0 if it gets none right.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        before, after = model(x).argmax(1) == y, model(x_adv).argmax(1) == y
    return (before & ~after).sum().item() / max(before.sum().item(), 1)
    ### END SOLUTION


success_rate = check("03.success_rate", success_rate)

# %%
nothing = 1 - training.accuracy(model, dark, y)
mended = success_rate(model, dark, x_adv, y)
lit = success_rate(model, x, evasion.fgsm(model, x, y, eps=0.02), y)

# %%
claims(
    (
        "At ε = 0 their count is more than an eighth already",
        nothing > 1 / 8,
        percent(nothing),
    ),
    (
        "Of the pictures that were read correctly less than a fifth fell",
        mended < 0.2,
        f"{percent(theirs)} → {percent(mended)}",
    ),
    (
        "That is still more than in good light",
        lit < mended,
        percent(lit),
    ),
)

# %% [markdown]
# <details><summary>The five answers</summary>
#
# 1. (a) The copy was judged on the pictures that it had asked about. Keep the attacker's data and the test data apart.
# 2. (e) Without `create_graph=True` the penalty was a constant and pulled at no weight. What costs *exactly* nothing does
#    exactly nothing.
# 3. (b) ε was in standardised units. In pixels the ball was 0.376 times as wide.
# 4. (d) The network was in train mode. Its answers depended on the batch, and on how often it had been asked.
# 5. (g) Pictures that were wrong without any attack were counted as successes. Run every attack at ε = 0 once. (Dark pictures
#    *are* easier prey; only the number was wrong.)
#
# </details>
#
# ## 7 · Quiz

# %%
quiz("03")

# %% [markdown]
# ### Further reading
#
# * A. Athalye, N. Carlini, D. Wagner, 2018, [*Obfuscated Gradients Give a False Sense of
#   Security*](https://arxiv.org/abs/1802.00420). Seven defences of one conference, broken; BPDA and the signs of masking.
# * A. Athalye, L. Engstrom, A. Ilyas, K. Kwok, 2018, [*Synthesizing Robust Adversarial
#   Examples*](https://arxiv.org/abs/1707.07397). Expectation over transformations.
# * N. Carlini et al., 2019, [*On Evaluating Adversarial Robustness*](https://arxiv.org/abs/1902.06705). The checklist.
# * F. Croce, M. Hein, 2020, [*Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
#   Attacks*](https://arxiv.org/abs/2003.01690).
# * F. Tramèr, N. Carlini, W. Brendel, A. Madry, 2020, [*On Adaptive Attacks to Adversarial Example
#   Defenses*](https://arxiv.org/abs/2002.08347). Thirteen more.
#
# In the library: `evasion/auto_pgd.py`, `evasion/adaptive.py`, `robustness/evaluation.py` and `robustness/flags.py`.

# %%
finish("03")
