"""What a notebook says of its language: JupyterLab fills it in on opening, and takes that for the user's change."""

from __future__ import annotations

from pathlib import Path

import nbformat

from modelsec_course.files import write_atomically


def fill_in(work: Path) -> None:
    """Write this Python's words into each copy that lacks its version, so that opening changes nothing."""
    from ipykernel.ipkernel import IPythonKernel

    for copy in sorted(work.glob("*.ipynb")):
        try:
            notebook = nbformat.read(copy, as_version=4)
            said = notebook.metadata.language_info
        except Exception:  # whatever a learner may leave there
            continue
        if said.get("name") == "python" and "version" not in said:
            notebook.metadata["language_info"] = dict(IPythonKernel.language_info)
            write_atomically(copy, nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n")
