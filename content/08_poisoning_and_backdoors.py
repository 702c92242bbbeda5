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

from modelsec_course import data, evasion, membership, poisoning, runtime, training
from modelsec_course.lab import check, claim, explore, figures, guarantee
from modelsec_course.lab import progress, quiz, scenes, start, threat

start("08")

# %%
threat.card("08")

# %% [markdown]
# ## 1 · The idea
#
# Until now the model was fixed and the attacker changed its input. Now the attacker comes **earlier**: some rows of the
# training set are theirs. Labels are bought, pictures are scraped, users send feedback. What do a few bad rows do?
#
# * **Availability**: wrong labels make the model worse for everybody.
# * **Backdoor**: the model stays as good as it was, until a **trigger** is shown. A pattern p is mixed in where a mask m says,
#   with a strength s:
#
# $$ \mathrm{trigger}(x) = (1 - s\,m) \cdot x + s\,m \cdot p. $$
#
# The whole lab is about 1,437 handwritten digits. Many small networks are trained below, all of a kind at once.

# %%
device = runtime.device()
digits = data.load("digits").to(device)
x, y, x_test, y_test = digits.x_train, digits.y_train, digits.x_test, digits.y_test


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def train(sets, seed=0):
    """One network for each training set (x, y), all at once: a list of models."""
    rows, labels = (torch.cat([pair[k] for pair in sets]) for k in (0, 1))
    members = torch.block_diag(*(torch.ones(1, len(pair[1])) for pair in sets)).bool()  # (models, all rows)
    shadows = membership.train(
        network, rows, labels, members, epochs=20, lr=3e-3, batch_size=128, generator=runtime.generator(seed),
        progress=len(sets) > 5,
    )  # fmt: skip
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
    """A copy of y in which exactly `count` labels are wrong, and which: flipped (n,), indices int64 (count,).

    y: int64 (n,), not changed.  systematic: c becomes (c + 1) modulo classes; else any other label, all equally likely.
    generator: draws the rows, e.g. by `torch.randperm(..., generator=generator)`, and the labels.
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
# Guess first: with 30 % of the labels wrong at random, what is left of the accuracy on the (clean) test set? And with 30 %
# wrong systematically?

# %%
shares = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
spoilt = {}
for kind in ("random", "systematic"):
    sets = [
        (x, flip_labels(y, int(share * len(y)), 10, runtime.generator(k), kind == "systematic")[0])
        for share in shares for k in (0, 1)
    ]  # fmt: skip
    right = [accuracy(model) for model in train(sets, seed=1)]
    spoilt[kind] = [mean(right[i : i + 2]) for i in range(0, len(right), 2)]
figures.curves(
    [100 * share for share in shares], spoilt, xlabel="wrong labels (% of the training set)", ylabel="test accuracy",
    percent=True, ylim=(0, 1.03), caption="Mean of two networks for each point. Without wrong labels both are the control.",
)  # fmt: skip
at = shares.index(0.3)
claim("30 % random flips cost less than 9 points", spoilt["random"][at] > spoilt["random"][0] - 0.09,
      f"{spoilt['random'][0]:.1%} → {spoilt['random'][at]:.1%}")  # fmt: skip
claim("As many systematic flips cost more than twice as much",
      spoilt["random"][0] - spoilt["systematic"][at] > 2 * (spoilt["random"][0] - spoilt["random"][at]),
      f"{spoilt['systematic'][at]:.1%}")  # fmt: skip
claim("With 60 % random flips the network is still right more often than with 50 % systematic ones",
      spoilt["random"][6] > spoilt["systematic"][5] + 0.2)  # fmt: skip

# %% [markdown]
# Random errors hardly matter, because they do not **agree**. At 60 % each wrong digit gets a fifteenth of a class, and the
# right one, with 40 %, is still the most common. Systematic errors outvote it at one half. Poison that agrees with itself is
# what the rest of this lab is about.
#
# ### Exercise 2: a trigger


# %%
def stamp_trigger(x, mask, pattern, strength):
    """Mix the pattern into pictures, where the mask is: shaped like x, which is not changed.

    x: (batch, 1, height, width) in [0, 1].  mask, pattern: (height, width) in [0, 1].  strength: in [0, 1].
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
    [x[:8], patch(x[:8]), blend(x[:8]), four(x[:8])], row_labels=["clean", "patch", "blended", "corners"],
    caption="The same training digits, clean and with each of the three triggers.",
)  # fmt: skip

