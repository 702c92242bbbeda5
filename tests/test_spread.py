"""How the tests are spread over processes, and what --quick leaves out."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import spread

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("notebooks/01_white_box_evasion.ipynb::Cell 3", "notebooks/01_white_box_evasion.ipynb"),
        ("tests/test_claims.py::test_a_claim_holds[1-01_white_box_evasion]", "tests/test_claims.py[01]"),
        ("tests/test_claims.py::test_a_claim_holds[2-01_white_box_evasion]", "tests/test_claims.py[01]"),
        ("tests/test_claims.py::test_a_claim_holds[1-04_training_and_proving]", "tests/test_claims.py[04]"),
        ("tests/e2e/test_labs.py::test_it_runs[14_private_training]", "tests/e2e/test_labs.py[14]"),
        ("tests/lab/test_exercises.py::test_the_reference_passes[01.fgsm]", "tests/lab/test_exercises.py[01]"),
        ("tests/lab/test_exercises.py::test_a_mutant_fails[01.fgsm-sign]", "tests/lab/test_exercises.py[01]"),
        ("tests/lab/test_exercises.py::test_a_quiz_is_explained[08]", "tests/lab/test_exercises.py"),
        ("tests/lab/test_exercises.py::test_there_are_labs", "tests/lab/test_exercises.py"),
        ("tests/evasion/test_budget.py::test_kept[cpu-linf-0.05]", "tests/evasion/test_budget.py"),
        ("tests/evasion/test_budget.py::test_kept[cpu-10-linf]", "tests/evasion/test_budget.py"),
    ],
)
def test_a_unit_is_a_file_or_what_a_file_has_on_one_lab(nodeid, expected):
    assert spread.unit(nodeid) == expected


class Process:
    """A worker as xdist's schedulers see one: it starts a test only when it knows the next, or that none comes."""

    def __init__(self, name, collection):
        self.gateway = SimpleNamespace(id=name)
        self.collection, self.queue, self.ran, self.clock = collection, [], [], 0.0
        self.most_waiting, self.shutting_down = 0, False

    def send_runtest_some(self, indices):
        self.queue += indices
        self.most_waiting = max(self.most_waiting, len(self.queue))

    def shutdown(self):
        self.shutting_down = True

    def can_start(self):
        return len(self.queue) > 1 or (self.queue and self.shutting_down)


def run(durations: dict[str, float], processes: int = 2) -> list[Process]:
    """Run tests that take `durations` (seconds by nodeid) on a clock of our own."""
    config = SimpleNamespace(
        getoption={"dist": "loadfile"}.get,
        getvalue={"tx": ["popen"] * processes}.get,
        option=SimpleNamespace(loadscopereorder=True),
    )
    scheduler = spread.pytest_xdist_make_scheduler(config, SimpleNamespace(loadscopesched=lambda *words: None))
    nodes = [Process(f"gw{i}", list(durations)) for i in range(processes)]
    for node in nodes:
        scheduler.add_node(node)
        scheduler.add_node_collection(node, node.collection)
    scheduler.schedule()
    while ready := [node for node in nodes if node.can_start()]:
        node = min(ready, key=lambda node: node.clock + durations[node.collection[node.queue[0]]])
        index = node.queue.pop(0)
        node.clock += durations[node.collection[index]]
        node.ran.append(node.collection[index])
        scheduler.mark_test_complete(node, index)
    return nodes


@pytest.fixture
def suite():
    """The suite as it was when the seconds were last written down, each unit in ten tests of equal length."""
    tests = {}
    for name, took in spread.kept_seconds().items():
        file, _, lab = name.partition("[")
        tests |= {f"{file}::test_{i}" + (f"[{lab.rstrip(']')}_lab]" if lab else ""): took / 10 for i in range(10)}
    assert {spread.unit(test) for test in tests} == set(spread.kept_seconds())
    return tests


@pytest.mark.parametrize("processes", [2, 4])
def test_all_processes_finish_within_a_minute(suite, processes):
    clocks = [node.clock for node in run(suite, processes)]
    assert sum(clocks) == pytest.approx(sum(suite.values()))
    assert max(clocks) - min(clocks) <= 60, clocks


def test_each_test_runs_once_and_a_unit_stays_together(suite):
    nodes = run(suite)
    assert sorted(test for node in nodes for test in node.ran) == sorted(suite)
    for node in nodes:
        for name in {spread.unit(test) for test in node.ran}:
            first = next(i for i, test in enumerate(node.ran) if spread.unit(test) == name)
            whole = [test for test in suite if spread.unit(test) == name]  # in the order of a notebook's cells
            assert node.ran[first : first + len(whole)] == whole


def test_what_takes_long_starts_first_and_a_new_file_before_what_is_short(monkeypatch):
    monkeypatch.setattr(spread, "kept_seconds", lambda: {"a.py": 1.0, "b.py": 90.0, "d.py": 60.0})
    nodes = run({"a.py::t": 1.0, "new.py::t": 1.0, "b.py::t": 90.0, "d.py::t": 60.0}, processes=1)
    assert nodes[0].ran == ["b.py::t", "d.py::t", "new.py::t", "a.py::t"]


def test_no_long_test_waits_behind_another_while_a_process_is_free():
    nodes = run({f"tests/test_claims.py::t[1-{i:02d}_lab]": 60.0 for i in range(9)})
    assert max(node.most_waiting for node in nodes) <= 2


def test_other_ways_to_spread_are_left_to_xdist():
    assert spread.pytest_xdist_make_scheduler(SimpleNamespace(getoption={"dist": "load"}.get), None) is None


def test_quick_keeps_the_learners_edition_of_two_labs_and_leaves_out_what_takes_long():
    seconds = {"tests/a.py": 11.0, "tests/b.py[00]": 8.0, "tests/b.py[01]": 80.0, "tests/e2e/test_c.py[00]": 1.0}
    kept = ["notebooks/00_start_here.ipynb", "notebooks/01_white_box_evasion.ipynb", "tests/a.py", "tests/b.py[00]"]
    out = ["notebooks/02_x.ipynb", "solutions/00_start_here.ipynb", "tests/b.py[01]", "tests/e2e/test_c.py[00]"]
    others = ["tests/new.py", "tests/test_claims.py[00]"]
    assert [name for name in [*kept, *out, *others] if spread.quick(name, seconds)] == [*kept, "tests/new.py"]


def test_quick_takes_four_minutes_at_most_on_two_cores(suite):
    chosen = {test: took for test, took in suite.items() if spread.quick(spread.unit(test), spread.kept_seconds())}
    assert 60 < max(node.clock for node in run(chosen)) <= 200, "40 s are for the start"
