"""How the tests and the notebooks run: away from the network and the learner's own files, within a time budget.

tests/spread.py says which of them run together.
"""

import collections
import importlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import hypothesis
import pytest
from absl import logging as absl_logging  # dp-accounting brings it along

# ART sets up logging when it is imported, which closes every handler there is, and absl's closes the stream that it
# writes to as well, pytest's own, unless it is the process's.
absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__

hypothesis.settings.register_profile("course", deadline=None)  # nothing is judged by the clock of a busy machine
hypothesis.settings.load_profile("course")

ROOT = Path(__file__).resolve().parent
OFFLINE = ROOT / "tests" / "offline"
BUDGET = float(os.environ.get("MODELSEC_NOTEBOOK_SECONDS", 60))
EXPECTED = {"notebooks": "todo", "solutions": "pass"}
HOME = Path(tempfile.mkdtemp(prefix="modelsec-tests-"))
spent = collections.Counter()  # seconds per notebook

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.update(
    MPLBACKEND="module://matplotlib_inline.backend_inline",
    PYDEVD_DISABLE_FILE_VALIDATION="1",
    MODELSEC_HOME=str(HOME / "progress"),
    IPYTHONDIR=str(HOME / "ipython"),  # no start-up files of the user's
)
if "sitecustomize" not in sys.modules or not hasattr(sys.modules["sitecustomize"], "NetworkUsed"):
    sys.modules.pop("sitecustomize", None)
    sys.path.insert(0, str(OFFLINE))
    importlib.import_module("sitecustomize")
    sys.path.remove(str(OFFLINE))
sys.path.insert(0, str(ROOT / "tests"))
pytest_plugins = ["spread"]
if str(OFFLINE) not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    # nbval starts a notebook's kernel while its first cell is set up; the kernel inherits this.
    expected = EXPECTED.get(item.path.parent.name) if item.path.suffix == ".ipynb" else None
    if expected:
        os.environ["MODELSEC_EXPECT"] = expected
    else:
        os.environ.pop("MODELSEC_EXPECT", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if item.path.suffix != ".ipynb":
        return (yield)
    before, started = spent[item.path], time.perf_counter()
    try:
        result = yield
    finally:
        spent[item.path] += time.perf_counter() - started
    if before <= BUDGET < spent[item.path]:
        pytest.fail(
            f"{item.path.name} has taken {spent[item.path]:.0f} s by this cell and may take {BUDGET:.0f} s in all: "
            "make it cheaper, or set MODELSEC_NOTEBOOK_SECONDS on a slow machine",
            pytrace=False,
        )
    return result


def pytest_terminal_summary(terminalreporter):
    seconds = collections.Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            name = getattr(report, "nodeid", "").partition("::")[0]
            if name.endswith(".ipynb") and getattr(report, "when", None) == "call":
                seconds[name] += report.duration
    if seconds:
        terminalreporter.section("seconds a notebook")
        for name, spent_on_it in sorted(seconds.items()):
            terminalreporter.write_line(f"{spent_on_it:6.1f}  {name}")


def pytest_unconfigure():
    shutil.rmtree(HOME, ignore_errors=True)
