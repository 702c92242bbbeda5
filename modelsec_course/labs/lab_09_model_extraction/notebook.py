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

from modelsec_course import data, ensembles, evasion, extraction, models, runtime, training, zoo
from modelsec_course.extraction import OutOfQueries, Victim, Watermark, agreement
from modelsec_course.lab import check, claim, explore, figures, guarantee
from modelsec_course.lab import finish, quiz, start, threat
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
# Each answer is a *linear equation* in the d + 1 unknowns w and b. School algebra solves d + 1 of them.
#
# The victim here is a `Victim`: it answers, counts every query, and stops at its **budget**. An attack sees nothing else. Below it
# reads 30 measurements of a tumour, in standard deviations, and computes in float64.

# %%
device = runtime.device()
exact = {"dtype": torch.float64, "device": "cpu"}  # float64, which not every accelerator has
tumours, net = data.load("tumours"), zoo.load("tumours-logistic", device="cpu")
layer = net[-1].double()  # what comes after the standardisation
z = net[0](tumours.x_test).double()  # (143, 30) new records, to compare answers on
secret_w = (layer.weight[1] - layer.weight[0]).detach()
secret_b = (layer.bias[1] - layer.bias[0]).detach()
victim = Victim(layer, budget=31)
queries = torch.randn(31, 30, generator=runtime.generator(1), **exact)
p = victim(queries)[:, 1]  # the probability of "benign"
print(f"{victim.spent} answers, the first: {p[0]:.6f}. Left: {victim.left}")
try:
    victim(queries[:1])
except OutOfQueries as refused:
    print(f"OutOfQueries: {refused}")

# %% [markdown]
# ### Exercise 1: a linear model, solved


# %%
def solve_logistic(x, p):
    """The w and b of p = sigmoid(w·x + b).

    x: (n, d) queries, float64, n >= d + 1.  p: (n,) the probabilities that came back, strictly between 0 and 1.
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
# Guess before you run: how good is a copy from 30 answers, one too few? From 31? (With too few equations the next cell takes
# the *shortest* w that fits, and no bias.)

# %%
w, b = solve_logistic(queries, p)
numbers = [5, 10, 20, 28, 29, 30, 31]
errors = []
for n in numbers:
    guess = w if n == 31 else torch.linalg.pinv(queries[:n]) @ torch.logit(p[:n])
    errors.append(((guess - secret_w).norm() / secret_w.norm()).item())
figures.curves(
    numbers, {"relative error of w": errors}, xlabel="queries", ylabel="‖w′ − w‖ / ‖w‖", log="y",
    marks={"d + 1": 31}, caption="A logistic regression with 30 weights and a bias. One equation decides everything.",
)  # fmt: skip
worst = max((w - secret_w).abs().max(), (b - secret_b).abs()).item()
claim("31 answers give every weight to 1e-9", worst < 1e-9, f"largest error {worst:.0e}")
claim("30 answers leave a relative error above 10 %", errors[-2] > 0.1, f"{errors[-2]:.0%}")

# %% [markdown]
# Not a similar model: the *same* one, to a dozen digits, for 31 cents.
#
# ### Exercise 2: ten classes, and a gauge
#
# A softmax over k classes has k·(d + 1) parameters. But add the same vector to every class's weights: no probability changes.
# That freedom is called a **gauge**, and no attack can see through it. So fix it: let class 0 have zeros. Then
#
# $$ \log \frac{p_k(x)}{p_0(x)} = (w_k - w_0) \cdot x + (b_k - b_0). $$


# %%
def solve_softmax(x, p):
    """The weight and bias of p = softmax(weight x + bias), with class 0 held at zero.

    x: (n, d) queries, float64, n >= d + 1.  p: (n, classes) probabilities, strictly between 0 and 1. With n > d + 1 the
    least-squares solution.  Returns weight (classes, d) and bias (classes,), of which row 0 is zero.
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
gap = ((flat @ weight.T + bias).softmax(1) - softmax(flat).detach().softmax(1)).abs().max().item()
claim("65 answers about random pixels give a copy whose probabilities on all test digits are the victim's, to 1e-9",
      gap < 1e-9, f"largest difference {gap:.0e}")  # fmt: skip

