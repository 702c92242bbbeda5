"""What the prose names becomes a link: "lab 03" opens its notebook, a bold term its place in the glossary."""

from __future__ import annotations

import re
from collections.abc import Mapping

# What stays as it is: fenced code, code spans, formulas, images and links, tags, headings; then a mention of labs.
KEPT = (
    r"^ {0,3}(?P<fence>```+|~~~+).*?(?:^ {0,3}(?P=fence)|\Z)|(?P<tick>`+).+?(?P=tick)|\$\$.+?\$\$|\$[^$\n]+\$"
    r"|!?\[(?:[^\[\]]|\[[^\]]*\])*\]\([^)]*\)|<[A-Za-z/!][^>\n]*>|https?://\S+|^ {0,3}#.*?$"
)
MENTION = r"\b[Ll]abs?\s\d\d\b(?:(?:\s?–\s?|,\s|,?\s(?:and|or|to)\s)\d\d\b)*"
PIECE = re.compile(f"{KEPT}|(?P<mention>{MENTION})", re.MULTILINE | re.DOTALL)
BOLD = re.compile(rf"{KEPT}|\*\*(?P<term>[^*\n]+?)\*\*", re.MULTILINE | re.DOTALL)
GLOSSARY = "glossary.ipynb"
ONE = re.compile(r"(?:\b[Ll]abs?\s)?(\d\d)\b")


def link_labs(markdown: str, notebooks: Mapping[str, str], here: str = "") -> str:
    """The text with each lab that it names as a link, code, formulas, headings and existing links aside.

    notebooks: number of a lab: file name of its notebook.  here: the number of the lab whose text this is.
    """

    def link(mention: re.Match) -> str:
        number = mention[1]
        known = number in notebooks and number != here
        return f"[{mention[0]}]({notebooks[number]})" if known else mention[0]

    def piece(found: re.Match) -> str:
        return ONE.sub(link, found[0]) if found["mention"] else found[0]

    return PIECE.sub(piece, markdown)


def link_terms(markdown: str, anchors: Mapping[str, str], linked: set[str]) -> str:
    """The text with each bold term that is not in `linked` yet as a link to the glossary; `linked` grows.

    anchors: a term, in small letters: the part of the glossary that explains it.
    """

    def link(found: re.Match) -> str:
        anchor = anchors.get((found["term"] or "").rstrip(".").casefold())
        if anchor is None or anchor in linked:
            return found[0]
        linked.add(anchor)
        return f"[{found[0]}]({GLOSSARY}#{anchor})"

    return BOLD.sub(link, markdown)
