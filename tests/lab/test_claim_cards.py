import numpy as np
import pytest
import torch

from modelsec_course.lab import claim, claims, predict
from modelsec_course.lab.claiming import ClaimFailed, Claims, made


@pytest.mark.parametrize("true", [True, np.bool_(True), torch.tensor(True), np.array(True), torch.tensor(1) < 2])
def test_a_true_claim_is_shown(true, capsys):
    assert claim("FGSM halves accuracy", true, measured="53.3 %") is None
    assert capsys.readouterr().out == "✔ verified: FGSM halves accuracy (measured: 53.3\u00a0%)\n"


@pytest.mark.parametrize("false", [False, np.bool_(False), torch.tensor(False)])
def test_a_claim_that_a_learners_change_made_false_is_shown_calmly_and_stops_nothing(false, capsys):
    claim("FGSM halves accuracy", false, "98.0 %")
    said, calm = capsys.readouterr().out.splitlines()
    assert said == "○ not true of this run: FGSM halves accuracy (measured: 98.0\u00a0%)"
    assert "what your change does. The lab goes on." in calm
    assert 'class="msec wait"' in Claims(made()).html()


def test_a_false_claim_stops_the_courses_own_tests(monkeypatch, capsys):
    monkeypatch.setenv("MODELSEC_EXPECT", "todo")
    with pytest.raises(ClaimFailed, match=r"^○ not true of this run: FGSM halves accuracy$"):
        claim("FGSM halves accuracy", False)
    with pytest.raises(ClaimFailed, match=r"^○ not true of this run: b$"):
        claims(("a", True), ("b", False))
    assert capsys.readouterr().out.count("not true of this run") == 2


@pytest.mark.parametrize(
    "neither", [0.6, None, 1, "yes", torch.tensor([True, True]), torch.tensor(1.0), np.ones(2) > 0]
)
def test_what_is_neither_true_nor_false_is_refused(neither):
    with pytest.raises(TypeError, match="write a comparison such as"):
        claim("x", neither)
    with pytest.raises(TypeError, match="write a comparison such as"):
        claims(("a", True), ("x", neither))
    assert made() == []


def test_several_claims_share_one_card(capsys):
    claims(("`PGD` is **stronger**", True, "8.4%"), ("the control is not", np.bool_(True)))
    assert capsys.readouterr().out == (
        "✔ verified: PGD is stronger (measured: 8.4\u00a0%)\n✔ verified: the control is not\n"
    )
    page = Claims(made()).html()
    assert page.count('role="status"') == 1
    assert page.count("<li>") == 2
    assert 'class="msec good"' in page
    assert "<code>PGD</code> is <strong>stronger</strong>" in page


def test_one_false_row_makes_the_card_calm_and_its_words_say_which():
    claims(("a", True), ("b", False, "3"))
    page = Claims(made()).html()
    assert 'class="msec wait"' in page
    assert page.count("verified:") == page.count("not true of this run:") == 1


def test_the_runs_claims_are_kept_and_a_rerun_replaces_what_it_said():
    claim("a", True, "1 %")
    claims(("b", True), ("c", True))
    claim("a", False, "2%")
    assert [(row.sentence, row.holds, row.measured) for row in made()] == [
        ("a", False, "2\u00a0%"), ("b", True, ""), ("c", True, ""),
    ]  # fmt: skip


def test_a_claim_says_the_guess_beside_the_measured_value(capsys):
    guess = predict("98.left", "What is left?", percent=True)
    claim("a", True, "53.3 %", guess=guess)
    assert "guess" not in capsys.readouterr().out.splitlines()[-1]
    guess.slider.touched, guess.slider.value = True, 0.6
    claim("a", True, "53.3 %", guess=guess)
    assert capsys.readouterr().out == "✔ verified: a (measured: 53.3\u00a0%; your guess: 60\u00a0%)\n"
