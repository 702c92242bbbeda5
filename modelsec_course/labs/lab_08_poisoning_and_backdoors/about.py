"""Lab 08: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="08",
    title="Poisoning and backdoors",
    question="Can training data be trusted?",
    minutes=100,
    difficulty=3,
    prerequisites=("Lab 01, for PGD", "how PyTorch trains a network"),
    outcomes=(
        "poison a training set: spoil a model for everybody, or plant a backdoor that only you can open",
        "count a backdoor's success without counting what needs no trigger",
        "look for poison with three detectors, and set their thresholds on clean models",
        "prove how many poisoned rows a prediction withstands",
    ),
    seconds=35,
    part="Integrity at training time",
    stage="data",
)

THREAT = Threat(
    goal="**integrity**: a chosen wrong answer whenever a trigger is shown; or **availability**: a model that is "
    "wrong for everybody",
    knowledge="**grey-box**: the task and the kind of data; not the weights, which do not exist yet",
    capability="**training data control**: add or change a few rows, with or without their labels; show the "
    "trigger later",
    ids=("NISTAML.013", "NISTAML.021", "NISTAML.023", "AML.T0020", "AML.T0043.004", "ML02:2023", "ML10:2023"),
)

QUIZ = (
    Question(
        "A backdoored model is as accurate on the test set as a clean one. Why?",
        (
            "the test set was poisoned as well",
            "no test input bears the trigger, and all other rows are as they were",
            "the attacker chose the weights by hand, so that the test set is read as before",
        ),
        1,
        (
            "Nobody touched it. It has no trigger in it, which is why it shows nothing.",
            "So a test accuracy cannot tell a backdoored model from a clean one.",
            "The attacker only changed rows; ordinary training did the rest.",
        ),
    ),
    Question(
        "30 % of the labels are wrong. When does that hurt a network most?",
        (
            "when the wrong labels are drawn at random from all the other classes",
            "when all wrong labels of a class agree on one other class",
            "it makes no difference: 30 % is 30 %",
        ),
        1,
        (
            "Then each wrong class gets a ninth of them, and the right label keeps a large majority.",
            "Then there is a second answer to learn. At one half it has as many votes as the right one.",
            "It makes a large one: what counts is whether the errors agree.",
        ),
    ),
    Question(
        "Your detector flags 95 % of all poisoned rows. What do you have to know before you use it?",
        (
            "how many clean rows and clean models it flags",
            "which paper proposed it, and which library it comes from",
            "nothing else: 95 % is enough",
        ),
        0,
        (
            "Flagging everything finds all poison. Run it where there is none, and set its threshold there.",
            "That says nothing about your data.",
            "A detector that flags everything reaches 100 %.",
        ),
    ),
    Question(
        "A partition ensemble of 50 certifies a radius of 12 for one input. What is proved?",
        (
            "the label is right, and no 12 rows that anybody changes can make it wrong",
            "the label stays, whichever 12 rows an attacker adds, removes or relabels",
            "the label stays, whichever 12 rows an attacker rewrites",
        ),
        1,
        (
            "It may be wrong. A certificate is about change, not truth.",
            "Each such row reaches one part, so at most 12 votes move.",
            "A rewritten row leaves one part and enters another: it costs two votes, so 6 are proved.",
        ),
    ),
)
