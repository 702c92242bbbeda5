"""Shadow models trained at once are the same as trained one by one, in any chunks, and also after an interruption."""

import dataclasses
import os
import subprocess
import sys
import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import models, runtime
from modelsec_course.ensembles import batched
from modelsec_course.ensembles.chunks import Chunk


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))


def normalised_cnn():
    return nn.Sequential(models.Normalize([0.5], [0.3]), *models.cnn(size=4, classes=3))


def problem(n=50, count=5, seed=0):
    draw = runtime.generator(seed)
    x, y = torch.rand(n, 1, 4, 4, generator=draw), torch.randint(3, (n,), generator=draw)
    return x, y, torch.rand(count, n, generator=draw) < torch.tensor([[0.2], [0.4], [0.5], [0.6], [0.9]])[:count]


def train(architecture=mlp, data=None, seed=1, **options):
    options = {"epochs": 3, "batch_size": 8, "progress": False} | options
    return batched.train(architecture, *(data or problem()), generator=runtime.generator(seed), **options)


def same(one, other, tolerance=2e-5):
    return all(torch.allclose(one.weights[name], other.weights[name], atol=tolerance) for name in one.weights)


@pytest.mark.parametrize("architecture", [mlp, normalised_cnn])
def test_the_ensemble_equals_models_trained_one_by_one_on_the_same_batches(architecture):
    data = problem()
    (part,) = batched.plan(architecture, *data, epochs=3, batch_size=8, lr=1e-3, generator=runtime.generator(1))
    together = train(architecture, data, lr=1e-3)
    draws = [runtime.generator(seed) for seed in part.seeds.tolist()]
    nets = [models.initialise(architecture(), draw) for draw in draws]
    optimisers = [torch.optim.Adam(net.parameters(), 1e-3, fused=False, foreach=False) for net in nets]
    for _ in range(3):
        for rows, share in part.batches(draws):
            for net, optimiser, mine, weight in zip(nets, optimisers, rows, share, strict=True):
                own = mine[weight > 0]
                optimiser.zero_grad()
                F.cross_entropy(net(data[0][own]), data[1][own]).backward()
                optimiser.step()
    for i, net in enumerate(nets):
        for name, weight in net.state_dict().items():
            assert torch.allclose(together.weights[name][i], weight, atol=1e-4), (i, name)


def test_an_epoch_shows_each_model_its_members_once_and_nobody_else():
    x, y, members = problem()
    (part,) = batched.plan(mlp, x, y, members, batch_size=8)
    seen, weight = torch.zeros(members.shape), []
    for rows, share in part.batches([runtime.generator(seed) for seed in part.seeds.tolist()]):
        seen.scatter_add_(1, rows, (share > 0).float())
        sizes = (share > 0).sum(1)
        assert sizes.max() <= 8
        weight.append(share.sum(1))
    assert torch.equal(seen, members.float())
    assert torch.allclose(torch.stack(weight), torch.ones(part.steps, len(members)))  # a mean over each own batch


def test_models_of_other_members_are_not_touched_by_a_changed_label():
    x, y, members = problem()
    changed = y.clone()
    changed[members.int().argmax(1)[0]] = (changed[members.int().argmax(1)[0]] + 1) % 3
    without = ~members[:, members.int().argmax(1)[0]]
    one, other = train(data=(x, y, members)), train(data=(x, changed, members))
    differs = torch.stack([(one.weights[k] != other.weights[k]).flatten(1).any(1) for k in one.weights]).any(0)
    assert without.any()
    assert torch.equal(differs, ~without)


@pytest.mark.parametrize("chunk", [1, 2, 4, 5, 50])
def test_the_result_does_not_depend_on_the_chunks(chunk):
    assert same(train(), train(chunk=chunk))


def test_the_seed_alone_decides():
    state = torch.random.get_rng_state()
    assert same(train(seed=1), train(seed=1), tolerance=0)
    assert not same(train(seed=1), train(seed=2))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_model_by_itself_says_what_it_says_in_the_ensemble():
    x, _, members = problem()
    shadows = train(normalised_cnn, chunk=2)
    logits = shadows.logits(x, batch_size=7)
    assert len(shadows) == len(members)
    assert logits.shape == (5, 50, 3)
    for i in range(len(shadows)):
        assert not shadows.model(i).training
        assert torch.allclose(shadows.model(i)(x), logits[i], atol=1e-5)


