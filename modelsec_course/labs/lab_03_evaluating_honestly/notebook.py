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
from modelsec_course.lab import check, claim, explore, figures, guarantee
from modelsec_course.lab import finish, quiz, start, threat
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
    """(batch,) True where no change within eps and [0, 1] makes softmax regression err: a closed form."""
    weight, logits = linear[-1].weight, linear(x)
    up, down = (1 - x).clamp(max=eps).flatten(1), (-x).clamp(min=-eps).flatten(1)  # how far each pixel may go
    stands = logits.argmax(1) == y
    for k in range(10):
        normal = weight[k] - weight[y]  # (batch, 64): what each pixel does for class k against class y
        gain = torch.maximum(normal * up, normal * down).sum(1)  # the most that the pixels can do together
        beaten = logits[:, k] - logits.gather(1, y[:, None]).squeeze(1) + gain > 0
        stands &= ~beaten | (k == y)
    return stands


truth = exact(x, y, EPS).float().mean().item()
claim("At ε = 0.15 exactly 66 of 360 digits stand, 18.3 %", round(360 * truth) == 66, f"{truth:.1%}")

# %% [markdown]
# Now the attacks of lab 01 on the same model. Guess: how close does PGD come with 40 steps?

# %%
fgsm = training.accuracy(linear, evasion.fgsm(linear, x, y, eps=EPS), y)
pgd = training.accuracy(linear, evasion.pgd(linear, x, y, eps=EPS, steps=40), y)
figures.bars(
    {"FGSM": fgsm, "PGD, 40 steps": pgd, "the truth": truth}, ylabel="robust accuracy", percent=True, horizontal=True,
    caption="Softmax regression on the digits at ε = 0.15 (L∞): what two attacks report, and what is true.",
)  # fmt: skip
claim("FGSM reports 10 points too much, PGD 4 or more", fgsm > truth + 0.1 and pgd > truth + 0.04,
      f"{fgsm:.1%}, {pgd:.1%}")  # fmt: skip

# %% [markdown]
# The model is linear and the gradient exact. More steps, then?

# %%
patient = training.accuracy(linear, evasion.pgd(linear, x, y, eps=EPS, steps=400), y)
claim("With 400 steps PGD still reports 4 points too much", patient > truth + 0.04, f"{patient:.1%}")

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
    Returns one number for each input, (batch,). Add 1e-12 below the line, for three logits that tie.
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
# Aim at one class k at a time: climb $z_k - z_y$, which is above 0 as soon as k beats y (and always 0 for k = y, which does no
# harm). Auto-PGD divides that by DLR's denominator. This helper climbs any score; its steps shrink, so it can cross the ball and
# still settle.


