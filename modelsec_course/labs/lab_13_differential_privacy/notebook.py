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
from modelsec_course.lab import check, claim, explore, figures, guarantee
from modelsec_course.lab import finish, quiz, start, threat
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
    """How many people in `group`, a bool tensor of one entry for each record, have a malignant tumour."""
    if group.sum() < 50:
        raise ValueError("refused: fewer than 50 people")
    return int((sick & group).sum())


everybody = torch.ones(426, dtype=torch.bool)
people = torch.arange(426)
learned = [count(everybody) - count(people != k) for k in range(426)]  # with person k, and without
claim("Two exact counts give away each of the 426 diagnoses", torch.equal(torch.tensor(learned), sick.long()))

# %% [markdown]
# Each answer is about more than 400 people. Their difference is about **one**. And no rule about the size of groups sees that.
#
# So the clinic drops the rule. It adds noise, a normal draw of spread σ, and allows only groups drawn by dice. No two of these
# differ by one person. You ask about 480 groups of 120 people. Each answer is one equation in 120 unknowns: solve them by **least
# squares** and round (Dinur & Nissim, 2003). How much noise stops you? Guess first: σ = 2, 10 or 50? A group is half of the 120,
# and has about 22 malignant tumours: that is the count.

# %%
draw = runtime.generator(1)
n, questions = 120, 480


def reconstruct(secret, sigma, draw):
    """The share of secret bits (n,) that least squares gets right from noisy counts of random groups."""
    groups = torch.randint(2, (questions, len(secret)), generator=draw).double()
    answers = groups @ secret + sigma * torch.randn(questions, generator=draw, dtype=torch.float64)
    solved = torch.linalg.lstsq(groups, answers[:, None]).solution[:, 0]
    return ((solved > 0.5) == (secret > 0.5)).double().mean().item()


secrets = [sick[torch.randperm(426, generator=draw)[:n]].double() for _ in range(10)]  # ten clinics
noises = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
right = {sigma: sum(reconstruct(secret, sigma, draw) for secret in secrets * 4) / 40 for sigma in noises}
theory = [Normal(0.0, 1.0).cdf(torch.tensor(math.sqrt(questions - n) / (4 * sigma))).item() for sigma in noises]
majority = 1 - sum(secret.mean().item() for secret in secrets) / 10
figures.curves(
    noises, {"least squares": list(right.values()), "theory": theory, "always “benign”": [majority] * 6},
    xlabel="σ, the noise on each count", ylabel="diagnoses that are right", percent=True, log="x",
    caption="480 counts about 120 people, ten clinics, each attacked four times. Theory: solved bits have "
    "normal errors of spread 2σ / √(480 − 120), and one above ½ is a mistake.",
)  # fmt: skip
claim("Noise of 2 leaves more than 95 % of the diagnoses readable", right[2.0] > 0.95, f"{right[2.0]:.1%}")
claim("Noise of 5 leaves more than 75 %", right[5.0] > 0.75, f"{right[5.0]:.1%}")
claim("Noise of 50 leaves fewer than are right when one says “benign” of everybody", right[50.0] < majority,
      f"{right[50.0]:.0%} against {majority:.0%}")  # fmt: skip

# %% [markdown]
# Noise of 5 still leaves about four of five right, as 480 answers average it away. Noise of 50 stops you, but it is more than
# twice the count itself. Dinur and Nissim proved that this is no accident: **too many answers that are too good give the data
# away**, whatever the clinic does. So count what each answer gives away, and stop in time. That needs a measure.
#
# A randomised answer A is **(ε, δ)-differentially private** if for any two databases D and D′ that are **neighbours**, and any
# set S of outputs,
#
# $$ P[A(D) \in S] \;\le\; e^{\varepsilon}\, P[A(D') \in S] + \delta. $$
#
# Here neighbours differ by **one record, added or removed**; where the list of people is public, by one record **changed**, and
# we shall say so. With δ = 0 one speaks of ε alone. Nothing is said of the attacker:
# not what they know, not how long they compute.

# %% [markdown]
# ## 2 · One private answer
#
# How far can one record move an answer? That is its **sensitivity**. A count moves by 1. The **Laplace mechanism** adds noise of
# density proportional to exp(−|z| / b), with b = sensitivity / ε.
#
# ### Exercise 1: the Laplace mechanism
#
# `torch.rand` gives you u in [0, 1). With v = u − ½, the number −b · sign(v) · ln(1 − 2|v|) has that density. (u = 0 gives ln 0,
# once in 2⁵³ draws. Section 6 is about floats.)


