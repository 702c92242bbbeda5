"""Lab 11: a face that appears while an attack climbs a model's score, and what model and judge think of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course.inversion import Prior, invert_classes
from modelsec_course.lab.style import BLACK, BLUE, STYLE, VERMILION
from modelsec_course.lab.words import percent

EVERY = 2  # steps from one picture of the film to the next


def watch_a_face_appear(
    model: nn.Module, judge: nn.Module, truth: Tensor, alike: Tensor, priors: Mapping[str, Prior], steps: int = 60
) -> Callable[..., tuple[Figure, str]]:
    """A scene: `invert_classes` on all people at once, stopped at a step.

    model: the attacked.  judge: of private people and strangers, by the same labels.  truth, alike: (people, 1, h, w),
    a photograph of each person and of the public look-alike.
    """
    names = torch.arange(len(truth), device=truth.device)

    @functools.cache
    def film(prior: str) -> tuple[Tensor, np.ndarray, np.ndarray, np.ndarray]:
        """Pictures (frames, people, 1, h, w); both nets' probabilities and the judge's answers, (frames, people)."""
        frames: list[Tensor] = []

        def keep(step: int, x: Tensor) -> None:
            if step % EVERY == 0:
                frames.append(x[0])

        invert_classes(model, names, priors[prior], steps=steps + 1, restarts=1, on_step=keep, progress=False)
        with torch.no_grad():
            sure, seen = (torch.stack([net(x).softmax(1) for x in frames]).cpu() for net in (model, judge))
        own = names.cpu()
        return torch.stack(frames), sure[:, own, own].numpy(), seen[:, own, own].numpy(), seen.argmax(2).numpy()

    def draw(person: int, step: int, prior: str) -> tuple[Figure, str]:
        frames, sure, seen, named = film(prior)
        at = step // EVERY
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 4, figsize=(9.4, 2.9), width_ratios=(1, 1, 1, 1.9))
            parts = (truth[person], alike[person], frames[at, person])
            shown = zip(("the person", "look-alike", f"{prior}, step {step}"), parts, strict=True)
            for ax, (title, picture) in zip(axes[:3], shown, strict=True):
                ax.imshow(picture[0].cpu().numpy(), vmin=0, vmax=1, cmap="gray")
                ax.set_title(title, fontsize=10, loc="center")
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
            _curves(axes[3], sure[:, person], seen[:, person], at)
        who = _named(int(named[at, person]), person, len(truth))
        return fig, (
            f"Person {person}, {prior}, step {step}: the model is **{percent(sure[at, person])}** sure that it is "
            f"person {person}. The judge sees {who}, and is {percent(seen[at, person])} sure of person {person}."
        )

    return draw


def _named(answer: int, person: int, people: int) -> str:
    if answer == person:
        return "**the right person**"
    return f"person {answer}" if answer < people else "a stranger"


def _curves(axes: Axes, sure: np.ndarray, seen: np.ndarray, at: int) -> None:
    steps = EVERY * np.arange(len(sure))
    axes.plot(steps, sure, color=VERMILION, marker="", linestyle="--", label="the attacked model")
    axes.plot(steps, seen, color=BLUE, marker="", linestyle="-", label="the judge")
    axes.axvline(steps[at], color=BLACK, linestyle=":", linewidth=1.5, marker="")
    axes.set(xlabel="steps", ylabel="probability of the person", ylim=(-0.03, 1.03))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, fontsize=8.5)
