"""Lab 06: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="06",
    title="Fraud",
    question="What can a fraudster afford to change?",
    minutes=80,
    difficulty=3,
    prerequisites=("Lab 02 (queries, and searching without a gradient)", "gradient-boosted trees, by name"),
    outcomes=(
        "write down which rows of a table can exist, and what an attacker pays to make one",
        "attack boosted trees with payments that can be made, and count the result in money",
        "say which search makes a weak bank look safe, and why",
        "prove what monotone trees stop, and attack every other defence again",
    ),
    seconds=30,
    part="Integrity at test time",
    stage="user",
)

THREAT = Threat(
    goal="**integrity**: a fraudulent payment that the bank lets pass, for as much money as possible",
    knowledge="**black-box**: scores for payments that are tried, from a stolen copy or an insider; not the owner's "
    "habits, nor the account's age",
    capability="**query access**, and a budget: set the amount, hour, place, merchant and pace of a payment. The rest "
    "is the bank's, and follows",
    ids=("NISTAML.025", "AML.T0015", "AML.T0043.001", "AML.M0003", "AML.M0004", "ML01:2023"),
)

QUIZ = (
    Question(
        "Why is an L∞ ball of radius 0.1 no model of a fraudster?",
        (
            "0.1 is too small: a real fraudster changes a payment by far more than that",
            "a column has a unit, a price and ties to others; a ball knows none",
            "trees have no gradient, so that no ball can be searched",
        ),
        1,
        (
            "For an account's age any change is too large, for the hour none is. No radius repairs that.",
            "Euros, hours and kilometres are not comparable, some columns cannot be set, and some follow from others.",
            "Lab 02 searched balls without a gradient. What is wrong is the ball.",
        ),
    ),
    Question(
        "A report: “the unconstrained attack succeeds on 99 %, and we discard what is impossible: 8 % remain.” So",
        (
            "a fraudster succeeds on about 8 %: only what is possible counts",
            "nobody has looked what a fraudster would do",
            "a fraudster succeeds on 99 %",
        ),
        1,
        (
            "The search moved what no fraudster can set. A fraudster's own moves find far more, even with discarding.",
            "Neither number is the fraudster's. A search with their own moves lies between, here near the top.",
            "No bank receives the rows behind that number.",
        ),
    ),
    Question(
        "Trees are monotone in ten columns. Which attacker gets no refused payment through?",
        (
            "one who may only raise those columns",
            "one who changes nothing but those columns",
            "one who does not know the signs",
        ),
        0,
        (
            "Every score on the way is at least the first one. That holds for each input, and needs no test.",
            "Lowering them lowers the score: a smaller amount, a longer wait.",
            "The search never asked for the signs.",
        ),
    ),
    Question(
        "A new model refuses every attack that you try. What do you ask first?",
        (
            "how many queries the attack had for each payment",
            "how many honest payments it refuses",
            "how the model was trained",
        ),
        1,
        (
            "A good second question. But a model that refuses everything passes with any number.",
            "Refusing all payments stops all fraud, and costs more than all the fraud.",
            "It may explain the result. It does not show whether the bank can use the model.",
        ),
    ),
    Question(
        "Each day analysts look at the 20 most suspicious payments not refused. What does the attacker do?",
        (
            "gives up: an analyst is not fooled by a score",
            "sends more payments just below the refusal",
            "aims below the queue, and earns less for each payment",
        ),
        2,
        (
            "The analyst is not fooled, but sees only the top of the list.",
            "Those are what the queue catches, unless they are decoys for others.",
            "Almost as many payments pass as without the queue. Its worth is in the money, not in the count.",
        ),
    ),
)
