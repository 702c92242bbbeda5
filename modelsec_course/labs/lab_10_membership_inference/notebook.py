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
from modelsec_course.lab import check, claim, explore, figures, guarantee
from modelsec_course.lab import finish, quiz, start, threat
from modelsec_course.labs.lab_10_membership_inference import scene
from modelsec_course.models import Normalize, initialise
from modelsec_course.statistics import clopper_pearson

start("10")

# %%
threat.card("10")

# %% [markdown]
# ## 1 · The idea
#
# A hospital trains a model on its patients with a rare disease. Who was in that training set has the disease: **membership**
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
y[wrong] = (y[wrong] + torch.randint(1, 10, (600,), generator=draw).to(device)[wrong]) % 10
figures.pictures(
    [x[~wrong][:8], x[wrong][:8]], titles=[[f"label {k}" for k in y[rows][:8].tolist()] for rows in (~wrong, wrong)],
    row_labels=["right", "wrong"], caption="Some people with the labels that the models are trained on.",
)  # fmt: skip

# %% [markdown]
# Now 72 models, each trained on a random half of the people. The first eight are the **victims**: you may ask them. The
# other 64 are your **shadow models**, and of them you know who was in. They are trained by the victims' own recipe: that you
# know it is assumed, and section 4 looks at what it is worth. One after the other that would take a while. The library trains
# them all at once: 72 networks are one network with a batch axis in front of its weights.


# %%
def architecture():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


members = (torch.rand(72, 600, generator=runtime.generator(2)) < 0.5).to(device)  # who is in which training set
models = ensembles.train(architecture, x, y, members, epochs=60, lr=3e-3, generator=runtime.generator(3))
logits = models.logits(x)  # (72, 600, 10)
right = logits.argmax(2) == y
seen, unseen = right[members].float().mean().item(), right[~members].float().mean().item()
print(f"right about members {seen:.1%}, about others {unseen:.1%}")
claim("The models are right about more than 90 % of their members, and about fewer than 87 % of the others",
      seen > 0.9 and unseen < 0.87)  # fmt: skip

# %% [markdown]
# ### Exercise 1: the gap
#
# The simplest attack needs a label only: say *member* when the model is right (Yeom et al., 2018). Its **advantage** is the
# share of members of whom it says so, minus the share of the others.


# %%
def gap_attack(logits, y, members):
    """The advantage of the attacker who says "member" when the model is right: a number from −1 to 1.

    logits: (n, classes) of one model.  y: (n,) labels.  members: bool (n,), who was in the training set.
    """
    ### BEGIN SOLUTION
    says_member = (logits.argmax(1) == y).float()
    return (says_member[members].mean() - says_member[~members].mean()).item()
    ### END SOLUTION


gap_attack = check("10.gap_attack", gap_attack)

# %%
gaps = [gap_attack(logits[v], y, members[v]) for v in range(8)]
gap = sum(gaps) / 8
accused = right[:8][~members[:8]].float().mean().item()
print(f"advantage {gap:.2f} over eight victims; it accuses {accused:.0%} of the others")
claim(
    "The advantage is the gap between train and test accuracy, between 0.08 and 0.25", 0.08 < gap < 0.25, f"{gap:.2f}"
)
claim("It accuses more than 3 of 4 people who were never in", accused > 0.75, f"{accused:.0%}")

# %% [markdown]
# An advantage, but would you believe this attacker? Nearly everybody is accused. Membership inference is about *some* people
# named with confidence, so count differently: how many members does an attack find, if at most 1 % of the others may be
# accused? For that it needs a score with more than two values.
#
# ### Exercise 2: a scale that does not end
#
# The probability p of the record's label is such a score, but near 1 all are alike: 0.9999 and 0.999999 are worlds apart.
# Take the **log-odds**, log p − log(1 − p). Over many models they look nearly Gaussian. The trap: in float32, 1 − p is 0 as
# soon as p > 1 − 6·10⁻⁸. Compute them from the logits, without p.


# %%
def logit_scale(logits, y):
    """The log-odds log p − log(1 − p) of each record's label, exact even where p rounds to 1.

    logits: (..., n, classes), of one model or of many.  y: (n,) labels.  Returns (..., n).
    """
    ### BEGIN SOLUTION
    own = y.expand(logits.shape[:-1])[..., None]
    others = logits.scatter(-1, own, -torch.inf).logsumexp(-1)  # log of what p leaves to the other classes
    return logits.gather(-1, own)[..., 0] - others
    ### END SOLUTION


logit_scale = check("10.logit_scale", logit_scale)

# %%
answers = logit_scale(logits, y)  # (72, 600)
victims, shadows = answers[:8], answers[8:]
inside, trained_on = members[:8], members[8:]  # inside: the truth, to judge by; trained_on: what the attacker knows
claim("Members are answered with higher log-odds, on average over all",
      victims[inside].mean() > victims[~inside].mean() + 0.5,
      f"{victims[inside].mean().item():.1f} against {victims[~inside].mean().item():.1f}")  # fmt: skip

