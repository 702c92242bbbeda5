"""The glossary: its page, and the links of bold terms to it."""

from pathlib import Path

import nbformat
import pytest

from modelsec_course.build import BuildError
from modelsec_course.build.glossary import SOURCE, anchors, page, terms
from modelsec_course.build.links import link_terms

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = "**white-box**, white box. Lab 01. All is known.\n\n**backdoor**. Lab 08. It waits.\n"


@pytest.fixture
def root(tmp_path):
    def make(text=ENTRIES):
        (tmp_path / SOURCE).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / SOURCE).write_text(text, encoding="utf-8")
        return tmp_path

    return make


def test_the_page_has_a_heading_a_term_in_order_and_links_to_labs_that_exist(root):
    made = nbformat.reads(page(terms(root()), {"01": "01_white.ipynb"}), as_version=4)
    nbformat.validate(made)
    assert [cell.source.split("\n")[0] for cell in made.cells[1:]] == ["### backdoor", "### white-box"]
    assert made.cells[1].source.endswith("It waits. See lab 08.")
    assert made.cells[2].source.endswith("All is known. *Also:* white box. See [lab 01](01_white.ipynb).")


def test_the_first_bold_use_of_a_term_links_to_it_and_no_other(root):
    linked = set()
    known = anchors(terms(root()))
    first = link_terms("# A **backdoor**\n`**backdoor**` A **Backdoor.** **one** **backdoor**", known, linked)
    assert first == "# A **backdoor**\n`**backdoor**` A [**Backdoor.**](glossary.ipynb#backdoor) **one** **backdoor**"
    again = link_terms("**backdoor** and **white box**", known, linked)
    assert again == "**backdoor** and [**white box**](glossary.ipynb#white-box)"


@pytest.mark.parametrize(
    ("line", "what"),
    [("**term**: no lab", "an entry is one line"), ("**backdoor**. Lab 02. Again.", "has an entry already"),
     ("**other**, White box. Lab 02. Again.", "has an entry already")],
)  # fmt: skip
def test_an_entry_that_is_none_or_there_already_is_refused(root, line, what):
    with pytest.raises(BuildError, match=rf"labs/glossary\.md:4: .*{what}"):
        terms(root(f"{ENTRIES}{line}\n"))


def test_a_course_without_a_glossary_has_no_terms(tmp_path):
    assert terms(tmp_path) == []


def test_this_courses_glossary_explains_in_a_sentence_and_is_used():
    entries = terms(ROOT)
    assert len(entries) >= 50
    assert all(entry.says.endswith(".") and entry.says[0].isupper() for entry in entries)
    linked = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
    assert sum(f"glossary.ipynb#{entry.anchor})" in linked for entry in entries) >= 20
