"""The solutions, run and written as web pages with all their figures."""

from __future__ import annotations

import html
import os
import re
import sys
import tempfile
from pathlib import Path

from modelsec_course.files import write_atomically

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model Security</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1.2rem; }}
li {{ margin: .4rem 0; }}
</style></head>
<body><h1>Model Security</h1><p>Attack and defend machine-learning models. The labs, solved, with every figure.</p>
<ul>
{labs}
</ul></body></html>
"""


def write_book(root: Path, out: Path) -> None:
    """Run every notebook of solutions/ and write out/NN_name.html and out/index.html; progress is left alone."""
    labs = sorted((root / "solutions").glob("*.ipynb"))
    if not labs:
        sys.exit(f"{root} has no solutions: run `modelsec build` in a clone of the course first.")
    with tempfile.TemporaryDirectory() as home:
        os.environ["MODELSEC_HOME"] = home
        titles = {}
        for path in labs:
            print(f"running {path.name}", flush=True)
            titles[path.stem], page = render(path)
            write_atomically(out / f"{path.stem}.html", page)
    links = [f'<li><a href="{name}.html">{html.escape(title)}</a></li>' for name, title in titles.items()]
    write_atomically(out / "index.html", PAGE.format(labs="\n".join(links)))
    print(f"The book is in {out / 'index.html'}.")


def render(path: Path) -> tuple[str, str]:
    """(title, HTML) of one notebook, run in its own folder."""
    import nbformat
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import CellExecutionError, ExecutePreprocessor

    notebook = nbformat.read(path, as_version=4)
    try:
        ExecutePreprocessor(timeout=600, kernel_name="python3").preprocess(
            notebook, {"metadata": {"path": str(path.parent)}}
        )
    except CellExecutionError as error:
        sys.exit(f"{path.name} does not run to its end: mend it, then make the book again.\n{error}")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):  # a page has no kernel: show a widget's first picture, not its controls
            if "text/html" in output.get("data", {}):
                output["data"].pop("application/vnd.jupyter.widget-view+json", None)
    heading = re.search(r"^# +(.+)$", "\n".join(cell.source for cell in notebook.cells), re.M)
    title = heading[1] if heading else path.stem
    page, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook, {"metadata": {"name": title}})
    return title, page