# %% [markdown]
# ### Exercise 3: found at few false accusations
#
# Accuse everybody whose score lies **above** a threshold. Choose the threshold so that at most a share `fpr` of the others is
# accused (the false-positive rate), and report the share of members found (the true-positive rate). With 50 others no
# attack can show a rate of 1 %: one accusation is 2 % already. Then refuse.


# %%
def tpr_at_fpr(scores, members, fpr):
    """The share of members above the lowest threshold that accuses at most a share fpr of the others.

    scores: (n,), higher means member.  members: bool (n,).  fpr: in (0, 1].
    Returns a number in [0, 1].  Raises ValueError if the others are fewer than 1 / fpr.
    """
    ### BEGIN SOLUTION
    others = scores[~members].sort(descending=True).values
    allowed = int(fpr * len(others) + 1e-9)  # how many may be accused
    if allowed < 1:
        raise ValueError(f"{len(others)} others cannot show a false-positive rate of {fpr}")
    threshold = others[allowed] if allowed < len(others) else -torch.inf
    return (scores[members] > threshold).float().mean().item()
    ### END SOLUTION


tpr_at_fpr = check("10.tpr_at_fpr", tpr_at_fpr)

# %% [markdown]
# Guess first: one threshold on the log-odds, the same for everybody. Of 100 members, how many does it find?

# %%
by_threshold = tpr_at_fpr(victims.flatten(), inside.flatten(), 0.01)
area = membership.auc(victims, inside)
print(f"one threshold: finds {by_threshold:.1%} at 1 % false accusations; AUC {area.value:.2f}")
claim("Its AUC is above 0.56", area.value > 0.56, f"{area.value:.2f}")
claim("At 1 % false accusations it finds fewer than 3 % of the members", by_threshold < 0.03, f"{by_threshold:.1%}")

# %% [markdown]
# Hardly more than dice, which find 1 %. The AUC, an average over all thresholds, looked better. Why does it fail? Of some
# people every model is sure, trained on them or not: their score is high either way (a claim in section 2 checks this). So do
# not compare people with each other. Compare a person with **themselves**.
#
# ### Exercise 4: the likelihood ratio
#
# LiRA (Carlini et al., 2022): for each person two Gaussians, of shadow models with the record and of those without. The score is
# the difference of their log-densities at the victim's answer:
#
# $$ \log \Lambda = \log \mathcal{N}(a;\, \mu_{\text{in}}, \sigma_{\text{in}}^2) - \log \mathcal{N}(a;\, \mu_{\text{out}}, \sigma_{\text{out}}^2). $$
#
# A mean needs few shadows, a spread needs many. So pool it: **one** σ_in and **one** σ_out for all people, from what every
# shadow's answer deviates from its person's own mean.


