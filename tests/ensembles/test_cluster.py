"""Shadow models on two workers: the same weights as here, whoever is killed; finished chunks are kept."""

import functools
import os
import signal
import sys

import pytest
import torch
from torch import nn

from modelsec_course import data, models, runtime
from modelsec_course.ensembles import batched, cluster

pytest.importorskip("distributed", reason='Dask is missing: pip install "modelsec-course[cluster]"')

ARCHITECTURE = functools.partial(models.linear, 64, 10)
OPTIONS = {"epochs": 4, "lr": 0.01, "chunk": 2, "progress": False}
NOWHERE = "tcp://127.0.0.1:1"  # nobody listens there: who is never asked need not be


@pytest.fixture(scope="module")
def client():
    """Two workers as `cluster=None` starts them."""
    with cluster._connected(None, 2) as client:
        client.wait_for_workers(2, timeout=120)
        yield client


@pytest.fixture(scope="module")
def problem():
    """x, y, members: 12 models on half of 200 digits each."""
    digits = data.load("digits")
    members = torch.rand(12, 200, generator=runtime.generator(0)) < 0.5
    return digits.x_train[:200], digits.y_train[:200], members


@pytest.fixture(scope="module")
def local(problem):
    return batched.train(ARCHITECTURE, *problem, generator=runtime.generator(7), **OPTIONS)


def train(problem, where, architecture=ARCHITECTURE, **options):
    return cluster.train(
        architecture, *problem, cluster=where, **OPTIONS | {"generator": runtime.generator(7)} | options
    )


def assert_same(shadows, local):
    assert shadows.weights.keys() == local.weights.keys()
    for name, weight in local.weights.items():
        assert torch.equal(shadows.weights[name], weight), name
    assert torch.equal(shadows.members, local.members)


@pytest.fixture
def written(monkeypatch):
    """The files that come in, in order; a function appended to `written.then` is called after each."""
    names, write = [], cluster.write_atomically

    def watched(path, content):
        write(path, content)
        names.append(path.name)
        for call in watched.then:
            call()

    watched.then, watched.names = [], names
    monkeypatch.setattr(cluster, "write_atomically", watched)
    return watched


def test_two_workers_train_the_same_weights_as_this_process(client, problem, local, written):
    assert_same(train(problem, client), local)
    assert len(set(written.names)) == 6


def test_a_schedulers_address_does_as_well_and_progress_counts_chunks(client, problem, local, capsys):
    generator, expected = runtime.generator(7), runtime.generator(7)
    batched.plan(ARCHITECTURE, *problem, chunk=2, generator=expected)
    assert_same(train(problem, client.scheduler.address, generator=generator, progress=True), local)
    assert torch.equal(generator.get_state(), expected.get_state()), "leaves the generator elsewhere than ensembles"
    shown = capsys.readouterr()
    assert "shadow models" in shown.err
    assert "/6 " in shown.err
    assert shown.out == ""


def test_an_architecture_written_in_a_notebook_travels(client, problem):
    hidden = 12

    def here():
        scale = models.Normalize([0.5] * 64, [0.5] * 64)
        return nn.Sequential(nn.Flatten(), scale, nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    expected = batched.train(here, *problem, generator=runtime.generator(7), **OPTIONS)
    assert_same(train(problem, client, here), expected)


def test_workers_killed_half_way_cost_time_and_no_result(client, problem, written):
    long = {"epochs": 60}  # a chunk takes long enough to be killed in the midst of it
    processes, killed = client.run(os.getpid), []

    def kill():
        """One worker that is at work after the first chunk, the other after the second: nobody has the data then."""
        busy = [worker for worker, tasks in client.processing().items() if tasks]
        for worker in [worker for worker in busy if worker in processes and worker not in killed][:1]:
            killed.append(worker)
            os.kill(processes[worker], getattr(signal, "SIGKILL", signal.SIGTERM))

    written.then.append(kill)
    shadows = train(problem, client, **long)
    assert set(killed) == set(processes), "not both were killed while there was work to do"
    assert not set(killed) & set(client.scheduler_info()["workers"])
    assert len(set(written.names)) == 6
    assert_same(shadows, batched.train(ARCHITECTURE, *problem, generator=runtime.generator(7), **OPTIONS | long))


def test_an_interrupted_run_trains_only_what_is_missing(client, problem, local, written, tmp_path):
    def interrupt():
        if len(written.names) == 2:
            raise KeyboardInterrupt

    written.then.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(problem, client, folder=tmp_path)
    written.then.clear()
    first = list(written.names)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(first)
    assert_same(train(problem, client, folder=tmp_path), local)
    assert len(written.names) == len(set(written.names)) == 6
    assert_same(train(problem, NOWHERE, folder=tmp_path), local)  # all is there: no cluster is asked
    assert_same(batched.train(ARCHITECTURE, *problem, generator=runtime.generator(7), folder=tmp_path, **OPTIONS),
                local)  # fmt: skip
    assert len(written.names) == 6


def test_what_goes_wrong_on_a_worker_is_raised_here(client, problem):
    with pytest.raises(FloatingPointError, match=r"no longer finite: use an lr below 1e\+38"):
        train(problem, client, lr=1e38)


def test_a_local_cluster_listens_on_loopback_only(client):
    psutil = pytest.importorskip("psutil", reason="Dask brings it along")
    workers = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
    listening = {
        (socket.laddr.ip, socket.laddr.port)
        for process in (psutil.Process(), *workers)
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert len(listening) > 4
    assert {ip for ip, _ in listening} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"cluster": 3}, TypeError, r"cluster must be a scheduler's address, a distributed\.Client or None.*3"),
        ({"workers": 0}, ValueError, r"workers must be at least 1"),
        ({"chunk": 0}, ValueError, r"chunk must be at least 1"),
        ({"progress": 1}, TypeError, r"progress must be True or False"),
        ({"generator": 7}, TypeError, r"generator must be a torch\.Generator"),
        ({"epochs": 0}, ValueError, r"epochs must be at least 1"),
        ({"epoch": 4}, TypeError, r"epoch"),
    ],
)
def test_bad_arguments_are_refused_before_anything_starts(problem, options, kind, message):
    with pytest.raises(kind, match=message):
        cluster.train(ARCHITECTURE, *problem, **{"cluster": NOWHERE} | OPTIONS | options)


def test_without_dask_the_remedy_is_named(problem, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r'pip install "modelsec-course\[cluster\]"'):
        train(problem, None)
