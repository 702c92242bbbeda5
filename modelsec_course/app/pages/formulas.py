"""TeX formulas as MathML, which browsers set themselves."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from latex2mathml.converter import convert

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
LACKING = {r"\arg": r"\operatorname{arg}"}  # what the converter does not know, in words that it does
LIMITS = ("max", "min")  # what a displayed formula writes under, not beside
BARS = ("‖", "|")  # fences, which grow only where TeX says so
CLOSE = ("/", ".")  # operators that TeX sets without space
CAPITALS = "ΓΔΘΛΞΠΣΥΦΨΩ"  # which TeX sets upright
OPENING = ("(", "[", "{")
OPERATOR = f"{{{NAMESPACE}}}mo"
THIN = "0.17em"

ET.register_namespace("", NAMESPACE)


def mathml(tex: str, *, display: bool = False) -> str:
    """The formula as a <math> element. display: on a line of its own.

    Raises ValueError for a command that would show as raw TeX.
    """
    for command, known in LACKING.items():
        tex = re.sub(re.escape(command) + r"(?![A-Za-z])", lambda _, known=known: known, tex)
    root = ET.fromstring(convert(tex.strip(), display="block" if display else "inline"))
    if unknown := re.findall(r"\\[A-Za-z]*", " ".join(root.itertext())):
        raise ValueError(f"the formula {tex.strip()} has {', '.join(unknown)}, which cannot be set as MathML")
    for row in list(root.iter()):
        for i, element in enumerate(row):
            _mend(element, display, first=i == 0, after=row[i + 1] if i + 1 < len(row) else None)
    return ET.tostring(root, encoding="unicode").replace(f' xmlns="{NAMESPACE}"', "")


def _mend(element: ET.Element, display: bool, first: bool, after: ET.Element | None) -> None:
    """Where the converter's MathML does not look as TeX does. after: what stands to the right of the element."""
    core = element[0] if _name(element) in ("msub", "msup", "munder") else element
    kind, text = _name(core), core.text or ""
    if kind == "mi" and text == "~":  # \sim
        core.tag, core.text = OPERATOR, "∼"
    elif kind == "mo" and text in BARS and "minsize" not in core.attrib:
        core.attrib |= {"stretchy": "false", "lspace": "0", "rspace": "0"}
    elif kind == "mo" and text in CLOSE:
        core.attrib |= {"lspace": "0", "rspace": "0"}
    elif kind == "mi" and text in CAPITALS:
        core.set("mathvariant", "normal")
    elif kind in ("mi", "mo") and len(text) > 1 and text.isascii() and text.isalpha():  # log, max, …
        core.tag = OPERATOR
        opens = after is None or (after.text or "") in OPENING
        core.attrib |= {"lspace": "0" if first else THIN, "rspace": "0" if opens else THIN}
        if display and text in LIMITS and _name(element) == "msub":
            element.tag = f"{{{NAMESPACE}}}munder"


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
