"""Lab 03: the ladder. What is left of a defence, the better the attacker."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from functools import partial

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor, nn

from modelsec_course import evasion, training
from modelsec_course.lab import figures
from modelsec_course.lab.style import ATTACK, BLACK, BLUE, CONTROL, GREY, MARKERS, ORANGE, PURPLE, SKY, STYLE, show
from modelsec_course.lab.words import interval, number, percent
from modelsec_course.robustness import Evaluation, knowing, planted

KNOWS = "attack that knows the defence"
COLOURS = (SKY, BLUE, PURPLE, ORANGE, ATTACK)  # of the rungs, from careless to knowing


def rungs(adaptive: nn.Module, *, eps: float) -> dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]]:
    """Attacks attack(model, x, y) -> x_adv from careless to careful; the last one attacks `adaptive` instead."""
    return {
        "FGSM": partial(evasion.fgsm, eps=eps),
        "PGD, 20 steps": partial(evasion.pgd, eps=eps, steps=20),
        "APGD, every target": partial(evasion.apgd, eps=eps, steps=10, loss="dlr-targeted"),
        "Square, 200 queries": partial(evasion.square_attack, eps=eps, queries=200),
        KNOWS: knowing(adaptive, eps=eps),
    }


def ladder(left: Mapping[str, Mapping[str, float]], caption: str) -> None:
    """One row per defence, one mark per attack: left[defence][attack] is the accuracy that remains."""
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(figsize=(8.2, 1.1 + 0.62 * len(left)))
        attackers = list(next(iter(left.values())))
        for row, shares in enumerate(left.values()):
            ends = [min(shares.values()), max(shares.values())]
            axes.plot(ends, [row, row], color="#CCCCCC", linestyle="-", marker="", linewidth=5)
        for k, attacker in enumerate(attackers):
            values = [shares[attacker] for shares in left.values()]
            look = {"color": COLOURS[k], "marker": MARKERS[k], "edgecolor": "white", "linewidth": 0.8}
            apart = 0.14 * (k - (len(attackers) - 1) / 2)  # so that none hides another
            heights = [row + apart for row in range(len(left))]
            size = 150 if attacker == KNOWS else 75
            axes.scatter(values, heights, size, label=attacker, zorder=3, **look)
        axes.set(yticks=range(len(left)), yticklabels=list(left), xlim=(-0.03, 1.03), xlabel="accuracy that is left")
        axes.xaxis.set_major_formatter(lambda value, _: percent(value, None))
        axes.margins(y=0.12)
        axes.invert_yaxis()
        fig.legend(loc="outside upper left", ncols=3, fontsize=9.5, frameon=False)
    said = "; ".join(
        f"{name}: " + ", ".join(f"{attacker} {percent(share, 0)}" for attacker, share in shares.items())
        for name, shares in left.items()
    )
    show(fig, caption, f"Accuracy left of each defence under each attack. {said}. {caption}")


def books(reports: Mapping[str, Evaluation]) -> None:
    """What `robustness.worst_case` found of each model, and what it cost."""
    attacks = [round.attack for round in next(iter(reports.values())).rounds]
    rows = []
    for name, report in reports.items():
        fell = [report.fell_to.count(attack) for attack in attacks]
        gradients = sum(round.given * round.gradients for round in report.rounds) / len(report.fell_to)
        flags = ", ".join(flag.name for flag in report.flags) or "none"
        shares = [percent(report.clean), percent(report.robust), interval(*report.interval)]
        rows.append([name, *shares, *fell, number(gradients, 2), flags])
    figures.table(
        rows,
        ["network", "clean", "robust, at most", "95 % interval", *attacks, "gradients an input", "red flags"],
        caption=f"ε = 0.15, {len(report.fell_to)} digits. Under each attack: how many fell to it, of those left to it.",
    )


def climb_the_ladder(model: nn.Module, x: Tensor, y: Tensor) -> Callable[..., tuple[Figure, str]]:
    """A scene: one planted fake in front of `model`, at `eps`, against the first `attacks` rungs, on inputs x, y."""
    fakes = planted(model)
    clean = {name: training.accuracy(fake.defended, x, y) for name, fake in fakes.items()}

    @functools.cache
    def bare(eps: float) -> float:
        return training.accuracy(model, rungs(model, eps=eps)[KNOWS](model, x, y), y)

    @functools.cache
    def accuracy(defence: str, eps: float, attacker: str) -> float:
        fake = fakes[defence]
        x_adv = rungs(fake.adaptive, eps=eps)[attacker](fake.defended, x, y)
        return training.accuracy(fake.defended, x_adv, y)

    def draw(defence: str, eps: float, attacks: int) -> tuple[Figure, str]:
        names = list(rungs(model, eps=eps))[:attacks]
        left = {"no attack": clean[defence]} | {name: accuracy(defence, eps, name) for name in names}
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(figsize=(7.4, 0.9 + 0.42 * 6))
            colours = [CONTROL, *COLOURS]
            bars = axes.barh(list(left), list(left.values()), color=colours[: len(left)])
            if len(names) == 5:
                bars[-1].set_hatch("//")
                bars[-1].set_edgecolor("white")
            axes.bar_label(bars, [percent(value, 0) for value in left.values()], padding=4)
            axes.set(xlim=(0, 1.12), ylim=(5.6, -0.6), xlabel="accuracy that is left")
            axes.xaxis.set_major_formatter(lambda value, _: percent(value, None) if value <= 1 else "")
            axes.axvline(bare(eps), color=BLACK, linestyle=":", marker="", linewidth=1.6)
            axes.text(bare(eps) + 0.01, 5.45, "no defence, attacked in the open", fontsize=9, color=GREY, va="bottom")
            axes.grid(False, axis="y")
            axes.set_title(f"{defence}, ε = {eps:.2f}")
        worst = min(left, key=left.get)
        found = f"the lowest number so far, {percent(left[worst], 0)}, is from **{worst}**"
        if left[worst] == clean[defence]:
            found = f"so far all {percent(left[worst], 0)} that are read correctly stand"
        words = f"{defence.capitalize()} at ε = {eps:.2f}, {len(names)} of 5 attacks: {found}."
        return fig, f"{words} Without it {percent(bare(eps), 0)} stand."

    return draw
