# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 00 · Start here: what are we protecting?
#
# Run each cell with **Shift + Enter**, from the top. The first one shows what this lab is about.

# %%
import torch
from torch import nn

from modelsec_course import data, evasion, runtime, zoo
from modelsec_course.app.health import doctor
from modelsec_course.data import signs
from modelsec_course.lab import check, claim, claims, explore, figures, finish
from modelsec_course.lab import guarantee, predict, quiz, start, threat
from modelsec_course.lab.words import number, percent, points
from modelsec_course.labs.lab_00_start_here import scene

start("00")

# %% [markdown]
# ## 1 · A picture to begin with
#
# A model reads road signs. Below is a photograph of a STOP sign, before and after an **attack**: no colour of any pixel has
# moved by more than 8 of 255 steps. What do *you* read? What does the model?
#
# Nothing in this cell need be understood yet. Lab 01 explains it, and you write the attack yourself.

# %% tags=["headline"]
names = ("stop", "limit 120")
stop, limit = (torch.full((24,), signs.CLASSES.index(name)) for name in names)
# near, bright, sharp
by_day = signs.Conditions(width=(0.7, 0.9), exposure=(0.9, 1.15), motion=(-1, -1))
camera = {"size": 64, "conditions": by_day, "generator": runtime.generator(1)}
photos = signs.photograph(signs.templates(), stop, **camera)  # (24, 3, 64, 64)
reader = nn.Sequential(nn.AvgPool2d(2), zoo.load("signs-poolnet", device="cpu"))

# The attacker wants one certain answer: a speed limit of 120.
how = {"eps": 8 / 255, "steps": 20, "targeted": True, "stop_early": False}
attacked = evasion.pgd(reader, photos, limit, **how)
with torch.no_grad():
    before, after = reader(photos).softmax(1), reader(attacked).softmax(1)
fallen = after.argmax(1) == limit
first = int(fallen.int().argmax())  # the first of the 24 that fell
figures.before_after(
    photos[first],
    attacked[first],
    (before[first], after[first]),
    signs.CLASSES,
    truth=0,
    caption="A STOP sign before and after an attack that changes no colour by "
    "more than 8/255.",
)

# %% [markdown]
# One picture may be luck. So count all 24. And compare with a **control**, changes of the same size in random
# directions: without it you would not know whether *any* change confuses this model. Here 2×2 pixels move together,
# because the model averages 2×2 pixels before it looks.

# %%
coins = torch.rand((24, 3, 32, 32), generator=runtime.generator(2)) < 0.5
blocks = nn.functional.interpolate(
    torch.where(coins, 8 / 255, -8 / 255), scale_factor=2
)
noisy = (photos + blocks).clamp(0, 1)
unmoved = (reader(noisy).argmax(1) == stop).sum().item()
read = (before.argmax(1) == stop).sum().item()

# %%
claims(
    (
        "Before the attack the model reads at least 23 of the 24 signs as STOP",
        read >= 23,
        f"{read} of 24",
    ),
    (
        "After it, at least 8 of the 24 are a limit of 120 to the model",
        fallen.sum() >= 8,
        f"{fallen.sum()} of 24",
    ),
    (
        "Random changes of the same size leave at least 23 as STOP",
        unmoved >= 23,
        f"{unmoved} of 24",
    ),
)

# %% [markdown]
# No file was stolen, and the model is unchanged. Yet a car that trusts it would not stop. This attacker knew the model and
# could edit the camera's picture. Ask of every attack: how often does it work, and what does the attacker know and reach?
# The rest of this lab gives you the words for that.
#
# ## 2 · How a lab works
#
# You read, guess, write a function of a few lines, and run its **check**. A panel then says *passed*, *not yet right*
# (what was expected, and what came instead) or *not attempted*. Hints fold open one by one.
#
# A check never stops the lab: until your function passes, the notebook goes on with the course's own version. So you
# may run everything first and solve the exercises later. Your progress is kept on this computer.
#
# Lines with ✔ are **claims**: sentences of this text that your run has just verified. Change any number you like: a claim
# that no longer holds says so, and the lab goes on.

# %%
doctor()

# %% [markdown]
# ## 3 · Four things to lose
#
# Security of information has three classical properties. A machine-learning model has them too:
#
# * **Integrity**: its answers are right, although somebody would like them wrong.
# * **Confidentiality**: nobody learns secrets from it: the training data, the inputs, or the model itself.
# * **Availability**: it answers in time, at a bearable cost.
#
# And people act on the answers. Their **decisions** should be explained, fair, and not steered by somebody with an
# interest. A model can lose any of the four without a single stolen file.

