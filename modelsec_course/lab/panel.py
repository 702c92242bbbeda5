"""What `check` shows under the learner's function."""

from __future__ import annotations

from modelsec_course.lab.exercise import Exercise
from modelsec_course.lab.markup import Card, box, clip, esc, inline, plain, rich
from modelsec_course.lab.rooms import labs, load
from modelsec_course.lab.run import MESSAGE_LIMIT, Report, Row
from modelsec_course.lab.sources import solution

# status: (icon, words, tone)
STATUS = {
    "pass": ("✔", "passed", "good"),
    "fail": ("✘", "not yet right", "bad"),
    "todo": ("○", "not attempted", "wait"),
    "reference": ("○", "this is the course's version", "wait"),
}
ROW = {
    "ok": ("✔", "holds", "--good"),
    "fail": ("✘", "does not hold", "--bad"),
    "error": ("✘", "stopped with an error", "--bad"),
    "timeout": ("✘", "took too long", "--bad"),
    "todo": ("○", "not attempted", "--wait"),
    "skipped": ("–", "not tried", "--soft"),
}
NEXT = {
    "fail": "The rest of the notebook goes on with the course's version, so you can read on and come back.",
    "todo": "Write the function, then run its cell again. Until then the notebook goes on with the course's version.",
    "reference": "Run the cell with your own function first, then this one.",
}


AGAIN = (
    "Cells below that you have run already used the course's version. Run them again to see yours at work: "
    "menu Run, Run Selected Cell and All Below."
)


class Panel(Card):
    """A check's outcome. `again`: an earlier check went on with the course's version. `note` is one more sentence."""

    def __init__(self, report: Report, note: str = "", *, again: bool = False):
        self.report, self.note = report, note
        self.again = AGAIN if again and report.status == "pass" else ""
        self.next = next_step(report.exercise) if report.status == "pass" else ""

    def text(self) -> str:
        report = self.report
        held = sum(row.status == "ok" for row in report.rows)
        count = (
            f" ({held} of {len(report.exercise.properties)} properties hold)" if report.status != "reference" else ""
        )
        lines = [f"{report.exercise.id}: {STATUS[report.status][1]}{count}"]
        said = shared(report.rows)
        if said:
            lines.append(f"  {_alike(report.rows)} {clip(said, MESSAGE_LIMIT * 2)}")
        for row in report.rows:
            if row.status in ("fail", "error", "timeout"):
                message = "" if said else f": {clip(row.message, MESSAGE_LIMIT * 2)}"
                lines.append(f"  {ROW[row.status][0]} {row.title}{message}")
        return "\n".join(lines + [f"  {plain(more)}" for more in (self.next, self.again, self.note) if more])

    def html(self) -> str:
        report = self.report
        icon, words, tone = STATUS[report.status]
        title = inline(report.exercise.title)
        body = [
            f'<p class="head"><span class="icon" aria-hidden="true" style="color:var(--tone)">{icon}</span>{title}'
            f'<span class="tag">{words}</span></p>'
        ]
        if report.status in ("pass", "fail"):
            said = shared(report.rows)
            if said:
                body.append(f"<p>{_alike(report.rows)}</p><pre>{esc(said)}</pre>")
            body.append('<ul class="rows">' + "".join(_row(row, message=not said) for row in report.rows) + "</ul>")
        if report.status in NEXT:
            body.append(f'<p class="soft">{NEXT[report.status]}</p>')
        body += [f"<p>{inline(more)}</p>" for more in (self.next, self.again) if more]
        if report.status != "reference":
            hints = report.exercise.hints if report.status != "pass" else ()
            body.append(_hints(hints, _version(report.exercise)))
        if report.printed.strip():
            printed = f"<pre>{esc(report.printed.strip())}</pre>"
            body.append(f"<details><summary>What your function printed</summary>{printed}</details>")
        if self.note:
            body.append(f'<p class="soft">{esc(self.note)}</p>')
        return box("".join(body), tone=tone, label=f"Check of {report.exercise.title}: {words}", live=True)


def shared(rows: tuple[Row, ...]) -> str:
    """The message of several rows if they all say the same, so that it is said once."""
    said = [row.message for row in rows if row.message]
    return said[0] if len(said) > 1 and len(set(said)) == 1 else ""


def next_step(exercise: Exercise) -> str:
    """What comes after this exercise: the lab's next one, or its end."""
    number = exercise.id.split(".")[0]
    rest = list(load(number).exercises.values()) if number in labs() else []
    after = rest[rest.index(exercise) + 1 :] if exercise in rest else []
    if not after:
        return "**Next:** this was the lab's last exercise. The lab goes on, to its quiz and its closing card."
    return f"**Next:** read on to exercise {len(rest) - len(after) + 1} of {len(rest)}, {after[0].title}."


def _alike(rows: tuple[Row, ...]) -> str:
    failed = sum(bool(row.message) for row in rows)
    who = f"All {failed} properties" if failed == len(rows) else f"{failed} of {len(rows)} properties"
    return f"{who} end the same way:"


def _row(row: Row, *, message: bool) -> str:
    icon, words, colour = ROW[row.status]
    head = f'<span class="icon" role="img" aria-label="{words}" style="color:var({colour})">{icon}</span>'
    said = f"<pre>{esc(row.message)}</pre>" if message and row.message else ""
    return f"<li>{head}<span>{inline(row.title)}</span>{said}</li>"


def _hints(hints: tuple[str, ...], last: str) -> str:
    """Each hint is inside the one before, so that they unfold one by one, and what is to come last after them."""
    folded = last
    for i, hint in reversed(list(enumerate(hints, 1))):
        folded = f"<details><summary>Hint {i} of {len(hints)}</summary>{rich(hint)}{folded}</details>"
    return folded


def _version(exercise: Exercise) -> str:
    code = solution(exercise)
    return f"<details><summary>Show the course's version</summary><pre>{esc(code)}</pre></details>" if code else ""
