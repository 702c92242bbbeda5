"""Lab 01: a picture, what is added to it, and what the model makes of the sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course.lab.comparison import enlargement, paint
from modelsec_course.lab.style import BLUE, STYLE, VERMILION

Perturb = Callable[[nn.Module, Tensor, Tensor, float], Tensor]
SHOWN = 5  # answers, the likeliest first


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
            _answers(axes[3], chances, names, truth)
        verdict = "still right" if said == truth else f"**wrong**: it says {names[said]}"
        what = f"A sign “{names[truth]}”, {attack}, ε = {eps}/255"
        return fig, f"{what}: the model is {verdict}, {100 * chances[said]:.0f} % sure."

    return draw


def _answers(ax: Axes, chances: Tensor, names: Sequence[str], truth: int) -> None:
    """The likeliest answers; the truth in blue and hatched, the model's wrong answer in vermilion."""
    top = chances.topk(SHOWN).indices.tolist()
    colours = [BLUE if k == truth else VERMILION if k == top[0] else "#BBBBBB" for k in top]
    bars = ax.barh(range(SHOWN), chances[top].numpy(), color=colours)
    if truth in top:
        bars[top.index(truth)].set(hatch="//", edgecolor="white")
    ax.set(yticks=range(SHOWN), yticklabels=[names[k] for k in top], xlim=(0, 1.02), xticks=(0, 0.5, 1))
    ax.set_xticklabels(("0", "50 %", "100 %"))
    ax.invert_yaxis()
    ax.set_title("its answers", fontsize=10.5, fontweight="normal", loc="center")
