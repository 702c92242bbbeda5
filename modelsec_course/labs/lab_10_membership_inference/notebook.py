# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 10 · Membership and attribute inference

# %%
import torch
from torch import nn
from torch.distributions import Normal

from modelsec_course import data, ensembles, membership, runtime, training
from modelsec_course.lab import check, claims, explore, figures, finish
from modelsec_course.lab import guarantee, predict, quiz, start, threat
from modelsec_course.lab.words import interval, percent
from modelsec_course.labs.lab_10_membership_inference import scene
from modelsec_course.models import Normalize, initialise
from modelsec_course.statistics import clopper_pearson

start("10")

# %%
threat.card("10")

# %% [markdown]
# ## 1 · The idea
#
# A hospital trains a model on its patients with a rare disease. Whoever was in that training set has the disease: **membership**
# alone is a diagnosis. You hold a person's record, and you may ask the model about it once. Was it trained on this person?
#
# You do not know, but you can *try*. Train models of your own, some with the record and some without, and see which kind the
# answer looks like. That is a **likelihood ratio**:
#
# $$ \Lambda(x) = \frac{p(\text{answer} \mid \text{trained with } x)}{p(\text{answer} \mid \text{trained without } x)}. $$
#
# Our people are 600 handwritten digits. As in many a collection, one label in ten is wrong.

# %%
device = runtime.device()
digits = data.load("digits").to(device)
draw = runtime.generator(1)
people = torch.randperm(len(digits.x_train), generator=draw)[:600].to(device)
x, y = digits.x_train[people], digits.y_train[people].clone()
wrong = (torch.rand(600, generator=draw) < 0.1).to(device)
y[wrong] = (
    y[wrong] + torch.randint(1, 10, (600,), generator=draw).to(device)[wrong]
) % 10
figures.pictures(
    [x[~wrong][:8], x[wrong][:8]],
    titles=[[f"label {k}" for k in y[rows][:8].tolist()] for rows in (~wrong, wrong)],
    row_labels=["right", "wrong"],
    wrong=[[False] * 8, [True] * 8],
    caption="Some people with the labels that the models are trained on.",
)

# %% [markdown]
# Now 72 models, each trained on a random half of the people. The first eight are the **victims**: you may ask them. The
# other 64 are your **shadow models**, and of them you know who was in. They are trained by the victims' own recipe: that you
# know it is assumed, and section 4 looks at what it is worth. One after the other that would take a while. The library trains
# them all at once: 72 networks are one network with a batch axis in front of its weights.


# %%
def architecture():
    layers = [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)]
    return nn.Sequential(nn.Flatten(), *layers)


def trained(x, y, members, seed, epochs=60, lr=3e-3, progress=False):
    """One model for each row of `members`, bool (models, n), all at once."""
    recipe = {"epochs": epochs, "lr": lr, "progress": progress}
    draw = runtime.generator(seed)
    return ensembles.train(architecture, x, y, members, generator=draw, **recipe)


members = torch.rand(72, 600, generator=runtime.generator(2)) < 0.5
members = members.to(device)  # who is in which training set
models = trained(x, y, members, seed=3, progress=True)
logits = models.logits(x)  # (72, 600, 10)
right = logits.argmax(2) == y
seen, unseen = (
    right[members].float().mean().item(),
    right[~members].float().mean().item(),
)

# %%
claims(
    (
        "The models are right about more than 90 % of their members, and about fewer "
        "than 87 % of the others",
        seen > 0.9 and unseen < 0.87,
        f"{percent(seen)} and {percent(unseen)}",
    )
)

# %% [markdown]
# ### Exercise 1: the gap
#
# The simplest attack needs a label only: say *member* when the model is right (Yeom et al., 2018). Its **advantage** is the
# share of members of whom it says so, minus the share of the others.


# %%
def gap_attack(logits, y, members):
    """The advantage of the attacker who says "member" when the model is right.

    logits: (n, classes) of one model.  y: (n,) labels.
    members: bool (n,), who was in the training set.
    Returns a number from −1 to 1.
    """
    ### BEGIN SOLUTION
    says_member = (logits.argmax(1) == y).float()
    return (says_member[members].mean() - says_member[~members].mean()).item()
    ### END SOLUTION


gap_attack = check("10.gap_attack", gap_attack)

# %%
gap = sum(gap_attack(logits[v], y, members[v]) for v in range(8)) / 8
accused = right[:8][~members[:8]].float().mean().item()

# %%
claims(
    (
        "The advantage, the gap between train and test accuracy, is between 0.08 and "
        "0.25 over eight victims",
        0.08 < gap < 0.25,
        f"{gap:.2f}",
    ),
    (
        "It accuses more than 3 of 4 people who were never in",
        accused > 0.75,
        percent(accused, 0),
    ),
)

# %% [markdown]
# An advantage, but would you believe this attacker? Nearly everybody is accused. Membership inference is about *some* people
# named with confidence, so count differently: how many members does an attack find, if at most 1 % of the others may be
# accused? For that it needs a score with more than two values.
#
# ### Exercise 2: a scale that does not end
#
# The probability $p$ of the record's label is such a score, but near 1 all are alike: 0.9999 and 0.999999 are worlds apart.
# Take the **log-odds**, $\log p - \log(1 - p)$. Over many models they look nearly Gaussian. The trap: in float32, $1 - p$ is 0
# as soon as $p > 1 - 6 \cdot 10^{-8}$. Compute them from the logits, without $p$.


# %%
def logit_scale(logits, y):
    """The log-odds log p − log(1 − p) of each record's label, exact even where p is 1.

    logits: (..., n, classes), of one model or of many.  y: (n,) labels.
    Returns (..., n).
    """
    ### BEGIN SOLUTION
    own = y.expand(logits.shape[:-1])[..., None]
    others = logits.scatter(-1, own, -torch.inf).logsumexp(
        -1
    )  # log of what p leaves them
    return logits.gather(-1, own)[..., 0] - others
    ### END SOLUTION


