"""Headline pictures: the figure of a lab's cell tagged `headline`, drawn by running the solution, kept small."""

from __future__ import annotations

import base64
import html
import io
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modelsec_course.app import grids
from modelsec_course.build.headline import ALT, CAPTION, DRAWN_BY, NAME, TAG, digest, room, words
from modelsec_course.files import write_atomically

__all__ = ["draw", "labs", "stale"]

LIMIT = 60_000  # bytes
TRIED = ((960, 256), (840, 256), (720, 256), (720, 192), (720, 128), (720, 64))  # (pixels wide, colours), in this order
IMAGE = re.compile(r"<img\b[^>]*>")
ALT_TEXT, DATA = re.compile(r'\balt="([^"]*)"'), re.compile(r'\bsrc="data:image/png;base64,([^"]+)"')
SAID = re.compile(r"<figcaption[^>]*>(.*?)</figcaption>", re.S)


def labs(root: Path) -> dict[str, Path]:
    """The instructor's edition of every lab, by its number."""
    return {path.name[:2]: path for path in sorted((root / "solutions").glob("[0-9][0-9]_*.ipynb"))}


def draw(root: Path, number: str) -> Path:
    """Run a lab's solution up to its headline cell and keep what that cell draws; returns the picture's path.

    Raises ValueError when the lab has no such cell, or when the cell draws nothing.
    """
    notebook = nbformat.read(labs(root)[number], as_version=4)
    at = _headline(notebook, number)
    folder = room(root, number)
    if folder is None:
        raise ValueError(f"lab {number} has no folder labs/lab_{number}_name to keep its picture in")
    source = notebook.cells[at].source
    png, alt, caption = _shown(_run(notebook, at, labs(root)[number].parent), number)
    said = {ALT: alt, CAPTION: caption, DRAWN_BY: _drawn_by(root, number, source)}
    write_atomically(folder / NAME, small(png, said))
    return folder / NAME


def stale(root: Path) -> dict[str, str]:
    """What is amiss with the headline pictures, by lab: empty when each is there and drawn by today's code."""
    amiss = {}
    for number, path in labs(root).items():
        notebook = nbformat.read(path, as_version=4)
        try:
            source = notebook.cells[_headline(notebook, number)].source
        except ValueError as error:
            amiss[number] = str(error)
            continue
        kept = room(root, number) / NAME if room(root, number) else None
        if kept is None or not kept.is_file():
            amiss[number] = f"lab {number} has no {NAME}"
        elif words(kept)[DRAWN_BY] != _drawn_by(root, number, source):
            amiss[number] = f"the headline cell of lab {number} has changed since its picture was drawn"
    return amiss


def small(png: bytes, said: dict[str, str]) -> bytes:
    """The picture with at most LIMIT bytes, and with words in its text chunks."""
    info = PngInfo()
    for name, text in said.items():
        info.add_itxt(name, text)
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(ground, picture).convert("RGB")
    for width, colours in TRIED:
        height = round(picture.height * width / picture.width)
        scaled = picture.resize((width, height), Image.Resampling.LANCZOS) if width < picture.width else picture
        made = _palette(scaled, colours, info)
        if len(made) <= LIMIT:
            finer = _palette(scaled, colours, info, kmeans=1)  # slow, so only now
            return finer if len(finer) <= LIMIT else made
    raise ValueError(f"the picture has {len(made)} bytes at {width} pixels and may have {LIMIT}: show less in it")


def _palette(picture: Image.Image, colours: int, info: PngInfo, kmeans: int = 0) -> bytes:
    buffer = io.BytesIO()
    reduced = picture.quantize(colours, kmeans=kmeans, dither=Image.Dither.NONE)
    reduced.save(buffer, "PNG", optimize=True, pnginfo=info)
    return buffer.getvalue()


def main(root: Path, numbers: Sequence[str], check: bool) -> int:
    """Draw the pictures of these labs (default: the stale ones), or only name the stale; returns the exit status."""
    unknown = set(numbers) - set(labs(root))
    if unknown:
        sys.exit(f"There is no lab {', '.join(sorted(unknown))}: choose from {', '.join(labs(root))}.")
    amiss = stale(root)
    if check:
        print("\n".join(amiss.values()) or "Every headline picture is fresh.")
        return int(bool(amiss))
    for number in numbers or amiss:
        try:
            path = draw(root, number)
        except ValueError as error:
            sys.exit(str(error))
        print(f"{path.relative_to(root).as_posix()}: {path.stat().st_size:,} bytes", flush=True)
    return 0


def _headline(notebook: nbformat.NotebookNode, number: str) -> int:
    tagged = [i for i, cell in enumerate(notebook.cells) if TAG in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(f"lab {number} has {len(tagged)} cells tagged {TAG!r}: tag the one that draws its headline")
    return tagged[0]


def _drawn_by(root: Path, number: str, source: str) -> str:
    scene = room(root, number) / "scene.py" if room(root, number) else None
    drawn_by_scene = re.search(r"\bscenes?\.", source) and scene is not None and scene.is_file()
    return digest(source, scene.read_text(encoding="utf-8") if drawn_by_scene else "")


def _run(notebook: nbformat.NotebookNode, last: int, folder: Path) -> list:
    """The outputs of cell number `last`, after all before it; the learner's progress is left alone."""
    from nbconvert.preprocessors import CellExecutionError, ExecutePreprocessor

    notebook.cells = [cell for cell in notebook.cells[: last + 1] if cell.cell_type == "code"]
    before = os.environ.get("MODELSEC_HOME")
    with tempfile.TemporaryDirectory() as home:
        os.environ["MODELSEC_HOME"] = home
        try:
            ExecutePreprocessor(timeout=900, kernel_name="python3").preprocess(
                notebook, {"metadata": {"path": str(folder)}}
            )
        except CellExecutionError as error:
            raise ValueError(f"the lab does not run to its headline: mend it first.\n{error}") from error
        finally:
            os.environ.pop("MODELSEC_HOME") if before is None else os.environ.update(MODELSEC_HOME=before)
    return notebook.cells[-1].outputs


def _shown(outputs: list, number: str) -> tuple[bytes, str, str]:
    """(PNG, alternative text, caption) of the first figure among a cell's outputs."""
    pages = [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    figures = [(image, page) for page in pages for image in IMAGE.findall(page) if DATA.search(image)]
    if not figures:
        raise ValueError(f"the headline cell of lab {number} shows no figure: end it with one of figures.…")
    image, page = figures[0]
    caption = SAID.search(page)
    plain = html.unescape(re.sub(r"<[^>]+>", "", caption[1])).strip() if caption else ""
    if grid := grids.read(page):
        return grid.png(), grid.alt, plain
    alt = ALT_TEXT.search(image)
    return base64.b64decode(DATA.search(image)[1]), html.unescape(alt[1] if alt else ""), plain
