import re
from html.parser import HTMLParser

import pytest

from modelsec_course.lab import guarantee, start, threat
from modelsec_course.lab.claiming import Claimed, Claims
from modelsec_course.lab.guarantees import Guarantee
from modelsec_course.lab.markup import rich
from modelsec_course.lab.opening import Header
from modelsec_course.lab.panel import Panel, shared
from modelsec_course.lab.rooms import find, labs, load
from modelsec_course.lab.run import Report, Row, run
from modelsec_course.lab.threat import NAMES, ThreatCard, lookup

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>&\"'</pre></div>"


class Page(HTMLParser):
    """The tags of a page, and whether each is closed."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.depth = [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes), list(self.open)))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def sound(html):
    page = Page(html)
    assert page.open == []
    assert not {"script", "img"} & {tag for tag, _, _ in page.tags}
    return page


@pytest.mark.parametrize("status", ["pass", "fail", "todo", "reference"])
def test_a_panel_escapes_what_a_learner_can_put_in_it(double, status):
    rows = (Row(HOSTILE, "fail", HOSTILE), Row("`b`", "ok"), Row("c", "skipped"), Row("d", "timeout", "x" * 9000))
    page = sound(Panel(Report(double, status, rows, HOSTILE), HOSTILE, again=True).html())
    assert any(attributes.get("role") == "status" for _, attributes, _ in page.tags)


def test_a_panel_has_no_times_or_paths(double):
    assert repr(Panel(run(double, lambda x: 2 * x))) == repr(Panel(run(double, lambda x: 2 * x)))
    assert "/" not in repr(Panel(run(double, lambda x: x)))


def test_status_is_said_in_words(double):
    words = {status: Panel(Report(double, status)).html() for status in ("pass", "fail", "todo", "reference")}
    for status, said in (("pass", "passed"), ("fail", "not yet right"), ("todo", "not attempted")):
        assert f'<span class="tag">{said}</span>' in words[status]
    assert "this is the course&#x27;s version" in words["reference"] or "course's version" in words["reference"]


def test_hints_unfold_one_inside_the_other_and_the_courses_version_last(double):
    page = sound(Panel(Report(double, "todo")).html())
    details = [inside for tag, _, inside in page.tags if tag == "details"]
    assert [inside.count("details") for inside in details] == [0, 1, 2]
    html = Panel(Report(double, "fail")).html()
    assert (
        html.index("Hint 2 of 2") < html.index("Show the course's version") < html.index("return 2 * x</pre></details>")
    )


def test_a_solved_exercise_shows_the_courses_version_without_hints(double):
    html = Panel(Report(double, "pass")).html()
    assert "Hint" not in html
    assert "<summary>Show the course's version</summary><pre>def double(x):\n    return 2 * x</pre>" in html
    assert "version</summary>" not in Panel(Report(double, "reference")).html()


def test_a_version_that_has_no_code_of_its_own_is_not_shown(fake):
    assert "version</summary>" not in Panel(Report(find("98.model"), "pass")).html()


def test_a_passed_panel_names_the_next_step(double):
    html = Panel(Report(double, "pass")).html()
    assert "<strong>Next:</strong> read on to exercise 2 of 2, Logits of a model." in html
    last = repr(Panel(Report(find("98.model"), "pass")))
    assert "Next: this was the lab's last exercise. The lab goes on, to its quiz and its closing card." in last
    assert "Next:" not in Panel(Report(double, "fail")).html()


def test_what_every_row_says_is_said_once(double):
    report = run(double, lambda x: None)
    assert len(report.rows) == 2
    for said in (Panel(report).html(), repr(Panel(report))):
        assert said.count("your function returned None: is the `return` missing?") == 1
        assert said.index("All 2 properties end the same way:") < said.index("Each value is doubled")


def test_what_some_rows_say_is_said_once_too_and_different_messages_stay_with_their_rows():
    some = (Row("a", "ok"), Row("b", "fail", "alike"), Row("c", "fail", "alike"))
    assert shared(some) == "alike"
    assert shared((*some, Row("d", "error", "another"))) == ""
    assert shared(some[:2]) == ""
    assert shared(some[:1]) == ""


def test_hints_know_a_little_markdown():
    assert rich("Use `a < b` and **this**.\n\n- one\n- two\n\n```python\nx = 1 < 2\n\ny = 2\n```\nEnd") == (
        "<p>Use <code>a &lt; b</code> and <strong>this</strong>.</p><ul><li>one</li><li>two</li></ul>"
        "<pre>x = 1 &lt; 2\n\ny = 2</pre><p>End</p>"
    )


def test_cards_escape(fake):
    for card in (
        Claims([Claimed(HOSTILE, holds, HOSTILE, HOSTILE) for holds in (True, False)]),
        Guarantee(*[HOSTILE] * 4),
        Header(load("98").lab, HOSTILE),
    ):
        sound(card.html())


def test_the_header_tells_a_learner_what_to_expect(fake, capsys, monkeypatch, tmp_path):
    start("98")
    out = capsys.readouterr().out
    assert "Lab 98: A lab for tests. Does the <engine> hold?" in out
    assert "about 45 minutes, of which 25 s computing on two CPU cores" in out
    assert "2 of 5, easy" in out
    assert "Before this: Lab 01" in out
    assert "/" not in out
    monkeypatch.chdir(tmp_path)
    before = labs()[labs().index("98") - 1]
    assert "<a " not in Header(load("98").lab, "").html()
    (tmp_path / f"{before}_a lab.ipynb").touch()
    assert f'<a href="{before}_a%20lab.ipynb">← Lab {before}' in Header(load("98").lab, "").html()


def test_a_guarantee_is_shown(capsys):
    guarantee(holds="a", does_not="b", adapts="c", cost="d")
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "Guarantee", "Holds: a", "Does not hold: b", "The attacker adapts: c", "Cost: d",
    ]  # fmt: skip


def test_every_lab_has_a_threat_card_and_every_id_resolves(capsys):
    for number in labs():
        card = load(number).threat
        assert card is not None
        assert {lookup(id).source for id in card.ids} == set(threat.VERSIONS)
        sound(ThreatCard(card).html())
        threat.card(number)
    assert "NISTAML.022 Evasion (NIST AI 100-2 E2025)" in capsys.readouterr().out


def test_ids_are_well_formed_and_names_are_told_apart():
    for id in NAMES:
        assert re.fullmatch(r"NISTAML\.0\d{1,2}|AML\.(TA\d{4}|T\d{4}(\.\d{3})?|M\d{4})|ML(0\d|10):2023", id)
    for version in threat.VERSIONS:
        names = [name for id, name in NAMES.items() if lookup(id).source == version]
        assert len(set(names)) == len(names)


def test_an_unknown_id_names_the_nearest():
    with pytest.raises(ValueError, match=r"no threat id 'NISTAML.22': did you mean NISTAML.022"):
        lookup("NISTAML.22")
    with pytest.raises(ValueError, match=r"the tables are NIST AI 100-2 E2025, MITRE ATLAS 5.6.0"):
        lookup("xyz")


def test_a_lab_without_a_threat_card_is_told_what_to_write(fake):
    with pytest.raises(ValueError, match=r"lab '98' has no threat card: write THREAT in its about\.py"):
        threat.card("98")