# %%
def laplace_mechanism(value, eps, sensitivity, generator):
    """`value` with Laplace noise of scale sensitivity / eps on each entry.

    value: float64, any shape.  eps: the privacy of the whole answer.  sensitivity: how far one record can move it (L1).
    generator: of `torch.rand(..., generator=generator, dtype=torch.float64)`.
    """
    ### BEGIN SOLUTION
    v = torch.rand(value.shape, generator=generator, dtype=torch.float64) - 0.5
    return value - sensitivity / eps * v.sign() * (1 - 2 * v.abs()).log()
    ### END SOLUTION


laplace_mechanism = check("13.laplace_mechanism", laplace_mechanism)

# %% [markdown]
# Attack it as well as can be. You know all records but Bea's, so you know that the count is 158 without her. A benign tumour adds
# nothing, as if she were not there. The noisy answer is above 158.5: you say *malignant*. Your **advantage** is how often you say
# so when it is, minus how often when it is not: a = t − f. Privacy says t ≤ e^ε f, and of the opposite answer 1 − f ≤ e^ε (1 −
# t). Add both: 1 + a ≤ e^ε (1 − a). So for any mechanism and any attacker
#
# $$ a \le \frac{e^{\varepsilon} - 1}{e^{\varepsilon} + 1} = \tanh(\varepsilon / 2). $$
#
# (With δ, which is 0 here, e^ε − 1 + 2δ stands above.)

# %%
draw = runtime.generator(2)
others = torch.full((40_000,), 158.0, dtype=torch.float64)  # the same question, in 40,000 possible worlds
advantage = {}
for eps in (0.1, 0.5, 1.0, 2.0):
    says = [(laplace_mechanism(others + bea, eps, 1.0, draw) > 158.5).double().mean().item() for bea in (1, 0)]
    advantage[eps] = says[0] - says[1]
    print(f"ε = {eps}: advantage {advantage[eps]:.3f} ± 0.004; Laplace's own limit {1 - math.exp(-eps / 2):.3f}; "
          f"any mechanism's {math.tanh(eps / 2):.3f}")  # fmt: skip
claim("The attacker reaches what is possible against Laplace noise, 1 − exp(−ε/2), within 0.02",
      all(abs(got - (1 - math.exp(-eps / 2))) < 0.02 for eps, got in advantage.items()))  # fmt: skip
claim("At ε = 0.1 that is an advantage below 0.07", advantage[0.1] < 0.07, f"{advantage[0.1]:.3f}")

# %% [markdown]
# Two neighbouring databases, with Bea and without. Move ε, and change the mechanism. **Geometric** noise is Laplace noise in
# whole numbers. Which of the three leaves the attacker exactly the bound?

# %%
explore(
    scene.two_neighbours(158),
    eps=(0.1, 4.0, 0.1, 1.0), mechanism=["Laplace", "Geometric", "Gaussian"], labels={"eps": "ε"},
    caption="Left: the answers of two neighbouring databases. Right: the best attacker, and what ε allows.",
)  # fmt: skip

# %% [markdown]
# The geometric mechanism uses up all that ε allows: its corner lies on the bound. Gaussian noise has thin tails, where one
# database becomes arbitrarily much likelier than the other: no ε is enough, hence the δ of 10⁻⁵. (It is too far
# out to see: choose Gaussian, and read where under the picture.)
#
# ### Exercise 2: nobody is trusted
#
# The clinic sees the data. What if patients trust nobody? Each tells the truth with probability p = e^ε / (1 + e^ε), else the
# opposite (Warner, 1965). Anybody may then see the answers. Neighbours differ in one person's answer, changed. What is p for ε =
# ln 3?


# %%
def randomised_response(bits, eps, generator):
    """Each bit as it is with probability e^eps / (1 + e^eps), else its opposite.

    bits: bool, any shape.  Returns bool of the same shape.  generator: of `torch.rand(..., generator=generator)`.
    """
    ### BEGIN SOLUTION
    truthful = torch.rand(bits.shape, generator=generator) < 1 / (1 + math.exp(-eps))
    return torch.where(truthful, bits, ~bits)
    ### END SOLUTION


randomised_response = check("13.randomised_response", randomised_response)

