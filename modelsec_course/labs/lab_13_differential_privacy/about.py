"""Lab 13: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="13",
    title="Differential privacy",
    question="Can leakage be bounded?",
    minutes=150,
    difficulty=4,
    prerequisites=("a little probability: densities, the Gaussian", "Lab 10, for what membership leaks"),
    outcomes=(
        "reconstruct records from statistics that nobody thought personal",
        "answer with a guarantee: Laplace, Gaussian and geometric noise, and randomised response",
        "count what thousands of answers cost together, and say which proof you rely on",
        "tell a bound from a number that looks like one",
    ),
    seconds=20,
    part="Privacy by design",
    stage="API",
)

THREAT = Threat(
    goal="**privacy**: whether one person's record is in the data behind a published answer",
    knowledge="everything but that one record: the other records, the mechanism, its noise's distribution",
    capability="**query access**: as many answers as are published, combined in any way, now or later",
    ids=("NISTAML.033", "NISTAML.032", "AML.T0024.000", "ML04:2023"),
)

QUIZ = (
    Question(
        "A clinic answers exact counts, never about fewer than 50 people. What protects a patient?",
        (
            "the rule: in a group of 50 or more nobody can tell one person's record",
            "nothing: two groups that differ by one person give the record away",
            "the number of records, if it is large",
        ),
        1,
        (
            "Each answer hides the person, but the difference of two does not, and the rule sees one at a time.",
            "And where such pairs are forbidden, enough random groups do the same by least squares.",
            "Exact answers about a million people differ by exactly one, too.",
        ),
    ),
    Question(
        '"Our model was trained with ε = 2." What do you have to ask before the number means anything?',
        (
            "δ, which databases are neighbours, what one record is, and how batches were drawn",
            "how accurate the model is, on which test set, and how far that is below the model without privacy",
            "how many records there were, since ε is a promise to each one of them",
        ),
        0,
        (
            "By record, an ε of 2 promises little to a person with 300 of them. Shuffled batches need another proof.",
            "Accuracy is the price. The promise does not depend on it.",
            "The promise is for one record among any number. (δ should be well below 1 over that number.)",
        ),
    ),
    Question(
        "An answer with ε = 0.5 is published. Years later an attack is far better. What is left of the promise?",
        (
            "nothing: it holds for attacks known at the time",
            "less and less: computers get faster, and attackers learn from each other",
            "all of it: it bounds what anybody can conclude from this answer",
        ),
        2,
        (
            "No attack is named in the definition: it speaks of all sets of outputs.",
            "Nor is computing time. What can grow is the number of answers: each spends more.",
            "Post-processing is free. Only a further answer from the same records costs.",
        ),
    ),
    Question(
        "For one run, three accountants say 3.0 (classic RDP), 2.6 (improved RDP) and 2.4 (PLD). Which is right?",
        (
            "the largest, to be safe",
            "all three are upper bounds, so the smallest of them is the one to report",
            "the one in the middle: of several measurements the outliers are left aside",
        ),
        1,
        (
            "It is no safer: the run has not changed, only the proof. You would add noise for nothing.",
            "As long as each is a proof, for this sampling and these neighbours.",
            "A bound is no measurement. They do not scatter around a truth; all lie above it.",
        ),
    ),
    Question(
        "A hospital's statistics have ε = 1 where a record is one visit. Bea came twelve times. What is she promised?",
        (
            "ε = 1, like everybody",
            "ε = 12 at best: her visits add up, so the unit should have been a person",
            "ε = 1/12: the promise is shared among her twelve visits, a twelfth for each",
        ),
        1,
        (
            "That is the promise to each visit. Twelve of them move an answer up to twelve times as far.",
            "From neighbour to neighbour, twelve steps of e^ε each. Always ask what one record is.",
            "The other way round: more records of hers make her easier to see.",
        ),
    ),
)