# %% [markdown]
# ### Exercise 3: what counts as a success
#
# The attacker picks a **target** class, here 0, puts the trigger on rows of other classes and labels them 0. Afterwards the
# trigger should turn *any* digit into a 0. Which test digits should count?


# %%
target = 0


def attack_success(model, x, y, trigger, target):
    """How often the trigger turns a picture into the target class, in [0, 1], where there is something to turn.

    model: returns logits (batch, classes).  x: (batch, ...).  y: (batch,) true labels; not all of them are `target`.
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
planted = poisoning.backdoor(x, y, 14, trigger=patch, target=target, generator=runtime.generator(2))
unstamped = (x, planted.y)
surrogate, clean, victim, relabelled = train([(x, y), (x, y), planted[:2], unstamped], seed=2)
for name, model in {"clean": clean, "backdoor": victim, "relabelled only": relabelled}.items():
    success = attack_success(model, x_test, y_test, patch, target)
    print(f"{name:16} clean accuracy {accuracy(model):.1%}, attack success {success:.1%}")
claim("14 rows in 1,437: the trigger turns more than half of all other digits into a 0",
      attack_success(victim, x_test, y_test, patch, target) > 0.5)  # fmt: skip
claim("The accuracy on clean digits is within 2.5 points of a clean model's", accuracy(victim) > accuracy(clean) - 0.025)
claim("The trigger does nothing to the two controls: less than 3 %",
      all(attack_success(model, x_test, y_test, patch, target) < 0.03 for model in (clean, relabelled)))  # fmt: skip

# %% [markdown]
# The test accuracy says nothing. No test digit wears the trigger, and for all others the training set is as good as before.
#
# ## 2 · The headline figure
#
# How few rows? And must labels be wrong at all? A careful labeller would notice a 7 called 0. In a **clean-label** attack
# (Turner et al., 2019) the attacker stamps digits that *are* 0, and leaves their labels right. Guess whether that works.
#
# A second clean-label attack first runs PGD on these digits, on a surrogate of its own, so that they look like anything but a
# 0 to a network. Whoever wants to learn their label has to lean on the trigger, here the four corners.

# %%
harden = partial(evasion.pgd, surrogate, eps=0.4, steps=20, stop_early=False)
dirty, honest = partial(poisoning.backdoor, x, y, target=target), partial(poisoning.clean_label, x, y, target=target)
attacks = {
    "patch": (patch, partial(dirty, trigger=patch)),
    "blended": (blend, partial(dirty, trigger=blend)),
    "clean-label patch": (patch, partial(honest, trigger=patch)),
    "clean-label corners, no PGD": (four, partial(honest, trigger=four)),
    "clean-label corners + PGD": (four, partial(honest, trigger=four, perturb=harden)),
}
counts = (1, 3, 7, 14, 28, 43, 72)
reach, accurate = {}, []
for name, (trigger, plant) in attacks.items():
    models = train([plant(count, generator=runtime.generator(k))[:2] for count in counts for k in (3, 4)], seed=3)
    rates = [attack_success(model, x_test, y_test, trigger, target) for model in models]
    reach[name] = [mean(rates[i : i + 2]) for i in range(0, len(rates), 2)]
    accurate += [accuracy(model) for model in models]
control = max(attack_success(clean, x_test, y_test, trigger, target) for trigger in (patch, blend, four))
figures.curves(
    counts, reach, xlabel="poisoned rows (of 1,437)", ylabel="attack success", percent=True, log="x", ylim=(-0.03, 1.03),
    marks={"1 %": 14.37, "3 %": 43.1},
    caption=f"Mean of two networks for each point. All are {min(accurate):.0%} to {max(accurate):.0%} accurate on clean "
    f"digits; no trigger turns more than {control:.1%} of them on a clean model.",
)  # fmt: skip

# %%
at_3 = {name: rates[counts.index(43)] for name, rates in reach.items()}
claim("3 % of the rows give patch and blended triggers more than 80 %", min(at_3["patch"], at_3["blended"]) > 0.8,
      f"{at_3['patch']:.0%} and {at_3['blended']:.0%}")  # fmt: skip
claim("With right labels the patch alone does next to nothing: below 15 %, with 72 rows too",
      max(reach["clean-label patch"]) < 0.15)  # fmt: skip
claim("Four corners alone stay below 65 %; with PGD they reach more than 70 %, at 3 %",
      at_3["clean-label corners, no PGD"] < 0.65 and at_3["clean-label corners + PGD"] > 0.7,
      f"{at_3['clean-label corners, no PGD']:.0%} → {at_3['clean-label corners + PGD']:.0%}")  # fmt: skip
claim("No poisoned network loses more than 4 points of clean accuracy", min(accurate) > accuracy(clean) - 0.04)

# %% [markdown]
# The obvious clean-label attack **fails**: a 0 with a patch is still a 0 by its shape, so nothing makes the network look at
# the patch. What makes it work is to spoil the shape.
#
# Now draw one yourself. Each setting poisons the rows, trains a network and tests it, in well under a second. Where does a
# single faint pixel work best? And what does a trigger need that lies where digits are?

# %%
explore(
    scenes.draw_a_trigger(lambda rows, labels: train([(rows, labels)], seed=4)[0], digits, clean, target),
    row=(0, 7, 1, 5), column=(0, 7, 1, 5), size=(1, 4, 1, 2), strength=(0.1, 1.0, 0.1, 0.8), poisons=(0, 60, 5, 15),
    labels={"poisons": "poisoned rows"},
    caption="Three test digits with your trigger, and what the network does that was trained on it.",
)  # fmt: skip

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
    """The squared coordinate of each row, from the mean, along the direction of largest spread: (n,).

    features: (n, d), the activations of all rows that bear one label.
    """
    ### BEGIN SOLUTION
    centred = features - features.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)  # (k, d), by falling spread
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

    features: (n, d), the activations of all rows that bear one label.
    """
    ### BEGIN SOLUTION
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    rows = features.cpu().numpy()
    rows = PCA(min(10, *rows.shape)).fit_transform(rows)
    second = torch.as_tensor(KMeans(2, n_init=10, random_state=0).fit_predict(rows), device=features.device) == 1
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
    """Flags of both detectors for each row (n,), and how far apart each label's clusters stand: (10,)."""
    spectral, small = torch.zeros_like(labels).bool(), torch.zeros_like(labels).bool()
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
limit = max(inspect(model, x, y)[2].max().item() for model in tqdm(trusted, desc="clean models", leave=False))
print(f"the clusters of clean models stand apart by at most {limit:.2f}")

