# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lab 05 · Road signs

# %%
import torch

from modelsec_course.lab import check, claims, explore, figures, finish, guarantee
from modelsec_course.lab import predict, quiz, start, threat
from modelsec_course.lab.words import number
from modelsec_course.labs.lab_05_road_signs import scene

start("05")

# %%
threat.card("05")

# %% [markdown]
# ## 1 · The idea
#
# One idea in words, one formula, one picture. Here: a line through the origin,
# $$ f(x) = 2x. $$
#
# ### Exercise 1: twice as much
#
# Say what the function is for, then let the learner write it.


# %%
def double(x):
    """Twice x.

    x: a floating-point tensor of any shape. Returns a new tensor of that shape.
    """
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


double = check("05.double", double)

# %% [markdown]
# ## 2 · The experiment
#
# Guess before you run on: how large is $f(x)$ at $x = 0.8$?

# %%
guess = predict("05.at", "How large is f(x) at x = 0.8?", low=0, high=2, step=0.1)

# %% tags=["headline"]
x = torch.linspace(0, 1, 11)
figures.curves(
    x,
    {"twice x": double(x), "x itself": x},
    xlabel="x",
    ylabel="f(x)",
    caption="The effect beside its control.",
    roles={"twice x": "attack", "x itself": "control"},
    guess=guess,
)

# %%
got = double(x)[8].item()  # at x = 0.8

# %%
claims(
    ("Twice 0.8 is 1.6", abs(got - 1.6) < 1e-6, number(got), guess),
    ("The control stays where it is", abs(x[8].item() - 0.8) < 1e-6),
)

# %% [markdown]
# Move the slope yourself.

# %%
explore(
    scene.draw_a_line(),
    slope=(0.0, 3.0, 0.1, 2.0),
    caption="A line through the origin.",
)

# %%
guarantee(
    holds="What the defence promises.",
    does_not="What it does not.",
    adapts="How an attacker who knows it goes on.",
    cost="What it costs.",
)

# %%
quiz("05")

# %% [markdown]
# ## Further reading
#
# - Goodfellow, Shlens & Szegedy, 2015, [*Explaining and Harnessing Adversarial Examples*](https://arxiv.org/abs/1412.6572).
# - Athalye, Carlini & Wagner, 2018, [*Obfuscated Gradients Give a False Sense of Security*](https://arxiv.org/abs/1802.00420).
# - Carlini and others, 2019, [*On Evaluating Adversarial Robustness*](https://arxiv.org/abs/1902.06705).

# %%
finish("05")