# %% [markdown]
# ### Exercise 1: which property was violated?
#
# An incident is a record of facts. Look at one, then write `classify_incident`.

# %%
from modelsec_course.labs.lab_00_start_here.records import Incident, Scenario

Incident("Tape on a stop sign; the car reads a speed limit.", wrong_answers=True)


# %%
def classify_incident(incident):
    """The set of properties that an incident violates.

    incident.wrong_answers: bool, somebody made the model answer wrongly.
    incident.learned: tuple of what an outsider learned that they should not know;
        empty if nothing.
    incident.answered: share of requests answered in time; one in a hundred may be late.
    incident.decisions: "sound", "unexplained", "unfair" or "steered".
    Returns a set of "integrity", "confidentiality", "availability", "decisions";
    empty if all is well.
    """
    ### BEGIN SOLUTION
    violated = set()
    if incident.wrong_answers:
        violated.add("integrity")
    if incident.learned:
        violated.add("confidentiality")
    if incident.answered < 0.99:
        violated.add("availability")
    if incident.decisions != "sound":
        violated.add("decisions")
    return violated
    ### END SOLUTION


classify_incident = check("00.classify_incident", classify_incident)

# %% [markdown]
# Is security the same as "no data breach"? Try it: an incident in which nobody learned anything.

# %%
tape = Incident("Tape on a stop sign", wrong_answers=True)
violated = classify_incident(tape)

# %%
claim(
    "An attack without any data breach violates a property",
    violated == {"integrity"},
    ", ".join(sorted(violated)),
)

# %% [markdown]
# ## 4 · Say who attacks you
#
# "Is it secure?" has no answer. "Against whom?" comes first. A **threat model** says what the attacker wants, what
# they know and what they can touch. Every lab of this course opens with one, in the words of three public lists: the
# taxonomy of **NIST** (the US institute of standards), **MITRE ATLAS** (techniques seen against AI systems) and
# **OWASP**'s ten commonest risks. Their ids let you look things up and compare. This is the card of this lab:

# %%
threat.card("00")


# %% [markdown]
# ### Exercise 2: write a threat model
#
# | fact of the scenario | its values | the words for them, in this order |
# |---|---|---|
# | `wants` | `"a wrong answer"`, `"a secret"`, `"an outage"` | goal: `"integrity"`, `"confidentiality"`, `"availability"` |
# | `sees` | `"weights"`, `"answers"` | knowledge: `"white-box"`, `"black-box"` |
# | `touches` | `"inputs"`, `"training data"`, `"nothing"` | capability: `"testing data control"`, `"training data control"`, `"query access"` |
#
# *Testing data* are the inputs that a model gets once it is in use. Who touches nothing may still ask, which is *query
# access*. (These are NIST's words, but for one: what we call confidentiality, NIST calls privacy.)
#
# The attacker of the rest of this lab knows the model and edits a record before it is scored:

# %%
editor = Scenario(wants="a wrong answer", sees="weights", touches="inputs")
editor


# %%
def threat_model(scenario):
    """The threat model of a scenario with `wants`, `sees` and `touches`.

    Returns {"goal": …, "knowledge": …, "capability": …, "ids": […]}, in the words
    of the table. `ids` is a list with an id of the goal: "NISTAML.01" availability,
    "NISTAML.02" integrity, "NISTAML.03" confidentiality.
    """
    ### BEGIN SOLUTION
    goal, number = {
        "a wrong answer": ("integrity", "NISTAML.02"),
        "a secret": ("confidentiality", "NISTAML.03"),
        "an outage": ("availability", "NISTAML.01"),
    }[scenario.wants]
    touched = {
        "inputs": "testing data control",
        "training data": "training data control",
        "nothing": "query access",
    }
    knows = {"weights": "white-box", "answers": "black-box"}
    return {
        "goal": goal,
        "knowledge": knows[scenario.sees],
        "capability": touched[scenario.touches],
        "ids": [number],
    }
    ### END SOLUTION


threat_model = check("00.threat_model", threat_model)

# %%
threat_model(editor)