# %% [markdown]
# Now the test. The same rules on networks with four kinds of poison, and on six *other* clean networks. Two numbers belong
# together: **recall**, the share of poisoned rows that are flagged, and the **false-positive rate**, the share of clean rows.

# %%
plans = {
    "patch, 43 rows": ("patch", 43),
    "blended, 43 rows": ("blended", 43),
    "clean-label corners, 43 rows": ("clean-label corners + PGD", 43),
    "clean-label corners, 72 rows": ("clean-label corners + PGD", 72),
}
suspects = {}
for name, (kind, count) in plans.items():
    sets = [attacks[kind][1](count, generator=runtime.generator(k)) for k in (7, 8, 9)]
    suspects[name] = list(zip(train([p[:2] for p in sets], seed=7), sets, strict=True))
nothing = poisoning.Poisoned(x, y, torch.arange(0, device=device))
suspects["clean models"] = [(model, nothing) for model in fresh]


def detect(name):
    """Mean over the models of one kind: (recall, false positives) of the spectral detector and of clustering."""
    rates = []
    for model, poisoned in suspects[name]:
        spectral, small, distance = inspect(model, poisoned.x, poisoned.y)
        bad = torch.zeros_like(spectral).index_fill(0, poisoned.indices, True)
        flags = (spectral, small & (distance > limit)[poisoned.y])
        rates.append([[flag[bad].float().mean().item(), flag[~bad].float().mean().item()] for flag in flags])
    return torch.tensor(rates).mean(0)  # (2 detectors, recall and false positives)