logit_scale = check("10.logit_scale", logit_scale)

# %%
answers = logit_scale(logits, y)  # (72, 600)
victims, shadows = answers[:8], answers[8:]
inside, trained_on = members[:8], members[8:]  # the truth; what the attacker knows
of_members, of_others = victims[inside].mean(), victims[~inside].mean()

# %%
claims(
    (
        "Members are answered with higher log-odds, on average over all",
        of_members > of_others + 0.5,
        f"{of_members:.1f} against {of_others:.1f}",
    )
)

# %% [markdown]
# ### Exercise 3: found at few false accusations
#
# Accuse everybody whose score lies **above** a threshold. Choose the threshold so that at most a share `fpr` of the others is
# accused (the false-positive rate), and report the share of members found (the true-positive rate). With 50 others no
# attack can show a rate of 1 %: one accusation is 2 % already. Then refuse.


# %%
def tpr_at_fpr(scores, members, fpr):
    """The share of members found when at most a share fpr of the others is accused.

    Found are those above the lowest threshold that allows it.
    scores: (n,), higher means member.  members: bool (n,).  fpr: in (0, 1].
    Returns a number in [0, 1].  Raises ValueError if the others are fewer than 1 / fpr.
    """
    ### BEGIN SOLUTION
    others = scores[~members].sort(descending=True).values
    allowed = int(fpr * len(others) + 1e-9)  # how many may be accused
    if allowed < 1:
        raise ValueError(f"{len(others)} others cannot show a rate of {fpr}")
    threshold = others[allowed] if allowed < len(others) else -torch.inf
    return (scores[members] > threshold).float().mean().item()
    ### END SOLUTION


tpr_at_fpr = check("10.tpr_at_fpr", tpr_at_fpr)

# %% [markdown]
# One threshold on the log-odds, the same for everybody. How many members does it find?

# %%
guess_threshold = predict(
    "10.threshold",
    "At 1 % false accusations, what share of the members does one threshold find?",
    high=0.3,
    step=0.005,
    percent=True,
)

# %%
by_threshold = tpr_at_fpr(victims.flatten(), inside.flatten(), 0.01)
area = membership.auc(victims, inside)

# %%
claims(
    ("Its AUC is above 0.56", area.value > 0.56, f"{area.value:.2f}"),
    (
        "At 1 % false accusations it finds fewer than 3 % of the members",
        by_threshold < 0.03,
        percent(by_threshold),
        guess_threshold,
    ),
)

# %% [markdown]
# Guessing finds 1 %, so this is hardly more. The AUC, an average over all thresholds, looked better. Why does it fail? Of some
# people every model is sure, trained on them or not: their score is high either way (a claim in section 2 checks this). So do
# not compare people with each other. Compare a person with **themselves**.
#
# ### Exercise 4: the likelihood ratio
#
# LiRA (Carlini et al., 2022): for each person two Gaussians, of shadow models with the record and of those without. The score is
# the difference of their log-densities at the victim's answer $a$:
#
# $$ \log \Lambda = \log \mathcal{N}(a;\, \mu_{\text{in}}, \sigma_{\text{in}}^2) - \log \mathcal{N}(a;\, \mu_{\text{out}}, \sigma_{\text{out}}^2). $$
#
# A mean needs few shadows, a spread needs many. So pool it: **one** $\sigma_{\text{in}}$ and **one** $\sigma_{\text{out}}$ for
# all people, from how far every shadow's answer lies from its person's own mean.


# %%
def lira(target, shadows, members):
    """The log-likelihood ratio of each record, higher means member.

    target: (..., n) the attacked models' log-odds.
    shadows: (models, n) those of shadow models.
    members: bool (models, n), which of them were trained on which record.
    The two means belong to a record; the two standard deviations are over all records'
    deviations from these.
    """
    ### BEGIN SOLUTION
    gaussians = []
    for group in (members, ~members):
        mean = torch.where(group, shadows, 0).sum(0) / group.sum(0)
        gaussians.append(Normal(mean, (shadows - mean)[group].std() + 1e-6))
    return gaussians[0].log_prob(target) - gaussians[1].log_prob(target)
    ### END SOLUTION


lira = check("10.lira", lira)

# %% [markdown]
# ## 2 · The headline figure
#
# How many members are found, for each rate of false accusations? Both axes are logarithmic, because the left end is what
# matters. *Outsiders only* is LiRA with the shadows that have not seen the person: one side of a Gaussian, and no shadow has to
# be trained on the person you ask about. Yet each of them did see about half of the victim's other members: you are taken to
# hold such records. Two controls: the same scores, judged by **another model's** list of members, and **untrained** networks as
# victims and shadows, which can know nobody.

# %%
guess_lira = predict(
    "10.lira",
    "And at 1 % false accusations, what share of the members does LiRA find?",
    high=0.5,
    step=0.005,
    percent=True,
)

# %%
scores = lira(victims, shadows, trained_on)
outsiders = membership.lira(victims, shadows, trained_on, mode="offline")
empty = trained(x, y, members, seed=4, epochs=1, lr=1e-12)
nobody = logit_scale(empty.logits(x), y)
attacks = {
    "LiRA": (scores, inside),
    "LiRA, outsiders only": (outsiders, inside),
    "one threshold": (victims, inside),
    "another list": (scores, inside.roll(1, 0)),
    "untrained": (lira(nobody[:8], nobody[8:], trained_on), inside),
}

# %% tags=["headline"]
rates = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]
found = {
    name: [tpr_at_fpr(score.flatten(), group.flatten(), rate) for rate in rates]
    for name, (score, group) in attacks.items()
}
drawn = {name: [max(share, 1e-4) for share in shares] for name, shares in found.items()}
figures.curves(
    [100 * rate for rate in rates],
    drawn | {"guessing": rates},
    xlabel="others accused: false-positive rate (%)",
    ylabel="members found: true-positive rate",
    log="xy",
    percent=True,
    roles={"LiRA": "attack", "another list": "control", "guessing": "truth"},
    guess=guess_lira,
    caption="600 people, eight victims, 64 shadow models. Guessing finds the share "
    "that it accuses. At the left end only 2 of 2,400 others may be accused: there the "
    "lower curves are a handful of people.",
)

