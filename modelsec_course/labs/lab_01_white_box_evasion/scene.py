"""Lab 01: a digit, what is added to it, and what the model makes of the sum."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course.lab.style import BLUE, STYLE, VERMILION

Perturb = Callable[[nn.Module, Tensor, Tensor, float], Tensor]


def attack_a_digit(
    model: nn.Module, x: Tensor, y: Tensor, attacks: dict[str, Perturb]
) -> Callable[..., tuple[Figure, str]]:
    """A scene: `attacks[name](model, x, y, eps) -> x_adv` on a digit of x (n, 1, 8, 8), with probabilities."""

    def draw(digit: int, eps: float, attack: str) -> tuple[Figure, str]:
        clean, label = x[digit : digit + 1], y[digit : digit + 1]
        x_adv = attacks[attack](model, clean, label, eps)
        with torch.no_grad():
            chances = model(x_adv).softmax(1)[0].cpu()
        said, true = int(chances.argmax()), int(label)
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 4, figsize=(8.8, 2.7), width_ratios=(1, 1, 1, 1.7))
            change = (x_adv - clean)[0, 0].cpu()
            views = (
                (clean[0, 0].cpu(), "clean", {"vmin": 0, "vmax": 1}),
                (change, f"change, at most {eps:.2f}", {"cmap": "RdBu_r", "vmin": -eps or -1, "vmax": eps or 1}),
                (x_adv[0, 0].cpu(), "what the model sees", {"vmin": 0, "vmax": 1}),
            )
            for ax, (picture, title, look) in zip(axes, views, strict=False):
                ax.imshow(picture.numpy(), **look)
                ax.set_title(title, fontsize=10, fontweight="normal")
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
            colours = [BLUE if k == true else VERMILION if k == said else "#BBBBBB" for k in range(10)]
            bars = axes[3].bar(range(10), chances.numpy(), color=colours)
            bars[true].set_hatch("//")
            bars[true].set_edgecolor("white")
            axes[3].set(xticks=range(10), ylim=(0, 1.05), xlabel="class (hatched: the truth)", ylabel="probability")
            axes[3].set_title(f"says {said}", fontsize=11, color="black" if said == true else VERMILION)
        verdict = "still right" if said == true else f"**wrong**: it says {said}"
        return fig, f"A {true}, {attack}, ε = {eps:.2f}: the model is {verdict}, {100 * chances[said]:.0f} % sure."

    return draw
