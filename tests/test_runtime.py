"""Where the course computes and how it draws."""

import pytest
import torch

from modelsec_course import runtime


def test_the_environment_overrules_the_device(monkeypatch):
    monkeypatch.setenv("MODELSEC_DEVICE", "cpu")
    assert runtime.device() == torch.device("cpu")
    monkeypatch.setenv("MODELSEC_DEVICE", "")
    assert runtime.device().type in ("cuda", "mps", "cpu")


@pytest.mark.parametrize("wanted", ["abacus", "cuda:99", "xpu"])
def test_a_device_that_is_not_there_is_refused_with_the_remedy(monkeypatch, wanted):
    monkeypatch.setenv("MODELSEC_DEVICE", wanted)
    with pytest.raises(ValueError, match=rf"MODELSEC_DEVICE is '{wanted}'.*cannot use.*unset"):
        runtime.device()


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_best_device_is_chosen(monkeypatch, cuda, mps, expected):
    monkeypatch.delenv("MODELSEC_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert runtime.device().type == expected
    assert runtime.pick(cpu=512, gpu=10_000) == (512 if expected == "cpu" else 10_000)


def test_a_generator_repeats_itself_and_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    draws = [torch.rand(5, generator=runtime.generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("seed", "kind"), [(-1, ValueError), (1.5, TypeError), ("1", TypeError), (None, TypeError), (2**64, ValueError)]
)
def test_a_bad_seed_is_refused(seed, kind):
    with pytest.raises(kind, match=r"seed must"):
        runtime.generator(seed)


@pytest.mark.parametrize("on", ["abacus", 3.5, None])
def test_a_bad_device_for_a_generator_is_refused(on):
    with pytest.raises((ValueError, TypeError), match=r"on must be a device.*'cpu'"):
        runtime.generator(0, on=on)
