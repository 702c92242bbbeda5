"""Road signs: frames of drives beside single photographs, and double masking by the number of its masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks import harness
from modelsec_course import data, models, runtime, zoo
from modelsec_course.data import signs
from modelsec_course.robustness import patches

PATCH, FRAMES = 5, 12
ABOUT = """Pictures of 32×32 pixels. Signs per second: the number of pictures in the title by the seconds.
With gradients: those of all pictures with respect to what is on the signs.
Double masking: a patch of 5×5 pixels on the zoo's signs-poolnet-cutout. success: the share certified; for the
prediction, the share read right without a patch. Every pair: the same certificate, no picture dropped on the way.
seconds: median over the rounds.  ours ÷ it: median and quartiles of the ratios within a round; below 1, ours is faster.
"""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """Approaches, with and without gradients; certificates with 4 to 36 masks."""
    n = 2 if quick else 60
    textures = signs.templates().to(device)
    for gradients in (False, True):
        ours, single = (_rendered(camera, textures, gradients) for camera in (signs.approach, signs.photograph))
        runs = {harness.OURS: partial(ours, n), "as many photographs": partial(single, n * FRAMES)}
        kind = "with gradients" if gradients else "without gradients"
        yield harness.Contest(f"Approach, {n * FRAMES} pictures, {kind}", runs, lambda result: {})
    net = zoo.load("signs-poolnet-cutout", device=device)
    held_out = data.load("signs").to(device)
    x, y = (part[: 4 if quick else 300] for part in (held_out.x_test, held_out.y_test))
    for per_axis in (2, 3) if quick else (2, 3, 4, 5, 6):
        masks = patches.mask_set(32, PATCH, per_axis).to(device)
        runs = {
            harness.OURS: partial(patches.certified, net, x, y, masks),
            "every pair": partial(_every_pair, net, x, y, masks),
            "prediction alone": lambda masks=masks: patches.double_masking(net, x, masks) == y,
        }
        title = f"Double masking, {PATCH}×{PATCH}, {len(masks)} masks, {len(x)} signs"
        yield harness.Contest(title, runs, lambda right: {"success": right.float().mean().item()})


def _rendered(camera: Callable[..., Tensor], textures: Tensor, gradients: bool) -> Callable[[int], None]:
    def render(n: int) -> None:
        labels = torch.arange(n, device=textures.device) % len(textures)
        with torch.set_grad_enabled(gradients):
            pictures = camera(textures.clone().requires_grad_(gradients), labels, generator=runtime.generator(0))
            if gradients:
                pictures.sum().backward()

    return render


@torch.no_grad()
def _every_pair(net: nn.Module, x: Tensor, y: Tensor, masks: Tensor) -> Tensor:
    right = torch.ones_like(y, dtype=torch.bool)
    with models.frozen(net):
        for i, one in enumerate(masks):
            for other in masks[i:]:
                right &= net(x.masked_fill(one | other, patches.GREY)).argmax(1) == y
    return right