# %% [markdown]
# The share of *yes* is off, but in a known way: from p and it, the number of ill people is estimated without bias. Compare
# the errors of both models at ε = ln 3. Guess how many times larger the error is without a clinic that all trust.

# %%
draw, eps = runtime.generator(3), math.log(3)
p = 1 / (1 + math.exp(-eps))
surveys = randomised_response(sick.expand(2000, 426), eps, draw)  # the same survey, 2,000 times
estimates = (surveys.double().sum(1) - (1 - p) * 426) / (2 * p - 1)
central = laplace_mechanism(torch.full((2000,), float(sick.sum()), dtype=torch.float64), eps, 1.0, draw)
error = {"each patient": estimates, "the clinic": central}
error = {name: (noisy - sick.sum()).square().mean().sqrt().item() for name, noisy in error.items()}
for name, rms in error.items():
    print(f"{name} adds the noise: the count of {int(sick.sum())} is off by {rms:.1f}")
claim("Without trust, the error is more than ten times as large",
      error["each patient"] > 10 * error["the clinic"])  # fmt: skip

# %% [markdown]
# Each patient's noise counts: of n people, the error is √(n p (1 − p)) / (2p − 1), here 0.87 √n. The clinic's is √2 / ε for any
# n. That is the price of trusting nobody.
#
# ## 3 · Ask again
#
# One answer at ε = 0.3 hides Bea well. You are patient: you ask 256 times, and average. Another clinic has
# a **budget** of 0.3 for all answers together, so k of them get ε = 0.3 / k each.

# %%
draw = runtime.generator(4)
repeats, trials = [1, 4, 16, 64, 256], 6000


def averaged(k, eps):
    """The advantage of an attacker who averages k answers at eps each."""
    worlds = torch.full((trials, k), 158.0, dtype=torch.float64)
    says = [(laplace_mechanism(worlds + bea, eps, 1.0, draw).mean(1) > 158.5).double().mean().item() for bea in (1, 0)]
    return says[0] - says[1]


careless = [averaged(k, 0.3) for k in repeats]
careful = [averaged(k, 0.3 / k) for k in repeats]
figures.curves(
    repeats,
    {
        "ε = 0.3 each": careless, "bound, 0.3 each": [math.tanh(0.3 * k / 2) for k in repeats],
        "ε = 0.3 in all": careful, "bound, 0.3 in all": [math.tanh(0.15)] * 5,
    },
    xlabel="answers that are averaged", ylabel="advantage", log="x",
    caption="The attacker who averages, against fresh noise each time and against a budget.",
)  # fmt: skip
claim("With fresh noise at ε = 0.3, 256 answers give Bea away: an advantage above 0.85", careless[-1] > 0.85,
      f"{careless[-1]:.2f}")  # fmt: skip
claim("With a budget of 0.3, averaging gains nothing: the bound for 0.3 holds for any k, within 0.02",
      max(careful) < math.tanh(0.15) + 0.02, f"{careful[0]:.2f} with 1, {careful[-1]:.2f} with 256")  # fmt: skip

# %% [markdown]
# The same holds for different questions, for other analysts, and for next year's release. Privacy is **spent**: what is left has
# to be counted over everything that is ever published from these records.
#
# ### Exercise 3: composition
#
# *Basic*: k answers at ε each are kε-private. *Advanced* (Dwork, Rothblum & Vadhan, 2010): for any small δ they are also (ε′, δ)-
# private, with
#
# $$ \varepsilon' = \varepsilon \sqrt{2 k \ln(1/\delta)} + k\, \varepsilon\, (e^{\varepsilon} - 1). $$


# %%
def compose(eps, count, delta):
    """What `count` answers cost together, each of them eps-private: (basic, advanced).

    basic: the epsilon at delta 0.  advanced: the epsilon at `delta`, by the formula above, even where basic is smaller.
    """
    ### BEGIN SOLUTION
    spread = eps * math.sqrt(2 * count * math.log(1 / delta))
    return count * eps, spread + count * eps * (math.exp(eps) - 1)
    ### END SOLUTION


compose = check("13.compose", compose)

# %%
for k in (10, 100, 1000):
    basic, advanced = compose(0.1, k, 1e-5)
    print(f"{k} answers at ε = 0.1: basic {basic:.1f}, advanced {advanced:.2f} at δ = 10⁻⁵")
