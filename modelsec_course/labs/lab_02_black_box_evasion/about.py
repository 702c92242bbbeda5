"""Lab 02: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="02",
    title="Black-box evasion and transfer",
    question="Is secrecy protection?",
    minutes=90,
    difficulty=3,
    prerequisites=("Lab 01",),
    outcomes=(
        "attack a model through its scores, through its labels, and without asking it at all",
        "count queries exactly, and compare attacks at equal cost",
        "measure what transfers without counting what was wrong before",
        "build a defence that watches queries, and attack it again",
    ),
    seconds=40,
    part="Integrity at test time",
    stage="API",
)

THREAT = Threat(
    goal="**integrity**: the model answers wrongly for an input that people still read correctly",
    knowledge="**black-box**: no weights, no gradients; the answers to queries, scores or only labels, or no more "
    "than public data like the model's own",
    capability="**query access**: show the model inputs, so many times; change each input a little, within ε",
    ids=("NISTAML.025", "AML.T0015", "AML.T0043.001", "AML.T0043.002", "AML.M0004", "ML01:2023"),
)

QUIZ = (
    Question(
        "Your model answers through an API and its weights are secret. What does that buy?",
        (
            "protection: without gradients there is no direction to attack in",
            "a bill for the attacker: queries, or a model of their own",
            "nothing at all: every attack works as before",
        ),
        1,
        (
            "Scores give an estimate of the gradient, labels give the boundary, and other models share its mistakes.",
            "Some hundred queries for a digit, or two for a picture that transfers. A price, not a wall.",
            "It buys the price. Attacks through the API are slower, and they can be seen.",
        ),
    ),
    Question(
        "The NES estimate averages (s(x + σu) − s(x − σu)) / 2σ · u. Why both +u and −u?",
        (
            "it halves the number of queries",
            "what both sides share, such as the score itself, cancels",
            "otherwise the estimate would be biased towards larger scores",
        ),
        1,
        (
            "It takes two queries for each direction.",
            "That part only adds noise to the estimate. On a score that is symmetric about x a pair gives exactly 0.",
            "s(x + σu) / σ · u alone is unbiased too, on average. Its noise is far larger.",
        ),
    ),
    Question(
        "A black-box attack breaks more digits than your white-box PGD at the same ε. What follows?",
        (
            "black-box attacks are stronger: no gradient can lead them into a dead end",
            "the white-box attack was too weak: it missed pictures it could have found",
            "the victim's gradients are wrong",
        ),
        1,
        (
            "Whoever knows the gradient may ignore it, so the best white-box attack is at least as strong.",
            "It is a warning sign about the evaluation. Lab 03 collects such signs.",
            "Possible, and then PGD would be far behind. Here it is a few points: PGD climbs a different hill.",
        ),
    ),
    Question(
        "Why does a full climb (stop_early=False) transfer better than the first success?",
        (
            "it lies deep inside the wrong class, within the same ε",
            "it asks the victim more often, and adapts to its answers",
            "it uses a larger ε",
        ),
        0,
        (
            "A first success stands just behind the surrogate's boundary, and the victim's lies a little elsewhere.",
            "Crafting asks the victim nothing.",
            "Both stay within ε. They differ in how far behind the boundary they end.",
        ),
    ),
    Question(
        "Near-duplicate detection bans nearly every account of a Square attacker. Is the API safe now?",
        (
            "yes: no attack by queries can do without asking for pictures that lie close together",
            "no: an attacker who knows it asks queries that lie far apart, or asks once",
            "only if the budget for each client is raised",
        ),
        1,
        (
            "Only against attackers who do not know of it.",
            "NES with a large σ stays below the alarm, and a transferred picture needs no exploring at all.",
            "A larger budget helps the attacker.",
        ),
    ),
)
