import pytest
import torch
from evasion_cases import DEVICES

from modelsec_course import data, zoo


@pytest.fixture(params=DEVICES)
def device(request):
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def exact_arithmetic(monkeypatch):
    """On CUDA convolutions round to ten bits and may add in any order unless told otherwise."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


@pytest.fixture
def digits(device):
    """The 360 test digits."""
    held_out = data.load("digits").to(device)
    return held_out.x_test, held_out.y_test


@pytest.fixture
def linear(device):
    return zoo.load("digits-linear", device=device).requires_grad_(False)


@pytest.fixture
def cnn(device):
    return zoo.load("digits-cnn", device=device)