# %%
at = {name: dict(zip(rates, shares, strict=True)) for name, shares in found.items()}
one_percent = {name: shares[0.01] for name, shares in at.items()}
low, high = membership.tpr_at_fpr(scores, inside, 0.01)[1:]

# what models say of those they never saw, and whom one threshold accuses falsely
without = torch.where(trained_on, 0, shadows).sum(0) / (~trained_on).sum(0)
outside = torch.where(inside, -torch.inf, victims)
loudest = outside.flatten().topk(24).indices % 600
rank = (without[loudest][:, None] > without).float().mean().item()
controls = [
    membership.auc(*attacks[name]).value for name in ("another list", "untrained")
]

# %%
claims(
    (
        "At 1 % false accusations LiRA finds at least five times as many members as "
        "one threshold",
        one_percent["LiRA"] >= 5 * one_percent["one threshold"],
        f"{percent(one_percent['LiRA'])}, 95 % interval {interval(low, high)}, against "
        f"{percent(one_percent['one threshold'])}",
        guess_lira,
    ),
    (
        "Models that never saw them put those whom one threshold accuses falsely above "
        "4 of 5 people, on average",
        rank > 0.8,
        percent(rank, 0),
    ),
    (
        "With outsiders only, it still finds at least three times as many",
        one_percent["LiRA, outsiders only"] >= 3 * one_percent["one threshold"],
        percent(one_percent["LiRA, outsiders only"]),
    ),
    (
        "Both controls have an AUC between 0.46 and 0.54",
        min(controls) > 0.46 and max(controls) < 0.54,
        f"{controls[0]:.2f} and {controls[1]:.2f}",
    ),
)

# %% [markdown]
# The interval takes a person and another victim for independent. It leaves out that all victims face the same 600, and is too
# narrow. And what did pooling do? Compare it with a spread for each person, with 64 shadow models and with 16.

# %%
rough = {}
for k in (64, 16):
    by = [
        membership.lira(victims, shadows[:k], trained_on[:k], variance=how)
        for how in ("pooled", "each")
    ]
    rough[k] = [tpr_at_fpr(s.flatten(), inside.flatten(), 0.01) for s in by]
figures.table(
    [[str(k), *map(percent, shares)] for k, shares in rough.items()],
    ["shadow models", "pooled spreads", "a spread for each person"],
    caption="Members found at 1 % false accusations.",
)

# %%
claims(
    (
        "With 16 shadow models, pooled spreads find at least 1.2 times as many",
        rough[16][0] > 1.2 * rough[16][1],
    )
)

# %% [markdown]
# With 64 shadows pooling hardly matters at 1 %, for people do differ in their spreads. It pays when shadows are few.
#
# The same question, a single query, many times the members. Now meet the people. Move to one, and see what models trained with
# the record say of them, and models trained without. Where the two hills part, membership shows. People are sorted by how far.

# %%
mean = [
    torch.where(group, shadows, 0).sum(0) / group.sum(0)
    for group in (trained_on, ~trained_on)
]
order = (mean[0] - mean[1]).argsort(descending=True)  # the most exposed first
explore(
    scene.meet_a_person(
        *(values[order] for values in (x, y, wrong)),
        *(values[:, order] for values in (victims, inside, shadows, trained_on)),
    ),
    person=(0, 599, 1, 0),
    victim=(0, 7, 1, 0),
    reveal=False,
    labels={"reveal": "reveal the truth"},
    caption="Left: the person. Right: log-odds from 64 shadow models, and one victim's "
    "answer.",
)

# %% [markdown]
# Move right from person 0, then look at the last hundred. Who is exposed?

# %%
hard = ~wrong & (
    mean[1] < mean[1][~wrong].quantile(0.1)
)  # the hardest for models without
kinds = {
    "label wrong": wrong,
    "label right, hardest tenth": hard,
    "label right, the others": ~wrong & ~hard,
}
others = scores[~inside].sort(descending=True).values
named = scores > others[int(0.01 * len(others))]  # one threshold for all
shares, ends, blamed, alone = {}, {}, {}, {}
for kind, group in kinds.items():
    caught = named[:, group][inside[:, group]]
    shares[kind] = caught.float().mean().item()
    ends[kind] = clopper_pearson(int(caught.sum()), len(caught))
    blamed[kind] = named[:, group][~inside[:, group]].float().mean().item()
    own = scores[:, group].flatten(), inside[:, group].flatten()
    alone[kind] = tpr_at_fpr(*own, 0.01)  # a threshold of its own

# %%
tenth = "label right, hardest tenth"
figures.bars(
    shares,
    errors=ends,
    ylabel="members found",
    percent=True,
    horizontal=True,
    roles=dict.fromkeys(shares, "attack"),
    caption="LiRA at 1 % false accusations, one threshold for all. 95 % intervals, as "
    "if each person were another for each victim.",
)
figures.table(
    [[kind, percent(blamed[kind]), percent(alone[kind])] for kind in kinds],
    [
        "people",
        "others accused",
        "members found, if 1 % of these others may be accused",
    ],
)

# %%
claims(
    (
        "More than 85 % of the members with a wrong label are found",
        shares["label wrong"] > 0.85,
        percent(shares["label wrong"], 0),
    ),
    (
        "More than 25 % of the hardest tenth with a right label, and fewer than 6 % of "
        "the others",
        shares[tenth] > 0.25 and shares["label right, the others"] < 0.06,
        f"{percent(shares[tenth], 0)} and {percent(shares['label right, the others'])}",
    ),
    (
        "Of the others in the hardest tenth more than 3 % are accused. If only 1 % of "
        "them may be, fewer members are found",
        blamed[tenth] > 0.03 and alone[tenth] < 0.75 * shares[tenth],
        f"{percent(blamed[tenth])} accused, {percent(alone[tenth], 0)} found",
    ),
)

