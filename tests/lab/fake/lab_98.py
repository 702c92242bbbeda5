"""A small lab for the tests of the engine."""

import torch

from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close

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

X = torch.arange(6.0).reshape(2, 3)


def double(x):
    return 2 * x


def doubles(f):
    """Each value is doubled

    and this line is not shown.
    """
    expect_close(f(X), 2 * X, 1e-6, "double(x)")


def zero_stays(f):
    """Zero stays zero"""
    expect((f(torch.zeros(3)) == 0).all(), "expected zeros for an input of zeros")


exercise(
    "98.double",
    title="Twice as much",
    reference=double,
    properties=[doubles, zero_stays],
    hints=["Think of `x + x`.", "In code:\n\n```python\nreturn 2 * x\n```\n\nand **nothing** else."],
    mutants={"halves": lambda x: x / 2, "adds one": lambda x: 2 * x + 1, "keeps": lambda x: x.clone()},
    second=lambda x: x + x,
    timeout=2.0,
)

exercise(
    "98.model",
    title="Logits of a model",
    reference=lambda model, x: model(x).detach(),
    properties=[lambda f: expect_close(f(torch.nn.Linear(3, 2), X).shape[0], 2, 0, "rows")],
    hints=["a", "b"],
    returns=lambda result, args, kwargs: expect(result.shape == (2, 2), "expected shape (2, 2)"),
)
