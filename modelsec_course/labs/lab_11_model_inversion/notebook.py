# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 11 · Model inversion

# %%
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline

from modelsec_course import data, evasion, extraction, inversion
from modelsec_course import runtime, training, zoo
from modelsec_course.lab import check, claim, claims, explore, figures
from modelsec_course.lab import finish, guarantee, predict, quiz, start, threat
from modelsec_course.lab.words import percent, points
from modelsec_course.labs.lab_11_model_inversion import scene
from modelsec_course.statistics import clopper_pearson

start("11")

# %%
threat.card("11")

# %% [markdown]
# ## 1 · The idea
#
# A door opens for a hundred people. Its model knows their faces; their photographs were deleted after training. You hold the model
# and the list of names. Can you get a face back?
#
# An image $x$ that the model calls *person 7* with confidence may look like person 7. So start anywhere and climb:
#
# $$ \hat x_y = \arg\max_x\; \log p(y \mid x). $$
#
# That is **class inversion** (Fredrikson, Jha & Ristenpart, 2015). Nobody in this lab exists: a renderer invented the 100 private
# people, and 1,000 other people whose photographs are public. Here are ten private people, each on two photographs.

# %%
device = runtime.device()
private = data.load("faces").to(device)
public = data.faces.pictures("public")[0].to(device)  # (4000, 1, 32, 32)
names = torch.arange(100, device=device)
# one photograph of each private person: the evaluator's copy
truth = [private.x_train[private.y_train == k][1] for k in range(100)]
truth = torch.stack(truth)
figures.pictures(
    [truth[:10], private.x_test[::8][:10], public[:40:4]],
    row_labels=["private", "again", "public"],
    caption="Ten private people twice, with another pose, expression and light; "
    "and ten of the public.",
)

# %% [markdown]
# Three doors, three models: softmax regression, a dense network and a convolutional one. Each was trained on twelve photographs
# of each private person. They are good at it.

# %%
kinds = {"softmax": "linear", "dense": "mlp", "convolutional": "cnn"}
doors = {name: zoo.load(f"faces-{kind}") for name, kind in kinds.items()}
accuracy = {
    name: training.accuracy(model, private.x_test, private.y_test)
    for name, model in doors.items()
}

# %%
claim(
    "Each names at least 90 % of new photographs correctly",
    min(accuracy.values()) > 0.9,
    ", ".join(f"{name} {percent(share)}" for name, share in accuracy.items()),
)

# %% [markdown]
# ### Exercise 1: climb the model's score
#
# From a start, take steps of `lr` times the gradient of $\log p(y \mid x)$, and stay in [0, 1] after each. All people at once: the
# gradient of a *sum* over the batch is each picture's own.


# %%
def invert_class(model, y, start, steps=100, lr=0.1):
    """MI-Face: pictures that climb log p(y | x) by plain gradient steps.

    Each step is clipped to [0, 1].
    model: pictures -> logits.  y: int64 (n,).
    start: (n, 1, h, w) in [0, 1]; leave it as it is.
    Returns pictures like `start`, without a gradient attached.
    """
    ### BEGIN SOLUTION
    x = start.clone()
    for _ in range(steps):
        x.requires_grad_()
        score = F.log_softmax(model(x), 1).gather(1, y[:, None]).sum()
        (slope,) = torch.autograd.grad(score, x)
        x = (x.detach() + lr * slope).clamp(0, 1)
    return x
    ### END SOLUTION


invert_class = check("11.invert_class", invert_class)

# %% [markdown]
# Start from the public's average face, and take 100 steps for each name. Will you recognise anybody? And the models?

# %%
guess_sure = predict(
    "11.sure",
    "How sure is the least certain model that a picture shows the person (median)?",
    percent=True,
)