# %% [markdown]
# The average hid this. Most people blend in. Exposed are those whom other models do not expect: nearly all with a wrong label,
# and many whose right label other models hardly believe. In a hospital, that may be the rare case. But read the table: one
# threshold for all accuses more than 1 % of the hardest tenth's others. With a threshold of its own, fewer of them are found.
#
# ## 3 · With one shadow model
#
# Sixty-four shadows are costly when the victim is large. RMIA (Zarifzadeh, Liu & Shokri, 2024) is made for few. It asks how much
# the victim likes $x$ *more than models do in general*, $p(x \mid \text{victim}) / p(x)$, and compares that ratio with the ratios
# of other people $z$ who were surely in nobody's training set: here the test digits. Its score is the share of them that $x$
# outdoes. Within one victim that share only grows with $x$'s own ratio, and so ranks people as the ratio does. What tells them
# apart is the division by $p(x)$, what models say that did not learn $x$.
#
# This time all labels are right: 1,437 digits, half of them in each training set. How do the two compare with 1 shadow model,
# and with 32? And on the 600 people above, with their wrong labels?

# %%
guess_rmia = predict(
    "10.rmia",
    "With one shadow model, what share of the members does RMIA find at 1 % false "
    "accusations?",
    high=0.2,
    step=0.002,
    percent=True,
)

# %%
halves = torch.rand(40, len(digits.x_train), generator=runtime.generator(5)) < 0.5
halves = halves.to(device)
train, test = (digits.x_train, digits.y_train), (digits.x_test, digits.y_test)
clean = trained(*train, halves, seed=6, epochs=40, progress=True)


# %%
def log_odds(models, x, y):
    return logit_scale(models.logits(x), y)


def attacks_on(odds, strangers, members):
    """Three attacks on the first eight models, as functions of the shadows they use.

    odds: log-odds of the people (models, n).  strangers: of the test digits.
    """
    p, q = odds.sigmoid(), strangers.sigmoid()
    return {
        "LiRA": lambda use: membership.lira(odds[:8], odds[use], members[use]),
        "LiRA, outsiders only": lambda use: membership.lira(
            odds[:8], odds[use], members[use], mode="offline"
        ),
        "RMIA": lambda use: membership.rmia(p[:8], q[:8], p[use], q[use], members[use]),
    }


def mean_found(attack, members, k):
    """Members found at 1 %: the mean over up to eight sets of k shadow models."""
    uses = [slice(i, i + k) for i in range(8, len(members) - k + 1, k)][:8]
    found = [membership.tpr_at_fpr(attack(u), members[:8], 0.01).value for u in uses]
    return sum(found) / len(found)


# %%
counts = [1, 2, 4, 8, 16, 32]
against = attacks_on(log_odds(clean, *train), log_odds(clean, *test), halves)
few = {
    name: [mean_found(attack, halves, k) for k in counts]
    for name, attack in against.items()
}
figures.curves(
    counts,
    few | {"guessing": [0.01] * 6},
    xlabel="shadow models",
    ylabel="members found at 1 %",
    log="x",
    percent=True,
    roles={"LiRA": "attack", "guessing": "truth"},
    guess=guess_rmia,
    caption="Digits with right labels, eight victims; mean of up to eight sets of "
    "shadow models.",
)
against = attacks_on(
    answers, log_odds(models, *test), members
)  # one label in ten wrong
noisy = {
    name: {k: mean_found(attack, members, k) for k in (1, 32)}
    for name, attack in against.items()
}
figures.table(
    [[name, percent(found[1]), percent(found[32])] for name, found in noisy.items()],
    ["600 people, one label in ten wrong", "1 shadow model", "32"],
    caption="Members found at 1 % false accusations.",
)

# %%
claims(
    (
        "With one shadow model RMIA finds at least twice as many as LiRA",
        few["RMIA"][0] >= 2 * few["LiRA"][0],
        f"{percent(few['RMIA'][0])} against {percent(few['LiRA'][0])}",
        guess_rmia,
    ),
    (
        "With 32 they are within a third of each other",
        max(shares[-1] for shares in few.values())
        < 1.5 * min(few["RMIA"][-1], few["LiRA"][-1]),
        f"RMIA {percent(few['RMIA'][-1])}, LiRA {percent(few['LiRA'][-1])}",
    ),
    (
        "One shadow, right labels: RMIA finds at least 1.7 times as many as outsiders "
        "only; with wrong ones, less than 1.6 times",
        few["RMIA"][0] > 1.7 * few["LiRA, outsiders only"][0]
        and noisy["RMIA"][1] < 1.6 * noisy["LiRA, outsiders only"][1],
    ),
    (
        "Among them, with 32, LiRA finds at least 1.3 times as many as RMIA",
        noisy["LiRA"][32] > 1.3 * noisy["RMIA"][32],
    ),
)

# %% [markdown]
# LiRA needs both kinds of shadows for each person, and one model is of one kind only. For the other kind the library puts the mean
# over all people, which misleads: with right labels, it finds fewer members than guessing does. There RMIA makes more of one
# shadow. That depends on the people: where one label in ten is wrong it leads *outsiders only* by less, if at all, and with 32
# LiRA leads.
#
# ## 4 · Defences, attacked again
#
# Three ideas, from the cheapest: **round** the probabilities to two decimals; answer with the **label** only; **stop** the training
# early, after 8 epochs instead of 60. The attacker knows the defence, so the shadow models have it too. For a label-only service
# the attacker asks about 32 noisy copies of each record, and counts how often the label comes back. Beside it: one label, asked
# for once. And is 60 a fair model to compare with? Beside it: 15 epochs.