def test_finished_chunks_are_read_and_not_trained_again(tmp_path, monkeypatch):
    first = train(chunk=2, folder=tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    monkeypatch.setattr(Chunk, "train", lambda *_: pytest.fail("trained again"))
    assert same(first, train(chunk=2, folder=tmp_path), tolerance=0)


def test_an_error_half_way_costs_only_the_chunk_it_came_in(tmp_path, monkeypatch):
    whole, original, trained = train(chunk=2), Chunk.train, []

    def fails_at_the_second(self, on_epoch=None):
        trained.append(self.key)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(Chunk, "train", fails_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        train(chunk=2, folder=tmp_path)
    assert [path.stem for path in tmp_path.iterdir()] == trained[:1]
    assert same(whole, train(chunk=2, folder=tmp_path), tolerance=0)
    assert len(trained) == 4  # the first, the one that failed, that one again, the third


SLOW = """
import sys, torch
from torch import nn
from modelsec_course import runtime
from modelsec_course.ensembles import batched

def train(folder):
    draw = runtime.generator(0)
    x, y = torch.rand(60, 4, generator=draw), torch.randint(3, (60,), generator=draw)
    members = torch.rand(40, 60, generator=draw) < 0.5
    batched.train(lambda: nn.Linear(4, 3), x, y, members, epochs=40, chunk=1, folder=folder, progress=False)
"""


def test_a_killed_run_resumes(tmp_path):
    command = [sys.executable, "-c", SLOW + "train(sys.argv[1])", str(tmp_path)]
    run = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*.safetensors")) and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.005)
    run.kill()
    run.wait()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert 0 < len(kept) < 40
    names = {}
    exec(SLOW, names)
    names["train"](tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 40
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())


def test_a_damaged_file_is_trained_again(tmp_path):
    first = train(folder=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    assert same(first, train(folder=tmp_path), tolerance=0)


def test_what_is_asked_decides_which_file_is_read():
    x, y, members = problem()
    (part,) = batched.plan(mlp, x, y, members, epochs=3)
    again = dataclasses.replace(part)
    assert again.key == part.key
    changed = x.clone()
    changed[0, 0, 0, 0] += 1e-3
    other = members.clone()
    other[0, 0] ^= True
    for change in (
        {"x": changed}, {"y": y.roll(1)}, {"members": other}, {"seeds": part.seeds + 1}, {"epochs": 4}, {"lr": 1e-3},
        {"steps": part.steps + 1}, {"architecture": normalised_cnn},
    ):  # fmt: skip
        assert dataclasses.replace(part, **change).key != part.key, change


def test_the_default_chunk_keeps_to_the_stated_memory(monkeypatch):
    data = problem()
    for megabytes, chunks in ((0.001, 5), (512, 1)):
        monkeypatch.setattr(batched, "MEMORY", int(megabytes * 2**20))
        assert len(batched.plan(mlp, *data)) == chunks
    each = batched._bytes_per_model(mlp(), data[0][:8])
    weights = 4 * (16 * 8 + 8 + 8 * 3 + 3)
    assert 4 * weights < each < 4 * weights + 8 * 4 * (16 + 16 + 3 * 8 + 3) + 4 * weights


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"members": torch.zeros(2, 50)}, "bool"),
        ({"members": torch.ones(2, 49, dtype=torch.bool)}, "members must be bool"),
        ({"members": torch.arange(100).view(2, 50) < 50}, "model 1 has no member"),
        ({"y": torch.full((50,), 3)}, "label 3"),
        ({"y": torch.zeros(50)}, "int64"),
        ({"architecture": lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.Dropout())}, "Dropout"),
        ({"architecture": lambda: nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(16, 3))}, "BatchNorm2d"),
        ({"architecture": lambda: 3}, "torch.nn.Module"),
        ({"architecture": 3}, "callable"),
        ({"epochs": 0}, "epochs"),
        ({"lr": 0.0}, "lr"),
        ({"batch_size": 0}, "batch_size"),
        ({"chunk": 0}, "chunk"),
    ],
)
def test_bad_input_is_explained(change, words):
    x, y, members = problem()
    arguments = {"architecture": mlp, "x": x, "y": y, "members": members} | change
    with pytest.raises((ValueError, TypeError), match=words):
        batched.train(**arguments, progress=False)


def test_an_exploding_loss_is_named():
    with pytest.raises(FloatingPointError, match="lr below"):
        train(lr=1e38)


def test_another_normalisation_is_another_architecture():
    nets = [lambda mean=mean: nn.Sequential(models.Normalize([mean], [0.3]), *mlp()) for mean in (0.4, 0.5)]
    keys = [batched.plan(net, *problem())[0].key for net in nets]
    assert keys[0] != keys[1]
