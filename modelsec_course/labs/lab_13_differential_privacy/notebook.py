# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 13 · Differential privacy

# %%
import math

import torch
from torch.distributions import Normal
from tqdm.auto import tqdm

from modelsec_course import data, privacy, runtime
from modelsec_course.lab import check, claim, claims, explore, figures, guarantee
from modelsec_course.lab import finish, predict, quiz, start, threat
from modelsec_course.lab.words import number, percent
from modelsec_course.labs.lab_13_differential_privacy import scene

start("13")

# %%
threat.card("13")

# %% [markdown]
# ## 1 · The idea
#
# A clinic has 426 records of tumours. It never shows a record. It answers **counts**, and none about fewer than 50 people. You
# want to know whether Bea's tumour is malignant. You know everything else about her, so you can name groups that she is in.
# Which two questions do you ask?

# %%
patients = data.load("tumours")
sick = patients.y_train == 0  # malignant


def count(group):
    """How many people in `group`, a bool for each record, have a malignant tumour."""
    if group.sum() < 50:
        raise ValueError("refused: fewer than 50 people")
    return int((sick & group).sum())


everybody = torch.ones(426, dtype=torch.bool)
people = torch.arange(426)
with_all = count(everybody)
# with person k, and without
learned = [with_all - count(people != k) for k in range(426)]

# %%
claim(
    "Two exact counts give away each of the 426 diagnoses",
    torch.equal(torch.tensor(learned), sick.long()),
)

# %% [markdown]
# Each answer is about more than 400 people. Their difference is about **one**. And no rule about the size of groups sees that.
#
# So the clinic drops the rule. It adds noise, a normal draw of spread $\sigma$, and answers only about random groups. No two of
# these differ by one person. You ask about 480 groups out of 120 people. Each answer is one equation in 120 unknowns: solve them
# by **least squares** and round (Dinur & Nissim, 2003). How much noise stops you? A group is half of the 120, and has about 22
# malignant tumours: that is the count.

# %%
guess_noise = predict(
    "13.noise",
    "The noise is σ = 5, on counts of about 22. What share of the diagnoses is right?",
    low=0.5,
    high=1,
    percent=True,
)

# %%
draw = runtime.generator(1)
n, questions = 120, 480


def reconstruct(secret, sigma, draw):
    """The share of secret bits (n,) that least squares gets right from noisy counts."""
    groups = torch.randint(2, (questions, len(secret)), generator=draw).double()
    noise = sigma * torch.randn(questions, generator=draw, dtype=torch.float64)
    answers = groups @ secret + noise
    solved = torch.linalg.lstsq(groups, answers[:, None]).solution[:, 0]
    return ((solved > 0.5) == (secret > 0.5)).double().mean().item()


# the secrets of ten clinics, each with 120 of the people
secrets = [sick[torch.randperm(426, generator=draw)[:n]].double() for _ in range(10)]
majority = 1 - sum(secret.mean().item() for secret in secrets) / 10

# %%
noises = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
right, theory = {}, []
for sigma in noises:
    shares = [reconstruct(secret, sigma, draw) for secret in secrets * 4]
    right[sigma] = sum(shares) / 40
    # the rounding threshold of ½, in units of the errors' spread
    half = torch.tensor(math.sqrt(questions - n) / (4 * sigma))
    theory.append(Normal(0.0, 1.0).cdf(half).item())
figures.curves(
    noises,
    {
        "least squares": list(right.values()),
        "theory": theory,
        "always “benign”": [majority] * 6,
    },
    roles={"least squares": "attack", "theory": "truth", "always “benign”": "control"},
    xlabel="σ, the noise on each count",
    ylabel="share of the 120 diagnoses that is right",
    percent=True,
    log="x",
    guess=guess_noise,
    caption="480 counts about 120 people, ten clinics, each attacked four times. "
    "Theory: the solved bits have normal errors of spread 2σ / √(480 − 120); above ½ "
    "is a mistake.",
)

# %%
claims(
    (
        "Noise of 2 leaves more than 95 % of the diagnoses readable",
        right[2.0] > 0.95,
        percent(right[2.0]),
    ),
    (
        "Noise of 5 leaves more than 75 %",
        right[5.0] > 0.75,
        percent(right[5.0]),
        guess_noise,
    ),
    (
        "Noise of 50 leaves fewer than are right when one says “benign” of everybody",
        right[50.0] < majority,
        f"{percent(right[50.0], 0)} against {percent(majority, 0)}",
    ),
)

# %% [markdown]
# Noise of 5 still leaves about four of five right, as 480 answers average it away. Noise of 50 stops you, but it is more than
# twice the count itself. Dinur and Nissim proved that this is no accident: **too many answers that are too good give the data
# away**, whatever the clinic does. So count what each answer gives away, and stop in time. That needs a measure.
#
# A randomised answer $A$ is **$(\varepsilon, \delta)$-differentially private** if for any two databases $D$ and $D'$ that are
# **neighbours**, and any set $S$ of outputs,
#
# $$ P[A(D) \in S] \;\le\; e^{\varepsilon}\, P[A(D') \in S] + \delta. $$
#
# Here neighbours differ by **one record, added or removed**; where the list of people is public, by one record **changed**, and
# we shall say so. With $\delta = 0$ one speaks of $\varepsilon$ alone. Nothing is said of the attacker: not what they know, not
# how long they compute.
#
# In words: whatever you see, the odds that Bea is in the data move by a factor of at most $e^{\varepsilon}$. At
# $\varepsilon = 0.1$ they shift by a tenth; at $\varepsilon = 1$ they grow 2.7 times; at $\varepsilon = 10$, 22,000 times.

