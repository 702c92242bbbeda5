"""The solutions, run and written as web pages: `modelsec book`. They need neither a server nor the network."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from modelsec_course.app.pages import site
from modelsec_course.app.pages.cells import page_text
from modelsec_course.files import write_atomically


def write_book(root: Path, out: Path, numbers: Sequence[str] = ()) -> None:
    """Run the notebooks of solutions/ and write out/NN_name.html, out/index.html and what they share.

    numbers: of the labs wanted, like ["04"]; none means all. The learner's progress is left alone.
    """
    notebooks = sorted((root / "solutions").glob("*.ipynb"))
    notebooks = [path for path in notebooks if not numbers or path.name[:2] in numbers]
    if not notebooks:
        missing = " or ".join(numbers) or "notebook"
        sys.exit(f"{root} has no {missing} in solutions/: run `modelsec build` in a clone of the course first.")
    pages = []
    with tempfile.TemporaryDirectory() as home:
        for path in notebooks:
            print(f"running {path.name}", flush=True)
            pages.append(render(path, Path(home), root))
    for name, content in site.files(pages).items():
        write_atomically(out / name, content)
    print(f"The book is in {out / 'index.html'}.")


def render(path: Path, home: Path, root: Path) -> site.Page:
    """One notebook, run in its own folder with its progress in `home`; no path of this machine stays in it."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(path, as_version=4)
    kept = {"MODELSEC_HOME": str(home), "MODELSEC_STILLS": "1", "MODELSEC_EXPECT": "pass"}  # a false claim stops it
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    try:
        client.execute(env=os.environ | kept)
    except CellExecutionError as error:
        sys.exit(f"{path.name} does not run to its end: mend it, then make the book again.\n{error}")
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if output.output_type == "error":  # something could not be shown, which stops no cell
            said = f"{output.ename}: {output.evalue}"
            sys.exit(f"{path.name} shows an error: mend it, then make the book again.\n{said}")
    body, sections, styles = page_text(notebook, path.parent)
    body = _without_paths(body, (home, root, Path(sys.prefix), Path.home()))
    title = next((section.title for section in sections if section.level == 1), path.stem)
    return site.Page(path.stem, title, body, sections, styles)


def _without_paths(body: str, folders: tuple[Path, ...]) -> str:
    """The page with these folders' names, and a kernel's own, cut short to `…`."""
    for folder in sorted(map(str, folders), key=len, reverse=True):
        body = re.sub(rf"{re.escape(folder)}(?=[/\\\s'\"<&]|$)", "…", body)
    kernels = re.escape(tempfile.gettempdir()) + r"[/\\]ipykernel_\d+"
    return re.sub(kernels, "…", body)
