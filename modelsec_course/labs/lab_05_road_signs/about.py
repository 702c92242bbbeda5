"""Lab 05: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="05",
    title="Road signs",
    question="Does the attack survive the physical world?",
    minutes=60,
    difficulty=2,
    prerequisites=("Lab 01",),
    outcomes=("double a tensor", "tell an effect from its control"),
    seconds=5,
    part="Integrity at test time",
    stage="user",
)

THREAT = Threat(
    goal="**integrity**: the model answers wrongly for an input that people still read correctly",
    knowledge="**black-box**: the answers to queries, no weights",
    capability="**query access**: show the model inputs, so many times",
    ids=("NISTAML.022", "AML.T0015", "ML01:2023"),
)

QUIZ = (
    Question(
        "What does a control show?",
        ("that the effect is large", "what happens without the cause", "that the code has no bugs at all"),
        1,
        (
            "A large effect may have another cause.",
            "If the control shows the effect too, the cause is another one.",
            "A control can have a bug of its own.",
        ),
    ),
    Question(
        "Why is a claim a band and not a number?",
        ("because another seed gives another number", "because numbers are hard to read", "because it looks better"),
        0,
        ("A claim has to hold for victims trained anew.", "A table reads well.", "It has to be true first."),
    ),
    Question(
        "When does a check accept an answer?",
        ("when it is written as the reference is", "when every property holds", "when it returns anything"),
        1,
        (
            "Another right answer has to pass, whatever it looks like.",
            "Properties say what any right answer does.",
            "A wrong answer returns something, too.",
        ),
    ),
)