# %% [markdown]
# ## 2 · One private answer
#
# How far can one record move an answer? That is its **sensitivity**. A count moves by 1. The **Laplace mechanism** adds noise $z$
# of density proportional to $e^{-|z|/b}$, with $b = \text{sensitivity} / \varepsilon$.
#
# Why is that private? One record moves the count by at most $b\,\varepsilon$. The noise that gives the same answer is then at most
# $b\,\varepsilon$ longer, and its density at most $e^{b \varepsilon / b} = e^{\varepsilon}$ times smaller.
#
# ### Exercise 1: the Laplace mechanism
#
# `torch.rand` gives you $u$ in $[0, 1)$. With $v = u - \tfrac12$, the number $-b \cdot \text{sign}(v) \cdot \ln(1 - 2|v|)$ has
# that density. ($u = 0$ gives $\ln 0$, once in $2^{53}$ draws. Section 6 is about floats.)


# %%
def laplace_mechanism(value, eps, sensitivity, generator):
    """`value` with Laplace noise of scale sensitivity / eps on each entry.

    value: float64, any shape.  eps: the privacy of the whole answer.
    sensitivity: how far one record can move it (L1).
    generator: of `torch.rand(..., generator=generator, dtype=torch.float64)`.
    """
    ### BEGIN SOLUTION
    v = torch.rand(value.shape, generator=generator, dtype=torch.float64) - 0.5
    return value - sensitivity / eps * v.sign() * (1 - 2 * v.abs()).log()
    ### END SOLUTION


laplace_mechanism = check("13.laplace_mechanism", laplace_mechanism)

# %% [markdown]
# Attack it as well as can be. You know all records but Bea's, so you know that the count is 158 without her. A benign tumour adds
# nothing, as if she were not there. If the noisy answer is above 158.5, you say *malignant*. Two rates tell how good you are:
#
# * $t$, the **true** positives: how often you say *malignant* when it is;
# * $f$, the **false** ones: how often you say so when it is not.
#
# Your **advantage** is $a = t - f$: 0 for guessing, 1 for knowing. Privacy says $t \le e^{\varepsilon} f$, and of the opposite
# answer $1 - f \le e^{\varepsilon} (1 - t)$. Add both: $1 + a \le e^{\varepsilon} (1 - a)$. So for any mechanism and any attacker
#
# $$ a \le \frac{e^{\varepsilon} - 1}{e^{\varepsilon} + 1} = \tanh(\varepsilon / 2). $$
#
# (With $\delta$, which is 0 here, $e^{\varepsilon} - 1 + 2\delta$ stands above.)

# %%
draw = runtime.generator(2)
others = torch.full((40_000,), 158.0, dtype=torch.float64)  # in 40,000 possible worlds


def says_malignant(bea, eps):
    """How often a noisy count of the others and `bea` (0 or 1) is above 158.5."""
    answers = laplace_mechanism(others + bea, eps, 1.0, draw)
    return (answers > 158.5).double().mean().item()


advantage = {
    eps: says_malignant(1, eps) - says_malignant(0, eps) for eps in (0.1, 0.5, 1.0, 2.0)
}
figures.table(
    [
        (number(eps), got, 1 - math.exp(-eps / 2), math.tanh(eps / 2))
        for eps, got in advantage.items()
    ],
    ["ε", "advantage, ± 0.004", "Laplace noise allows", "ε allows"],
    "What you reach; what the best attacker reaches against Laplace noise, 1 − "
    "exp(−ε/2); and the bound for any mechanism.",
)

# %%
claims(
    (
        "The attacker reaches what is possible against Laplace noise within 0.02",
        all(
            abs(got - (1 - math.exp(-eps / 2))) < 0.02 for eps, got in advantage.items()
        ),
    ),
    (
        "At ε = 0.1 that is an advantage below 0.07",
        advantage[0.1] < 0.07,
        number(advantage[0.1]),
    ),
)

# %% [markdown]
# Two neighbouring databases, with Bea and without. Move $\varepsilon$, and change the mechanism. **Geometric** noise is Laplace
# noise in whole numbers. Which of the three leaves the attacker exactly the bound? (On the right stands the **ROC** of the
# attackers: $t$ against $f$, one point for each threshold. Advantage is the height above the diagonal.)

# %%
explore(
    scene.two_neighbours(158),
    eps=(0.1, 4.0, 0.1, 1.0),
    mechanism=["Laplace", "Geometric", "Gaussian"],
    labels={"eps": "ε"},
    caption="Left: the answers of two neighbouring databases. "
    "Right: the attackers' ROC, and what ε allows.",
)

# %% [markdown]
# The geometric mechanism uses up all that $\varepsilon$ allows: its corner lies on the bound. Gaussian noise has thin tails,
# where one database becomes arbitrarily more likely than the other: no $\varepsilon$ is enough, hence the $\delta$ of $10^{-5}$.
# (It is too far out to see: choose Gaussian, and read where under the picture.)
#
# ### Exercise 2: nobody is trusted
#
# The clinic sees the data. What if patients trust nobody? Each tells the truth with probability
# $p = e^{\varepsilon} / (1 + e^{\varepsilon})$, else the opposite (Warner, 1965). At $\varepsilon = \ln 3$ that is $p = ¾$: three
# tell the truth for one who lies. Anybody may then see the answers. Neighbours differ in one person's answer, changed.


# %%
def randomised_response(bits, eps, generator):
    """Each bit as it is with probability e^eps / (1 + e^eps), else its opposite.

    bits: bool, any shape.  Returns bool of the same shape.
    generator: of `torch.rand(..., generator=generator)`.
    """
    ### BEGIN SOLUTION
    truthful = torch.rand(bits.shape, generator=generator) < 1 / (1 + math.exp(-eps))
    return torch.where(truthful, bits, ~bits)
    ### END SOLUTION


