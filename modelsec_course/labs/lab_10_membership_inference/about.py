"""Lab 10: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="10",
    title="Membership and attribute inference",
    question="Was this record used?",
    minutes=110,
    difficulty=3,
    prerequisites=("Lab 02, for what a query is", "a little probability: densities, and the Gaussian"),
    outcomes=(
        "name members of a training set from a model's answers, and say how sure you are",
        "measure an attack where it matters: at few false accusations, with intervals",
        "train seventy shadow models in the time of a few",
        "tell leakage of a record from what anybody could have guessed",
    ),
    seconds=40,
    part="Confidentiality",
    stage="API",
)

THREAT = Threat(
    goal="**privacy**: learn whether a person's record was in the training set, or a value that the record hides",
    knowledge="the record itself, and data of the same kind to train models on; not the weights",
    capability="**query access**: one query for a record, and the model's scores (or, for more queries, its label)",
    ids=("NISTAML.033", "NISTAML.032", "NISTAML.034", "AML.T0024.000", "AML.M0002", "ML04:2023", "ML03:2023"),
)

QUIZ = (
    Question(
        "An attack has AUC 0.60 and finds 1 % of the members at 1 % false accusations. What can it do?",
        (
            "it names members a little better than chance does, as its AUC says",
            "nothing that matters: where it might be believed, it guesses",
            "it needs a better threshold",
        ),
        1,
        (
            "On average over all thresholds, yes. But nobody is accused at a rate of 50 % false alarms.",
            "At 1 % false accusations, guessing finds 1 % as well. The 0.60 comes from the other end of the curve.",
            "This is the best threshold for that rate. What it lacks is a comparison of each record with itself.",
        ),
    ),
    Question(
        "Why does LiRA beat one threshold for all records?",
        (
            "it asks the model more often",
            "its shadow models are larger than the victim, and so remember more",
            "it compares each answer with other models' on the same record",
        ),
        2,
        (
            "One query for a record, like the threshold.",
            "They have the victim's architecture and size.",
            "Of some people all models are sure, with them or without. What counts is the change that the record made.",
        ),
    ),
    Question(
        "The service hides its scores and answers with a label only. Is membership safe?",
        (
            "no: shadows say which label to expect, and noisy copies how far the boundary is",
            "yes: a label is the same for members and others",
            "yes, as long as test accuracy is high: members and others then get the same labels",
        ),
        0,
        (
            "It costs the attacker part of the finds, and queries win some back. The model has still memorised.",
            "It is wrong more often for others, and near the boundary more easily moved.",
            "Accuracy is an average. Who leaks is the odd record, of which the average says nothing.",
        ),
    ),
    Question(
        "A paper reports AUC 0.95. Its non-members were collected a year after its members. What do you ask for?",
        (
            "more shadow models",
            "the score of an attack that never asks the model",
            "the false-positive rate that goes with an AUC of 0.95",
        ),
        1,
        (
            "They would make a better attack of a broken experiment.",
            "If that *blind* attack does as well, the score is about the year, and not about membership.",
            "An AUC has none: it runs over all of them.",
        ),
    ),
    Question(
        "An attack on a model guesses the sex of 70 % of its members. What has leaked?",
        (
            "their sex, with a confidence of 70 %: that is what the attack has found out about them",
            "nothing yet: compare with imputation, and with people whom the model has not seen",
            "the model's weights",
        ),
        1,
        (
            "What other columns tell anybody is no leak of the model's, and here they tell as much.",
            "Only what lies above both is memory of these records: much for the network, hardly any for ridge.",
            "The attack asks for predictions and learns no weight.",
        ),
    ),
)
