"""The solutions as web pages: all there, all offline."""

import json
import os
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from modelsec_course.app import book, cli
from modelsec_course.app.pages import cells, site
from modelsec_course.app.pages.formulas import mathml

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = sorted((ROOT / "solutions").glob("*.ipynb"))
WIDGET = """
import matplotlib.pyplot as plt
from modelsec_course.lab import explore
def draw(index, eps):
    if eps > 0.2:
        raise ValueError("too <far>")
    return plt.figure(figsize=(1, 1)), f"`{index}` at {eps:.2f}"
explore(draw, index={"first": 1, "second": 2}, eps=(0.0, 0.3, 0.1, 0.1), caption="A picture", labels={"eps": "ε"})
"""
PRINTS = "import os, sys\nprint(6 * 7)\nprint(os.getcwd(), os.environ['MODELSEC_HOME'], sys.executable)"
LAB_00 = [
    new_markdown_cell(
        "# Fast & slow\n\nThe next is [lab 01](01_next.ipynb#Here-&-now).\n\n## First steps\n\nAn orchid."
    ),
    new_code_cell(PRINTS),
    new_markdown_cell("## First steps\n\n$$ x' = \\arg\\max_k \\lVert w_k \\rVert $$\n\nHere $a < b$ and `$HOME`."),
    new_code_cell("from IPython.display import HTML\nHTML('<style>p{}</style><a href=\"start.ipynb\">map</a>')"),
    new_code_cell("HTML('<style>p{}</style><b>again</b>')", metadata={"jupyter": {"source_hidden": True}}),
    new_code_cell(WIDGET),
]
LAB_01 = [new_markdown_cell("# What next?\n\n### Here & now\n\nA tulip.")]


class Links(HTMLParser):
    """What a page points to, and what can be pointed to in it."""

    def __init__(self, page: str):
        super().__init__()
        self.loads, self.links, self.ids = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag == "a":
            self.links.append(attrs["href"])
        elif address := attrs.get("src") or attrs.get("href"):
            self.loads.append(address)


def write(folder, name, made):
    folder.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=made), folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


