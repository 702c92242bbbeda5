"""Lab 05: a sticker, glued on by hand, photographed, and what the reader makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course import evasion, runtime
from modelsec_course.data import signs
from modelsec_course.lab.comparison import answer_bars, paint
from modelsec_course.lab.style import STYLE

LARGE = 64  # pixels of a photograph; the reader gets the means of 2×2


def glue_it_on(
    reader: nn.Module, sign: Tensor, mask: Tensor, prints: Mapping[str, Tensor], names: Sequence[str], truth: int = 0
) -> Callable[..., tuple[Figure, str]]:
    """A scene: print number `sticker` on the sign (4, side, side), moved and turned, then photographed.

    mask: (side, side), where it lies unmoved.  prints: (1, 3, cells, cells) each.  names: of the reader's classes.
    """

    def draw(
        right: float, down: float, turn: int, far: float, light: float, side: int, sticker: str
    ) -> tuple[Figure, str]:
        texture = glued(sign, mask, prints[sticker], right, down, math.radians(turn))
        photo = photographed(texture, far, light, math.radians(side))
        with torch.no_grad():
            chances = reader(F.avg_pool2d(photo, 2)).softmax(1)[0].cpu()
        said = int(chances.argmax())
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 3, figsize=(8.6, 2.9), width_ratios=(1, 1, 0.8))
            face = texture[0, :3] * texture[0, 3:] + 0.75 * (1 - texture[0, 3:])
            for ax, picture, title in ((axes[0], face, "the sign"), (axes[1], photo[0], "the photograph")):
                paint(ax, picture)
                ax.set_title(title, fontsize=10.5, fontweight="normal", loc="center")
            answer_bars(axes[2], chances, names, truth)
        verdict = "still **STOP**" if said == truth else f"**{names[said]}**"
        where = f"{right:.2f} to the right and {down:.2f} down, turned by {turn}°"
        view = f"{far:g} × as far, light {light:.1f}, from {side}° to the side"
        sure = f"{100 * chances[said]:.0f} % sure"
        return fig, f"Sticker {sticker}, {where}; {view}: the reader says {verdict}, {sure}."

    return draw


def glued(sign: Tensor, mask: Tensor, ink: Tensor, right: float, down: float, turn: float) -> Tensor:
    """(1, 4, side, side): the sign with the print, moved and turned; what hangs over the sign's edge is cut off."""
    c, s = math.cos(turn), math.sin(turn)
    move = torch.tensor([[[c, -s, right], [s, c, down], [0.0, 0.0, 1.0]]], device=sign.device)
    spread = F.interpolate(ink, sign.shape[-1], mode="bilinear", align_corners=False)
    colour, opaque = evasion.warp(torch.cat([spread * mask, mask.expand(1, 1, -1, -1)], 1), move).split([3, 1], 1)
    opaque = opaque * (sign[3] > 0.5)
    return torch.cat([sign[None, :3] * (1 - opaque) + colour * (sign[3] > 0.5), sign[None, 3:]], 1)


def photographed(texture: Tensor, far: float, light: float, side: float) -> Tensor:
    """(1, 3, LARGE, LARGE): in one and the same street, with a steady hand."""
    still = signs.Conditions(
        width=(0.8, 0.8), yaw=(side, side), pitch=(0, 0), roll=(0, 0), shift=(0, 0), exposure=(1, 1), motion=(-1, -1)
    )
    label = torch.zeros(1, dtype=torch.int64, device=texture.device)
    photo = signs.photograph(texture, label, size=LARGE, generator=runtime.generator(5), conditions=still)
    return evasion.light(evasion.distance(photo, far), light)
