# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 01 · White-box evasion

# %%
import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import data, evasion, models, runtime, statistics, training, zoo
from modelsec_course.data import signs
from modelsec_course.lab import check, claim, claims, explore, figures, finish
from modelsec_course.lab import guarantee, predict, quiz, start, threat
from modelsec_course.lab.words import interval, number, percent
from modelsec_course.labs.lab_01_white_box_evasion import scene

start("01")

# %%
threat.card("01")

# %% [markdown]
# ## 1 · The idea
#
# A classifier's loss $L(x, y)$ depends on its weights and on its input. Training moves the weights *down* the loss. An
# attacker moves the **input** *up*, by so little that a person does not mind:
#
# $$ \max_{x'} L(x', y) \quad\text{with}\quad \lVert x' - x \rVert \le \varepsilon \quad\text{and}\quad x' \in [0, 1]^d. $$
#
# **White-box** means that the attacker knows the model, so the gradient of the loss is there to be followed.
#
# The first victim reads handwritten digits, 8×8 pixels from 0 (black) to 1 (white). They are small, so that you can
# attack hundreds in a second. Section 2 goes out into the street.

# %%
device = runtime.device()
digits = data.load("digits").to(device)
x, y = digits.x_test, digits.y_test  # (360, 1, 8, 8) in [0, 1], (360,)
model = zoo.load("digits-cnn", device=device)
clean = training.accuracy(model, x, y)
clear = [24, 123, 34, 20, 95, 18, 71, 147, 26, 92]  # of each digit one that people read
labels = [str(k) for k in range(10)]
figures.pictures([x[clear]], labels, caption="Ten test digits and their labels.")

# %%
claim("The victim reads more than 95 % of unseen digits", clean > 0.95, percent(clean))


# %% [markdown]
# ### Exercise 1: the fast gradient sign method
#
# In training you take gradients with respect to weights. PyTorch gives you one for *any* tensor that asked for it before
# the loss was computed:

# %%
at = torch.tensor([0.2, 0.5]).requires_grad_()
loss = 3 * at[0] - at[1]
torch.autograd.grad(loss, at)  # a tuple, with one gradient for each tensor named

# %% [markdown]
# So this loss rises when the first number grows and the second falls. (`loss.backward()` does the same and leaves the
# gradient in `at.grad`.) Now let `at` be a picture.
#
# If the loss were linear, which change of at most ε in each pixel would raise it most? Every pixel moves by the full ε, up
# or down as its gradient says:
#
# $$ x' = \operatorname{clamp}_{[0,1]}\bigl(x + \varepsilon \operatorname{sign} \nabla_x L(x, y)\bigr). $$
#
# One gradient, one step (Goodfellow, Shlens & Szegedy, 2015).


# %%
def fgsm(model, x, y, eps):
    """One step of length eps up the loss.

    model: returns logits (batch, classes).
    x: (batch, ...) in [0, 1].  y: (batch,) true labels.
    Returns x_adv, shaped like x: within eps of x in every pixel, and in [0, 1].
    """
    ### BEGIN SOLUTION
    at = x.clone().requires_grad_()
    loss = F.cross_entropy(model(at), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, at)
    return (x + eps * gradient.sign()).clamp(0, 1)
    ### END SOLUTION


fgsm = check("01.fgsm", fgsm)

# %% [markdown]
# The victim reads almost every digit. Now move each pixel by ε = 0.1, a tenth of the way from black to white. Guess
# first: move the slider before you run the cell after it.

# %%
guess_fgsm = predict(
    "01.fgsm", "What accuracy does FGSM leave at ε = 0.1?", percent=True
)

# %%
left = training.accuracy(model, fgsm(model, x, y, 0.1), y)
some = fgsm(model, x[clear], y[clear], 0.1)
said = model(some).argmax(1)
figures.pictures(
    [x[clear], some - x[clear], some],
    titles=[labels, [""] * 10, [f"says {k}" for k in said]],
    row_labels=["clean", "change", "FGSM"],
    wrong=[None, None, said != y[clear]],
    caption="Ten digits under FGSM at ε = 0.1. In the change, red is lighter, blue "
    "darker, and white has not moved: a black pixel that should get darker cannot.",
)

# %%
claim(
    "FGSM at ε = 0.1 costs more than a third of the answers",
    left < 2 / 3 * clean,
    f"{percent(clean)} → {percent(left)}",
    guess_fgsm,
)

# %% [markdown]
# Is that surprising? Perhaps *any* change of that size would have done it. So try a **control**: move every pixel by a
# random ±0.15, as far as black and white allow. FGSM had only 0.1.


# %%
guess_random = predict(
    "01.random", "What accuracy do random changes of ±0.15 leave?", percent=True
)


