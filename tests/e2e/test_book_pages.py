"""The book in a browser, opened as a file: search, keys, narrow windows, dark and on paper."""

import pytest

from modelsec_course.app.pages.cells import Section
from modelsec_course.app.pages.site import Page, files

LONG = "<p>Words of a long text.</p>" * 60


def page_of(number, title, words):
    sections = [Section("top", title, 1, ["Before all."]), Section("idea", "The idea", 2, [words])]
    body = f'<div class="prose"><h1 id="top">{title}</h1>{LONG}<h2 id="idea">The idea</h2><p>{words}</p>{LONG}</div>'
    body += '<div class="code"><div class="highlight"><pre><span class="k">return</span></pre></div></div>'
    body += "<details><summary>Answer</summary><p>forty-two</p></details>"
    return Page(f"{number}_lab", title, body, sections)


@pytest.fixture
def opened(browser, tmp_path):
    """`opened("90_lab.html", width=1400)`: the page, of a book in a folder, without any server."""
    pages = [page_of("90", "First lab", "A naïve orchid."), page_of("91", "Second lab", "A tulip & a <b>rose</b>.")]
    for name, content in files(pages).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    contexts, errors = [], []

    def open_page(name, width=1400, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.on("requestfailed", lambda request: errors.append(request.url))
        page.goto((tmp_path / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors


def test_a_search_leads_to_another_lab_by_keyboard(opened):
    page = opened("90_lab.html")
    page.keyboard.press("/")
    page.keyboard.type("tulip")
    assert page.locator("#found p").first.text_content() == "1 section"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/91_lab.html#idea")
    assert page.locator("#idea").bounding_box()["y"] < 100


def test_a_search_forgives_accents_and_shows_text_as_text(opened):
    page = opened("90_lab.html")
    page.fill("#search", "naive")
    assert "A naïve orchid." in page.locator("#found li").text_content()
    page.fill("#search", "rose")
    assert "<b>rose</b>" in page.locator("#found li").text_content()
    page.fill("#search", "nowhere [")
    assert page.locator("#found").text_content() == "Nothing found"
    page.keyboard.press("Escape")
    assert page.locator("#course").is_visible()


def test_the_sidebar_follows_the_reader(opened):
    page = opened("90_lab.html")
    page.evaluate("document.getElementById('idea').scrollIntoView()")
    page.locator(".sections a[aria-current]").wait_for()
    assert page.locator(".sections a[aria-current]").text_content() == "The idea"


def test_a_narrow_window_has_a_menu_and_never_scrolls_sideways(opened):
    page = opened("90_lab.html", width=500)
    assert not page.locator("#side").is_visible()
    page.focus("#menu")
    page.keyboard.press("Enter")
    assert page.locator("#menu").get_attribute("aria-expanded") == "true"
    page.get_by_role("link", name="Second lab").first.click()
    page.wait_for_url("**/91_lab.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 500


def test_the_book_is_dark_where_the_reader_is(opened):
    background = "getComputedStyle(document.body).backgroundColor"
    assert opened("index.html", color_scheme="light").evaluate(background) == "rgb(255, 255, 255)"
    assert opened("index.html", color_scheme="dark").evaluate(background) == "rgb(21, 24, 28)"


def test_on_paper_there_is_the_text_alone_and_every_answer(opened):
    page = opened("90_lab.html", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert not page.locator("#side").is_visible()
    assert not page.locator(".pager").is_visible()
    assert page.get_by_text("forty-two").is_visible()
    colours = "(s) => getComputedStyle(document.querySelector(s)).color"
    assert page.evaluate(colours, "main p") == "rgb(0, 0, 0)"
    assert page.evaluate(colours, "main .k") == "rgb(122, 46, 142)"  # the light theme's, on white


def test_without_scripts_everything_can_be_read(opened):
    page = opened("90_lab.html", width=500, java_script_enabled=False)
    assert page.get_by_role("link", name="Second lab").first.is_visible()
    assert not page.locator("#search").is_visible()
