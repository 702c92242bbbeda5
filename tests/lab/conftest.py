"""The engine is tested on a small lab of its own, `fake/lab_98_for_tests`, with progress in a temporary folder."""

import pytest
from fake_lab import FAKE, forget

from modelsec_course import labs
from modelsec_course.lab import store
from modelsec_course.lab.checking import _went_on
from modelsec_course.lab.claiming import _made
from modelsec_course.lab.rooms import find


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
    monkeypatch.setattr(labs, "__path__", [*labs.__path__, FAKE])
    yield
    forget("98")


@pytest.fixture
def double(fake):
    return find("98.double")