randomised_response = check("13.randomised_response", randomised_response)

# %% [markdown]
# The share of *yes* is off, but in a known way: it and $p$ give an unbiased estimate of the number of ill people. Compare the
# errors of both models at $\varepsilon = \ln 3$.

# %%
guess_trust = predict(
    "13.trust",
    "How many times as large is the error when there is no trusted clinic?",
    low=1,
    high=40,
    step=1,
)

# %%
draw, eps = runtime.generator(3), math.log(3)
p = 1 / (1 + math.exp(-eps))
surveys = randomised_response(sick.expand(2000, 426), eps, draw)  # 2,000 times the same
estimates = (surveys.double().sum(1) - (1 - p) * 426) / (2 * p - 1)
ill = torch.full((2000,), float(sick.sum()), dtype=torch.float64)
central = laplace_mechanism(ill, eps, 1.0, draw)
error = {"each patient": estimates, "the clinic": central}
error = {
    who: (noisy - ill).square().mean().sqrt().item() for who, noisy in error.items()
}
times = error["each patient"] / error["the clinic"]
figures.bars(
    error,
    roles={"each patient": "defence"},
    ylabel="typical error of the count",
    horizontal=True,
    caption=f"Who adds the noise. Root mean square error of a count of "
    f"{int(sick.sum())}, at ε = ln 3, over 2,000 surveys.",
)

# %%
claim(
    "Without trust, the error is more than ten times as large",
    times > 10,
    f"{times:.0f} times",
    guess_trust,
)

# %% [markdown]
# Each patient's noise counts: of $n$ people, the error is $\sqrt{n\, p\, (1 - p)} / (2p - 1)$, here $0.87 \sqrt n$. The clinic's
# is $\sqrt 2 / \varepsilon$ for any $n$. That is the price of trusting nobody.
#
# ## 3 · Ask again
#
# One answer at $\varepsilon = 0.3$ hides Bea well. You are patient: you ask 256 times, and average. Another clinic has a
# **budget** of 0.3 for all answers together, so $k$ of them get $\varepsilon = 0.3 / k$ each.

# %%
draw = runtime.generator(4)
repeats, trials = [1, 4, 16, 64, 256], 6000


def averaged(k, eps):
    """The advantage of an attacker who averages k answers at eps each."""
    worlds = torch.full((trials, k), 158.0, dtype=torch.float64)
    above = [
        laplace_mechanism(worlds + bea, eps, 1.0, draw).mean(1) > 158.5
        for bea in (1, 0)
    ]
    true, false = (says.double().mean().item() for says in above)
    return true - false


careless = [averaged(k, 0.3) for k in repeats]
careful = [averaged(k, 0.3 / k) for k in repeats]

# %%
figures.curves(
    repeats,
    {
        "ε = 0.3 each": careless,
        "bound, 0.3 each": [math.tanh(0.3 * k / 2) for k in repeats],
        "ε = 0.3 in all": careful,
        "bound, 0.3 in all": [math.tanh(0.15)] * 5,
    },
    roles={
        "ε = 0.3 each": "attack",
        "bound, 0.3 each": "control",
        "ε = 0.3 in all": "defence",
        "bound, 0.3 in all": "proof",
    },
    xlabel="answers that are averaged",
    ylabel="advantage",
    log="x",
    caption="The attacker who averages, against fresh noise each time and against a "
    "budget.",
)

# %%
claims(
    (
        "With fresh noise at ε = 0.3, 256 answers give Bea away: an advantage above "
        "0.85",
        careless[-1] > 0.85,
        number(careless[-1]),
    ),
    (
        "With a budget of 0.3, averaging gains nothing: the bound for 0.3 holds for "
        "any k, within 0.02",
        max(careful) < math.tanh(0.15) + 0.02,
        f"{number(careful[0], 2)} with 1, {number(careful[-1], 2)} with 256",
    ),
)

# %% [markdown]
# The same holds for different questions, for other analysts, and for next year's release. Privacy is **spent**: what is left has
# to be counted over everything that is ever published from these records.
#
# ### Exercise 3: composition
#
# *Basic*: $k$ answers at $\varepsilon$ each are $k\varepsilon$-private. *Advanced* (Dwork, Rothblum & Vadhan, 2010): for any small
# $\delta$ they are also $(\varepsilon', \delta)$-private, with
#
# $$ \varepsilon' = \varepsilon \sqrt{2 k \ln(1/\delta)} + k\, \varepsilon\, (e^{\varepsilon} - 1). $$


# %%
def compose(eps, count, delta):
    """What `count` answers cost together, each of them eps-private: (basic, advanced).

    basic: the epsilon at delta 0.
    advanced: the epsilon at `delta`, by the formula above, even where basic is smaller.
    """
    ### BEGIN SOLUTION
    spread = eps * math.sqrt(2 * count * math.log(1 / delta))
    return count * eps, spread + count * eps * (math.exp(eps) - 1)
    ### END SOLUTION


compose = check("13.compose", compose)

# %%
figures.table(
    [
        (f"{k:,}", *(number(eps) for eps in compose(0.1, k, 1e-5)))
        for k in (10, 100, 1000)
    ],
    ["answers", "ε, basic", "ε, advanced"],
    "What answers at ε = 0.1 cost together; advanced at δ = 10⁻⁵.",
)

