import inspect
import time
import warnings

import numpy as np
import pytest
import torch

from modelsec_course.lab import check
from modelsec_course.lab.checking import CheckFailed
from modelsec_course.lab.exercise import Exercise
from modelsec_course.lab.rooms import find
from modelsec_course.lab.run import run


def outcome(exercise, f):
    """The status and the first message of a check."""
    report = run(exercise, f)
    return report.status, next((row.message for row in report.rows if row.message), "")


def exercise_of(*properties, **more):
    return Exercise("98.made", title="Made for a test", reference=lambda x: x, properties=properties, **more)


def test_a_right_answer_passes_and_is_returned(double, capsys):
    def mine(x):
        return x + x

    assert check("98.double", mine) is mine
    assert capsys.readouterr().out == (
        "98.double: passed (2 of 2 properties hold)\n  Next: read on to exercise 2 of 2, Logits of a model.\n"
    )


def test_once_passed_it_says_which_cells_to_run_again_if_they_used_the_courses_version(double, capsys):
    check("98.double", lambda x: 2 * x)
    check("98.double", lambda x: x)
    assert "run already used" not in capsys.readouterr().out
    check("98.double", lambda x: 2 * x)
    assert "Cells below that you have run already used the course's version. Run them again" in capsys.readouterr().out
    check("98.double", lambda x: 2 * x)
    assert "run already used" not in capsys.readouterr().out


def test_it_decorates(double):
    @check("98.double")
    def mine(x):
        return x + x

    assert mine(3) == 6
    assert mine.__name__ == "mine"


def test_a_wrong_answer_says_what_was_expected_and_the_notebook_goes_on(double, capsys):
    going_on = check("98.double", lambda x: 2 * x + 0.25)
    assert torch.equal(going_on(torch.ones(2)), torch.full((2,), 2.0))
    assert "the course's version" in repr(going_on)
    assert str(inspect.signature(going_on)) == "(x)"
    out = capsys.readouterr().out
    assert "not yet right" in out
    assert "double(x) at [0, 0]: expected 0, got 0.25, off by 0.25 (tolerance 1e-06) (6 of 6 values are off)" in out


def test_a_stub_is_not_attempted(double, capsys):
    def stub(x):
        raise NotImplementedError

    going_on = check("98.double", stub)
    assert going_on(2) == 4
    assert capsys.readouterr().out.startswith("98.double: not attempted")


def test_running_only_the_check_again_is_no_success(double, capsys, home):
    going_on = check("98.double", lambda x: x)
    again = check("98.double", going_on)
    assert again(2) == 4
    assert "this is the course's version" in capsys.readouterr().out


def test_a_part_left_out_is_not_yet_right(double):
    def half(x):
        if x.ndim == 1:
            raise NotImplementedError("one dimension")
        return 2 * x

    status, message = outcome(double, half)
    assert status == "fail"
    assert message.startswith("this part still raises NotImplementedError (line 4 ") or "NotImplementedError" in message


def test_a_missing_kernel_of_torch_is_an_error_not_a_stub(double):
    def sparse(x):
        return torch.ops.aten._local_scalar_dense(torch.empty(1, device="meta"))

    status, message = outcome(double, sparse)
    assert status == "fail"
    assert "return torch.ops" in message


@pytest.mark.parametrize("not_a_function", [None, 3, "double", torch.ones(2), [1, 2]])
def test_what_is_no_function_gets_a_panel(double, not_a_function):
    status, message = outcome(double, not_a_function)
    assert status == "fail"
    assert 'Pass the function itself: check("98.double", double).' in message


def test_an_unknown_exercise_names_those_there_are(fake):
    with pytest.raises(ValueError, match=r"no exercise '98.doubel'. Did you mean '98.double'\? There are: 98.double, "):
        check("98.doubel", len)
    with pytest.raises(ValueError, match=r"no exercise 'fgsm'.*98.double"):
        check("fgsm", len)


@pytest.mark.parametrize(
    ("f", "says"),
    [
        (lambda x: None, "your function returned None: is the `return` missing?"),
        (lambda x: x / 0, "your function returned NaN in 1 of 6 values (first at [0, 0])"),
        (lambda x: x + float("inf"), "your function returned infinity in 6 of 6 values"),
        (lambda x: float("nan"), "your function returned NaN"),
        (lambda x: x.numpy() * np.nan, "your function returned NaN in 6 of 6 values"),
        (lambda x: (x, {"a": x / 0}), "in its result[1]['a']"),
        (lambda x: 2 * x[:1], "expected shape (2, 3), got shape (1, 3)"),
        (lambda x: "abc", "expected shape (2, 3), got str"),
        (lambda x, y: x, "missing 1 required positional argument: 'y'"),
        (lambda: 1, "takes 0 positional arguments but 1 was given"),
        (lambda x: x.nothing, "AttributeError: 'Tensor' object has no attribute 'nothing'"),
        (lambda x: exit(), "your function called exit()"),
    ],
)
def test_what_goes_wrong_is_said(double, f, says):
    status, message = outcome(double, f)
    assert status == "fail"
    assert says in message


