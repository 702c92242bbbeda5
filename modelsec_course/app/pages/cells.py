"""A notebook that has been run, as the HTML of a page's text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import nbformat
from nbconvert.filters import Highlight2HTML, ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from modelsec_course.app.pages.formulas import mathml

STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
PICTURES = ("image/png", "image/jpeg")


@dataclass
class Section:
    """A heading and the words under it, down to the next heading."""

    id: str
    title: str
    level: int
    words: list[str] = field(default_factory=list)


class Text(IPythonRenderer):
    """Markdown whose formulas are MathML and whose headings are unique targets; `sections` are those met so far."""

    def __init__(self, folder: Path):
        super().__init__(escape=False, embed_images=True, path=str(folder))
        self.sections: list[Section] = []

    def heading(self, text: str, level: int, **attrs) -> str:
        title = words(text)
        name = title.replace(" ", "-")  # as JupyterLab names them
        taken = sum(section.id == name or section.id.startswith(f"{name}--") for section in self.sections)
        name = f"{name}--{taken + 1}" if taken else name
        self.sections.append(Section(name, title, level))
        anchor = f'<a class="anchor" href="#{quote(name)}" aria-label="Link to: {html.escape(title)}">#</a>'
        return f'<h{level} id="{html.escape(name)}">{text}{anchor if level > 1 else ""}</h{level}>\n'

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def block_math(self, body: str) -> str:
        return f'<span class="formula">{mathml(body, display=True)}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


def page_text(notebook: nbformat.NotebookNode, folder: Path) -> tuple[str, list[Section], str]:
    """(HTML, its sections, the styles that its outputs brought, each once). folder: where its pictures lie."""
    text = Text(folder)
    body = "\n".join(part for cell in notebook.cells for part in _cell(cell, text))
    styles = "\n".join(dict.fromkeys(STYLE.findall(body)))
    return STYLE.sub("", body), text.sections, styles


def words(markup: str) -> str:
    """The text of some HTML, on one line."""
    apart = re.sub(r"</?(?:p|li|[uo]l|t[rdh]|table|h\d|div|pre|summary|details|br)\b[^>]*>", " ", markup)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", apart)).split())


def _cell(cell: nbformat.NotebookNode, text: Text) -> Iterator[str]:
    if cell.cell_type == "markdown":
        text.attachments = cell.get("attachments", {})
        made = MarkdownWithMath(renderer=text).render(cell.source)
        _file_words(made, text.sections)
        yield f'<div class="prose">{made}</div>'
    elif cell.cell_type == "code":
        if cell.source.strip():
            yield _code(cell)
        for output in cell.outputs:
            if shown := _output(output):
                yield f'<div class="output">{shown}</div>'


def _file_words(made: str, sections: list[Section]) -> None:
    """Give each section the words that follow its heading."""
    pieces = re.split(r"<h\d id=.*?</h\d>\n", made)
    for section, piece in zip(reversed(sections), reversed(pieces), strict=False):
        section.words.append(words(re.sub(r"<math.*?</math>", " ", piece)))


def _code(cell: nbformat.NotebookNode) -> str:
    made = Highlight2HTML(pygments_lexer="ipython3")(cell.source).replace(' class=" highlight', ' class="highlight')
    if cell.metadata.get("jupyter", {}).get("source_hidden"):
        return f'<details class="code"><summary>Code of this card</summary>{made}</details>'
    return f'<div class="code">{made}</div>'


def _output(output: nbformat.NotebookNode) -> str:
    """What a page shows of an output. A widget has no kernel here: its still form stands for it."""
    if output.output_type == "stream":
        return f"<pre>{ansi2html(output.text)}</pre>"
    data = output.get("data", {})
    if "text/html" in data:
        return data["text/html"]
    for kind in PICTURES:
        if kind in data:
            described = html.escape(data.get("text/plain", ""), quote=True)
            return f'<img alt="{described}" src="data:{kind};base64,{data[kind].strip()}">'
    return f"<pre>{ansi2html(data['text/plain'])}</pre>" if data.get("text/plain") else ""
