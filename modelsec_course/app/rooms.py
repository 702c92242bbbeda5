"""`modelsec new 20 "Scaling up"`: a lab's room, with one worked exercise to write over."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from string import Template

from modelsec_course.files import write_atomically
from modelsec_course.lab.exercise import PARTS, Planned

TEMPLATES = Path(__file__).parent / "room"
LONGEST = 40  # letters of a folder's name: a notebook imports its scene in one line
PARTS_OF_A_ROOM = ("__init__.py", "about.py", "notebook.py", "exercises/__init__.py", "exercises/double.py", "scene.py")


def new_room(root: Path, number: str, title: str) -> list[Path]:
    """Write modelsec_course/labs/lab_NN_name and return its files; nothing is ever overwritten.

    number: two digits.  title: what the card says; the folder is named after it.
    Exits with a sentence when the number is malformed or taken, or the title makes no name.
    """
    labs = root / "modelsec_course" / "labs"
    name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:LONGEST].rstrip("_")
    if not re.fullmatch(r"\d\d", number):
        sys.exit(f"A lab's number has two digits, like 07, not {number!r}.")
    if not name:
        sys.exit(f"{title!r} makes no name for a folder: write it with letters of the English alphabet.")
    taken = next(labs.glob(f"lab_{number}_*"), None)
    if taken:
        sys.exit(f"Lab {number} is there already, in {taken.relative_to(root).as_posix()}: choose another number.")
    known = _planned(number)
    room = labs / f"lab_{number}_{name}"
    words = {
        "number": number,
        "title": title.replace('"', "'"),
        "room": room.name,
        "question": known.question if known else "What does this lab measure?",
        "part": known.part if known else PARTS[0],
        "stage": known.stage if known else "user",
    }
    for part in PARTS_OF_A_ROOM:
        text = (TEMPLATES / f"{part}.txt").read_text(encoding="utf-8")
        write_atomically(room / part, Template(text).substitute(words))
    return [room / part for part in PARTS_OF_A_ROOM]


def _planned(number: str) -> Planned | None:
    from modelsec_course.labs.planned import PLANNED

    return next((one for one in PLANNED if one.number == number), None)
