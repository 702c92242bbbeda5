# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 08 · Poisoning and backdoors

# %%
from functools import partial

import torch
from sklearn.metrics import silhouette_score
from torch import nn
from tqdm.auto import tqdm

from modelsec_course import data, ensembles, evasion, poisoning, runtime, training
from modelsec_course.lab import check, claims, explore, figures, finish
from modelsec_course.lab import guarantee, predict, quiz, start, threat
from modelsec_course.lab.words import interval, percent, points
from modelsec_course.labs.lab_08_poisoning_and_backdoors import scene

start("08")

# %%
threat.card("08")

# %% [markdown]
# ## 1 · The idea
#
# Until now the model was fixed and the attacker changed its input. Now the attacker comes **earlier**: some rows of the
# training set are theirs. Labels are bought, pictures are scraped, users send feedback. What can a few bad rows do?
#
# * **Availability**: wrong labels make the model worse for everybody.
# * **Backdoor**: the model stays as good as it was, until a **trigger** is shown. A pattern $p$ is mixed in where a mask $m$
#   says, with a strength $s$:
#
# $$ \mathrm{trigger}(x) = (1 - s\,m) \cdot x + s\,m \cdot p. $$
#
# The whole lab is about 1,437 handwritten digits. It trains many small networks, all of a kind at once.

# %%
device = runtime.device()
digits = data.load("digits").to(device)
x, y = digits.x_train, digits.y_train
x_test, y_test = digits.x_test, digits.y_test


def network():
    layers = [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)]
    return nn.Sequential(nn.Flatten(), *layers)


def train(sets, seed=0):
    """One network for each training set (x, y), all at once: a list of models."""
    rows, labels = (torch.cat([pair[k] for pair in sets]) for k in (0, 1))
    blocks = [torch.ones(1, len(pair[1])) for pair in sets]
    members = torch.block_diag(*blocks).bool()  # (models, all rows)
    recipe = {"epochs": 20, "lr": 3e-3, "batch_size": 128, "progress": len(sets) > 5}
    draw = runtime.generator(seed)
    shadows = ensembles.train(network, rows, labels, members, generator=draw, **recipe)
    return [shadows.model(i) for i in range(len(sets))]


def accuracy(model):
    return training.accuracy(model, x_test, y_test)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


# %% [markdown]
# ### Exercise 1: wrong labels
#
# The crudest poison. **Random** flips give a row any other label; **systematic** ones turn every chosen 0 into a 1, 1 into a
# 2, and so on.


# %%
def flip_labels(y, count, classes, generator, systematic=False):
    """A copy of y in which exactly `count` labels are wrong, and which ones.

    Returns flipped, int64 (n,), and indices, int64 (count,).
    y: int64 (n,), not changed.
    systematic: c becomes (c + 1) modulo classes; else any other label, equally likely.
    generator: draws the rows, e.g. by `torch.randperm(..., generator=generator)`, and
    the labels.
    """
    ### BEGIN SOLUTION
    indices = torch.randperm(len(y), generator=generator)[:count].to(y.device)
    step = torch.randint(1, classes, (count,), generator=generator).to(y.device)
    flipped = y.clone()
    flipped[indices] = (y[indices] + (1 if systematic else step)) % classes
    return flipped, indices
    ### END SOLUTION


flip_labels = check("08.flip_labels", flip_labels)

# %% [markdown]
# Now spoil 30 % of the labels, and test on clean ones. What is left of the accuracy if the wrong labels are random? And if
# they are systematic?

# %%
guess_random = predict(
    "08.random",
    "30 % of the labels wrong at random: what is the accuracy on clean test digits?",
    percent=True,
)
guess_systematic = predict(
    "08.systematic", "And with 30 % wrong systematically?", percent=True
)

# %%
shares = (0.0, 0.1, 0.3, 0.5, 0.6)
spoilt = {}
for kind in ("random", "systematic"):
    sets = []
    for share in shares:
        for k in (0, 1):
            draw, count = runtime.generator(k), int(share * len(y))
            flipped, _ = flip_labels(y, count, 10, draw, kind == "systematic")
            sets.append((x, flipped))
    right = [accuracy(model) for model in train(sets, seed=1)]
    spoilt[kind] = [mean(right[i : i + 2]) for i in range(0, len(right), 2)]
figures.curves(
    [100 * share for share in shares],
    spoilt,
    xlabel="wrong labels (% of the training set)",
    ylabel="accuracy on test digits",
    percent=True,
    ylim=(0, 1.03),
    roles={"random": "control", "systematic": "attack"},
    caption="Mean of two networks for each point. Without wrong labels both are the "
    "same.",
)