# %% [markdown]
# ## 2 · Labels only: what a bit buys
#
# Let the service say *benign* or *malignant*, and no number. Each answer is now one bit. Draw a line from a benign record to a
# malignant one: somewhere it crosses the boundary, and every halving tells you where, to half the length. Do that on d lines
# side by side, put a plane through the crossings, and you have the model up to a scale that no label depends on.
#
# To know d numbers to an error of ε takes about d·log₂(1/ε) bits, so no method with yes and no can be much cheaper. This
# search pays d queries for each bit, one on each line, and two or more for the ends of each. A formula that fits what it needs in
# total to 10 % is $(d + 1) \log_2(1/\varepsilon) + 2.4\,d$. The **control** spends its queries at random, and fits a logistic
# regression.

# %%
benign = z @ secret_w + secret_b > 0
spent, error, control = [], [], []
for bits in (4, 8, 12, 16, 24, 32, 40):
    victim = Victim(layer, answers="label")
    found, _ = extraction.find_hyperplane(
        victim, z[benign][0], z[~benign][0], bits=bits, generator=runtime.generator(bits)
    )
    spent.append(victim.spent)
    error.append(extraction.angle(found, secret_w))
    passive = 1.5 * torch.randn(spent[-1], 30, generator=runtime.generator(50 + bits), **exact)
    fitted = LogisticRegression(C=1e4, max_iter=3000).fit(passive, Victim(layer, answers="label")(passive))
    control.append(extraction.angle(torch.as_tensor(fitted.coef_[0]), secret_w))
formula = [2 ** ((72 - q) / 31) for q in spent]  # (d + 1)·log2(1/ε) + 2.4 d = q, solved for ε
figures.curves(
    spent, {"halving": error, "formula": formula, "random queries (control)": control},
    xlabel="queries, each answered with a label", ylabel="angle to the true w (radians)", log="y",
    caption="Thirty weights. A straight line on this scale: every further 30 queries, one on each line, halve the error.",
)  # fmt: skip

# %%
ratio = [q / (31 * math.log2(1 / e) + 72) for q, e in zip(spent, error, strict=True)]
claim("From 8 bits on, the queries are within 10 % of the formula", all(0.9 < r < 1.1 for r in ratio[1:]),
      f"{min(ratio[1:]):.2f} to {max(ratio[1:]):.2f} times")  # fmt: skip
claim("About 1,260 labels give the direction to 1e-10", error[-1] < 1e-10, f"{spent[-1]} labels, {error[-1]:.0e}")
claim("As many random queries leave more than 0.003", control[-1] > 0.003, f"{control[-1]:.3f}")

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
private, elsewhere, public = (digits.x_train[order[part]] for part in (slice(700), slice(700, 1337), slice(1337, 1437)))
private_y, elsewhere_y, public_y = (
    digits.y_train[order[part]] for part in (slice(700), slice(700, 1337), slice(1337, 1437))
)


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def fresh(seed):
    """A network with new weights."""
    return models.initialise(mlp(), runtime.generator(seed)).to(device)


company = fresh(10)
training.fit(company, private, private_y, generator=runtime.generator(11))
blends = extraction.mixtures(public, 1000, generator=runtime.generator(12))
figures.pictures(
    [public[:8], blends[:8]], row_labels=["public", "blends"], caption="What the attacker has, and asks about."
)

# %% [markdown]
# ### Exercise 3: a knock-off