def test_an_error_names_the_learners_line_and_no_path(double):
    def helper(x):
        return x.frob()

    def mine(x):
        y = x * 2
        return helper(y)

    status, message = outcome(double, mine)
    assert status == "fail"
    assert "of test_check.py: return x.frob())" in message
    assert "/" not in message.replace("x / 2", "")


def test_a_property_that_chokes_says_what_it_got():
    status, message = outcome(exercise_of(lambda f: f(1).shape), lambda x: [1, 2])
    assert status == "fail"
    assert "Your function returned [1, 2] (list): is that what the docstring asks for?" in message


def test_endless_recursion_is_said(double):
    def mine(x):
        return mine(x)

    assert "RecursionError" in outcome(double, mine)[1]


def test_errors_that_cannot_be_printed_are_survived(double):
    class Silent(Exception):
        def __str__(self):
            raise RuntimeError("no")

    class Stop(BaseException):
        pass

    def silent(x):
        raise Silent

    def stop(x):
        raise Stop("here")

    assert "Silent: (its message could not be read)" in outcome(double, silent)[1]
    assert "Stop: here" in outcome(double, stop)[1]


def test_a_huge_message_is_cut(double):
    def shout(x):
        raise ValueError("A" * 1_000_000)

    assert len(outcome(double, shout)[1]) < 2000


def test_a_huge_or_broken_result_is_described_shortly():
    class Broken:
        def __repr__(self):
            raise RuntimeError("no")

    chokes = exercise_of(lambda f: f(1).shape[0])
    assert len(outcome(chokes, lambda x: list(range(10**6)))[1]) < 300
    assert "Broken" in outcome(chokes, lambda x: Broken())[1]


def test_stop_goes_through(double):
    def stopped(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(double, stopped)


def test_properties_after_a_timeout_are_not_tried(double):
    def loop(x):
        while True:
            pass

    started = time.monotonic()
    report = run(double, loop)
    assert time.monotonic() - started < 5
    assert [row.status for row in report.rows] == ["timeout", "skipped"]
    assert "not done after 2 s (line " in report.rows[0].message
    assert "is there a loop that never ends?" in report.rows[0].message


def test_what_is_printed_is_kept_and_cut(double):
    def chatty(x):
        print("<hello>")
        warnings.warn("careful", stacklevel=1)
        return 2 * x

    def flood(x):
        while True:
            print("spam " * 1000)

    report = run(double, chatty)
    assert report.status == "pass"
    assert report.printed.count("<hello>") == 2
    flooded = run(double, flood)
    assert flooded.rows[0].status == "timeout"
    assert len(flooded.printed) < 5000
    assert flooded.printed.endswith("… (cut)")


def test_a_verdict_does_not_depend_on_luck_and_leaves_the_random_state_alone():
    seen = []
    lucky = exercise_of(lambda f: seen.append((f(1).item(), np.random.rand())))
    torch.manual_seed(5), np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    run(lucky, lambda x: torch.rand(()))
    np.random.rand(3), torch.rand(3)
    torch.set_rng_state(before[0])
    run(lucky, lambda x: torch.rand(()))
    assert seen[0] == seen[1]
    assert torch.equal(torch.get_rng_state(), before[0])


def test_torchs_modes_are_put_back(double):
    def meddling(x):
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return 2 * x

    run(double, meddling)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32


def test_something_can_be_asked_of_every_result(fake):
    status, message = outcome(find("98.model"), lambda model, x: model(x).detach()[:, :1])
    assert (status, message) == ("fail", "expected shape (2, 2)")


@pytest.mark.parametrize(("expected", "works"), [("pass", True), ("todo", False)])
def test_the_courses_own_tests_can_demand_an_outcome(double, monkeypatch, home, expected, works):
    monkeypatch.setenv("MODELSEC_EXPECT", expected)
    if works:
        check("98.double", lambda x: 2 * x)
    else:
        with pytest.raises(CheckFailed, match=r"expected 'todo', but:\n98\.double: passed"):
            check("98.double", lambda x: 2 * x)
    assert not home.exists()
