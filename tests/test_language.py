"""An untouched copy says what JupyterLab would make it say."""

import json

import nbformat
from ipykernel.ipkernel import IPythonKernel

from modelsec_course.app.language import fill_in


def test_a_copy_gets_this_pythons_words_once_and_keeps_its_cells(tmp_path):
    notebook = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
    notebook.cells = [nbformat.v4.new_code_cell('print("é")')]
    copy = tmp_path / "01_lab.ipynb"
    copy.write_text(nbformat.writes(notebook), encoding="utf-8")
    fill_in(tmp_path)
    made = nbformat.read(copy, as_version=4)
    assert made.metadata["language_info"] == IPythonKernel.language_info
    assert made.cells == notebook.cells
    before = copy.stat().st_mtime_ns
    fill_in(tmp_path)
    assert copy.stat().st_mtime_ns == before


def test_what_is_no_untouched_copy_is_left_alone(tmp_path):
    kept = {"broken": "{", "list": "[]", "julia": json.dumps({"metadata": {"language_info": {"name": "julia"}},
            "nbformat": 4, "nbformat_minor": 5, "cells": []})}  # fmt: skip
    for name, text in kept.items():
        (tmp_path / f"{name}.ipynb").write_text(text)
    fill_in(tmp_path)
    assert {name: (tmp_path / f"{name}.ipynb").read_text() for name in kept} == kept