# %%
average = public.mean(0, keepdim=True)
climbed = {
    name: invert_class(model, names, average.repeat(100, 1, 1, 1))
    for name, model in doors.items()
}
sure = {
    name: doors[name](x).softmax(1)[names, names].median().item()
    for name, x in climbed.items()
}
figures.pictures(
    [truth[:10], *(x[:10] for x in climbed.values())],
    row_labels=["truth", *(f"{name}: {percent(sure[name])} sure" for name in doors)],
    caption="What 100 gradient steps on the pixels find, and the models' median "
    "confidence in it.",
)

# %%
claim(
    "Every model is more than 97 % sure of its pictures",
    min(sure.values()) > 0.97,
    percent(min(sure.values())),
    guess_sure,
)

# %% [markdown]
# ### Exercise 2: who is to say?
#
# The model's confidence cannot be the measure: it is what you climbed. Your own eye sees what it hopes for. You need an
# **independent judge**, trained on *other* photographs, that does not know the doors. It must be able to give wrong answers: ours knows
# the 100 private people (labels 0 to 99) and 360 strangers (100 to 459). It names `judge(x).argmax(1)`.


# %%
def identity_rate(judge, x, y):
    """The share of pictures in which the judge sees the right person.

    It chooses among all whom it knows.  Returns a number in [0, 1].
    judge: pictures -> logits (n, people).
    x: (n, 1, h, w).  y: int64 (n,), who it should be.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        return (judge(x).argmax(1) == y).float().mean().item()
    ### END SOLUTION


identity_rate = check("11.identity_rate", identity_rate)

# %%
judge = zoo.load("faces-judge")
seen = {name: identity_rate(judge, x, names) for name, x in climbed.items()}
fresh = identity_rate(judge, private.x_test, private.y_test)
nobody = identity_rate(judge, average.repeat(100, 1, 1, 1), names)
with torch.no_grad():
    mistaken = (judge(public).argmax(1) < 100).float().mean().item()
figures.table(
    [
        ("800 new photographs", percent(fresh)),
        ("the average face, for each name", percent(nobody, 0)),
        *((f"climbed: {name}", percent(share, 0)) for name, share in seen.items()),
    ],
    ["shown to the judge", "it sees the right person"],
    f"Of 4,000 photographs of people whom the judge does not know, it calls "
    f"{percent(mistaken)} some private person: it must choose, and "
    f"{percent(100 / 460)} of the names are private.",
)

# %%
claims(
    (
        "The judge names more than 97 % of photographs that it has never seen",
        fresh > 0.97,
        percent(fresh),
    ),
    ("The average face is nobody: at most 1 %", nobody <= 0.01, percent(nobody, 0)),
    (
        "The convolutional door is as sure as the others, yet the judge recognises "
        "less than half as many of its pictures",
        seen["convolutional"] < 0.5 * min(seen["softmax"], seen["dense"]),
        percent(seen["convolutional"], 0),
    ),
)

# %% [markdown]
# On people it does not know, the judge guesses: it cannot say *I do not know*. But it seldom guesses the **one** name you asked
# for.
#
# **Confidence near 1 is not a reconstruction.** On the convolutional network the climb ended in patterns that are no face. So rule
# them out: look only among pictures that *could* be faces.
#
# ### Exercise 3: climb inside a prior
#
# A **prior** turns a short code $z$ into a plausible face, `decode(z)`; ordinary faces have codes like standard normal
# numbers. Climb in $z$, and pay a little for long codes:
#
# $$ J(z) = \log p(y \mid \text{decode}(z)) - \lambda \lVert z \rVert^2. $$
#
# $\lambda$ is `weight`. Use `torch.optim.Adam([z], lr)`: plain gradient steps do not get as far in the same number. Start at $z = 0$,
# the average face.


# %%
def invert_with_prior(model, y, decode, size, steps=150, lr=0.1, weight=0.003):
    """Pictures decode(z): z climbs log p(y | decode(z)) − weight · |z|² from z = 0.

    model: pictures -> logits.  y: int64 (n,).
    decode: codes (n, size) -> pictures (n, 1, h, w).
    Returns pictures (n, 1, h, w), without a gradient attached.
    """
    ### BEGIN SOLUTION
    z = torch.zeros(len(y), size, device=y.device, requires_grad=True)
    optimiser = torch.optim.Adam([z], lr)
    for _ in range(steps):
        log_p = F.log_softmax(model(decode(z)), 1).gather(1, y[:, None]).sum()
        loss = weight * z.square().sum() - log_p
        (z.grad,) = torch.autograd.grad(loss, z)
        optimiser.step()
    return decode(z).detach()
    ### END SOLUTION


invert_with_prior = check("11.invert_with_prior", invert_with_prior)

# %% [markdown]
# Two priors, both from **public** pictures only. *PCA*: the public's average, plus a mix of the 60 directions in which public
# pictures differ most. *VAE*: a small network, trained to make public pictures out of 64 normal numbers.

# %%
priors = {
    "pixels": inversion.pixels(average[0]),
    "PCA": inversion.pca(public),
    "VAE": inversion.generated(zoo.load("faces-generator")),
}
draw = runtime.generator(1)
figures.pictures(
    [priors[name].sample(10, draw) for name in ("PCA", "VAE")],
    row_labels=["PCA", "VAE"],
    caption="Random codes: nobody in particular.",
)

# %%
decode = priors["PCA"].decode
found = {
    name: invert_with_prior(model, names, decode, 60) for name, model in doors.items()
}
rates = {name: identity_rate(judge, x, names) for name, x in found.items()}
figures.table(
    [(name, percent(seen[name], 0), percent(rates[name], 0)) for name in doors],
    ["door", "climbing pixels", "inside the PCA prior"],
    "Of 100 people, those whom the judge recognises.",
)

# %%
claim(
    "On every door the prior finds more than pixels did",
    all(rates[name] > seen[name] for name in doors),
)

# %% [markdown]
# ### Exercise 4: what does a search alone show?
#
# Is that a lot? Search the public album with the same model: for each name, take the photograph of **somebody else** that the model
# likes best. It needs the model, but nothing is *reconstructed*: the person is not in the album. This **look-alike** is the control that
# every reconstruction in this lab has to beat.


# %%
def look_alike(model, public, y):
    """For each name the public picture that the model likes best for it.

    That is the one to which it gives that name with the highest probability.
    model: pictures -> logits.  public: (m, 1, h, w).  y: int64 (n,).
    Returns pictures (n, 1, h, w).
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        chance = model(public).softmax(1)[:, y]  # (m, n)
    return public[chance.argmax(0)]
    ### END SOLUTION


