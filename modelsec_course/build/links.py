"""Labs named in the prose become links: "lab 03" opens the notebook of lab 03."""

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
