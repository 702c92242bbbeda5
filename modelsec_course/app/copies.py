"""The learner's copies of the notebooks: made when missing, refreshed while untouched, never overwritten."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import quote

from modelsec_course.files import write_atomically


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Copies:
    """notebooks: the course's editions.  work: the learner's folder; its .editions.json says what was copied there."""

    def __init__(self, notebooks: Path, work: Path):
        self.notebooks, self.work = notebooks, work
        self.record = work / ".editions.json"
        try:
            held = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            held = {}
        self.editions = held if isinstance(held, dict) else {}  # name of the copy: sha256 of the edition it began as

    def refresh(self) -> list[str]:
        """Copy what is missing or new; returns a sentence for each new edition that stands beside a changed copy."""
        said = []
        for edition in sorted(self.notebooks.glob("*.ipynb")):
            said += self._deliver(edition)
        write_atomically(self.record, json.dumps(self.editions, indent=1) + "\n")
        return said

    def _deliver(self, edition: Path) -> list[str]:
        for name in names(edition.stem):
            copy, began_as, now = self.work / name, self.editions.get(name), digest(edition)
            second = name != edition.name
            if began_as == now and (copy.exists() or second):  # an offer that was deleted is not repeated
                return []
            if copy.exists() and digest(copy) not in (now, began_as):
                continue  # the learner's work
            write_atomically(copy, edition.read_bytes())
            self.editions[name] = now
            return [f"{edition.name} has a new edition: it is in work/ as `{name}`, beside your own copy."] * second
        raise AssertionError("names never end")

    def to_open(self, number: str | None) -> str:
        """The copy to show, as part of a URL: the lab asked for, else the one last worked on, else the first."""
        copies = sorted(self.work.glob("[0-9][0-9]_*.ipynb"))
        if number is not None:
            found = [copy for copy in copies if copy.name.startswith(number.zfill(2))]
            if not found:
                labs = ", ".join(sorted({copy.name[:2] for copy in copies}))
                sys.exit(f"There is no lab {number}: choose one of {labs}.")
            return quote(found[0].name)
        changed = [copy for copy in copies if digest(copy) != self.editions.get(copy.name)]
        return quote(max(changed, key=lambda copy: copy.stat().st_mtime, default=copies[0]).name)


def names(stem: str) -> Iterator[str]:
    """What a copy may be called, in order."""
    yield f"{stem}.ipynb"
    yield f"{stem} (new edition).ipynb"
    for number in count(2):
        yield f"{stem} (new edition {number}).ipynb"