look_alike = check("11.look_alike", look_alike)

# %% [markdown]
# ## 2 · The headline figure
#
# The library's `invert_classes` is your attack with Adam, with pictures moved at random by a pixel, and with two random starts, of which it
# keeps the one that its **own** objective prefers. It never sees the judge.
#
# ### Is the attack at its best?
#
# A door that is very sure reaches $\log p \approx 0$ early: nothing is left to climb, and the face gets no clearer. The attacker can
# divide the logits by a **temperature** $T$. How large? The spread of the door's logits on public photographs, over 4, which is
# about the softmax door's spread. Which door gives away more then?

# %%
guess_calm = predict(
    "11.temperature",
    "Of 100 people, how many will the convolutional door give away at its temperature?",
    percent=True,
)


# %%
def temperature(model):
    """The spread of a picture's logits, on average over the public, in units of 4."""
    with torch.no_grad():
        return model(public).std(1).mean().item() / 4


def invert(door, prior, T):
    return inversion.invert_classes(
        doors[door],
        names,
        priors[prior],
        steps=75,
        temperature=T,
        generator=runtime.generator(3),
    ).x


# %%
warm = {door: temperature(model) for door, model in doors.items()}
plain = {door: identity_rate(judge, invert(door, "PCA", 1.0), names) for door in doors}
by_pca = {door: invert(door, "PCA", T) for door, T in warm.items()}
calm = {door: identity_rate(judge, x, names) for door, x in by_pca.items()}
figures.table(
    [
        (door, percent(plain[door], 0), f"{warm[door]:.1f}", percent(calm[door], 0))
        for door in doors
    ],
    ["door", "recognised at T = 1", "its own T", "recognised at its own T"],
    "PCA prior: of 100 people, those whom the judge recognises.",
)