claim("100 answers at 0.1 cost 5.85 at δ = 10⁻⁵ instead of 10", abs(compose(0.1, 100, 1e-5)[1] - 5.850235) < 1e-5)
claim("For 10 answers, basic composition is the better bound", compose(0.1, 10, 1e-5)[0] < compose(0.1, 10, 1e-5)[1])

# %% [markdown]
# Both are true, so take the smaller. A thousand answers still cost 26. There is a better way to count.
#
# ## 4 · Thousands of steps
#
# Training asks thousands of questions: each step publishes a noisy sum of gradients. For vectors one takes **Gaussian** noise,
# whose sensitivity is a length (L2). How much? The textbook says σ = √(2 ln(1.25/δ)) / ε, which is proved for ε < 1 only. The
# exact rule (Balle & Wang, 2018): noise σ is (ε, δ)-private at sensitivity 1 just when
#
# $$ \Phi\!\Big(\frac{1}{2\sigma} - \varepsilon\sigma\Big) - e^{\varepsilon}\, \Phi\!\Big({-\frac{1}{2\sigma}} - \varepsilon\sigma\Big) \;\le\; \delta. $$
#
# ### Exercise 4: just enough noise
#
# The left side falls as σ grows. Find the smallest σ by bisection. End on the side that keeps the promise.


# %%
def gaussian_sigma(eps, delta, sensitivity=1.0):
    """The smallest standard deviation that makes one Gaussian answer (eps, delta)-private, to a relative 1e-9.

    It scales with the sensitivity. `Phi(z)` is the normal distribution function.
    """

    def Phi(z):
        return math.erfc(-z / math.sqrt(2)) / 2

    ### BEGIN SOLUTION
    def spent(sigma):
        return Phi(0.5 / sigma - eps * sigma) - math.exp(eps) * Phi(-0.5 / sigma - eps * sigma)

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
for eps in (0.1, 1.0, 10.0):
    rule = math.sqrt(2 * math.log(1.25 / 1e-5)) / eps
    print(f"ε = {eps}: σ = {gaussian_sigma(eps, 1e-5):.3f}, textbook {rule:.3f}, "
          f"which spends {privacy.gaussian_epsilon(rule, 1e-5):.2f}")  # fmt: skip
claim("At ε = 1 the exact noise is 3.73, 23 % less than the textbook's", abs(gaussian_sigma(1, 1e-5) - 3.730632) < 1e-5)
claim(
    "At ε = 10 the textbook's noise is too little: it spends more than 10.3",
    privacy.gaussian_epsilon(rule, 1e-5) > 10.3,
)

# %% [markdown]
# Too much where it is proved, and far beyond; above ε = 8, too little. Exact noise is the first of three savings.
#
# The second is **sampling**. A step looks at a random part only: each record is in it with probability q, by a coin of
# its own (a **Poisson sample**). Mostly Bea is not there, and an (ε, δ)-private step costs only ln(1 + q(e^ε − 1)), at qδ.
#
# The third is a better ledger. For an output a of A(D), the **privacy loss** is L = ln(P[A(D) = a] / P[A(D′) = a]). Losses of
# steps add up, but which L occurs is chance: ε charges the worst of it each time. **Rényi** differential privacy (Mironov, 2017)
# charges an average, ln E[e^((α−1)L)] / (α − 1), with the weight on large losses rising with the **order** α > 1; of D and D′ in
# either role, the worse. If each step's average is bounded whatever the steps before it gave, then over T steps these logarithms
# add up too.
#
# For two normal densities, 1 apart and σ wide, the k-th power of their quotient has the mean e^(k(k−1)/2σ²). A sampled step mixes
# them, (1 − q) to q. So for whole α, at sensitivity 1 (Mironov, Talwar & Zhang, 2019), it has
#
# $$ R(\alpha) = \frac{1}{\alpha - 1} \ln \sum_{k=0}^{\alpha} \binom{\alpha}{k} (1-q)^{\alpha-k} q^k\, e^{k(k-1)/2\sigma^2}. $$

# %% [markdown]
# ### Exercise 5: the ledger
#
# At the end, convert. Any order gives a valid ε (Canonne, Kamath & Steinke, 2020), so take the smallest, and never less than 0:
#
# $$ \varepsilon = \min_{\alpha}\; T R(\alpha) + \ln\Big(1 - \frac{1}{\alpha}\Big) - \frac{\ln \delta + \ln \alpha}{\alpha - 1}. $$
#
# The trap: at α = 256 and σ = 0.5, the last factor reaches e^130,560. Stay with logarithms: `torch.logsumexp`, and `torch.lgamma`
# for ln k!.