# %% [markdown]
# ## 5 · How far is a diagnosis from flipping?
#
# The model reads 30 measurements of cell nuclei and says *malignant* or *benign*. (The records are Breast Cancer
# Wisconsin, 1993, CC BY 4.0.) It is a logistic regression: with standardised measurements $z$ it says *benign* where the
# score $f(z) = w \cdot z + b$ is positive.

# %%
tumours = data.load("tumours")
model = zoo.load("tumours-logistic", device="cpu")
normalize, layer = model
z = normalize(tumours.x_test)  # (143, 30), in standard deviations
y = tumours.y_test  # (143,): 0 malignant, 1 benign
# Two classes need one score: row 0 (malignant) is all zeros, row 1 is the score.
w, b = layer.weight[1].detach(), layer.bias[1].detach()  # (30,), ()
right = (z @ w + b > 0) == (y == 1)  # (143,)

# %%
claim(
    "The model is right for 137 of 143 records",
    right.sum() == 137,
    f"{right.sum()} of 143",
)

# %% [markdown]
# An attacker may move every measurement by up to ε standard deviations. That limit is an **L∞ ball** of radius ε.
# How fast can the score change? The worst push moves each measurement by ε along its weight's sign (or, to lower the score,
# against it). That changes the score by $\varepsilon \sum_i |w_i| = \varepsilon \lVert w \rVert_1$. The distance to the
# boundary is therefore
#
# $$ d_\infty(z) = \frac{|f(z)|}{\lVert w \rVert_1}. $$
#
# The denominator is how much one unit of budget can change the score: the **dual norm** of the attacker's norm. What is
# it for an attacker whose budget is the straight length of the change δ, its **L2 norm**
# $\lVert \delta \rVert_2 = \sqrt{\sum_i \delta_i^2}$?

# %% [markdown]
# ### Exercise 3: the distance to the boundary


# %%
def margin_distance(x, w, b, norm):
    """How far each record is from the boundary w·x + b = 0.

    x: (n, d) records.  w: (d,) weights.  b: the intercept.
    norm: "linf", every measurement may move by the distance; "l2", the record moves
        by it in a straight line.
    Returns (n,) distances, never negative, in the units of x.
    """
    ### BEGIN SOLUTION
    slope = w.abs().sum() if norm == "linf" else w.norm()
    return (x @ w + b).abs() / slope
    ### END SOLUTION


margin_distance = check("00.margin_distance", margin_distance)

# %% [markdown]
# So the straight length has a dual norm, too: the straight length itself, $\lVert w \rVert_2$. The two distances are in
# different units. To compare the ways, measure both by their straight length: who moves all 30 measurements by $d$ goes
# $\sqrt{30}\,d$.

# %%
distance = margin_distance(z, w, b, "linf")  # (143,)
straight = margin_distance(z, w, b, "l2")
around = 30**0.5 * distance.median()  # how long the first way is, measured straight
figures.table(
    [
        ("every measurement by at most ε", w.abs().sum(), distance.median(), around),
        ("straight length", w.norm(), straight.median(), straight.median()),
    ],
    ["the attacker's budget", "dual norm of w", "median distance", "its L2 length"],
    "What a unit of budget changes in the score, and how far half of the records are.",
)

# %% [markdown]
# With a sign for the side, the first kind of distance shows the whole test set at one glance.

# %%
scene.two_classes(
    distance * (z @ w + b).sign(),
    y,
    caption="How far the 143 test records are from the boundary, and on which side.",
)

# %%
claims(
    (
        "Half of all records are closer than 0.42 standard deviations",
        distance.median() < 0.42,
        number(distance.median()),
    ),
    (
        "The straight way is the shorter one, by more than a tenth",
        straight.median() < 0.9 * around,
        f"{number(straight.median())} against {number(around)}",
    ),
)

# %% [markdown]
# Now be the attacker. Choose a record and push. The arrow shows where it goes, the table what changes on paper. Would a
# pathologist notice?

# %%
close = (right & (distance < 1)).nonzero().flatten()[:12].tolist()
explore(
    scene.drag_a_record(tumours, z, w, b),
    record=close,
    step=(0.0, 1.0, 0.01, 0.2),
    labels={"record": "record", "step": "push (standard deviations)"},
    caption="A tumour record on its way across the boundary. "
    "■ the model says malignant, ◆ benign.",
)

