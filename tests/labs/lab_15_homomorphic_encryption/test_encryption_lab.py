"""Lab 15 where TenSEAL has no wheel, and its widget where a plan does not fit."""

import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pytest

from modelsec_course.labs.lab_15_homomorphic_encryption import scene

ROOT = Path(__file__).parents[3]


def test_without_tenseal_the_lab_runs_its_paillier_half_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "tenseal", None)  # importing it fails
    monkeypatch.setenv("MODELSEC_EXPECT", "pass")
    matplotlib.use("agg")
    said, names = [], {"__name__": "__main__"}
    monkeypatch.setattr("IPython.display.display", lambda *shown, **_: said.extend(shown))
    for cell in nbformat.read(ROOT / "solutions" / "15_homomorphic_encryption.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, cell.id, "exec"), names)
    assert names["CKKS"] is False
    assert names["stolen"] == [names["whole_bias"], *names["whole"]]
    assert "columns" not in names
    notes = [shown.data for shown in said if hasattr(shown, "data") and "TenSEAL" in str(shown.data)]
    assert notes == ["TenSEAL has no build for this machine: CKKS is left out."]


def test_a_plan_that_does_not_fit_is_refused_in_words_and_not_computed():
    pytest.importorskip("tenseal")
    draw = scene.plan_a_computation()
    figure, words = draw(depth=8, scale=50, ring="4096")
    assert words.startswith("Refused, before anything is computed: the primes have 520 bits")
    plt.close(figure)
    figure, words = draw(depth=1, scale=24, ring="smallest")
    assert "Ring of degree **4,096**, 100 of 106 bits" in words
    plt.close(figure)