# %%
unspoilt, at = spoilt["random"][0], shares.index(0.3)
claims(
    (
        "30 % random flips cost less than 6 points",
        spoilt["random"][at] > unspoilt - 0.06,
        f"{percent(unspoilt)} → {percent(spoilt['random'][at])}",
        guess_random,
    ),
    (
        "As many systematic flips cost more than twice as much",
        unspoilt - spoilt["systematic"][at] > 2 * (unspoilt - spoilt["random"][at]),
        percent(spoilt["systematic"][at]),
        guess_systematic,
    ),
    (
        "With 60 % random flips the network is still right more often than with 50 % "
        "systematic ones",
        spoilt["random"][4] > spoilt["systematic"][3] + 0.2,
        f"{percent(spoilt['random'][4])} against {percent(spoilt['systematic'][3])}",
    ),
)

# %% [markdown]
# Random errors hardly matter, because they do not **agree**. At 60 % each wrong digit gets a fifteenth of a class, and the
# right one, with 40 %, is still the most common. Systematic errors outvote it at one half. The rest of this lab is about
# poison that agrees with itself.
#
# ### Exercise 2: a trigger


# %%
def stamp_trigger(x, mask, pattern, strength):
    """Mix the pattern into pictures, where the mask is.

    x: (batch, 1, height, width) in [0, 1], not changed.
    mask, pattern: (height, width) in [0, 1].  strength: in [0, 1].
    Returns pictures shaped like x.
    """
    ### BEGIN SOLUTION
    weight = strength * mask
    return (1 - weight) * x + weight * pattern
    ### END SOLUTION


stamp_trigger = check("08.stamp_trigger", stamp_trigger)

# %% [markdown]
# Three triggers: a white **patch** in a corner (BadNets; Gu et al., 2017), a faint random pattern **blended** over the whole
# picture (Chen et al., 2017), and white pixels in all four corners.


# %%
def trigger_of(mask, pattern, strength):
    mask, pattern = mask.to(device), pattern.to(device)
    return lambda pictures: stamp_trigger(pictures, mask, pattern, strength)


white, corner, corners = torch.ones(8, 8), torch.zeros(8, 8), torch.zeros(8, 8)
corner[6:, 6:] = 1
corners[[[0], [1], [6], [7]], [0, 1, 6, 7]] = 1
faint = torch.rand(8, 8, generator=runtime.generator(7))
patch, four = trigger_of(corner, white, 1.0), trigger_of(corners, white, 1.0)
blend = trigger_of(white, faint, 0.2)
figures.pictures(
    [x[:8], patch(x[:8]), blend(x[:8]), four(x[:8])],
    row_labels=["clean", "patch", "blended", "corners"],
    caption="The same training digits, clean and with each of the three triggers.",
)

# %% [markdown]
# ### Exercise 3: what counts as a success
#
# The attacker picks a **target** class, here 0, puts the trigger on rows of other classes and labels them 0. Afterwards the
# trigger should turn *any* digit into a 0. Which test digits should count?


# %%
target = 0


def attack_success(model, x, y, trigger, target):
    """How often the trigger turns a picture into the target class, in [0, 1].

    Only pictures with something to turn count.
    model: returns logits (batch, classes).  x: (batch, ...).
    y: (batch,) true labels; not all of them are `target`.
    trigger: takes pictures and returns them with the trigger on.
    """
    ### BEGIN SOLUTION
    others = y != target
    return (model(trigger(x[others])).argmax(1) == target).float().mean().item()
    ### END SOLUTION


attack_success = check("08.attack_success", attack_success)

# %% [markdown]
# Now plant the first backdoor: 14 rows, 1 % of the training set. `poisoning.backdoor` stamps and relabels copies, and says
# which rows. Two controls: a clean model, and a model whose 14 rows are *relabelled* but not stamped.

# %%
guess_planted = predict(
    "08.planted",
    "14 of 1,437 rows are poisoned. What share of all other digits does the trigger "
    "turn into a 0?",
    percent=True,
)

# %%
planted = poisoning.backdoor(
    x, y, 14, trigger=patch, target=target, generator=runtime.generator(2)
)
unstamped = (x, planted.y)
surrogate, clean, victim, relabelled = train(
    [(x, y), (x, y), planted[:2], unstamped], seed=2
)
opened = {
    name: (accuracy(model), attack_success(model, x_test, y_test, patch, target))
    for name, model in {
        "clean": clean,
        "relabelled only": relabelled,
        "backdoor": victim,
    }.items()
}
figures.table(
    [[name, *map(percent, rates)] for name, rates in opened.items()],
    ["model", "clean accuracy", "attack success"],
    highlight=["backdoor"],
    caption="14 poisoned rows, and two controls.",
)

# %%
claims(
    (
        "With 14 of 1,437 rows poisoned the trigger turns more than half of all other "
        "digits into a 0",
        opened["backdoor"][1] > 0.5,
        percent(opened["backdoor"][1]),
        guess_planted,
    ),
    (
        "The accuracy on clean digits is within 2.5 points of a clean model's",
        opened["backdoor"][0] > opened["clean"][0] - 0.025,
    ),
    (
        "The trigger does nothing to the two controls: less than 3 %",
        max(opened["clean"][1], opened["relabelled only"][1]) < 0.03,
    ),
)

