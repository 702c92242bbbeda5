"""Lab 03: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="03",
    title="Evaluating honestly",
    question="Is this defence real?",
    minutes=120,
    difficulty=4,
    prerequisites=("Lab 01", "Lab 02 for the Square attack, which is used here"),
    outcomes=(
        "tell how far an attack is from the truth, where the truth is known",
        "break four defences that stop a careless attacker and nobody else",
        "report a robust accuracy as what it is: the worst case over several attacks, and an upper bound",
        "raise the flags that a fake defence cannot hide, and find what is wrong with an evaluation by a control",
    ),
    seconds=40,
    part="Integrity at test time",
    stage="model",
)

THREAT = Threat(
    goal="**integrity**: wrong answers in spite of a defence; an evaluator is to find them before others do",
    knowledge="**white-box**: architecture, weights and the defence; beside it black-box attacks, as a cross-check",
    capability="**testing data control**: change each input within ε, knowing how the defence works",
    ids=("NISTAML.022", "NISTAML.025", "AML.T0015", "AML.T0043.000", "AML.T0043.001", "AML.M0003", "ML01:2023"),
)

QUIZ = (
    Question(
        "An attack leaves 25 % of the inputs standing at ε = 0.15. What do you know about the robust accuracy there?",
        ("it is 25 %", "it is at most 25 %", "it is at least 25 %"),
        1,
        (
            "Only if no better attack exists. On softmax regression PGD leaves about 25 % where 18.3 % is the truth.",
            "Every input that fell certainly falls. One that stands may fall to the next attack.",
            "That would need a proof: lab 04.",
        ),
    ),
    Question(
        "Multiplying all logits by 1000 changes no answer. Why does PGD on the cross-entropy break so much less?",
        (
            "the model has become more robust",
            "the softmax is 1 in float32, so the loss has no slope left to climb",
            "the loss is 1000 times as large",
        ),
        1,
        (
            "No picture's class has changed, so exactly the same pictures fool it.",
            "The gradient underflows to 0. A loss that divides the scale out, such as DLR, does not notice.",
            "A larger loss would not matter: the step's length is chosen by its sign.",
        ),
    ),
    Question(
        "A black-box attack breaks inputs that the white-box attack left standing. What does that tell you?",
        (
            "that the white-box number is not to be trusted",
            "that the black-box attack is the better one for every model",
            "that the model leaks its weights through its answers",
        ),
        0,
        (
            "An attacker who knows all should do at least as well. If not, the slope is hidden or the attack is weak.",
            "It sees less. On an honest model it finds less.",
            "It only asks for answers.",
        ),
    ),
    Question(
        "BPDA replaces a quantiser by the identity on the way back. Why does that work?",
        (
            "the quantiser hardly changes the picture, so the slope without it points almost the right way",
            "the identity is the quantiser's true gradient",
            "the attack may leave the ball",
        ),
        0,
        (
            "Whoever moves x far enough moves the rounded picture the same way. The forward pass stays exact.",
            "Its true gradient is 0 almost everywhere, which is why PGD stands still.",
            "It never does: the ball is around x, and the projection is as before.",
        ),
    ),
    Question(
        "At ε = 1 in L∞ an evaluation still reports 40 % robust accuracy. What follows?",
        (
            "the defence is remarkable, since no change fools it",
            "ε = 1 is too small to tell",
            "the attack is broken",
        ),
        2,
        (
            "Grey for every input would fool it on nine classes of ten.",
            "Pixels are in [0, 1]: no larger change exists.",
            "Every picture may be turned into any other, also into one that it reads as another class. None was found.",
        ),
    ),
)