# %%
claims(
    (
        "100 answers at 0.1 cost 5.85 at δ = 10⁻⁵ instead of 10",
        abs(compose(0.1, 100, 1e-5)[1] - 5.850235) < 1e-5,
    ),
    (
        "For 10 answers, basic composition is the better bound",
        compose(0.1, 10, 1e-5)[0] < compose(0.1, 10, 1e-5)[1],
    ),
)

# %% [markdown]
# Both are true, so take the smaller. A thousand answers still cost 26. There is a better way to count.
#
# ## 4 · Thousands of steps
#
# Training asks thousands of questions: each step publishes a noisy sum of gradients. Three savings make that affordable: no more
# noise than needed, sampling, and a better ledger. One at a time.
#
# **First saving: just enough noise.** For vectors one takes **Gaussian** noise, whose sensitivity is a length (L2). The textbook
# says $\sigma = \sqrt{2 \ln(1.25/\delta)} / \varepsilon$, which is proved for $\varepsilon < 1$ only. The exact rule (Balle &
# Wang, 2018): noise $\sigma$ is $(\varepsilon, \delta)$-private at sensitivity 1 if and only if
#
# $$ \Phi\!\Big(\frac{1}{2\sigma} - \varepsilon\sigma\Big) - e^{\varepsilon}\, \Phi\!\Big({-\frac{1}{2\sigma}} - \varepsilon\sigma\Big) \;\le\; \delta. $$
#
# ### Exercise 4: just enough noise
#
# The left side falls as $\sigma$ grows. Find the smallest $\sigma$ by bisection. End on the side that keeps the promise.


# %%
def gaussian_sigma(eps, delta, sensitivity=1.0):
    """The smallest noise that makes one Gaussian answer (eps, delta)-private.

    It is a standard deviation, to a relative 1e-9, and scales with the sensitivity.
    `Phi(z)` is the normal distribution function.
    """

    def Phi(z):
        return math.erfc(-z / math.sqrt(2)) / 2

    ### BEGIN SOLUTION
    def spent(sigma):
        near, far = 0.5 / sigma - eps * sigma, -0.5 / sigma - eps * sigma
        return Phi(near) - math.exp(eps) * Phi(far)

    low, high = 0.0, 1.0
    while spent(high) > delta:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if spent(middle) <= delta else (middle, high)
    return sensitivity * high
    ### END SOLUTION


gaussian_sigma = check("13.gaussian_sigma", gaussian_sigma)

# %%
rows = []
for eps in (0.1, 1.0, 10.0):
    rule = math.sqrt(2 * math.log(1.25 / 1e-5)) / eps
    spends = privacy.gaussian_epsilon(rule, 1e-5)
    rows.append((eps, gaussian_sigma(eps, 1e-5), rule, spends))
figures.table(
    rows,
    ["ε", "exact σ", "textbook's σ", "ε that the textbook's σ spends"],
    "At δ = 10⁻⁵ and sensitivity 1.",
)

# %%
claims(
    (
        "At ε = 1 the exact noise is 3.73, 23 % less than the textbook's",
        abs(gaussian_sigma(1, 1e-5) - 3.730632) < 1e-5,
    ),
    (
        "At ε = 10 the textbook's noise is too little: it spends more than 10.3",
        spends > 10.3,
        number(spends),
    ),
)

# %% [markdown]
# The textbook's noise is too much where it is proved, and far beyond; above $\varepsilon = 8$ it is too little.
#
# **Second saving: sampling.** A step looks at a random part only: each record is in it with probability $q$, by a coin of its own
# (a **Poisson sample**). Mostly Bea is not there, and a step that is $(\varepsilon, \delta)$-private for those who are costs only
#
# $$ \ln\big(1 + q\,(e^{\varepsilon} - 1)\big) \quad\text{at}\quad q\,\delta. $$
#
# For example: a step at $\varepsilon = 1$ that looks at one record in a hundred costs $\ln(1 + 0.01 \cdot 1.72) = 0.017$.

# %% [markdown]
# **Third saving: a better ledger.** How much does one output give away? The **privacy loss** of an output $a$ of $A(D)$ is
#
# $$ L = \ln \frac{P[A(D) = a]}{P[A(D') = a]}. $$
#
# Losses of steps add up. But which $L$ occurs is chance, and $\varepsilon$ charges the worst of it, but for $\delta$, each time.
# Look at one Gaussian answer with $\varepsilon = 1$.

# %%
one = gaussian_sigma(1.0, 1e-5)
average = 1 / (2 * one**2)  # L is normal, with this mean and the spread 1 / σ
loss = torch.linspace(-0.9, 1.1, 201)
figures.curves(
    loss,
    {"one answer": Normal(average, 1 / one).log_prob(loss).exp()},
    marks={f"average {number(average, 1)}": average, "ε = 1": 1.0},
    xlabel="privacy loss L",
    ylabel="density",
    caption=f"What an answer with Gaussian noise of σ = {number(one)} gives away.",
)
hundred = privacy.gaussian_epsilon(one / 10, 1e-5)  # a hundred answers, counted exactly

# %%
claim(
    "A hundred such answers cost less than 15 at δ = 10⁻⁵, where adding up ε charges "
    "100",
    hundred < 15,
    f"ε = {number(hundred)}",
)

# %% [markdown]
# The average loss is 0.036, so a hundred answers lose 3.6 on average. You have to pay for the spread as well, but far less than
# 100. **Rényi** differential privacy (Mironov, 2017) charges a kind of average,
#
# $$ R(\alpha) = \frac{\ln E\big[e^{(\alpha - 1) L}\big]}{\alpha - 1}, $$
#
# in which large losses weigh more as the **order** $\alpha > 1$ rises. ($D$ and $D'$ may swap roles: the worse counts.) For one
# Gaussian answer it is $\alpha / 2\sigma^2$: at order 2, and $\sigma = 3.73$, that is 0.072. If each step's $R$ is bounded
# whatever the steps before it gave, then over $T$ steps these numbers simply add up.

