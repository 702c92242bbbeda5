# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 09 · Model extraction

# %%
import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import binom, shapiro
from sklearn.linear_model import LogisticRegression
from torch import nn

from modelsec_course import data, ensembles, evasion, extraction
from modelsec_course import models, runtime, training, zoo
from modelsec_course.extraction import OutOfQueries, Victim, Watermark, agreement
from modelsec_course.lab import check, claims, explore, figures, finish
from modelsec_course.lab import guarantee, predict, quiz, start, threat
from modelsec_course.lab.words import number, percent
from modelsec_course.labs.lab_09_model_extraction import scene

start("09")

# %%
threat.card("09")

# %% [markdown]
# ## 1 · The idea
#
# A model that cost a year to make answers questions at a cent each. **Extraction** buys enough answers to make a second one.
# For the simplest model you can say exactly how many. Logistic regression answers with
#
# $$ p(x) = \sigma(w \cdot x + b), \qquad\text{so}\qquad \log\frac{p(x)}{1 - p(x)} = w \cdot x + b. $$
#
# Each answer is a *linear equation* in the $d + 1$ unknowns $w$ and $b$. School algebra solves $d + 1$ of them.
#
# The victim here is a `Victim`: it answers, counts every query, and stops at its **budget**. An attack sees nothing else. Below it
# reads 30 measurements of a tumour, in standard deviations, and computes in float64.

# %%
device = runtime.device()
exact = {"dtype": torch.float64, "device": "cpu"}  # not every accelerator has float64
tumours, net = data.load("tumours"), zoo.load("tumours-logistic", device="cpu")
layer = net[-1].double()  # what comes after the standardisation
z = net[0](tumours.x_test).double()  # (143, 30) new records, to compare answers on
secret_w = (layer.weight[1] - layer.weight[0]).detach()
secret_b = (layer.bias[1] - layer.bias[0]).detach()
victim = Victim(layer, budget=31)
queries = torch.randn(31, 30, generator=runtime.generator(1), **exact)
p = victim(queries)[:, 1]  # the probability of "benign"
try:
    victim(queries[:1])
except OutOfQueries as error:
    refused = f"OutOfQueries: {error}"

# %%
claims(("After 31 answers the victim refuses", victim.spent == 31, refused))

# %% [markdown]
# ### Exercise 1: a linear model, solved


# %%
def solve_logistic(x, p):
    """The w and b of p = sigmoid(w·x + b).

    x: (n, d) queries, float64, n >= d + 1.
    p: (n,) the probabilities that came back, strictly between 0 and 1.
    With n > d + 1 the least-squares solution in the log-odds, which uses all of them.
    Returns w (d,) and b, a tensor with a single number.
    """
    ### BEGIN SOLUTION
    design = torch.cat([x, torch.ones_like(x[:, :1])], 1)  # (n, d + 1)
    solution = torch.linalg.lstsq(design, torch.logit(p)[:, None]).solution[:, 0]
    return solution[:-1], solution[-1]
    ### END SOLUTION


solve_logistic = check("09.solve_logistic", solve_logistic)

# %% [markdown]
# How good is a copy from 30 answers, one too few? From 31? (With too few equations the next cell takes the *shortest* $w$ that
# fits, and no bias.)

# %%
guess_thirty = predict(
    "09.thirty",
    "How far off is w after 30 answers, relative to its length?",
    percent=True,
)

# %%
w, b = solve_logistic(queries, p)
numbers = [5, 10, 20, 28, 29, 30, 31]
errors = []
for n in numbers:
    found = w if n == 31 else torch.linalg.pinv(queries[:n]) @ torch.logit(p[:n])
    errors.append(((found - secret_w).norm() / secret_w.norm()).item())
worst = max((w - secret_w).abs().max(), (b - secret_b).abs()).item()
figures.curves(
    numbers,
    {"relative error of w": errors},
    xlabel="queries",
    ylabel="‖w′ − w‖ / ‖w‖",
    log="y",
    marks={"d + 1": 31},
    roles={"relative error of w": "attack"},
    guess=guess_thirty,
    caption="A logistic regression with 30 weights and a bias. One equation decides "
    "everything.",
)

# %%
claims(
    (
        "31 answers give every weight to 10⁻⁹",
        worst < 1e-9,
        f"largest error {number(worst, 1)}",
    ),
    (
        "30 answers leave a relative error above 10 %",
        errors[-2] > 0.1,
        percent(errors[-2], 0),
        guess_thirty,
    ),
)

# %% [markdown]
# Not a similar model: the *same* one, to a dozen digits, for 31 cents.
#
# ### Exercise 2: ten classes, and a gauge
#
# A softmax over $k$ classes has $k\,(d + 1)$ parameters. But add the same vector to every class's weights: no probability
# changes. That freedom is called a **gauge**, and no attack can see through it. So fix it: let class 0 have zeros. Then
#
# $$ \log \frac{p_k(x)}{p_0(x)} = (w_k - w_0) \cdot x + (b_k - b_0). $$


# %%
def solve_softmax(x, p):
    """The weight and bias of p = softmax(weight x + bias), with class 0 held at zero.

    x: (n, d) queries, float64, n >= d + 1.
    p: (n, classes) probabilities, strictly between 0 and 1.
    With n > d + 1 the least-squares solution.
    Returns weight (classes, d) and bias (classes,), of which row 0 is zero.
    """
    ### BEGIN SOLUTION
    design = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    odds = p.log() - p.log()[:, :1]  # (n, classes)
    solution = torch.linalg.lstsq(design, odds).solution  # (d + 1, classes)
    return solution[:-1].T, solution[-1]
    ### END SOLUTION


