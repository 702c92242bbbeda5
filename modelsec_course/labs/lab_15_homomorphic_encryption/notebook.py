# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 15 · Homomorphic encryption

# %%
import math
import secrets
import time

import numpy as np
from IPython.display import Markdown, display
from torch import nn
from tqdm.auto import tqdm

from modelsec_course import data, encryption, models, runtime, training, zoo
from modelsec_course.encryption import paillier, recovery
from modelsec_course.lab import check, claims, explore, figures, guarantee
from modelsec_course.lab import finish, predict, quiz, start, threat
from modelsec_course.lab.words import number, percent
from modelsec_course.labs.lab_15_homomorphic_encryption import scene

start("15")

# %%
threat.card("15")

# %% [markdown]
# ## 1 · The idea
#
# A hospital has a patient's 30 measurements. A company has a model that tells malignant tumours from benign ones. The hospital may
# not show the measurements, and the company does not give the model away. Can the company compute a score from numbers that it
# cannot read?
#
# Most encryption leaves nothing to compute with. **Homomorphic encryption** keeps one kind of structure: you compute on ciphertexts, and
# what is inside is computed along. Paillier's scheme (1999) keeps **sums**. Its secret key is two primes of one length, $p$ and $q$; its
# public key is $n = pq$. To encrypt $m$, a whole number from 0 to $n - 1$, draw a random $r$ and take
#
# $$ c = (n + 1)^m \, r^n \bmod n^2. $$
#
# Multiply two ciphertexts: the exponents add up, and so do the messages; and $r_1^n r_2^n = (r_1 r_2)^n$ is a mask of the same kind.
#
# Why is it secret? Nobody knows a fast way to find $p$ and $q$ from a large $n$. And without them, as far as anybody knows, $r^n$ cannot
# be told from any other invertible number modulo $n^2$: it hides the message.
#
# ### Exercise 1: hide a number
#
# By the binomial theorem $(n + 1)^m = 1 + mn$, modulo $n^2$: every other term has $n^2$ as a factor. Python's `pow(a, b, m)` is
# $a^b \bmod m$; `a**b % m` would write the whole power down first, and with a real key that never ends.


# %%
def encrypt(n, message, r):
    """Paillier's ciphertext of `message`: (n + 1)^message · r^n, modulo n².

    n, message, r: whole numbers, message in [0, n), r in (0, n).  Returns an int.
    """
    ### BEGIN SOLUTION
    return (1 + message * n) * pow(r, n, n * n) % (n * n)
    ### END SOLUTION


encrypt = check("15.encrypt", encrypt)

# %% [markdown]
# Is the random $r$ needed? Try without: take $r = 1$, and read the message without any key.

