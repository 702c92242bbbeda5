"""What a learner has done, kept as one JSON file in the user's data folder. Nothing here is ever fatal."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from modelsec_course.files import write_atomically

SCHEMA = 1
STATUSES = ("pass", "fail", "todo")
_session: list[Callable[[dict], None]] = []  # changes that could not be written
_told: set[str] = set()


def folder() -> Path:
    """Where progress is kept: MODELSEC_HOME, or the user's data folder."""
    return Path(os.environ.get("MODELSEC_HOME") or platformdirs.user_data_dir("modelsec-course"))


def record_exercise(id: str, status: str) -> str:
    """Note an attempt; solved stays solved. Returns a sentence for the learner, empty when all is well."""

    def change(data: dict) -> None:
        entry = data["exercises"].setdefault(id, {"status": "todo", "attempts": 0})
        entry["attempts"] += status != "todo"
        entry["status"] = min(entry["status"], status, key=STATUSES.index)

    return _record(change)


def record_answer(number: str, prompt: str, choice: int, right: bool) -> str:
    """Note an answer to a quiz question. Returns a sentence for the learner, empty when all is well."""

    def change(data: dict) -> None:
        data["quizzes"].setdefault(number, {})[question_key(prompt)] = {"choice": choice, "right": right}

    return _record(change)


def record_guess(id: str, value: float) -> str:
    """Keep a guess. Returns a sentence for the learner, empty when all is well."""

    def change(data: dict) -> None:
        data.setdefault("guesses", {})[id] = value

    return _record(change)


def guess(id: str) -> float | None:
    """The guess kept under this id."""
    return read()[0].get("guesses", {}).get(id)


def question_key(prompt: str) -> str:
    """A question is known by its words, so that adding another before it mixes nothing up."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:12]


def read() -> tuple[dict, str]:
    """All progress, and a sentence for the learner, empty when all is well."""
    try:
        data, note = _load()
    except OSError:
        data, note = _empty(), _once("Your progress could not be read; this session starts without it.")
    data = copy.deepcopy(data)
    for change in _session:
        change(data)
    return data, note


def _record(change: Callable[[dict], None]) -> str:
    try:
        with _locked():
            data, note = _load()
            change(data)
            _write(data)
        return note
    except (OSError, Timeout):
        _session.append(change)
        return _once("Your progress could not be saved, so it is kept only until this kernel stops.")


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    folder().mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder() / "progress.lock"), timeout=5):
        yield


def _load() -> tuple[dict, str]:
    path = folder() / "progress.json"
    try:
        data = json.loads(path.read_text("utf-8"))
        _validate(data)
        return data, ""
    except (FileNotFoundError, NotADirectoryError):
        return _empty(), ""
    except (OSError, ValueError, RecursionError):
        aside = _set_aside(path)
        return (
            _empty(),
            f"The file with your progress could not be read: it was set aside as {aside}, and a new one begun.",
        )


def _validate(data: object) -> None:
    try:
        ok = data["schema"] == SCHEMA and all(
            entry["status"] in STATUSES and isinstance(entry["attempts"], int) for entry in data["exercises"].values()
        )
        ok = ok and all(isinstance(a["right"], bool) and isinstance(a["choice"], int)
                        for answers in data["quizzes"].values() for a in answers.values())  # fmt: skip
        guesses = data.get("guesses", {}).values()  # newer than the schema: an older file has none
        ok = ok and all(isinstance(value, int | float) and not isinstance(value, bool) for value in guesses)
    except (TypeError, KeyError, AttributeError):
        ok = False
    if not ok:
        raise ValueError("not a progress file of this version")


def _set_aside(path: Path) -> str:
    n = 1
    while (aside := path.with_name(f"progress.corrupt-{n}.json")).exists():
        n += 1
    os.replace(path, aside)
    return aside.name


def _write(data: dict) -> None:
    write_atomically(folder() / "progress.json", json.dumps(data, indent=1, sort_keys=True))


def _empty() -> dict:
    return {"schema": SCHEMA, "exercises": {}, "quizzes": {}}


def _once(sentence: str) -> str:
    if sentence in _told:
        return ""
    _told.add(sentence)
    return sentence
