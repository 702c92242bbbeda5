"""Lab 05: a line that turns."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from modelsec_course.lab.style import ATTACK, STYLE


def draw_a_line() -> Callable[..., tuple[Figure, str]]:
    """A scene: f(x) = slope · x for x from 0 to 1."""
    x = np.linspace(0, 1, 50)

    def draw(slope: float) -> tuple[Figure, str]:
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots()
            axes.plot(x, slope * x, color=ATTACK, marker="")
            axes.set(xlabel="x", ylabel="f(x)", ylim=(0, 3))
        return fig, f"At x = 1 the line is at {slope:.1f}."

    return draw