# %% [markdown]
# At a push of 0.2 every row moves by a fifth of its standard deviation over the patients: no number need look odd.
# (Whether thirty numbers still fit together, an area with its radius, nobody has asked here.) The model adds up thirty
# such pushes.
#
# ## 6 · Robust accuracy, exactly
#
# A record **stands** at ε when the model is right and the boundary is further than ε. The share that stands is the
# **robust accuracy**. For a linear model you can compute it: no attack is needed, and none can beat it. Move the slider
# before you run the next cell.

# %%
guess_robust = predict(
    "00.robust",
    "The model is right for 96 %. What share is right and stands at ε = 0.3?",
    percent=True,
)

# %%
eps = torch.linspace(0, 1, 41)
standing = right & (distance > eps[:, None])  # (41, 143)
robust = standing.float().mean(1)

# The control: 20 random directions for each record.
up_or_down = 2 * torch.randint(0, 2, (20, *z.shape), generator=runtime.generator(0)) - 1
noisy = [
    (((z + e * up_or_down) @ w + b > 0) == (y == 1)).float().mean().item() for e in eps
]
figures.curves(
    eps,
    {"worst case": robust, "random signs": noisy},
    roles={"worst case": "attack", "random signs": "control"},
    xlabel="L∞ ε (standard deviations)",
    ylabel="share of the 143 records that is right",
    percent=True,
    ylim=(0, 1.02),
    guess=guess_robust,
    caption="Exact robust accuracy, and the control: the same sizes of change in "
    "random directions.",
)
at = {e: (right & (distance > e)).float().mean().item() for e in (0.1, 0.3, 0.5)}

# %%
claims(
    (
        "91.6 % stand at ε = 0.1, 64.3 % at 0.3, 34.3 % at 0.5",
        [round(100 * share, 1) for share in at.values()] == [91.6, 64.3, 34.3],
        ", ".join(percent(share) for share in at.values()),
        guess_robust,
    ),
    (
        "Random changes of 0.3 cost less than two points",
        noisy[12] > noisy[0] - 0.02,
        f"{percent(noisy[12])} against {percent(noisy[0])}",
    ),
)

# %% [markdown]
# Almost a third of the answers flip under changes of 0.3 standard deviations, and random changes of that size do next to
# nothing. **Direction** matters, not size alone: with 30 measurements, thirty small pushes add up when all point the same
# way.
#
# Whose answers flip at ε = 0.3? Split them by class. As a control, move the boundary by 0.1 towards malignant.


# %%
def recognised(e, shift):
    """Share of each class that stands at e, with the boundary moved by shift."""
    away = (distance * (z @ w + b).sign() + shift) * torch.where(y == 1, 1, -1)
    return [(away > e)[y == label].float().mean().item() for label in (0, 1)]


share = {}
for shift, where in ((0.0, "as trained"), (0.1, "boundary moved")):
    for name, value in zip(
        ("malignant", "benign"), recognised(0.3, shift), strict=True
    ):
        share[f"{name}, {where}"] = value
figures.bars(
    share,
    ylabel="share of the class that is right and stands at ε = 0.3",
    percent=True,
    horizontal=True,
    roles={name: "attack" for name in share if "trained" in name},
    caption="The same budget, seen by class: 53 malignant and 90 benign records. "
    "Grey, the control: the boundary moved by 0.1 towards malignant.",
)
lost = [n - k for n, k in zip(recognised(0, 0), recognised(0, 0.1), strict=True)]

# %%
claims(
    (
        "At ε = 0.3 fewer benign answers stand than malignant ones",
        share["benign, as trained"] < share["malignant, as trained"],
        f"{percent(share['benign, as trained'])} against "
        f"{percent(share['malignant, as trained'])}",
    ),
    (
        "With the boundary moved by 0.1 it is the other way round",
        share["benign, boundary moved"] > share["malignant, boundary moved"],
        f"{percent(share['benign, boundary moved'])} against "
        f"{percent(share['malignant, boundary moved'])}",
    ),
    (
        "And nobody attacking, the accuracy is the same within a point",
        abs(lost[0] * 53 + lost[1] * 90) / 143 < 0.01,
        f"malignant {points(-lost[0])} points, benign {points(-lost[1])}",
    ),
)

# %% [markdown]
# So which class is fragile depends on where the boundary stands, and accuracy alone does not say where it should. "64 %
# robust" hides two different harms: a tumour missed, and a biopsy for nothing. Whoever protects a model has to know what
# each wrong answer costs.
#
# ## 7 · A defence, attacked again
#
# The clinic stops answering near the boundary: within 0.2 a doctor decides. Does that help at ε = 0.1?