# %%
def random_signs(x, eps, seed=0, block=1):
    """The control: every pixel by ±eps at random.

    block: this many pixels each way move together.
    """
    n, channels, height, width = x.shape
    shape = (n, channels, height // block, width // block)
    draw = torch.rand(shape, generator=runtime.generator(seed)).to(x.device)
    ways = F.interpolate((draw - 0.5).sign(), scale_factor=block)
    return (x + eps * ways).clamp(0, 1)


noisy = training.accuracy(model, random_signs(x, 0.15), y)

# %%
claim(
    "Random signs of ±0.15 leave more than 94 %",
    noisy > 0.94,
    percent(noisy),
    guess_random,
)

# %% [markdown]
# Noise barely matters; **direction** does. In 64 dimensions almost every direction is harmless, and the gradient points
# at one that is not. So accuracy under noise says little about an attacker with a budget of the same size: noise does not
# look for that direction.
#
# ### Exercise 2: projected gradient descent
#
# The loss is not linear, so the gradient turns on the way. PGD takes many small steps of length α and looks again after
# each (Madry et al., 2018). Whoever steps too far is put back: $\Pi$ stands for the closest picture in the ball
# $B_\varepsilon(x)$, all that is within ε of x in every pixel, and in [0, 1].
#
# $$ x_{t+1} = \Pi_{B_\varepsilon(x) \cap [0,1]^d}\bigl(x_t + \alpha \operatorname{sign} \nabla_x L(x_t, y)\bigr). $$


# %%
def pgd(model, x, y, eps, steps=20, step_size=None):
    """Many small steps up the loss, from x, each followed by a step back into the ball.

    x: (batch, ...) in [0, 1].  y: (batch,) true labels.
    step_size: length of a step; None means eps / 4.
    Returns x_adv, shaped like x: within eps of x in every pixel, and in [0, 1].
    """
    step_size = eps / 4 if step_size is None else step_size
    ### BEGIN SOLUTION
    x_adv = x.clone()
    for _ in range(steps):
        at = x_adv.clone().requires_grad_()
        loss = F.cross_entropy(model(at), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, at)
        x_adv = x_adv + step_size * gradient.sign()
        x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)
    return x_adv
    ### END SOLUTION


pgd = check("01.pgd", pgd)

# %% [markdown]
# ## 2 · Out into the street
#
# People, too, can hardly read 8×8 pixels under attack. So take your PGD, as it is, to photographs that you read at a
# glance. The next victim knows 24 road signs. Its camera gives 64×64 pixels; it averages 2×2 of them and hands the rest
# to a convolutional network. The budget is ε = 8/255, 3 % of the way from black to white. What will STOP become?

# %% tags=["headline"]
reader = nn.Sequential(nn.AvgPool2d(2), zoo.load("signs-poolnet", device=device))


def drive_past(kinds, seed):
    """A photograph of each of these signs, (n, 3, 64, 64), in a street of its own."""
    generator = runtime.generator(seed)
    return signs.photograph(signs.templates(), kinds, size=64, generator=generator).to(
        device
    )


stop = torch.zeros(24, dtype=torch.int64)  # stop is class 0
photos, stop = drive_past(stop, seed=12), stop.to(device)
attacked = pgd(reader, photos, stop, 8 / 255)
with torch.no_grad():
    before, after = reader(photos).softmax(1), reader(attacked).softmax(1)
fallen = after.argmax(1) != stop
first = int(fallen.int().argmax())  # the first that fell
figures.before_after(
    photos[first],
    attacked[first],
    (before[first], after[first]),
    signs.CLASSES,
    truth=0,
    caption="The first of 24 STOP signs that falls to PGD at ε = 8/255.",
)

# %% [markdown]
# That was one sign. What do all 24 become?

# %%
became = after.argmax(1).bincount(minlength=24) / 24
most = [k for k in became.argsort(descending=True).tolist() if became[k] > 0]
figures.bars(
    {signs.CLASSES[k]: became[k] for k in most},
    roles={signs.CLASSES[k]: "attack" for k in most if k != 0},
    ylabel="share of the 24 STOP signs",
    horizontal=True,
    percent=True,
    caption="What 24 STOP signs are to the model after PGD at ε = 8/255, when any "
    "wrong answer will do.",
)

# %% [markdown]
# And can the attacker *choose*? For a **targeted** attack, walk *down* the loss of the answer you want. Which of these
# three is hardest to reach from a STOP sign: a limit of 120, give way, or priority road? Two of
# them share its red.

# %%
wanted = {}
for name in ("limit 120", "give way", "priority road"):
    target = torch.full_like(stop, signs.CLASSES.index(name))
    x_adv = evasion.pgd(reader, photos, target, eps=8 / 255, steps=20, targeted=True)
    wanted[name] = training.accuracy(reader, x_adv, target)