# %%
def rdp_epsilon(q, sigma, steps, delta, orders=range(2, 257)):
    """Epsilon at delta of `steps` steps of the sampled Gaussian mechanism, by Rényi accounting over whole orders.

    q: in (0, 1], the probability that a record is in a step's sample.  sigma: the noise over the sensitivity.
    """
    ### BEGIN SOLUTION
    best = math.inf
    for alpha in orders:
        k = torch.arange(alpha + 1, dtype=torch.float64)
        choose = math.lgamma(alpha + 1) - torch.lgamma(k + 1) - torch.lgamma(alpha - k + 1)
        stay = torch.xlogy(alpha - k, torch.tensor(1 - q, dtype=torch.float64))  # 0 · ln 0 is 0
        terms = choose + stay + k * math.log(q) + k * (k - 1) / (2 * sigma**2)
        spent = steps * terms.logsumexp(0).item() / (alpha - 1)
        best = min(best, spent + math.log(1 - 1 / alpha) - math.log(delta * alpha) / (alpha - 1))
    return max(best, 0.0)
    ### END SOLUTION


rdp_epsilon = check("13.rdp_epsilon", rdp_epsilon)

# %% [markdown]
# ### The headline figure
#
# One training run, counted four ways: 60,000 records, samples of 256 on average, σ = 1.1, δ = 10⁻⁵. *Classic* is Rényi accounting
# with the conversion of the first papers, *improved* is yours. **PLD** follows the whole **privacy-loss distribution**, that of
# L, by Google's library; it is the tightest. The fourth is *advanced composition*, with the gain from sampling in each step.
# Guess what it says after 14,062 steps (60 passes over the data), if PLD says 2.4.


# %% tags=["headline"]
def advanced(q, sigma, steps, delta):
    """Sampled steps, each private by itself, composed: half of δ is shared among the steps, half is the formula's."""
    step = privacy.gaussian_epsilon(sigma, delta / (2 * q * steps))
    sampled = math.log1p(q * math.expm1(step))
    return min(compose(sampled, steps, delta / 2))


q, sigma, delta = 256 / 60_000, 1.1, 1e-5
lengths = [100, 500, 2000, 6000, 14_062]
costs = {
    "RDP, classic": [privacy.rdp_epsilon(q, sigma, T, delta, "classic") for T in lengths],
    "RDP, improved": [rdp_epsilon(q, sigma, T, delta) for T in tqdm(lengths, desc="your accountant", leave=False)],
    "PLD": [privacy.pld_epsilon(q, sigma, T, delta) for T in tqdm(lengths, desc="PLD", leave=False)],
}
figures.curves(
    lengths, costs, xlabel="steps", ylabel="ε at δ = 10⁻⁵", log="x", ylim=(0, 3.2),
    caption="Add or remove one record, Poisson samples, q = 256/60,000, σ = 1.1. Same run, same noise; lower is a better proof.",
)  # fmt: skip
costs["advanced composition"] = [advanced(q, sigma, T, delta) for T in lengths]  # far above this figure
for name, values in costs.items():
    print(f"{name}: ε = {values[-1]:.2f} after {lengths[-1]:,} steps")
claim("Classic conversion says 3.01, improved 2.60, PLD 2.38",
      all(abs(costs[name][-1] - want) < 0.01 for name, want in
          (("RDP, classic", 3.0083), ("RDP, improved", 2.5966), ("PLD", 2.3817))))  # fmt: skip
claim("At each length classic > improved > PLD, and advanced composition says more than ten times as much as PLD",
      all(a > b > c and d > 10 * c for a, b, c, d in zip(*costs.values(), strict=True)))  # fmt: skip

# %% [markdown]
# The run is the same; only the **proof** got better. All four are upper bounds, and true, even 3,475: one step may cost 0.43, so
# advanced composition charges each of the 14,062 about ¼, when most cost next to nothing. A smaller ε that is proved costs
# nothing, so use the best accountant that covers *your* sampling: none of these is valid for shuffled batches of fixed size.

