import json
import multiprocessing
import os
import stat

import pytest

from modelsec_course.lab import check, progress, store
from modelsec_course.lab.standing import Board


def attempts(id):
    return store.read()[0]["exercises"][id]


def many(n, home):
    os.environ["MODELSEC_HOME"] = home  # the server that forks this process may be older than the fixture
    for _ in range(20):
        store.record_exercise(f"98.e{n}", "fail")
        store.record_exercise("98.shared", "pass" if n == 1 else "fail")


def test_solved_stays_solved(home):
    for status in ("todo", "fail", "pass", "fail", "todo"):
        assert store.record_exercise("98.a", status) == ""
    assert attempts("98.a") == {"status": "pass", "attempts": 3}


def test_kernels_do_not_lose_each_others_progress(home):
    context = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
    if os.name != "nt":
        context.set_forkserver_preload(["modelsec_course.lab"])  # imported once, not by each
    kernels = [context.Process(target=many, args=(n, str(home))) for n in range(4)]
    for kernel in kernels:
        kernel.start()
    for kernel in kernels:
        kernel.join(60)
    assert [kernel.exitcode for kernel in kernels] == [0] * 4
    assert [attempts(f"98.e{n}")["attempts"] for n in range(4)] == [20] * 4
    assert attempts("98.shared") == {"status": "pass", "attempts": 80}
    assert not [file for file in os.listdir(home) if file.endswith(".tmp")]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"schema": 2}', b"[" * 100_000,
     b'{"schema": 1, "exercises": {"a": 3}, "quizzes": {}}',
     b'{"schema": 1, "exercises": {"a": {"status": "won", "attempts": 1}}, "quizzes": {}}',
     b'{"schema": 1, "exercises": {}, "quizzes": {"01": {"q": {"choice": "x", "right": 1}}}}'],
)  # fmt: skip
def test_a_broken_file_is_set_aside(home, content):
    home.mkdir()
    (home / "progress.json").write_bytes(content)
    note = store.record_exercise("98.a", "pass")
    assert note.startswith("The file with your progress could not be read: it was set aside as progress.corrupt-1.json")
    assert (home / "progress.corrupt-1.json").read_bytes() == content
    assert attempts("98.a")["status"] == "pass"
    (home / "progress.json").write_bytes(content)
    assert "progress.corrupt-2.json" in store.record_exercise("98.a", "pass")


def test_a_folder_in_the_files_place_is_set_aside(home):
    (home / "progress.json").mkdir(parents=True)
    assert "set aside" in store.record_exercise("98.a", "pass")
    assert attempts("98.a")["status"] == "pass"


def test_without_a_place_to_write_progress_lasts_as_long_as_the_kernel(tmp_path, monkeypatch, double, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MODELSEC_HOME", str(tmp_path / "file" / "home"))
    check("98.double", lambda x: 2 * x)
    assert "kept only until this kernel stops" in capsys.readouterr().out
    check("98.double", lambda x: 2 * x)
    assert "kept only" not in capsys.readouterr().out
    assert attempts("98.double") == {"status": "pass", "attempts": 2}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_survived(home):
    home.mkdir()
    home.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert "kept only" in store.record_exercise("98.a", "pass")


def test_a_full_disk_is_survived(home, monkeypatch):
    store.record_exercise("98.a", "fail")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert "kept only" in store.record_exercise("98.a", "pass")
    assert attempts("98.a")["status"] == "pass"
    assert json.loads((home / "progress.json").read_text())["exercises"]["98.a"]["status"] == "fail"
    assert not [file for file in os.listdir(home) if file.endswith(".tmp")]


def test_a_lock_that_is_never_free_is_survived(home, monkeypatch):
    def held(*args, **kwargs):
        raise store.Timeout("progress.lock")

    monkeypatch.setattr(store, "FileLock", held)
    assert "kept only" in store.record_exercise("98.a", "pass")


def test_answers_are_known_by_their_question(home):
    store.record_answer("98", "Why?", 2, False)
    store.record_answer("98", "Why?", 1, True)
    answers = store.read()[0]["quizzes"]["98"]
    assert answers == {store.question_key("Why?"): {"choice": 1, "right": True}}


def test_the_board_says_it_in_words(double, capsys):
    check("98.double", lambda x: 2 * x)
    check("98.model", lambda model, x: 1)
    capsys.readouterr()
    progress("98")
    assert capsys.readouterr().out.splitlines() == [
        "Lab 98: A lab for tests: 1 of 2 exercises solved, 0 of 2 quiz questions right",
        "  ✔ Twice as much: solved",
        "  ✘ Logits of a model: tried, not yet right",
    ]
    page = Board("98").html()
    assert '<progress max="4" value="1" aria-label="Lab 98">' in page
    assert "solved" in page