figures.bars(
    wanted,
    roles=dict.fromkeys(wanted, "attack"),
    ylabel="share of the 24 STOP signs",
    horizontal=True,
    percent=True,
    caption="How many STOP signs become what the attacker wants, at the same ε.",
)

# %%
claims(
    (
        "More than 80 % of the STOP signs fall to PGD at ε = 8/255",
        fallen.float().mean() > 0.8,
        f"{fallen.sum()} of 24",
    ),
    (
        "More than two thirds become a limit of 120 when the attacker wants it",
        wanted["limit 120"] > 2 / 3,
        percent(wanted["limit 120"], 0),
    ),
    (
        "Priority road is the hardest of the three: at least 10 points fewer",
        wanted["priority road"] < min(wanted["limit 120"], wanted["give way"]) - 0.1,
        percent(wanted["priority road"], 0),
    ),
)

# %% [markdown]
# Red, eight corners, four letters: for you nothing has changed. So the model's answer hangs on more than these. Is STOP a
# special case? Measure 72 signs, three of each kind, at three sizes of ε. Each share comes with a 95 % interval: 72 signs
# are few, and the share of all such signs may be anywhere in it. In the control 2×2 pixels move together: the model
# averages 2×2, and of single pixels' noise that would leave half.

# %%
guess_signs = predict(
    "01.signs",
    "What share of the signs that the model reads does PGD fool at ε = 8/255?",
    percent=True,
)

# %%
kinds = torch.arange(72) % 24
streets, kinds = drive_past(kinds, seed=13), kinds.to(device)
read = reader(streets).argmax(1) == kinds  # those read correctly when nobody attacks
streets, kinds = streets[read], kinds[read]
n = len(kinds)
steps = (2, 4, 8)  # ε in 1/255
fooled = {
    name: [1 - training.accuracy(reader, attack(e / 255), kinds) for e in steps]
    for name, attack in {
        "PGD": lambda eps: pgd(reader, streets, kinds, eps),
        "FGSM": lambda eps: fgsm(reader, streets, kinds, eps),
        "random signs": lambda eps: random_signs(streets, eps, block=2),
    }.items()
}

# %%
ends = {
    name: [statistics.clopper_pearson(round(share * n), n) for share in shares]
    for name, shares in fooled.items()
}
roles = {"PGD": "attack", "random signs": "control"}
figures.curves(
    steps,
    fooled,
    xlabel="ε (in 1/255)",
    ylabel="share of the signs that is fooled",
    percent=True,
    log="x",
    ylim=(-0.02, 1.02),
    bands={name: tuple(zip(*pairs, strict=True)) for name, pairs in ends.items()},
    roles=roles,
    guess=guess_signs,
    caption="Of the road signs that the model reads correctly, the share that it no "
    "longer does. Shaded: 95 % intervals.",
)
last = {name: shares[-1] for name, shares in fooled.items()}  # at ε = 8/255

# %%
claims(
    (
        "At ε = 8/255 PGD fools more than 80 % of the signs",
        last["PGD"] > 0.8,
        f"{percent(last['PGD'], 0)}, 95 % interval {interval(*ends['PGD'][-1])}",
        guess_signs,
    ),
    (
        "FGSM fools fewer, by more than 15 points",
        last["FGSM"] < last["PGD"] - 0.15,
        percent(last["FGSM"], 0),
    ),
    (
        "Random signs of ±8/255 fool less than 3 %",
        last["random signs"] < 0.03,
        percent(last["random signs"]),
    ),
)

# %% [markdown]
# At 2/255 few signs fall, at 8/255 most do. Move ε yourself. When do *you* see the change, and when does the model
# err?

# %%
by_kind = kinds.argsort(stable=True)[::3]  # one sign of each kind, or nearly
attacks = {
    "PGD": pgd,
    "FGSM": fgsm,
    "random signs": lambda model, x, y, eps: random_signs(x, eps, block=2),
}
explore(
    scene.attack_a_sign(
        reader, streets[by_kind], kinds[by_kind], signs.CLASSES, attacks
    ),
    sign=(0, len(by_kind) - 1, 1, 0),
    eps=(0, 16, 1, 8),
    attack=list(attacks),
    labels={"sign": "street", "eps": "ε (in 1/255)", "attack": "attack"},
    caption="One sign: the photograph, the change around grey, the sum, and the "
    "model's likeliest answers.",
)

# %% [markdown]
# ### Where do FGSM and PGD part?
#
# Back to the digits: two attacks, one control, six sizes of ε.

# %%
guess_pgd = predict(
    "01.pgd", "What accuracy do 20 steps of PGD leave at ε = 0.15?", percent=True
)

