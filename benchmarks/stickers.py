"""Stickers on a STOP sign: for all streets, from one photograph, upside down, of chance, and painted by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import harness
from modelsec_course import evasion, runtime, zoo
from modelsec_course.data import signs

STOP, LIMIT = 0, signs.CLASSES.index("limit 80")
VICTIM, OTHERS = "signs-poolnet", ("signs-cnn", "signs-cnn-pgd")
ABOUT = """Five stickers each, from five seeds, on 400 photographs that no attack has seen.
success: the mean share of photographs that are misread, or read as a limit of 80.  In the JSON beside it: `low` and
`high`, the least and the greatest end of the five 95 % intervals (Clopper & Pearson); `least` and `most`, of the five
shares; `own`, on the photograph that the sticker was made for; `on NET`, on networks that the attack has not seen."""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """First how fast the camera is; then hiding the sign, and making it another, by two stickers."""
    scenes = 20 if quick else 400
    textures, labels = signs.templates().to(device), torch.arange(scenes, device=device) % len(signs.CLASSES)

    def photographs() -> Tensor:
        return signs.photograph(textures, labels, generator=runtime.generator(0))

    yield harness.Contest(f"Rendering {scenes} signs, 32 × 32", {harness.OURS: photographs}, lambda pictures: {})
    nets = {name: zoo.load(name, device=device) for name in (VICTIM, *OTHERS)}
    for shape in evasion.SHAPES:
        for targeted in (False, True):
            yield _contest(nets, textures, shape, targeted, 2 if quick else 5, scenes, 2 if quick else 40)


def _contest(nets: dict, textures: Tensor, shape: str, targeted: bool, seeds: int, scenes: int, steps: int):
    sign, y = textures[STOP], LIMIT if targeted else STOP
    mask = evasion.sticker_mask(sign, shape)
    start = torch.stack([torch.rand(3, 32, 32, generator=runtime.generator(seed)) for seed in range(seeds)]).to(sign)
    lone = evasion.Photographs(sign, mask, generator=runtime.generator(7), one_photo=True)

    def made(photographs: evasion.Photographs, samples: int) -> Tensor:
        net, begin = nets[VICTIM], 0.4 + 0.2 * start
        return evasion.sticker(net, photographs, begin, y, targeted=targeted, steps=steps, samples=samples)

    runs: dict[str, Callable[[], Tensor]] = {
        harness.OURS: lambda: made(evasion.Photographs(sign, mask, generator=runtime.generator(1)), 24),
        "one photograph": lambda: made(lone, 1),
        "upside down": lambda: made(evasion.Photographs(sign, mask, generator=runtime.generator(1)), 24).rot90(
            2, (-2, -1)
        ),
        "chance": lambda: evasion.random_ink(seeds, generator=runtime.generator(2)).to(sign),
        "no sticker": lambda: sign[None, :3],
        "painted by hand: the middle of an 80": lambda: textures[LIMIT][None, :3],
    }

    def judge(ink: Tensor) -> dict[str, float]:
        with torch.no_grad():
            said = nets[VICTIM](lone(ink)).argmax(1)
        own = (said == y) if targeted else (said != y)
        found = _success(nets[VICTIM], evasion.stick(sign, ink, mask), y, targeted, scenes)
        others = {
            f"on {name}": _success(nets[name], evasion.stick(sign, ink, mask), y, targeted, scenes) for name in OTHERS
        }
        return {
            "success": found.share.mean().item(),
            "low": np.min(found.low).item(),
            "high": np.max(found.high).item(),
            "least": found.share.min().item(),
            "most": found.share.max().item(),
            "own": own.float().mean().item(),
            **{name: other.share.mean().item() for name, other in others.items()},
        }

    goal = "read as a limit of 80" if targeted else "no longer read as STOP"
    return harness.Contest(f"{shape}: {goal}, {seeds} stickers, {scenes} scenes", runs, judge)


def _success(net: nn.Module, textures: Tensor, y: int, targeted: bool, scenes: int) -> evasion.Success:
    draw = runtime.generator(99)
    return evasion.physical_success(net, textures, y, targeted=targeted, scenes=scenes, generator=draw)
