"""The engine is tested on a small lab of its own, `fake/lab_98.py`, with progress in a temporary folder."""

import sys
from pathlib import Path

import pytest

from modelsec_course.lab import exercises, store
from modelsec_course.lab.check import _went_on
from modelsec_course.lab.claim import _made
from modelsec_course.lab.exercise import _REGISTRY, find

FAKE = str(Path(__file__).parent / "fake")


def forget(number):
    sys.modules.pop(f"{exercises.__name__}.lab_{number}", None)
    for id in [id for id in _REGISTRY if id.startswith(f"{number}.")]:
        del _REGISTRY[id]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELSEC_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELSEC_EXPECT", raising=False)
    monkeypatch.setattr(store, "_session", [])
    monkeypatch.setattr(store, "_told", set())
    _made.clear()
    _went_on.clear()
    return tmp_path / "home"


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(exercises, "__path__", [*exercises.__path__, FAKE])
    yield
    forget("98")


@pytest.fixture
def double(fake):
    return find("98.double")
