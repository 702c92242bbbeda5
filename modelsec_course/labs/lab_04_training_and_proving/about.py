"""Lab 04: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="04",
    title="Training and proving robustness",
    question="What can be bought, what can be proved?",
    minutes=100,
    difficulty=4,
    prerequisites=("Lab 01", "Lab 03 for targeted Auto-PGD, which is used here", "how PyTorch trains a network"),
    outcomes=(
        "train a network against the attack that it will meet, and say what that costs",
        "prove, for a whole ball of inputs, that no attack exists",
        "read a probabilistic certificate: its radius, its norm, its odds of being wrong",
        "put attacks and proofs on one axis, and trust neither alone",
    ),
    seconds=45,
    part="Integrity at test time",
    stage="model",
)

THREAT = Threat(
    goal="**integrity**: wrong answers, now from a model that was trained or wrapped to withstand them",
    knowledge="**white-box**: architecture, weights and the defence; only the noise that is drawn is unknown",
    capability="**testing data control**: change each input within ε, in L∞ or in L2; training is out of reach",
    ids=("NISTAML.022", "AML.T0015", "AML.T0043.000", "AML.M0003", "ML01:2023"),
)

QUIZ = (
    Question(
        "An attack finds nothing on 72 % of the test inputs, a proof covers 60 %. Next year's leaves 58 %. So",
        (
            "it is simply stronger: the robust accuracy is at most 58 %",
            "one of the two has an error",
            "the network has become less robust",
        ),
        1,
        (
            "A proof of 60 % speaks about next year's attacks too: inside the ball none can come below it.",
            "The attack left the ball, or the proof is wrong: what is proved can never exceed what an attack leaves.",
            "The network is the same, and so is its robust accuracy: only what we know about it changes.",
        ),
    ),
    Question(
        "Interval bounds prove nothing at ε = 0.05 for the network trained with PGD. What follows?",
        (
            "nothing about its robustness",
            "an x′ that fools it exists at 0.05, though our attacks may be too weak to find it",
            "it needs a larger ε in training",
        ),
        0,
        (
            "This proof is too loose for it: the boxes widen with each layer. Another proof may succeed.",
            "A proof that fails is no attack. Targeted Auto-PGD left more than 85 % of it standing at 0.05.",
            "Its ε was three times as large. Bounds are tight where training keeps them tight.",
        ),
    ),
    Question(
        "`certify` returns class 3 and radius 0.6 with α = 0.001. What is proved?",
        (
            "no change of L2 length below 0.6 turns the answer of the network that it was given",
            "none below 0.6 turns the vote, unless the draw was one in 1000",
            "no change of 0.6 in each pixel turns the vote, unless the draw was one in 1000",
        ),
        1,
        (
            "The network itself may change its answer at once: the certificate is about the vote under noise.",
            "About the smoothed classifier, in L2, and wrong with probability at most α.",
            "An L∞ change of 0.6 in 64 pixels has an L2 length of up to 4.8.",
        ),
    ),
    Question(
        "Why must the class be chosen on other noisy copies than those that are counted?",
        (
            "the winner of a count is flattered by that count",
            "together they are more copies, so the interval is narrower",
            "choosing a class wants a larger σ than counting its hits",
        ),
        0,
        (
            "Selection bias: of a coin's two sides, the one that is ahead is ahead by chance, and α would not hold.",
            "More copies narrow the interval, but do not mend a biased count.",
            "Both draws use the same σ: it defines the smoothed classifier.",
        ),
    ),
    Question(
        "A network was trained against PGD at L∞ ε = 0.15. Which attacker has it **not** been trained for?",
        (
            "one with ε = 0.1, ten times as many steps and as many restarts",
            "one with ε = 0.15 and a loss that it never met in training",
            "one with L2 changes of length 1",
        ),
        2,
        (
            "A smaller ball of the same kind: it may lose a little more than PGD showed, no more.",
            "The same ball, searched better: it may lose some points.",
            "Such a change may put 0.5 into each of four pixels. That ball was never searched in training.",
        ),
    ),
)
