"""A lab's headline picture: a PNG that says in words what it shows and which code it was drawn by.

`modelsec pictures` draws it (app/pictures.py); `modelsec build` puts it under the title of both editions.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import nbformat
from PIL import Image

NAME, TAG = "headline.png", "headline"
ALT, CAPTION, DRAWN_BY = "Description", "Caption", "Drawn by"  # what the file says of itself, in its text chunks
LABS = Path("modelsec_course") / "labs"
LAYOUT = re.compile(r"#[^\n\"']*$|\s|,(?=\s*[)\]}])", re.M)  # comments at a line's end, space, commas before a bracket


def room(root: Path, number: str) -> Path | None:
    """The folder of a lab, labs/lab_NN_name; None where there is none."""
    return next(iter(sorted((root / LABS).glob(f"lab_{number}_*"))), None)


def picture(root: Path, number: str) -> Path | None:
    """The lab's headline picture, where it has one."""
    folder = room(root, number)
    return folder / NAME if folder and (folder / NAME).is_file() else None


def words(path: Path) -> dict[str, str]:
    """What the picture says of itself: ALT, CAPTION and DRAWN_BY."""
    with Image.open(path) as image:
        image.load()
        return {name: str(image.info.get(name, "")) for name in (ALT, CAPTION, DRAWN_BY)}


def digest(*sources: str) -> str:
    """A name for the code that draws a picture; its layout, and what formatters and comments add, do not count."""
    return hashlib.sha256("\n".join(LAYOUT.sub("", source) for source in sources).encode()).hexdigest()[:16]


def attach(cell: nbformat.NotebookNode, path: Path) -> None:
    """Show the picture under the heading of a text cell, from the notebook itself: seen before anything is run."""
    said = words(path)
    title, _, rest = cell.source.partition("\n")
    alt = re.sub(r"[\[\]\\\n]", " ", said[ALT])
    cell.source = "\n".join([title, "", f"![{alt}](attachment:{NAME})", "", f"*{said[CAPTION]}*", rest]).rstrip()
    cell["attachments"] = {NAME: {"image/png": base64.b64encode(path.read_bytes()).decode()}}
