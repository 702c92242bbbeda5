import json

import pytest

from modelsec_course.lab import figures, predict, store
from modelsec_course.lab.style import Shown


def move(guess, value):
    """What the page sends when a learner lets go of the slider."""
    with guess.slider.hold_trait_notifications():  # one message
        guess.slider.touched, guess.slider.value = True, value


def kept(home):
    return json.loads((home / "progress.json").read_text())["guesses"]


def test_untouched_there_is_no_guess(home, capsys):
    guess = predict("98.left", "What is *left*?", percent=True)
    assert guess.value is None
    assert guess.words == ""
    assert capsys.readouterr().out == "What is *left*? No guess yet.\n"
    assert not home.exists()


def test_a_guess_is_kept_and_a_rerun_knows_it(home):
    guess = predict("98.left", "What is left?", percent=True)
    move(guess, 0.6)
    assert guess.value == 0.6
    assert guess.words == "60\u00a0%"
    assert "Your guess: 60" in guess.said.value
    assert kept(home) == {"98.left": 0.6}
    again = predict("98.left", "What is left?", percent=True)
    assert again.value == 0.6
    assert predict("98.other", "What else?").value is None


def test_the_middle_can_be_guessed_by_touching_it(home):
    guess = predict("98.left", "What is left?")
    guess.slider.touched = True
    assert guess.value == 0.5
    assert kept(home) == {"98.left": 0.5}


def test_a_kept_guess_outside_the_slider_is_no_guess():
    move(predict("98.left", "How many?", low=0, high=50, step=1), 40)
    assert predict("98.left", "How many?", low=0, high=20, step=1).value is None


def test_whole_numbers_stay_whole():
    guess = predict("98.left", "How many?", low=0, high=50, step=1)
    move(guess, 7.0)
    assert (guess.value, type(guess.value), guess.words) == (7, int, "7")


def test_the_courses_own_tests_neither_read_nor_keep_guesses(home, monkeypatch):
    move(predict("98.left", "What is left?"), 0.25)
    monkeypatch.setenv("MODELSEC_EXPECT", "pass")
    guess = predict("98.left", "What is left?")
    assert guess.value is None
    move(guess, 0.75)
    assert kept(home) == {"98.left": 0.25}


def test_progress_from_before_there_were_guesses_is_read_and_kept(home):
    home.mkdir()
    old = {"schema": 1, "exercises": {"98.a": {"status": "pass", "attempts": 3}}, "quizzes": {}}
    (home / "progress.json").write_text(json.dumps(old))
    guess = predict("98.left", "What is left?")
    assert guess.value is None
    move(guess, 0.25)
    assert json.loads((home / "progress.json").read_text()) == old | {"guesses": {"98.left": 0.25}}
    store.record_exercise("98.b", "fail")
    assert kept(home) == {"98.left": 0.25}


def test_a_folder_that_cannot_be_written_is_said_under_the_guess(home):
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file in the folder's place")
    guess = predict("98.left", "What is left?")
    move(guess, 0.25)
    assert "kept only until this kernel stops" in guess.said.value
    assert predict("98.left", "What is left?").value == 0.25


def test_the_question_is_escaped_and_names_the_slider():
    guess = predict("98.left", "Is `x` < 1? <script>")
    assert guess.slider.name == "Is x < 1? <script>"
    assert guess.children[0].value.endswith("Is <code>x</code> &lt; 1? &lt;script&gt;</div>")
    assert "<script" not in guess._repr_mimebundle_()["text/html"]
    assert 'aria-live="polite"' in guess.said.value


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"id": "left"}, "id must look like '01.fgsm', not 'left'"),
        ({"low": 1, "high": 1}, "low must be less than high, not 1 and 1"),
        ({"step": 0}, "step must be more than 0, not 0"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        predict(**({"id": "98.left", "prompt": "What is left?"} | arguments))


@pytest.fixture
def shown(monkeypatch):
    cards = []
    monkeypatch.setattr("modelsec_course.lab.style.display", cards.append)
    return cards


@pytest.mark.parametrize("horizontal", [False, True])
def test_the_guess_is_drawn_and_said(shown, horizontal):
    guess = predict("98.left", "What is left?", percent=True)

    def draw(guess):
        figures.curves([0, 1], {"PGD": [1, 0]}, "eps", "accuracy", "Caption.", percent=True, guess=guess)
        figures.bars({"a": 0.2, "b": 0.4}, "accuracy", "Caption.", horizontal=horizontal, percent=True, guess=guess)
        return shown[-2:]

    before, without = draw(guess), draw(None)
    move(guess, 0.6)
    after = draw(guess)
    for untouched, none, guessed in zip(before, without, after, strict=True):
        assert isinstance(guessed, Shown)
        assert untouched.png == none.png
        assert untouched.alt == none.alt
        assert guessed.png != none.png
        assert guessed.alt == f"{none.alt} Dashed: your guess: 60 %."