# %%
def rounded(logits, y):
    """Log-odds from probabilities with two decimals."""
    p = (100 * logit_scale(logits, y).sigmoid()).round() / 100
    return torch.logit(p, eps=0.003)


def from_labels(models, x, y, copies=32, sigma=0.3):
    """Log-odds of "still the record's label" under noise, from 32 labels each."""
    draw, hits = runtime.generator(7), torch.zeros(len(models), len(x), device=x.device)
    for _ in range(copies):
        noise = sigma * torch.randn(x.shape, generator=draw).to(x.device)
        hits += models.logits(x + noise).argmax(2) == y
    return ((hits + 0.5) / (copies - hits + 0.5)).log()


stopped, best = (trained(x, y, members, seed=3, epochs=k) for k in (8, 15))
views = {
    "all scores": answers,
    "two decimals": rounded(logits, y),
    "32 labels": from_labels(models, x, y),
    "one label": right.float(),
    "15 epochs": log_odds(best, x, y),
    "8 epochs": log_odds(stopped, x, y),
}

# %%
ties = torch.rand(inside.shape, generator=runtime.generator(8)).to(device)
tiny = 1e-4 * ties  # breaks ties at random
attacked = {
    f"{name}: LiRA": lira(view[:8], view[8:], trained_on) + tiny
    for name, view in views.items()
}
attacked["one label: the gap attack"] = right[:8] + tiny
measured = {
    name: membership.tpr_at_fpr(attack, inside, 0.01)
    for name, attack in attacked.items()
}
defended = {name: rate.value for name, rate in measured.items()}
figures.bars(
    defended,
    errors={name: (rate.low, rate.high) for name, rate in measured.items()},
    ylabel="members found at 1 % false accusations",
    percent=True,
    horizontal=True,
    roles={n: "attack" if n == "all scores: LiRA" else "defence" for n in defended},
    caption="The attacker's shadow models are defended like the victims. Guessing "
    "finds 1 %. 95 % intervals, as if each person were another for each victim.",
)


# %%
def tested(models):
    """The mean accuracy of these models on the test digits."""
    return (models.logits(test[0]).argmax(2) == test[1]).float().mean().item()


steep = trained(x, y, members, seed=3, epochs=8, lr=2e-2)
fits = [
    (m.logits(x).argmax(2) == y)[members].float().mean().item()
    for m in (models, best, stopped, steep)
]
steep = log_odds(steep, x, y)
larger = membership.tpr_at_fpr(
    lira(steep[:8], steep[8:], trained_on), inside, 0.01
).value
of_15 = lira(victims, views["15 epochs"][8:], trained_on)
other = membership.tpr_at_fpr(of_15, inside, 0.01).value
accuracy = [tested(m) for m in (models, best, stopped)]
clean_labels, some = digits.y_train[people], members[:16]
without_noise = [
    tested(trained(x, clean_labels, some, seed=3, epochs=k)) for k in (60, 8)
]

# %%
finds = [defended[f"{name}: LiRA"] for name in ("all scores", "15 epochs", "8 epochs")]
figures.table(
    [
        [str(k), *map(percent, row)]
        for k, *row in zip((60, 15, 8), fits[:3], accuracy, finds, strict=True)
    ],
    ["epochs", "members right", "test digits right", "members found by LiRA"],
)
after = attacked["8 epochs: LiRA"]
others = after[~inside].sort(descending=True).values
named = after > others[int(0.01 * len(others))]
odd = named[:, wrong][inside[:, wrong]].float().mean().item()
blame = named[:, wrong][~inside[:, wrong]].float().mean().item()

# %%
claims(
    (
        "Two decimals keep at least 80 % of what LiRA finds",
        defended["two decimals: LiRA"] > 0.8 * defended["all scores: LiRA"],
    ),
    (
        "One label stops the gap attack (below 3 %); with shadows it finds at least 3 "
        "times as many, 32 noisy ones more",
        defended["one label: the gap attack"] < 0.03
        and defended["one label: LiRA"] > 3 * defended["one label: the gap attack"]
        and defended["32 labels: LiRA"] > defended["one label: LiRA"],
    ),
    (
        "8 epochs: LiRA finds less than half of what it finds after 60, and less than "
        "3 quarters of 15 epochs'",
        finds[2] < 0.5 * finds[0] and finds[2] < 0.75 * finds[1],
    ),
    (
        "It costs 1 to 6 points of accuracy against 15 epochs, which beat 60 by more "
        "than 1",
        0.01 < accuracy[1] - accuracy[2] < 0.06 and accuracy[1] > accuracy[0] + 0.01,
    ),
    (
        "8 epochs with steps seven times as large fit more closely, and LiRA finds at "
        "least 1.5 times as many",
        fits[3] > fits[2] and larger > 1.5 * defended["8 epochs: LiRA"],
        f"{percent(fits[3])} of members fitted, {percent(larger)} found",
    ),
    (
        "Shadows of another recipe, 15 epochs, find fewer of the victims' members: "
        "less than 9 tenths",
        other < 0.9 * defended["all scores: LiRA"],
        percent(other),
    ),
    (
        "With right labels, 60 epochs are better than 8 by at least 2 points",
        without_noise[0] > without_noise[1] + 0.02,
        f"{percent(without_noise[0])} and {percent(without_noise[1])} of the test "
        "digits",
    ),
    (
        "After 8 epochs, more than 15 % of the members with a wrong label are still "
        "found",
        odd > 0.15,
        f"{percent(odd, 0)}, before {percent(shares['label wrong'], 0)}; it accuses "
        f"{percent(blame)} of the others with a wrong label",
    ),
)