# %% [markdown]
# Put sampling and ledger together. For two normal densities, 1 apart and $\sigma$ wide, the $k$-th power of their quotient has
# the mean $e^{k(k-1)/2\sigma^2}$. A sampled step mixes them, $1 - q$ to $q$. So for whole $\alpha$, at sensitivity 1 (Mironov,
# Talwar & Zhang, 2019), it has
#
# $$ R(\alpha) = \frac{1}{\alpha - 1} \ln \sum_{k=0}^{\alpha} \binom{\alpha}{k} (1-q)^{\alpha-k} q^k\, e^{k(k-1)/2\sigma^2}. $$
#
# At $q = 0.01$, $\sigma = 3.73$ and $\alpha = 2$ that is 0.0000075, ten thousand times less than without sampling.
#
# ### Exercise 5: the ledger
#
# At the end, convert. Any order gives a valid $\varepsilon$ (Canonne, Kamath & Steinke, 2020), so take the smallest, and never
# less than 0:
#
# $$ \varepsilon = \min_{\alpha}\; T R(\alpha) + \ln\Big(1 - \frac{1}{\alpha}\Big) - \frac{\ln \delta + \ln \alpha}{\alpha - 1}. $$
#
# The trap: at $\alpha = 256$ and $\sigma = 0.5$, the last factor reaches $e^{130{,}560}$. Stay with logarithms:
# `torch.logsumexp`, and `torch.lgamma` for $\ln k!$.


# %%
def rdp_epsilon(q, sigma, steps, delta, orders=range(2, 257)):
    """Epsilon at delta of `steps` steps of the sampled Gaussian mechanism.

    By Rényi accounting over whole orders.  q: in (0, 1], the probability that a record
    is in a step's sample.  sigma: the noise over the sensitivity.
    """
    ### BEGIN SOLUTION
    best, absent = math.inf, torch.tensor(1 - q, dtype=torch.float64)
    for alpha in orders:
        k = torch.arange(alpha + 1, dtype=torch.float64)
        choose = (
            math.lgamma(alpha + 1) - torch.lgamma(k + 1) - torch.lgamma(alpha - k + 1)
        )
        stay = torch.xlogy(alpha - k, absent)  # 0 · ln 0 is 0
        terms = choose + stay + k * math.log(q) + k * (k - 1) / (2 * sigma**2)
        spent = steps * terms.logsumexp(0).item() / (alpha - 1)
        convert = math.log(1 - 1 / alpha) - math.log(delta * alpha) / (alpha - 1)
        best = min(best, spent + convert)
    return max(best, 0.0)
    ### END SOLUTION


rdp_epsilon = check("13.rdp_epsilon", rdp_epsilon)

# %% [markdown]
# ### The headline figure
#
# One training run, counted four ways: 60,000 records, samples of 256 on average, $\sigma = 1.1$, $\delta = 10^{-5}$. *Classic* is
# Rényi accounting with the conversion of the first papers, *improved* is yours. **PLD** follows the whole **privacy-loss
# distribution**, that of $L$, by Google's library; it is the tightest. The fourth is *advanced composition* (Exercise 3), with
# the gain from sampling in each step. The run has 14,062 steps, 60 passes over the data.

# %%
guess_advanced = predict(
    "13.advanced",
    "PLD says ε = 2.4 for the whole run. What does advanced composition say?",
    low=0,
    high=5000,
    step=10,
)

# %% tags=["headline"]
q, sigma, delta = 256 / 60_000, 1.1, 1e-5
lengths = [100, 500, 2000, 6000, 14_062]
runs = [(q, sigma, T, delta) for T in lengths]
costs = {
    "RDP, classic": [privacy.rdp_epsilon(*run, "classic") for run in runs],
    "RDP, improved": [rdp_epsilon(*run) for run in tqdm(runs, "yours", leave=False)],
    "PLD": [privacy.pld_epsilon(*run) for run in tqdm(runs, "PLD", leave=False)],
}
figures.curves(
    lengths,
    costs,
    roles={"RDP, classic": "control", "RDP, improved": "defence", "PLD": "proof"},
    xlabel="training steps",
    ylabel="ε at δ = 10⁻⁵",
    log="x",
    ylim=(0, 3.2),
    caption="The same run and the same noise in three ledgers: a lower ε is a better "
    "proof. Add or remove one record, Poisson samples, q = 256/60,000, σ = 1.1.",
)


# %%
def advanced(q, sigma, steps, delta):
    """Sampled steps, each private by itself, composed.

    Half of delta is shared among the steps, the other half is the formula's.
    """
    step = privacy.gaussian_epsilon(sigma, delta / (2 * q * steps))
    sampled = math.log1p(q * math.expm1(step))
    return min(compose(sampled, steps, delta / 2))


costs["advanced composition"] = [advanced(*run) for run in runs]
last = {name: values[-1] for name, values in costs.items()}
figures.table(
    [(name, *(f"{eps:,.2f}" for eps in values)) for name, values in costs.items()],
    ["steps", *(f"{T:,}" for T in lengths)],
    "The ε of the same run in all four ledgers; the fourth lies far above the figure.",
)