# %%
budgets = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3]
perturbed = {
    "random signs": [random_signs(x, e) for e in budgets],
    "FGSM": [fgsm(model, x, y, e) for e in budgets],
    "PGD": [pgd(model, x, y, e) for e in budgets],
}
after = {
    name: [training.accuracy(model, x_adv, y) for x_adv in sizes]
    for name, sizes in perturbed.items()
}
figures.curves(
    budgets,
    after,
    xlabel="L∞ ε (pixels are in [0, 1])",
    ylabel="accuracy on the 360 digits",
    percent=True,
    ylim=(-0.02, 1.02),
    roles=roles,
    guess=guess_pgd,
    caption="What is left of the accuracy under two attacks, and under the control.",
)
noise_left, fgsm_left, pgd_left = (
    dict(zip(budgets, shares, strict=True)) for shares in after.values()
)

# %%
claims(
    (
        "At ε = 0.05 FGSM and PGD are within two points",
        abs(pgd_left[0.05] - fgsm_left[0.05]) < 0.02,
        f"{percent(fgsm_left[0.05])}, {percent(pgd_left[0.05])}",
    ),
    (
        "At ε = 0.15 PGD leaves at least 4 points less than FGSM",
        pgd_left[0.15] < fgsm_left[0.15] - 0.04,
        f"{percent(pgd_left[0.15])} against {percent(fgsm_left[0.15])}",
        guess_pgd,
    ),
    (
        "At ε = 0.3 PGD leaves less than 1 %, random signs more than 75 %",
        pgd_left[0.3] < 0.01 and noise_left[0.3] > 0.75,
        f"{percent(pgd_left[0.3])}, {percent(noise_left[0.3])}",
    ),
)

# %% [markdown]
# Up to ε = 0.05 these digits' loss is as good as flat, and one look is enough. Farther out the gradient turns, and it pays
# to look again. The road signs are another model: there PGD was ahead of FGSM at 2/255 already.

# %% [markdown]
# ## 3 · How little is enough?
#
# So far you fixed ε and asked who falls. Now ask each digit how little *it* needs. Lab 00 had a formula for that: in
# front of a linear boundary the L2 distance is $|f(x)| / \lVert w \rVert_2$.
#
# ### Exercise 3: DeepFool
#
# Pretend that the model is linear around x, step onto the nearest boundary, look again, repeat
# (Moosavi-Dezfooli, Fawzi & Frossard, 2016). With logits $z$, class k begins where the gap $g_k = z_y - z_k$ has shrunk to
# 0 (it is positive while the model is right), and $w_k = \nabla z_k - \nabla z_y$ points there:
#
# $$ d_k = \frac{g_k}{\lVert w_k \rVert_2}, \qquad k^* = \arg\min_{k \ne y} d_k, \qquad x \leftarrow x + \frac{g_{k^*}}{\lVert w_{k^*} \rVert_2^2}\, w_{k^*}. $$
#
# In the step, put $1.01\,(g + 0.0001)$ in place of $g$, which goes 1 % and a hair further: exactly on the boundary two
# logits tie, and you are stuck there. Two more things. For k = y, $d_k$ is 0 / 0, which is NaN: put infinity there. And a
# step may leave [0, 1]: clamp. This helper gives you the gradients, flattened (`.view_as(x)` makes pictures of them):


# %%
def class_gradients(model, x):
    """The logits (batch, classes), their gradients in x (batch, classes, features)."""
    at = x.clone().requires_grad_()
    logits = model(at)
    each = [
        torch.autograd.grad(logits[:, k].sum(), at, retain_graph=True)[0]
        for k in range(logits.shape[1])
    ]
    return logits.detach(), torch.stack(each, dim=1).flatten(2)


# %%
def deepfool(model, x, y, steps=20):
    """Step onto the nearest boundary of the linearised model until the class changes.

    x: (batch, ...) in [0, 1].  y: (batch,) true labels.
    Returns x_adv, shaped like x, in [0, 1]; inputs that the model already gets wrong
    come back as they are.
    """
    x_adv, rows = x.clone(), torch.arange(len(x), device=x.device)
    for _ in range(steps):
        # (batch, classes) and (batch, classes, features)
        logits, gradients = class_gradients(model, x_adv)
        standing = logits.argmax(1) == y  # (batch,)
        if not standing.any():
            break
        ### BEGIN SOLUTION
        gap = logits[rows, y][:, None] - logits  # (batch, classes)
        normal = gradients - gradients[rows, y][:, None]
        distance = gap / normal.norm(dim=2).clamp_min(1e-12)
        distance[rows, y] = torch.inf
        k = distance.argmin(1)  # the nearest boundary of each input
        stride = 1.01 * (gap[rows, k] + 1e-4) / normal[rows, k].norm(dim=1) ** 2
        moved = (x_adv + (stride[:, None] * normal[rows, k]).view_as(x)).clamp(0, 1)
        x_adv = torch.where(standing[:, None, None, None], moved, x_adv)
        ### END SOLUTION
    return x_adv