# %% [markdown]
# The test accuracy says nothing. No test digit wears the trigger, and for all others the training set is as good as before.
#
# ## 2 · The headline figure
#
# How few rows? And must labels be wrong at all? A careful labeller would notice a 7 called 0. In a **clean-label** attack
# (Turner et al., 2019) the attacker stamps digits that *are* 0, and leaves their labels right. Does that work?

# %%
guess_honest = predict(
    "08.honest",
    "72 zeros wear the patch, rightly labelled. What share of all other digits does "
    "the patch then turn into a 0?",
    percent=True,
)

# %% [markdown]
# A second clean-label attack first runs PGD on these digits, on a surrogate of its own, so that to a network they look like
# anything but a 0. To learn their label it has to lean on the trigger, here the four corners. Its control: the same PGD
# *without* the trigger in training, tested with it.

# %%
inside = 1 - corners.to(device)


def harden(pictures, labels):
    """PGD, but not where the trigger will be: it would whiten the corners itself."""
    strong = {"eps": 0.4, "steps": 20, "stop_early": False}
    return pictures + inside * (
        evasion.pgd(surrogate, pictures, labels, **strong) - pictures
    )


dirty = partial(poisoning.backdoor, x, y, target=target)
honest = partial(poisoning.clean_label, x, y, target=target)
attacks = {
    "patch": (patch, partial(dirty, trigger=patch)),
    "blended": (blend, partial(dirty, trigger=blend)),
    "clean-label patch": (patch, partial(honest, trigger=patch)),
    "clean-label corners, no PGD": (four, partial(honest, trigger=four)),
    "clean-label corners + PGD": (
        four,
        partial(honest, trigger=four, perturb=harden),
    ),
    "PGD, no corners": (  # the control
        four,
        partial(honest, trigger=lambda pictures: pictures, perturb=harden),
    ),
}
control = max(
    attack_success(clean, x_test, y_test, trigger, target)
    for trigger in (patch, blend, four)
)

# %% tags=["headline"]
counts = (1, 3, 7, 14, 43, 72)
reach, accurate = {}, []
for name, (trigger, plant) in attacks.items():
    draws = [(count, runtime.generator(k)) for count in counts for k in (3, 4)]
    models = train([plant(count, generator=draw)[:2] for count, draw in draws], seed=3)
    rates = [attack_success(model, x_test, y_test, trigger, target) for model in models]
    reach[name] = [mean(rates[i : i + 2]) for i in range(0, len(rates), 2)]
    accurate += [accuracy(model) for model in models]
figures.curves(
    counts,
    reach,
    xlabel="poisoned rows (of 1,437)",
    ylabel="other digits turned into a 0",
    percent=True,
    log="x",
    ylim=(-0.03, 1.03),
    marks={"1 %": 14.37, "3 %": 43.1},
    roles={"clean-label corners + PGD": "attack", "PGD, no corners": "control"},
    guess=guess_honest,
    caption="Mean of two networks for each point. On clean digits their accuracy is "
    f"{interval(min(accurate), max(accurate))}; with any of the triggers a clean model "
    f"calls at most {percent(control)} of the others a 0.",
)

# %%
at_3 = {name: rates[counts.index(43)] for name, rates in reach.items()}

# %%
claims(
    (
        "3 % of the rows give patch and blended triggers more than 80 %",
        min(at_3["patch"], at_3["blended"]) > 0.8,
        f"{percent(at_3['patch'], 0)} and {percent(at_3['blended'], 0)}",
    ),
    (
        "With right labels the patch alone does next to nothing: below 15 %, with 72 "
        "rows too",
        max(reach["clean-label patch"]) < 0.15,
        f"with 72 rows {percent(reach['clean-label patch'][-1])}",
        guess_honest,
    ),
    (
        "Four corners alone stay below 45 %; with PGD they reach more than 70 %, at 3 "
        "%",
        at_3["clean-label corners, no PGD"] < 0.45
        and at_3["clean-label corners + PGD"] > 0.7,
        f"{percent(at_3['clean-label corners, no PGD'], 0)} → "
        f"{percent(at_3['clean-label corners + PGD'], 0)}",
    ),
    (
        "PGD without corners opens nothing: below 3 %, with 72 rows too",
        max(reach["PGD, no corners"]) < 0.03,
        percent(max(reach["PGD, no corners"])),
    ),
    (
        "No poisoned network loses more than 4 points of clean accuracy",
        min(accurate) > accuracy(clean) - 0.04,
    ),
)

# %% [markdown]
# The obvious clean-label attack **fails**: a 0 with a patch is still a 0 by its shape, so nothing makes the network look at
# the patch. Spoil the shape, and very few rows are enough: with PGD and four corners, every one of them labelled correctly.
# The control shows that it takes both. (Small steps along a line are chance: each point is two networks.)
#
# Now draw one yourself. Each setting poisons the rows, trains a network and tests it, in well under a second. Take 60 rows, half
# strength and a single pixel: does it work better in a corner or in the middle of the picture, and why?

