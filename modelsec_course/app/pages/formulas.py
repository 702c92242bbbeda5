"""TeX formulas as MathML, which browsers set themselves."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from latex2mathml.converter import convert

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
LACKING = {r"\arg": r"\operatorname{arg}"}  # what the converter does not know, in words that it does
LIMITS = ("max", "min")  # what a displayed formula writes under, not beside
STIFF = ("‖", "|")  # these grow only where TeX says so

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
    for element in list(root.iter()):
        _mend(element, display)
    return ET.tostring(root, encoding="unicode").replace(f' xmlns="{NAMESPACE}"', "")


def _mend(element: ET.Element, display: bool) -> None:
    """Where the converter's MathML does not look as TeX does."""
    name = _name(element)
    if element.text == "~" and name == "mi":  # \sim
        element.tag, element.text = f"{{{NAMESPACE}}}mo", "∼"
    elif name == "mo" and element.text in STIFF and "minsize" not in element.attrib:
        element.set("stretchy", "false")
    elif display and name == "msub" and _name(element[0]) == "mo" and element[0].text in LIMITS:
        element.tag = f"{{{NAMESPACE}}}munder"


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