deepfool = check("01.deepfool", deepfool)

# %% [markdown]
# Why test an attack on a *linear* model? Because there you know the answer. An attack that misses a distance you know is
# not to be trusted with one you do not: it would make the model look more robust than it is.
#
# ### Exercise 4: Carlini & Wagner's attack
#
# DeepFool takes the first boundary it meets. Carlini & Wagner (2017) *optimise* the length instead:
#
# $$ \min_v\; \lVert x' - x \rVert_2^2 + c \cdot \max\bigl(z_y - \max_{k \ne y} z_k,\, 0\bigr), \qquad x' = \tfrac12(\tanh v + 1). $$
#
# The tanh keeps pixels in [0, 1] whatever v is. The second term is 0 once the model errs: c weighs fooling it against
# staying close.


# %%
def carlini_wagner(model, x, y, c=1.0, steps=100, lr=0.1):
    """The closest x_adv that Adam meets on its way down from x.

    It minimises ‖x_adv − x‖² + c · max(z_y − best other logit, 0).
    x: (batch, ...) in [0, 1].  y: (batch,) true labels.
    c: the weight of fooling against staying close.  lr: Adam's learning rate.
    Returns x_adv, shaped like x, in [0, 1]; an input for which nothing fooled the
    model, or whose answer was wrong already, comes back as it is.
    """
    v = torch.atanh((2 * x - 1) * 0.9999).requires_grad_()
    optimiser = torch.optim.Adam([v], lr=lr)
    best = x.clone()
    # length of the change in `best`
    shortest = torch.full((len(x),), torch.inf, device=x.device)
    shortest[model(x).argmax(1) != y] = 0.0
    for _ in range(steps):
        ### BEGIN SOLUTION
        x_adv = (v.tanh() + 1) / 2
        logits = model(x_adv)
        other = logits.scatter(1, y[:, None], -torch.inf).amax(1)
        # positive while the model is right
        gap = logits.gather(1, y[:, None]).squeeze(1) - other
        length = (x_adv - x).flatten(1).norm(dim=1)
        closer = (gap < 0) & (length < shortest)
        best[closer] = x_adv[closer].detach()
        shortest[closer] = length[closer].detach()
        loss = ((x_adv - x) ** 2).sum() + (c * gap.clamp(min=0)).sum()
        optimiser.zero_grad()
        (v.grad,) = torch.autograd.grad(loss, v)
        optimiser.step()
        ### END SOLUTION
    return best


carlini_wagner = check("01.carlini_wagner", carlini_wagner)

# %% [markdown]
# Which c? Too small, and nothing is fooled. Too large, and Adam runs far across the boundary, and 100 steps do not bring
# it back. Try.

# %%
right = model(x).argmax(1) == y
few, truth = x[right][:60], y[right][:60]  # digits that the victim reads correctly


def length(x_adv, x):
    """The L2 length of each change, (batch,)."""
    return (x_adv - x).flatten(1).norm(dim=1)


tried = {}  # c: length of each change, infinite where nothing was fooled
for c in (0.02, 0.05, 0.1, 1.0, 10.0):
    x_adv = carlini_wagner(model, few, truth, c)
    fools = model(x_adv).argmax(1) != truth
    tried[c] = torch.where(fools, length(x_adv, few), torch.inf)
fooling = {c: tried[c].isfinite().float().mean().item() for c in tried}
figures.table(
    [(number(c), percent(fooling[c], 0), tried[c].median()) for c in tried],
    ["c", "digits fooled", "median length"],
    "60 digits. One that is not fooled counts as infinitely long.",
)

# %% [markdown]
# Of these five, c = 0.1 does best: at 0.05 the median is about as short, but a third of the digits, or nearly, do not fall.
# You would not know 0.1 beforehand, and no single c suits every digit. The library's `evasion.carlini_wagner` searches each
# digit's own c: here four values, with 100 steps for each. To be fair, c = 1 gets 400 steps, too.

# %%
found = evasion.carlini_wagner(model, few, truth, steps=100, searches=4)
searched, walked = length(found, few), length(deepfool(model, few, truth), few)
patient = length(carlini_wagner(model, few, truth, 1.0, steps=400), few)
results = {
    "C&W, c = 1": tried[1.0],
    "C&W, c = 1, 400 steps": patient,
    "DeepFool": walked,
    "C&W, c = 0.1": tried[0.1],
    "C&W, c searched": searched,
}
medians = {name: values.median().item() for name, values in results.items()}
spent = ("100", "400", "at most 200", "100", "400")  # DeepFool: 20 steps of 10 classes
figures.table(
    [(name, n, m) for (name, m), n in zip(medians.items(), spent, strict=True)],
    ["attack", "gradients a digit", "median length"],
    "What each attack spends, and what it finds.",
)
shares = torch.linspace(0, 1, 60)
figures.curves(
    shares,
    {name: values.cpu().quantile(shares) for name, values in results.items()},
    roles={"C&W, c searched": "attack"},
    xlabel="share of the 60 digits that need less",
    ylabel="L2 length of the change",
    caption="The smallest changes found, sorted. Lower is a better attack.",
)
shortest = torch.stack(list(tried.values())).argmin(0)  # which c, for each digit

