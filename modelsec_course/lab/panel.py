"""What `check` shows under the learner's function."""

from __future__ import annotations

from modelsec_course.lab.markup import Card, box, clip, esc, inline, rich
from modelsec_course.lab.run import MESSAGE_LIMIT, Report

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


class Panel(Card):
    """A check's outcome. `note` is one more sentence, about what the check itself could not do."""

    def __init__(self, report: Report, note: str = ""):
        self.report, self.note = report, note

    def text(self) -> str:
        report = self.report
        held = sum(row.status == "ok" for row in report.rows)
        count = (
            f" ({held} of {len(report.exercise.properties)} properties hold)" if report.status != "reference" else ""
        )
        lines = [f"{report.exercise.id}: {STATUS[report.status][1]}{count}"]
        for row in report.rows:
            if row.status in ("fail", "error", "timeout"):
                lines.append(f"  {ROW[row.status][0]} {row.title}: {clip(row.message, MESSAGE_LIMIT * 2)}")
        return "\n".join(lines + ([f"  {self.note}"] if self.note else []))

    def html(self) -> str:
        report = self.report
        icon, words, tone = STATUS[report.status]
        title = inline(report.exercise.title)
        body = [
            f'<p class="head"><span class="icon" aria-hidden="true" style="color:var(--tone)">{icon}</span>{title}'
            f'<span class="tag">{words}</span></p>'
        ]
        if report.status in ("pass", "fail"):
            body.append('<ul class="rows">' + "".join(map(_row, report.rows)) + "</ul>")
        if report.status in NEXT:
            body.append(f'<p class="soft">{NEXT[report.status]}</p>')
        if report.status in ("fail", "todo"):
            body.append(_hints(report.exercise.hints))
        if report.printed.strip():
            printed = f"<pre>{esc(report.printed.strip())}</pre>"
            body.append(f"<details><summary>What your function printed</summary>{printed}</details>")
        if self.note:
            body.append(f'<p class="soft">{esc(self.note)}</p>')
        return box("".join(body), tone=tone, label=f"Check of {report.exercise.title}: {words}", live=True)


def _row(row) -> str:
    icon, words, colour = ROW[row.status]
    head = f'<span class="icon" role="img" aria-label="{words}" style="color:var({colour})">{icon}</span>'
    message = f"<pre>{esc(row.message)}</pre>" if row.message else ""
    return f"<li>{head}<span>{inline(row.title)}</span>{message}</li>"


def _hints(hints: tuple[str, ...]) -> str:
    """Each hint is inside the one before, so that they unfold one by one."""
    folded = ""
    for i, hint in reversed(list(enumerate(hints, 1))):
        folded = f"<details><summary>Hint {i} of {len(hints)}</summary>{rich(hint)}{folded}</details>"
    return folded
