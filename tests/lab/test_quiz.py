from modelsec_course.lab import quiz, store
from modelsec_course.lab.quizzes import Quiz
from modelsec_course.lab.standing import Board


def test_choosing_explains_right_and_wrong(fake):
    asked = Quiz("98").asked[0]
    assert asked.choices.value is None
    asked.choices.value = 0
    assert "Not quite." in asked.feedback.value
    assert "Random signs barely matter." in asked.feedback.value
    asked.choices.value = 1
    assert "Right." in asked.feedback.value
    assert "<strong>one</strong>" in asked.feedback.value
    assert 'role="status"' in asked.feedback.value


def test_answers_count_as_progress(fake):
    questions = Quiz("98").asked
    questions[0].choices.value = 1
    questions[1].choices.value = 2
    assert "1 of 2 quiz questions right" in repr(Board("98"))
    questions[1].choices.value = 0
    assert "2 of 2 quiz questions right" in repr(Board("98"))


def test_the_score_follows_the_answers_and_knows_those_of_an_earlier_run(fake):
    first = Quiz("98")
    assert "0 of 2 right so far" in first.score.value
    first.asked[0].choices.value = 1
    assert "1 of 2 right so far" in first.score.value
    first.asked[1].choices.value = 0
    assert "2 of 2 right so far" in first.score.value
    first.asked[0].choices.value = 0
    assert "1 of 2 right so far" in first.score.value
    again = Quiz("98")
    assert "1 of 2 right so far" in again.score.value
    assert 'role="status"' in again.score.value
    again.asked[0].choices.value = 1
    assert "2 of 2 right so far" in again.score.value


def test_answers_of_the_courses_own_tests_do_not(fake, monkeypatch, home):
    monkeypatch.setenv("MODELSEC_EXPECT", "pass")
    Quiz("98").asked[0].choices.value = 1
    assert store.read()[0]["quizzes"] == {}
    assert not home.exists()


def test_a_quiz_escapes(fake):
    asked = Quiz("98").asked[0]
    asked.choices.value = 0
    page = asked.children[0].value + asked.feedback.value + Quiz("98")._repr_mimebundle_()["text/html"]
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page


def test_without_widgets_it_is_text_and_gives_nothing_away(fake, capsys):
    quiz("98")
    out = capsys.readouterr().out
    assert out.startswith("Question 1 of 2. Is `noise` an attack? <b>\n  a) Yes, always\n  b) No: direction matters")
    assert "gradient" not in out
    assert Quiz("98")._repr_mimebundle_()["text/plain"] + "\n" == out
