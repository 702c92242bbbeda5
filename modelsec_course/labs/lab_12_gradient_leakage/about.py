"""Lab 12: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="12",
    title="Gradient leakage in federated learning",
    question="Do updates reveal data?",
    minutes=100,
    difficulty=4,
    prerequisites=(
        "Lab 00 (autograd)",
        "the chain rule for one linear layer; ε and δ get one line here, lab 13 has the rest",
    ),
    outcomes=(
        "read an input and its label off a gradient, exactly, where algebra allows it",
        "reconstruct pictures by matching gradients, and say for which batches that works",
        "add up vectors that nobody sees, by masks that cancel, and keep adding when clients drop out",
        "say what a sum still tells, and what noise with a proof costs",
    ),
    seconds=40,
    part="Confidentiality",
    stage="training",
)

THREAT = Threat(
    goal="**privacy**: the training examples behind a participant's update",
    knowledge="**white-box**: the model before the round, and each update that is sent; the server is honest but "
    "curious",
    capability="**passive**: read what the protocol sends, compute at leisure; nothing is changed",
    ids=("NISTAML.032", "AML.TA0010", "AML.M0012", "ML03:2023"),
)

QUIZ = (
    Question(
        "A client trains on one record and sends the first layer's gradient (with bias). What does the server learn?",
        (
            "the record, exactly, by a division",
            "the label, but not the record",
            "a blurred record, if it searches long enough",
        ),
        0,
        (
            "Every row of ∂L/∂W is the record times that row's ∂L/∂b. No search is needed.",
            "The label is in the last layer. The record is in the first.",
            "A search is what networks without such a layer need.",
        ),
    ),
    Question(
        "Does a batch of eight protect?",
        (
            "yes: a gradient of eight is a mean, and no mean can be taken apart into its eight parts again",
            "not reliably: a wide, hardly trained ReLU layer shows most of them, and a search finds more",
            "yes, if the labels are secret",
        ),
        1,
        (
            "Each of these gradients has thousands of numbers, and eight pictures of 64 pixels have 512.",
            "Training hides single rows and makes the search longer. Neither is a proof, and a server may send weights "
            "that show rows.",
            "The last layer's gradient counts them.",
        ),
    ),
    Question(
        "In secure aggregation all masks cancel. Why does each client also add a mask of its own?",
        (
            "one mask could be guessed by a server that tries long enough",
            "it makes the sum private, not only the vectors in it",
            "a client that is late has its pairwise masks revealed",
        ),
        2,
        (
            "A mask is uniform modulo 2³². Guessing is hopeless.",
            "The own masks are taken off again. The sum is exact.",
            "Its own mask still hides its vector: the others reveal either its key or that mask, never both.",
        ),
    ),
    Question(
        "Twenty clients take part, and nineteen of them work for the server. What does secure aggregation hide of the "
        "twentieth?",
        (
            "nothing: the server subtracts nineteen vectors that it knows",
            "all of it: the twentieth client's masks are as uniform as before",
            "its label, but not its vector",
        ),
        0,
        (
            "The sum is public by design. Against this only noise helps, and not noise that the server adds.",
            "The masks hide the vector on its way. The sum minus the others is the vector.",
            "With the vector, the label is there too.",
        ),
    ),
    Question(
        "Noise as long as the gradient itself is added to a single client's gradient. The attack still finds a "
        "recognisable picture. Why?",
        (
            "the noise was not random enough: each number needs a draw of its own",
            "thousands of noisy numbers about 64 pixels average most of it out",
            "the attack knows the noise",
        ),
        1,
        (
            "It was Gaussian and fresh.",
            "So noise by eye is no defence. Differential privacy sets it by a proof: in section 5 it is "
            "fifty times as long as a clipped update.",
            "It knows the distribution only.",
        ),
    ),
)
