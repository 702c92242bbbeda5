import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from modelsec_course.lab import claim, guarantee, start, threat
from modelsec_course.lab.claiming import Claim, ClaimFailed
from modelsec_course.lab.guarantees import Guarantee
from modelsec_course.lab.markup import rich
from modelsec_course.lab.opening import Header
from modelsec_course.lab.panel import Panel
from modelsec_course.lab.rooms import labs, load
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
    page = sound(Panel(Report(double, status, rows, HOSTILE), HOSTILE).html())
    assert any(attributes.get("role") == "status" for _, attributes, _ in page.tags)


def test_a_panel_has_no_times_or_paths(double):
    assert repr(Panel(run(double, lambda x: 2 * x))) == repr(Panel(run(double, lambda x: 2 * x)))
    assert "/" not in repr(Panel(run(double, lambda x: x)))


def test_status_is_said_in_words(double):
    words = {status: Panel(Report(double, status)).html() for status in ("pass", "fail", "todo", "reference")}
    for status, said in (("pass", "passed"), ("fail", "not yet right"), ("todo", "not attempted")):
        assert f'<span class="tag">{said}</span>' in words[status]
    assert "this is the course&#x27;s version" in words["reference"] or "course's version" in words["reference"]


def test_hints_unfold_one_inside_the_other(double):
    page = sound(Panel(Report(double, "todo")).html())
    details = [inside for tag, _, inside in page.tags if tag == "details"]
    assert [inside.count("details") for inside in details] == [0, 1]
    assert "Hint" not in Panel(Report(double, "pass")).html()


def test_hints_know_a_little_markdown():
    assert rich("Use `a < b` and **this**.\n\n- one\n- two\n\n```python\nx = 1 < 2\n\ny = 2\n```\nEnd") == (
        "<p>Use <code>a &lt; b</code> and <strong>this</strong>.</p><ul><li>one</li><li>two</li></ul>"
        "<pre>x = 1 &lt; 2\n\ny = 2</pre><p>End</p>"
    )


@pytest.mark.parametrize("true", [True, np.bool_(True), torch.tensor(True), np.array(True), torch.tensor(1) < 2])
def test_a_true_claim_is_shown(true, capsys):
    assert claim("FGSM halves accuracy", true, measured="53.3 %") is None
    assert capsys.readouterr().out == "✔ verified: FGSM halves accuracy (measured: 53.3 %)\n"


@pytest.mark.parametrize("false", [False, np.bool_(False), torch.tensor(False)])
def test_a_false_claim_is_shown_and_raises(false, capsys):
    with pytest.raises(ClaimFailed, match="✘ not true here: FGSM halves accuracy"):
        claim("FGSM halves accuracy", false)
    assert "✘ not true here" in capsys.readouterr().out


@pytest.mark.parametrize(
    "neither", [0.6, None, 1, "yes", torch.tensor([True, True]), torch.tensor(1.0), np.ones(2) > 0]
)
def test_what_is_neither_true_nor_false_is_refused(neither):
    with pytest.raises(TypeError, match="write a comparison such as"):
        claim("x", neither)


def test_cards_escape(fake):
    for card in (Claim(HOSTILE, True, HOSTILE), Guarantee(*[HOSTILE] * 4), Header(load("98").lab, HOSTILE)):
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
    for source in threat.VERSIONS:
        names = [name for id, name in NAMES.items() if lookup(id).source == source]
        assert len(set(names)) == len(names)


def test_an_unknown_id_names_the_nearest():
    with pytest.raises(ValueError, match=r"no threat id 'NISTAML.22': did you mean NISTAML.022"):
        lookup("NISTAML.22")
    with pytest.raises(ValueError, match=r"the tables are NIST AI 100-2 E2025, MITRE ATLAS 5.6.0"):
        lookup("xyz")


def test_a_lab_without_a_threat_card_is_told_what_to_write(fake):
    with pytest.raises(ValueError, match=r"lab '98' has no threat card: write THREAT in its about\.py"):
        threat.card("98")
