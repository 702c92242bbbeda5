"""Lab 05: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="05",
    title="Road signs",
    question="Does the attack survive the physical world?",
    minutes=80,
    difficulty=3,
    prerequisites=("Lab 01 (gradients in the input)", "Lab 02 (transfer)", "Lab 04 (training on the attack)"),
    outcomes=(
        "make a sticker that works in streets it has not seen, by the mean gradient over transformations",
        "count its success on unseen photographs, for both goals, with intervals",
        "say what a sticker shows that people would see too, by a control without a computer",
        "score a whole drive, with and without a memory, and attack four defences again",
    ),
    seconds=45,
    part="Integrity at test time",
    stage="user",
)

THREAT = Threat(
    goal="**integrity**: a STOP sign that is not read, or that is read as a limit of 80, while people still read STOP",
    knowledge="**white-box**: the reader's weights, its defences, and how cameras see",
    capability="**physical access** to the sign: a print on up to a quarter; neither the camera nor its pictures",
    ids=("NISTAML.022", "AML.T0015", "AML.T0041", "AML.T0043.000", "ML01:2023"),
)

QUIZ = (
    Question(
        "A sticker fools the model on every try, on the photograph it was made for. What do you know?",
        (
            "that it fools the model on most photographs of that sign",
            "nothing yet about any other photograph",
            "that its pattern is stronger than the sign's own",
        ),
        1,
        (
            "The one-photo stickers did so on their own, and on others much less often.",
            "Each of them worked on its own photograph. What counts is measured on unseen ones.",
            "On another photograph the sign often won.",
        ),
    ),
    Question(
        "What does the same print, glued on upside down, tell you?",
        (
            "whether the pattern matters, or the colours and the area that it covers",
            "whether the network was trained on signs that hang upside down",
            "whether the sticker works from the other side of the road",
        ),
        0,
        (
            "It has the same inks, contrast and area. Blots of chance have other ones.",
            "Only the print is turned, not the sign.",
            "That is another homography, and the streets have it already.",
        ),
    ),
    Question(
        "A system remembers every sign that it has read until it has passed. Compared with one that believes the last "
        "frame,",
        (
            "both goals become harder for the attacker",
            "hiding a sign becomes harder, and making one appear easier",
            "hiding a sign becomes easier, and making one appear harder",
        ),
        1,
        (
            "One frame is enough to make a sign appear: the memory keeps it.",
            "To hide it every frame must miss it; to appear, one frame must read it.",
            "It is the other way round. What you describe is what a vote does.",
        ),
    ),
    Question(
        "In the centre of the STOP sign, the hiding sticker makes it “no entry” on most photographs. Is this a flaw of "
        "the network?",
        (
            "only partly: plain white paper in the same place hides STOP too, though it is less often “no entry”",
            "yes: people would read STOP, whatever is glued over the word",
            "no: any sticker that covers the word does as much",
        ),
        0,
        (
            "Hiding needs no computer: white paper is the control. That it is “no entry” is the pattern's work.",
            "The word is covered, and white in the middle of a red sign means something to them.",
            "Blots in the same place leave most of the signs read as STOP by this network.",
        ),
    ),
    Question(
        "Double masking proves that no 5×5 patch changes its answer to a photograph. A sticker does change it. How?",
        (
            "the proof holds with high probability only",
            "the sticker knew the masks, and the proof does not allow for that",
            "the sticker is larger in the picture than 5×5 pixels",
        ),
        2,
        (
            "It is exact: every pair of masks was tried. Nothing is sampled.",
            "It holds against attackers who know everything, within its patch.",
            "A proof is about what it says: one upright square of that size. Read the small print of a certificate.",
        ),
    ),
)