# %%
for rate, spread, steps in ((0.01, 4.0, 10_000), (0.04, 1.5, 2250)):
    by = [privacy.rdp_epsilon(rate, spread, steps, 1e-5, how) for how in ("classic", "improved")]
    print(f"q = {rate}, σ = {spread}, {steps:,} steps: classic {by[0]:.2f}, improved {by[1]:.2f}, "
          f"PLD {privacy.pld_epsilon(rate, spread, steps, 1e-5):.2f}")  # fmt: skip
    claim("The library's RDP and yours agree to 1 %", abs(rdp_epsilon(rate, spread, steps, 1e-5) / by[1] - 1) < 0.01)

# %% [markdown]
# ## 5 · The reconstruction, against a budget
#
# Back to section 1. Again 480 questions, but the clinic now spends one ε on all of them. Who is in the 120 is public, so
# neighbours differ in one diagnosis, changed. That moves the answer of each group that holds the person by 1. Nobody is in more
# than all 480, so the answers together move by a length of at most √480. Your function says how much noise is enough.
#
# You attack twice: by least squares, as before, and knowing that 37 % of tumours are malignant. Then each unknown starts
# there, and leaves only as far as the answers insist.


# %%
def informed(secret, sigma, draw):
    """`reconstruct`, by one who knows the share of malignant tumours."""
    share = 1 - majority
    groups = torch.randint(2, (questions, n), generator=draw).double()
    answers = groups @ secret + sigma * torch.randn(questions, generator=draw, dtype=torch.float64)
    pull = sigma / math.sqrt(share * (1 - share)) * torch.eye(n, dtype=torch.float64)  # n more equations: x = share
    known = torch.cat([answers - share * groups.sum(1), torch.zeros(n, dtype=torch.float64)])
    solved = share + torch.linalg.lstsq(torch.cat([groups, pull]), known[:, None]).solution[:, 0]
    return ((solved > 0.5) == (secret > 0.5)).double().mean().item()


def knows_the_others(sigma):
    """How often one is right who knows all other diagnoses: 240 answers show one bit, and 37 % are malignant."""
    apart, normal = math.sqrt(questions / 2) / sigma, Normal(0.0, 1.0)
    cut = apart / 2 + math.log(majority / (1 - majority)) / apart
    benign, malignant = normal.cdf(torch.tensor([cut, apart - cut])).tolist()
    return majority * benign + (1 - majority) * malignant


# %%
draw = runtime.generator(5)
budgets = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
noise = {eps: gaussian_sigma(eps, 1e-5, math.sqrt(questions)) for eps in budgets}
attacked, better = ([sum(attack(secret, noise[eps], draw) for secret in secrets * 4) / 40 for eps in budgets]
                    for attack in (reconstruct, informed))  # fmt: skip
others = [knows_the_others(noise[eps]) for eps in budgets]
allowed = [max(majority + 1e-5, (math.exp(eps) + 1e-5) / (math.exp(eps) + 1)) for eps in budgets]
figures.curves(
    budgets,
    {"least squares": attacked, "… knowing the share": better, "… and all the others": others,
     "always “benign”": [majority] * 6, "what ε and δ allow": allowed},
    xlabel="ε for all 480 answers, δ = 10⁻⁵", ylabel="diagnoses that are right", percent=True, log="x",
    caption="Ten clinics, each attacked four times. Nothing is known of a person beforehand but the share of 37 %.",
)  # fmt: skip
print("noise on each count:", ", ".join(f"{noise[eps]:.1f} at ε = {eps:g}" for eps in budgets))
claim("At ε = 1 least squares is worse than saying “benign” of everybody, and the better attack hardly above it",
      attacked[1] < majority and better[1] < majority + 0.02, f"{attacked[1]:.0%} and {better[1]:.0%} against {majority:.0%}")  # fmt: skip
claim("At ε = 10 the better attack beats it by more than 3 points; who knows all the others is right about fewer than 80 %",
      better[3] > majority + 0.03 and others[3] < 0.8, f"{better[3]:.0%} and {others[3]:.0%}")  # fmt: skip
claim("At ε = 100 all are right about more than 95 %", min(attacked[5], better[5], others[5]) > 0.95)