# %%
claims(
    (
        "Classic conversion says 3.01, improved 2.60, PLD 2.38",
        abs(last["RDP, classic"] - 3.0083) < 0.01
        and abs(last["RDP, improved"] - 2.5966) < 0.01
        and abs(last["PLD"] - 2.3817) < 0.01,
    ),
    (
        "At each length classic > improved > PLD, and advanced composition says more "
        "than ten times as much as PLD",
        all(
            a > b > c and d > 10 * c for a, b, c, d in zip(*costs.values(), strict=True)
        ),
        f"advanced composition says {number(last['advanced composition'])} at the end",
        guess_advanced,
    ),
)

# %% [markdown]
# The run is the same; only the **proof** got better. All four are upper bounds, and true, even 3,475: one step may cost 0.43, so
# advanced composition charges each of the 14,062 about ¼, when most cost next to nothing. A smaller $\varepsilon$ that is proved
# costs nothing, so use the best accountant that covers *your* sampling: none of these is valid for shuffled batches of fixed size.

# %%
runs = [(0.01, 4.0, 10_000, 1e-5), (0.04, 1.5, 2250, 1e-5)]
library = {run: privacy.rdp_epsilon(*run, "improved") for run in runs}
figures.table(
    [
        (
            f"q = {run[0]}, σ = {run[1]}, {run[2]:,} steps",
            privacy.rdp_epsilon(*run, "classic"),
            library[run],
            privacy.pld_epsilon(*run),
        )
        for run in runs
    ],
    ["run", "classic", "improved", "PLD"],
    "Two more runs: ε at δ = 10⁻⁵.",
)

# %%
claim(
    "The library's RDP and yours agree to 1 %",
    all(abs(rdp_epsilon(*run) / library[run] - 1) < 0.01 for run in runs),
)

# %% [markdown]
# ## 5 · The reconstruction, against a budget
#
# Back to section 1. Again 480 questions, but the clinic now spends one $\varepsilon$ on all of them. Who is in the 120 is public,
# so neighbours differ in one diagnosis, changed. That moves the answer of each group that holds the person by 1. Nobody is in
# more than all 480, so the answers together move by a length of at most $\sqrt{480}$. Your function says how much noise is enough.
#
# You attack twice: by least squares, as before, and knowing that 37 % of tumours are malignant. Then each unknown starts
# there, and leaves only as far as the answers insist. A third attacker is computed: one who knows all other diagnoses.


# %%
def reconstruct_with_share(secret, sigma, draw):
    """`reconstruct`, by an attacker who also knows the share of malignant tumours."""
    share = 1 - majority
    groups = torch.randint(2, (questions, n), generator=draw).double()
    noise = sigma * torch.randn(questions, generator=draw, dtype=torch.float64)
    answers = groups @ secret + noise
    # n more equations, x = share: the noisier the answers, the more they weigh
    pull = sigma / math.sqrt(share * (1 - share)) * torch.eye(n, dtype=torch.float64)
    answers = answers - share * groups.sum(1)
    known = torch.cat([answers, torch.zeros(n, dtype=torch.float64)])
    equations = torch.cat([groups, pull])
    solved = torch.linalg.lstsq(equations, known[:, None]).solution[:, 0]
    return ((share + solved > 0.5) == (secret > 0.5)).double().mean().item()


def right_about_one(sigma):
    """How often an attacker is right about one person who knows all other diagnoses.

    The 240 answers that hold the person show one bit, under normal noise.
    """
    apart, normal = math.sqrt(questions / 2) / sigma, Normal(0.0, 1.0)
    cut = apart / 2 + math.log(majority / (1 - majority)) / apart  # the best threshold
    benign, malignant = normal.cdf(torch.tensor([cut, apart - cut])).tolist()
    return majority * benign + (1 - majority) * malignant


# %%
draw = runtime.generator(5)
budgets = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
noise = {eps: gaussian_sigma(eps, 1e-5, math.sqrt(questions)) for eps in budgets}


def on_average(attack):
    """The share that an attack gets right at each budget: ten clinics, four times."""
    return [
        sum(attack(secret, noise[eps], draw) for secret in secrets * 4) / 40
        for eps in budgets
    ]


attacked, better = on_average(reconstruct), on_average(reconstruct_with_share)
others = [right_about_one(noise[eps]) for eps in budgets]
odds = [math.exp(eps) for eps in budgets]
allowed = [max(majority + 1e-5, (e + 1e-5) / (e + 1)) for e in odds]

# %%
figures.curves(
    budgets,
    {
        "least squares": attacked,
        "least squares that knows the share": better,
        "one who knows all other diagnoses": others,
        "always “benign”": [majority] * 6,
        "what ε and δ allow": allowed,
    },
    roles={
        "least squares": "attack",
        "one who knows all other diagnoses": "truth",
        "always “benign”": "control",
        "what ε and δ allow": "proof",
    },
    xlabel="ε for all 480 answers, δ = 10⁻⁵",
    ylabel="share of the diagnoses that is right",
    percent=True,
    log="x",
    caption="Ten clinics, each attacked four times. Noise on each count: "
    + ", ".join(f"{number(noise[eps], 2)} at ε = {eps:g}" for eps in budgets)
    + ".",
)

# %%
claims(
    (
        "At ε = 1 least squares is worse than saying “benign” of everybody, and the "
        "better attack hardly above it",
        attacked[1] < majority and better[1] < majority + 0.02,
        " and ".join(percent(share, 0) for share in (attacked[1], better[1]))
        + f" against {percent(majority, 0)}",
    ),
    (
        "At ε = 10 the better attack beats it by more than 3 points; one who knows "
        "all the others is right about fewer than 80 %",
        better[3] > majority + 0.03 and others[3] < 0.8,
        f"{percent(better[3], 0)} and {percent(others[3], 0)}",
    ),
    (
        "At ε = 100 all are right about more than 95 %",
        min(attacked[5], better[5], others[5]) > 0.95,
    ),
)

