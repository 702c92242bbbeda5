"""Lab 09: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="09",
    title="Model extraction",
    question="What does a copy cost?",
    minutes=100,
    difficulty=3,
    prerequisites=("Lab 01",),
    outcomes=(
        "solve a linear model from its answers, exactly, and say how many queries that takes",
        "copy a network through its probabilities, or its labels alone, and measure the copy honestly",
        "measure what monitoring and rounding cost the attacker, and what they cost honest users",
        "test whether a model is a copy, with a p-value that does not accuse the innocent",
    ),
    seconds=25,
    part="Confidentiality",
    stage="API",
)

THREAT = Threat(
    goal="**confidentiality**: a second model that answers as the victim does, without the work behind it",
    knowledge="**black-box**: the task, perhaps the kind of model, some public data like the victim's; no weights",
    capability="**query access**: a limited number of answers, as probabilities, rounded, or as labels",
    ids=("NISTAML.031", "AML.T0024.002", "AML.T0005.001", "AML.M0002", "AML.M0004", "ML05:2023"),
)

QUIZ = (
    Question(
        "A service gives the probabilities of a softmax regression: 64 pixels, 10 classes. What does a copy cost?",
        (
            "65 queries, whatever the number of classes",
            "640 queries, one for each weight",
            "it cannot be copied exactly, since a number can be added to all logits",
        ),
        0,
        (
            "Nine equations an answer, 9 · 65 unknowns once class 0 is held at zero.",
            "Each answer tells something about all classes at once.",
            "That number changes no answer. The copy is exact in everything that the service ever says.",
        ),
    ),
    Question(
        "Labels only, a linear model. You want the boundary ten times more precisely. How many more queries?",
        (
            "ten times as many",
            "about 3.3 for each feature: one halving for each bit",
            "a hundred times as many, since errors fall with the root",
        ),
        1,
        (
            "That is about what random queries need.",
            "log₂ 10 = 3.3 halvings on each line. A yes or no is one bit, and none is wasted.",
            "That is averaging noise. There is no noise here.",
        ),
    ),
    Question(
        "A copy agrees with its victim on 97 % of the test set. The victim is 95 % accurate. How accurate is the copy?",
        (
            "92 %: the victim is right in 95 % of all cases, and the copy in 97 % of those",
            "between 92 % and 98 %: agreement alone does not say where they differ",
            "97 %",
        ),
        1,
        (
            "Only if the 3 % were spread evenly, and the copy were always wrong there.",
            "Where they differ the copy may be right or wrong, so report both numbers.",
            "Agreement is with the victim, mistakes included. It is not accuracy.",
        ),
    ),
    Question(
        "PRADA gives a client's queries a score as high as any honest client's. What do you know?",
        (
            "the client is honest: a thief's queries are never distributed like a user's",
            "nothing much: blends of real pictures, or plain noise, look normal to it",
            "the client stays within the budget",
        ),
        1,
        (
            "The monitor sees small steps around a few pictures. A knock-off needs none.",
            "The blends of this lab pass it, and so does uniform noise: their distances are about normal.",
            "It looks at distances, not at counts.",
        ),
    ),
    Question(
        "A watermark has one patch and one secret label. A suspect gives 95 of 200 stamped pictures that label, and a "
        "binomial test with n = 200 and chance 1/10 gives p = 10⁻⁴¹. Why is that no proof?",
        (
            "200 pictures are too few",
            "the 200 answers are not independent trials: a model that the patch pushes to that class hits often",
            "the chance should be 1/9, as a model that reads a stamped digit correctly cannot give it the secret label",
        ),
        1,
        (
            "More of them would make it worse.",
            "The label is drawn once, and by luck it is the patch's favourite class. Draw many keys with a label each.",
            "A detail that changes little.",
        ),
    ),
)
