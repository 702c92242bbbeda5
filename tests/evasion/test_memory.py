"""No attack holds more than three copies of its batch beside the caller's x and the model's own activations."""

from functools import partial

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from modelsec_course import runtime
from modelsec_course.evasion import (
    carlini_wagner,
    decision,
    deepfool,
    fast_minimum_norm,
    fgsm,
    hop_skip_jump,
    nes,
    pgd,
    square_attack,
)

ATTACKS = {
    "fgsm": partial(fgsm, eps=0.01),
    "fgsm-l2": partial(fgsm, eps=0.01, norm="l2"),
    "pgd, few fall": partial(pgd, eps=1e-4, steps=4),
    "pgd, some fall": partial(pgd, eps=1e-3, steps=4),
    "pgd, all stay": partial(pgd, eps=0.01, steps=4, stop_early=False),
    "pgd-l2": partial(pgd, eps=0.01, steps=4, norm="l2"),
    "pgd, restarts": partial(pgd, eps=1e-3, steps=3, restarts=3),
    "pgd, l2, restarts": partial(pgd, eps=0.01, steps=3, restarts=3, norm="l2"),
    "pgd, targeted": partial(pgd, eps=0.01, steps=3, targeted=True),
    "deepfool": deepfool,
    "deepfool-linf": partial(deepfool, norm="linf"),
    "carlini-wagner": partial(carlini_wagner, steps=4, searches=2),
    "fast-minimum-norm": partial(fast_minimum_norm, steps=4),
    "fast-minimum-norm-linf": partial(fast_minimum_norm, steps=4, norm="linf"),
}


class Held(TorchDispatchMode):
    """Adds up, after every operation, the bytes of all storages that are alive and were not there before."""

    def __init__(self, *known):
        super().__init__()
        self.known = {tensor.untyped_storage()._cdata for tensor in known}
        self.alive, self.peak = {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in self.known:
                storage = tensor.untyped_storage()
                self.alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.alive = {key: entry for key, entry in self.alive.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return result


def records():
    """(64, 4096) and a linear model: its activations are ten numbers an input."""
    generator = runtime.generator(0)
    x, weight = torch.rand(64, 4096, generator=generator), torch.randn(4096, 10, generator=generator)
    return x, weight, lambda v: v @ weight


def pictures():
    """(64, 3, 64, 64) and a model of the mean colour: its activations are three numbers an input."""
    generator = runtime.generator(0)
    x, weight = torch.rand(64, 3, 64, 64, generator=generator), torch.randn(3, 10, generator=generator)
    return x, weight, lambda v: v.mean((2, 3)) @ weight


def test_the_count_sees_what_is_alive_and_forgets_what_is_not():
    x = torch.rand(64, 4096)
    with Held(x) as held:
        a = x + 1
        b = a * 2
        del a
        _ = b - 1
    assert held.peak == 2 * x.numel() * 4


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("inputs", [records, pictures])
def test_no_attack_holds_more_than_three_copies_of_its_batch(name, inputs):
    x, weight, model = inputs()
    y = model(x).argmax(1)
    with Held(x, y, weight) as held:
        ATTACKS[name](model, x, y)
    assert held.peak / (x.numel() * 4) <= 3.05  # the five hundredths are for what is one number an input


BLACK_BOX = {
    "nes": partial(nes, eps=0.01, queries=40, samples=8),
    "nes-l2": partial(nes, eps=0.01, queries=40, samples=8, norm="l2"),
    "square": partial(square_attack, eps=1e-3, queries=30),
    "square-l2": partial(square_attack, eps=0.01, queries=30, norm="l2"),
    "hop-skip-jump": partial(hop_skip_jump, queries=200, starts=3, restarts=1),  # every walk is a copy of the batch
}


@pytest.mark.parametrize("name", BLACK_BOX)
@pytest.mark.parametrize("inputs", [records, pictures])
def test_no_black_box_attack_holds_more_than_ten_copies_however_many_its_queries(name, inputs, monkeypatch):
    monkeypatch.setattr(decision, "BLOCK", 1)  # beside them HopSkipJump holds a few blocks of probes, of a fixed size
    x, weight, model = inputs()
    y = model(x).argmax(1)
    with Held(x, y, weight) as held:
        BLACK_BOX[name](model, x, y)
    assert held.peak / (x.numel() * 4) <= 10.05
