"""What only a real kernel shows: displays, figures of the inline backend, the learner's cell and its line."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FAKE = """
import sys
from modelsec_course import labs
labs.__path__.append({path!r})
from modelsec_course.lab import check, explore, figures, start
"""
CELLS = [
    "import matplotlib.pyplot as plt\nfig = plt.figure()\nplt.plot([1, 2])\nplt.close = plt.close",
    "def double(x):\n    y = x * 2\n    return y.frob()\ndouble = check('98.double', double)",
    "def double(x):\n    for _ in range(1000):\n        display('spam')\n    plt.plot([1]); plt.show()\n"
    "    return 2 * x\ndouble = check('98.double', double)",
    "def double(x):\n    while True:\n        try:\n            display('x')\n        except: pass\n"
    "double = check('98.double', double)",
    "def double(x):\n    raise NotImplementedError\ndouble = check('98.double', double); double",
    "explore(lambda eps: (plt.figure(), 'words'), eps=(0.0, 1.0, 0.1, 0.5))",
    "figures.bars({'a': 1.0}, 'y', 'caption')",
    "start('98')",
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    path = str(Path(__file__).parent / "fake")
    cells = [nbformat.v4.new_code_cell(source) for source in [FAKE.format(path=path), *CELLS]]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELSEC_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("MODELSEC_EXPECT", raising=False)
        NotebookClient(notebook, timeout=120).execute()
    return [cell.outputs for cell in notebook.cells[1:]]


def test_an_error_names_the_line_of_the_cell(outputs):
    (panel,) = outputs[1]
    assert "(line 3 of your cell: return y.frob())" in panel["data"]["text/plain"]
    assert "ipykernel" not in str(panel)


def test_what_is_displayed_is_caught_and_cut(outputs):
    (panel,) = outputs[2]
    assert "passed" in panel["data"]["text/plain"]
    assert len(panel["data"]["text/html"]) < 15_000
    assert "spam" in panel["data"]["text/html"]


def test_a_flood_in_an_endless_loop_is_stopped(outputs):
    (panel,) = outputs[3]
    assert "is there a loop that never ends?" in panel["data"]["text/plain"]


def test_what_the_notebook_goes_on_with_has_a_clear_name(outputs):
    _, value = outputs[4]
    assert "the course's version" in value["data"]["text/plain"]


def test_nothing_is_shown_twice(outputs):
    assert [len(shown) for shown in outputs[5:]] == [1, 1, 1]
    assert "application/vnd.jupyter.widget-view+json" in outputs[5][0]["data"]
    assert outputs[6][0]["data"]["text/plain"] == "Figure: caption"


def test_nothing_tells_where_it_ran(outputs):
    assert str(Path.home()) not in str(outputs).replace("application/", "")