# %%
def lira(target, shadows, members):
    """The log-likelihood ratio of each record, higher means member.

    target: (..., n) the attacked models' log-odds.  shadows: (models, n) those of shadow models.
    members: bool (models, n), which of them were trained on which record.
    The two means belong to a record; the two standard deviations are over all records' deviations from these.
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

# %% tags=["headline"]
scores = lira(victims, shadows, trained_on)
empty = ensembles.train(architecture, x, y, members, epochs=1, lr=1e-12, generator=runtime.generator(4), progress=False)
nobody = logit_scale(empty.logits(x), y)
attacks = {
    "LiRA": (scores, inside),
    "LiRA, outsiders only": (membership.lira(victims, shadows, trained_on, mode="offline"), inside),
    "one threshold": (victims, inside),
    "another list": (scores, inside.roll(1, 0)),
    "untrained": (lira(nobody[:8], nobody[8:], trained_on), inside),
}
rates = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]
found = {name: [tpr_at_fpr(s.flatten(), m.flatten(), r) for r in rates] for name, (s, m) in attacks.items()}
figures.curves(
    rates, {name: [max(value, 1e-4) for value in values] for name, values in found.items()} | {"dice": rates},
    xlabel="others accused (false-positive rate)", ylabel="members found (true-positive rate)", log="xy",
    caption="600 people, eight victims, 64 shadow models. Dice find what they accuse. At the left end only 2 of 2,400 others "
    "may be accused: there the lower curves are a handful of people. The intervals below take a person and another victim for "
    "independent. They leave out that all victims face the same 600, and are too narrow.",
)  # fmt: skip

# %%
at = {name: dict(zip(rates, values, strict=True)) for name, values in found.items()}
low, high = membership.tpr_at_fpr(scores, inside, 0.01)[1:]
claim("At 1 % false accusations LiRA finds at least five times as many members as one threshold",
      at["LiRA"][0.01] >= 5 * at["one threshold"][0.01],
      f"{at['LiRA'][0.01]:.1%} [{low:.1%}, {high:.1%}] against {at['one threshold'][0.01]:.1%}")  # fmt: skip
without = torch.where(trained_on, 0, shadows).sum(0) / (~trained_on).sum(0)  # what models say of those they never saw
loudest = (
    torch.where(inside, -torch.inf, victims).flatten().topk(24).indices % 600
)  # whom one threshold accuses falsely
rank = (without[loudest][:, None] > without).float().mean().item()
claim("Those whom one threshold accuses falsely, models without them put above 4 of 5 people, on average",
      rank > 0.8, f"{rank:.0%}")  # fmt: skip
claim("With outsiders only, it still finds at least three times as many",
      at["LiRA, outsiders only"][0.01] >= 3 * at["one threshold"][0.01])  # fmt: skip
claim("Both controls have an AUC between 0.46 and 0.54",
      all(0.46 < membership.auc(*attacks[name]).value < 0.54 for name in ("another list", "untrained")))  # fmt: skip

# %%
rough = {}
for k in (64, 16):
    by = [membership.lira(victims, shadows[:k], trained_on[:k], variance=how) for how in ("pooled", "each")]
    rough[k] = [tpr_at_fpr(s.flatten(), inside.flatten(), 0.01) for s in by]
    print(f"{k} shadows at 1 %: pooled spreads find {rough[k][0]:.1%}, a spread for each person {rough[k][1]:.1%}")
claim("With 16 shadow models, pooled spreads find at least 1.2 times as many", rough[16][0] > 1.2 * rough[16][1])

# %% [markdown]
# With 64 shadows pooling hardly matters at 1 %, for people do differ in their spreads. It pays when shadows are few.
#
# Same question, same single query, many times the members. Now meet the people. Move to one, and see what models say of them
# that were trained with the record, and without. Where the two hills part, membership shows. People are sorted by how far.

# %%
mean = [torch.where(group, shadows, 0).sum(0) / group.sum(0) for group in (trained_on, ~trained_on)]
order = (mean[0] - mean[1]).argsort(descending=True)  # the most exposed first
explore(
    scene.meet_a_person(
        x[order], y[order], wrong[order], victims[:, order], inside[:, order], shadows[:, order], trained_on[:, order]
    ),
    person=(0, 599, 1, 0), victim=(0, 7, 1, 0), reveal=False, labels={"reveal": "reveal the truth"},
    caption="Left: the person. Right: log-odds from 64 shadow models, and one victim's answer.",
)  # fmt: skip

# %% [markdown]
# Move right from person 0, then look at the last hundred. Who is exposed?

# %%
threshold = scores[~inside].sort(descending=True).values[int(0.01 * (~inside).sum())]
named = scores > threshold
shares, ends, blamed, alone = {}, {}, {}, {}
hard = ~wrong & (mean[1] < mean[1][~wrong].quantile(0.1))  # models without them find these the hardest
kinds = {"label wrong": wrong, "label right, hardest tenth": hard, "label right, the others": ~wrong & ~hard}
for kind, group in kinds.items():
    caught = named[:, group][inside[:, group]]
    shares[kind] = caught.float().mean().item()
    ends[kind] = clopper_pearson(int(caught.sum()), len(caught))
    blamed[kind] = named[:, group][~inside[:, group]].float().mean().item()
    alone[kind] = tpr_at_fpr(scores[:, group].flatten(), inside[:, group].flatten(), 0.01)  # a threshold of its own
print("\n".join(f"{k}: accuses {blamed[k]:.1%} of its others; at 1 % of them it finds {alone[k]:.0%}" for k in kinds))
names = {kind: f"{kind} ({blamed[kind]:.1%} of others accused)" for kind in kinds}
figures.bars(
    {names[k]: shares[k] for k in kinds}, errors={names[k]: ends[k] for k in kinds},
    ylabel="members found", percent=True, horizontal=True,
    caption="LiRA at 1 % false accusations, one threshold for all. 95 % intervals, as if each person were another for each victim.",
)  # fmt: skip
claim("More than 85 % of the members with a wrong label are found", shares["label wrong"] > 0.85,
      f"{shares['label wrong']:.0%}")  # fmt: skip
claim("More than 25 % of the hardest tenth with a right label, and fewer than 6 % of the others",
      shares["label right, hardest tenth"] > 0.25 and shares["label right, the others"] < 0.06,
      f"{shares['label right, hardest tenth']:.0%} and {shares['label right, the others']:.1%}")  # fmt: skip
claim("The hardest tenth's others pay: more than 3 % of them are accused. At 1 % of them, fewer members are found",
      blamed["label right, hardest tenth"] > 0.03
      and alone["label right, hardest tenth"] < 0.75 * shares["label right, hardest tenth"])  # fmt: skip

# %% [markdown]
# The average hid this. Most people blend in. Exposed are those whom other models do not expect: nearly all with a wrong label,
# and many whose right label other models hardly believe. In a hospital, that may be the rare case. But read the brackets: one
# threshold for all accuses more than 1 % of the hardest tenth's others. With a threshold of its own, fewer of them are found.
#
# ## 3 · With one shadow model
#
# Sixty-four shadows are dear when the victim is large. RMIA (Zarifzadeh, Liu & Shokri, 2024) is made for few. It asks how much
# the victim likes x *more than models do in general*, p(x | victim) / p(x), and compares that ratio with the ratios of other
# people z who were surely in nobody's training set: here the test digits. Its score is the share of them that x outdoes.
# Within one victim that share only grows with x's own ratio, and so ranks people as the ratio does. What tells them apart is the
# division by p(x), what models say that did not learn x.
#
# This time all labels are right: 1,437 digits, half of them in each training set. Guess: how do the two compare with 1 shadow
# model, and with 32? And on the 600 people above, with their wrong labels?

# %%
halves = (torch.rand(40, len(digits.x_train), generator=runtime.generator(5)) < 0.5).to(device)
clean = ensembles.train(
    architecture, digits.x_train, digits.y_train, halves, epochs=40, lr=3e-3, generator=runtime.generator(6)
)
own, strangers = clean.logits(digits.x_train), clean.logits(digits.x_test)


def likes(logits, y):
    """The probability of each record's label, (models, n)."""
    return logit_scale(logits, y).sigmoid()