# %% [markdown]
# Rounding hides next to nothing. Hiding all but the label hides more. Of what is left the **shadows** find most: one clean label
# with them finds several times what the gap attack does without. 31 more queries add some. The shadows' recipe counts as well.
#
# Eight epochs look free beside sixty. They are not: sixty have learned the wrong labels too, and are no fair model to compare
# with. Against 15 epochs you pay in accuracy, and with right labels sixty are better. Nor is it the count of epochs: eight with
# larger steps **fit** their members more closely, and leak more. Many unusual people stay exposed, some of them accused falsely, and
# nothing is promised: lab 13 will bound what anybody can learn, whatever the attack.

# %% [markdown]
# ## 5 · One attribute
#
# Membership is one bit. What else does a model remember? You know everything about a patient **but one column**, and the
# outcome. Can a model that was trained on this patient tell you what is missing?
#
# Here are 442 people with diabetes; the outcome is its progression after a year. You miss *sex*, 1 or 2. First ask no
# model: what could **anybody** guess? **Imputation** learns sex from the nine other columns, on people whose sex is known.

# %%
guess_imputed = predict(
    "10.imputed",
    "Of what share of these people does imputation find the sex?",
    low=0.5,
    high=1,
    percent=True,
)

# %%
patients = data.load("diabetes").to(device)
column = patients.features.index("sex")
records = torch.cat([patients.x_train, patients.x_test])
outcome = torch.cat([patients.y_train, patients.y_test])
outcome = (outcome - outcome.mean()) / outcome.std()
sex = (records[:, column] == 2).long()
rest = torch.cat([records[:, :column], records[:, column + 1 :]], 1)
orders = [torch.randperm(442, generator=runtime.generator(60 + k)) for k in range(5)]
# to be trained on, others, the attacker's own people
splits = [order.to(device).split([147, 147, 148]) for order in orders]


def imputed(columns, who):
    """The share of group 0 or 1 whose sex is found from `columns`, for each split."""
    shares = []
    for split in splits:
        mine, theirs = split[2], split[who]
        chances = membership.impute(columns[mine], sex[mine], columns[theirs])
        shares.append((chances.argmax(1) == sex[theirs]).float().mean().item())
    return shares


plain = imputed(rest, 0)
informed = imputed(torch.cat([rest, outcome[:, None]], 1), 0)

# %%
figures.bars(
    {"nine columns": sum(plain) / 5, "and the outcome": sum(informed) / 5},
    ylabel="people whose sex is found",
    horizontal=True,
    percent=True,
    roles={"nine columns": "control", "and the outcome": "control"},
    guess=guess_imputed,
    caption="Imputation, which asks no model: mean of five splits of the people.",
)

# %% [markdown]
# That is a fact about *people*: it holds for those whom no model has ever seen. An attack on a model has to beat it. Knowing the
# outcome helps little here.
#
# ### Exercise 5: guess the column that is missing
#
# Ask the model once for each value $v$ that the column could hold (Fredrikson et al., 2014). If its error is Gaussian with
# spread $\sigma$, Bayes' rule says
#
# $$ p(v \mid \text{record}, y) \;\propto\; p(v)\, \exp\!\Big({-\frac{(y - f(\text{record with } v))^2}{2\sigma^2}}\Big). $$


# %%
@torch.no_grad()
def infer_attribute(model, x, y, column, values, prior, sigma):
    """The probability of each value of a hidden column, by Bayes' rule.

    Returns (n, len(values)).
    model(x) -> (n,): a regressor's predictions.
    x: (n, columns); never use what stands in `column`.  y: (n,) true outcomes.
    values: the numbers that the column can hold.
    prior: their probabilities, (len(values),), or one row for each record.
    sigma: the spread of the model's error.
    """
    ### BEGIN SOLUTION
    fits = []
    for value in values:
        asked = x.clone()
        asked[:, column] = value
        fits.append(-((y - model(asked)) ** 2) / (2 * sigma**2))
    return (prior.log() + torch.stack(fits, 1)).softmax(1)
    ### END SOLUTION


infer_attribute = check("10.infer_attribute", infer_attribute)

# %% [markdown]
# Now three models of the outcome, trained on 147 people. A network is trained for 200 epochs, until it knows them **by heart**.
# The same network stops after 10. **Ridge regression** is a line. Which of them tells you the sex, and of whom? Ask about the
# members *and* about 147 people whom no model has seen. All attacks start from what imputation says: that is their prior, one row
# for each person.

# %%
guess_others = predict(
    "10.others",
    "The attack on the network finds the sex of what share of the people it has not "
    "seen?",
    low=0.5,
    high=1,
    percent=True,
)