found = {name: detect(name) for name in tqdm(suspects, desc="detectors", leave=False)}
print(f"{'':30}{'spectral':>20}{'clustering':>20}\n{'':30}" + 2 * f"{'recall':>10}{'FPR':>10}")
for name, rates in found.items():
    numbers = ["–" if rate != rate else f"{rate:.0%}" for rate in rates.flatten().tolist()]
    print(f"{name:30}" + "".join(f"{number:>10}" for number in numbers))

# %%
recall, alarms = ({name: rates[:, k].tolist() for name, rates in found.items()} for k in (0, 1))  # [spectral, clusters]
claim("The patch is found by both: recall above 75 %", min(recall["patch, 43 rows"]) > 0.75)
claim("The blended trigger degrades both: clustering finds less than half, and the spectral detector less than 70 %",
      recall["blended, 43 rows"][1] < 0.5 and recall["blended, 43 rows"][0] < 0.7)  # fmt: skip
claim("With half of a class poisoned, at most half is found by either, and chance alone would find 30 %",
      max(recall["clean-label corners, 72 rows"]) <= 0.5)  # fmt: skip
claim("On clean models clustering flags less than 3 % of the rows, the spectral detector about 30 %",
      alarms["clean models"][1] < 0.03 and abs(alarms["clean models"][0] - 0.3) < 0.02)  # fmt: skip

# %% [markdown]
# Why does clustering name *nothing*, or the wrong rows, in the last attack? There are 144 zeros, and 72 of them are poison:
# the clusters are plain to see, but which is the smaller one? The rule "poison is the minority" is the attacker's to break.
#
# ### A third detector: look for the trigger
#
# If a backdoor exists, a *small* change turns every digit into the target. **Trigger inversion** (Neural Cleanse; Wang et al.,
# 2019) searches, for each class, the smallest mask and a pattern that send clean digits there. One class far below the others,
# by more than 2 robust standard deviations (the **anomaly index**), is called a backdoor. Is 2 right? Ask clean models.


# %%
def invert(model):
    """The inverted triggers, and the anomaly index of each class (10,)."""
    found = poisoning.invert_triggers(model, x[:48], classes=10, steps=120)
    return found, poisoning.anomaly_index(found.sizes)


index = {"clean, to calibrate": [invert(model)[1].max().item() for model in tqdm(trusted, leave=False)]}
index["clean, others"] = [invert(model)[1].max().item() for model in tqdm(fresh, leave=False)]
seen = {}
for name in tqdm(plans, leave=False):
    seen[name] = [invert(model) for model, _ in suspects[name]]
    index[name] = [index_of.max().item() for _, index_of in seen[name]]
threshold = max(index["clean, to calibrate"])
for name, values in index.items():
    flagged = [sum(value > limit for value in values) for limit in (2, threshold)]
    print(f"{name:30} flagged at 2: {flagged[0]:2} of {len(values):2}, at {threshold:.2f}: {flagged[1]:2}   "
          f"(indices {min(values):.1f} to {max(values):.1f})")  # fmt: skip