# %%
def climb(model, x, eps, score, steps=12):
    """From x, steps by the gradient's signs up score(logits), one number for each input; within eps and [0, 1]."""
    x_adv = x.clone()
    for k in range(steps):
        at = x_adv.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(score(model(at)).sum(), at)
        step = max(2 * eps * (1 - k / steps), eps / 8)
        x_adv = (x + (x_adv + step * gradient.sign() - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv


# %%
def every_target(model, x, y, eps):
    """Climb towards each class in turn, and keep for each input what fooled the model.

    model: returns logits (batch, classes).  x: (batch, channels, height, width) in [0, 1].  y: (batch,) true labels.
    Returns x_adv, shaped like x, within eps of x and in [0, 1]; x itself where nothing fooled the model.
    """
    found = x.clone()
    for k in range(model(x[:1]).shape[1]):
        ### BEGIN SOLUTION
        x_adv = climb(model, x, eps, lambda z, k=k: z[:, k] - z.gather(1, y[:, None]).squeeze(1))
        with torch.no_grad():
            fooled = model(x_adv).argmax(1) != y
        found = torch.where(fooled[:, None, None, None], x_adv, found)
        ### END SOLUTION
    return found


every_target = check("03.every_target", every_target)

# %%
reached = training.accuracy(linear, every_target(linear, x, y, EPS), y)
library = training.accuracy(linear, evasion.apgd(linear, x, y, eps=EPS, steps=40, loss="dlr-targeted"), y)
one_loss = training.accuracy(linear, climb(linear, x, EPS, lambda z: dlr_loss(z, y)), y)
claim("Trying every class hits the truth to the last digit, and so does the library's Auto-PGD",
      round(360 * reached) == round(360 * library) == 66, f"{reached:.1%}, {library:.1%}")  # fmt: skip
claim("A better loss alone does not", one_loss > truth + 0.01, f"{one_loss:.1%}")

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
# * **shattered gradient**: add a ripple of 0.01 · sin(5000 x) to every pixel, "to give the gradient no direction".

# %%
few, labels = x[:100], y[:100]
fakes = robustness.planted(model)
shown = {"no defence": training.accuracy(model, evasion.pgd(model, few, labels, eps=EPS, steps=20), labels)}
for name, fake in fakes.items():
    x_adv = evasion.pgd(fake.defended, few, labels, eps=EPS, steps=20)
    shown[name] = training.accuracy(fake.defended, x_adv, labels)
    print(f"{name:20} clean {training.accuracy(fake.defended, few, labels):4.0%}, under PGD {shown[name]:4.0%}")
claim("Without defence PGD leaves less than a third, behind each of the four more than half",
      shown["no defence"] < 1 / 3 and min(list(shown.values())[1:]) > 1 / 2)  # fmt: skip

# %% [markdown]
# Would you buy one? Nothing about the *network* has changed. Behind scaled logits, even the answers are the same, picture
# for picture. So what was measured is not the model but the attack: its gradient was taken away. That is **gradient
# masking** (Athalye, Carlini & Wagner, 2018).
#
# ### Exercise 3: a gradient where there is none
#
# Rounding is flat almost everywhere, so its gradient is 0. But its *value* is close to x. **Backward pass differentiable
# approximation** (BPDA) keeps the value and pretends that the gradient is the identity's.


# %%
def bpda(defence, x):
    """defence(x), with the gradient of x itself.

    defence: maps pictures to pictures of the same shape, close by.  x: (batch, ...), may require a gradient.
    """
    ### BEGIN SOLUTION
    return x + (defence(x) - x).detach()
    ### END SOLUTION


bpda = check("03.bpda", bpda)

# %% [markdown]
# Against noise the answer is to average: **expectation over transformations** takes the mean over many draws
# (`evasion.EOT`). Against scaled logits, attack the logits before they are scaled. So for each defence there is an attacker
# who knows it. The headline figure: one row a defence, one mark an attacker. Guess first: how far apart are the marks of a row?

# %% tags=["headline"]
defences = {"no defence": (model, model)} | {n: (f.defended, f.adaptive) for n, f in fakes.items()}
left = {
    name: {
        attacker: training.accuracy(defended, attack(defended, few, labels), labels)
        for attacker, attack in scene.rungs(adaptive, eps=EPS).items()
    }
    for name, (defended, adaptive) in defences.items()
}
scene.ladder(left, caption="What is left at ε = 0.15. A long bar means that the number depends on who attacks.")

# %%
knows = {name: shares["who knows the defence"] for name, shares in left.items()}
gap = {name: left[name]["PGD, 20 steps"] - knows[name] for name in fakes}
claim("Scaling, rounding and the ripple stop PGD and not the attacker who knows them: gaps of more than 70 points",
      min(gap["quantised input"], gap["shattered gradient"], gap["scaled logits"]) > 0.7)  # fmt: skip
claim("Noise gives a gap of more than 20 points", gap["input noise"] > 0.2, f"{gap['input noise']:.0%}")
claim("Square, which never asks for a gradient, breaks rounding and the ripple far more often than PGD does",
      all(left[n]["Square, 200 queries"] < left[n]["PGD, 20 steps"] - 0.3
          for n in ("quantised input", "shattered gradient")))  # fmt: skip
claim("Without a defence all but FGSM agree within 20 points",
      max(list(left["no defence"].values())[1:]) - min(left["no defence"].values()) < 0.2)  # fmt: skip

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
    for name, (defended, adaptive) in {n: defences[n] for n in ("no defence", "quantised input")}.items():
        at[name, e] = training.accuracy(
            defended, evasion.apgd(adaptive, few, labels, eps=e, loss="dlr-targeted"), labels
        )
    print(
        f"ε = {e}: no defence {at['no defence', e]:.0%}, rounding {at['quantised input', e]:.0%}, both attacked in the open"
    )
claim("At ε = 0.15 rounding leaves less than no defence, at 0.1 at least 10 points more",
      at["quantised input", EPS] < at["no defence", EPS]
      and at["quantised input", 0.1] > at["no defence", 0.1] + 0.1)  # fmt: skip

# %% [markdown]
# So below ε = ⅛ rounding really takes changes away, on these digits. One ε is one opinion. Climb the ladder yourself, one
# attacker after the other, and move ε. At which rung would you have stopped?

# %%
explore(
    scene.climb_the_ladder(model, x[:40], y[:40]),
    defence=list(fakes), eps=(0.05, 0.3, 0.05, 0.15), attackers=(1, 5, 1, 2),
    labels={"defence": "defence", "eps": "ε", "attackers": "attackers"},
    caption="40 digits. The hatched bar is the attacker who knows the defence; the dotted line is the bare network.",
)  # fmt: skip

# %% [markdown]
# ## 3 · The worst case, reported
#
# One attack is one opinion. A robust accuracy should be the **worst case over several**: an input stands only if it stands
# them all. The average of two attacks, or the better of their two accuracies, is not that.
#
# ### Exercise 4: who stands them all?


# %%
def worst_case(model, x, y, attacks, eps):
    """Run each attack on what the ones before it left standing.

    model: returns logits (batch, classes).  x: (batch, ...) in [0, 1].  y: (batch,) true labels.
    attacks: a dict of attack(model, x, y) -> x_adv by name. They may be wrong, or cheat: what is further than eps from x
    in some pixel (by more than 1e-6), or outside [0, 1], is no success.
    Returns (batch,) bool: True where the model is right, and stays right under every attack.
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
# The library's `robustness.worst_case` does that and keeps the books: who fell to what, at which price, with the interval
# that a count of 120 inputs deserves. (A success has to show in most of nine answers there. Section 5 says why.) Three real models:

# %%
some, truths = x[:120], y[:120]
reports = {}
for name in ("digits-cnn", "digits-cnn-pgd", "digits-cnn-trades"):
    victim = zoo.load(name, device=device)
    attacks = evasion.ensemble(eps=EPS, steps=20, queries=200)
    reports[name] = robustness.worst_case(victim, some, truths, attacks, eps=EPS)
    print(f"{name}: {reports[name]}\n")

# %%
robust = {name: report.robust for name, report in reports.items()}
mine = worst_case(model, some, truths, evasion.ensemble(eps=EPS, steps=20, queries=200), EPS)
claim("Your worst case and the library's agree (within one digit)",
      abs(mine.float().mean().item() - robust["digits-cnn"]) < 0.009)  # fmt: skip
claim("The plain network keeps less than a fifth, the two that were trained against attacks more than half",
      robust["digits-cnn"] < 0.2 and min(robust["digits-cnn-pgd"], robust["digits-cnn-trades"]) > 0.5,
      ", ".join(f"{value:.1%}" for value in robust.values()))  # fmt: skip
claim("After both white-box attacks the black box finds next to nothing (at most 2 of 120)",
      all(report.fell_to.count("Square, black-box") <= 2 for report in reports.values()))  # fmt: skip

# %% [markdown]
# ## 4 · Red flags
#
# You cannot know the right attack for every defence in advance. But masking leaves traces, and looking for them is cheap:
#
# * **no slope**: the cross-entropy's gradient is exactly 0 for some inputs;
# * **randomness**: two answers to the same question differ;
# * **black box**: inputs that stood a white-box attack fall to a black-box one;
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
    """The names of the flags that this model raises: "no slope", "randomness", "black box", "stands everything".

    model: returns logits (batch, classes).  x: (batch, 1, 8, 8) in [0, 1].  y: (batch,) true labels.
    A flag needs more than 5 % of all inputs; "randomness" needs two answers that differ. Use `white_box`, `black_box`
    and, for "stands everything", `any_change`.
    Returns a set of names, empty for an honest model.
    """
    flags = set()
    ### BEGIN SOLUTION
    with torch.no_grad():
        if not torch.allclose(model(x), model(x), atol=1e-3):
            flags.add("randomness")
    at = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(at), y, reduction="sum"), at)
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
honest = ("digits-cnn", "digits-linear", "digits-cnn-pgd", "digits-cnn-trades", "digits-cnn-ibp")
suspects = {name: fake.defended for name, fake in fakes.items()}
suspects |= {name: zoo.load(name, device=device) for name in honest}
raised = {name: masking_flags(suspect, x[:60], y[:60], EPS) for name, suspect in suspects.items()}
for name, flags in raised.items():
    print(f"{name:20} {', '.join(sorted(flags)) or 'no flag'}")
claim("Every fake raises a flag, and no honest model does",
      all(bool(flags) == (name in fakes) for name, flags in raised.items()))  # fmt: skip

# %% [markdown]
# A flag is no proof, and no flag is none either. It tells you where to look before you believe.
#
# ## 5 · Attacked again: luck
#
# Noise is the one fake that has a gradient; it only points elsewhere at every call. The textbook answer is to average it over
# many draws. But look at *how* PGD lost above: it leaves an input alone at its first success. With dice in the model, a
# first success may be luck, and at the next roll the picture is read correctly again.
#
# Two repairs, then: average 16 draws, for the gradient and for the verdict; or do not stop. Guess which one does more.


# %%
def attacked(net, samples, stop_early):
    """What 20 steps of PGD leave when every answer is the mean over `samples` draws."""
    attack = partial(evasion.pgd, eps=EPS, steps=20, stop_early=stop_early)
    return training.accuracy(net, attack(evasion.EOT(net, samples), few, labels), labels)


noisy = fakes["input noise"].defended
luck = {
    "stops at the first success": attacked(noisy, 1, True),
    "stops, mean of 16 draws": attacked(noisy, 16, True),
    "climbs on": attacked(noisy, 1, False),
    "climbs on, mean of 16 draws": attacked(noisy, 16, False),
    "no noise (control), stops": attacked(model, 1, True),
    "no noise (control), climbs on": attacked(model, 1, False),
}
figures.bars(
    luck, ylabel="accuracy under PGD", percent=True, horizontal=True,
    caption="Behind noise a first success may be luck. Without noise stopping costs nothing.",
)  # fmt: skip

# %%
claim(
    "Climbing on breaks at least 20 points more than stopping, and at least 10 more than averaging alone",
    luck["climbs on"] < min(luck["stops at the first success"] - 0.2, luck["stops, mean of 16 draws"] - 0.1),
)
claim("Once it climbs on, averaging changes less than 15 points",
      abs(luck["climbs on"] - luck["climbs on, mean of 16 draws"]) < 0.15)  # fmt: skip
claim("Without noise stopping makes no difference (within 3 points)",
      abs(luck["no noise (control), stops"] - luck["no noise (control), climbs on"]) < 0.03)  # fmt: skip

# %% [markdown]
# Averaging helps, since fewer successes are luck. But we had expected it to be the key, and it is not: twenty steps, each
# with fresh dice, are an average already.
#
# Luck works the other way as well. A worst case over *many* attacks gives every input many rolls. The next cell runs ten
# "attacks" that do nothing at all. Guess what your worst case reports.

# %%
nothing = {f"nothing {k}": lambda model, x, y: x for k in range(10)}
once = worst_case(noisy, few, labels, nothing, EPS).float().mean().item()
most = robustness.worst_case(noisy, few, labels, nothing, eps=EPS)
print(f"clean {most.clean:.0%}; ten times nothing: yours {once:.0%}, by the majority of nine answers {most.robust:.0%}")
print("\n".join(f"red flag: {flag}" for flag in most.flags))
claim("Ten attacks that do nothing 'break' more than 10 points of the noisy network",
      once < most.clean - 0.1)  # fmt: skip
claim("If a success has to show in most of nine answers, fewer are broken, and flags go up",
      most.robust > once and len(most.flags) > 0)  # fmt: skip

# %% [markdown]
# With dice in the model there is no single answer to count: show each result again, many times, and report the share.

# %%
guarantee(
    holds="Without dice in the model, an input that fell, fell: recount it on the returned tensor, inside the ball and the "
    "box, and it is certain.",
    does_not="An input that stands, stands these attacks. Robust accuracy from attacks is an upper bound.",
    adapts="The attacker reads the defence and attacks what is behind it. Publish the defence, or somebody else will.",
    cost="Several attacks with restarts and targets cost tens to hundreds of gradients for each input.",
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
shuffled = x[torch.randperm(len(x), generator=runtime.generator(2)).to(device)]
asked = shuffled[:100]
with torch.no_grad():
    answers = model(asked).argmax(1)
copied = models.initialise(models.cnn(), runtime.generator(0)).to(device)
training.fit(copied, asked, answers, epochs=40, generator=runtime.generator(1))
judged = shuffled[:100]
agreement = training.accuracy(copied, judged, model(judged).argmax(1))
print(f"the copy agrees with the victim on {agreement:.0%}")


# %%
def overlap(asked, judged):
    """How many of the `judged` pictures (n, 1, 8, 8) are also among the `asked` ones (m, 1, 8, 8): a whole number."""
    ### BEGIN SOLUTION
    return sum(any(torch.equal(one, other) for other in asked) for one in judged)
    ### END SOLUTION


overlap = check("03.overlap", overlap)

# %%
fresh = shuffled[100:]
mended = training.accuracy(copied, fresh, model(fresh).argmax(1))
claim("Every picture that the copy was judged on it had been trained on", overlap(asked, judged) == 100)
claim("On fresh pictures it agrees on at least 4 points fewer", overlap(asked, fresh) == 0 and mended < agreement - 0.04,
      f"{agreement:.0%} → {mended:.0%}")  # fmt: skip

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
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))
    models.initialise(net, runtime.generator(0)).to(device)
    loss = lambda net, x, y: F.cross_entropy(net(x), y) + weight * penalty(net, x, y)  # noqa: E731
    training.fit(net, digits.x_train, digits.y_train, loss=loss, epochs=15, generator=runtime.generator(1))
    return net


plain, regularised = trained(0), trained(10)
print(f"without: {training.accuracy(plain, x, y):.2%}, with the penalty: {training.accuracy(regularised, x, y):.2%}")


# %%
def regulariser_pull(penalty, net, x, y):
    """The largest |∂ penalty(net, x, y) / ∂ w| over all weights w of the net: 0.0 if the penalty pulls at none."""
    ### BEGIN SOLUTION
    value = penalty(net, x, y)
    if not value.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(value, list(net.parameters()), allow_unused=True)
    return max((g.abs().max().item() for g in gradients if g is not None), default=0.0)
    ### END SOLUTION


regulariser_pull = check("03.regulariser_pull", regulariser_pull)

# %%
kept = partial(slope_penalty, create_graph=True)
heavy, light = trained(10, kept), trained(0.3, kept)
clean = {name: training.accuracy(net, x, y) for name, net in (("none", plain), ("10", heavy), ("0.3", light))}
stand = [training.accuracy(net, evasion.pgd(net, x, y, eps=0.1, steps=20), y) for net in (plain, light)]
claim("The penalty pulls at no weight: it is a constant, and both networks are the same, weight for weight",
      regulariser_pull(slope_penalty, plain, x, y) == 0
      and all(torch.equal(a, b) for a, b in zip(plain.parameters(), regularised.parameters(), strict=True)))  # fmt: skip
claim("With its graph kept it pulls, and weight 10 costs more than 5 points of accuracy",
      regulariser_pull(kept, plain, x, y) > 0 and clean["10"] < clean["none"] - 0.05,
      f"{clean['none']:.1%} → {clean['10']:.1%}")  # fmt: skip
claim("With weight 0.3 it costs less than 2 points and buys at least 4 at ε = 0.1",
      clean["0.3"] > clean["none"] - 0.02 and stand[1] > stand[0] + 0.04,
      f"clean {clean['0.3']:.1%}; under PGD {stand[0]:.1%} → {stand[1]:.1%}")  # fmt: skip

# %% [markdown]
# ### The third colleague
#
# *"My pipeline standardises the pictures, as one does. At ε = 0.15 it keeps four digits in five. Yours keeps one in seven."*

# %%
mean, std = digits.x_train.mean((0, 2, 3)), digits.x_train.std((0, 2, 3))  # one channel: (1,), (1,)
z, black, white = ((pixels - mean[:, None, None]) / std[:, None, None] for pixels in (x, 0.0, 1.0))
on_z = lambda z: model(z * std[:, None, None] + mean[:, None, None])  # noqa: E731
z_adv = z.clone()
for _ in range(20):
    at = z_adv.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(on_z(at), y, reduction="sum"), at)
    z_adv = (z + (z_adv + EPS / 4 * gradient.sign() - z).clamp(-EPS, EPS)).clamp(black, white)
theirs = (on_z(z_adv).argmax(1) == y).float().mean().item()
print(f"standardised, at ε = {EPS}: {theirs:.1%}")


# %%
def pixel_change(z, z_adv, mean, std):
    """The largest change of any pixel between standardised pictures, in the units of the raw pixels.

    z, z_adv: (batch, channels, height, width), (x − mean) / std of raw pictures x.  mean, std: (channels,).
    """
    ### BEGIN SOLUTION
    return ((z_adv - z) * std[:, None, None]).abs().max().item()
    ### END SOLUTION


pixel_change = check("03.pixel_change", pixel_change)

# %%
moved = pixel_change(z, z_adv, mean, std)
yours = training.accuracy(model, evasion.pgd(model, x, y, eps=EPS, steps=20), y)
at_theirs = training.accuracy(model, evasion.pgd(model, x, y, eps=moved, steps=20), y)
claim("No pixel moved by more than 0.06: the ball was less than half as wide", moved < 0.06, f"{moved:.3f}")
claim("Both pipelines agree once ε means the same (within 4 points)", abs(at_theirs - theirs) < 0.04 and yours < 0.3,
      f"{theirs:.1%} theirs, {at_theirs:.1%} ours at the same ε, {yours:.1%} at 0.15")  # fmt: skip

# %% [markdown]
# ### The fourth colleague
#
# *"I attack my network with PGD at ε = 0.15, then read its answers. A quarter of the pictures still stand, or more."*


# %%
def fourth():
    """Their network, trained, and what PGD makes of x."""
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)
    )
    models.initialise(net, runtime.generator(0)).to(device)
    training.fit(net, digits.x_train, digits.y_train, epochs=10, generator=runtime.generator(1))
    return net, evasion.pgd(net, x, y, eps=EPS, steps=20)


normed, x_adv = fourth()
with torch.no_grad():
    theirs = (normed.train()(x_adv).argmax(1) == y).float().mean().item()
print(f"{theirs:.1%} stand")


# %%
def company(answer, x):
    """The share of the pictures x (batch, ...) whose class depends on the batch that they come in.

    answer(x) -> logits (batch, classes). Compare a picture's class in the whole batch with its class on its own.
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
claim("In train mode more than 3 % of the answers depend on the company, in eval mode none",
      depends > 0.03 and company(normed, x_adv) == 0, f"{depends:.1%}")  # fmt: skip
claim("In eval mode at least 5 points fewer stand", mended < theirs - 0.05, f"{theirs:.1%} → {mended:.1%}")
full = evasion.pgd(normed, x, y, eps=EPS, steps=20, stop_early=False)
in_eval = training.accuracy(normed, full, y)
with torch.no_grad():
    in_train = (normed.train()(full).argmax(1) == y).float().mean().item()
claim("Pictures of a full climb stand as rarely in either mode (within 6 points)", abs(in_train - in_eval) < 0.06,
      f"{in_eval:.1%}, {in_train:.1%}")  # fmt: skip

# %% [markdown]
# Train mode normalises each batch by its own mean, which nudges every picture. First successes stop just behind the boundary,
# so a nudge brings many back: luck again. It also *changes* the network, at every look.
#
# ### The fifth colleague
#
# *"In poor light (noise of 0.3) FGSM succeeds on more than a quarter of the pictures, at ε = 0.02 already."*

# %%
dark = (x + 0.3 * torch.randn(x.shape, generator=runtime.generator(5)).to(device)).clamp(0, 1)
x_adv = evasion.fgsm(model, dark, y, eps=0.02)
theirs = 1 - training.accuracy(model, x_adv, y)
print(f"success: {theirs:.1%}")


# %%
def success_rate(model, x, x_adv, y):
    """Of the inputs that the model gets right, the share whose x_adv it gets wrong; 0.0 if it gets none right."""
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
claim("At ε = 0 their count is more than an eighth already", nothing > 1 / 8, f"{nothing:.1%}")
claim("Of the pictures that were read correctly less than a fifth fell: still more than in good light",
      lit < mended < 0.2, f"{theirs:.1%} → {mended:.1%}; in good light {lit:.1%}")  # fmt: skip

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
# * A. Athalye, N. Carlini, D. Wagner, 2018, *Obfuscated Gradients Give a False Sense of Security*. Seven defences of one conference,
#   broken; BPDA and the signs of masking.
# * A. Athalye, L. Engstrom, A. Ilyas, K. Kwok, 2018, *Synthesizing Robust Adversarial Examples*. Expectation over transformations.
# * N. Carlini et al., 2019, *On Evaluating Adversarial Robustness*. The checklist.
# * F. Croce, M. Hein, 2020, *Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks*.
# * F. Tramèr, N. Carlini, W. Brendel, A. Madry, 2020, *On Adaptive Attacks to Adversarial Example Defenses*. Thirteen more.
#
# In the library: `evasion/auto_pgd.py`, `evasion/adaptive.py`, `robustness/evaluation.py` and `robustness/flags.py`.

# %%
finish("03")