odds, p, q = logit_scale(own, digits.y_train), likes(own, digits.y_train), likes(strangers, digits.y_test)


def compare(first, k):
    """TPR at 1 % of LiRA, of LiRA with outsiders only, and of RMIA, with the k shadow models from `first` on."""
    use = slice(first, first + k)
    by = (
        membership.lira(odds[:8], odds[use], halves[use]),
        membership.lira(odds[:8], odds[use], halves[use], mode="offline"),
        membership.rmia(p[:8], q[:8], p[use], q[use], halves[use]),
    )
    return torch.tensor([membership.tpr_at_fpr(s, halves[:8], 0.01).value for s in by])


counts = [1, 2, 4, 8, 16, 32]
few = torch.stack([torch.stack([compare(8 + k * i, k) for i in range(min(8, 32 // k))]).mean(0) for k in counts])
figures.curves(
    counts, dict(zip(["LiRA", "LiRA, outsiders only", "RMIA"], few.T.tolist(), strict=True)) | {"dice": [0.01] * 6}, log="x", percent=True,
    xlabel="shadow models", ylabel="members found at 1 %",
    caption="Digits with right labels, eight victims; mean of up to eight sets of shadow models.",
)  # fmt: skip
claim("With one shadow model RMIA finds at least twice as many as LiRA", few[0, 2] >= 2 * few[0, 0],
      f"{few[0, 2]:.1%} against {few[0, 0]:.1%}")  # fmt: skip
claim("With 32 they are within a third of each other", few[-1].max() < 1.5 * min(few[-1, 0], few[-1, 2]),
      f"RMIA {few[-1, 2]:.1%}, LiRA {few[-1, 0]:.1%}")  # fmt: skip
ours, test = (
    answers.sigmoid(),
    likes(models.logits(digits.x_test), digits.y_test),
)  # the 600 people, one label in ten wrong
noisy = {}
for k, starts in ((1, range(8, 16)), (32, (8, 40))):
    uses = [slice(first, first + k) for first in starts]
    noisy["RMIA", k] = sum(
        membership.tpr_at_fpr(membership.rmia(ours[:8], test[:8], ours[u], test[u], members[u]), inside, 0.01).value
        for u in uses
    ) / len(uses)
    for mode in ("online", "offline"):
        noisy[mode, k] = sum(
            membership.tpr_at_fpr(membership.lira(answers[:8], answers[u], members[u], mode=mode), inside, 0.01).value
            for u in uses
        ) / len(uses)
print(f"600 people, wrong labels too: 1 shadow: RMIA {noisy['RMIA', 1]:.1%}, LiRA {noisy['online', 1]:.1%}, outsiders only "
      f"{noisy['offline', 1]:.1%}; 32: {noisy['RMIA', 32]:.1%}, {noisy['online', 32]:.1%}, {noisy['offline', 32]:.1%}")  # fmt: skip
claim("One shadow, right labels: RMIA finds at least 1.7 times as many as outsiders only; with wrong ones, less than 1.6 times",
      few[0, 2] > 1.7 * few[0, 1] and noisy["RMIA", 1] < 1.6 * noisy["offline", 1])  # fmt: skip
claim(
    "Among them, with 32, LiRA finds at least 1.3 times as many as RMIA", noisy["online", 32] > 1.3 * noisy["RMIA", 32]
)

# %% [markdown]
# LiRA needs both kinds of shadows for each person, and one model is of one kind only. For the other kind the library puts the mean
# over all people, which misleads: with right labels, less is found than by dice. There RMIA makes more of one shadow. That
# depends on the people: where one label in ten is wrong it leads outsiders only by less, if at all, and with 32 LiRA leads.
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
    """Log-odds of "still the record's label" under noise: 32 labels for each record and nothing else."""
    draw, hits = runtime.generator(7), torch.zeros(len(models), len(x), device=x.device)
    for _ in range(copies):
        noise = sigma * torch.randn(x.shape, generator=draw).to(x.device)
        hits += models.logits(x + noise).argmax(2) == y
    return ((hits + 0.5) / (copies - hits + 0.5)).log()


stopped, best = (
    ensembles.train(architecture, x, y, members, epochs=k, lr=3e-3, generator=runtime.generator(3), progress=False)
    for k in (8, 15)
)
views = {
    "all scores": answers,
    "two decimals": rounded(logits, y),
    "32 labels": from_labels(models, x, y),
    "one label": right.float(),
    "15 epochs": logit_scale(best.logits(x), y),
    "8 epochs": logit_scale(stopped.logits(x), y),
}
tiny = 1e-4 * torch.rand(inside.shape, generator=runtime.generator(8)).to(device)  # breaks ties by dice
attacked = {name + ": LiRA": lira(seen_by[:8], seen_by[8:], trained_on) + tiny for name, seen_by in views.items()}
attacked["one label: the gap attack"] = right[:8] + tiny
measured = {name: membership.tpr_at_fpr(attack, inside, 0.01) for name, attack in attacked.items()}
defended = {name: rate.value for name, rate in measured.items()}
figures.bars(
    defended, errors={name: (rate.low, rate.high) for name, rate in measured.items()},
    ylabel="members found at 1 % false accusations", percent=True, horizontal=True,
    caption="The attacker's shadow models are defended like the victims. Dice find 1 %. 95 % intervals, as if each person were "
    "another for each victim.",
)  # fmt: skip


# %%
def tested(m):
    """The mean accuracy of these models on the test digits."""
    return (m.logits(digits.x_test).argmax(2) == digits.y_test).float().mean().item()


steep = ensembles.train(architecture, x, y, members, epochs=8, lr=2e-2, generator=runtime.generator(3), progress=False)
fits = [(m.logits(x).argmax(2) == y)[members].float().mean().item() for m in (models, best, stopped, steep)]
steep = logit_scale(steep.logits(x), y)
larger = membership.tpr_at_fpr(lira(steep[:8], steep[8:], trained_on), inside, 0.01).value
other = membership.tpr_at_fpr(lira(victims, views["15 epochs"][8:], trained_on), inside, 0.01).value
accuracy = [tested(m) for m in (models, best, stopped)]
clean_labels = digits.y_train[people]
draws = {"generator": runtime.generator(3), "progress": False}
without_noise = [
    tested(ensembles.train(architecture, x, clean_labels, members[:16], epochs=k, lr=3e-3, **draws)) for k in (60, 8)
]
for k, name, fitted, score in zip(
    (60, 15, 8), ("all scores", "15 epochs", "8 epochs"), fits[:3], accuracy, strict=True
):
    print(
        f"{k} epochs: right about {fitted:.1%} of members, {score:.1%} in tests; LiRA finds {defended[name + ': LiRA']:.1%}"
    )
print(
    f"had all labels been right: {without_noise[0]:.1%} of test digits after 60 epochs, {without_noise[1]:.1%} after 8"
)

# %%
claim("Two decimals keep at least 80 % of what LiRA finds",
      defended["two decimals: LiRA"] > 0.8 * defended["all scores: LiRA"])  # fmt: skip
claim("One label stops the gap attack (below 3 %); with shadows it finds at least 3 times as many, 32 noisy ones more",
      defended["one label: the gap attack"] < 0.03
      and defended["one label: LiRA"] > 3 * defended["one label: the gap attack"]
      and defended["32 labels: LiRA"] > defended["one label: LiRA"])  # fmt: skip
claim("8 epochs: LiRA finds less than half of what it finds after 60, and less than 3 quarters of 15 epochs'",
      defended["8 epochs: LiRA"] < 0.5 * defended["all scores: LiRA"]
      and defended["8 epochs: LiRA"] < 0.75 * defended["15 epochs: LiRA"])  # fmt: skip
claim("It costs 1 to 6 points of accuracy against 15 epochs, which beat 60 by more than 1",
      0.01 < accuracy[1] - accuracy[2] < 0.06 and accuracy[1] > accuracy[0] + 0.01)  # fmt: skip
claim("8 epochs with steps seven times as large fit more closely, and LiRA finds at least 1.5 times as many",
      fits[3] > fits[2] and larger > 1.5 * defended["8 epochs: LiRA"],
      f"{fits[3]:.1%} of members fitted, {larger:.1%} found")  # fmt: skip
claim("Shadows of another recipe, 15 epochs, find fewer of the victims' members: less than 9 tenths",
      other < 0.9 * defended["all scores: LiRA"], f"{other:.1%}")  # fmt: skip
claim("With right labels, 60 epochs are better than 8 by at least 2 points", without_noise[0] > without_noise[1] + 0.02)
after = attacked["8 epochs: LiRA"]
limit = after[~inside].sort(descending=True).values[int(0.01 * (~inside).sum())]
odd = (after > limit)[:, wrong][inside[:, wrong]].float().mean().item()
blame = (after > limit)[:, wrong][~inside[:, wrong]].float().mean().item()
claim("After 8 epochs, more than 15 % of the members with a wrong label are still found", odd > 0.15,
      f"{odd:.0%}, before {shares['label wrong']:.0%}; it accuses {blame:.1%} of the others with a wrong label")  # fmt: skip

# %% [markdown]
# Rounding hides next to nothing. Hiding all but the label hides more. Of what is left the **shadows** find most: one clean label
# with them finds several times what the gap attack does without. 31 more queries add some. The shadows' recipe counts as well.
#
# Eight epochs look free beside sixty. They are not: sixty have learned the wrong labels too, and are no fair model to compare
# with. Against 15 epochs you pay in accuracy, and with right labels sixty are better. Nor is it the count of epochs: eight with
# larger steps **fit** their members more closely, and leak more. Many odd ones stay exposed, some of them accused falsely, and
# nothing is promised: lab 13 will bound what anybody can learn, whatever the attack.

# %% [markdown]
# ## 5 · One attribute
#
# Membership is one bit. What else does a model remember? You know everything about a patient **but one column**, and the
# outcome. Can a model that was trained on this patient tell you what is missing?
#
# Here are 442 people with diabetes; the outcome is its progression after a year. You miss *sex*, 1 or 2. First ask no
# model: what could **anybody** guess? **Imputation** learns sex from the nine other columns, on people whose sex is known. What
# do you expect, between 50 % and 100 %?

# %%
patients = data.load("diabetes").to(device)
column = patients.features.index("sex")
records = torch.cat([patients.x_train, patients.x_test])
outcome = torch.cat([patients.y_train, patients.y_test])
outcome = (outcome - outcome.mean()) / outcome.std()
sex = (records[:, column] == 2).long()
rest = torch.cat([records[:, :column], records[:, column + 1 :]], 1)
orders = [torch.randperm(442, generator=runtime.generator(60 + k)).to(device) for k in range(5)]
splits = [order.split([147, 147, 148]) for order in orders]  # to be trained on, others, the attacker's own people


def imputed(columns, who):
    """The share of group 0 or 1 whose sex is guessed right from `columns` alone, for each split."""
    chances = [membership.impute(columns[split[2]], sex[split[2]], columns[split[who]]) for split in splits]
    return [(c.argmax(1) == sex[split[who]]).float().mean().item() for c, split in zip(chances, splits, strict=True)]


plain, informed = imputed(rest, 0), imputed(torch.cat([rest, outcome[:, None]], 1), 0)
print(f"imputation: {sum(plain) / 5:.0%} of them; {sum(informed) / 5:.0%} when it knows the outcome as well")

# %% [markdown]
# That is a fact about *people*: it holds for those whom no model has ever seen. An attack on a model has to beat it. Knowing the
# outcome helps little here.
#
# ### Exercise 5: guess the column that is missing
#
# Ask the model once for each value v that the column could hold (Fredrikson et al., 2014). If its error is Gaussian with
# spread σ, Bayes' rule says
#
# $$ p(v \mid \text{record}, y) \;\propto\; p(v)\, \exp\!\Big({-\frac{(y - f(\text{record with } v))^2}{2\sigma^2}}\Big). $$


# %%
@torch.no_grad()
def infer_attribute(model, x, y, column, values, prior, sigma):
    """The probability of each value of a hidden column, by Bayes' rule: (n, len(values)).

    model(x) -> (n,): a regressor's predictions.  x: (n, columns); never use what stands in `column`.  y: (n,) true
    outcomes.  values: the numbers that the column can hold.  prior: their probabilities, (len(values),), or one row for
    each record.  sigma: the spread of the model's error.
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
def network(rows, seed, epochs=200):
    """A regressor of 69,000 weights; with 200 epochs it memorises these records, all in one batch."""
    layers = [nn.Linear(10, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)]
    net = nn.Sequential(Normalize(records[rows].mean(0), records[rows].std(0)), *layers)
    net = initialise(net, runtime.generator(seed)).to(device)
    training.fit(net, records[rows], outcome[rows], epochs=epochs, lr=3e-3, batch_size=147, loss=training.squared_error)
    return lambda x: net(x).squeeze(1)


def ridge(rows):
    """The linear regressor that least squares gives, with a little shrinkage."""
    standard, mean = Normalize(records[rows].mean(0), records[rows].std(0)).to(device), outcome[rows].mean()
    z = standard(records[rows])
    weight = torch.linalg.solve(z.T @ z + torch.eye(10, device=device), z.T @ (outcome[rows] - mean))
    return lambda x: standard(x) @ weight + mean


# %%
@torch.no_grad()
def error(model, rows):
    """The root of the mean squared error, in standard deviations of the outcome."""
    return (model(records[rows]) - outcome[rows]).square().mean().sqrt().item()


@torch.no_grad()
def guessed(model, split, who, known=0):
    """The share of group 0 or 1 whose sex the attack guesses right. σ: the model's error on group `known`, at least 0.05."""
    sigma = max(0.05, error(model, split[known]))
    prior = membership.impute(rest[split[2]], sex[split[2]], rest[split[who]])
    chances = infer_attribute(model, records[split[who]], outcome[split[who]], column, (1.0, 2.0), prior, sigma)
    return (chances.argmax(1) == sex[split[who]]).float().mean().item()


# %%
nets = [network(split[0], 70 + k) for k, split in enumerate(splits)]
early = [network(split[0], 70 + k, epochs=10) for k, split in enumerate(splits)]
each = {
    "imputation, members": plain,
    "imputation, others": imputed(rest, 1),
    "network, members": [guessed(net, split, 0) for net, split in zip(nets, splits, strict=True)],
    "network, others": [guessed(net, split, 1) for net, split in zip(nets, splits, strict=True)],
    "10 epochs, members": [guessed(net, split, 0) for net, split in zip(early, splits, strict=True)],
    "10 epochs, others": [guessed(net, split, 1) for net, split in zip(early, splits, strict=True)],
    "ridge, members": [guessed(ridge(split[0]), split, 0) for split in splits],
    "ridge, others": [guessed(ridge(split[0]), split, 1) for split in splits],
}
told = {name: sum(values) / 5 for name, values in each.items()}
figures.bars(
    told, errors={name: (min(values), max(values)) for name, values in each.items()},
    ylabel="sex guessed right", percent=True, horizontal=True,
    caption="Mean of five splits into 147 members, 147 others and 148 people of known sex; whiskers: worst and best split.",
)  # fmt: skip

# %%
baseline = max(sum(plain), sum(informed)) / 5
claim("The network gives away the sex of more than 90 % of its members; imputation finds 60 to 80 %",
      told["network, members"] > 0.9 and 0.6 < baseline < 0.8,
      f"{told['network, members']:.0%} and {baseline:.0%}")  # fmt: skip
claim("Of others it tells at least 3 points less than imputation does",
      told["network, others"] < told["imputation, others"] - 0.03,
      f"{told['network, others']:.0%} and {told['imputation, others']:.0%}")  # fmt: skip
wide = [sum(guessed(net, split, who, known=2) for net, split in zip(nets, splits, strict=True)) / 5 for who in (0, 1)]
claim("With σ measured on the attacker's own people it tells less of members, and more of others, than with the members' σ",
      wide[0] < told["network, members"] - 0.1 and wide[1] > told["network, others"] + 0.05,
      f"members {wide[0]:.0%}, others {wide[1]:.0%}")  # fmt: skip
strange = sum(error(net, split[1]) for net, split in zip(nets, splits, strict=True)) / 5
mean_alone = sum((outcome[s[1]] - outcome[s[0]].mean()).square().mean().sqrt().item() for s in splits) / 5
claim("Of others the network predicts the outcome about as badly as the members' mean does: within 10 %",
      0.9 < strange / mean_alone < 1.1, f"errors {strange:.2f} and {mean_alone:.2f}")  # fmt: skip
claim("After 10 epochs it tells at least 15 points less of its members, and predicts others better by 10 % or more",
      told["10 epochs, members"] < told["network, members"] - 0.15
      and sum(error(net, split[1]) for net, split in zip(early, splits, strict=True)) / 5 < 0.9 * strange,
      f"{told['10 epochs, members']:.0%} of members, {told['10 epochs, others']:.0%} of others")  # fmt: skip
claim("Ridge is within 7 points of imputation, and as right about others as about its members, within 7 points",
      abs(told["ridge, members"] - baseline) < 0.07 and abs(told["ridge, members"] - told["ridge, others"]) < 0.07,
      f"{told['ridge, members']:.0%} of members, {told['ridge, others']:.0%} of others")  # fmt: skip

# %% [markdown]
# Both controls matter. Without imputation, what ridge reaches would look like a leak: it is what the other columns tell.
# Without the others, you could not tell memory from knowledge. The network's is **memory**: of others it predicts the outcome no
# better than a mean. The attack tells about as much of them as a coin, for it trusts the network as far as it may for members.
# With a σ measured on people of its own it keeps closer to the prior. Nor does the number of weights alone make the memory: after
# 10 epochs the same network gives away far less. Ridge's lead over imputation is less than what splits vary by.
#
# ### A whole training set
#
# Some secrets are about no single record: how many patients came from one clinic? That is **property inference**. Train shadow
# models on sets that have the property and on sets that have not, and a **meta-classifier** learns the difference from their
# answers. Your digits and the owner's are disjoint. Is 5 % of the owner's training set a 3, or 15 %?


# %%
def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


owned, yours, probes = torch.randperm(1437, generator=runtime.generator(80)).to(device).split([690, 687, 60])


def told_apart(shares, count=40):
    """Of the owner's 40 models, for how many is the right one of two shares found?"""
    draw, answers, second = runtime.generator(81), [], torch.arange(count, device=device) >= count // 2
    for rows in (yours, owned):
        pictures, labels = digits.x_train[rows], digits.y_train[rows]
        use = {"label": 3, "size": 300, "models": count // 2, "generator": draw}
        sets = torch.cat([membership.members_with_share(labels, share=share, **use) for share in shares])
        trained = ensembles.train(small, pictures, labels, sets, lr=3e-3, batch_size=50, generator=draw, progress=False)
        answers.append(trained.logits(digits.x_train[probes]))
    return int(((membership.infer_property(answers[0], second, answers[1]) > 0.5) == second).sum())


differ, same = told_apart((0.05, 0.15)), told_apart((0.1, 0.1))
print(f"5 % or 15 %: right for {differ} of 40 models.  Control, 10 % twice: {same} of 40.")
claim("5 % and 15 % are told apart for more than 80 % of the owner's models", differ > 32)
claim("Where both are 10 %, the 99.9 % interval holds a coin's 50 %",
      clopper_pearson(same, 40, confidence=0.999)[0] < 0.5 < clopper_pearson(same, 40, confidence=0.999)[1])  # fmt: skip

# %%
guarantee(
    holds="None of the defences here proves anything. What was measured holds for these attacks on this model.",
    does_not="A better attack may find more. An average, such as accuracy or AUC, says nothing about who is exposed.",
    adapts="With shadow models that have the defence too, and with more queries where answers are coarse.",
    cost=f"Stopping after 8 epochs moved test accuracy from {accuracy[1]:.1%}, the best of three at 15, to {accuracy[2]:.1%}. "
    "Labels only: honest clients lose the scores.",
)

# %% [markdown]
# ### Spot the broken experiment
#
# A colleague audits another model, trained on 300 of our digits. As non-members they take 300 digits that came in a year later,
# from a new scanner. One threshold on the log-odds, and the AUC is far above yours. Write **one** control that exposes it.

# %%
late = 0.75 * digits.x_test[:300]  # the new scanner is a little paler
asked = torch.cat([digits.x_train[:300], late])
labels = torch.cat([digits.y_train[:300], digits.y_test[:300]])
theirs = torch.arange(600, device=device) < 300
audited = ensembles.train(
    architecture, digits.x_train[:300], digits.y_train[:300], theirs[None, :300], epochs=60, lr=3e-3,
    generator=runtime.generator(9), progress=False,
)  # fmt: skip
reported = membership.auc(logit_scale(audited.logits(asked), labels)[0], theirs)
print(f"AUC {reported.value:.2f} [{reported.low:.2f}, {reported.high:.2f}]")

# %% tags=["student-only"]
# Your control here: what would a score find that never asks the model?

# %% tags=["solution-only"]
blind = membership.auc(asked.flatten(1).amax(1), theirs)  # the brightest pixel: no model is asked
apart = ensembles.train(
    architecture, digits.x_train[300:600], digits.y_train[300:600], theirs[None, :300], epochs=60, lr=3e-3,
    generator=runtime.generator(9), progress=False,
)  # fmt: skip
neither = membership.auc(logit_scale(apart.logits(asked), labels)[0], theirs)
level = asked / asked.flatten(1).amax(1)[:, None, None, None]  # every picture equally bright
fair = membership.auc(logit_scale(audited.logits(level), labels)[0], theirs)
dim = membership.auc(logit_scale(apart.logits(level), labels)[0], theirs)
claim("A model that saw neither set has an AUC above 0.6", neither.value > 0.6,
      f"{neither.value:.2f}; {dim.value:.2f} with equal brightness")  # fmt: skip
claim("The colleague's AUC is above 0.7", reported.value > 0.7, f"{reported.value:.2f}")
claim("A score that never asks the model has a higher one", blind.value > reported.value, f"{blind.value:.2f}")
claim("With the scanner's difference taken out, the AUC is lower", fair.value < reported.value, f"{fair.value:.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Members and non-members differ in more than membership: in the scanner. A **blind** score, such as the brightest pixel, tells
# them apart without any model, with an AUC of 1.00 (Das, Zhang & Tramèr, 2024). With every picture made equally bright, the
# model's own falls from 0.79 to 0.59. A model trained on **neither** set is a second control: it reaches 0.73, and 0.55 with equal
# brightness. So most of the AUC says nothing about membership. Members and non-members must be drawn from one population, by
# dice, as your 72 halves were.
#
# </details>

# %% [markdown]
# ## 6 · Quiz

# %%
quiz("10")

# %% [markdown]
# ### Further reading
#
# * S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha, 2018, *Privacy Risk in Machine Learning: Analyzing the Connection to
#   Overfitting*. The gap.
# * R. Shokri, M. Stronati, C. Song, V. Shmatikov, 2017, *Membership Inference Attacks Against Machine Learning Models*. Shadow
#   models.
# * N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis, F. Tramèr, 2022, *Membership Inference Attacks From First Principles*. LiRA,
#   and why to look at few false accusations.
# * S. Zarifzadeh, P. Liu, R. Shokri, 2024, *Low-Cost High-Power Membership Inference Attacks*. RMIA.
# * C. Choquette-Choo, F. Tramèr, N. Carlini, N. Papernot, 2021, *Label-Only Membership Inference Attacks*.
# * D. Das, J. Zhang, F. Tramèr, 2024, *Blind Baselines Beat Membership Inference Attacks for Foundation Models*.
# * M. Fredrikson, E. Lantz, S. Jha, S. Lin, D. Page, T. Ristenpart, 2014, *Privacy in Pharmacogenetics*. One attribute.
# * B. Jayaraman, D. Evans, 2022, *Are Attribute Inference Attacks Just Imputation?* The control that section 5 copies.
# * G. Ateniese et al., 2015, *Hacking Smart Machines with Smarter Ones*. A property of a whole training set.
#
# To see how the library writes these, open `modelsec_course/membership/likelihood.py` and `relative.py`, and `modelsec_course/ensembles/`. For hundreds of
# shadow models, or other machines, see `docs/beyond-one-machine.md`.

# %%
finish("10")