# %% [markdown]
# See both sides. At ε = 1 these attacks fail, and **none** that knows no more of a person than the share is right about more than
# 73 %. (Who has seen the patient's scan needs no answers: that ε does not hide.) But each count is off by 80: useless. The clinic
# should ask itself which **few** questions matter: one count alone, with Gaussian noise at the same ε and δ, is off by 3.7.
#
# And see ε = 10. The pair (ε, δ) promises almost nothing, yet whoever knows *everything* else stays below 80 %: it is one point
# of a curve, and this noise keeps its promise at every other point as well. A large ε is not a hole. It is a promise not given.
# Lab 14 measures what lies between.
#
# ## 6 · The low bits
#
# A proof is about real numbers. Your mechanisms compute with floats. (A float32 coin has steps of 2⁻²⁴: above ε = 17, nobody in
# Exercise 2 ever lies.) Take Laplace noise: u has 2⁵³ possible values, so the noise has no more,
# and adding a count rounds each of them. Take a rare disease: nobody has it, or Bea alone. For a published number, try: is
# there **any** u that gives exactly this float, from a count of 0? From a count of 1? (Mironov, 2012)


# %%
def textbook(count, eps, n, generator):
    """n answers by the formula of exercise 1."""
    v = torch.rand(n, generator=generator, dtype=torch.float64) - 0.5
    return count - v.sign() * (1 - 2 * v.abs()).log() / eps


def possible(output, count, eps):
    """Whether some u gives exactly this output: the few candidates around the u that a real number would need."""
    noise = output - count
    want = (-eps * noise.abs()).exp() * 2.0**52  # of 1 − 2|v| = exp(−ε |noise|), which is a multiple of 2⁻⁵²
    found = torch.zeros_like(output, dtype=torch.bool)
    for step in range(-4, 5):  # the nearest multiple, and four on either side
        candidate = (want.round() + step) / 2.0**52
        found |= count - noise.sign() * candidate.log() / eps == output
    return found


draw = runtime.generator(6)
outputs = textbook(0, 1.0, 50_000, draw)
own, other = (possible(outputs, count, 1.0).double().mean().item() for count in (0, 1))
print(f"answers about nobody ill: possible from a count of 0: {own:.1%}, from a count of 1: {other:.1%}")
claim("Every answer is possible from its own database", own == 1.0)
claim("More than half of the answers are impossible from the other one: a proof, at an ε of 1 on paper", other < 0.5)
larger = possible(textbook(158, 0.1, 50_000, draw), 159, 0.1).double().mean().item()
claim("At a count of 158 and ε = 0.1, more than 2 % still are", larger < 0.98, f"{1 - larger:.1%}")

# %% [markdown]
# For these answers no ε is large enough: one database *cannot* have produced them. The remedy is noise that is a whole number,
# drawn exactly, with integers compared to integers. `privacy.geometric` does that (Canonne, Kamath & Steinke, 2020). Real
# statistics are rounded to a grid first. Whole numbers have no low bits. That they also come at the odds promised is worth a
# look: on −2 … 3, each from both.

# %%
draw = runtime.generator(7)
drawn = [privacy.geometric(torch.full((200_000,), c), 1.0, 1, generator=draw) for c in (0, 1)]
shares = torch.stack([torch.stack([(z == k).double().mean() for k in range(-2, 4)]) for z in drawn])
odds = shares[0] / shares[1]
print("P[k | nobody] / P[k | Bea] for k = −2 … 3:", ", ".join(f"{o:.2f}" for o in odds.tolist()))
claim("All odds are e or 1/e, within a tenth", ((odds.log().abs() - 1).abs() < 0.1).all())

# %% [markdown]
# ## 7 · What is guaranteed

# %%
guarantee(
    holds="For any attacker, with any knowledge and computing power, now or later: whatever comes of the answers is at most e^ε times "
    "as likely, plus δ, with one record more or less. **Nothing that is done with the answers afterwards** changes that.",
    does_not="An ε without its **δ**, its **neighbours** (added, removed or replaced), its **unit** (a record? a person with many "
    "records?) and its **sampling** says nothing. Facts about the **population** are not hidden: if smoking causes cancer, the study "
    "says so of smokers who took no part. Floats, clocks and known seeds are outside the proof.",
    adapts="By asking again, and averaging: the budget counts that. By reading low bits: use whole noise. By pooling what other "
    "institutions publish about the same people: add up the ε of all.",
    cost="Noise of about 1/ε on a count, whatever its size: small for many people, ruinous for few; noise that grows like √n if nobody "
    "is trusted; and an end of all answers when the budget is spent.",
)

# %% [markdown]
# ### Spot the broken experiment
#
# A colleague has a faster accountant. "Many small losses add up to a Gaussian, says the central limit theorem. So T sampled steps
# are *one* Gaussian mechanism, with 1/σ′ = q √(T (exp(1/σ²) − 1)). At q = 0.01, σ = 0.7, δ = 10⁻⁵ I get a smaller ε than any of
# yours. We could train longer!" Look at 50 steps. Is this the best accountant of all, or what is wrong?

