"""A guess in the browser: the slider has a name, the keyboard moves it, and what was guessed is drawn and kept."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from modelsec_course.lab.rooms import load

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect
expect.set_options(timeout=60_000)

ASK = """
from modelsec_course.lab import claim, claims, figures, predict, quiz
guess = predict("01.fgsm", "What accuracy is left at **ε = 0.1**?", percent=True)
"""
SHOW = """
figures.bars({"clean": 0.98, "FGSM": 0.53}, "accuracy", "What is left.", percent=True, guess=guess)
claim("FGSM at ε = 0.1 leaves between 40 and 60 %", 0.4 < 0.53 < 0.6, "53.3 %", guess=guess)
"""
BROKEN = """
claims(("FGSM at ε = 0.1 halves accuracy", False, "98.0%"), ("Random signs do not", True, "97.5%"))
print("the lab goes on")
"""
QUIZ = 'quiz("01")'
FORGOT = """
from modelsec_course import evasion
from modelsec_course.lab import check

def fgsm(net, image, label, budget):
    image + budget

fgsm = check("01.fgsm", fgsm)
"""
SOLVED = """
def fgsm(net, image, label, budget):
    return evasion.fgsm(net, image, label, eps=budget)

fgsm = check("01.fgsm", fgsm)
"""


@pytest.fixture(scope="module")
def scratch(server, new_page):
    (server.home / "progress" / "progress.json").unlink(missing_ok=True)  # what other tests guessed and answered
    cells = [new_code_cell(source.strip()) for source in (ASK, SHOW, BROKEN, QUIZ, FORGOT, SOLVED)]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), server.work / "guesses.ipynb")
    return new_page("guesses.ipynb")


def test_a_guess_by_keyboard_is_drawn_and_kept(scratch):
    ask, show, *_ = scratch.cells.all()
    scratch.run(ask)
    slider = ask.get_by_role("slider", name="What accuracy is left at ε = 0.1?")
    expect(slider).to_have_attribute("aria-valuetext", "no guess yet")
    scratch.run(show)
    expect(show.get_by_role("img", name="your guess")).to_have_count(0)
    scratch.shot(unguessed=ask)
    for _ in range(10):
        slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "60\u00a0%")
    expect(ask.get_by_role("status")).to_contain_text("Your guess: 60\u00a0%")
    scratch.run(show)
    expect(show.get_by_role("img", name="Dashed: your guess: 60")).to_have_count(1)
    expect(show.get_by_role("status")).to_contain_text("your guess: 60")
    scratch.shot(guess=ask, guessed=show)
    scratch.run(ask)
    expect(ask.get_by_role("slider")).to_have_attribute("aria-valuetext", "60\u00a0%")


def test_a_claim_broken_on_purpose_stops_nothing(scratch):
    broken = scratch.cells.nth(2)
    scratch.run(broken)
    expect(broken.get_by_role("status")).to_contain_text(re.compile("not true of this run.*verified", re.DOTALL))
    expect(broken.get_by_text("the lab goes on", exact=True)).to_be_visible()
    scratch.shot(broken_claim=broken)


def test_the_quiz_keeps_score(scratch):
    cell = scratch.cells.nth(3)
    scratch.run(cell)
    score = cell.locator(".msec-quizzes > :last-child")
    expect(score).to_have_text(re.compile(r"^0 of \d right so far$"))
    question, asked = load("01").quiz[0], cell.locator(".msec-quiz").first
    asked.get_by_role("radio").nth(question.answer).check()
    expect(score).to_have_text(re.compile(r"^1 of \d right so far$"))
    scratch.shot(quiz=cell)


def test_a_panel_says_once_what_all_rows_say_and_then_what_comes_next(scratch):
    forgot, solved = scratch.cells.nth(4), scratch.cells.nth(5)
    scratch.run(forgot)
    expect(forgot.get_by_role("status")).to_contain_text(re.compile(r"All \d properties end the same way"))
    expect(forgot.get_by_text("is the `return` missing?")).to_have_count(1)
    scratch.run(solved)
    panel = solved.get_by_role("status")
    expect(panel).to_contain_text("Next: read on to exercise 2 of 4")
    expect(panel).to_contain_text("Run them again to see yours at work")
    panel.get_by_text("Show the course's version").focus()
    scratch.page.keyboard.press("Enter")
    expect(panel.get_by_text("def fgsm(")).to_be_visible()
    scratch.shot(forgot=forgot, solved=solved)
