"""Lab 06: a fraudster's desk. One stolen card, a few things that can be set, the bank's score and the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from modelsec_course.data.payments import SCHEMA
from modelsec_course.evasion import tabular
from modelsec_course.lab.style import BLACK, BLUE, GREEN, GREY, STYLE, VERMILION


def desk(model: Any, threshold: float, reference: Tensor, prices: tabular.Prices) -> Callable[..., tuple[Figure, str]]:
    """A scene: set a payment by hand. Each new setting that can exist is one query, and is paid for.

    model: see `tabular.scorer`.  reference: (d,), the payment as it was planned, which the bank refuses.
    """
    score, planned, tried = tabular.scorer(model), reference[None], set()
    column = SCHEMA.index
    first = score(planned).item()

    def made(amount: float, hour: float, distance: float, payments: int, risk: float, abroad: bool) -> Tensor:
        row, before = planned.clone(), planned[0, column("payments_24h")].item() - 1
        wanted = {"amount": amount, "hour": hour, "distance": distance, "payments_24h": payments}
        wanted |= {"merchant_risk": risk, "foreign": float(abroad)}
        wanted["payments_1h"] = min(planned[0, column("payments_1h")].item(), payments)
        spent = planned[0, column("earlier_24h")].item()
        wanted["earlier_24h"] = spent * (payments - 1) / before if before else 20.0 * (payments - 1)
        for name, value in wanted.items():
            row[0, column(name)] = value
        return SCHEMA.derive(row)

    def draw(**settings: Any) -> tuple[Figure, str]:
        row = made(**settings)
        broken = list(tabular.broken_rules(row, SCHEMA, planned))
        if not broken:
            tried.add(tuple(settings.values()))
        now, price = score(row).item(), SCHEMA.price(row, planned)
        passed = now < threshold and not broken
        taken = prices.resale * row[0, 0].item() if passed else 0.0
        lines = {
            "resold": taken,
            "changes": -price.item() if passed else 0.0,
            f"{len(tried)} {'query' if len(tried) == 1 else 'queries'}": -prices.query * len(tried),
        }
        lines["profit"] = sum(lines.values())
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 2, figsize=(9.4, 3.1), width_ratios=(1.25, 1))
            _gauge(axes[0], first, now, threshold, bool(broken))
            _ledger(axes[1], lines)
        return fig, _words(row, now, threshold, broken, lines["profit"])

    return draw


def _gauge(axes: Axes, first: float, now: float, threshold: float, impossible: bool) -> None:
    low = 1e-5
    axes.set_xscale("log")
    axes.set_xlim(low, 1.8)
    axes.axvspan(low, threshold, color=GREEN, alpha=0.12, linewidth=0)
    axes.axvspan(threshold, 1.8, color=VERMILION, alpha=0.12, linewidth=0)
    axes.axvline(threshold, color=BLUE, linewidth=2, marker="")
    axes.scatter([max(first, low)], [0.3], marker="o", s=110, color=GREY, zorder=5, clip_on=False)
    colour = BLACK if impossible else VERMILION
    shape = "X" if impossible else "D"
    axes.scatter([max(now, low)], [0.6], marker=shape, s=170, color=colour, zorder=5, clip_on=False)
    axes.annotate(
        "as planned",
        (max(first, low), 0.3),
        (0, -18),
        textcoords="offset points",
        ha="right" if first > 0.3 else "center",
        fontsize=9,
    )
    said = "impossible" if impossible else "yours"
    axes.annotate(
        said,
        (max(now, low), 0.6),
        (0, 12),
        textcoords="offset points",
        ha="right" if now > 0.3 else "center",
        fontsize=10,
    )
    for x, text in ((0.02, "passes"), (0.98, "refused")):
        axes.text(x, 0.95, text, transform=axes.transAxes, ha="left" if x < 0.5 else "right", va="top", fontsize=10)
    axes.set(yticks=[], ylim=(0, 1), xlabel="the bank's score (log scale)")
    axes.grid(False)


def _ledger(axes: Axes, lines: dict[str, float]) -> None:
    colours = [VERMILION if name == "profit" else GREY for name in lines]
    drawn = axes.barh(list(lines), list(lines.values()), color=colours)
    axes.bar_label(drawn, [f"€{value:,.2f}".replace("€-", "−€") for value in lines.values()], padding=4, fontsize=10)
    axes.axvline(0, color=BLACK, linewidth=1, marker="")
    low, high = min(0, *lines.values()), max(0, *lines.values())
    room = 0.45 * max(high - low, 60)  # for what is written beside the bars
    axes.set_xlim(low - room, high + room)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set(xlabel="euros")


def _words(row: Tensor, now: float, threshold: float, broken: list[str], earned: float) -> str:
    if broken:
        return f"**Impossible**: no bank ever sees this row, since this rule is broken: *{broken[0]}*."
    amount, profit = f"€{row[0, 0].item():,.0f}", f"€{earned:,.2f}".replace("€-", "−€")
    if now < threshold:
        return f"The bank lets {amount} **pass** (score {now:.2g}, limit {threshold:.2g}). Profit: **{profit}**."
    return f"The bank **refuses** {amount} (score {now:.2g}, limit {threshold:.2g}). Profit: **{profit}**."


def case(x: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """A refused payment to play with: of middling suspicion, neither abroad nor small, and not the first of the day."""
    columns = SCHEMA.columns(x)
    fit = (scores >= threshold) & (columns["amount"].sub(160).abs() < 90) & (columns["payments_24h"] >= 3)
    fit = fit & (columns["foreign"] == 0) & (columns["payments_24h"] <= 8)
    rows = (fit if fit.any() else scores >= threshold).nonzero().flatten()
    return x[rows[scores[rows].argsort()[len(rows) // 2]]]


def start(reference: Tensor) -> dict[str, Any]:
    """The controls of `desk`, at the payment as it was planned."""
    value = lambda name: reference[SCHEMA.index(name)].item()  # noqa: E731
    whole = lambda name: round(value(name))  # noqa: E731
    return {
        "amount": (5, 1500, 5, min(1500, max(5, 5 * round(value("amount") / 5)))),
        "hour": (0, 23, 1, min(23, int(value("hour")))),
        "distance": (0, 600, 10, min(600, 10 * round(value("distance") / 10))),
        "payments": (1, 12, 1, min(12, whole("payments_24h"))),
        "risk": (0.0, 1.0, 0.05, round(20 * value("merchant_risk")) / 20),
        "abroad": bool(value("foreign")),
    }


def named() -> dict[str, str]:
    """What the page calls the controls."""
    return {
        "amount": "amount (€)",
        "hour": "hour of the day",
        "distance": "km from home",
        "payments": "payments in 24 h",
        "risk": "risk of the merchant",
        "abroad": "abroad",
    }