# %%
band = 0.2
# the direction that is safe for each record, (143, 30)
inwards = torch.where(y == 1, 1.0, -1.0)[:, None] * w.sign()


def attacked(eps, band):
    """All records pushed by eps the wrong way: shares of wrong answers and refusals."""
    pushed = z - eps * inwards
    refused = margin_distance(pushed, w, b, "linf") <= band
    wrong = ~refused & ((pushed @ w + b > 0) != (y == 1))
    return wrong.float().mean().item(), refused.float().mean().item()


(before, _), (after, _) = attacked(0.1, 0.0), attacked(0.1, band)

# %%
claim(
    "At ε = 0.1 the band leaves less than a third of the wrong answers",
    after < before / 3,
    f"{percent(before)} without the band, {percent(after)} with it",
)

# %% [markdown]
# That looks like a success. But half of those wrong answers are there without any attack, an attacker adapts, and what
# else can one do with a band?

# %%
guess_budget = predict(
    "00.budget",
    "How much more budget until as many are wrong as at ε = 0.1 without the band?",
    high=0.5,
)

# %%
_, at_rest = attacked(0.0, band)
adapted, _ = attacked(0.1 + band, band)
tried = ((0.0, 0.0), (0.1, 0.0), (0.0, band), (0.1, band), (0.1 + band, band))
figures.table(
    [
        (number(e), number(width), *map(percent, attacked(e, width)))
        for e, width in tried
    ],
    ["ε", "band", "wrong answers", "refused"],
    "What the attacker and the band make of the 143 answers.",
)
kept = right & (distance > band)  # answers that patients would have had
denied = (kept & (distance <= band + 0.1)).float().mean().item()

# %%
claims(
    (
        "With 0.2 more budget the attacker is back at the same share",
        abs(adapted - before) < 1e-6,
        percent(adapted),
        guess_budget,
    ),
    (
        "A push of 0.1 can deny more than 15 % of the patients an answer "
        "they would have had",
        denied > 0.15,
        percent(denied),
    ),
    (
        "Without any attack, the band refuses about a fifth",
        0.15 < at_rest < 0.25,
        percent(at_rest),
    ),
)

# %% [markdown]
# It had to come out so: a record that was $d$ away from the boundary is now $d + 0.2$ away from a wrong answer. The band
# costs the attacker its width, no more. And it opened another attack: pushing a record *into* the band denies the answer.
# Integrity was bought with availability. Such trades are what this course is about.

# %%
guarantee(
    holds="For this linear model the robust accuracy is exact: no attacker within "
    "the L∞ ball can do better.",
    does_not="It says nothing about attackers who change more, or who poison the "
    "training data. And some pushed records could not exist (a negative area), so "
    "against real records the true figure may be higher.",
    adapts="A refusal band of width 0.2 costs the attacker exactly 0.2, and can be "
    "used to cause refusals.",
    cost="The band refuses about a fifth of all patients even when nobody attacks.",
)

# %% [markdown]
# ### Challenge (unchecked)
#
# Our attacker moves all 30 measurements. Let yours move only five: the five with the largest |w|, then five at random. By
# what do you divide now, and how does the curve of section 6 change?

# %%
# Your experiment here

# %% [markdown]
# ## 8 · Quiz

# %%
quiz("00")

# %% [markdown]
# **What can a model lose?** Integrity, confidentiality, availability, and people's sound decisions; no file need be stolen.
# **How far is a diagnosis from flipping?** Half of them, 0.41 standard deviations in each measurement, if all move the
# worst way. At random, as much hardly matters.
#
# ### Further reading
#
# * A. Vassilev, A. Oprea, A. Fordyce, H. Anderson, X. Davies, M. Hamin, 2025,
#   [*Adversarial Machine Learning: A Taxonomy and Terminology of Attacks and Mitigations*](https://doi.org/10.6028/NIST.AI.100-2e2025),
#   NIST AI 100-2 E2025. The words this course uses.
# * B. Biggio, F. Roli, 2018,
#   [*Wild Patterns: Ten Years After the Rise of Adversarial Machine Learning*](https://arxiv.org/abs/1712.03141). How the
#   field began.
# * N. Papernot, P. McDaniel, A. Sinha, M. Wellman, 2018,
#   [*SoK: Security and Privacy in Machine Learning*](https://doi.org/10.1109/EuroSP.2018.00035). Integrity, confidentiality
#   and availability of models.

# %%
finish("00")
