"""`finish("01")`: a lab's closing card: what this run measured, what is solved, what is left, and the next lab."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import quote

from IPython.display import display

from modelsec_course.lab import store
from modelsec_course.lab.claiming import Claimed, made
from modelsec_course.lab.exercise import Lab
from modelsec_course.lab.learner import notebook, standing
from modelsec_course.lab.markup import Card, box, esc, inline, plain
from modelsec_course.lab.rooms import labs, load
from modelsec_course.lab.standing import WORDS

SHOWN = 8  # claims that stand unfolded
LOOK = """<style>
.msec.msec a.next{display:block;margin-top:1rem;padding:.7rem 1.1rem;border-radius:6px;text-decoration:none;
background:var(--jp-brand-color1,#1976d2);color:var(--jp-ui-inverse-font-color1,#fff)}
.msec.msec a.next:hover strong{text-decoration:underline}.msec.msec a.next:focus-visible{outline:3px solid var(--ink)}
.msec.msec a.next strong{font-size:1.2em}.msec.msec a.next span{display:block}
.msec.msec .scores{display:grid;grid-template-columns:max-content max-content 1fr;gap:.2rem 1rem;align-items:center;
margin:.5rem 0}
</style>"""


class Closing(Card):
    """The card. folder: where the notebooks lie (the current folder)."""

    def __init__(self, number: str, folder: Path | None = None):
        data, self.note = store.read()
        self.folder = folder or Path()
        self.standing = standing(number, data)
        self.lab = self.standing.lab
        self.claims = made()
        self.questions = load(number).quiz
        after = [other for other in labs() if other > self.lab.number]
        self.next: Lab | None = load(after[0]).lab if after else None
        self.page = _this_notebook(self.lab.number, self.folder)
        self.places = places(self.folder / self.page) if self.page else {}

    def left(self) -> list[tuple[str, str, str]]:
        """(place in the notebook, sign and words, title) of each exercise unsolved, and of the quiz."""
        rows = [
            (id, f"{WORDS[status][0]} {WORDS[status][1]}", title)
            for id, title, status in self.standing.exercises
            if status != "pass"
        ]
        missing = len(self.standing.answers) - self.standing.right
        wrong = sum(answer is False for answer in self.standing.answers)
        counts = ((wrong, "answered wrongly"), (missing - wrong, "not answered"))
        said = ", ".join(f"{count} {what}" for count, what in counts if count)
        return rows + ([("quiz", f"○ {said}", "Quiz")] if missing else [])

    def scores(self) -> list[tuple[str, int, int]]:
        one = self.standing
        return [("Exercises", one.solved, len(one.exercises)), ("Quiz", one.right, len(one.answers))]

    def text(self) -> str:
        lines = [f"What you did in lab {self.lab.number}"]
        lines += [
            f"  {'✔' if claim.holds else '○'} {plain(claim.sentence)}" + _measured(claim) for claim in self.claims
        ]
        lines += [f"{name}: {done} of {of}" for name, done, of in self.scores() if of]
        lines += [f"  {words}: {plain(title)}" for _, words, title in self.left()]
        lines += [f"Next: lab {self.next.number}, {self.next.title}: {self.next.question}"] if self.next else []
        return "\n".join(lines + ([self.note] if self.note else []))

    def html(self) -> str:
        body = f'<p class="head">What you did in lab {self.lab.number}</p>'
        body += self._measured()
        body += "" if os.environ.get("MODELSEC_STILLS") else self._scores() + self._left()  # a book has no learner
        body += f'<p class="soft">{esc(self.note)}</p>' if self.note else ""
        tone = "good" if self.standing.complete else ""
        return LOOK + box(
            body + self._next(), tone=tone, label=f"What you did in lab {self.lab.number}, and what is next"
        )

    def _measured(self) -> str:
        if not self.claims:
            return ""
        rows = "".join(
            f'<li><span class="icon" style="color:var(--{"good" if claim.holds else "wait"})">'
            f"{'✔' if claim.holds else '○'}</span>{inline(claim.sentence)}"
            f'<span class="soft">{esc(_measured(claim))}</span></li>'
            for claim in self.claims
        )
        true = sum(claim.holds for claim in self.claims)
        head = f"What you measured: {true} of {len(self.claims)} sentences of this lab hold in your run"
        opened = " open" * (len(self.claims) <= SHOWN)
        return f'<details{opened}><summary>{head}</summary><ul class="rows">{rows}</ul></details>'

    def _scores(self) -> str:
        rows = (
            f"<span>{name}</span><span>{done} of {of}</span>"
            f'<progress max="{of}" value="{done}" aria-label="{name}"></progress>'
            for name, done, of in self.scores()
            if of
        )
        return f'<div class="scores">{"".join(rows)}</div>'

    def _left(self) -> str:
        rows = "".join(
            f'<li><span class="icon" aria-hidden="true">{words[0]}</span>{self._linked(place, title)}'
            f'<span class="soft">: {esc(words[2:])}</span></li>'
            for place, words, title in self.left()
        )
        again = '<p class="soft">When you have done more, run this cell again.</p>' if rows else ""
        return f'<p>Still open:</p><ul class="rows">{rows}</ul>{again}' if rows else "<p>Everything is solved.</p>"

    def _linked(self, place: str, title: str) -> str:
        cell = self.places.get(place)
        words = inline(title)
        return f'<a href="{quote(self.page)}#cell-id={quote(cell)}">{words}</a>' if cell else words

    def _next(self) -> str:
        if self.next is None:
            return "<p>This is the last lab that is ready.</p>"
        words = (
            f"<strong>Next: lab {self.next.number}, {esc(plain(self.next.title))}</strong>"
            f"<span>{esc(plain(self.next.question))} About {self.next.minutes} minutes.</span>"
        )
        name = notebook(self.next.number, self.folder)
        return f'<a class="next" href="{quote(name)}">{words}</a>' if name else f"<p>{words}</p>"


def finish(number: str) -> None:
    """Show a lab's closing card: what this run measured, exercises and quiz, what is left, and the next lab."""
    display(Closing(number))


def places(page: Path) -> dict[str, str]:
    """Where a notebook's exercises and quiz stand: id of the exercise, or "quiz": id of the cell with its heading."""
    try:
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        found, heading = {}, ""
        for cell in cells:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                heading = cell.get("id", "") if re.search(r"^#+ ", source, re.M) else heading
            for name in re.findall(r"^[^#\n]*\bcheck\(\s*[\"'](\d\d\.\w+)", source, re.M):
                found.setdefault(name, heading or cell.get("id", ""))
            if re.search(r"^quiz\(", source, re.M):
                found.setdefault("quiz", heading or cell.get("id", ""))
        return {name: cell for name, cell in found.items() if cell}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _this_notebook(number: str, folder: Path) -> str:
    """The file that runs: JupyterLab tells its kernels; elsewhere, the lab's notebook in this folder."""
    told = Path(os.environ.get("JPY_SESSION_NAME", "")).name
    return told if told.startswith(f"{number}_") and (folder / told).is_file() else notebook(number, folder)


def _measured(claim: Claimed) -> str:
    return f" ({claim.facts})" if claim.facts else ""