# %%
claim(
    "The temperature finds at least 10 points more on the convolutional door",
    calm["convolutional"] > plain["convolutional"] + 0.1,
    percent(calm["convolutional"], 0),
    guess_calm,
)

# %% [markdown]
# That door gave least away, and it was the attack's fault. **A weak attack looks like a private model.** From here on each door
# has its own temperature.
#
# ### What did climbing add?
#
# A second search, as a stronger control: the **blend**, the mean of the eight public photographs that the model likes best for a
# name. What they share may well be what the person has.

# %%
guess_blend = predict(
    "11.blend",
    "Of 100 people, how many does the judge recognise in their blends?",
    percent=True,
)

# %%
hits = {}
for door, model in doors.items():
    shown = {
        "average face": average.repeat(100, 1, 1, 1),
        "look-alike": look_alike(model, public, names),
        "blend": inversion.blend(model, public, names),
    }
    for name, prior in priors.items():
        shown[f"{name}, random"] = prior.sample(100, runtime.generator(2))
        shown[name] = by_pca[door] if name == "PCA" else invert(door, name, warm[door])
    for name, x in shown.items():
        hits.setdefault(name, []).append(inversion.recognised(judge, x, names))
    if door == "dense":
        gallery = shown
hits = {name: torch.stack(rows) for name, rows in hits.items()}  # (3 doors, 100 people)

# %% tags=["headline"]
figures.pictures(
    [truth[:8], gallery["look-alike"][:8], gallery["PCA"][:8]],
    row_labels=["truth", "look-alike", "attack"],
    framed=[None, hits["look-alike"][1, :8], hits["PCA"][1, :8]],
    caption="Eight people, not selected: the person, the public photograph that the "
    "dense network likes best for the name, and what the attack with the PCA prior "
    "makes of it. Framed: the judge recognises the person.",
)

# %%
order = ["look-alike", "blend", "pixels", "PCA", "VAE"]
figures.pictures(
    [truth[:12], *(gallery[name][:12] for name in order)],
    row_labels=["truth", *order],
    framed=[None, *(hits[name][1, :12] for name in order)],
    caption="The dense network's people 0 to 11, not selected: truth, controls and "
    "attacks. Framed: the judge recognises the person.",
)
figures.table(
    [
        (name, *(percent(rate, 0) for rate in hits[name].float().mean(1)))
        for name in [*order, "average face"]
    ],
    ["pictures", *doors],
    "Of 100 people, those whom the judge recognises, by door.",
)

# %% [markdown]
# What climbing tells you *beyond* a search is a difference, person by person, with one interval over 100 people. Each person counts
# once, with the mean of the three doors.

# %%
share = {name: hits[name].float().mean().item() for name in hits}
gains = {
    f"{name}, over the {control}": inversion.gain(hits[name], hits[control])
    for control in ("look-alike", "blend")
    for name in ("PCA", "VAE", "pixels")
}
figures.bars(
    {name: gain.value for name, gain in gains.items()},
    errors={name: (gain.low, gain.high) for name, gain in gains.items()},
    roles=dict.fromkeys(gains, "attack"),
    ylabel="percentage points gained by climbing",
    points=True,
    horizontal=True,
    caption="Gain over a search of 4,000 public photographs, mean of three doors; "
    "95 % intervals over 100 people.",
)
alike, blend = gains["PCA, over the look-alike"], gains["PCA, over the blend"]

