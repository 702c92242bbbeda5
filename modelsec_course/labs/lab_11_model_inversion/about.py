"""Lab 11: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="11",
    title="Model inversion",
    question="What does a face recogniser give away?",
    minutes=95,
    difficulty=3,
    prerequisites=("Lab 01 (climbing a model's score)", "Lab 02 (estimated gradients)"),
    outcomes=(
        "make a picture of a person from a model that was trained on them",
        "say why confidence is no measure of a reconstruction, and use an independent open-set judge",
        "use a prior, and count what it finds beyond the best search",
        "attack a service that rounds its answers",
    ),
    seconds=35,
    part="Confidentiality",
    stage="model",
)

THREAT = Threat(
    goal="**privacy**: a picture of a person whose name is one of the model's classes",
    knowledge="**white-box**: the weights, the list of names, and public photographs of other people; none of "
    "the person",
    capability="**no control** of data or training: climb the model's own score, as long as you like",
    ids=("NISTAML.032", "AML.T0024.001", "AML.M0002", "ML03:2023"),
)

QUIZ = (
    Question(
        "A model is 99.9 % sure that your reconstruction is person 7. What do you know?",
        (
            "that it is a picture in which people recognise person 7",
            "that you climbed the model's score, and no more",
            "that person 7 was in the training data",
        ),
        1,
        (
            "The convolutional network was as sure of patterns in which the judge recognised hardly anybody.",
            "The score was the goal, so it cannot be the measure. Ask somebody who did not take part.",
            "Person 7 is one of the model's classes, which you knew before.",
        ),
    ),
    Question(
        "Why must the judge know strangers?",
        (
            "one who has to choose among private people takes strangers for them",
            "more people make its training longer, and its answers on photographs better",
            "strangers are what the attack looks for",
        ),
        0,
        (
            "Look-alikes, photographs of other people, passed the closed judge in most cases.",
            "Its accuracy on photographs is the same. What changes is what it may answer.",
            "The attack looks for the private people. Strangers are the answer that says: not them.",
        ),
    ),
    Question(
        "An attack is recognised for 60 % of people, the look-alike for 35 %. What did climbing add?",
        (
            "60 points: that many people are recognised, and nobody was before",
            "at most 25 points: a better search may find more of the same",
            "nothing, since the judge is fooled by look-alikes",
        ),
        1,
        (
            "35 of them need no reconstruction: a search among public photographs finds them.",
            "Take the difference person by person, with an interval. It is a gain over this search of this album.",
            "A judge that strict about everybody would be a judge of nothing. What beats the control is real.",
        ),
    ),
    Question(
        "Why does a prior help the attacker?",
        (
            "it knows the private people",
            "it makes the model more confident of each picture",
            "it leaves only pictures that could be faces",
        ),
        2,
        (
            "It was made of public pictures of other people.",
            "They were about as sure of pixels without a prior.",
            "Climbing cannot end in a pattern that is no face. And codes alone are nobody: what is private comes from "
            "the model's score.",
        ),
    ),
    Question(
        "A service rounds its probabilities to one decimal. Inversion by queries is",
        (
            "impossible, since most answers are 0.0",
            "possible only for somebody who has the weights and their gradient",
            "still possible: it finds fewer people for the same queries",
        ),
        2,
        (
            "Somewhere near a start they are not, and from there it climbs.",
            "Answers at z + σu and z − σu are enough for a slope.",
            "Large steps see through small differences. And a search needs only to know which answers are not 0.0.",
        ),
    ),
)
