"""Lab 01: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="01",
    title="White-box evasion",
    question="How little must a picture change before the model is wrong?",
    minutes=120,
    difficulty=3,
    prerequisites=("Lab 00", "PyTorch tensors and gradients"),
    outcomes=(
        "write four attacks: two that stay in a ball, two that look for the smallest change",
        "tell an adversarial change from noise by a control",
        "test an attack against a closed form before trusting it",
        "attack a defence through the defence",
    ),
    seconds=40,
    part="Integrity at test time",
    stage="model",
)

THREAT = Threat(
    goal="**integrity**: the model answers wrongly for an input that people still read correctly",
    knowledge="**white-box**: architecture, weights and defences",
    capability="**testing data control**: change each input a little, within ε; training is out of reach",
    ids=("NISTAML.022", "AML.T0015", "AML.T0043", "AML.T0043.000", "ML01:2023"),
)

QUIZ = (
    Question(
        "Random changes of ±0.15 leave more than 94 % accuracy, FGSM's change of the same size less than a third. Why?",
        (
            "FGSM changes more of the pixels, up to every one of them",
            "FGSM's small changes all push the loss the same way",
            "random changes leave the ball and are thrown away",
        ),
        1,
        (
            "Both move every pixel by ε, as far as black and white allow.",
            "With 64 pixels, 64 aligned pushes add up. Random ones mostly cancel.",
            "Neither leaves the ball: both are ±0.15, then clamped.",
        ),
    ),
    Question(
        "PGD with one step of length ε, started at x, is",
        ("FGSM", "weaker than FGSM", "DeepFool"),
        0,
        (
            "One step along the gradient's signs, and the projection has nothing to do.",
            "It is the same point, so it is exactly as strong.",
            "DeepFool chooses its own length: there is no ε.",
        ),
    ),
    Question(
        "A colleague reports an attack at ε = 0.1, but the changed pictures hold pixels of 1.08. What is wrong?",
        (
            "nothing: |δ| ≤ 0.1 holds for every pixel, and that is the whole constraint",
            "no camera can take such a picture: the attack left the set of inputs",
            "ε should have been 8/255",
        ),
        1,
        (
            "The ball is one constraint, the range of inputs another.",
            "The success counts inputs that cannot exist. Clamp, and measure again.",
            "ε is a choice. The range [0, 1] is not.",
        ),
    ),
    Question(
        "Why does Carlini & Wagner's attack keep the best iterate instead of the last?",
        (
            "because the loss looks only at pictures that fool the model, never at others",
            "because the path swings across the boundary and may end on the wrong side",
            "because the last step may leave the range [0, 1], where no picture lies",
        ),
        1,
        (
            "It looks at all of them: until the model errs, it is the margin that Adam pushes down.",
            "The distance pulls back, the margin pushes out. What counts is the closest point that fooled the model.",
            "The tanh keeps every iterate inside.",
        ),
    ),
    Question(
        "A filter in front of the model saves half of the pictures that fooled it. What do you do first?",
        (
            "measure again with more pictures, for a narrower interval",
            "attack again, with gradients taken through the filter",
            "use a stronger filter",
        ),
        1,
        (
            "The number is not imprecise, it answers the wrong question: that attacker did not know of the filter.",
            "A defence is only as good as the attack that knows it. Here none stands that attack.",
            "That may help or hurt, and you would not know: measure against an attacker who knows the defence.",
        ),
    ),
)