# %%
claims(
    (
        "c = 0.02 fools less than a fifth, c = 1 fools every digit",
        fooling[0.02] < 0.2 and fooling[1.0] == 1,
        f"{percent(fooling[0.02], 0)}, {percent(fooling[1.0], 0)}",
    ),
    (
        "For at least a fifth of the digits 0.05 or less does best",
        (shortest <= 1).float().mean() >= 0.2,
        percent((shortest <= 1).float().mean(), 0),
    ),
    (
        "With four times the steps, c = 1 finds changes at least a tenth shorter",
        medians["C&W, c = 1, 400 steps"] < 0.9 * medians["C&W, c = 1"],
        f"{number(medians['C&W, c = 1'])} → {number(medians['C&W, c = 1, 400 steps'])}",
    ),
    (
        "The search is within 5 % of the best attack of the table",
        medians["C&W, c searched"] < 1.05 * min(medians.values()),
        number(medians["C&W, c searched"]),
    ),
    (
        "So is DeepFool, within 10 %",
        medians["DeepFool"] < 1.1 * min(medians.values()),
        number(medians["DeepFool"]),
    ),
    (
        "Half of the digits flip under a change of less than a sixth of their own "
        "length",
        (walked / few.flatten(1).norm(dim=1)).median() < 1 / 6,
    ),
)

# %% [markdown]
# What surprised us: DeepFool has no constant to choose and takes at most half of the search's gradients, and still comes
# that close. So why C&W at all? It bends to any objective: another norm, a confidence to reach, a defence in the way.

# %%
near = deepfool(model, x[clear], y[clear])
said = model(near).argmax(1)
figures.pictures(
    [x[clear], near - x[clear], near],
    titles=[labels, [""] * 10, [f"says {k}" for k in said]],
    row_labels=["clean", "change", "DeepFool"],
    wrong=[None, None, said != y[clear]],
    caption="DeepFool spends its change where the class is decided (red: lighter, "
    "blue: darker). FGSM's was ±ε wherever a pixel could still move.",
)

# %% [markdown]
# ## 4 · A defence, attacked again
#
# A colleague proposes a filter: blur every picture a little before the model sees it, and the attacker's fine pattern is
# gone. They make DeepFool's pictures on the *bare* model, which gets all of them wrong, and show them to the *filtered* one.

# %%
guess_filter = predict(
    "01.filter",
    "What share of DeepFool's pictures does the filtered model read correctly?",
    percent=True,
)


# %%
class Blur(nn.Module):
    """A 3×3 blur with weights 1-2-1."""

    def __init__(self):
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", (row[:, None] * row)[None, None])

    def forward(self, x):
        return F.conv2d(x, self.kernel, padding=1)


filtered = nn.Sequential(Blur(), model).to(device).eval()
both = right & (filtered(x).argmax(1) == y)  # digits that both read correctly
few, truth = x[both][:100], y[both][:100]
unaware = deepfool(model, few, truth)
saved = training.accuracy(filtered, unaware, truth)

# %%
claim(
    "The filter saves more than 40 % of the pictures that fool the bare model",
    saved > 0.4,
    percent(saved, 0),
    guess_filter,
)

# %% [markdown]
# A success? First the control. Instead of the filter, add random ±0.02, which nobody would call a defence. Then change the
# attack a little: let it go on 1.3 times as far, or use FGSM.

# %%
pictures = {
    "DeepFool": unaware,
    "DeepFool, change × 1.3": (few + 1.3 * (unaware - few)).clamp(0, 1),
    "FGSM, ε = 0.1": fgsm(model, few, truth, 0.1),
}
saves = {
    name: (
        training.accuracy(model, x_adv, truth),
        training.accuracy(model, random_signs(x_adv, 0.02), truth),
        training.accuracy(filtered, x_adv, truth),
    )
    for name, x_adv in pictures.items()
}
figures.table(
    [
        (name, *(percent(share, 0) for share in shares))
        for name, shares in saves.items()
    ],
    ["pictures made by", "bare model", "random ±0.02", "filter"],
    "What share of the pictures is read correctly. All were made on the bare model.",
)
_, nudged, _ = saves["DeepFool"]
_, nudged_far, saved_far = saves["DeepFool, change × 1.3"]
on_bare, _, on_filtered = saves["FGSM, ε = 0.1"]

