"""From content/NN_name.py to the learner's notebooks/NN_name.ipynb and the instructor's solutions/NN_name.ipynb.

A solution stands between `### BEGIN SOLUTION` and `### END SOLUTION`; the learner's edition has a stub in its place.
What would spoil an edition is refused with the content file's name and line.
"""

from __future__ import annotations

from pathlib import Path

from modelsec_course.build.checks import refuse_faults
from modelsec_course.build.editions import edition
from modelsec_course.build.headline import picture
from modelsec_course.build.source import EDITIONS, BuildError, read
from modelsec_course.files import write_atomically

__all__ = ["BuildError", "build"]


def build(root: Path, check: bool = False) -> list[Path]:
    """Write every notebook that differs from its source and remove those without one; return what was (or is) stale.

    check: only look. Raises BuildError for the first fault; nothing is written then.
    """
    labs = {path: read(path) for path in sorted((root / "content").glob("*.py"))}
    refuse_faults(labs)
    wanted = {
        root / folder / f"{path.stem}.ipynb": edition(cells, folder, picture(root, path.stem[:2]))
        for path, cells in labs.items()
        for folder in EDITIONS
    }
    stale = [path for path, text in wanted.items() if not path.is_file() or current(path) != text]
    orphans = [path for folder in EDITIONS for path in (root / folder).glob("[0-9][0-9]_*.ipynb") if path not in wanted]
    if not check:
        for path in stale:
            write_atomically(path, wanted[path])
        for path in orphans:
            path.unlink()
    return stale + orphans


def current(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")  # as text: Git on Windows may have changed line ends