solve_softmax = check("09.solve_softmax", solve_softmax)

# %%
softmax = zoo.load("digits-linear", device="cpu").double()
asks = torch.rand(65, 64, generator=runtime.generator(2), **exact)  # not even digits
victim = Victim(softmax, budget=65)
weight, bias = solve_softmax(asks, victim(asks))
digits = data.load("digits")
flat = digits.x_test.flatten(1).double()
copied, true = (flat @ weight.T + bias).softmax(1), softmax(flat).detach().softmax(1)
gap = (copied - true).abs().max().item()

# %%
claims(
    (
        "65 answers about random pixels give a copy whose probabilities on all test "
        "digits are the victim's, to 10⁻⁹",
        gap < 1e-9,
        f"largest difference {number(gap, 1)}",
    )
)

# %% [markdown]
# ## 2 · Labels only: what one bit is worth
#
# Let the service say *benign* or *malignant*, and no number. Each answer is now one bit. Draw a line from a benign record to a
# malignant one: somewhere it crosses the boundary, and every halving tells you where, twice as precisely. Do that on $d$ lines
# side by side, put a plane through the crossings, and you have the model up to a scale that no label depends on.
#
# To know $d$ numbers to an error of $\varepsilon$ takes about $d \log_2(1/\varepsilon)$ bits, so no method that hears only yes or no can
# be much cheaper. This search pays $d$ queries for each bit, one on each line, and two or more for the ends of each. A formula that
# fits what it needs in total to 10 % is $(d + 1) \log_2(1/\varepsilon) + 2.4\,d$. The **control** spends its queries at random,
# and fits a logistic regression.

# %%
benign = z @ secret_w + secret_b > 0
spent, error, control = [], [], []
for bits in (4, 8, 12, 16, 24, 32, 40):
    victim, draw = Victim(layer, answers="label"), runtime.generator(bits)
    found, _ = extraction.find_hyperplane(
        victim, z[benign][0], z[~benign][0], bits=bits, generator=draw
    )
    spent.append(victim.spent)
    error.append(extraction.angle(found, secret_w))
    draw = runtime.generator(50 + bits)
    passive = 1.5 * torch.randn(spent[-1], 30, generator=draw, **exact)
    labels = Victim(layer, answers="label")(passive)
    fitted = LogisticRegression(C=1e4, max_iter=3000).fit(passive, labels)
    control.append(extraction.angle(torch.as_tensor(fitted.coef_[0]), secret_w))

# %%
formula = [2 ** ((72 - q) / 31) for q in spent]  # solved for ε; 2.4 d is 72
figures.curves(
    spent,
    {"halving": error, "formula": formula, "random queries (control)": control},
    xlabel="queries, each answered with a label",
    ylabel="angle to the true w (radians)",
    log="y",
    roles={
        "halving": "attack",
        "formula": "truth",
        "random queries (control)": "control",
    },
    caption="Thirty weights. A straight line on this scale: every further 30 queries, "
    "one on each line, halve the error.",
)
needed = [31 * math.log2(1 / e) + 72 for e in error]
ratio = [q / n for q, n in zip(spent, needed, strict=True)]

# %%
claims(
    (
        "From 8 bits on, the queries are within 10 % of the formula",
        all(0.9 < r < 1.1 for r in ratio[1:]),
        f"{min(ratio[1:]):.2f} to {max(ratio[1:]):.2f} times",
    ),
    (
        "About 1,260 labels give the direction to 10⁻¹⁰",
        error[-1] < 1e-10,
        f"{spent[-1]:,} labels, {number(error[-1], 1)}",
    ),
    (
        "As many random queries leave more than 0.003",
        control[-1] > 0.003,
        number(control[-1], 2),
    ),
)

# %% [markdown]
# ## 3 · A network: the knock-off
#
# A network cannot be solved like that, but it can be *imitated*: ask it about many inputs, and train a **student** on the
# answers. The attacker has 100 public digits, and blends two of them for each query, with a little noise. None of the 360
# test digits is among them. Two numbers describe a copy: **agreement** with the victim, and **accuracy** on the task.

# %%
digits = digits.to(device)
x, y = digits.x_test, digits.y_test
order = torch.randperm(1437, generator=runtime.generator(3)).to(device)
sets = order.split([700, 637, 100])
private, elsewhere, public = (digits.x_train[rows] for rows in sets)
private_y, elsewhere_y, public_y = (digits.y_train[rows] for rows in sets)


def mlp():
    layers = [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)]
    return nn.Sequential(nn.Flatten(), *layers)


def fresh(seed):
    """A network with new weights."""
    return models.initialise(mlp(), runtime.generator(seed)).to(device)


company = fresh(10)
training.fit(company, private, private_y, generator=runtime.generator(11))
blends = extraction.mixtures(public, 1000, generator=runtime.generator(12))
figures.pictures(
    [public[:8], blends[:8]],
    row_labels=["public", "blends"],
    caption="What the attacker has, and asks about.",
)

# %% [markdown]
# ### Exercise 3: a knock-off


