"""Its card and its quiz; it has no threat."""

from modelsec_course.lab.exercise import Lab, Question

LAB = Lab(
    number="98",
    title="A lab for tests",
    question="Does the <engine> hold?",
    minutes=45,
    difficulty=2,
    prerequisites=("Lab 01",),
    outcomes=("double `x`", "see **what** happens"),
    seconds=25,
)

QUIZ = (
    Question(
        "Is `noise` an attack? <b>",
        options=("Yes, always", "No: direction matters <script>alert(1)</script>"),
        answer=1,
        why=(
            "Random signs barely matter. <img src=x onerror=alert(1)>",
            "The gradient points at the **one** that does.",
        ),
    ),
    Question("Second?", options=("a", "b", "c"), answer=0, why=("yes", "no, b", "no, c")),
)