# %% [markdown]
# See both sides. At $\varepsilon = 1$ these attacks fail, and **none** that knows no more of a person than the share is right
# about more than 73 %. (Anyone who has seen the patient's scan needs no answers: that $\varepsilon$ does not hide.) But each count
# is off by 80: useless. The clinic should ask itself which **few** questions matter: one count alone, with Gaussian noise at the
# same $\varepsilon$ and $\delta$, is off by 3.7.
#
# And see $\varepsilon = 10$. The pair $(\varepsilon, \delta)$ promises almost nothing, yet an attacker who knows *everything* else
# stays below 80 %: the pair is one point of a curve, and this noise keeps its promise at every other point as well. A large
# $\varepsilon$ is not a hole. It is a promise not given. Lab 14 measures what lies between.
#
# ## 6 · The low bits
#
# A proof is about real numbers. Your mechanisms compute with floats. (A float32 coin has steps of $2^{-24}$: above
# $\varepsilon = 17$, nobody in Exercise 2 ever lies.) Take Laplace noise: $u$ has $2^{53}$ possible values, so the noise has no
# more, and adding a count rounds each of them. Take a rare disease: nobody has it, or Bea alone. For a published number, try: is
# there **any** $u$ that gives exactly this float, from a count of 0? From a count of 1? (Mironov, 2012)


# %%
def textbook(count, eps, n, generator):
    """n answers by the formula of exercise 1."""
    v = torch.rand(n, generator=generator, dtype=torch.float64) - 0.5
    return count - v.sign() * (1 - 2 * v.abs()).log() / eps


def possible(output, count, eps):
    """Whether some u gives exactly this output.

    It tries the few candidates around the u that a real number would need.
    """
    noise = output - count
    # 1 − 2|v| = exp(−ε |noise|) is a multiple of 2⁻⁵²
    want = (-eps * noise.abs()).exp() * 2.0**52
    found = torch.zeros_like(output, dtype=torch.bool)
    for step in range(-4, 5):  # the nearest multiple, and four on either side
        candidate = (want.round() + step) / 2.0**52
        found |= count - noise.sign() * candidate.log() / eps == output
    return found


# %%
draw = runtime.generator(6)
outputs = textbook(0, 1.0, 50_000, draw)
own, other = (possible(outputs, count, 1.0).double().mean().item() for count in (0, 1))
large = textbook(158, 0.1, 50_000, draw)
larger = possible(large, 159, 0.1).double().mean().item()

# %%
claims(
    (
        "Every answer about nobody ill is possible from its own database, a count of 0",
        own == 1.0,
        percent(own),
    ),
    (
        "More than half are impossible from the other one, a count of 1: a proof, at "
        "an ε of 1 on paper",
        other < 0.5,
        percent(1 - other),
    ),
    (
        "At a count of 158 and ε = 0.1, more than 2 % still are",
        larger < 0.98,
        percent(1 - larger),
    ),
)

# %% [markdown]
# For these answers no $\varepsilon$ is large enough: one database *cannot* have produced them. The remedy is noise that is a whole
# number, drawn exactly, with integers compared to integers. `privacy.geometric` does that (Canonne, Kamath & Steinke, 2020). Real
# statistics are rounded to a grid first. Whole numbers have no low bits. Do they also come at the odds promised? Look at
# $-2 \ldots 3$, from each database.

# %%
draw, whole = runtime.generator(7), range(-2, 4)
drawn = [
    privacy.geometric(torch.full((200_000,), c), 1.0, 1, generator=draw) for c in (0, 1)
]
shares = [torch.stack([(z == k).double().mean() for k in whole]) for z in drawn]
odds = shares[0] / shares[1]
figures.table(
    [("odds", *(f"{o:.2f}" for o in odds.tolist()))],
    ["answer", *(number(k) for k in whole)],
    "How many times as likely an answer is from nobody as from Bea; e = 2.72, 1/e = "
    "0.37.",
)

# %%
claim(
    "All odds are e or 1/e, within a tenth",
    ((odds.log().abs() - 1).abs() < 0.1).all(),
)

# %% [markdown]
# ## 7 · Spot the broken experiment
#
# A colleague has a faster accountant. "Many small losses add up to a Gaussian, says the central limit theorem. So $T$ sampled
# steps are *one* Gaussian mechanism, with $1/\sigma' = q \sqrt{T (e^{1/\sigma^2} - 1)}$. At $q = 0.01$, $\sigma = 0.7$,
# $\delta = 10^{-5}$ I get a smaller $\varepsilon$ than any of yours. We could train longer!" Look at 50 steps. Is this the best
# accountant of all, or what is wrong?

# %%
q, sigma, delta = 0.01, 0.7, 1e-5


def central_limit(steps):
    """The colleague's ε."""
    per_step = math.expm1(1 / sigma**2)
    return privacy.gaussian_epsilon(1 / (q * math.sqrt(steps * per_step)), delta)


lengths = [1, 10, 50, 200, 1000, 5000]
ledger = {
    "RDP, improved": [privacy.rdp_epsilon(q, sigma, T, delta) for T in lengths],
    "PLD": [
        privacy.pld_epsilon(q, sigma, T, delta)
        for T in tqdm(lengths, desc="PLD", leave=False)
    ],
    "the colleague": [central_limit(T) for T in lengths],
}
figures.curves(
    lengths,
    ledger,
    roles={"RDP, improved": "defence", "PLD": "proof", "the colleague": "attack"},
    xlabel="training steps",
    ylabel="ε at δ = 10⁻⁵",
    log="xy",
    caption="q = 0.01, σ = 0.7: three accountants of the same run.",
)