# %%
claims(
    (
        "With the PCA prior the gain over the look-alike is surely above zero, and at "
        "least 10 points",
        alike.low > 0 and alike.value > 0.1,
        f"{points(alike.value)}; over the blend {points(blend.value)}, "
        f"from {points(blend.low)} to {points(blend.high)}",
    ),
    (
        "A blend is recognised at least 8 points more often than a look-alike",
        share["blend"] > share["look-alike"] + 0.08,
        f"{percent(share['blend'], 0)}, look-alike {percent(share['look-alike'], 0)}",
        guess_blend,
    ),
    (
        "It is not certain that pixels add anything to the blend",
        gains["pixels, over the blend"].low <= 0,
    ),
    (
        "The average face, and random codes of every prior, score at most 2 %",
        max(share[name] for name in hits if "random" in name or "average" in name)
        <= 0.02,
    ),
)

# %% [markdown]
# Much of what a figure without controls would report is found by a search, and most of that by a *better* search. What the PCA
# prior adds is the smaller part, about 10 points when the models are trained anew. Its interval does not lie above zero in every
# training.
#
# Do not mistake this for comfort. A search needs the model as well: without it, the average face and random faces are nobody. For
# the person it makes no difference whether a likeness was climbed or looked up. A single number hides two more things.


# %%
def searched(album, count):
    """The share recognised in the mean of `count` photographs, over the doors."""
    blends = [
        inversion.blend(model, album, names, count=count) for model in doors.values()
    ]
    return sum(identity_rate(judge, x, names) for x in blends) / len(blends)


mixed = torch.randperm(len(public), generator=runtime.generator(6)).to(device)
found = {
    size: [searched(public[mixed[:size]], count) for count in (1, 8)]
    for size in (400, 1000, 4000)
}
figures.table(
    [
        (f"{size:,}", *(percent(rate, 0) for rate in rates))
        for size, rates in found.items()
    ],
    ["photographs in the album", "look-alike", "blend"],
    "Of 100 people, those whom the judge recognises, mean of three doors.",
)

# %%
claim(
    "With 400 photographs both searches find at least 6 points fewer than with 4,000",
    all(few < many - 0.06 for few, many in zip(found[400], found[4000], strict=True)),
)

# %% [markdown]
# A larger album is a stronger control, so a gain is a gain *over an album*. And another judge, of another kind?

# %%
x, y = data.faces.pictures("judge")
second = make_pipeline(PCA(150, random_state=0), LinearDiscriminantAnalysis())
second.fit(x.flatten(1).numpy(), y.numpy())  # linear discriminants


def rate_by_the_other(x, y=names):
    """The share of pictures in which the second judge sees the right person."""
    return second.score(x.flatten(1).cpu().numpy(), y.cpu().numpy())


right = rate_by_the_other(private.x_test, private.y_test)
theirs = {name: rate_by_the_other(gallery[name]) for name in order}
ours = {name: hits[name][1].float().mean().item() for name in order}
pixels_theirs = rate_by_the_other(invert("softmax", "pixels", warm["softmax"]))
pixels_ours = hits["pixels"][0].float().mean().item()
figures.table(
    [
        *(
            (f"dense: {name}", percent(ours[name], 0), percent(theirs[name], 0))
            for name in order
        ),
        ("softmax: pixels", percent(pixels_ours, 0), percent(pixels_theirs, 0)),
    ],
    ["pictures", "our judge", "linear discriminants"],
    "Of 100 people, those whom each judge recognises.",
)

# %%
claims(
    (
        "Another kind of judge is right about more than 97 % of new photographs, too",
        right > 0.97,
        percent(right),
    ),
    (
        "It also sees the person in PCA's pictures at least 10 points more often than "
        "in look-alikes",
        theirs["PCA"] > theirs["look-alike"] + 0.1,
    ),
    (
        "But in the softmax door's pixels it sees the person at least 15 points more "
        "often than our judge does",
        pixels_theirs > pixels_ours + 0.15,
        f"{percent(pixels_theirs, 0)} against {percent(pixels_ours, 0)}",
    ),
)

# %% [markdown]
# A judge of the door's own kind shares its taste, here for straight lines through pixels. Two judges who are right about photographs
# need not agree about pictures that are none. So choose a judge unlike the model, and report which.
#
# Now watch a face appear. Move `step` slowly, then change the prior.