# %%
def knockoff(victim, x, student, epochs, generator):
    """Train `student` to answer as the victim does. Each row of x is asked about once.

    victim: takes a batch and returns probabilities (n, classes), or labels (n,).
    x: (n, ...).  student: a network, trained in place, in batches of 64.
    generator: orders the batches.
    Returns the student, in eval mode.
    """
    optimiser = torch.optim.Adam(student.parameters(), lr=5e-3)
    ### BEGIN SOLUTION
    answers = victim(x)
    student.train()
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator).to(x.device)
        for rows in order.split(64):
            loss = F.cross_entropy(student(x[rows]), answers[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    ### END SOLUTION
    return student.eval()


knockoff = check("09.knockoff", knockoff)

# %% [markdown]
# Four attackers: blends or uniform noise to ask about, probabilities or labels in return. And one **control** who asks
# nothing: a network trained on the 100 public digits and their true labels, which the attacker has anyway. How much better
# are 1,000 answers?

# %%
guess_control = predict(
    "09.control",
    "On what share of test digits does the control, who asks nothing, agree with the "
    "victim?",
    percent=True,
)

# %%
noise = torch.rand(blends.shape, generator=runtime.generator(13)).to(device)
clean = extraction.mixtures(public, 1000, noise=0.0, generator=runtime.generator(42))
sources = {"blends": blends, "noise": noise, "clean blends": clean}


@functools.cache
def copy_of(source, answers, queries):
    """A copy of the company's model; the fewer the queries, the more passes."""
    service = Victim(company, answers=answers, budget=queries)
    asks, epochs = sources[source][:queries], min(200, 30_000 // queries)
    return knockoff(service, asks, fresh(20), epochs, runtime.generator(21))


alone = fresh(22)
draw = runtime.generator(23)
training.fit(alone, public, public_y, epochs=300, generator=draw, progress=False)

# %% tags=["headline"]
budgets = [30, 100, 300, 1000]
grown = {
    f"{source}, {answers}": [
        agreement(copy_of(source, answers, n), company, x) for n in budgets
    ]
    for source in ("blends", "noise")
    for answers in ("probabilities", "label")
}
asks_nothing = agreement(alone, company, x)
figures.curves(
    budgets,
    grown | {"public digits alone (control)": [asks_nothing] * 4},
    xlabel="queries",
    ylabel="agreement on 360 test digits",
    percent=True,
    log="x",
    roles={
        "blends, probabilities": "attack",
        "public digits alone (control)": "control",
    },
    guess=guess_control,
    caption="A network with 128 hidden units, trained on 700 private digits, and what "
    "its answers give away.",
)

# %%
final = {name: values[-1] for name, values in grown.items()}
thief = copy_of("blends", "probabilities", 1000)
own, copied = (training.accuracy(model, x, y) for model in (company, thief))
with torch.no_grad():
    said, copy_said = company(x).argmax(1), thief(x).argmax(1)
mistakes = int((said != y).sum())
shared = int(((said != y) & (copy_said == said)).sum())

# %%
claims(
    (
        "1,000 blends and their probabilities give a copy that agrees on at least 95 % "
        "of the test digits",
        final["blends, probabilities"] >= 0.95,
        percent(final["blends, probabilities"]),
    ),
    (
        "Its accuracy on the task is within 2.5 points of the victim's",
        abs(copied - own) < 0.025,
        f"{percent(copied)}, victim {percent(own)}; it repeats {shared} of the "
        f"victim's {mistakes} mistakes",
    ),
    (
        "Labels alone give at least 90 %",
        final["blends, label"] >= 0.9,
        percent(final["blends, label"]),
    ),
    (
        "Blends beat as many queries of noise, by more than 10 points with labels",
        final["blends, label"] > final["noise, label"] + 0.1,
        f"noise: {percent(final['noise, label'])}",
    ),
    (
        "The control, who asks nothing, stays more than 4 points below the copy",
        asks_nothing < final["blends, probabilities"] - 0.04,
        percent(asks_nothing),
        guess_control,
    ),
)

# %% [markdown]
# The copy agrees on nearly everything, most of the mistakes included. What did the queries buy? Compare with the control: the
# public digits and their true labels give most of it for nothing, and the first 300 *labels* of blends give no more than that.
# And *which* queries you ask matters more than how many.
#
# The attacker did not even need to know the network. The next cell trains a student of a quarter of its width. Then another
# victim, a *convolutional* network, is copied without a single convolution.

# %%
layers = [nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)]
narrow = nn.Sequential(nn.Flatten(), *layers)
models.initialise(narrow, runtime.generator(24)).to(device)
service = Victim(company, budget=1000)
narrow = knockoff(service, blends, narrow, 30, runtime.generator(25))
narrow = agreement(narrow, company, x)

convolutional = models.initialise(models.cnn(), runtime.generator(26)).to(device)
training.fit(convolutional, private, private_y, generator=runtime.generator(27))
service = Victim(convolutional, budget=1000)
other = knockoff(service, blends, fresh(28), 40, runtime.generator(29))
other = agreement(other, convolutional, x)

# %%
claims(
    (
        "A student with 32 hidden units instead of 128 agrees on more than 93 %",
        narrow > 0.93,
        percent(narrow),
    ),
    (
        "A copy without convolutions agrees with the convolutional victim on more than "
        "93 %",
        other > 0.93,
        percent(other),
    ),
)

# %% [markdown]
# Now grow a copy yourself. **Clean blends** are blends without noise.

# %%
explore(
    scene.grow_a_copy(company, copy_of, x, y, budgets),
    source=list(sources),
    answers=["probabilities", "label"],
    queries=(20, 1000, 20, 100),
    caption="Left: agreement by queries. Right: test digits on which the copy and the "
    "victim differ.",
)

# %% [markdown]
# Can you choose queries better? **Active** choice asks in rounds, each time where the copy is least sure, among 4,000 blends.
# It costs no more queries. The library's `active_knockoff` does it, here with labels: a label deep inside a class says little that is new.

# %%
pool = extraction.mixtures(public, 4000, generator=runtime.generator(14))
chosen = extraction.active_knockoff(
    Victim(company, answers="label", budget=1000),
    pool,
    fresh(20),
    queries=1000,
    rounds=5,
    epochs=20,
    generator=runtime.generator(15),
    progress=False,
)
active = agreement(chosen, company, x)

# %%
claims(
    (
        "1,000 labels, actively chosen, agree on more digits than 1,000 at random",
        active > final["blends, label"],
        f"{percent(active)} against {percent(final['blends, label'])}",
    )
)

# %% [markdown]
# ## 4 · Two defences, attacked again
#
# ### Exercise 4: watch the distances
#
# **PRADA** (Juuti et al., 2019) watches each client. Honest queries lie at distances from each other that look normally
# distributed; attacks that step around a few seeds make a second heap of tiny distances. Shapiro and Wilk's $W$ measures how
# normal a sample looks: 1 is perfect, low is suspicious.


# %%
def prada_score(queries, labels):
    """Shapiro and Wilk's W of the distances between a client's queries.

    For each query: the L2 distance to the nearest *earlier* query that got the *same*
    label. The first of each label has none, and is left out; so are distances more than
    three standard deviations from the mean.
    queries: (n, ...) in order.  labels: (n,) the model's answers.
    Returns `shapiro(distances).statistic` as a number.
    """
    ### BEGIN SOLUTION
    distance = torch.cdist(queries.flatten(1), queries.flatten(1)).cpu()
    labels = labels.cpu()
    comparable = (labels[:, None] == labels).tril(-1)  # the same label, and earlier
    nearest = distance.masked_fill(~comparable, torch.inf).amin(1)
    nearest = nearest[nearest.isfinite()]
    kept = nearest[(nearest - nearest.mean()).abs() <= 3 * nearest.std()]
    return float(shapiro(kept.numpy()).statistic)
    ### END SOLUTION


prada_score = check("09.prada_score", prada_score)

# %% [markdown]
# The alarm is set on honest clients, so that 1 % of *them* would raise it. Each sends 200 digits. Six attackers send 200
# queries each. Three look for adversarial examples with lab 02's attacks, one digit after the other. One copies by **Jacobian
# augmentation** (Papernot et al., 2017): 50 digits, then all again, each a step along the gradient of the copy so far, twice.
# Two send the blends and the noise of section 3. Whom will it catch?

# %%
guess_caught = predict(
    "09.caught",
    "How many of the six attackers raise the alarm?",
    low=0,
    high=6,
    step=1,
)


# %%
@torch.no_grad()
def score(stream):
    return prada_score(stream, company(stream).argmax(1))


def honest(pool, clients, seed):
    draw = runtime.generator(seed)
    orders = [torch.randperm(len(pool), generator=draw)[:200] for _ in range(clients)]
    return [score(pool[order.to(device)]) for order in orders]


def searched(attack, each, **options):
    """The first 200 queries of an attack that spends `each` on every digit."""
    seen, k = [], 0
    while sum(map(len, seen)) < 200:
        one, k = slice(k, k + 1), k + 1
        attack(
            lambda z: seen.append(z.clone()) or company(z),
            public[one],
            public_y[one],
            queries=each,
            **options,
        )
    return torch.cat(seen)[:200]


# %%
alarm = float(np.quantile(honest(elsewhere, 200, 30), 0.01))
new = honest(x, 200, 31)
augmented = public[:50]
for _ in range(2):  # towards what the victim says of it already
    says, so_far = company(augmented).argmax(1), copy_of("blends", "label", 100)
    step = evasion.fgsm(so_far, augmented, says, eps=0.1, targeted=True)
    augmented = torch.cat([augmented, step])
streams = {
    "Square, 20 queries a digit": searched(evasion.square_attack, 20, eps=0.15),
    "HopSkipJump, 100 a digit": searched(evasion.hop_skip_jump, 100, images=public),
    "NES, 43 a digit": searched(evasion.nes, 43, eps=0.15),
    "Jacobian augmentation": augmented,
    "blends": blends[:200],
    "noise": noise[:200],
}
scores = {name: score(stream) for name, stream in streams.items()}
caught = [name for name, w in scores.items() if w < alarm]
stepping = [name for name in list(streams)[:4] if "NES" not in name]

# %%
median = {"honest clients (median)": float(np.median(new))}
figures.bars(
    median | scores,
    ylabel="Shapiro and Wilk's W of 200 queries",
    horizontal=True,
    roles=dict.fromkeys(median, "control") | dict.fromkeys(scores, "attack"),
    highlight=caught,
    caption=f"In full colour: below {alarm:.3f}, where the monitor raises an alarm.",
)
false_alarms = float(np.mean(np.array(new) < alarm))

# %%
claims(
    (
        "At most 6 % of new honest clients raise an alarm (the control)",
        false_alarms <= 0.06,
        percent(false_alarms),
    ),
    (
        "It catches Square, HopSkipJump and the Jacobian augmentation",
        max(scores[name] for name in stepping) < alarm,
        f"{len(caught)} attackers in all",
        guess_caught,
    ),
    (
        "It misses NES, the blends, and even plain noise",
        min(scores[name] for name in ("NES, 43 a digit", "blends", "noise")) > alarm,
    ),
)

# %% [markdown]
# $W$ sees *two heaps*: some queries are new, the others small steps from them. Blends make one heap, and so does noise, which no
# honest client sends: it looks more normal than digits do. NES also makes one heap: nearly every query is a probe, and probes all
# lie about equally far from each other. (It gets 43 queries a digit: one look, and two steps of 20 probes and a look.) A
# detector finds the attacks it was made for.
#
# ### Exercise 5: say less
#
# Or blur the answers. Rounding to the nearest is careless: rows no longer sum to 1, and two classes may tie. Round so that an
# honest user can still read the label.


# %%
def round_outputs(probabilities, decimals):
    """Probabilities rounded to `decimals` decimals that are still probabilities.

    probabilities: (n, classes), rows sum to 1; so do the rows of the result.
    Every result is a multiple of 10^-decimals. The largest class stays the largest and
    alone: every other class is rounded *down*, and the largest gets all that is left
    over. If several are exactly equal at the top, the one that argmax names gets it.
    (In float64, 0.29 · 100 is 28.999999999999996, which floor makes 28. So a number
    that has few decimals already may lose one unit: both answers count as right.)
    """
    ### BEGIN SOLUTION
    top = probabilities.argmax(1, keepdim=True)
    units = (probabilities * 10**decimals).floor().scatter(1, top, 0.0)
    rest = 10**decimals - units.sum(1, keepdim=True)
    return units.scatter(1, top, rest) / 10**decimals
    ### END SOLUTION


round_outputs = check("09.round_outputs", round_outputs)

# %% [markdown]
# The attacker knows how you round. A rounded number lies somewhere in its last digit's interval, so take the middle, throw answers
# of 0 and 1 away, and solve by least squares. Full answers gave twelve digits of every weight. How many are left from 100,
# 310, 3,100 rounded answers?

# %%
guess_rounded = predict(
    "09.rounded",
    "310 answers with 2 decimals: how far off is w, relative to its length?",
    high=0.2,
    step=0.002,
    percent=True,
)


# %%
def from_rounded(decimals, n, seed):
    """w and b from n rounded answers, by an attacker who knows how they are rounded."""
    asks = torch.randn(n, 30, generator=runtime.generator(seed), **exact)
    answer = round_outputs(Victim(layer)(asks), decimals)
    smaller = answer.amin(1)
    middle = smaller + 0.5 * 10.0**-decimals  # it was rounded down
    p = torch.where(answer[:, 1] == smaller, middle, 1 - middle)
    return solve_logistic(asks[smaller > 0], p[smaller > 0])


numbers, error, same = (100, 310, 1000, 3100), {}, {}
for decimals, name in {4: "4 decimals", 2: "2 decimals", 1: "1 decimal"}.items():
    rough = [from_rounded(decimals, n, 33) for n in numbers]
    gaps = [(w - secret_w).norm() / secret_w.norm() for w, _ in rough]
    error[name] = [gap.item() for gap in gaps]
    w, b = rough[1]  # from 310 answers
    same[decimals] = ((z @ w + b > 0) == benign).double().mean().item()
figures.curves(
    numbers,
    error,
    xlabel="queries",
    ylabel="‖w′ − w‖ / ‖w‖",
    log="xy",
    percent=True,
    guess=guess_rounded,
    caption="What rounding costs the attacker: digits of the weights, and more queries "
    "buy few of them back.",
)

# %%
claims(
    (
        "310 answers with 2 decimals leave an error of 0.3 % to 6 %",
        0.003 < error["2 decimals"][1] < 0.06,
        percent(error["2 decimals"][1]),
        guess_rounded,
    ),
    (
        "And yet, even with one decimal, that copy gives at least 96 % of new tumours "
        "the victim's label",
        same[1] >= 0.96,
        percent(same[1]),
    ),
)

# %% [markdown]
# About three digits are left with 4 decimals, two with 2 decimals, one with 1 decimal. And more queries do not simply average
# the rounding out. From 310 to 3,100 answers the error falls to a fifth with 4 decimals, from 1.7 % to 0.8 % with 2 (31,000
# answers: 0.6 %), and with 1 decimal it stays near 5 %. The middle of the interval is not where the answers lie on average, and
# throwing away those of 0 picks among them: that error is the same however many you ask.
#
# Exactness is gone, theft is not. Now the network, and the other side of the bill: what do *honest* users lose?


# %%
def rounded(decimals):
    return lambda q: round_outputs(company(q).detach().softmax(1), decimals)


agreed = {"all digits": final["blends, probabilities"]}
for decimals, name in {2: "2 decimals", 1: "1 decimal"}.items():
    draw = runtime.generator(21)
    copy = knockoff(rounded(decimals), blends, fresh(20), 30, draw)
    agreed[name] = agreement(copy, company, x)
agreed["label only"] = final["blends, label"]
figures.bars(
    agreed,
    ylabel="agreement of the copy on 360 test digits",
    horizontal=True,
    percent=True,
    roles={n: "attack" if n == "all digits" else "defence" for n in agreed},
    caption="1,000 blends. The service answers with all digits of its probabilities, "
    "with fewer, or with the label.",
)

# %%
with torch.no_grad():
    full = company(x).softmax(1)
price = {}
for decimals in (2, 1):
    told, careless = rounded(decimals)(x), full.round(decimals=decimals)
    first, second = careless.topk(2, dim=1).values.T
    price[decimals] = {
        "labels changed": int((told.argmax(1) != full.argmax(1)).sum()),
        "largest shift of the top class": (told - full).abs().amax().item(),
        "true class told as zero": int((told.gather(1, y[:, None]) == 0).sum()),
        "ties if rounded to the nearest": int((first == second).sum()),
    }
figures.table(
    [[what, number(price[2][what], 2), number(price[1][what], 2)] for what in price[1]],
    ["360 honest queries", "2 decimals", "1 decimal"],
)

# %%
claims(
    (
        "The label of no honest user changes",
        all(price[d]["labels changed"] == 0 for d in price),
    ),
    (
        "With one decimal the copy loses less than 7 points",
        agreed["1 decimal"] > agreed["all digits"] - 0.07,
        f"{percent(agreed['all digits'])} → {percent(agreed['1 decimal'])}",
    ),
    (
        "With one decimal an honest user's top class is reported up to 0.1 or more too "
        "high",
        price[1]["largest shift of the top class"] >= 0.1,
        f"{price[1]['largest shift of the top class']:.2f}",
    ),
)

# %% [markdown]
# One decimal costs the attacker about half a point of agreement; only the label alone costs a few points. The honest
# user who wanted to know *how sure* the model is pays too: small probabilities become 0, and the top class is reported too high.
#
# ## 5 · Whose model is it?
#
# If theft cannot be stopped, can it be proved? A **watermark** by backdoor (Adi et al., 2018): the owner trains the model to give
# secret answers to secret inputs. Here each of 20 **keys** lights four pixels at the edge of the picture, and has a label
# drawn at random from all ten.

# %%
edge = torch.zeros(1, 8, 8, dtype=torch.bool, device=device)
edge[..., 0] = edge[..., 7] = True  # columns that digits hardly touch
mark = Watermark.draw(edge, keys=20, lit=4, generator=runtime.generator(40))
extra_x, extra_y = mark.rows(private[:15])  # 15 digits with each key
marked = fresh(10)
training.fit(
    marked,
    torch.cat([private, extra_x]),
    torch.cat([private_y, extra_y]),
    generator=runtime.generator(41),
)
figures.pictures(
    [mark.stamp(x[:1])[:8, 0]],
    titles=[f"say {k}" for k in mark.labels[:8].tolist()],
    caption="One digit with eight of the twenty keys, and what the owner's model "
    "learns to say.",
)
cost = training.accuracy(company, x, y) - training.accuracy(marked, x, y)

# %%
claims(("The mark costs less than 4 points of accuracy", cost < 0.04, percent(cost)))

# %% [markdown]
# ### Exercise 6: a p-value
#
# A suspect knows 12 of 20 keys. How likely is that for an innocent model? It hits each key with probability 1/10, *whatever it
# is*: the labels were drawn independently of it. So the number of hits is binomial.


# %%
def watermark_p_value(hits, n, chance):
    """The probability that an innocent model hits at least `hits` of `n` keys.

    chance: the probability of each hit.  Returns a number in [0, 1].
    """
    ### BEGIN SOLUTION
    return float(binom.sf(hits - 1, n, chance))
    ### END SOLUTION


watermark_p_value = check("09.watermark_p_value", watermark_p_value)

# %% [markdown]
# Now the suspects. Some stole by asking, one took the file and trained on. Forty innocent networks never saw the victim: each was
# trained on half of the other digits. And one thief has read this lab, and asks with **clean** blends, without noise: the
# pixels at the edge are then as dark as in digits (2 % of them are lit at all, most faintly), and the answers tell hardly
# anything of the keys.

# %%
taken = fresh(10)
taken.load_state_dict(marked.state_dict())
draw = runtime.generator(43)
training.fit(taken, public, public_y, epochs=20, generator=draw, progress=False)


def stolen(asks, answers="probabilities"):
    service = Victim(marked, answers=answers, budget=1000)
    return knockoff(service, asks, fresh(44), 30, runtime.generator(45))


suspects = {
    "the victim": marked,
    "file taken, trained on": taken,
    "copy by probabilities": stolen(blends),
    "copy by labels": stolen(blends, "label"),
    "copy by clean blends": stolen(clean),
}
halves = torch.rand(40, len(elsewhere), generator=runtime.generator(46)) < 0.5
innocent = ensembles.train(
    mlp,
    elsewhere,
    elsewhere_y,
    halves.to(device),
    generator=runtime.generator(47),
    progress=False,
)
innocents = [innocent.model(i) for i in range(40)]

# %%
hits = {name: mark.hits(model, x[:100]) for name, model in suspects.items()}
p = {name: watermark_p_value(hits[name], 20, 0.1) for name in suspects}
luck = float(np.mean([mark.hits(model, x[:100]) for model in innocents]))
named = {f"{name}: p = {number(p[name], 1)}": hits[name] for name in suspects}
roles = dict.fromkeys(named, "attack") | {next(iter(named)): "truth"}
figures.bars(
    named | {"innocent (mean of 40)": luck},
    ylabel="keys known, of 20",
    horizontal=True,
    roles=roles | {"innocent (mean of 40)": "control"},
    caption="At the top the marked victim itself. Seven keys or more: p < 0.003.",
)
loyal = agreement(suspects["copy by clean blends"], marked, x)

# %%
claims(
    (
        "The file and the copy by probabilities: p < 10⁻⁶",
        max(p["file taken, trained on"], p["copy by probabilities"]) < 1e-6,
    ),
    (
        "The copy by labels: p < 0.05",
        p["copy by labels"] < 0.05,
        f"{hits['copy by labels']} keys, p = {number(p['copy by labels'], 1)}",
    ),
    (
        "The thief who leaves the edge dark cannot be accused at the level of 1 %, and "
        "keeps at least 93 % agreement",
        p["copy by clean blends"] > 0.01 and loyal >= 0.93,
        f"{hits['copy by clean blends']} keys, "
        f"p = {number(p['copy by clean blends'], 2)}, {percent(loyal)}",
    ),
)

# %% [markdown]
# A watermark catches whoever copies *everything*. What your queries never touch, your copy does not learn.
#
# Is the p-value honest? If hits are binomial, $P(p \le \alpha) \le \alpha$ for every $\alpha$: the test is **conservative**. It
# cannot be uniform, as $p$ has only 21 values. The next cell draws new secret labels 50 times for each innocent model. The
# guarantee is about that draw.

# %%
with torch.no_grad():
    asked = mark.stamp(x[:100]).flatten(0, 1)
    answers = (
        innocent.logits(asked).argmax(2).view(40, 20, 100)
    )  # (models, keys, digits)
votes = F.one_hot(answers, 10).sum(2).argmax(2)  # (models, keys)
labels = torch.randint(10, (50, 40, 20), generator=runtime.generator(48)).to(device)
values = np.array([watermark_p_value(k, 20, 0.1) for k in range(21)])
fair = values[(votes == labels).sum(2).flatten().cpu().numpy()]
alphas = np.array([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0])
chances = binom.pmf(np.arange(21), 20, 0.1)
figures.curves(
    100 * alphas,
    {
        "promised at most": alphas,
        "accused": [(fair <= a).mean() for a in alphas],
        "binomial, exactly": [chances[values <= a].sum() for a in alphas],
    },
    xlabel="significance level α (%)",
    ylabel="innocent models accused",
    log="xy",
    percent=True,
    roles={"promised at most": "proof", "binomial, exactly": "truth"},
    caption="40 innocent models, 50 draws of secret labels each. The steps are those "
    "of a whole number of hits.",
)

# %%
claims(
    (
        "Of 2,000 tests of innocent models at most 1.3 % have p ≤ 0.01, and at most "
        "6.5 % have p ≤ 0.05",
        (fair <= 0.01).mean() <= 0.013 and (fair <= 0.05).mean() <= 0.065,
        f"{percent((fair <= 0.01).mean(), 2)}, {percent((fair <= 0.05).mean(), 2)}",
    )
)

# %% [markdown]
# Without a mark there is still a trace: the copy of a model is a little surer on the victim's *training* digits. **Dataset
# inference** (Maini et al., 2021) compares the margins there with those on digits that nobody trained on. How strong is it?


# %%
def dataset_test(model, inside_y, outside_y):
    return extraction.dataset_inference(model, (private, inside_y), (x, outside_y))


def noisy(labels, seed):
    """A tenth of the labels drawn anew."""
    draw = runtime.generator(seed)
    wrong = (torch.rand(len(labels), generator=draw) < 0.1).to(device)
    others = torch.randint(10, labels.shape, generator=draw).to(device)
    return torch.where(wrong, others, labels)


private_noisy, y_noisy = noisy(private_y, 50), noisy(y, 51)
memoriser, draw = fresh(52), runtime.generator(53)
training.fit(memoriser, private, private_noisy, epochs=80, generator=draw)
service = Victim(memoriser, budget=1000)
leaky = knockoff(service, blends, fresh(54), 30, runtime.generator(55))

# %%
clean_y, wrong_y = (private_y, y), (private_noisy, y_noisy)
strength = {
    "victim": (dataset_test(company, *clean_y), dataset_test(memoriser, *wrong_y)),
    "its copy": (dataset_test(thief, *clean_y), dataset_test(leaky, *wrong_y)),
    "40 innocents (median)": tuple(
        float(np.median([dataset_test(model, *pair) for model in innocents]))
        for pair in (clean_y, wrong_y)
    ),
}
figures.table(
    [[name, *(number(value, 2) for value in pair)] for name, pair in strength.items()],
    ["p-value of", "clean labels", "a tenth of them wrong"],
)
of_innocents = strength["40 innocents (median)"][1]

# %%
claims(
    (
        "Where wrong labels were memorised, victim and copy have p < 0.02, and a tenth "
        "of the innocents' median or less",
        max(strength["victim"][1], strength["its copy"][1])
        < min(0.02, of_innocents / 10),
    )
)

# %% [markdown]
# On clean digits the trace is weak, since a model that generalises treats both sets alike, and a copy shows less of it than the
# victim. It is strong where wrong labels were memorised.
#
# Mind the control. All forty innocents are asked about *one* pair of sets. If the private digits happen to be the easier ones, all
# forty look a little guilty together. So put a suspect beside models that you know to be innocent, not only beside $\alpha$.

# %%
guarantee(
    holds="Nobody gets more than `budget` answers. A p-value over secret, uniform "
    "labels accuses an innocent model with probability at most α, whatever the model "
    "is.",
    does_not="No defence here prevents theft. A high p-value does not clear a suspect, "
    "and a low one speaks of copying, not of who did it.",
    adapts="Blends pass the monitor, a copy from rounded answers is less exact but "
    "nearly as faithful, and queries that leave the edge dark leave the watermark "
    "behind.",
    cost=f"The mark: {100 * cost:.1f} points of accuracy here. One decimal: honest "
    "users no longer learn how sure the model is. A monitor: every query is kept.",
)

# %% [markdown]
# ### Spot the broken experiment
#
# A colleague marks models with **one** key, a white square of 4×4 pixels, and one secret label. They stamp 100 test digits, count
# how many a suspect gives that label, and report `watermark_p_value(count, 100, 0.1)`: "a hundred trials are better than
# twenty." Let twenty owners test the forty innocents like that. How many have p < 0.01? Then say what is wrong.

# %%
guess_accused = predict(
    "09.accused",
    "In what share of the 800 tests of innocent models is p < 0.01?",
    percent=True,
)


# %%
def one_key(owner):
    """The innocents' answers (40, 100) to an owner's square, and the owner's label."""
    draw = runtime.generator(60 + owner)
    row, column = torch.randint(5, (2,), generator=draw).tolist()
    label = torch.randint(10, (1,), generator=draw).item()
    stamped = x[:100].clone()
    stamped[..., row : row + 4, column : column + 4] = 1
    return innocent.logits(stamped).argmax(2), label


asked_by = [one_key(owner) for owner in range(20)]
counts = np.array([(said == label).sum(1).tolist() for said, label in asked_by])
theirs = np.array(
    [[watermark_p_value(int(count), 100, 0.1) for count in row] for row in counts]
)  # (owners, models)
accused = (theirs < 0.01).mean()

# %%
claims(
    (
        "More than 5 % of the tests accuse an innocent at the level of 1 %",
        accused > 0.05,
        f"{percent(accused)}, the smallest p {number(theirs.min(), 1)}",
        guess_accused,
    )
)

# %% tags=["student-only"]
# Your control here: how are an innocent model's hits distributed, and how many trials
# were there?

# %% tags=["solution-only"]
commonest = [F.one_hot(said, 10).sum(1).amax(1).tolist() for said, _ in asked_by]
commonest = np.array(commonest)
unstamped = F.one_hot(innocent.logits(x[:100]).argmax(2), 10).sum(1).amax(1)
figures.table(
    [
        ["with the square, on average", f"{commonest.mean():.0f}"],
        ["without it, on average", f"{unstamped.double().mean():.0f}"],
        [
            "tests in which it is given to more than half",
            percent((commonest > 50).mean(), 0),
        ],
    ],
    ["the commonest answer", "of 100 digits"],
)
binomial = math.sqrt(100 * 0.1 * 0.9)
claims(
    (
        "The counts are far from binomial: some model gives the label to more than 40 "
        "of 100, and means differ by owner",
        counts.max() > 40 and counts.mean(1).std() > binomial,
        f"up to {counts.max()} of 100",
    )
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# A hundred digits with the same square are not a hundred trials. The square pushes many of them to the *same* class (about 40 on
# average, more than half in a quarter of the tests), and whether that is the secret label was decided once, with probability
# 1/10. So the answers hit or miss together. The fair test counts keys, each of which has a label of its own.
#
# </details>

# %% [markdown]
# ## 6 · Quiz

# %%
quiz("09")

# %% [markdown]
# ### Further reading
#
# * D. Lowd, C. Meek, 2005, [*Adversarial Learning*](https://doi.org/10.1145/1081870.1081950). Line searches on linear classifiers.
# * F. Tramèr, F. Zhang, A. Juels, M. Reiter, T. Ristenpart, 2016, [*Stealing Machine Learning Models via Prediction
#   APIs*](https://arxiv.org/abs/1609.02943).
# * N. Papernot et al., 2017, [*Practical Black-Box Attacks against Machine Learning*](https://arxiv.org/abs/1602.02697). Jacobian
#   augmentation.
# * T. Orekondy, B. Schiele, M. Fritz, 2019, [*Knockoff Nets: Stealing Functionality of Black-Box
#   Models*](https://arxiv.org/abs/1812.02766).
# * M. Juuti, S. Szyller, S. Marchal, N. Asokan, 2019, [*PRADA: Protecting against DNN Model Stealing
#   Attacks*](https://arxiv.org/abs/1805.02628).
# * Y. Adi, C. Baum, M. Cisse, B. Pinkas, J. Keshet, 2018, [*Turning Your Weakness Into a Strength: Watermarking Deep Neural
#   Networks by Backdooring*](https://arxiv.org/abs/1802.04633).
# * P. Maini, M. Yaghini, N. Papernot, 2021, [*Dataset Inference: Ownership Resolution in Machine
#   Learning*](https://arxiv.org/abs/2104.10706).
# * N. Carlini et al., 2024, [*Stealing Part of a Production Language Model*](https://arxiv.org/abs/2403.06634). Equation solving,
#   on the last layer of a present-day model.
#
# To see how the library writes these attacks, open `modelsec_course/extraction/`.

# %%
finish("09")
