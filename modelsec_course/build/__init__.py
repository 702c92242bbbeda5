"""From a room's notebook.py to the learner's notebooks/NN_name.ipynb and the instructor's solutions/NN_name.ipynb.

A solution stands between `### BEGIN SOLUTION` and `### END SOLUTION`; the learner's edition has a stub in its place.
What would spoil an edition is refused with the source's name and line.
"""

from __future__ import annotations

from pathlib import Path

from modelsec_course.build import glossary
from modelsec_course.build.checks import refuse_faults
from modelsec_course.build.editions import edition
from modelsec_course.build.frontpage import NAME, front_page
from modelsec_course.build.headline import picture
from modelsec_course.build.links import GLOSSARY
from modelsec_course.build.source import EDITIONS, BuildError, read, stem
from modelsec_course.files import write_atomically

__all__ = ["BuildError", "build"]


def build(root: Path, check: bool = False) -> list[Path]:
    """Write every notebook that differs from its source and remove those without one; return what was (or is) stale.

    check: only look. Raises BuildError for the first fault; nothing is written then.
    """
    labs = {path: read(path) for path in sources(root)}
    refuse_faults(labs)
    entries = glossary.terms(root)
    notebooks = {stem(path)[:2]: f"{stem(path)}.ipynb" for path in labs}
    wanted = {
        root / folder / f"{stem(path)}.ipynb": edition(
            cells, folder, stem(path)[:2], notebooks, picture(root, stem(path)[:2]), glossary.anchors(entries)
        )
        for path, cells in labs.items()
        for folder in EDITIONS
    }
    if entries:
        wanted |= {root / folder / GLOSSARY: glossary.page(entries, notebooks) for folder in EDITIONS}
    if labs:
        wanted[root / "notebooks" / NAME] = front_page({stem(path): cells for path, cells in labs.items()})
    stale = [path for path, text in wanted.items() if not path.is_file() or current(path) != text]
    orphans = [path for folder in EDITIONS for path in (root / folder).glob("[0-9][0-9]_*.ipynb") if path not in wanted]
    if not check:
        for path in stale:
            write_atomically(path, wanted[path])
        for path in orphans:
            path.unlink()
    return stale + orphans


def sources(root: Path) -> list[Path]:
    """The notebook.py of every lab's room, in order."""
    return sorted((root / "modelsec_course" / "labs").glob("lab_*/notebook.py"))


def current(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")  # as text: Git on Windows may have changed line ends