# %%
q, sigma, delta = 0.01, 0.7, 1e-5


def central_limit(steps):
    """The colleague's ε."""
    return privacy.gaussian_epsilon(1 / (q * math.sqrt(steps * math.expm1(1 / sigma**2))), delta)


lengths = [1, 10, 50, 200, 1000, 5000]
ledger = {
    "RDP, improved": [privacy.rdp_epsilon(q, sigma, T, delta) for T in lengths],
    "PLD": [privacy.pld_epsilon(q, sigma, T, delta) for T in tqdm(lengths, desc="PLD", leave=False)],
    "the colleague": [central_limit(T) for T in lengths],
}
figures.curves(lengths, ledger, xlabel="steps", ylabel="ε at δ = 10⁻⁵", log="xy",
               caption="q = 0.01, σ = 0.7: three accountants of the same run.")  # fmt: skip

# %% tags=["student-only"]
# Your test here: what is known exactly, with which you can compare the colleague's number?

# %% tags=["solution-only"]
said = central_limit(50)
truth = q * privacy.gaussian_delta(math.log1p(math.expm1(said) / q), sigma)  # of the first step alone, in closed form
print(f"50 steps are said to cost ε = {said:.2f} at δ = 1e-5; the first step alone has δ = {truth:.1e} there")
claim("At the ε that is claimed for 50 steps, the first step alone exceeds δ", truth > 1.5 * delta, f"{truth:.1e}")
claim(
    "The number lies below PLD at every length",
    all(g < p for g, p in zip(ledger["the colleague"], ledger["PLD"], strict=True)),
)

# %% [markdown]
# <details><summary>Hint</summary>
#
# One step can be computed exactly. With Bea its output has the density (1 − q) N₀ + q N₁, without her N₀. What exceeds e^ε times
# the second is q [N₁ − e^x N₀], with x = ln(1 + (e^ε − 1) / q): so its δ at ε is q times `privacy.gaussian_delta(x, sigma)`. Can
# 50 steps cost less than the first of them?
#
# </details>
#
# <details><summary>Answer</summary>
#
# It is not a bound. The central limit theorem is about the **middle** of a distribution, after many steps. δ lives in the
# **tail**, where one unlucky sample with Bea in it weighs most. At 50 steps the claimed ε is less than what the *first step*
# costs by itself, in closed form, and looking at more can never cost less. With many steps the number comes close to the truth,
# and after some 25,000 it lies above. (Gaussian differential privacy itself is sound; the *limit* is the guess.) Being lower than
# a bound is no merit: ask for the **proof**, not for the number.
#
# </details>

# %% [markdown]
# ## 8 · Quiz

# %%
quiz("13")

# %% [markdown]
# ### Further reading
#
# * C. Dwork, A. Roth, 2014, *The Algorithmic Foundations of Differential Privacy*. The textbook; free.
# * C. Dwork, F. McSherry, K. Nissim, A. Smith, 2006, *Calibrating Noise to Sensitivity in Private Data Analysis*.
# * I. Dinur, K. Nissim, 2003, *Revealing Information While Preserving Privacy*. The reconstruction of section 1.
# * S. Garfinkel, J. Abowd, C. Martindale, 2018, *Understanding Database Reconstruction Attacks on Public Data*. At a census.
# * B. Balle, Y.-X. Wang, 2018, *Improving the Gaussian Mechanism for Differential Privacy*.
# * I. Mironov, 2012, *On Significance of the Least Significant Bits for Differential Privacy*.
# * I. Mironov, K. Talwar, L. Zhang, 2019, *Rényi Differential Privacy of the Sampled Gaussian Mechanism*.
# * J. Dong, A. Roth, W. Su, 2022, *Gaussian Differential Privacy*. What holds, and the limit that the colleague took for a bound.
# * C. Canonne, G. Kamath, T. Steinke, 2020, *The Discrete Gaussian for Differential Privacy*.
# * J. Near, D. Darais, N. Lefkovitz, G. Howarth, 2025, *Guidelines for Evaluating Differential Privacy Guarantees*, NIST SP 800-226.
#   What to ask of a claim.
#
# To see how the library writes these, open `modelsec_course/privacy/mechanisms.py`, `discrete.py` and `accounting.py`.

# %%
finish("13")
