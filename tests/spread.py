"""Which tests run together, in which order, so that all processes finish together.

A unit is what one process runs in one go: a file, or one lab's tests of a file whose tests name labs (a claim's lab, an
exercise's, a page's). Units that take long are handed out first, each when a process has nothing else to do. How long
they took is kept in tests/seconds.json; an estimate that is out of date costs time and nothing else. Loaded by the
conftest.py at the root.
"""

import collections
import functools
import json
import re
from pathlib import Path

import pytest

KEPT = Path(__file__).with_name("seconds.json")
UNKNOWN = 30.0  # seconds: a new unit starts early enough to do no harm if it is long
LAB = re.compile(r"\[(?:[^\]]*[^\w.])?(\d\d)[._][a-z]")  # [01.fgsm], [1-01_white_box_evasion]
QUICK = 12.0  # seconds: what --quick leaves out takes longer
QUICK_LABS = ("00_", "01_")


def unit(nodeid: str) -> str:
    """The unit that a test belongs to: its file, and the lab that it names if it names one."""
    file, _, test = nodeid.partition("::")
    lab = None if file.endswith(".ipynb") else LAB.search(test)
    return f"{file}[{lab[1]}]" if lab else file


def file_of(name: str) -> str:
    """The file of a unit."""
    return name.partition("[")[0]


@functools.cache
def kept_seconds(path: Path = KEPT) -> dict[str, float]:
    """How long each unit took when that was last written down."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def longest(units, seconds: dict[str, float]) -> str:
    """The unit to hand out next; of equally long ones the first."""
    return max(units, key=lambda name: seconds.get(name, UNKNOWN))


def never_quick(path: Path) -> bool:
    """Is this file (relative to the root) none of --quick's: browser, claims, solutions, all labs but two?"""
    if path.suffix == ".ipynb":
        return path.parent.name != "notebooks" or not path.name.startswith(QUICK_LABS)
    return path.parts[:2] in (("tests", "e2e"), ("tests", "test_claims.py"))


def quick(name: str, seconds: dict[str, float]) -> bool:
    """Does --quick run this unit? A new one it does."""
    path = Path(file_of(name))
    return not never_quick(path) and (path.suffix == ".ipynb" or seconds.get(name, 0) <= QUICK)


def pytest_addoption(parser):
    group = parser.getgroup("course")
    group.addoption("--quick", action="store_true", help="leave out what takes long: browser, claims, most labs")
    group.addoption("--shots", action="store_true", help="keep pictures of the pages in tests/e2e/shots, to look at")
    group.addoption("--keep-seconds", action="store_true", help=f"write down in tests/{KEPT.name} what each unit took")


def pytest_ignore_collect(collection_path, config):
    ours = collection_path.is_relative_to(config.rootpath)
    if config.getoption("quick") and ours and never_quick(collection_path.relative_to(config.rootpath)):
        return True
    return None


def pytest_collection_modifyitems(config, items):
    if config.getoption("quick"):
        dropped = [item for item in items if not quick(unit(item.nodeid), kept_seconds())]
        items[:] = [item for item in items if item not in set(dropped)]
        config.hook.pytest_deselected(items=dropped)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class LongestFirst(LoadScopeScheduling):
        seconds = kept_seconds()

        def _split_scope(self, nodeid):
            return unit(nodeid)

        def _assign_work_unit(self, node):
            self.workqueue.move_to_end(longest(self.workqueue, self.seconds), last=False)
            super()._assign_work_unit(node)

        def _reschedule(self, node):
            # A process starts a test when it knows the next one: with two it is busy, and more would wait behind them.
            if not self.workqueue or self._pending_of(self.assigned_work[node]) < 2:
                super()._reschedule(node)

    return LongestFirst(config, log)


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("keep_seconds"):
        return
    spent = collections.Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[unit(report.nodeid)] += report.duration
    ran = {file_of(name) for name in spent}
    others = {name: took for name, took in kept_seconds().items() if file_of(name) not in ran}
    now = {name: took for name, took in others.items() if (config.rootpath / file_of(name)).exists()}
    write_seconds(now | {name: round(took, 1) for name, took in spent.items()})


def write_seconds(seconds: dict[str, float], path: Path = KEPT) -> None:
    lines = [f"{json.dumps(name)}: {took}" for name, took in sorted(seconds.items())]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
