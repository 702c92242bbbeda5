"""Lab 14: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="14",
    title="Private training, audited",
    question="Does the promise hold in practice?",
    minutes=150,
    difficulty=4,
    prerequisites=("Lab 13, for ε, δ and composition", "Lab 10, for LiRA; lab 11, for inversion"),
    outcomes=(
        "train with differential privacy, and say which line carries the guarantee",
        "plan a run: noise, sampling rate and steps for a given ε",
        "prove a lower bound on ε from an attacker's guesses, with many runs or with one",
        "say which bug an audit can see, and what it cannot",
    ),
    seconds=50,
    part="Privacy by design",
    stage="training",
)

THREAT = Threat(
    goal="**privacy**: whether a record was in the training set of a model that claims differential privacy",
    knowledge="**white-box**: the final weights, or each step's noisy gradient, and all other records; the lab "
    "compares the two",
    capability="**training data control** for an auditor: insert canaries, train, guess; an attacker has less",
    ids=("NISTAML.033", "NISTAML.032", "AML.T0024.000", "AML.T0024.001", "AML.M0003", "ML04:2023"),
)

QUIZ = (
    Question(
        "A step of DP-SGD draws 90 records where 64 were expected. By what is the noisy sum divided?",
        (
            "by 90, the number of records in it",
            "by 64, whatever was drawn",
            "by either: it changes the step's length and nothing else",
        ),
        1,
        (
            "The number drawn depends on who is in the data, and the guarantee is for a sum divided by a constant.",
            "A constant reveals nothing. The sum, with its noise, is all that comes from the data.",
            "It is a number that the data chose, and that no noise hides. It gives away little, but is not accounted.",
        ),
    ),
    Question(
        "An audit of 1,000 canaries proves ε ≥ 0.3. The accountant says ε ≤ 1.5. What do you know?",
        (
            "that the true ε is 0.3",
            "that the accountant is wrong: its number is five times as large as what was proved",
            "that the truth lies between, if the accountant's assumptions hold for this code",
        ),
        2,
        (
            "A lower bound is what *this* attacker could prove with so many canaries.",
            "Not from this: 0.3 is below 1.5. Only a bound above the claim would refute it.",
            "The audit refutes nothing. It would also refute nothing if the bug were one that it cannot see.",
        ),
    ),
    Question(
        "An implementation draws its noise once and adds it at every step. Where does it show?",
        (
            "in the steps' noisy gradients: what changes between steps is data",
            "in the final weights of one run: they hold less noise than they should",
            "in the test accuracy",
        ),
        0,
        (
            "The differences of two steps hold no noise at all.",
            "There it looks like more noise, not less: the same draw added up many times.",
            "It is a little lower, and so it is with a smaller learning rate.",
        ),
    ),
    Question(
        "A face recogniser is trained with ε = 8 for each photograph. There are 12 of each person. What of the person?",
        (
            "ε = 8 as well",
            "at most 12 · 8 = 96, which promises nothing, so a likeness may well come out",
            "nothing of the person can be reconstructed, since all of the training was private",
        ),
        1,
        (
            "The neighbours of the definition differ in one photograph, not in twelve.",
            "The unit of privacy is part of the claim. A class that is one person is learnt as a class should be.",
            "Private training hides whether a record was used, not what a class looks like.",
        ),
    ),
    Question(
        "A team tries 40 settings on the private data and publishes the best model, with the ε of its own run. Fair?",
        (
            "yes: only one model is published",
            "yes, if the other 39 are deleted with their logs, and no number of theirs is ever published",
            "no: the data made the choice, so it must be accounted for, or made on public data",
        ),
        2,
        (
            "But which one is published depends on all 40 runs.",
            "What was deleted has done its work: it decided what is left.",
            "Choosing is a computation on the data. Labs do it all the time, ours too: say so.",
        ),
    ),
)