# %%
n = 293 * 433  # tiny: in earnest each prime has more than 300 digits
dice = [r for r in (secrets.randbelow(n) for _ in range(300)) if math.gcd(r, n) == 1]
bare = [(encrypt(n, m, 1) - 1) // n for m in range(200)]
hidden = [
    (encrypt(n, m, r) - 1) // n for m, r in zip(range(200), dice[:200], strict=True)
]
read = sum(got == m for m, got in enumerate(hidden))

# %%
claims(
    (
        "Without r anybody reads all 200 messages: (c − 1) / n",
        bare == list(range(200)),
    ),
    ("With a random r the same formula reads fewer than 5", read < 5, f"{read} of 200"),
    (
        "One message, encrypted 200 times, gives at least 190 different ciphertexts",
        len({encrypt(n, 7, r) for r in dice[:200]}) >= 190,
    ),
)

# %% [markdown]
# ### Exercise 2: read it with the primes
#
# Whoever knows $p$ and $q$ can compute $\lambda = \text{lcm}(p - 1, q - 1)$. For every $r$ without a divisor in common with $n$,
# $r^{n \lambda} = 1$ modulo $n^2$. So $c^\lambda = 1 + \lambda m n$, modulo $n^2$: take 1 off, divide by $n$, and divide by $\lambda$
# modulo $n$.


# %%
def decrypt(p, q, ciphertext):
    """The message, from 0 to p q − 1.

    p, q: the primes.  ciphertext: as `encrypt(p * q, …)` makes it.  Returns an int.
    `pow(a, -1, n)` is the inverse of a modulo n.
    """
    ### BEGIN SOLUTION
    n = p * q
    lam = math.lcm(p - 1, q - 1)
    return (pow(ciphertext, lam, n * n) - 1) // n * pow(lam, -1, n) % n
    ### END SOLUTION


decrypt = check("15.decrypt", decrypt)

# %%
three, four = encrypt(n, 3, dice[0]), encrypt(n, 4, dice[1])
figures.table(
    [
        ("3", three, decrypt(293, 433, three)),
        ("4", four, decrypt(293, 433, four)),
        ("their product", three * four % n**2, decrypt(293, 433, three * four % n**2)),
        ("that of 4, cubed", four**3 % n**2, decrypt(293, 433, four**3 % n**2)),
    ],
    ["ciphertext of", "what everybody sees", "what the key reads"],
    "A product of ciphertexts holds the sum, and a power holds a multiple.",
)

# %%
claims(
    ("The product holds 7", decrypt(293, 433, three * four % n**2) == 7),
    ("The ciphertext of 4, cubed, holds 12", decrypt(293, 433, four**3 % n**2) == 12),
)

# %% [markdown]
# ## 2 · A score from numbers that nobody reads
#
# Measurements are fractions, and some are negative. So write $x$ as the whole number nearest to $2^{16} x$, modulo $n$. A negative
# one becomes a number just below $n$. The product of two such numbers has 32 bits after the point. And a sum can grow: what lies
# in the **middle third** may be either, so there the sign is lost.
#
# ### Exercise 3: signs and fractions


# %%
def decode(number, n, bits):
    """The real number that `number`, in [0, n), stands for.

    bits: how many there are after the point.
    Up to n // 3 it is positive; from n - n // 3 on, negative.
    Raises OverflowError between.
    """
    ### BEGIN SOLUTION
    if number <= n // 3:
        return number / 2**bits
    if number < n - n // 3:
        raise OverflowError("more than a third of n: the sign is lost")
    return (number - n) / 2**bits
    ### END SOLUTION


decode = check("15.decode", decode)

# %% [markdown]
# ### Exercise 4: a score that you cannot read
#
# You are the company. A linear score is $\sum_i w_i m_i + b$, with whole weights, some of them negative. You have ciphertexts of the
# $m_i$, but never the $m_i$ themselves. A power multiplies what is inside, and a negative one works too: `pow(c, -3, n**2)`. To add
# $b$, multiply by $1 + bn$. Multiply at the end by $r^n$, a fresh encryption of 0: section 3 says why.


# %%
def encrypted_score(n, ciphertexts, weights, bias, r):
    """A ciphertext of Σ weight · message + bias, modulo n.

    ciphertexts, weights: of one length.  weights, bias: whole numbers of either sign.
    r: a random number that nobody else knows; its n-th power makes the answer fresh.
    """
    ### BEGIN SOLUTION
    total = (1 + bias * n) * pow(r, n, n * n)
    for ciphertext, weight in zip(ciphertexts, weights, strict=True):
        total = total * pow(ciphertext, weight, n * n) % (n * n)
    return total % (n * n)
    ### END SOLUTION


encrypted_score = check("15.encrypted_score", encrypted_score)

# %% [markdown]
# Now with a key that is thought safe, of 2,048 bits, and a real patient.

# %%
guess_size = predict(
    "15.size",
    "A row of 30 numbers takes 240 bytes. How many times longer is it once encrypted?",
    low=1,
    high=200,
    step=1,
)

# %%
tumours, net = data.load("tumours"), zoo.load("tumours-logistic", device="cpu")
normalise, last = net[0], net[1]
patients = normalise(tumours.x_test).double().numpy()  # 143 rows, 30 features
# the score is the logit of "malignant", class 0, minus that of "benign"
weights = (last.weight[0] - last.weight[1]).double().detach().numpy()
bias = (last.bias[0] - last.bias[1]).item()

hospital = paillier.keygen(2048)
key, n = hospital, hospital.public.n
code = encryption.FixedPoint(n, bits=16)
row = [paillier.encrypt(hospital, code.encode(value)) for value in patients[0]]


def fresh():
    """A random r. (One that has a divisor in common with n would give the key away.)"""
    return 2 + secrets.randbelow(n - 2)


whole = [code.signed(weight) for weight in weights]  # small negative numbers stay so
# products have 32 bits after the point (power=2), so the bias must have 32 as well
answer = encrypted_score(n, row, whole, code.signed(bias, power=2), fresh())
score = decode(decrypt(key.p, key.q, answer), n, 32)
clear = float(patients[0] @ weights + bias)
longer = sum((c.bit_length() + 7) // 8 for c in row) / 240

# %%
claims(
    (
        "The hospital reads the score of the plaintext model, to three decimals",
        abs(score - clear) < 1e-3,
        f"{score:.4f} and {clear:.4f}",
    ),
    (
        "The row is more than 50 times as long",
        longer > 50,
        f"{longer:.0f} times",
        guess_size,
    ),
)

# %% [markdown]
# ## 3 · Who is protected from whom?
#
# The company never sees the row. What does the hospital see of the **model**? It encrypted the row, so it knows every $r_i$. Without
# the fresh $r$ it could guess the weights, compute the ciphertext that they would give, and compare. With it, all that is left is the
# score. Is that harmless?
#
# You are the hospital, and a row is what you say it is. The company cannot look. Write $2^{60}$ to the power of $i$ in the place of
# feature $i$, and ask once.

# %%
n = key.public.n
powers = [paillier.encrypt(key, 2 ** (60 * (i + 1))) for i in range(30)]
whole_bias = code.signed(bias, power=2)
answer = encrypted_score(n, powers, whole, whole_bias, fresh())
inside = decrypt(key.p, key.q, answer)
inside = inside - n if inside > n // 2 else inside
stolen = []
for _ in range(31):  # the last 60 bits are the bias, the next the first weight, ...
    digit = (inside + 2**59) % 2**60 - 2**59
    stolen.append(digit)
    inside = (inside - digit) >> 60

# %%
# A stranger on the line multiplies one ciphertext by an encryption of 1: one feature is
# larger by 1, so the score is larger by one weight.
row[0] = row[0] * paillier.encrypt(key.public, code.encode(1.0)) % n**2
moved = encrypted_score(n, row, whole, whole_bias, fresh())
shift = decode(decrypt(key.p, key.q, moved), n, 32) - score

# %%
claims(
    (
        "One encrypted score gives the hospital all 30 weights and the bias, exactly",
        stolen == [whole_bias, *whole],
    ),
    (
        "A stranger with only the public key moves a score by just one weight",
        abs(shift - weights[0]) < 1e-3,
        f"{shift:.4f}, and the weight is {weights[0]:.4f}",
    ),
)

# %% [markdown]
# So the encryption protects the **inputs from the server**. It does not protect the model from the client, who may ask what it likes:
# lab 09's attacks are cheaper here, since nobody can check a row that nobody can read. Nor does it say that a score is right: whoever is
# on the line can change what is inside, and the company can send back any number.
#
# ## 4 · Thousands of rows at once
#
# Paillier's numbers are long, and it only adds. **CKKS** (Cheon and others, 2017) also multiplies ciphertexts, and packs thousands of
# numbers into one. A ciphertext is two polynomials of $N$ coefficients, modulo a product of primes: the **chain**. It holds $N/2$
# numbers, and $N$ is the degree of the **ring**. Two things are new.
#
# * It is **approximate**. Numbers are multiplied by a scale, $2^{36}$ for instance, and rounded. A little noise is added, as a part of
#   the encryption: it is what keeps the message secret, and it lies in the last bits.
# * It has a **depth**. A product has the scale squared; one prime of the chain is divided out to bring it back. When the chain is used
#   up, you cannot multiply any more.
#
# A longer chain needs a larger ring. The limit is on the bits of all primes together, and leaves 128 bits of security, about $2^{128}$
# steps to break it (Bossuat and others, 2024).
#
# ### Exercise 5: plan before you compute
#
# A chain has one prime of `scale` bits for each multiplication. Before them comes one with `whole` bits more, for what is before the
# point; after them another of that size, for the keys. One multiplication, a scale of 36 bits and 14 before the point: 50, 36, 50.


# %%
def plan(depth, scale, whole, limits):
    """(N, chain): the smallest ring in which the chain is secure, and its primes' bits.

    depth: multiplications in a row.  scale: bits after the point.  whole: before it.
    limits: a dict, degree N of the ring -> the most bits that the whole chain may have.
    Raises ValueError where no ring is large enough.
    """
    ### BEGIN SOLUTION
    chain = [scale + whole] + depth * [scale] + [scale + whole]
    for n in sorted(limits):
        if sum(chain) <= limits[n]:
            return n, chain
    raise ValueError(f"{sum(chain)} bits fit into no ring")
    ### END SOLUTION


plan = check("15.plan", plan)

# %%
CKKS = encryption.available()
WRITTEN = {24: "2²⁴", 36: "2³⁶", 40: "2⁴⁰", 45: "2⁴⁵", 52: "2⁵²"}
if not CKKS:
    display(Markdown("TenSEAL has no build for this machine: CKKS is left out."))
figures.table(
    [
        (
            f"{depth} deep, scale {WRITTEN[scale]}",
            f"{n:,}",
            sum(chain),
            encryption.LIMITS[n],
        )
        for depth, scale in ((1, 24), (1, 36), (3, 36), (6, 40), (15, 45))
        for n, chain in [plan(depth, scale, 14, encryption.LIMITS)]
    ],
    ["computation", "ring N", "bits", "limit"],
    "A linear model is one multiplication deep. A hidden layer of squares is three: "
    "weights, square, weights.",
)

# %% [markdown]
# Plan one yourself. What makes the error smaller? What makes the ring larger? Find a plan that is refused. (No prime may have more than
# 60 bits, so at a large scale fewer are left before the point.)

# %%
if CKKS:
    explore(
        scene.plan_a_computation(),
        depth=(1, 8, 1, 3),
        scale=(20, 50, 2, 36),
        ring=["smallest", "4096", "8192", "16384"],
        labels={"scale": "scale, bits"},
        caption="Left: the primes of the chain, hatched where they are not spent by "
        "products. Right: the worst error so far, of N/2 numbers from −1 to 1.",
    )

# %% [markdown]
# A larger scale makes the error smaller, and every prime longer; depth makes the chain longer. Both want a larger ring, and that costs
# time.
#
# Now score patients. One ciphertext may hold one patient's **row**; then the server must add up numbers inside one ciphertext, by
# rotating it again and again, with extra keys. Or it holds **one feature of all patients**, a column. The second model has a hidden
# layer of 16 squares: a product is all that CKKS has, and a ReLU is none.


# %%
class Square(nn.Module):
    def forward(self, x):
        return x * x


def squares():
    return nn.Sequential(nn.Linear(30, 16), Square(), nn.Linear(16, 2))


network = models.initialise(squares(), runtime.generator(1))
rows = normalise(tumours.x_train)
training.fit(
    network,
    rows,
    tumours.y_train,
    epochs=40,
    generator=runtime.generator(2),
    progress=False,
)
hidden, out = network[0], network[2]
apart = (out.weight[0] - out.weight[1]).detach()
private_models = {
    "linear": encryption.Model.linear(weights, bias),
    "16 squares": encryption.Model.squares(
        hidden.weight.detach(),
        hidden.bias.detach(),
        apart,
        (out.bias[0] - out.bias[1]).item(),
    ),
}

# %%
guess_cheaper = predict(
    "15.cheaper",
    "4,096 rows share 30 ciphertexts. How many times cheaper is a row's score, for the "
    "server, than with one row in a ciphertext?",
    low=1,
    high=2000,
    step=1,
)


# %%
def measure(model, scale, layout, x):
    """What one encrypted job costs, and how far its scores are from the clear ones."""
    job = encryption.plan(model.depth, scale=scale)
    client = encryption.Client(job, layout=layout)
    server = encryption.Server(model, client.public(), job, layout=layout)
    sent = client.encrypt(x)
    begun = time.process_time()
    answers = server.answer(sent)
    took = time.process_time() - begun
    got = client.scores(answers, len(x), digits=None)  # not rounded
    want = model.plain(x)
    return {
        "ring": job.n,
        "milliseconds": 1000 * took / len(x),
        "kilobytes": sum(map(len, sent)) / len(x) / 1000,
        "keys": len(client.public()) / 1e6,
        "error": np.abs(got - want).max(),
        "same": (got > 0) == (want > 0),
    }


# %%
if CKKS:
    full = np.tile(patients, (29, 1))[:4096]  # every patient, again and again
    jobs = {
        "linear, by columns": ("linear", 36, "columns", full),
        "linear, row by row": ("linear", 36, "rows", patients[:2]),
        "one patient, by columns": ("linear", 36, "columns", patients[:1]),
        # a smaller ring: half as many numbers
        "linear, coarser scale": ("linear", 24, "columns", full[:2048]),
        "16 squares, by columns": ("16 squares", 36, "columns", full),
    }
    measured = {
        name: measure(private_models[kind], *rest)
        for name, (kind, *rest) in tqdm(jobs.items(), "jobs", leave=False)
    }
    figures.table(
        [
            (
                name,
                f"{job['ring']:,}",
                number(job["milliseconds"], 2),
                number(job["kilobytes"], 2),
                number(job["keys"], 2),
                number(job["error"], 1),
                percent(job["same"].mean(), 0),
            )
            for name, job in measured.items()
        ],
        ["job", "ring", "ms a row", "kB a row", "keys, MB", "worst error", "same"],
        "What the server computes and is sent; how far scores are from those in the "
        "clear, and how many diagnoses are the same. Two rows, one patient, and full "
        "ciphertexts otherwise: every patient again and again.",
    )

# %% [markdown]
# That was computed here, to measure it. Now in **two processes**. The hospital sends a public context and ciphertexts, as bytes; the
# company's process was started fresh, and has never had the secret key in its memory.

# %% tags=["headline"]
if CKKS:
    job, company = encryption.plan(1), private_models["linear"]
    client = encryption.Client(job)
    sent = client.encrypt(patients)
    with encryption.ServerProcess(company, job) as server:
        server.introduce(client.public())
        answers = server.answer(sent)
    scores = client.scores(answers, len(patients))
    scene.two_sides(
        patients[6],
        sent[0],
        company.plain(patients),
        scores,
        caption="One patient's row; one of the 30 ciphertexts that the server has; and "
        "the scores of all 143 patients, computed by a process that holds no key.",
    )

# %%
if CKKS:
    single = measured["linear, row by row"]
    columns = measured["linear, by columns"]
    cheaper = single["milliseconds"] / columns["milliseconds"]
    claims(
        (
            "The process without a key scores all 143 patients, to two decimals",
            np.abs(scores - company.plain(patients)).max() < 0.01,
        ),
        (
            "At a scale of 2³⁶ every row gets the diagnosis of the plaintext model",
            all(
                job["same"].all()
                for name, job in measured.items()
                if "coarser" not in name
            ),
        ),
        (
            "By columns a row is over 100 times as cheap, if ciphertexts are full",
            cheaper > 100,
            f"{cheaper:,.0f} times",
            guess_cheaper,
        ),
        (
            "For one patient alone, columns are dearer than a row",
            measured["one patient, by columns"]["milliseconds"]
            > single["milliseconds"],
        ),
        (
            "At a scale of 2²⁴ the error is more than 300 times as large",
            measured["linear, coarser scale"]["error"] > 300 * columns["error"],
        ),
    )

# %% [markdown]
# It is not the layout that is cheap, but the full ciphertext: a product costs the same, whether it works on one patient or on 4,096. (The
# library does two things beside. It multiplies weights by a factor near 1, since the primes are not exactly $2^{36}$: without it, that
# gap is a hundred times the noise. And it adds a fresh encryption of 0 to each answer, as you did in section 2.)
#
# ## 5 · The last digits
#
# A CKKS decryption is not the score. It is the score **plus the noise of the encryption**: what makes it approximate is also what makes
# it secure. Now a hospital publishes its scores, 4,096 each night, as a decryption returns them. What does the company learn?
#
# Inside, a ciphertext is a pair $(c_0, c_1)$ of vectors modulo a prime $q$, and decrypting is $c_0 + c_1 s$, entry by entry, with the
# secret key $s$. Multiply the published numbers by the scale and encode them, as everybody can: out comes $c_0 + c_1 s$ itself, noise
# and all. The company has $c_0$ and $c_1$: they are its own answer. Only $s$ is unknown.
#
# One detail is left. CKKS packs complex numbers, and a score shows the real half. So each entry of $s$ comes together with its mirror
# image $t$, and it takes **two answers**, two equations, to separate them (Li & Micciancio, 2021).
#
# ### Exercise 6: two equations, one key
#
# Solve $a s + b t = e$ and $c s + d t = f$ for $s$, modulo $q$.


# %%
def solve_for_key(first, second, q):
    """s, in [0, q), from first = (a, b, e) and second = (c, d, f).

    They say a s + b t = e and c s + d t = f, modulo the prime q.
    All are ints of about 50 bits: a float would not hold their products.
    """
    ### BEGIN SOLUTION
    (a, b, e), (c, d, f) = first, second
    return (e * d - b * f) * pow(a * d - b * c, -1, q) % q
    ### END SOLUTION


solve_for_key = check("15.solve_for_key", solve_for_key)

# %%
guess_digits = predict(
    "15.digits",
    "The hospital rounds before it publishes, at a scale of 2³⁶. What is the largest "
    "number of decimals at which this attack still finds nothing?",
    low=0,
    high=14,
    step=1,
)


# %%
def several_nights(scale, nights):
    """A client, the company's encrypted answers, and what they decrypt to."""
    job = encryption.plan(1, scale=scale)
    client = encryption.Client(job)
    server = encryption.Server(private_models["linear"], client.public(), job)
    draw = np.random.default_rng(3)
    answers, exact = [], []
    for _ in range(nights):
        batch = patients[draw.integers(143, size=job.slots)]
        answers += server.answer(client.encrypt(batch))
        exact.append(client.scores(answers[-1:], job.slots, digits=None))
    return client, answers, exact


def recovered(client, answers, published):
    """The key's entries, as the company works them out with your function."""
    nights, q = recovery.equations(client.public(), answers, published)
    pairs = zip(*nights, strict=True)
    return np.array([solve_for_key(*pair, q) for pair in pairs], dtype=object)


# %%
if CKKS:
    DECIMALS = [4, 6, 7, 8, 9, 10, 12]
    shares, nights = {}, {scale: several_nights(scale, 2) for scale in (24, 36)}
    for scale, (client, answers, exact) in nights.items():
        true_key = recovery.key_of(client._context)  # to compare: the company has none
        for digits in DECIMALS:
            rounded = [scores.round(digits) for scores in exact]
            found = recovered(client, answers, rounded)
            shares[scale, digits] = float(np.mean(found == true_key))
    figures.curves(
        DECIMALS,
        {
            f"scale {WRITTEN[scale]}": [shares[scale, digits] for digits in DECIMALS]
            for scale in nights
        },
        roles={"scale 2³⁶": "attack"},
        xlabel="decimals of the published scores",
        ylabel="share of the key that the server has",
        percent=True,
        caption="Two nights' 4,096 scores, rounded and published; two scales.",
    )
    # with the key, the company opens what it is sent: new patients' first features
    client, answers, exact = nights[36]
    stolen_key = recovered(client, answers, exact)
    new = patients[:100]
    opened = [
        recovery.decrypt_with(stolen_key, client.public(), sent)[:100]
        for sent in client.encrypt(new)[:3]
    ]
    wrong_by = max(np.abs(got - new[:, k]).max() for k, got in enumerate(opened))

# %%
if CKKS:
    safe = max(
        digits for (scale, digits), v in shares.items() if scale == 36 and v < 0.01
    )
    claims(
        (
            "At a scale of 2³⁶, ten decimals give the server the whole key, and eight "
            "less than 1 % of it",
            shares[36, 10] == 1 and shares[36, 8] < 0.01,
            f"nothing up to {safe} decimals",
            guess_digits,
        ),
        ("At 2²⁴ eight decimals give it the whole key", shares[24, 8] == 1),
        (
            "With the key it reads 100 new patients' features to three decimals",
            wrong_by < 1e-3,
            f"at most {number(wrong_by, 1)} off",
        ),
    )

# %% [markdown]
# An encoding averages thousands of numbers, so each may be off by a few units of the scale, and the coefficients still round to the
# right ones. So no number of decimals is safe as such: eight are, at one scale, and at the other they give all away.
#
# And is 0 % nothing? One coefficient that rounds to its neighbour spoils every entry of the key. But some nights are lucky, and the
# company has many. It can try **pair after pair**, since it knows a key when it sees one: its coefficients are −1, 0 and 1. Take six
# decimals at $2^{24}$.

# %%
guess_nights = predict(
    "15.nights",
    "40 nights, six decimals, scale 2²⁴. What share of the key does the company get?",
    low=0,
    high=1,
    percent=True,
)

# %%
if CKKS:
    client, answers, exact = several_nights(24, 40)
    rounded = [scores.round(6) for scores in exact]
    found = recovery.recover_from_many(client.public(), answers, rounded)
    share = 0.0
    if found is not None:
        share = float(np.mean(found[0] == recovery.key_of(client._context)))
    claims(
        (
            "40 nights of six decimals give the company the whole key",
            share == 1,
            f"nights {found[1][0] + 1} and {found[1][1] + 1} of them" if found else "",
            guess_nights,
        ),
    )

# %% [markdown]
# So an attack that fails proves nothing, here as everywhere. A proof needs a **bound** on the noise. With one, rounding can be proved, if
# it is coarse enough (Bossuat, Costache and others, 2024); ours had none. Or there is **noise flooding**: noise that drowns the
# encryption's own. For 30 bits of statistical security, an advantage of a few in a million, its spread must be $\sqrt{12} \cdot 2^{15}$
# times that bound (Li and others, 2022). Where the noise was only estimated, keys were recovered again (Guo and others, 2024). We take the
# largest error measured above, so read the table as the least that it costs.

# %%
flood = encryption.flooding_bits(1, security=30)
if CKKS:
    more = encryption.plan(1, scale=52, whole=8)
    precise = encryption.Client(more)
    fine = encryption.Server(private_models["linear"], precise.public(), more)
    got = precise.scores(fine.answer(precise.encrypt(full)), 4096, digits=None)
    errors = {
        36: columns["error"],
        52: np.abs(got - private_models["linear"].plain(full)).max(),
    }
    figures.table(
        [
            (WRITTEN[scale], number(error, 1), number(error * 2**flood, 1))
            for scale, error in errors.items()
        ],
        ["scale", "error now", "error with the noise that a proof needs"],
        f"Flooding costs {flood:.1f} bits. Both plans fit the ring of 8,192.",
    )
    claims(
        (
            "At scale 2³⁶ the noise of a proof leaves not even two decimals",
            errors[36] * 2**flood > 0.01,
        ),
        (
            "At scale 2⁵² it leaves four, in the same ring",
            errors[52] * 2**flood < 0.0001 and more.n == 8192,
        ),
    )

# %% [markdown]
# ## 6 · What is guaranteed

# %%
guarantee(
    holds="Against a server that reads all it sees: a row's content, if two problems "
    "are as hard as is believed for today's computers. Paillier's (telling n-th powers "
    "modulo n²) at about 112 bits for an n of 2,048; CKKS's (Ring-LWE) at 128.",
    does_not="The model, from a client. That a score is right, or that the rows are. "
    "Decryptions that are published, or come back to the server in any way.",
    adapts="The server waits for decryptions: in a report, a log, an error message; "
    "and for more of them. The client asks what the server cannot check.",
    cost=f"Paillier: {longer:.0f} times the bytes. CKKS, by columns: a fraction of a "
    "millisecond a row, if thousands come at once; and a proof for published scores "
    f"costs {flood:.0f} bits of scale, at least.",
)

# %% [markdown]
# ### Spot the broken experiment
#
# A colleague shows you an encrypted service. The scores are right, and every byte on the wire is a ciphertext or a key. The server, they
# say, cannot read a thing. Can it?


# %%
def colleague(x):
    """Scores of rows x; and all that the server was sent."""
    import tenseal

    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[50, 36, 50]
    )
    context.global_scale = 2.0**36
    setup = context.serialize(save_secret_key=True, save_relin_keys=True)
    columns = [tenseal.ckks_vector(context, column.tolist()) for column in x.T]
    sent = [column.serialize() for column in columns]
    # the server
    context = tenseal.context_from(setup)
    total = bias
    for ciphertext, weight in zip(sent, weights, strict=True):
        total = tenseal.ckks_vector_from(context, ciphertext) * float(weight) + total
    return np.array(total.decrypt()), (setup, sent)


# %% tags=["student-only"]
# scores, (setup, sent) = colleague(patients)
# You are the server. Try to read sent[0], with `tenseal` and nothing but `setup`.


# %% tags=["solution-only"]
if CKKS:
    import tenseal

    scores, (setup, sent) = colleague(patients)
    theirs = tenseal.context_from(setup)
    first = np.array(tenseal.ckks_vector_from(theirs, sent[0]).decrypt())
    claims(
        (
            "The scores are right",
            np.abs(scores - patients @ weights - bias).max() < 0.01,
        ),
        (
            "The server reads every patient's first feature",
            np.abs(first - patients[:, 0]).max() < 1e-3,
        ),
        ("Its context holds the secret key", theirs.has_secret_key()),
    )

# %% [markdown]
# <details><summary>Answer</summary>
#
# `save_secret_key=True`: the set-up that the server is sent holds the secret key, and it decrypts whatever comes. Nothing in the scores
# shows it, and on the wire it looks like any key. So ask of an encrypted service not whether it encrypts, but **where the key is**. The
# library's `Server` refuses a context that holds one.
#
# </details>

# %% [markdown]
# ## 7 · Quiz

# %%
quiz("15")

# %% [markdown]
# ### Further reading
#
# * P. Paillier, 1999,
#   [*Public-Key Cryptosystems Based on Composite Degree Residuosity Classes*](https://doi.org/10.1007/3-540-48910-X_16).
# * J. H. Cheon, A. Kim, M. Kim, Y. Song, 2017,
#   [*Homomorphic Encryption for Arithmetic of Approximate Numbers*](https://doi.org/10.1007/978-3-319-70694-8_15). CKKS.
# * B. Li, D. Micciancio, 2021,
#   [*On the Security of Homomorphic Encryption on Approximate Numbers*](https://doi.org/10.1007/978-3-030-77870-5_23). The attack of
#   section 5.
# * B. Li, D. Micciancio, M. Schultz, J. Sorrell, 2022,
#   [*Securing Approximate Homomorphic Encryption Using Differential Privacy*](https://doi.org/10.1007/978-3-031-15802-5_20). What a
#   proof needs: the noise of lab 13, for a key.
# * Q. Guo, D. Nabokov, E. Suvanto, T. Johansson, 2024,
#   [*Key Recovery Attacks on Approximate Homomorphic Encryption with Non-Worst-Case Noise Flooding
#   Countermeasures*](https://www.usenix.org/conference/usenixsecurity24/presentation/guo-qian). Estimated noise is not enough.
# * J.-P. Bossuat, A. Costache, C. Mouchet, L. Nürnberger, J. R. Troncoso-Pastoriza, 2024,
#   [*Practical q-IND-CPA-D-Secure Approximate Homomorphic Encryption*](https://eprint.iacr.org/2024/853). Rounding, with a bound.
# * J.-P. Bossuat, R. Cammarota, I. Chillotti and others, 2024,
#   [*Security Guidelines for Implementing Homomorphic Encryption*](https://eprint.iacr.org/2024/463). The limits.
# * A. Benaissa, B. Retiat, B. Cebere, A. E. Belfedhal, 2021,
#   [*TenSEAL: A Library for Encrypted Tensor Operations Using Homomorphic Encryption*](https://arxiv.org/abs/2104.03152).
#
# To see how the library writes these, open `modelsec_course/encryption/paillier.py`, `planning.py` and `recovery.py`.

# %%
finish("15")