# %%
def network(rows, seed, epochs=200):
    """A regressor of 69,000 weights, trained on all its records at once."""
    layers = [nn.Linear(10, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
    standard = Normalize(records[rows].mean(0), records[rows].std(0))
    net = nn.Sequential(standard, *layers, nn.Linear(256, 1))
    net = initialise(net, runtime.generator(seed)).to(device)
    recipe = {"epochs": epochs, "lr": 3e-3, "batch_size": 147}
    loss = training.squared_error
    training.fit(net, records[rows], outcome[rows], loss=loss, **recipe)
    return lambda x: net(x).squeeze(1)


def ridge(rows):
    """The linear regressor that least squares gives, with a little shrinkage."""
    standard = Normalize(records[rows].mean(0), records[rows].std(0)).to(device)
    z, mean = standard(records[rows]), outcome[rows].mean()
    gram = z.T @ z + torch.eye(10, device=device)
    weight = torch.linalg.solve(gram, z.T @ (outcome[rows] - mean))
    return lambda x: standard(x) @ weight + mean


# %%
@torch.no_grad()
def error(model, rows):
    """The root of the mean squared error, in standard deviations of the outcome."""
    return (model(records[rows]) - outcome[rows]).square().mean().sqrt().item()


@torch.no_grad()
def guessed(model, split, who, known=0):
    """The share of group 0 or 1 whose sex the attack finds.

    σ is the model's error on group `known`, at least 0.05.
    """
    sigma, rows, mine = max(0.05, error(model, split[known])), split[who], split[2]
    prior = membership.impute(rest[mine], sex[mine], rest[rows])
    chances = infer_attribute(
        model, records[rows], outcome[rows], column, (1.0, 2.0), prior, sigma
    )
    return (chances.argmax(1) == sex[rows]).float().mean().item()


# %%
seeds = range(70, 75)
nets = [network(s[0], seed) for s, seed in zip(splits, seeds, strict=True)]
early = [network(s[0], seed, epochs=10) for s, seed in zip(splits, seeds, strict=True)]
lines = [ridge(split[0]) for split in splits]
each = {"imputation, members": plain, "imputation, others": imputed(rest, 1)}
for name, regressors in {"network": nets, "10 epochs": early, "ridge": lines}.items():
    for who, group in enumerate(("members", "others")):
        pairs = zip(regressors, splits, strict=True)
        each[f"{name}, {group}"] = [guessed(net, split, who) for net, split in pairs]
told = {name: sum(values) / 5 for name, values in each.items()}
figures.bars(
    told,
    errors={name: (min(values), max(values)) for name, values in each.items()},
    ylabel="people whose sex is found",
    percent=True,
    horizontal=True,
    roles={
        name: "attack" if "members" in name and name[0] != "i" else "control"
        for name in told
    },
    guess=guess_others,
    caption="Mean of five splits into 147 members, 147 others and 148 people of known "
    "sex; whiskers: worst and best split.",
)


# %%
def on_splits(models, measure):
    """The mean of measure(model, split) over the five splits."""
    return sum(measure(m, split) for m, split in zip(models, splits, strict=True)) / 5


baseline = max(sum(plain), sum(informed)) / 5
wide = [
    on_splits(nets, lambda m, s: guessed(m, s, 0, known=2)),
    on_splits(nets, lambda m, s: guessed(m, s, 1, known=2)),
]
strange = on_splits(nets, lambda m, s: error(m, s[1]))
strange_early = on_splits(early, lambda m, s: error(m, s[1]))
means = [outcome[split[0]].mean() for split in splits]
mean_alone = on_splits(means, lambda m, s: error(lambda x: m.expand(len(x)), s[1]))

# %%
claims(
    (
        "The network gives away the sex of more than 90 % of its members; imputation "
        "finds 60 to 80 %",
        told["network, members"] > 0.9 and 0.6 < baseline < 0.8,
        f"{percent(told['network, members'], 0)} and {percent(baseline, 0)}",
    ),
    (
        "Of others it tells at least 3 points less than imputation does",
        told["network, others"] < told["imputation, others"] - 0.03,
        f"{percent(told['network, others'], 0)} and "
        f"{percent(told['imputation, others'], 0)}",
        guess_others,
    ),
    (
        "With σ measured on the attacker's own people it tells less of members, and "
        "more of others, than with the members' σ",
        wide[0] < told["network, members"] - 0.1
        and wide[1] > told["network, others"] + 0.05,
        f"members {percent(wide[0], 0)}, others {percent(wide[1], 0)}",
    ),
    (
        "Of others the network predicts the outcome about as badly as the members' "
        "mean does: within 10 %",
        0.9 < strange / mean_alone < 1.1,
        f"errors {strange:.2f} and {mean_alone:.2f}",
    ),
    (
        "After 10 epochs it tells at least 15 points less of its members, and predicts "
        "others better by 10 % or more",
        told["10 epochs, members"] < told["network, members"] - 0.15
        and strange_early < 0.9 * strange,
        f"{percent(told['10 epochs, members'], 0)} of members, "
        f"{percent(told['10 epochs, others'], 0)} of others",
    ),
    (
        "Ridge is within 7 points of imputation, and as right about others as about "
        "its members, within 7 points",
        abs(told["ridge, members"] - baseline) < 0.07
        and abs(told["ridge, members"] - told["ridge, others"]) < 0.07,
        f"{percent(told['ridge, members'], 0)} of members, "
        f"{percent(told['ridge, others'], 0)} of others",
    ),
)

# %% [markdown]
# Both controls matter. Without imputation, what ridge reaches would look like a leak: it is what the other columns tell.
# Without the others, you could not tell memory from knowledge. The network's is **memory**: of others it predicts the outcome no
# better than a mean. The attack tells about as much of them as a coin, for it trusts the network as far as it may for members.
# With a $\sigma$ measured on people of its own it keeps closer to the prior. Nor does the number of weights alone make the memory:
# after 10 epochs the same network gives away far less. Ridge's lead over imputation is less than what splits vary by.
#
# ### A whole training set
#
# Some secrets are about no single record: how many patients came from one clinic? That is **property inference**. Train shadow
# models on sets that have the property and on sets that have not, and a **meta-classifier** learns the difference from their
# answers. Your digits and the owner's are disjoint. Is 5 % of the owner's training set a 3, or 15 %?

# %%
guess_property = predict(
    "10.property",
    "Of the owner's 40 models, for how many is the right share found?",
    low=0,
    high=40,
    step=1,
)


# %%
def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


order = torch.randperm(1437, generator=runtime.generator(80)).to(device)
owned, yours, probes = order.split([690, 687, 60])


def told_apart(shares, count=40):
    """Of the owner's 40 models, for how many is the right one of two shares found?"""
    draw, answers = runtime.generator(81), []
    second = torch.arange(count, device=device) >= count // 2
    for rows in (yours, owned):
        pictures, labels = digits.x_train[rows], digits.y_train[rows]
        use = {"label": 3, "size": 300, "models": count // 2, "generator": draw}
        sets = torch.cat(
            [membership.members_with_share(labels, share=s, **use) for s in shares]
        )
        recipe = {"lr": 3e-3, "batch_size": 50, "generator": draw, "progress": False}
        models = ensembles.train(small, pictures, labels, sets, **recipe)
        answers.append(models.logits(digits.x_train[probes]))
    chances = membership.infer_property(answers[0], second, answers[1])
    return int(((chances > 0.5) == second).sum())


differ, same = told_apart((0.05, 0.15)), told_apart((0.1, 0.1))
low, high = clopper_pearson(same, 40, confidence=0.999)

# %%
claims(
    (
        "5 % and 15 % are told apart for more than 80 % of the owner's models",
        differ > 32,
        f"{differ} of 40",
        guess_property,
    ),
    (
        "Where both are 10 %, the 99.9 % interval holds a coin's 50 %",
        low < 0.5 < high,
        f"{same} of 40, {interval(low, high)}",
    ),
)

# %%
guarantee(
    holds="None of the defences here proves anything. What was measured holds for "
    "these attacks on this model.",
    does_not="A better attack may find more. An average, such as accuracy or AUC, says "
    "nothing about who is exposed.",
    adapts="With shadow models that have the defence too, and with more queries where "
    "answers are coarse.",
    cost=f"Stopping after 8 epochs moved test accuracy from {percent(accuracy[1])}, "
    f"the best of three at 15, to {percent(accuracy[2])}. Labels only: honest clients "
    "lose the scores.",
)

# %% [markdown]
# ### Spot the broken experiment
#
# A colleague audits another model, trained on 300 of our digits. As non-members they take 300 digits that came in a year later,
# from a new scanner. One threshold on the log-odds, and the AUC is far above yours. Write **one** control that exposes it.

# %%
early_x, early_y = (values[:300] for values in train)
late = 0.75 * digits.x_test[:300]  # the new scanner is a little paler
asked, labels = torch.cat([early_x, late]), torch.cat([early_y, digits.y_test[:300]])
theirs = torch.arange(600, device=device) < 300
everyone = torch.ones(1, 300, dtype=torch.bool, device=device)
audited = trained(early_x, early_y, everyone, seed=9)
reported = membership.auc(log_odds(audited, asked, labels)[0], theirs)

# %%
claims(
    (
        "The colleague's AUC is above 0.7",
        reported.value > 0.7,
        f"{reported.value:.2f}, 95 % interval {reported.low:.2f} "
        f"to {reported.high:.2f}",
    )
)

# %% tags=["student-only"]
# Your control here: what would a score find that never asks the model?

# %% tags=["solution-only"]
blind = membership.auc(
    asked.flatten(1).amax(1), theirs
)  # the brightest pixel: no model
apart_x, apart_y = (values[300:600] for values in train)
apart = trained(apart_x, apart_y, everyone, seed=9)  # a model that saw neither set
neither = membership.auc(log_odds(apart, asked, labels)[0], theirs)
level = asked / asked.flatten(1).amax(1)[:, None, None, None]  # equally bright
fair = membership.auc(log_odds(audited, level, labels)[0], theirs)
dim = membership.auc(log_odds(apart, level, labels)[0], theirs)
claims(
    (
        "A model that saw neither set has an AUC above 0.6",
        neither.value > 0.6,
        f"{neither.value:.2f}; {dim.value:.2f} with equal brightness",
    ),
    (
        "A score that never asks the model has a higher one than the colleague's",
        blind.value > reported.value,
        f"{blind.value:.2f}",
    ),
    (
        "With the scanner's difference taken out, the AUC is lower",
        fair.value < reported.value,
        f"{fair.value:.2f}",
    ),
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Members and non-members differ in more than membership: in the scanner. A **blind** score, such as the brightest pixel, tells
# them apart without any model, with an AUC of 1.00 (Das, Zhang & Tramèr, 2024). With every picture made equally bright, the
# model's own falls from 0.79 to 0.59. A model trained on **neither** set is a second control: it reaches 0.73, and 0.55 with equal
# brightness. So most of the AUC says nothing about membership. Members and non-members must be drawn from one population, at
# random, as your 72 halves were.
#
# </details>

# %% [markdown]
# ## 6 · Quiz

# %%
quiz("10")

# %% [markdown]
# ### Further reading
#
# * S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha, 2018, [*Privacy Risk in Machine Learning: Analyzing the Connection to
#   Overfitting*](https://arxiv.org/abs/1709.01604). The gap.
# * R. Shokri, M. Stronati, C. Song, V. Shmatikov, 2017, [*Membership Inference Attacks Against Machine Learning
#   Models*](https://arxiv.org/abs/1610.05820). Shadow models.
# * N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis, F. Tramèr, 2022, [*Membership Inference Attacks From First
#   Principles*](https://arxiv.org/abs/2112.03570). LiRA, and why to look at few false accusations.
# * S. Zarifzadeh, P. Liu, R. Shokri, 2024, [*Low-Cost High-Power Membership Inference
#   Attacks*](https://arxiv.org/abs/2312.03262). RMIA.
# * C. Choquette-Choo, F. Tramèr, N. Carlini, N. Papernot, 2021, [*Label-Only Membership Inference
#   Attacks*](https://arxiv.org/abs/2007.14321).
# * D. Das, J. Zhang, F. Tramèr, 2024, [*Blind Baselines Beat Membership Inference Attacks for Foundation
#   Models*](https://arxiv.org/abs/2406.16201).
# * M. Fredrikson, E. Lantz, S. Jha, S. Lin, D. Page, T. Ristenpart, 2014, [*Privacy in
#   Pharmacogenetics*](https://www.usenix.org/conference/usenixsecurity14/technical-sessions/presentation/fredrikson_matthew).
#   One attribute.
# * B. Jayaraman, D. Evans, 2022, [*Are Attribute Inference Attacks Just Imputation?*](https://arxiv.org/abs/2209.01292) The control
#   that section 5 copies.
# * G. Ateniese et al., 2015, [*Hacking Smart Machines with Smarter Ones*](https://arxiv.org/abs/1306.4447). A property of a whole
#   training set.
#
# To see how the library writes these, open `modelsec_course/membership/likelihood.py` and `relative.py`, and
# `modelsec_course/ensembles/`. For hundreds of shadow models, or other machines, see `docs/beyond-one-machine.md`.

# %%
finish("10")