def ours():
    """The course's own part of the environment, which importing torch does not change."""
    return {name: value for name, value in os.environ.items() if name.startswith("MODELSEC")}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(the book's folder, the course's folder)."""
    root = tmp_path_factory.mktemp("book")
    write(root / "solutions", "00_start", LAB_00)
    write(root / "solutions", "01_next", LAB_01)
    before = ours()
    book.write_book(root, root / "site")
    assert ours() == before
    return root / "site", root


@pytest.fixture(scope="module")
def pages(written):
    return {path.name: path.read_text(encoding="utf-8") for path in written[0].glob("*.html")}


def test_the_book_shows_what_the_solutions_print(pages):
    assert re.search(r"<pre>42\n", pages["00_start.html"])
    assert '<a href="00_start.html">Fast &amp; slow</a>' in pages["index.html"]


def test_a_solution_that_fails_stops_the_book(tmp_path):
    path = write(tmp_path, "00_start", [new_code_cell("1 / 0")])
    with pytest.raises(SystemExit, match=r"00_start\.ipynb does not run to its end"):
        book.render(path, tmp_path, tmp_path)


def test_a_card_that_cannot_be_shown_stops_the_book(tmp_path):
    broken = "class Card:\n    def _repr_html_(self):\n        return 1 / 0\nCard()"
    path = write(tmp_path, "00_start", [new_code_cell(broken)])
    with pytest.raises(SystemExit, match=r"00_start\.ipynb shows an error(?s:.*)ZeroDivisionError: division by zero"):
        book.render(path, tmp_path, tmp_path)


def test_without_solutions_the_book_says_what_to_do(tmp_path):
    write(tmp_path / "solutions", "00_start", LAB_01)
    with pytest.raises(SystemExit, match="has no 07 or 08 in solutions/: run `modelsec build`"):
        book.write_book(tmp_path, tmp_path / "site", ["07", "08"])


def test_the_command_writes_the_labs_that_it_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    for name in ("00_start", "01_next"):
        write(tmp_path / "solutions", name, [new_markdown_cell("# A title")])
    assert cli.main(["book", "01", "--out", str(tmp_path / "site")]) == 0
    assert {path.name for path in (tmp_path / "site").glob("*.html")} == {"01_next.html", "index.html"}


def test_no_page_needs_the_network(written, pages):
    for page in pages.values():
        for address in Links(page).loads:
            assert address.startswith("data:") or (written[0] / address).is_file(), address
    for path in written[0].iterdir():
        assert not re.search(r"mathjax|require\.js|cdnjs|@import|fetch\(|//\w+\.\w", path.read_text(), re.I), path.name


def test_every_link_of_a_page_leads_somewhere(pages):
    read = {name: Links(page) for name, page in pages.items()}
    for name, page in read.items():
        assert len(page.ids) == len(set(page.ids)), f"{name} has an id twice"
        for link in page.links:
            file, _, anchor = unquote(link).partition("#")
            assert (file or name) in pages, link
            assert not anchor or anchor in read[file or name].ids, link


def test_links_to_notebooks_lead_to_their_pages(pages):
    assert '<a href="01_next.html#Here-&amp;-now">lab 01</a>' in pages["00_start.html"]
    assert '<a href="index.html">map</a>' in pages["00_start.html"]
    assert 'rel="next" class="next" href="01_next.html"' in pages["00_start.html"]
    assert 'rel="prev" class="prev" href="00_start.html"' in pages["01_next.html"]


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ('<a href="https://example.org/a.ipynb">', '<a href="https://example.org/a.ipynb">'),
        ('<a href="../work/01%20lab.ipynb#x">', '<a href="01%20lab.html#x">'),
        ('<a href="not_in_the_book.ipynb">', "<a>"),
    ],
)
def test_only_links_to_notebooks_of_the_book_change(link, becomes):
    made = site.files([site.Page("01 lab", "A lab", link, [])])["01 lab.html"]
    assert f"{becomes}\n" in made


def test_the_sidebar_shows_the_labs_and_the_sections_of_the_page(pages):
    side = pages["00_start.html"].partition('<nav id="side"')[2].partition("</nav>")[0]
    assert '<a class="home" href="index.html">' in side
    assert '<a href="00_start.html" aria-current="page">Fast &amp; slow</a>' in side
    assert '<a href="01_next.html">What next?</a>' in side
    assert re.findall(r'href="#([^"]+)">First steps<', side) == ["First-steps", "First-steps--2"]
    assert "now</a>" not in side


def test_a_search_meets_each_section_with_its_own_words(written):
    script = (written[0] / "search-index.js").read_text(encoding="utf-8")
    rows = json.loads(script.removeprefix("window.BOOK = ").removesuffix(";\n"))
    assert ["00_start.html", "Fast & slow", "First-steps", "First steps", "An orchid."] in rows
    assert ["01_next.html", "What next?", "Here-%26-now", "Here & now", "A tulip."] in rows
    assert len(rows) == 5


def test_formulas_are_mathml_and_code_keeps_its_dollars(pages):
    page = pages["00_start.html"]
    assert page.count("<math") == 2
    assert "$$" not in page
    assert "\\arg" not in page
    assert "<code>$HOME</code>" in page


def test_a_widget_stands_as_frames_with_their_settings(pages):
    page = pages["00_start.html"]
    strip = page.partition('<div class="stills"')[2].partition("</div>")[0]
    assert re.findall(r"<strong>(.*?)</strong><br><code>1</code> at (.*?)<", strip) == [
        ("ε: 0.0", "0.00"),
        ("ε: 0.1", "0.10"),
        ("ε: 0.2", "0.20"),
    ]
    assert strip.count("<img") == 3
    assert "This setting could not be drawn: ValueError: too &lt;far&gt;" in strip
    assert "Stills of an interactive figure; index first." in page
    assert "widget-view" not in page


def test_no_path_of_this_machine_stays_in_a_page(written, pages):
    assert "<pre>42\n…/solutions … …/bin/python" in pages["00_start.html"]
    for name, page in pages.items():
        assert str(written[1]) not in page, name


def test_styles_of_outputs_stand_once_and_in_the_head(pages):
    head, _, body = pages["00_start.html"].partition("</head>")
    assert head.count("<style>p{}</style>") == 1
    assert "<style>" not in body


def test_folded_code_is_folded(pages):
    folded = re.findall(r'<details class="code">.*?</details>', pages["00_start.html"], re.DOTALL)
    assert len(folded) == 1
    assert "again" in folded[0]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_formula_of_the_course_is_set(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.outputs = []
    body, sections, _ = cells.page_text(notebook, path.parent)
    prose = re.sub(r"<(pre|code)\b.*?</\1>", "", body, flags=re.DOTALL)
    assert "$" not in prose
    assert not re.findall(r"\\[A-Za-z]+", prose)
    for formula in re.findall(r"<math.*?</math>", body):
        assert "".join(ET.fromstring(formula).itertext()).strip()
    assert sections[0].level == 1


def test_the_course_has_formulas():
    text = "".join(path.read_text(encoding="utf-8") for path in SOLUTIONS)
    assert text.count("$$") > 60


def test_a_formula_that_would_show_as_tex_is_refused():
    with pytest.raises(ValueError, match=r"\\nonesuch, which cannot be set"):
        mathml(r"\nonesuch x")


def shape(formula):
    """Tags and texts, without attributes."""
    return re.sub(r"<(\w+) [^>]*>", r"<\1>", formula)


def test_limits_stand_under_a_displayed_maximum_and_beside_an_inline_one():
    assert "<munder><mo>max</mo><mi>x</mi></munder>" in shape(mathml(r"\max_x f", display=True))
    assert "<msub><mo>max</mo><mi>x</mi></msub>" in shape(mathml(r"\max_x f"))


def test_a_function_stands_off_from_its_argument_but_not_from_a_bracket():
    assert '<mo lspace="0.17em" rspace="0.17em">log</mo>' in mathml(r"p \log q")
    assert '<mo lspace="0" rspace="0">ln</mo>' in mathml(r"\ln(2)")


def test_bars_enclose_closely():
    formula = mathml(r"|w| + \lVert w \rVert_2")
    assert re.findall(r"<mo ([^>]*)>[|‖]<", formula) == ['stretchy="false" lspace="0" rspace="0"'] * 4


def test_greek_capitals_are_upright_and_a_slash_is_close():
    assert '<mi mathvariant="normal">Φ</mi>' in mathml(r"\Phi(x)")
    assert "<mi>ε</mi>" in mathml("ε")
    assert '<mo lspace="0" rspace="0">/</mo>' in mathml("a / b")


def test_distributed_as_is_a_relation():
    assert "<mo>∼</mo>" in mathml(r"z \sim N")


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def palettes():
    css = (site.HERE / "book.css").read_text()
    light, dark = re.findall(r"^ *:root \{(.*?)\}", css, re.DOTALL | re.M)[:2]
    full = [dict(re.findall(r"--(\S+): (#[0-9a-f]+);", block)) for block in (light, dark)]
    return [{name: "#ffffff" if value == "#fff" else value for name, value in palette.items()} for palette in full]


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
def test_every_text_contrasts_with_what_it_stands_on(palette):
    """WCAG 2.2, success criterion 1.4.3: at least 4.5 to 1."""
    for ground in ("page", "side", "raised"):
        for ink in ("text", "soft", "link"):
            assert contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)
    for ink in ("text", "key", "string", "number", "name", "comment"):
        assert contrast(palette[ink], palette["code"]) >= 4.5, ink
    for ink in ("jp-brand-color1", "jp-success-color1", "jp-error-color1", "jp-warn-color1"):
        assert contrast(palette[ink], palette["page"]) >= 4.5, ink
    assert contrast(palette["text"], palette["mark"]) >= 4.5
