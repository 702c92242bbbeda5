"""The learner's copies of the notebooks: made when missing, refreshed while untouched, never overwritten.

A copy is touched when its cells say something else than the edition it began as. JupyterLab's own changes do not count:
outputs, metadata, an empty cell at the end, the last line's end.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import quote

import nbformat

from modelsec_course.files import write_atomically

START = "start.ipynb"
FIRST_METADATA = {  # of every edition while the record held nothing but the hash of its file
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def words(path: Path) -> str | None:
    """A digest of what a notebook's cells say; None for a file that is no notebook."""
    try:
        cells = nbformat.read(path, as_version=4).cells
    except Exception:  # whatever a learner may leave there
        return None
    said = [[cell.cell_type, cell.source.rstrip()] for cell in cells if cell.source.strip()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def as_delivered(path: Path) -> str | None:
    """The digest of the file that an autosaved copy began as, for records that hold only that."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception:
        return None
    notebook.metadata = nbformat.from_dict(FIRST_METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    text = nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()


class Copies:
    """notebooks: the course's editions.  work: the learner's folder; its .editions.json says what was copied there."""

    def __init__(self, notebooks: Path, work: Path):
        self.notebooks, self.work = notebooks, work
        self.record = work / ".editions.json"
        try:
            held = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            held = {}
        # Name of the copy: {"file": digest of the edition it began as, "words": of what that said}. Older records
        # have the file's digest alone.
        self.editions = (
            {name: {"file": kept} if isinstance(kept, str) else kept for name, kept in held.items()}
            if isinstance(held, dict) and all(isinstance(kept, str | dict) for kept in held.values())
            else {}
        )

    def refresh(self) -> list[str]:
        """Copy what is missing or new; returns a sentence for each new edition that stands beside a changed copy."""
        said = []
        for edition in sorted(self.notebooks.glob("*.ipynb")):
            said += self._deliver(edition)
        write_atomically(self.record, json.dumps(self.editions, indent=1) + "\n")
        return said

    def _deliver(self, edition: Path) -> list[str]:
        now = {"file": digest(edition), "words": words(edition)}
        for name in names(edition.stem):
            copy, began_as = self.work / name, self.editions.get(name, {})
            second = name != edition.name
            if began_as.get("file") == now["file"] and (copy.exists() or second):  # a deleted offer is not repeated
                self.editions[name] = now
                return []
            if copy.exists() and not self._untouched(copy, now, began_as):
                continue  # the learner's work
            if began_as or not copy.exists():  # without a record, outputs may be worth keeping
                write_atomically(copy, edition.read_bytes())
            self.editions[name] = now
            return [f"{edition.name} has a new edition: it is in work/ as `{name}`, beside your own copy."] * second
        raise AssertionError("names never end")

    def _untouched(self, copy: Path, *editions: dict[str, str]) -> bool:
        says, files = words(copy), {edition.get("file") for edition in editions}
        if digest(copy) in files or (says and says in {edition.get("words") for edition in editions}):
            return True
        return any("words" not in edition for edition in editions) and as_delivered(copy) in files - {None}

    def untouched(self, name: str) -> bool:
        """Does a copy still say what it said when it was made?"""
        return name in self.editions and self._untouched(self.work / name, self.editions[name])

    def to_open(self, number: str | None) -> str:
        """The copy to show, as part of a URL: the lab asked for, else the start page, else the first lab."""
        copies = sorted(self.work.glob("[0-9][0-9]_*.ipynb"))
        if number is None:
            return START if (self.work / START).exists() else quote(copies[0].name)
        found = [copy for copy in copies if copy.name.startswith(number.zfill(2))]
        if not found:
            labs = ", ".join(sorted({copy.name[:2] for copy in copies}))
            sys.exit(f"There is no lab {number}: choose one of {labs}.")
        return quote(found[0].name)


def names(stem: str) -> Iterator[str]:
    """What a copy may be called, in order."""
    yield f"{stem}.ipynb"
    yield f"{stem} (new edition).ipynb"
    for number in count(2):
        yield f"{stem} (new edition {number}).ipynb"