# %%
claims(
    (
        "Random ±0.02 saves more of DeepFool's pictures than the filter",
        nudged > saved,
        f"{percent(nudged, 0)} against {percent(saved, 0)}",
    ),
    (
        "Where the change is 1.3 times as long, random ±0.02 saves less than 5 %, the "
        "filter still a fifth",
        nudged_far < 0.05 and saved_far > 0.2,
        f"{percent(nudged_far, 0)}, {percent(saved_far, 0)}",
    ),
    (
        "Against FGSM at ε = 0.1 the filter does not help, and may hurt",
        on_filtered < on_bare + 0.01,
        f"{percent(on_bare, 0)} bare, {percent(on_filtered, 0)} filtered",
    ),
)

# %% [markdown]
# DeepFool stops just behind the boundary, so most small nudges bring many of its pictures back. Much of the success was
# the attack's thrift. A part was the filter's: it undoes some longer changes, too. But the experiment left something out:
# a white-box attacker knows the filter, and a blur has a gradient like any other layer. Attack again, **through** it.

# %%
guess_through = predict(
    "01.through",
    "On the bare model half of the changes are shorter than about 0.55. "
    "Where is that middle through the filter?",
    high=1.5,
    step=0.05,
)

# %%
aware = deepfool(filtered, few, truth)
caught = training.accuracy(filtered, aware, truth)
undisturbed = training.accuracy(filtered, x, y)
needed = {
    "bare model": length(unaware, few).median().item(),
    "filtered model": length(aware, few).median().item(),
}
figures.bars(
    needed,
    roles={"bare model": "control", "filtered model": "defence"},
    ylabel="median L2 length of the change",
    horizontal=True,
    guess=guess_through,
    caption="What DeepFool needs, each time attacking the model as it is. Less is "
    "worse for the defender.",
)

# %%
claims(
    (
        "Attacked through the filter, hardly a digit stands",
        caught < 0.03,
        percent(caught, 0),
    ),
    (
        "And the attacker needs at least a tenth less than before",
        needed["filtered model"] < 0.9 * needed["bare model"],
        f"{number(needed['bare model'])} → {number(needed['filtered model'])}",
        guess_through,
    ),
    (
        "Without any attack the filter costs more than 5 points: the model never saw "
        "a blurred digit",
        undisturbed < clean - 0.05,
        f"{percent(clean)} → {percent(undisturbed)}",
    ),
)

# %% [markdown]
# A defence is only as good as the attack that knows it. Now a defence that changes the *model*: **adversarial training**
# attacks each batch by FGSM, at ε = 0.1, and trains on what comes out. Lab 04 is about this; here is a first look.


# %%
def against_fgsm(net, x, y):
    """The loss on what FGSM makes of the batch; it sees the net as it is right now."""
    return F.cross_entropy(net(evasion.fgsm(net, x, y, eps=0.1)), y)


hardened = models.initialise(models.cnn(), runtime.generator(0)).to(device)
_ = training.fit(
    hardened,
    digits.x_train,
    digits.y_train,
    loss=against_fgsm,
    epochs=20,
    generator=runtime.generator(1),
)

# %%
clean_hardened = training.accuracy(hardened, x, y)
later = [training.accuracy(hardened, pgd(hardened, x, y, e), y) for e in budgets]
figures.curves(
    budgets,
    {"standard": after["PGD"], "adversarially trained": later},
    roles={"standard": "control", "adversarially trained": "defence"},
    xlabel="L∞ ε (pixels are in [0, 1])",
    ylabel="accuracy under PGD",
    percent=True,
    ylim=(-0.02, 1.02),
    marks={"trained here": 0.1},
    caption="Both models attacked by PGD with full knowledge of the weights.",
)
hardened_left = dict(zip(budgets, later, strict=True))
stands = hardened(x).argmax(1) == y
kept, truth = x[stands][:60], y[stands][:60]
farther = length(deepfool(hardened, kept, truth), kept).median().item()
anew = evasion.pgd(hardened, x, y, eps=0.1, steps=20, restarts=5)
restarted = training.accuracy(hardened, anew, y)

