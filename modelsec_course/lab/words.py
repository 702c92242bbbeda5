"""Numbers as the course shows them: one way to write shares, points, intervals, and no break before a unit."""

from __future__ import annotations

import re

NBSP, MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"
UNITS = "%|‰|px|nm|ms|s|min|h|kB|MB|GB|bits?|dB"
GAP = re.compile(rf"(?<=\d) (?=(?:{UNITS})(?!\w))|(?<=\bLab) (?=\d\d\b)|(?<=\blab) (?=\d\d\b)")
SHARE = re.compile(r"(?<=\d)%(?![\w|])")
EQUATION = re.compile(r"(?<![\w.])(\w) ([=<>≤≥≈±×]) (?=[-−+]?\d)")


def percent(share: float, decimals: int | None = 1) -> str:
    """A share as a percentage: percent(0.084) is "8.4 %".

    decimals: digits after the point; None writes as few as the number needs.
    """
    return f"{_share(share, decimals)}{NBSP}%"


def points(difference: float) -> str:
    """A difference of shares in whole percentage points, with its sign: points(0.03) is "+3"."""
    rounded = round(100 * float(difference))
    return _signed(f"{rounded:+d}") if rounded else "0"


def number(value: float, digits: int = 3) -> str:
    """A number in `digits` significant digits; whole numbers in full, with commas from 10,000 on."""
    value = float(value)
    if value in (float("inf"), float("-inf")) or value != value:
        return _signed({"inf": "infinity", "-inf": "-infinity"}.get(str(value), "NaN"))
    if value.is_integer() and abs(value) < 1e15:
        return _signed(f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}")
    if abs(value) >= 10**digits:
        return number(round(value))
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return _signed(text)
    factor, power = text.split("e")
    times = "" if factor == "1" else f"{factor}{NBSP}×{NBSP}"
    return _signed(f"{times}10{_raised(int(power))}")


def interval(low: float, high: float, percent: bool = True) -> str:
    """Both ends of an interval: interval(0.071, 0.092) is "7.1 to 9.2 %"."""
    if percent:
        return f"{_share(low, 1)} to {_share(high, 1)}{NBSP}%"
    return f"{number(low)} to {number(high)}"


def tidy(text: str) -> str:
    """The text with "8.4%" written "8.4 %", and no line break between a number and its unit or its equals sign."""
    text = GAP.sub(NBSP, SHARE.sub(f"{NBSP}%", text))
    return EQUATION.sub(rf"\1{NBSP}\2{NBSP}", text)


def _share(share: float, decimals: int | None) -> str:
    value = 100 * float(share)
    return _signed(f"{value:.6g}" if decimals is None else f"{value:.{decimals}f}")


def _signed(text: str) -> str:
    return text.replace("-", MINUS)


def _raised(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