# %% tags=["student-only"]
# Your test here: what is known exactly, to compare the colleague's number with?

# %% tags=["solution-only"]
said = central_limit(50)
alone = math.log1p(math.expm1(said) / q)
truth = q * privacy.gaussian_delta(alone, sigma)  # δ of the first step, in closed form

# %% tags=["solution-only"]
claims(
    (
        "At the ε that is claimed for 50 steps, the first step alone exceeds δ",
        truth > 1.5 * delta,
        f"at ε = {said:.2f} the first step has δ = {number(truth, 2)}",
    ),
    (
        "The number lies below PLD at every length",
        all(g < p for g, p in zip(ledger["the colleague"], ledger["PLD"], strict=True)),
    ),
)

# %% [markdown]
# <details><summary>Hint</summary>
#
# One step can be computed exactly. With Bea its output has the density $(1 - q) N_0 + q N_1$, without her $N_0$. What exceeds
# $e^{\varepsilon}$ times the second is $q\,[N_1 - e^x N_0]$, with $x = \ln(1 + (e^{\varepsilon} - 1) / q)$: so its $\delta$ at
# $\varepsilon$ is $q$ times `privacy.gaussian_delta(x, sigma)`. Can 50 steps cost less than the first of them?
#
# </details>
#
# <details><summary>Answer</summary>
#
# It is not a bound. The central limit theorem is about the **middle** of a distribution, after many steps. $\delta$ lives in the
# **tail**, where one unlucky sample with Bea in it weighs most. At 50 steps the claimed $\varepsilon$ is less than what the *first
# step* costs by itself, in closed form, and looking at more can never cost less. With many steps the number comes close to the
# truth, and after some 25,000 it lies above. (Gaussian differential privacy itself is sound; the *limit* is the guess.) Being
# lower than a bound is no merit: ask for the **proof**, not for the number.
#
# </details>

# %% [markdown]
# ## 8 · What is guaranteed

# %%
guarantee(
    holds="For any attacker, with any knowledge and computing power, now or later: "
    "whatever comes of the answers is at most e^ε times as likely, plus δ, with one "
    "record more or less. **Nothing that is done with the answers afterwards** "
    "changes that.",
    does_not="An ε without its **δ**, its **neighbours** (added, removed or "
    "replaced), its **unit** (a record? a person with many records?) and its "
    "**sampling** says nothing. Facts about the **population** are not hidden: if "
    "smoking causes cancer, the study says so of smokers who took no part. Floats, "
    "clocks and known seeds are outside the proof.",
    adapts="By asking again, and averaging: the budget counts that. By reading low "
    "bits: use whole noise. By pooling what other institutions publish about the same "
    "people: add up the ε of all.",
    cost="Noise of about 1/ε on a count, whatever its size: small for many people, "
    "ruinous for few; noise that grows like √n if nobody is trusted; and an end of "
    "all answers when the budget is spent.",
)

# %% [markdown]
# ## 9 · Quiz

# %%
quiz("13")

# %% [markdown]
# ### Further reading
#
# * C. Dwork, A. Roth, 2014, [*The Algorithmic Foundations of Differential Privacy*](https://doi.org/10.1561/0400000042). The
#   textbook; free.
# * C. Dwork, F. McSherry, K. Nissim, A. Smith, 2006,
#   [*Calibrating Noise to Sensitivity in Private Data Analysis*](https://doi.org/10.1007/11681878_14).
# * S. L. Warner, 1965,
#   [*Randomized Response: A Survey Technique for Eliminating Evasive Answer Bias*](https://doi.org/10.1080/01621459.1965.10480775).
# * I. Dinur, K. Nissim, 2003, [*Revealing Information While Preserving Privacy*](https://doi.org/10.1145/773153.773173). The
#   reconstruction of section 1.
# * S. Garfinkel, J. Abowd, C. Martindale, 2018,
#   [*Understanding Database Reconstruction Attacks on Public Data*](https://doi.org/10.1145/3291276.3295691). At a census.
# * C. Dwork, G. Rothblum, S. Vadhan, 2010, [*Boosting and Differential Privacy*](https://doi.org/10.1109/FOCS.2010.12). Advanced
#   composition.
# * B. Balle, Y.-X. Wang, 2018, [*Improving the Gaussian Mechanism for Differential Privacy*](https://arxiv.org/abs/1805.06530).
# * I. Mironov, 2012,
#   [*On Significance of the Least Significant Bits for Differential Privacy*](https://doi.org/10.1145/2382196.2382264).
# * I. Mironov, 2017, [*Rényi Differential Privacy*](https://arxiv.org/abs/1702.07476).
# * I. Mironov, K. Talwar, L. Zhang, 2019,
#   [*Rényi Differential Privacy of the Sampled Gaussian Mechanism*](https://arxiv.org/abs/1908.10530).
# * J. Dong, A. Roth, W. Su, 2022, [*Gaussian Differential Privacy*](https://arxiv.org/abs/1905.02383). What holds, and the limit
#   that the colleague took for a bound.
# * C. Canonne, G. Kamath, T. Steinke, 2020, [*The Discrete Gaussian for Differential Privacy*](https://arxiv.org/abs/2004.00010).
# * J. Near, D. Darais, N. Lefkovitz, G. Howarth, 2025,
#   [*Guidelines for Evaluating Differential Privacy Guarantees*](https://doi.org/10.6028/NIST.SP.800-226), NIST SP 800-226. What
#   to ask of a claim.
#
# To see how the library writes these, open `modelsec_course/privacy/mechanisms.py`, `discrete.py` and `accounting.py`.

# %%
finish("13")