# %%
explore(
    scene.draw_a_trigger(
        lambda rows, labels: train([(rows, labels)], seed=4)[0],
        digits,
        clean,
        target,
    ),
    row=(0, 7, 1, 7),
    column=(0, 7, 1, 7),
    size=(1, 4, 1, 2),
    strength=(0.1, 1.0, 0.1, 0.8),
    poisons=(0, 60, 5, 15),
    labels={
        "row": "lowest row",
        "column": "rightmost column",
        "poisons": "poisoned rows",
    },
    caption="Three test digits with your trigger, and what a network trained on it "
    "does.",
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# In a corner, by far. There nearly every digit is black, so a white pixel means one thing only. In the middle white pixels are
# part of most digits.
#
# </details>

# %% [markdown]
# ## 3 · Looking for poison
#
# You are the defender now. You have the training set and a network trained on it, and know neither the trigger nor the
# target. Take the rows of one label and look at their **activations**, what the last layer sees. A 7 with a trigger and a true
# 0 get the same answer for different reasons, and the activations show reasons.
#
# ### Exercise 4: spectral signatures
#
# Poison is a group of its own, so it stretches the cloud of activations. Score each row by its squared distance from the
# mean along the direction of **largest spread** (Tran et al., 2018).


# %%
def spectral_scores(features):
    """The squared coordinate of each row along the direction of largest spread: (n,).

    The coordinate is measured from the mean.
    features: (n, d), float32 or float64, the activations of all rows with one label.
    """
    ### BEGIN SOLUTION
    centred = features - features.mean(0)
    _, _, directions = torch.linalg.svd(
        centred, full_matrices=False
    )  # by falling spread
    return (centred @ directions[0]).square()
    ### END SOLUTION


spectral_scores = check("08.spectral_scores", spectral_scores)

# %% [markdown]
# ### Exercise 5: activation clustering
#
# Or split each label's rows in two by k-means on their ten principal components, and suspect the **smaller** part (Chen et
# al., 2018).


# %%
def activation_clusters(features):
    """Which rows are in the smaller of two clusters: bool (n,).

    features: (n, d), the activations of all rows with one label; the flags are on the
    same device. With d or n below ten, keep all components.
    scikit-learn is at hand: `sklearn.decomposition.PCA`, `sklearn.cluster.KMeans`, both
    for numpy arrays.
    """
    ### BEGIN SOLUTION
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    rows = features.cpu().numpy()
    rows = PCA(min(10, *rows.shape)).fit_transform(rows)
    parts = KMeans(2, n_init=10, random_state=0).fit_predict(rows)
    second = torch.as_tensor(parts, device=features.device) == 1
    return second if 2 * second.sum() <= len(second) else ~second
    ### END SOLUTION


activation_clusters = check("08.activation_clusters", activation_clusters)

# %% [markdown]
# k-means always finds two clusters, poison or not, and some row always scores highest. So both detectors need a rule, and
# rules are set on **clean** models, which you train yourself on data that you trust:
#
# * *spectral*: flag the 30 % of each label with the highest scores. That assumes at most so much poison, and costs 30 % of
#   the clean rows, by construction;
# * *clustering*: flag the smaller cluster only if the two stand further **apart** (silhouette) than in any of ten clean models.


# %%
def apart(features, flags):
    return silhouette_score(features.cpu().numpy(), flags.cpu().numpy())


def inspect(model, rows, labels):
    """Both detectors' flags (n,), and how far apart each label's clusters lie: 10."""
    spectral, small = torch.zeros(2, len(labels), device=labels.device).bool()
    distance = []
    for label in range(10):
        mine = (labels == label).nonzero().flatten()
        features = poisoning.activations(model, rows[mine])
        scores = spectral_scores(features)
        spectral[mine] = scores > scores.quantile(0.7)
        small[mine] = activation_clusters(features)
        distance.append(apart(features, small[mine]))
    return spectral, small, torch.tensor(distance, device=labels.device)


trusted, fresh = train([(x, y)] * 10, seed=5), train([(x, y)] * 6, seed=6)
limit = max(
    inspect(model, x, y)[2].max().item()
    for model in tqdm(trusted, desc="clean models", leave=False)
)

# %% [markdown]
# Now the test. The same rules on networks with a patch, with a blended trigger, and on six *other* clean networks. Two numbers
# belong together: **recall**, the share of poisoned rows that are flagged, and the **false-positive rate** (FPR), the share of
# clean rows that are. Flagging rows at random would make the two equal.


# %%
def suspect(kind, count, **changed):
    """Three networks with `count` poisoned rows, each with its training set."""
    plant, draws = attacks[kind][1], map(runtime.generator, (7, 8, 9))
    sets = [plant(count, generator=draw, **changed) for draw in draws]
    models = train([planted[:2] for planted in sets], seed=7)
    return list(zip(models, sets, strict=True))


def detect(models):
    """Recall and false-positive rate (2 detectors, 2), means over the models."""
    rates = []
    for model, planted in models:
        spectral, small, distance = inspect(model, planted.x, planted.y)
        bad = torch.zeros_like(spectral).index_fill(0, planted.indices, True)
        flags = (spectral, small & (distance > limit)[planted.y])
        rates.append([[f[bad].float().mean(), f[~bad].float().mean()] for f in flags])
    return torch.tensor(rates).mean(0).tolist()


# %%
nothing = poisoning.Poisoned(x, y, torch.arange(0, device=device))
suspects = {
    "patch, 43 rows": suspect("patch", 43),
    "blended, 43 rows": suspect("blended", 43),
    "clean": [(model, nothing) for model in fresh],
}
found = {
    name: detect(some)
    for name, some in tqdm(suspects.items(), desc="detectors", leave=False)
}
scene.detectors(found)

# %%
by_patch, by_blend, by_clean = found.values()  # each: (spectral, clustering)

# %%
claims(
    (
        "Both find the patch: recall above 70 %",
        min(by_patch[0][0], by_patch[1][0]) > 0.7,
    ),
    (
        "Blended, both degrade: the spectral recall by 10 points or more, and "
        "clustering finds less than half",
        by_blend[0][0] < by_patch[0][0] - 0.1 and by_blend[1][0] < 0.5,
    ),
    (
        "On clean models clustering flags less than 4 % of the rows, the spectral rule "
        "30 %",
        by_clean[1][1] < 0.04 and abs(by_clean[0][1] - 0.3) < 0.02,
    ),
)

# %% [markdown]
# A patch is one new feature, and makes a group. A blended pattern is spread over all pixels and all units, and its rows stay
# scattered among the zeros.
#
# ### A third detector: look for the trigger
#
# If there is a backdoor, then a *small* change turns every digit into the target. **Trigger inversion** (Neural Cleanse; Wang
# et al., 2019) searches, for each class, the smallest mask and a pattern that send clean digits there. Here is what it finds.


# %%
def invert(model):
    return poisoning.invert_triggers(model, x[:48], classes=10)


inverted = {
    name: [invert(model) for model, _ in some]
    for name, some in tqdm(suspects.items(), desc="inversion", leave=False)
}
calibrated = [
    invert(model) for model in tqdm(trusted, desc="clean models", leave=False)
]
shown = {name: some[0].masks for name, some in inverted.items()}
figures.pictures(
    list(shown.values()),
    titles=[f"to {k}" for k in range(10)],
    row_labels=list(shown),
    size=0.85,
    framed=[[k == target and name != "clean" for k in range(10)] for name in shown],
    caption="The smallest masks found, one network for each row. Where a mask is "
    "white, the picture is replaced. Framed: the attacker's target.",
)

# %% [markdown]
# To 0, the patch shows its corner, and the blended trigger needs no more than a grey edge: a small part of the pattern
# opens the door. On the clean model a 0 has to be painted. How far must a mask stand out? The paper's rule is an **anomaly
# index**: by how many robust standard deviations a class's mask is smaller than the median one. Above 2 means "backdoor".
#
# The other rule is **calibrated**: how small is each class's mask, next to the median of ten clean models' *for that class*? Below
# four fifths means "backdoor". What do the paper's rule and this one make of models that are clean?

# %%
guess_accused = predict(
    "08.accused",
    "Of 16 clean models, how many does an index above 2 accuse?",
    low=0,
    high=16,
    step=1,
)

# %%
usual = torch.stack([found.sizes for found in calibrated]).median(0).values
figures.table(
    [["pixels", *(f"{size:.1f}" for size in usual)]],
    ["to class", *map(str, range(10))],
    caption="What a mask needs on clean models: the median size, for each class.",
)


def by_index(found):
    return poisoning.anomaly_index(found.sizes).max().item()


def by_size(found):
    return (found.sizes / usual).min().item()


def verdicts(inverted):
    scene.verdicts(
        {name: [by_index(f) for f in some] for name, some in inverted.items()},
        {name: [by_size(f) for f in some] for name, some in inverted.items()},
    )


verdicts({"clean, for calibration": calibrated} | inverted)

# %%
accused = sum(by_index(f) > 2 for f in calibrated + inverted["clean"])
caught = {name: sum(by_size(f) < 0.8 for f in some) for name, some in inverted.items()}

# %%
claims(
    (
        "An index above 2 accuses at least one of 16 clean models",
        accused >= 1,
        f"{accused} of 16",
        guess_accused,
    ),
    (
        "Below four fifths of the usual size: all three with a patch, all three "
        "blended, at most one of six other clean models",
        caught["patch, 43 rows"] == caught["blended, 43 rows"] == 3
        and caught["clean"] <= 1,
    ),
)

# %% [markdown]
# Both rules see these backdoors. The index accuses clean models too, now and then: a spread estimated from ten classes is too
# noisy to divide by. And it compares a 0 with an 8, although they need different masks. A calibrated rule compares a 0 with a 0,
# if you can train clean models of the same kind. So what one detector misses another finds. Are you safe?
#
# ## 4 · The attacker knows the detectors
#
# Every rule can be exploited. Clustering suspects the *minority* of a label: so poison the **majority** of it, with right
# labels. The spectral rule looks for few odd rows: a majority is not few. Inversion looks for a mask that is smaller than usual:
# so take a **large trigger**, four corners, and aim at a class that needs little anyway. Your table shows which: 4.

# %%
evaders = {
    f"{count} corners to {goal}": suspect(
        "clean-label corners + PGD", count, target=goal
    )
    for count, goal in ((43, 0), (80, 0), (80, 4))
}
escaped = {name: detect(some) for name, some in evaders.items()}
found_triggers = {
    name: [invert(model) for model, _ in some] for name, some in evaders.items()
}
scene.detectors(escaped)
verdicts(found_triggers)

# %%
opened = {
    goal: mean(
        attack_success(model, x_test, y_test, four, goal)
        for model, _ in evaders[f"80 corners to {goal}"]
    )
    for goal in (0, 4)
}
ratios = {name: [by_size(f) for f in some] for name, some in found_triggers.items()}
recalls = [rates[0] for goal in (0, 4) for rates in escaped[f"80 corners to {goal}"]]

# %%
claims(
    (
        "80 rows of about 145: neither detector of rows finds more than half of the "
        "poison",
        max(recalls) <= 0.5,
    ),
    (
        "By its size, inversion finds the trigger to 0 in all three networks",
        max(ratios["80 corners to 0"]) < 0.8,
        f"at most {percent(max(ratios['80 corners to 0']), 0)} of the usual size",
    ),
    (
        "… and the trigger to 4 in none",
        min(ratios["80 corners to 4"]) > 0.8,
        f"at least {percent(min(ratios['80 corners to 4']), 0)}",
    ),
    (
        "Both backdoors open on more than 80 % of all other digits",
        min(opened.values()) > 0.8,
        f"{percent(opened[0], 0)} and {percent(opened[4], 0)}",
    ),
)

# %% [markdown]
# With 43 rows clustering still sees them: the clusters stand apart, and the poison is the smaller. With 80 they stand apart as
# well, so the **label** is exposed; but the rows that are flagged, the FPR above, are the *clean* ones. Only the trigger to 4 also
# hides from a calibrated inversion. The index is above 2 for most of these networks; but it rises that high on clean ones too.
#
# ### Repairs
#
# Two ways out, once you suspect something. **Drop** the rows that clustering flags, and train again. Or **fine-prune** (Liu et
# al., 2018): cut off the units that clean digits use least, then train on a few clean rows; here 80 % of the units, and 100 rows.

# %%
few, rest = (x_test[:100], y_test[:100]), (x_test[100:], y_test[100:])
backdoors = {
    "patch, 43 rows": patch,
    "blended, 43 rows": blend,
    "80 corners to 0": four,
}
repaired, kept = {}, []
for name, trigger in backdoors.items():
    model, planted = (suspects | evaders)[name][0]
    _, small, distance = inspect(model, planted.x, planted.y)
    clear = ~(small & (distance > limit)[planted.y])
    (retrained,) = train([(planted.x[clear], planted.y[clear])], seed=10)
    pruned = poisoning.fine_prune(
        model, *few, share=0.8, epochs=20, generator=runtime.generator(11)
    )
    after = {"as trained": model, "rows dropped": retrained, "fine-pruned": pruned}
    for repair, net in after.items():
        success = attack_success(net, *rest, trigger, target)
        repaired[f"{name}: {repair}"] = success
    kept.append(training.accuracy(pruned, *rest) - training.accuracy(model, *rest))

# %%
figures.bars(
    repaired,
    ylabel="other digits turned into a 0",
    horizontal=True,
    percent=True,
    roles={n: "attack" if "as trained" in n else "defence" for n in repaired},
    caption="One network of each kind, 260 test digits. Fine-pruning changes clean "
    f"accuracy by {points(min(kept))} to {points(max(kept))} points.",
)

# %%
claims(
    (
        "Dropping rows closes the patch's backdoor, below 15 %, but not the other two, "
        "above 60 %",
        repaired["patch, 43 rows: rows dropped"] < 0.15
        and repaired["blended, 43 rows: rows dropped"] > 0.6
        and repaired["80 corners to 0: rows dropped"] > 0.6,
    ),
    (
        "Fine-pruning costs accuracy in all three, and closes none: above 15 %",
        max(kept) < 0
        and min(repaired[name] for name in repaired if "pruned" in name) > 0.15,
    ),
)

# %% [markdown]
# Dropping rows repairs what the detector sees, here the patch. With the majority poisoned it drops the clean zeros, which only
# strengthens the backdoor. Fine-pruning weakens backdoors, at a price, and closes none here: the units that carry them also read
# digits.

# %% [markdown]
# ## 5 · What can be proved
#
# Detectors guess how poison looks. A **partition ensemble** (Levine & Feizi, 2021) does not. Hash each row, on its own, into
# one of $k$ parts; train $k$ models, one for each part; let them vote. A poisoned row reaches one part, so it turns **one vote**,
# whatever is in it.
#
# ### Exercise 6: the certificate
#
# $n_1$ voters choose the winner, $n_2$ another class. How many may an attacker own? Mind the tie: the class with the smaller
# number wins it.


# %%
def partition_certificate(votes):
    """The winner, and how many voters may vote otherwise without turning it.

    votes: int64 (batch, classes), how many vote for each class. Of classes with equally
    many, the first wins.  Returns two int64 tensors (batch,); the second is the most.
    """
    ### BEGIN SOLUTION
    winner = votes.argmax(1)
    classes = torch.arange(votes.shape[1], device=votes.device)
    needed = votes + (classes < winner[:, None]).long()  # those before it win a tie
    needed.scatter_(1, winner[:, None], -1)
    return winner, (votes.amax(1) - needed.amax(1)) // 2
    ### END SOLUTION


partition_certificate = check("08.partition_certificate", partition_certificate)

# %% [markdown]
# The proof needs models that depend on *their* rows and on nothing else, not even on luck. So the parts train ridge
# classifiers, which have a closed form: 50 of them in a tenth of a second. But what can 29 rows each still teach?

# %%
guess_parts = predict(
    "08.parts",
    "50 classifiers with 29 rows each: on what share of test digits is their vote "
    "right?",
    percent=True,
)

# %%
partitioned = {
    f"{k} parts": poisoning.PartitionEnsemble(x, y, parts=k, classes=10)
    for k in (20, 50, 100)
}
alone = poisoning.PartitionEnsemble(x, y, parts=1, classes=10)
ridge = (alone.votes(x_test).argmax(1) == y_test).float().mean()
poisons = list(range(31))
certified = {}
for name, ensemble in partitioned.items():
    label, radius = partition_certificate(ensemble.votes(x_test))
    hits = label == y_test
    certified[name] = [(hits & (radius >= r)).float().mean().item() for r in poisons]
figures.curves(
    poisons,
    certified,
    xlabel="rows that the attacker adds, removes or relabels",
    ylabel="test digits right, and proved",
    percent=True,
    ylim=(-0.03, 1.03),
    roles={"50 parts": "proof"},
    guess=guess_parts,
    caption="Right, and proved to stay so. At 0: plain accuracy; one ridge classifier "
    f"on all rows has {percent(ridge)}.",
)

# %%
claims(
    (
        "50 parts: above 90 % accurate, and above 60 % proved against 10 poisoned rows",
        certified["50 parts"][0] > 0.9 and certified["50 parts"][10] > 0.6,
        f"{percent(certified['50 parts'][0])} and {percent(certified['50 parts'][10])}",
        guess_parts,
    ),
    (
        "Against 20 rows 100 parts prove more than 50 do; without poison they are less "
        "accurate",
        certified["100 parts"][20] > certified["50 parts"][20]
        and certified["100 parts"][0] < certified["50 parts"][0],
    ),
)

# %% [markdown]
# ### Is it true, and is it tight?
#
# Attack it. The attacker knows everything, and wants one test digit misread: they add copies of *that* digit, with the label
# of the runner-up and so little noise that nobody sees it, each falling into another part. With as many copies as the
# radius says, nothing may happen. With three more?

# %%
guess_three = predict(
    "08.three",
    "With three copies more than the radius, how many of twelve digits still stand?",
    low=0,
    high=12,
    step=1,
)

# %%
ensemble, draw = partitioned["50 parts"], runtime.generator(12)
label, radius = ensemble.certify(x_test)


def stand(extra):
    """How many of twelve test digits withstand `extra` copies more than the radius."""
    return sum(
        scene.withstands(
            ensemble, x, y, x_test[i], label[i], int(radius[i]) + extra, draw
        )
        for i in range(12)
    )


stands = {extra: stand(extra) for extra in (0, 1, 3)}
figures.table(
    [[f"radius + {extra}", number] for extra, number in stands.items()],
    ["copies", "digits that stand, of 12"],
)

# %%
claims(
    (
        "With as many copies as the radius says, all twelve digits stand",
        stands[0] == 12,
    ),
    (
        "With three more, at least a third have fallen",
        stands[3] <= 8,
        f"{stands[3]} stand",
        guess_three,
    ),
)

# %% [markdown]
# Twelve digits prove nothing; the argument does, and these agree with it. It is not far from tight. Now the backdoors of this
# lab, against the ensemble. They **rewrite** rows, and a rewritten row leaves one part and enters another: it costs two votes.

# %%
curve = {}
for name in ("blended", "clean-label corners + PGD"):
    trigger, plant = attacks[name]
    for k in (1, 50):
        curve[f"{name}, {k} part" + "s" * (k > 1)] = row = []
        for count in counts:
            planted = plant(count, generator=runtime.generator(13))
            voters = poisoning.PartitionEnsemble(
                planted.x, planted.y, parts=k, classes=10
            )
            success = attack_success(voters.votes, x_test, y_test, trigger, target)
            row.append(success)
figures.curves(
    counts,
    curve,
    xlabel="poisoned rows (of 1,437)",
    ylabel="other digits turned into a 0",
    percent=True,
    log="x",
    ylim=(-0.03, 1.03),
    roles={"blended, 1 part": "attack", "blended, 50 parts": "defence"},
    caption="Ridge classifiers, one on all rows or 50 that vote. Each row is "
    "rewritten, so a radius of r covers r / 2 of them.",
)

# %%
at_14 = {name: row[counts.index(14)] for name, row in curve.items()}

# %%
claims(
    (
        "14 blended rows open one classifier for most digits, and 50 that vote for "
        "less than 5 %",
        at_14["blended, 1 part"] > 0.5 and at_14["blended, 50 parts"] < 0.05,
        " and ".join(percent(at_14[f"blended, {k}"]) for k in ("1 part", "50 parts")),
    ),
    (
        "72 clean-label rows open the vote too, for more than 70 %: more than it is "
        "certified for",
        curve["clean-label corners + PGD, 50 parts"][-1] > 0.7,
        percent(curve["clean-label corners + PGD, 50 parts"][-1]),
    ),
)

# %% [markdown]
# No radius is above 25 rows added, which is 12 rewritten. Beyond it the vote may hold, as it does against most of the blended
# rows, or fall, as with 43 clean-label ones: nothing is promised. It raises the price; it does not replace knowing **where the
# data come from** (provenance, signatures: lab 16).

# %%
guarantee(
    holds="For each input, exactly: whichever `radius` rows are added, removed or "
    "relabelled, the vote stays. No assumption on how poison looks.",
    does_not="A rewritten row counts twice. The label may be wrong to begin with. "
    "Detectors guarantee nothing: they find the poison that their authors had in mind.",
    adapts="More rows than the radius; against detectors clean labels, large triggers "
    "and the majority of a class.",
    cost=f"{percent(1 - certified['50 parts'][0], 0)} errors with 50 parts, where the "
    f"network makes {percent(1 - accuracy(clean), 0)}; 50 models to train and to ask. "
    "Detectors cost clean rows, and clean models to calibrate on.",
)

# %% [markdown]
# ### Spot the broken experiment
#
# A colleague skips the calibration: "we flag the smaller cluster of every label and find nearly all of the poison". It is
# true. Write **one** control that shows what is wrong with it.

# %%
model, planted = suspects["patch, 43 rows"][0]
flagged = inspect(model, planted.x, planted.y)[1]
theirs = flagged[planted.indices].float().mean().item()
figures.table([["poison", percent(theirs, 0)]], ["rows", "flagged"])

# %% tags=["student-only"]
# Your control here: what does the same rule say where there is nothing to find?

# %% tags=["solution-only"]
alarm = inspect(fresh[0], x, y)[1].float().mean().item()
beside = flagged.index_fill(0, planted.indices, False).float().mean().item()
claims(
    (
        "On a clean model the same rule flags more than a quarter of all rows",
        alarm > 0.25,
        percent(alarm, 0),
    ),
    (
        "On theirs too, it flags more than a fifth of all rows, all of them clean",
        beside > 0.2,
        percent(beside, 0),
    ),
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# k-means splits *every* label in two, so something is flagged for every label: more than a quarter of a clean training set. A
# recall without a false-positive rate says nothing; flagging all rows has a recall of 100 %.
#
# </details>

# %% [markdown]
# ## 6 · Quiz

# %%
quiz("08")

# %% [markdown]
# ### Further reading
#
# * T. Gu, B. Dolan-Gavitt, S. Garg, 2017, [*BadNets: Identifying Vulnerabilities in the Machine Learning Model Supply
#   Chain*](https://arxiv.org/abs/1708.06733).
# * X. Chen, C. Liu, B. Li, K. Lu, D. Song, 2017, [*Targeted Backdoor Attacks on Deep Learning Systems Using Data
#   Poisoning*](https://arxiv.org/abs/1712.05526). The blended trigger.
# * A. Turner, D. Tsipras, A. Madry, 2019, [*Label-Consistent Backdoor Attacks*](https://arxiv.org/abs/1912.02771).
# * B. Tran, J. Li, A. Madry, 2018, [*Spectral Signatures in Backdoor Attacks*](https://arxiv.org/abs/1811.00636).
# * B. Chen et al., 2018, [*Detecting Backdoor Attacks on Deep Neural Networks by Activation
#   Clustering*](https://arxiv.org/abs/1811.03728).
# * K. Liu, B. Dolan-Gavitt, S. Garg, 2018, [*Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural
#   Networks*](https://arxiv.org/abs/1805.12185).
# * B. Wang et al., 2019, [*Neural Cleanse: Identifying and Mitigating Backdoor Attacks in Neural
#   Networks*](https://doi.org/10.1109/SP.2019.00031).
# * A. Levine, S. Feizi, 2021, [*Deep Partition Aggregation: Provable Defense against General Poisoning
#   Attacks*](https://arxiv.org/abs/2006.14768).
#
# To see how the library writes this, open `modelsec_course/poisoning/attacks.py`, `detection.py` and `certificates.py`.

# %%
finish("08")
