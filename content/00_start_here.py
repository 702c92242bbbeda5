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

from modelsec_course import data, runtime, zoo
from modelsec_course.lab import check, claim, doctor, explore, figures, guarantee
from modelsec_course.lab import progress, quiz, scenes, start, threat

start("00")

# %% [markdown]
# ## 1 · How a lab works
#
# You read, guess, write a function of a few lines, and run its **check**. A panel then says *passed*, *not yet right*
# (what was expected, what came) or *not attempted*. Hints fold open one by one.
#
# A check never stops the lab: until your function passes, the notebook goes on with the course's own version. So you
# may run everything first and solve the exercises later. Your progress is kept on this computer.
#
# Lines with ✔ are **claims**: sentences of this text that your run has just verified.

# %%
doctor()

# %% [markdown]
# ## 2 · Four things to lose
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
from modelsec_course.lab.exercises.lab_00 import Incident, Scenario

Incident("Tape on a stop sign; the car reads a speed limit.", wrong_answers=True)


# %%
def classify_incident(incident):
    """The set of properties that an incident violates.

    incident.wrong_answers: bool, somebody made the model answer wrongly.
    incident.learned: tuple of what an outsider learned that they should not know; empty if nothing.
    incident.answered: share of requests answered in time; up to one in a hundred may be late.
    incident.decisions: "sound", "unexplained", "unfair" or "steered".
    Returns a set of "integrity", "confidentiality", "availability", "decisions"; empty if all is well.
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
print(classify_incident(tape))
claim("An attack without any data breach violates a property", classify_incident(tape) == {"integrity"})

# %% [markdown]
# ## 3 · Say who attacks you
#
# "Is it secure?" has no answer. "Against whom?" comes first. A **threat model** says what the attacker wants, what
# they know and what they can touch. Every lab of this course opens with one, in the words of NIST's taxonomy, with the
# ids of MITRE ATLAS and OWASP beside it, so that you can look them up and compare. This is the card of this lab:

# %%
threat.card("00")


# %% [markdown]
# ### Exercise 2: write a threat model
#
# | a scenario's fact | NIST's word |
# |---|---|
# | sees the weights / only answers | white-box / black-box |
# | touches inputs / training data / nothing | testing data control / training data control / query access |
# | wants a wrong answer / a secret / an outage | integrity / confidentiality / availability |


# %%
def threat_model(scenario):
    """A threat model for a scenario with the facts `wants`, `sees` and `touches` (the words of the table).

    Returns {"goal": …, "knowledge": …, "capability": …, "ids": […]}, in NIST's words. `ids` lists at least one id that
    belongs to the goal: NISTAML.01 availability, NISTAML.02 integrity, NISTAML.03 confidentiality.
    """
    ### BEGIN SOLUTION
    goal, number = {
        "a wrong answer": ("integrity", "NISTAML.02"),
        "a secret": ("confidentiality", "NISTAML.03"),
        "an outage": ("availability", "NISTAML.01"),
    }[scenario.wants]
    touched = {"inputs": "testing data control", "training data": "training data control", "nothing": "query access"}
    knows = {"weights": "white-box", "answers": "black-box"}
    return {
        "goal": goal,
        "knowledge": knows[scenario.sees],
        "capability": touched[scenario.touches],
        "ids": [number],
    }
    ### END SOLUTION


threat_model = check("00.threat_model", threat_model)

# %% [markdown]
# Here is the attacker of the rest of this lab: somebody who knows the model and edits a record before it is scored.

# %%
threat_model(Scenario(wants="a wrong answer", sees="weights", touches="inputs"))

# %% [markdown]
# ## 4 · How far is a diagnosis from flipping?
#
# The model reads 30 measurements of cell nuclei and says *malignant* or *benign*. It is a logistic regression: with
# standardised measurements $z$ it says *benign* where the score $f(z) = w \cdot z + b$ is positive.

# %%
tumours = data.load("tumours")
model = zoo.load("tumours-logistic", device="cpu")
normalize, layer = model
z = normalize(tumours.x_test)  # (143, 30): every measurement in standard deviations
w, b = layer.weight[1].detach(), layer.bias[1].detach()  # the benign class's score; the other's is 0
y = tumours.y_test  # 0 malignant, 1 benign
print(tumours)
claim("The model is right for 137 of 143 records", ((z @ w + b > 0) == (y == 1)).sum() == 137)

# %% [markdown]
# An attacker may move every measurement by up to ε standard deviations. That limit is an **L∞ ball** of radius ε.
# How fast can the score change? Each measurement moves in the direction of its weight's sign, so by
# $\varepsilon \sum_i |w_i| = \varepsilon \lVert w \rVert_1$ in all. The distance to the boundary is therefore
#
# $$ d_\infty(z) = \frac{|f(z)|}{\lVert w \rVert_1}, \qquad\text{and in L2} \qquad d_2(z) = \frac{|f(z)|}{\lVert w \rVert_2}. $$
#
# The norm below is the **dual** of the one the attacker is bound by. You will meet this pair again in every part.

# %% [markdown]
# ### Exercise 3: the distance to the boundary


# %%
def margin_distance(x, w, b, norm):
    """How far each record is from the boundary w·x + b = 0.

    x: (n, d) records.  w: (d,) weights.  b: the intercept.
    norm: "linf", every measurement may move by the distance; "l2", the record moves straight by the distance.
    Returns (n,) distances, never negative, in the units of x.
    """
    ### BEGIN SOLUTION
    slope = w.abs().sum() if norm == "linf" else w.norm()
    return (x @ w + b).abs() / slope
    ### END SOLUTION


margin_distance = check("00.margin_distance", margin_distance)

# %% [markdown]
# With a sign for the side, these distances show the whole test set at one glance.

# %%
right = (z @ w + b > 0) == (y == 1)
distance = margin_distance(z, w, b, "linf")
scenes.two_classes(
    distance * (z @ w + b).sign(),
    y,
    caption="How far the 143 test records are from the boundary, and on which side.",
)
claim("Half of all records are closer than 0.42 standard deviations", distance.median() < 0.42)

# %% [markdown]
# Now be the attacker. Choose a record and push. The arrow shows where it goes, the table what changes on paper.

# %%
close = [int(i) for i in (right & (distance < 1)).nonzero().flatten()[:12]]
explore(
    scenes.drag_a_record(tumours, z, w, b),
    record=close,
    step=(0.0, 1.0, 0.01, 0.0),
    labels={"record": "record", "step": "push (standard deviations)"},
    caption="A tumour record on its way across the boundary. ■ the model says malignant, ◆ benign.",
)

# %% [markdown]
# How many of the small changes would a pathologist notice?
#
# ## 5 · Robust accuracy, exactly
#
# A record **stands** at ε when the model is right and the boundary is further than ε. The share that stands is the
# **robust accuracy**. For a linear model you can compute it: no attack needed, no attack can beat it.
#
# Before you run the next cell, guess: the model is right for 96 %. How many of its answers survive ε = 0.3?

# %%
eps = torch.linspace(0, 1, 41)
standing = right & (distance > eps[:, None])  # (41, 143)
robust = standing.float().mean(1)

# The control: 20 random directions for each record.
signs = 2 * torch.randint(0, 2, (20, *z.shape), generator=runtime.generator(0)) - 1
noisy = torch.stack([(((z + e * signs) @ w + b > 0) == (y == 1)).float().mean() for e in eps])
figures.curves(
    eps,
    {"worst case": robust, "random signs": noisy},
    xlabel="L∞ ε (standard deviations)",
    ylabel="accuracy",
    caption="Exact robust accuracy, and the control: the same sizes of change in random directions.",
    percent=True,
    ylim=(0, 1.02),
)

# %%
at = {e: (right & (distance > e)).float().mean().item() for e in (0.1, 0.3, 0.5)}
claim("91.6 % stand at ε = 0.1, 64.3 % at 0.3, 34.3 % at 0.5",
      [round(100 * share, 1) for share in at.values()] == [91.6, 64.3, 34.3])  # fmt: skip
claim("Random changes of 0.3 cost less than two points", noisy[12] > noisy[0] - 0.02,
      f"{noisy[12]:.1%} against {noisy[0]:.1%}")  # fmt: skip

# %% [markdown]
# A third of the answers flip under changes of 0.3 standard deviations, and random changes of that size do nothing.
# **Direction** matters, not size: with 30 measurements, thirty small pushes add up when all point the same way.
#
# Which answers flip first? Split them by class.

# %%
sick, healthy = y == 0, y == 1
figures.bars(
    {f"{name}, ε = {e}": standing[int(40 * e)][rows].float().mean()
     for name, rows in (("malignant found", sick), ("benign found", healthy)) for e in (0.0, 0.3)},
    ylabel="share of the class",
    caption="The same budget, seen by class: 53 malignant and 90 benign records.",
    percent=True, horizontal=True,
)  # fmt: skip

# %% [markdown]
# "64 % robust" hides two different harms: a missed tumour and a needless biopsy. Whoever protects a model has to
# know what a wrong answer costs.
#
# ## 6 · A defence, attacked again
#
# The clinic stops answering near the boundary: within 0.2 a doctor decides. Who is still fooled at ε = 0.1?

# %%
band = 0.2
signed = torch.where(right, distance, -distance)  # how far inside its own class's side, (143,)


def wrong_answers(eps, band):
    """The share of records that an attacker with budget eps turns into a confident wrong answer."""
    return (signed - eps < -band).float().mean().item()


before, after = wrong_answers(0.1, 0.0), wrong_answers(0.1, band)
print(f"wrong answers at ε = 0.1: {before:.1%} without the band, {after:.1%} with it")
claim("At ε = 0.1 the band leaves less than a third of the wrong answers", after < before / 3)

# %% [markdown]
# That looks like a success. But an attacker adapts. What does it take to cross the band, and what else can one do
# with a band?

# %%
adapted = wrong_answers(0.1 + band, band)
denied = ((signed > band) & (signed <= band + 0.1)).float().mean().item()  # answered before, refused after
print(f"wrong answers at ε = {0.1 + band:.1f} with the band: {adapted:.1%}")
print(f"right answers that a push of at most 0.1 turns into a refusal: {denied:.1%}")
claim("With 0.2 more budget the attacker is back where they were", adapted == before)
claim("A push of 0.1 can now deny more than 15 % of the patients their answer", denied > 0.15)

# %% [markdown]
# The band costs the attacker exactly its width, no more. And it opened another attack: pushing a record *into* the
# band denies the answer. Integrity was bought with availability. Such trades are what this course is about.

# %%
guarantee(
    holds="For this linear model the robust accuracy is exact: no attacker within the L∞ ball can do better.",
    does_not="It says nothing of attackers who change more, who change only what a clinic would not "
    "notice, or who poison the training data.",
    adapts="A refusal band of width 0.2 costs the attacker exactly 0.2, and can be used to cause refusals.",
    cost="The band refuses about a fifth of all patients even when nobody attacks.",
)

# %%
coverage = (distance > band).float().mean().item()
claim("Without any attack, the band refuses about a fifth", 0.15 < 1 - coverage < 0.25, f"{1 - coverage:.1%}")

# %% [markdown]
# ### Challenge (unchecked)
#
# Our attacker moves all 30 measurements. Let yours move only the five that a laboratory re-measures least. Which five
# would you choose, how far must they move, and how does the curve of section 5 change?

# %%
# Your experiment here

# %% [markdown]
# ## 7 · Quiz

# %%
quiz("00")

# %% [markdown]
# ### Further reading
#
# * A. Vassilev, A. Oprea, A. Fordyce, H. Anderson, X. Davies, M. Hamin, 2025, *Adversarial Machine Learning: A Taxonomy and
#   Terminology of Attacks and Mitigations*, NIST AI 100-2 E2025. The words this course uses.
# * B. Biggio and F. Roli, 2018, *Wild Patterns: Ten Years After the Rise of Adversarial Machine Learning*. How the field began.
# * N. Papernot, P. McDaniel, A. Sinha, M. Wellman, 2018, *SoK: Security and Privacy in Machine Learning*. Integrity,
#   confidentiality and availability of models.
#
# **Next: Lab 01, White-box evasion.** There the model is not linear, the distance has no formula, and you write the
# attacks that look for it.

# %%
progress("00")
