"""Lab 07: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="07",
    title="Diagnosis",
    question="When must the model refuse?",
    minutes=85,
    difficulty=3,
    prerequisites=("Lab 00", "Lab 04 for interval bounds, which are used here"),
    outcomes=(
        "report a diagnosis by its sensitivity, with the interval that so few patients allow",
        "say exactly how many tumours an attacker can hide from a linear model, with and without refusals",
        "choose a threshold for refusing, and name who pays for it",
        "tell a check that stops an attacker from one that stops only the attacker who does not know it",
    ),
    seconds=20,
    part="Integrity at test time",
    stage="user",
)

THREAT = Threat(
    goal="**integrity**: a tumour is read as benign, surely enough to be answered; or **availability**: healthy people "
    "are refused until the doctors have no time",
    knowledge="**white-box**: the weights, the threshold and every check",
    capability="**testing data control**: each of 30 measurements of a record moves by up to ε standard deviations",
    ids=("NISTAML.022", "NISTAML.01", "AML.T0015", "AML.T0043.000", "ML01:2023"),
)

QUIZ = (
    Question(
        "A model finds 48 of 53 tumours and clears all 90 healthy people. Which number belongs in its safety report?",
        (
            "its accuracy, 97 %",
            "its sensitivity, 91 %, with an interval from 138 of 143 right",
            "its sensitivity, 91 %, with an interval from 48 of 53 found",
        ),
        2,
        (
            "The healthy hide the missed: a model that calls everybody healthy has an accuracy of 63 % here.",
            "The right number with the wrong sample: only the 53 who are ill say anything about it.",
            "79 to 97 %: that is what 53 patients allow you to say.",
        ),
    ),
    Question(
        "On the linear model, refusing below a score of t costs an attacker who knows t",
        ("nothing", "t / ‖w‖₁ more in every measurement", "as much as the coverage falls"),
        1,
        (
            "They must cross the band as well: records closer than that are safe.",
            "The score moves by ‖w‖₁ for each unit of ε. So the price is exact, and can be paid.",
            "Coverage is what the clinic pays. The two are not the same currency.",
        ),
    ),
    Question(
        "Checks of plausibility stopped most attacked records. Why did they lower so little what the attacker can do?",
        (
            "among all changes within ε there are plausible ones that are almost as harmful",
            "their ranges of 99 % were so wide that no change of this size leaves them",
            "the attacker moved fewer measurements",
        ),
        0,
        (
            "The first attack had no reason to look for those. The second had.",
            "They stopped most records of the attacker who did not know them, and a quarter of the honest ones.",
            "It moved nearly all of them, and gave up only what would have shown.",
        ),
    ),
    Question(
        'Conformal sets promise: at most 5 % of patients with cancer get a set without "malignant". Under attack',
        (
            "the promise holds: it needs no assumption, neither about the model nor about the data or its source",
            "it is void, since attacked records are not exchangeable with those that set the threshold",
            "it holds on average over all patients",
        ),
        1,
        (
            "It needs one: that the new patient could as well have been among the old ones.",
            "Unless each set allows for all that the attacker can do, as the certified ones do.",
            "Not even that: the attacker may choose every patient.",
        ),
    ),
    Question(
        'A vendor reports "sensitivity 100 % among answered patients". What do you ask first?',
        (
            "how many tumours were refused",
            "how many healthy people were refused",
            "how the threshold compares with that of others",
        ),
        0,
        (
            "A model that refuses every difficult tumour finds all of the others.",
            "That is the next question: it says what the doctors have to do.",
            "A threshold says nothing without the model's scores.",
        ),
    ),
)
