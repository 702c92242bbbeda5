"""Lab 00: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="00",
    title="Start here: what are we protecting?",
    question="What can a machine-learning model lose, and how far is a diagnosis from flipping?",
    minutes=40,
    difficulty=1,
    outcomes=(
        "say which of integrity, confidentiality, availability and sound decisions an incident violates",
        "write a threat model whose every id can be looked up",
        "compute how far an input is from a linear decision boundary, and so how robust a model is, exactly",
        "see what a defence moves from one property to another",
    ),
    seconds=5,
    part="Integrity at test time",
    stage="user",
)

THREAT = Threat(
    goal="any of the classical three, **integrity** (wrong answers), **confidentiality** (leaked data or model), "
    "**availability** (no answers, or dear ones), or through them people's **decisions**",
    knowledge="from none (black-box) to the model's weights (white-box); each lab says which",
    capability="control of inputs, of training data or of code, or no more than queries; each lab says which",
    ids=("NISTAML.02", "NISTAML.03", "NISTAML.01", "AML.T0031", "AML.TA0010", "AML.T0029", "ML09:2023"),
)

QUIZ = (
    Question(
        "A thief copies your model through its public interface and changes nothing. Which property is violated?",
        ("integrity", "confidentiality", "availability", "none: nothing was changed"),
        1,
        (
            "Integrity asks whether answers are right, and they still are.",
            "The model itself is a secret: it cost data and money, and a copy makes every later attack easier.",
            "The service still answers everybody.",
            "Nothing was changed, but something was learned that should have stayed secret.",
        ),
    ),
    Question(
        "Random changes of ±0.3 cost the model almost nothing. What does that say about an attacker limited to 0.3?",
        ("such an attacker is weak too", "very little", "the attacker needs more than 0.3"),
        1,
        (
            "The exact computation says otherwise: at 0.3 about a third of the records can be flipped.",
            "Noise hardly ever hits the worst direction, and an attacker looks for it.",
            "The exact computation needs no more than 0.3 for about a third of the records.",
        ),
    ),
    Question(
        "Why is the L∞ distance divided by Σ|wᵢ|, not by the largest |wᵢ|?",
        (
            "because every measurement may change at once",
            "because it makes the numbers smaller",
            "because the weights sum to 1",
        ),
        0,
        (
            "An L∞ budget is a budget for each column, so the attacker spends it in all of them.",
            "It does, but for a reason: the attacker is stronger than one that changes a single column.",
            "They need not: in this model Σ|wᵢ| is about 17.",
        ),
    ),
    Question(
        "The clinic refuses to answer within 0.2 of the boundary. What has the attacker lost?",
        (
            "everything: near the boundary there is no answer to flip",
            "0.2 of reach towards a wrong answer, and gained a way to cause refusals",
            "nothing at all",
        ),
        1,
        (
            "The attacker crosses the band instead: that costs exactly 0.2 more.",
            "Wrong answers need 0.2 more. But a small push into the band now denies the answer: "
            "integrity was bought with availability.",
            "At the same budget fewer records can be turned into wrong answers.",
        ),
    ),
)