# %%
explore(
    scene.watch_a_face_appear(
        doors["dense"], judge, truth, gallery["look-alike"], priors
    ),
    person=(0, 99, 1, 0),
    step=(0, 60, 2, 20),
    prior=["PCA", "VAE", "pixels"],
    caption="Left to right: the person, the public look-alike, the attack's picture "
    "from a random start, and what model and judge think of it.",
)

# %% [markdown]
# ## 3 · Defence, attacked again: coarse answers
#
# The door is now a service: it keeps its weights and answers with probabilities, **rounded** to one or two decimals. Somebody who
# has the weights does not care. Somebody who can only ask has no gradient, but lab 02's trick: **estimate** it, from answers on
# either side of $z$, at $\pm\sigma u$ for random directions $u$ and a small $\sigma$. Most answers are 0.0. What does rounding leave to
# this attack, and what to a search?

# %%
guess_rounded = predict(
    "11.rounded",
    "Answers have one decimal. Of 100 people, how many does the attack still find?",
    percent=True,
)


# %%
def by_asking(service, y, prior, steps=60, samples=20, sigma=0.4, lr=0.8):
    """Inversion by answers alone, from the average face.

    It takes samples · steps queries for each person.
    """
    draw = runtime.generator(4)

    def scores(z):
        p = service(prior.decode(z)).gather(1, y[:, None])[:, 0]
        # an answer of 0.0 counts as 0.01
        return p.clamp(min=0.01).log() - prior.weight * z.square().sum(1)

    z = torch.zeros(len(y), *prior.shape, device=device)
    for _ in range(steps):
        slope = evasion.nes_gradient(
            scores, z, sigma=sigma, samples=samples, generator=draw
        )
        # long slopes are shortened to lr
        z = z + lr * slope / slope.norm(dim=1, keepdim=True).clamp(min=0.3)
    return prior.decode(z)


def by_search(service, y, count):
    """The mean of the `count` public photographs with the highest answers.

    It takes 4,000 queries for all people together.
    """
    answers = torch.cat([service(some) for some in public.split(1000)])[:, y]
    return public[answers.topk(count, 0).indices].mean(0)


# %%
decimals = {"in full": None, "two decimals": 2, "one decimal": 1}
services = {
    name: extraction.Victim(doors["softmax"], decimals=d)
    for name, d in decimals.items()
}
asked = {
    name: by_asking(service, names, priors["PCA"]) for name, service in services.items()
}
for name, count in (("look-alike", 1), ("blend", 8)):
    asked[f"{name}, one decimal"] = by_search(services["one decimal"], names, count)
known = {name: inversion.recognised(judge, x, names) for name, x in asked.items()}
rounded = {name: rows.float().mean().item() for name, rows in known.items()}
figures.bars(
    rounded,
    errors={
        name: clopper_pearson(int(rows.sum()), 100) for name, rows in known.items()
    },
    roles=dict.fromkeys(decimals, "attack"),
    guess=guess_rounded,
    percent=True,
    horizontal=True,
    ylabel="share of 100 people whom the judge recognises",
    caption="Softmax door. Three attacks: PCA prior, 1,200 queries a person. Two "
    "searches (grey): 40 a person. Whiskers: 95 % intervals.",
)
beyond = inversion.gain(known["one decimal"], known["look-alike, one decimal"])

# %%
claims(
    (
        "Two decimals leave the attack at least three quarters of its success",
        rounded["two decimals"] > 0.75 * rounded["in full"],
        f"{percent(rounded['two decimals'], 0)}, in full "
        f"{percent(rounded['in full'], 0)}",
    ),
    (
        "One decimal costs it 8 points or more",
        rounded["one decimal"] < rounded["in full"] - 0.08,
        percent(rounded["one decimal"], 0),
        guess_rounded,
    ),
    (
        "It still surely gains over a look-alike that is searched with the same "
        "answers",
        beyond.low > 0,
        f"{points(beyond.value)} points",
    ),
    (
        "The blend of one-decimal answers, at a thirtieth of the queries, shows more "
        "than 35 %",
        rounded["blend, one decimal"] > 0.35,
        percent(rounded["blend, one decimal"], 0),
    ),
)