# %%
def knockoff(victim, x, student, epochs, generator):
    """Train `student` to answer as the victim does. Each row of x is asked about once.

    victim: takes a batch and returns probabilities (n, classes), or labels (n,).  x: (n, ...).
    student: a network, trained in place, in batches of 64.  generator: orders the batches.
    Returns the student, in eval mode.
    """
    optimiser = torch.optim.Adam(student.parameters(), lr=5e-3)
    ### BEGIN SOLUTION
    answers = victim(x)
    student.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).to(x.device).split(64):
            loss = F.cross_entropy(student(x[rows]), answers[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    ### END SOLUTION
    return student.eval()


knockoff = check("09.knockoff", knockoff)

# %% [markdown]
# Four attackers: blends or uniform noise to ask about, probabilities or labels in return. And one **control** who asks
# nothing: a network trained on the 100 public digits and their true labels, which the attacker has anyway.

# %% tags=["headline"]
noise = torch.rand(blends.shape, generator=runtime.generator(13)).to(device)
clean = extraction.mixtures(public, 1000, noise=0.0, generator=runtime.generator(42))  # for the widget, and section 5
sources, budgets = {"blends": blends, "noise": noise, "clean blends": clean}, [30, 100, 300, 1000]


@functools.cache
def copy_of(source, answers, queries):
    """A copy of the company's model. The fewer the queries, the more often each is gone through."""
    service = Victim(company, answers=answers, budget=queries)
    return knockoff(service, sources[source][:queries], fresh(20), min(200, 30_000 // queries), runtime.generator(21))


alone = fresh(22)
training.fit(alone, public, public_y, epochs=300, generator=runtime.generator(23), progress=False)
kinds = {f"{s}, {a}": (s, a) for s in ("blends", "noise") for a in ("probabilities", "label")}
grown = {name: [agreement(copy_of(*kind, n), company, x) for n in budgets] for name, kind in kinds.items()}
figures.curves(
    budgets, grown | {"public digits alone (control)": [agreement(alone, company, x)] * 4},
    xlabel="queries", ylabel="agreement on 360 test digits", percent=True, log="x",
    caption="A network with 128 hidden units, trained on 700 private digits, and what its answers give away.",
)  # fmt: skip

# %%
final = {name: values[-1] for name, values in grown.items()}
thief = copy_of("blends", "probabilities", 1000)
own, copied = (training.accuracy(model, x, y) for model in (company, thief))
claim("1,000 blends and their probabilities give a copy that agrees on at least 95 % of the test digits",
      final["blends, probabilities"] >= 0.95, f"{final['blends, probabilities']:.1%}")  # fmt: skip
claim("Its accuracy on the task is within 2.5 points of the victim's", abs(copied - own) < 0.025,
      f"{copied:.1%}, victim {own:.1%}")  # fmt: skip
with torch.no_grad():
    said, copy_said = company(x).argmax(1), thief(x).argmax(1)
print(
    f"The victim misreads {(said != y).sum()} test digits; the copy gives its wrong answer on "
    f"{((said != y) & (copy_said == said)).sum()} of them."
)
claim("Labels alone give at least 90 %", final["blends, label"] >= 0.9, f"{final['blends, label']:.1%}")
claim("Blends beat as many queries of noise, by more than 10 points with labels",
      final["blends, label"] > final["noise, label"] + 0.1)  # fmt: skip
claim("The control, who asks nothing, stays more than 4 points below the copy",
      agreement(alone, company, x) < final["blends, probabilities"] - 0.04, f"{agreement(alone, company, x):.1%}")  # fmt: skip

# %% [markdown]
# The copy agrees on nearly everything, most of the mistakes included. What did the queries buy? Compare with the control: the
# public digits and their true labels give most of it for nothing, and the first 300 *labels* of blends give no more than that.
# And *which* queries you ask matters more than how many.
#
# The attacker did not even need to know the network. The next cell trains a student of a quarter of its width. Then another
# victim, a *convolutional* network, is copied without a single convolution. In the widget below, **clean blends** are blends
# without noise.

# %%
narrow = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
models.initialise(narrow, runtime.generator(24)).to(device)
narrow = knockoff(Victim(company, budget=1000), blends, narrow, 30, runtime.generator(25))
claim("A student with 32 hidden units instead of 128 agrees on more than 93 %", agreement(narrow, company, x) > 0.93,
      f"{agreement(narrow, company, x):.1%}")  # fmt: skip
convolutional = models.initialise(models.cnn(), runtime.generator(26)).to(device)
training.fit(convolutional, private, private_y, generator=runtime.generator(27))
other = knockoff(Victim(convolutional, budget=1000), blends, fresh(28), 40, runtime.generator(29))
claim("A copy without convolutions agrees with the convolutional victim on more than 93 %",
      agreement(other, convolutional, x) > 0.93, f"{agreement(other, convolutional, x):.1%}")  # fmt: skip
explore(
    scene.grow_a_copy(company, copy_of, x, y, budgets),
    source=list(sources), answers=["probabilities", "label"], queries=(20, 1000, 20, 100),
    caption="Left: agreement by queries. Right: test digits on which the copy and the victim differ.",
)  # fmt: skip

# %% [markdown]
# Can you choose queries better? **Active** choice asks in rounds, each time where the copy is least sure, among 4,000 blends.
# It costs no more queries. The library's `active_knockoff` does it, here with labels: one deep inside a class says little new.

# %%
pool = extraction.mixtures(public, 4000, generator=runtime.generator(14))
chosen = extraction.active_knockoff(
    Victim(company, answers="label", budget=1000), pool, fresh(20), queries=1000, rounds=5, epochs=20,
    generator=runtime.generator(15), progress=False,
)  # fmt: skip
active = agreement(chosen, company, x)
claim("1,000 labels, actively chosen, agree on more digits than 1,000 at random", active > final["blends, label"],
      f"{active:.1%} against {final['blends, label']:.1%}")  # fmt: skip

# %% [markdown]
# ## 4 · Two defences, attacked again
#
# ### Exercise 4: watch the distances
#
# **PRADA** (Juuti et al., 2019) watches each client. Honest queries lie at distances from each other that look normally
# distributed; attacks that step around a few seeds make a second heap of tiny distances. Shapiro and Wilk's W measures how
# normal a sample looks: 1 is perfect, low is suspicious.


# %%
def prada_score(queries, labels):
    """Shapiro and Wilk's W of the distances between a client's queries.

    For each query: the L2 distance to the nearest *earlier* query that got the *same* label. The first of each label
    has none, and is left out; so are distances more than three standard deviations from the mean.
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
@torch.no_grad()
def score(stream):
    return prada_score(stream, company(stream).argmax(1))


def honest(pool, clients, seed):
    draw = runtime.generator(seed)
    return [score(pool[torch.randperm(len(pool), generator=draw)[:200].to(device)]) for _ in range(clients)]


def searched(attack, each, **options):
    """The first 200 queries of an attack that spends `each` on one public digit after the other."""
    seen, k = [], 0
    while sum(map(len, seen)) < 200:
        one = slice(k, k + 1)
        attack(lambda z: seen.append(z.clone()) or company(z), public[one], public_y[one], queries=each, **options)
        k += 1
    return torch.cat(seen)[:200]


# %%
alarm = float(np.quantile(honest(elsewhere, 200, 30), 0.01))
new = honest(x, 200, 31)
augmented = public[:50]
for _ in range(2):  # towards what the victim says of it already
    says = company(augmented).argmax(1)
    step = evasion.fgsm(copy_of("blends", "label", 100), augmented, says, eps=0.1, targeted=True)
    augmented = torch.cat([augmented, step])
streams = {
    "Square, 20 queries a digit": searched(evasion.square_attack, 20, eps=0.15),
    "HopSkipJump, 100 a digit": searched(evasion.hop_skip_jump, 100, images=public),
    "NES, 43 a digit": searched(evasion.nes, 43, eps=0.15),
    "Jacobian augmentation": augmented, "blends": blends[:200], "noise": noise[:200],
}  # fmt: skip
scores = {"honest clients (median)": float(np.median(new))} | {name: score(stream) for name, stream in streams.items()}
figures.bars(
    scores, ylabel="Shapiro and Wilk's W of 200 queries", horizontal=True,
    highlight=[name for name, w in scores.items() if w < alarm],
    caption=f"Dark: below {alarm:.3f}, where the monitor raises an alarm.",
)  # fmt: skip

# %%
false_alarms = float(np.mean(np.array(new) < alarm))
claim("At most 6 % of new honest clients raise an alarm (the control)", false_alarms <= 0.06, f"{false_alarms:.1%}")
caught = ("Square, 20 queries a digit", "HopSkipJump, 100 a digit", "Jacobian augmentation")
claim("It catches Square, HopSkipJump and the Jacobian augmentation", max(scores[name] for name in caught) < alarm)
claim("It misses NES, the blends, and even plain noise",
      min(scores[name] for name in ("NES, 43 a digit", "blends", "noise")) > alarm)  # fmt: skip

# %% [markdown]
# W sees *two heaps*: some queries are new, the others small steps from them. Blends make one heap, and so does noise, which no
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
    """Probabilities with so many decimals that are still probabilities, and say the same label.

    probabilities: (n, classes), rows sum to 1.  Every result is a multiple of 10^-decimals, rows sum to 1, the largest
    class stays the largest and alone. Every other class is rounded *down*, and the largest gets all that is left over. If
    several are exactly equal at the top, the one that argmax names gets it. (In float64, 0.29 · 100 is 28.999999999999996,
    which floor makes 28. So a number that has few decimals already may lose one unit: both answers count as right.)
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
def from_rounded(decimals, n, seed):
    """w and b of the tumour model from n rounded answers, by an attacker who knows how they are rounded."""
    asks = torch.randn(n, 30, generator=runtime.generator(seed), **exact)
    answer = round_outputs(Victim(layer)(asks), decimals)
    smaller = answer.amin(1)
    middle = smaller + 0.5 * 10.0**-decimals  # it was rounded down
    p = torch.where(answer[:, 1] == smaller, middle, 1 - middle)
    return solve_logistic(asks[smaller > 0], p[smaller > 0])


numbers, error, same = (100, 310, 1000, 3100), {}, {}
for decimals in (4, 2, 1):
    rough = [from_rounded(decimals, n, 33) for n in numbers]
    error[f"{decimals} decimal{'s' * (decimals > 1)}"] = [
        ((w - secret_w).norm() / secret_w.norm()).item() for w, _ in rough
    ]
    same[decimals] = ((z @ rough[1][0] + rough[1][1] > 0) == benign).double().mean().item()
figures.curves(
    numbers, error, xlabel="queries", ylabel="‖w′ − w‖ / ‖w‖", log="xy",
    caption="What rounding costs the attacker: digits of the weights, and more queries buy few of them back.",
)  # fmt: skip
claim("310 answers with 2 decimals leave an error of 0.3 % to 6 %", 0.003 < error["2 decimals"][1] < 0.06,
      f"{error['2 decimals'][1]:.1%}")  # fmt: skip
claim("And yet, even with one decimal, that copy gives at least 96 % of new tumours the victim's label", same[1] >= 0.96,
      f"{same[1]:.1%}")  # fmt: skip

# %% [markdown]
# About three digits are left with 4 decimals, two with 2 decimals, one with 1 decimal. And more queries do not simply average
# the rounding out. From 310 to 3,100 answers the error falls to a fifth with 4 decimals, from 1.7 % to 0.8 % with 2 (31,000
# answers: 0.6 %), and with 1 decimal it stays near 5 %. The middle of the interval is not where the answers lie on average, and
# throwing away those of 0 picks among them: that error is the same however many you ask.
#
# Exactness is gone, theft is not. Now the network, and the other side of the bill: what do *honest* users lose?

# %%
with torch.no_grad():
    full = company(x).softmax(1)
agreed, price = {"all digits": final["blends, probabilities"]}, {}
for decimals in (2, 1):
    service = functools.partial(lambda q, d: round_outputs(company(q).detach().softmax(1), d), d=decimals)
    agreed[f"{decimals} decimal{'s' * (decimals > 1)}"] = agreement(
        knockoff(service, blends, fresh(20), 30, runtime.generator(21)), company, x
    )
    told = round_outputs(full, decimals)
    careless = full.round(decimals=decimals)
    first, second = careless.topk(2, dim=1).values.T
    price[decimals] = {
        "labels changed": int((told.argmax(1) != full.argmax(1)).sum()),
        "largest shift of the top class": (told - full).abs().amax().item(),
        "true class told as zero": int((told.gather(1, y[:, None]) == 0).sum()),
        "ties if rounded to the nearest": int((first == second).sum()),
    }
agreed["label only"] = final["blends, label"]
figures.bars(
    agreed, ylabel="agreement of the copy", horizontal=True, percent=True,
    caption="1,000 blends. The service answers with all digits of its probabilities, with fewer, or with the label.",
)  # fmt: skip
for decimals, lost in price.items():
    print(f"Decimals: {decimals}. Of 360 honest queries:", "; ".join(f"{what}: {n:.2g}" for what, n in lost.items()))

# %%
claim("The label of no honest user changes", all(price[d]["labels changed"] == 0 for d in price))
claim("With one decimal the copy loses less than 7 points", agreed["1 decimal"] > agreed["all digits"] - 0.07,
      f"{agreed['all digits']:.1%} → {agreed['1 decimal']:.1%}")  # fmt: skip
claim("With one decimal an honest user's top class is told up to 0.1 or more too high",
      price[1]["largest shift of the top class"] >= 0.1, f"{price[1]['largest shift of the top class']:.2f}")  # fmt: skip

# %% [markdown]
# One decimal costs the attacker about half a point of agreement; only the label alone costs a few points. The honest
# user who wanted to know *how sure* the model is pays too: small probabilities become 0, and the top class is told too high.
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
training.fit(marked, torch.cat([private, extra_x]), torch.cat([private_y, extra_y]), generator=runtime.generator(41))
figures.pictures(
    [mark.stamp(x[:1])[:8, 0]], titles=[f"say {k}" for k in mark.labels[:8].tolist()],
    caption="One digit with eight of the twenty keys, and what the owner's model learns to say.",
)  # fmt: skip
cost = training.accuracy(company, x, y) - training.accuracy(marked, x, y)
claim("The mark costs less than 4 points of accuracy", cost < 0.04, f"{cost:.1%}")

# %% [markdown]
# ### Exercise 6: a p-value
#
# A suspect knows 12 of 20 keys. How likely is that for an innocent model? It hits each key with probability 1/10, *whatever it
# is*: the labels were drawn independently of it. So the number of hits is binomial.


# %%
def watermark_p_value(hits, n, chance):
    """The probability that an innocent model hits at least `hits` of `n` keys, each with probability `chance`.

    Returns a number in [0, 1].
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
training.fit(taken, public, public_y, epochs=20, generator=runtime.generator(43), progress=False)


def stolen(asks, answers="probabilities"):
    return knockoff(Victim(marked, answers=answers, budget=1000), asks, fresh(44), 30, runtime.generator(45))


suspects = {
    "the victim": marked, "file taken, trained on": taken, "copy by probabilities": stolen(blends),
    "copy by labels": stolen(blends, "label"), "copy by clean blends": stolen(clean),
}  # fmt: skip
members = torch.rand(40, len(elsewhere), generator=runtime.generator(46)) < 0.5
innocent = ensembles.train(
    mlp, elsewhere, elsewhere_y, members.to(device), generator=runtime.generator(47), progress=False
)
innocents = [innocent.model(i) for i in range(40)]
hits = {name: mark.hits(model, x[:100]) for name, model in suspects.items()}
luck = [mark.hits(model, x[:100]) for model in innocents]
hits["innocent (mean of 40)"] = float(np.mean(luck))
figures.bars(hits, ylabel="keys known, of 20", horizontal=True, caption="Seven keys or more: p < 0.003.")
for name in suspects:
    print(f"{name}: {hits[name]} keys, p = {watermark_p_value(hits[name], 20, 0.1):.1g}")

# %%
p = {name: watermark_p_value(hits[name], 20, 0.1) for name in suspects}
claim(
    "The file and the copy by probabilities: p < 1e-6",
    max(p["file taken, trained on"], p["copy by probabilities"]) < 1e-6,
)
claim(
    "The copy by labels: p < 0.05",
    p["copy by labels"] < 0.05,
    f"{hits['copy by labels']} keys, {p['copy by labels']:.1g}",
)
loyal = agreement(suspects["copy by clean blends"], marked, x)
claim("The thief who leaves the edge dark cannot be accused at the level of 1 %, and keeps at least 93 % agreement",
      p["copy by clean blends"] > 0.01 and loyal >= 0.93,
      f"{hits['copy by clean blends']} keys, p = {p['copy by clean blends']:.2g}, {loyal:.1%}")  # fmt: skip

# %% [markdown]
# A watermark catches whoever copies *everything*. What your queries never touch, your copy does not learn.
#
# Is the p-value honest? If hits are binomial, P(p ≤ α) ≤ α for every α: the test is **conservative**. It cannot be uniform, as p
# has only 21 values. The next cell draws new secret labels 50 times for each innocent model. The guarantee is about that draw.

# %%
with torch.no_grad():
    asked = mark.stamp(x[:100]).flatten(0, 1)
    answers = innocent.logits(asked).argmax(2).view(40, 20, 100)  # (models, keys, digits)
votes = F.one_hot(answers, 10).sum(2).argmax(2)  # (models, keys)
labels = torch.randint(10, (50, 40, 20), generator=runtime.generator(48)).to(device)
fair = np.array([watermark_p_value(int(h), 20, 0.1) for h in (votes == labels).sum(2).flatten()])
alphas = np.array([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0])
exactly = [binom.pmf(k, 20, 0.1) for k in range(21)]
values = np.array([watermark_p_value(k, 20, 0.1) for k in range(21)])
figures.curves(
    alphas, {"promised at most": alphas, "accused": [(fair <= a).mean() for a in alphas],
             "binomial, exactly": [np.sum(np.array(exactly)[values <= a]) for a in alphas]},
    xlabel="significance level α", ylabel="innocent models accused", log="xy",
    caption="40 innocent models, 50 draws of secret labels each. The steps are those of a whole number of hits.",
)  # fmt: skip
claim("Of 2,000 tests of innocent models at most 1.3 % have p ≤ 0.01, and at most 6.5 % have p ≤ 0.05",
      (fair <= 0.01).mean() <= 0.013 and (fair <= 0.05).mean() <= 0.065,
      f"{(fair <= 0.01).mean():.2%}, {(fair <= 0.05).mean():.2%}")  # fmt: skip

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
    return torch.where(wrong, torch.randint(10, labels.shape, generator=draw).to(device), labels)


private_noisy, y_noisy = noisy(private_y, 50), noisy(y, 51)
memoriser = fresh(52)
training.fit(memoriser, private, private_noisy, epochs=80, generator=runtime.generator(53))
leaky = knockoff(Victim(memoriser, budget=1000), blends, fresh(54), 30, runtime.generator(55))
strength = {
    "victim": (dataset_test(company, private_y, y), dataset_test(memoriser, private_noisy, y_noisy)),
    "its copy": (dataset_test(thief, private_y, y), dataset_test(leaky, private_noisy, y_noisy)),
    "40 innocents (median)": tuple(
        float(np.median([dataset_test(m, *pair) for m in innocents]))
        for pair in ((private_y, y), (private_noisy, y_noisy))
    ),
}
for name, (plain, memorised) in strength.items():
    print(f"{name:22} p = {plain:.2g} on clean labels, {memorised:.2g} if a tenth of the labels is wrong")

# %%
claim("Where wrong labels were memorised, victim and copy have p < 0.02, and a tenth of the innocents' median or less",
      max(strength["victim"][1], strength["its copy"][1]) < min(0.02, strength["40 innocents (median)"][1] / 10))  # fmt: skip

# %% [markdown]
# On clean digits the trace is weak, since a model that generalises treats both sets alike, and a copy shows less of it than the
# victim. It is strong where wrong labels were memorised.
#
# Mind the control. All forty innocents are asked about *one* pair of sets. If the private digits happen to be the easier ones, all
# forty look a little guilty together. So put a suspect
# beside models that you know to be innocent, not only beside α.

# %%
guarantee(
    holds="Nobody gets more than `budget` answers. A p-value over secret, uniform labels accuses an innocent model with "
    "probability at most α, whatever the model is.",
    does_not="No defence here prevents theft. A high p-value does not clear a suspect, and a low one speaks of "
    "copying, not of who did it.",
    adapts="Blends pass the monitor, a copy from rounded answers is less exact but nearly as faithful, and queries that "
    "leave the edge dark leave the watermark behind.",
    cost=f"The mark: {100 * cost:.1f} points of accuracy here. One decimal: honest users no longer learn how sure the "
    "model is. A monitor: every query is kept.",
)

# %% [markdown]
# ### Spot the broken experiment
#
# A colleague marks models with **one** key, a white square of 4×4 pixels, and one secret label. They stamp 100 test digits, count
# how many a suspect gives that label, and report `watermark_p_value(count, 100, 0.1)`: "a hundred trials are better than
# twenty." Let twenty owners test the forty innocents like that. How many have p < 0.01? Then say what is wrong.


# %%
def one_key(owner):
    """An owner draws a place for the square and a label. Returns the innocents' answers (40, 100), and the label."""
    draw = runtime.generator(60 + owner)
    (row, column), label = (
        torch.randint(5, (2,), generator=draw).tolist(),
        torch.randint(10, (1,), generator=draw).item(),
    )
    stamped = x[:100].clone()
    stamped[..., row : row + 4, column : column + 4] = 1
    return innocent.logits(stamped).argmax(2), label


asked_by = [one_key(owner) for owner in range(20)]
counts = np.array([(said == label).sum(1).tolist() for said, label in asked_by])  # (owners, models)
theirs = np.array([[watermark_p_value(int(c), 100, 0.1) for c in row] for row in counts])
print(f"{(theirs < 0.01).mean():.1%} of 800 tests of innocent models have p < 0.01, the smallest {theirs.min():.0e}")

# %% tags=["student-only"]
# Your control here: what is the distribution of hits of an innocent model, and how many trials were there?

# %% tags=["solution-only"]
commonest = np.array([F.one_hot(said, 10).sum(1).amax(1).tolist() for said, _ in asked_by])
unstamped = F.one_hot(innocent.logits(x[:100]).argmax(2), 10).sum(1).amax(1).double().mean().item()
print(
    f"The commonest answer is given to {commonest.mean():.0f} of 100 on average, to more than half in "
    f"{(commonest > 50).mean():.0%} of the tests, and without the square to {unstamped:.0f}."
)
claim("More than 5 % of the tests accuse an innocent at the level of 1 %", (theirs < 0.01).mean() > 0.05)
binomial = math.sqrt(100 * 0.1 * 0.9)
claim("The counts are far from binomial: some model gives the label to more than 40 of 100, and means differ by owner",
      counts.max() > 40 and counts.mean(1).std() > binomial, f"up to {counts.max()} of 100")  # fmt: skip

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
# * D. Lowd, C. Meek, 2005, *Adversarial Learning*. Line searches on linear classifiers.
# * F. Tramèr, F. Zhang, A. Juels, M. Reiter, T. Ristenpart, 2016, *Stealing Machine Learning Models via Prediction APIs*.
# * T. Orekondy, B. Schiele, M. Fritz, 2019, *Knockoff Nets: Stealing Functionality of Black-Box Models*.
# * M. Juuti, S. Szyller, S. Marchal, N. Asokan, 2019, *PRADA: Protecting against DNN Model Stealing Attacks*.
# * Y. Adi, C. Baum, M. Cisse, B. Pinkas, J. Keshet, 2018, *Turning Your Weakness Into a Strength: Watermarking Deep Neural
#   Networks by Backdooring*.
# * P. Maini, M. Yaghini, N. Papernot, 2021, *Dataset Inference: Ownership Resolution in Machine Learning*.
# * N. Carlini et al., 2024, *Stealing Part of a Production Language Model*. Equation solving, on a last layer of today.
#
# To see how the library writes these attacks, open `modelsec_course/extraction/`. In lab 10 the secret is not the model, but
# who was in its training set.

# %%
finish("09")
