"""Lab 01: a picture, what is added to it, and what the model makes of the sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course.lab.comparison import answer_bars, enlargement, paint
from modelsec_course.lab.style import STYLE

Perturb = Callable[[nn.Module, Tensor, Tensor, float], Tensor]


def attack_a_sign(
    model: nn.Module, x: Tensor, y: Tensor, names: Sequence[str], attacks: dict[str, Perturb]
) -> Callable[..., tuple[Figure, str]]:
    """A scene: `attacks[attack](model, x, y, eps)` on picture number `sign` of x (n, 3, h, w), with eps in 1/255."""

    def draw(sign: int, eps: int, attack: str) -> tuple[Figure, str]:
        clean, label = x[sign : sign + 1], y[sign : sign + 1]
        x_adv = attacks[attack](model, clean, label, eps / 255)
        with torch.no_grad():
            chances = model(x_adv).softmax(1)[0].cpu()
        change, truth, said = (x_adv - clean)[0], int(label), int(chances.argmax())
        times = enlargement(change)
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 4, figsize=(9.6, 2.5), width_ratios=(1, 1, 1, 0.75))
            views = (
                (clean[0], "the photograph"),
                (0.5 + times * change, f"the change × {times}"),
                (x_adv[0], "what the model sees"),
            )
            for ax, (picture, title) in zip(axes, views, strict=False):
                paint(ax, picture, smooth=ax is not axes[1])
                ax.set_title(title, fontsize=10.5, fontweight="normal", loc="center")
            answer_bars(axes[3], chances, names, truth)
        verdict = "still right" if said == truth else f"**wrong**: it says {names[said]}"
        what = f"A sign “{names[truth]}”, {attack}, ε = {eps}/255"
        return fig, f"{what}: the model is {verdict}, {100 * chances[said]:.0f} % sure."

    return draw