# %% [markdown]
# Two decimals are nothing to this attacker. One decimal costs some faces, and leaves many. And the blend needs to know little more
# than *which* photographs get more than 0.0. In 2015 Fredrikson and colleagues saw rounding stop an attack that took no account of it. **A
# defence is judged by the attacker who knows it.**
#
# What would help is a model that learned less of each person. **Differential privacy** bounds that, for every attack; lab 14 trains
# such a model and runs this lab's attack on it.

# %%
guarantee(
    holds="Nothing here proves anything. What was measured holds for these attacks on "
    "these models.",
    does_not="Rounding, and hiding the weights, do not keep faces in. A better prior "
    "finds more.",
    adapts="With a prior from better public data, a temperature for a door that is too "
    "sure, a larger album, more queries.",
    cost="Rounding costs honest clients the ranking of doubtful answers. Here it saved "
    "some faces.",
)

# %% [markdown]
# ### Spot the broken experiment
#
# A colleague attacks the dense network with the PCA prior and reports the second number below. The judge is a good one: right about
# more than 97 % of new photographs. Write **one** control that shows what the number is worth.


# %%
def colleague(x):
    """The colleague's judge: it knows the 100 private people, and nobody else."""
    return judge(x)[:, :100]


reported = {
    "new photographs": identity_rate(colleague, private.x_test, private.y_test),
    "the attack's pictures": identity_rate(colleague, gallery["PCA"], names),
}
figures.table(
    [(what, percent(share)) for what, share in reported.items()],
    ["shown to the colleague's judge", "it sees the right person"],
)

# %% tags=["student-only"]
# Your control here: which pictures show certainly nobody of the 100?

# %% tags=["solution-only"]
closed = identity_rate(colleague, gallery["look-alike"], names)
opened = identity_rate(judge, gallery["look-alike"], names)
claims(
    (
        "Pictures of other people are “reconstructed” in more than 40 % of cases",
        closed > 0.4,
        percent(closed, 0),
    ),
    (
        "A judge who knows strangers as well calls at least 15 points fewer of them "
        "right",
        closed > opened + 0.15,
        percent(opened, 0),
    ),
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The look-alikes: photographs of *other* people, and the colleague's judge recognises most of them. It must choose among 100.
# The average face, random codes and random photographs are weak controls: they seldom show the **one** name asked for, score near
# nothing, and so make the number look good. Only a picture *chosen for that name* bites. A judge that knows strangers brings the
# control down, and the attack as well. What repairs the report is the **gain** over the best search you can think of, whoever
# judges.
#
# </details>

# %% [markdown]
# ## 4 · Quiz

# %%
quiz("11")

# %% [markdown]
# ### Further reading
#
# * M. Fredrikson, S. Jha, T. Ristenpart, 2015, [*Model Inversion Attacks that Exploit Confidence Information and Basic
#   Countermeasures*](https://doi.org/10.1145/2810103.2813677). MI-Face, and rounding.
# * Y. Zhang, R. Jia, H. Pei, W. Wang, B. Li, D. Song, 2020, [*The Secret Revealer: Generative Model-Inversion Attacks Against Deep
#   Neural Networks*](https://arxiv.org/abs/1911.07135). A generator as the prior.
# * N.-B. Nguyen, K. Chandrasegaran, M. Abdollahzadeh, N.-M. Cheung, 2023, [*Re-thinking Model Inversion Attacks Against Deep Neural
#   Networks*](https://arxiv.org/abs/2304.01669). Better objectives for deep nets.
# * D. Kingma, M. Welling, 2014, [*Auto-Encoding Variational Bayes*](https://arxiv.org/abs/1312.6114). The VAE.
#
# With a network, `data.load("olivetti")` has photographs of 40 real people from 1994, made for research. The course does not
# invert them. To see how the library writes these, open `modelsec_course/inversion/classes.py`, `priors.py` and `judging.py`.

# %%
finish("11")
