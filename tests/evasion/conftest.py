import pytest
import torch
from evasion_cases import DEVICES

from modelsec_course import data, zoo


@pytest.fixture(params=DEVICES)
def device(request):
    return torch.device(request.param)


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
