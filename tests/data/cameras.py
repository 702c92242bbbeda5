"""What the tests ask of every camera: functions of textures (k, 4, side, side) that return pictures of them."""

import pytest
import torch

from modelsec_course import runtime
from modelsec_course.data import signs


def plate(colour=(0.5, 0.5, 0.5), opacity=1.0, side=64):
    """A square sign of one colour, (1, 4, side, side)."""
    return torch.tensor([*colour, opacity]).view(1, 4, 1, 1).expand(1, 4, side, side).clone()


def gradient_is_the_difference_quotient(camera):
    textures = signs.templates()[:2].double()
    direction = torch.randn(textures.shape, generator=runtime.generator(1), dtype=torch.float64)
    direction[:, 3] = 0  # colours: opacity is clamped at 1
    weights = torch.randn(camera(textures).shape, generator=runtime.generator(2), dtype=torch.float64)

    def score(textures):
        return (camera(textures) * weights).sum()

    textures = (0.2 + 0.6 * textures).requires_grad_()
    (gradient,) = torch.autograd.grad(score(textures), textures)
    step = 1e-6 * direction
    quotient = (score(textures + step) - score(textures - step)) / 2e-6
    assert (gradient * direction).sum().item() == pytest.approx(quotient.item(), rel=1e-5)
    assert abs(quotient) > 0.1


def nothing_outside_the_sign_can_be_painted(camera):
    textures = signs.templates()[:1].requires_grad_()
    (gradient,) = torch.autograd.grad(camera(textures).sum(), textures)
    off = (textures[:, 3:] == 0).expand(-1, 3, -1, -1)
    assert (gradient[:, :3][off] == 0).all()
    assert (gradient[:, :3][~off] > 0).float().mean() > 0.9
