"""Translate a change of standardised pictures back into the units of the pixels."""

from __future__ import annotations

import torch

from modelsec_course import runtime
from modelsec_course.lab.exercise import Exercise, expect_close
from modelsec_course.labs.lab_03_evaluating_honestly.exercises.shared import shares


def _scaled_back(change):
    """In the units of the pixels, channel by channel"""
    z = torch.randn(5, 3, 4, 4, generator=runtime.generator(0))
    mean, std = shares(0.5, 0.4, 0.3), shares(0.25, 0.2, 0.05)
    for channel in range(3):
        moved = z.clone()
        moved[2, channel, 1, 1] += 0.1
        expect_close(
            change(z, moved, mean, std), 0.1 * std[channel].item(), 1e-6, f"+0.1 in channel {channel}, standardised"
        )


def _either_way(change):
    """The largest change counts, up or down"""
    z = torch.zeros(4, 1, 3, 3)
    moved = z.clone()
    moved[0, 0, 0, 0], moved[3, 0, 2, 2] = 0.2, -0.7
    expect_close(change(z, moved, shares(0.5), shares(0.5)), 0.35, 1e-6, "+0.2 and −0.7 where std is ½")
    expect_close(change(z, z, shares(0.5), shares(0.5)), 0.0, 1e-9, "no change")


def pixel_change(z, z_adv, mean, std):
    return ((z_adv - z) * std[:, None, None]).abs().max().item()


def _through_pixels(z, z_adv, mean, std):
    pixels = [v * std.view(1, -1, 1, 1) + mean.view(1, -1, 1, 1) for v in (z, z_adv)]
    return torch.linalg.vector_norm(pixels[1] - pixels[0], torch.inf)


EXERCISE = Exercise(
    "03.pixel_change",
    title="Control 3: how far did the pixels move?",
    reference=pixel_change,
    properties=[_scaled_back, _either_way],
    hints=[
        "z = (x − mean) / std, so x = z · std + mean. What does that make of a difference z′ − z?",
        "The mean drops out: `(z_adv - z) * std[:, None, None]` is the change in pixels, for std of shape (channels,).",
    ],
    second=_through_pixels,
    mutants={
        "stays in standardised units": lambda z, z_adv, mean, std: (z_adv - z).abs().max().item(),
        "divides": lambda z, z_adv, mean, std: ((z_adv - z) / std[:, None, None]).abs().max().item(),
        "takes one std for all channels": lambda z, z_adv, mean, std: ((z_adv - z) * std.mean()).abs().max().item(),
        "looks upwards only": lambda z, z_adv, mean, std: ((z_adv - z) * std[:, None, None]).max().item(),
        "averages": lambda z, z_adv, mean, std: ((z_adv - z) * std[:, None, None]).abs().mean().item(),
    },
)
