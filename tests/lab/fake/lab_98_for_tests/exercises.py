"""Its two exercises."""

import torch

from modelsec_course.lab.exercise import Exercise, expect, expect_close

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


DOUBLE = Exercise(
    "98.double",
    title="Twice as much",
    reference=double,
    properties=[doubles, zero_stays],
    hints=["Think of `x + x`.", "In code:\n\n```python\nreturn 2 * x\n```\n\nand **nothing** else."],
    mutants={"halves": lambda x: x / 2, "adds one": lambda x: 2 * x + 1, "keeps": lambda x: x.clone()},
    second=lambda x: x + x,
    timeout=2.0,
)

MODEL = Exercise(
    "98.model",
    title="Logits of a model",
    reference=lambda model, x: model(x).detach(),
    properties=[lambda f: expect_close(f(torch.nn.Linear(3, 2), X).shape[0], 2, 0, "rows")],
    hints=["a", "b"],
    returns=lambda result, args, kwargs: expect(result.shape == (2, 2), "expected shape (2, 2)"),
)

EXERCISES = (DOUBLE, MODEL)
