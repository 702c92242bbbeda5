"""README's map of the labs, written from the rooms: a new lab is one folder and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from modelsec_course.files import write_atomically
from modelsec_course.lab.markup import plain
from modelsec_course.lab.rooms import about, planned, rooms

BEGIN, END = "<!-- the labs: written by `modelsec build` -->", "<!-- /the labs -->"
PLACE = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.S)


def map_of_labs() -> str:
    """The table between README's marks: every lab, ready or planned, in order."""
    ready = {number: (about(number), module.rpartition("lab_")[2]) for number, module in rooms().items()}
    rows = {
        number: f"| {number} | [{plain(lab.title)}](notebooks/{at}.ipynb) | {plain(lab.question)} | {lab.minutes} min |"
        for number, (lab, at) in ready.items()
    }
    rows |= {one.number: f"| {one.number} | {one.title} | {one.question} | planned |" for one in planned()}
    return "\n".join(["| | lab | question | |", "|---|---|---|---|", *(rows[number] for number in sorted(rows))])


def refresh(root: Path, check: bool = False) -> list[Path]:
    """Put today's map into README.md; returns [its path] when it was (or, with `check`, is) another."""
    path = root / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    wanted = PLACE.sub(lambda _: f"{BEGIN}\n{map_of_labs()}\n{END}", text)
    if wanted == text:
        return []
    if not check:
        write_atomically(path, wanted)
    return [path]
