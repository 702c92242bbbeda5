"""Training against stickers: they stay on the sign, they climb, they last; the network keeps no trace of the search."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import models, runtime
from modelsec_course.data import signs
from modelsec_course.robustness.stickers import Stickers, stickered

CLASSES, SIDE = 4, 32


def flat(textures, labels, *, generator):
    """The simplest camera: the texture itself, with a little noise of its own each time."""
    noise = torch.randn(len(labels), 3, SIDE, SIDE, generator=generator, device=generator.device)
    return textures[labels, :3] + 0.01 * noise.to(textures)


def textures():
    return torch.cat([torch.full((CLASSES, 3, SIDE, SIDE), 0.5), torch.ones(CLASSES, 1, SIDE, SIDE)], 1)


def net():
    return models.initialise(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, CLASSES)), runtime.generator(0))


def with_batch_norm():
    layers = nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 64, CLASSES)
    return models.initialise(nn.Sequential(*layers), runtime.generator(0))


def batch(n=16):
    return torch.rand(n, 3, SIDE, SIDE, generator=runtime.generator(3)), torch.arange(n) % CLASSES


def test_a_sticker_covers_rectangles_of_the_stated_sides_and_leaves_the_outline():
    made = Stickers(signs.templates(), 1, (0.2, 0.4), runtime.generator(0))
    stuck = made.on(torch.ones_like(made.paint))
    assert torch.equal(stuck[:, 3], signs.templates()[:, 3])
    changed = made.covered.expand(-1, 3, -1, -1)
    assert (stuck[:, :3][changed] == 1).all()
    assert torch.equal(stuck[:, :3][~changed], signs.templates()[:, :3][~changed])
    for covered in made.covered[:, 0]:
        high, wide = covered.any(1).sum().item(), covered.any(0).sum().item()
        assert covered.sum() == high * wide
        assert 0.2 * 128 - 1 <= min(high, wide) <= max(high, wide) <= 0.4 * 128 + 1


def test_stickers_are_renewed_at_the_stated_rate():
    made = Stickers(torch.rand(2000, 4, 8, 8, generator=runtime.generator(0)), 2, (0.2, 0.5), runtime.generator(1))
    before = made.paint.clone()
    made.renew(0.0)
    assert torch.equal(made.paint, before)
    made.renew(0.25)
    share = (made.paint != before).flatten(1).any(1).float().mean().item()
    assert share == pytest.approx(0.25, abs=0.04)


def test_stickers_climb_from_batch_to_batch_as_far_as_the_box_lets_them():
    # For a linear network the worst paint is known: 0 or 1, by the sign of the weights.
    model, (x, y) = net(), batch(4)
    seen = []
    loss = stickered(partial(watched, seen), textures(), share=1.0, steps=1, step_size=0.2, renewed=0.0)
    values = [loss(model, x, y).item() for _ in range(12)]
    assert values[-1] > values[0] + 0.2
    assert values[-1] > values[5] - 0.05
    last = seen[-1]
    changed = last[:, :3] != 0.5
    assert changed.any()
    assert ((last[:, :3] == 0) | (last[:, :3] == 1) | ~changed).float().mean() > 0.95


def watched(seen, textures, labels, *, generator):
    seen.append(textures.detach().clone())
    return flat(textures, labels, generator=generator)


def test_the_rest_of_the_batch_is_left_as_it_is():
    given = []

    class Watched(nn.Module):
        def forward(self, x):
            given.append(x.detach())
            return x.flatten(1)[:, :CLASSES]

    x, y = batch()
    stickered(flat, textures(), share=0.25, steps=3)(Watched(), x, y)
    assert [len(some) for some in given] == [4, 4, 4, 16]
    assert torch.equal(given[-1][:12], x[:12])
    assert not torch.equal(given[-1][12:], x[12:])


def test_without_a_share_it_is_the_cross_entropy_exactly():
    x, y = batch()
    model = net()
    assert torch.equal(stickered(flat, textures(), share=0.0)(model, x, y), F.cross_entropy(model(x), y))


def test_batch_norm_learns_from_the_loss_and_not_from_the_search():
    model, (x, y) = with_batch_norm().train(), batch()
    stickered(flat, textures(), steps=3)(model, x, y).backward()
    assert model[1].num_batches_tracked == 1
    assert model.training
    assert all(p.requires_grad and p.grad is not None for p in model.parameters())


def test_the_generator_decides_and_the_global_state_is_untouched():
    model, (x, y) = net(), batch()
    before = torch.get_rng_state()
    first, second, default = (
        stickered(flat, textures(), generator=g)(model, x, y).item()
        for g in (runtime.generator(0), runtime.generator(1), None)
    )
    assert first == default != second
    assert torch.equal(torch.get_rng_state(), before)


def test_it_works_where_its_inputs_are_with_the_camera_of_the_course():
    model = models.initialise(models.deep_cnn(), runtime.generator(0))
    x, y = torch.rand(6, 3, 32, 32), torch.arange(6)
    plain = F.avg_pool2d(signs.templates(), 2)
    signs.photograph(plain, y, generator=runtime.generator(0))
    with torch.device("meta"):
        loss = stickered(signs.photograph, plain)(model, x, y)
    assert loss.device.type == "cpu"
    assert loss.isfinite()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"camera": None}, TypeError, r"camera must be callable.*photograph|camera\(textures, labels"),
        ({"textures": torch.zeros(2, 3, 8, 8)}, ValueError, r"textures must be floats \(classes, 4, side, side\)"),
        ({"share": 2}, ValueError, "share must lie in"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"step_size": 0}, ValueError, "step_size must be above 0"),
        ({"count": 0}, ValueError, "count must be at least 1"),
        ({"sides": 0.3}, TypeError, "sides must be two numbers"),
        ({"sides": (0.5, 0.2)}, ValueError, "sides must lie in"),
        ({"renewed": -1}, ValueError, "renewed must lie in"),
        ({"generator": 3}, TypeError, "generator must be a torch.Generator"),
    ],
)
def test_bad_options_are_refused_before_the_first_batch(options, kind, message):
    with pytest.raises(kind, match=message):
        stickered(**{"camera": flat, "textures": textures()} | options)
