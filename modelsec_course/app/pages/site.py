"""The site around the pages: sidebar, search, the way from lab to lab, and the first page."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from modelsec_course.app.pages.cells import Section
from modelsec_course.lab.exercise import PARTS, Lab
from modelsec_course.lab.rooms import labs, load

NOTEBOOK_LINK = re.compile(r' href="(?!\w+:)([^"#]*)\.ipynb((?:#[^"]*)?)"')
HERE = Path(__file__).parent
SHELL = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="stylesheet" href="book.css">
{styles}
<script defer src="search-index.js"></script>
<script defer src="book.js"></script>
</head><body class="msec-auto">
<a class="skip" href="#main">Skip to the text</a>
<div class="bar"><a href="index.html">Model Security</a>
<button type="button" id="menu" aria-expanded="false" aria-controls="side" hidden>Contents</button></div>
<nav id="side" aria-label="The course">
<a class="home" href="index.html"{here}>Model Security</a>
<form role="search" hidden><label for="search">Search</label>
<input id="search" type="search" autocomplete="off" placeholder="Search the course  /" aria-controls="found">
</form><div id="found" role="status" aria-live="polite"></div>
<div id="course">{course}</div></nav>
<main id="main" tabindex="-1">
{body}
</main></body></html>
"""


@dataclass(frozen=True, eq=False)
class Page:
    """A notebook as it stands in the book: `name`.html."""

    name: str
    title: str
    body: str
    sections: list[Section]
    styles: str = ""

    @property
    def file(self) -> str:
        return f"{quote(self.name)}.html"

    @property
    def lab(self) -> Lab | None:
        return load(self.name[:2]).lab if self.name[:2] in labs() else None


def files(pages: list[Page]) -> dict[str, str]:
    """Every file of the site: {name: content}."""
    made = {name: (HERE / name).read_text(encoding="utf-8") for name in ("book.css", "book.js")}
    made["search-index.js"] = f"window.BOOK = {_search_index(pages)};\n"
    made["index.html"] = _shell("Model Security", _first_page(pages), pages)
    for page, before, after in zip(pages, [None, *pages], [*pages[1:], None], strict=False):
        body = f"{_linked(page.body, pages)}\n{_pager(before, after)}"
        made[f"{page.name}.html"] = _shell(page.title, body, pages, page)
    return made


def _linked(body: str, pages: list[Page]) -> str:
    """Links between notebooks lead to their pages; what is not in the book is no link."""
    known = {page.name: page.file for page in pages} | {"start": "index.html"}

    def page_link(link: re.Match) -> str:
        name, place = Path(unquote(link[1])).name, link[2]
        return f' href="{known[name]}{place}"' if name in known else ""

    return NOTEBOOK_LINK.sub(page_link, body)


def _shell(title: str, body: str, pages: list[Page], page: Page | None = None) -> str:
    return SHELL.format(
        title=esc(title), body=body, styles=page.styles if page else "", course=_course(pages, page),
        here="" if page else ' aria-current="page"',
    )  # fmt: skip


def _course(pages: list[Page], current: Page | None) -> str:
    """The labs by part, and the sections of the one that is read."""
    made = ""
    for part, members in _parts(pages):
        links = ""
        for page in members:
            here = page is current
            inner = _contents(page) if here else ""
            links += f'<li><a href="{page.file}"{_mark(here)}>{esc(page.title)}</a>{inner}</li>'
        made += f"<h2>{esc(part)}</h2><ul>{links}</ul>"
    return made


def _contents(page: Page) -> str:
    links = "".join(
        f'<li class="level{section.level}"><a href="#{quote(section.id)}">{esc(section.title)}</a></li>'
        for section in page.sections
        if section.level in (2, 3)
    )
    return f'<ul class="sections">{links}</ul>' if links else ""


def _parts(pages: list[Page]) -> Iterator[tuple[str, list[Page]]]:
    if more := [page for page in pages if page.lab is None]:
        yield "Beside the labs", more
    for part in PARTS:
        if members := [page for page in pages if page.lab and page.lab.part == part]:
            yield part, members


def _first_page(pages: list[Page]) -> str:
    made = (
        '<header class="cover"><h1>Model Security</h1><p>Attack and defend machine-learning models. '
        "Every lab, solved and run, with all its figures.</p></header>"
    )
    for part, members in _parts(pages):
        made += f'<section class="part"><h2>{esc(part)}</h2><ol class="labs">'
        for page in members:
            about = f"<p>{esc(page.lab.question)}</p>" if page.lab else ""
            minutes = f'<span class="soft">{page.lab.minutes} min</span>' if page.lab else ""
            made += f'<li><a href="{page.file}">{esc(page.title)}</a>{minutes}{about}</li>'
        made += "</ol></section>"
    return made


def _pager(before: Page | None, after: Page | None) -> str:
    links = [("prev", "Before", before), ("next", "Next", after)]
    shown = "".join(
        f'<a rel="{rel}" class="{rel}" href="{page.file}"><span class="soft">{word}</span>{esc(page.title)}</a>'
        for rel, word, page in links
        if page
    )
    return f'<nav class="pager" aria-label="Lab before and after">{shown}</nav>' if shown else ""


def _search_index(pages: list[Page]) -> str:
    """A line for each section: [file, page's title, anchor, section's title, words]. Safe inside a script."""
    rows = [
        [page.file, page.title, quote(section.id), section.title, " ".join(filter(None, section.words))]
        for page in pages
        for section in page.sections
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("],[", "],\n[")


def _mark(here: bool) -> str:
    return ' aria-current="page"' if here else ""


def esc(text: str) -> str:
    return html.escape(text)
