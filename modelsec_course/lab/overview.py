"""`course()`: the course on one page: where to go on, the map, and a table of the labs with progress."""

from __future__ import annotations

import re
from pathlib import Path

from IPython.display import display

from modelsec_course.lab.drawing import NUMERALS, Stop, draw, legend
from modelsec_course.lab.exercise import PARTS, Lab, Planned
from modelsec_course.lab.learner import Standing, notebook
from modelsec_course.lab.markup import STYLE, Card, esc, plain
from modelsec_course.lab.rooms import planned
from modelsec_course.lab.standing import Course, lab_link

LOOK = """<style>
.msec.course{max-width:none;border:0;padding:0;background:none}
.msec.course .go{display:flex;gap:.6rem 1.2rem;align-items:center;flex-wrap:wrap;margin:.2rem 0 1rem}
.msec.course a.button{display:inline-block;padding:.5rem 1.1rem;border-radius:6px;background:var(--calm);
color:var(--jp-ui-inverse-font-color1,#fff);font-weight:600;text-decoration:none}
.msec.course a.button:hover{text-decoration:underline}
.msec.course .scroll{overflow-x:auto;max-width:52rem}
.msec.course .map{position:relative;min-width:500px}
.msec.course .map>a{position:absolute;border-radius:4px}
.msec.course .map>a:hover{outline:2px solid var(--calm)}
.msec.course .map>a:focus-visible{outline:3px solid var(--calm);outline-offset:1px}
.msec.course svg{display:block;width:100%;height:auto;color:var(--ink)}
.msec.course svg text{fill:currentColor;font-size:12px;font-family:var(--jp-content-font-family,system-ui,sans-serif)}
.msec.course svg .name{font-size:15px;font-weight:600}.msec.course svg .quiet{font-size:11px;fill:var(--soft)}
.msec.course svg .number{font-weight:700}.msec.course svg .ready .label{fill:var(--jp-content-link-color,#1976d2)}
.msec.course svg .stage{fill:var(--inset);stroke:var(--line)}.msec.course svg .stem{stroke:var(--line);stroke-width:1.5}
.msec.course svg .chip{fill:var(--wash);stroke:var(--line)}
.msec.course svg .next .chip{stroke:var(--calm);stroke-width:2.5}
.msec.course svg .planned .chip{stroke-dasharray:4 3;fill:none}
.msec.course svg .planned text,.msec.course svg .planned tspan{fill:var(--soft)}
.msec.course ul.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.3rem;list-style:none;padding:0;margin:.7rem 0 1.2rem}
.msec.course .swatch{display:inline-block;width:.8em;height:.8em;margin-right:.45em;border-radius:2px}
.msec.course table{border-collapse:collapse;max-width:52rem;width:100%;font-size:inherit;margin:0;table-layout:auto}
.msec.course caption{text-align:left;font-weight:600;padding:0 0 .3rem;color:var(--ink)}
.msec.course th,.msec.course td{text-align:left;vertical-align:top;padding:.35rem .7rem .35rem 0;white-space:normal;
border:0;border-bottom:1px solid var(--line);background:none;max-width:none;overflow-wrap:normal}
.msec.course td.figure,.msec.course th.figure{text-align:right;white-space:nowrap}
.msec.course tr.planned,.msec.course tr.planned th{color:var(--soft);font-weight:400}
.msec.course tbody th{font-weight:600}
</style>"""


class Overview(Card):
    """The start page's card. folder: where the notebooks lie (the current folder)."""

    def __init__(self, folder: Path | None = None):
        self.course, self.folder, self.planned = Course(folder), folder, planned()

    def stops(self) -> list[Stop]:
        """Every lab on the map, planned ones among them, in order."""
        ahead = self.course.next
        ready = [
            Stop(one.number, _short(one.lab.title), one.lab.part, one.lab.stage, one.lab.minutes, one.done,
                 one.total, notebook(one.number, self.folder), ahead is not None and one.number == ahead.number)
            for one in self.course.standings
        ]  # fmt: skip
        later = [Stop(one.number, one.title, one.part, one.stage) for one in self.planned]
        return sorted(ready + later, key=lambda stop: stop.number)

    def text(self) -> str:
        return self.course.text()

    def html(self) -> str:
        note = f'<p class="soft">{esc(self.course.note)}</p>' if self.course.note else ""
        return (
            f'{STYLE}{LOOK}<div class="msec course" role="group" aria-label="The course">'
            f'{self._go()}<div class="scroll">{draw(self.stops())}</div>{legend()}{self._table()}{note}</div>'
        )

    def _go(self) -> str:
        ahead, standings = self.course.next, self.course.standings
        done, total = sum(one.done for one in standings), sum(one.total for one in standings)
        if ahead is None:
            return '<p class="go"><strong>Every lab is done.</strong></p>'
        begun = any(one.begun for one in standings)
        words = f"Continue here: lab {ahead.number}, {_short(ahead.lab.title)}"
        words = words if begun else f"Begin with lab {ahead.number}"
        button = lab_link(ahead.number, words, self.folder, "button")
        bar = f'<progress max="{total}" value="{done}" aria-label="The whole course"></progress>'
        return f'<div class="go">{button}<span>{bar}{done} of {total} exercises and quiz questions done</span></div>'

    def _table(self) -> str:
        rows = {one.number: self._row(one) for one in self.course.standings}
        rows |= {one.number: self._later(one) for one in self.planned}
        head = "".join(
            f'<th scope="col"{kind}>{name}</th>'
            for name, kind in (
                ("Lab", ""), ("It answers", ""), ("Part", ""), ("Minutes", ' class="figure"'), ("Before it", ""),
                ("Progress", ' class="figure"'),
            )
        )  # fmt: skip
        body = "".join(rows[number] for number in sorted(rows))
        return (
            '<div class="scroll"><table><caption>All labs</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def _row(self, one: Standing) -> str:
        lab = one.lab
        name = lab_link(one.number, f"{one.number} {plain(_short(lab.title))}", self.folder)
        state = "✔ done" if one.complete else f"{one.done} of {one.total}"
        return _cells("ready", name, esc(plain(lab.question)), lab.part, str(lab.minutes), self._before(lab), state)

    def _before(self, lab: Lab) -> str:
        """What a lab builds on; the labs among that are links."""
        words = esc("; ".join(plain(one) for one in lab.prerequisites) or "nothing")
        return re.sub(r"\b[Ll]ab (\d\d)\b", lambda lab: lab_link(lab[1], lab[0], self.folder), words)

    def _later(self, one: Planned) -> str:
        return _cells("planned", esc(f"{one.number} {one.title}"), esc(one.question), one.part, "", "", "planned")


def course(folder: Path | None = None) -> None:
    """Show the course's map, the table of its labs, and where to go on. folder: of the notebooks (the current one)."""
    display(Overview(folder))


def _cells(kind: str, name: str, question: str, part: str, minutes: str, before: str, state: str) -> str:
    numeral = NUMERALS[PARTS.index(part)]
    return (
        f'<tr class="{kind}"><th scope="row">{name}</th><td>{question}</td><td>{numeral}</td>'
        f'<td class="figure">{minutes}</td><td>{before}</td><td class="figure">{state}</td></tr>'
    )


def _short(title: str) -> str:
    """A title without its second half: what the map has room for."""
    return title.partition(": ")[0] if title.endswith("?") else title
