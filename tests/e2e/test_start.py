"""The start page as a learner meets it: drawn before anything is run, and its links open labs in JupyterLab."""

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
NAME = "start.ipynb"


@pytest.fixture(scope="module")
def start(new_page):
    return new_page(NAME)


def test_the_map_is_there_before_anything_is_run(start):
    expect(start.outputs.locator("svg")).to_be_visible()
    expect(start.outputs.locator(".map > a").first).to_be_visible()
    expect(start.outputs.get_by_text("Begin with lab 00")).to_be_visible()


def test_the_map_fits_its_column_and_its_links_lie_on_their_labs(start):
    outside = start.evaluate(
        """shown => { const map = document.querySelector(shown + ' .map'), all = map.getBoundingClientRect();
            return [...map.querySelectorAll('a')].map(a => a.getBoundingClientRect())
                .filter(a => a.left < all.left || a.right > all.right || a.bottom > all.bottom).length }"""
    )
    assert outside == 0
    assert start.evaluate("shown => { const e = document.querySelector(shown + ' .scroll');"
                          "return e.scrollWidth - e.clientWidth }") <= 0  # fmt: skip


def test_the_page_in_both_themes(start):
    start.shot(page=start.page)


def test_a_lab_on_the_map_opens_as_a_tab_by_keyboard(start):
    link = start.outputs.locator(".map > a").first
    number = link.get_attribute("aria-label")[4:6]
    link.focus()
    start.page.keyboard.press("Enter")
    current = start.page.locator(".lm-TabBar-tab.lm-mod-current .lm-TabBar-tabLabel")
    expect(current.filter(has_text=f"{number}_")).to_be_visible()
    assert len(start.context.pages) == 1, "opened in JupyterLab, not as a file in the browser"


@pytest.mark.parametrize(("link", "opened"), [("a.next", "01_white_box_evasion"), ("ul.rows a", "00_start_here")])
def test_the_closing_cards_links_open_labs_as_tabs(new_page, link, opened):
    page = new_page(NAME)
    page.run(page.cells.first, 'from modelsec_course.lab import finish\n\nfinish("00")')
    page.outputs.locator(link).first.click()
    current = page.page.locator(".lm-TabBar-tab.lm-mod-current .lm-TabBar-tabLabel")
    expect(current.filter(has_text=opened)).to_be_visible()
    assert len(page.context.pages) == 1