# %%
claims(
    (
        "At ε = 0.1 adversarial training leaves more than 75 % under PGD",
        hardened_left[0.1] > 0.75,
        f"{percent(hardened_left[0.1])}, without it {percent(pgd_left[0.1])}",
    ),
    (
        "PGD from five random starts takes less than 2 points more",
        abs(hardened_left[0.1] - restarted) < 0.02,
        percent(restarted),
    ),
    (
        "At ε = 0.15 it leaves less, but more than a third",
        1 / 3 < hardened_left[0.15] < hardened_left[0.1],
        f"{percent(hardened_left[0.15])}, without it {percent(pgd_left[0.15])}",
    ),
    (
        "At ε = 0.3 it leaves less than 5 %",
        hardened_left[0.3] < 0.05,
        percent(hardened_left[0.3]),
    ),
    (
        "DeepFool has to go at least a quarter farther",
        farther > 1.25 * medians["DeepFool"],
        f"{number(medians['DeepFool'])} → {number(farther)}",
    ),
    (
        "It costs no accuracy on clean digits (within 2 points)",
        clean_hardened > clean - 0.02,
        f"{percent(clean)} → {percent(clean_hardened)}",
    ),
)

# %% [markdown]
# This one held against PGD with full knowledge, also from five random starts. At the ε it was trained for, most digits
# stand; beyond, fewer and fewer, and at three times that ε hardly any.
#
# And "no attack we tried" is not "no attack": PGD gives an **upper bound** on robust accuracy. Lab 03 asks how far below
# it the truth may be; lab 04 gives bounds from the other side.

# %%
guarantee(
    holds="Nothing here is proved. What an attack finds is certain: these pictures do "
    "fool this model.",
    does_not="A picture that survives FGSM, PGD, DeepFool and C&W may fall to the next "
    "attack.",
    adapts="The attacker takes gradients through any filter, and enlarges ε beyond "
    "what training has seen.",
    cost="Adversarial training with FGSM takes two gradients a batch instead of one. "
    "A filter costs accuracy.",
)

# %% [markdown]
# ### Spot the broken experiment
#
# A colleague's FGSM does better than yours at the same ε = 0.15. Run it, then write **one** control that exposes it.


# %%
def better_fgsm(model, x, y, eps):
    at = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(at), y), at)
    return x + eps * gradient.sign()


theirs, yours = (
    training.accuracy(model, attack(model, x, y, 0.15), y)
    for attack in (better_fgsm, fgsm)
)

# %%
claim(
    "Their FGSM leaves fewer answers right than yours",
    theirs < yours,
    f"{percent(theirs)} against {percent(yours)}",
)

# %% tags=["student-only"]
# Your control here: what must be true of every picture, and is not of theirs?
theirs_x = better_fgsm(model, x, y, 0.15)

# %% tags=["solution-only"]
broken = better_fgsm(model, x, y, 0.15)
mended = training.accuracy(model, broken.clamp(0, 1), y)

# %% tags=["solution-only"]
claims(
    (
        "Their pictures leave [0, 1]: no camera can take them",
        broken.min() < 0 and broken.max() > 1,
        f"{number(broken.min())} to {number(broken.max())}",
    ),
    ("Clamped, their attack is yours", mended == yours, percent(mended)),
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Their pixels run from −0.15 to 1.15. Pictures are in [0, 1], so no camera can take theirs. Clamp them, and the
# advantage is gone: the attack is FGSM again. A cheap control for any attack: print the smallest and largest pixel.
#
# </details>

# %% [markdown]
# ## 5 · Quiz

# %%
quiz("01")

# %% [markdown]
# **How little, then?** Of the road signs, most fell when no colour moved by more than 8/255, which you hardly see. Of the
# digits, half fell to a change of less than a sixth of their own length. Random changes of such sizes did next to
# nothing.
#
# ### Further reading
#
# * C. Szegedy, W. Zaremba, I. Sutskever, J. Bruna, D. Erhan, I. Goodfellow, R. Fergus, 2014,
#   [*Intriguing Properties of Neural Networks*](https://arxiv.org/abs/1312.6199). The first adversarial pictures of deep
#   networks.
# * I. Goodfellow, J. Shlens, C. Szegedy, 2015,
#   [*Explaining and Harnessing Adversarial Examples*](https://arxiv.org/abs/1412.6572). FGSM, and why linearity is enough.
# * S.-M. Moosavi-Dezfooli, A. Fawzi, P. Frossard, 2016,
#   [*DeepFool: A Simple and Accurate Method to Fool Deep Neural Networks*](https://arxiv.org/abs/1511.04599).
# * N. Carlini, D. Wagner, 2017,
#   [*Towards Evaluating the Robustness of Neural Networks*](https://arxiv.org/abs/1608.04644).
# * A. Madry, A. Makelov, L. Schmidt, D. Tsipras, A. Vladu, 2018,
#   [*Towards Deep Learning Models Resistant to Adversarial Attacks*](https://arxiv.org/abs/1706.06083). PGD, and training
#   against it.
#
# To see how the library writes these attacks, open `modelsec_course/evasion/gradient.py` and `minimal.py`: they do the
# same in fewer copies of the batch, and leave inputs alone once they have fallen.

# %%
finish("01")
