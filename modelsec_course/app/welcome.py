"""The start page's card, drawn before JupyterLab shows the page: JupyterLab runs no cell by itself."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_output

from modelsec_course.files import write_atomically


def draw_card(page: Path) -> None:
    """Put the course's map and progress under the page's code cell, and sign it so that JupyterLab shows them."""
    from modelsec_course.lab.overview import Overview

    notebook = nbformat.read(page, as_version=4)
    card = Overview(page.parent)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "course()" in cell.source:
            cell.outputs = [new_output("display_data", {"text/html": card.html(), "text/plain": card.text()})]
            break
    text = nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n"
    if text != page.read_text(encoding="utf-8"):
        write_atomically(page, text)
    sign(notebook)


def sign(notebook: nbformat.NotebookNode) -> None:
    """Vouch for outputs that this program made: a page without a signature loses its drawing, not its links."""
    from nbformat.sign import NotebookNotary

    try:
        notary = NotebookNotary()
        notary.sign(notebook)
        notary.store.close()
    except Exception:  # a full disk, a locked database: the page is still there, and Run All draws it
        return


if __name__ == "__main__":
    draw_card(Path(sys.argv[1]))
