"""The start page, notebooks/start.ipynb: useful before it is run, and alive after."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from modelsec_course.build.editions import METADATA
from modelsec_course.build.links import link_labs
from modelsec_course.build.source import Cell

NAME = "start.ipynb"
WELCOME = """\
# Model Security

You attack machine-learning models with code of your own, measure the damage, defend them, and attack again.
Each lab answers one question by measurement, in an hour or so. Nothing leaves this computer.

**The map shows where the attacker stands.** One poisons the data, one takes part in the training, one holds the model's
file, one asks its API, one is a user like any other. Choose a lab in the map or in the table.
*Run → Run All Cells* brings your progress up to date."""
CARD = """\
from modelsec_course.lab import course

course()"""
WAYS = """\
## Three ways through

**Alone.** Begin with lab 00 and go on in order: guess before you run a cell, and solve an exercise before you open its
second hint. Short of time? *How a model is fooled:* labs 00, 01, 03, 04. *What a model tells of its data:* labs 00, 10,
13, 14.

**In half a day, as a workshop.** Lab 00 to its third exercise (40 minutes); lab 01 with FGSM, PGD and the attacked
filter (80 minutes); lab 08 to the backdoor, or lab 11's faces, shown by the one who leads (40 minutes). A lab runs to
its end with nothing solved, so nobody is left behind.

**In a term, as a weekly class.** One lab a week: half an hour on its idea and its threat card, the exercises in pairs,
the quiz at the end. A class of eight weeks takes labs 00, 01, 03, 04, 08, 10, 13 and 14. `solutions/` holds the
instructor's edition; `modelsec book` writes it as web pages."""


def front_page(labs: Mapping[str, list[Cell]]) -> str:
    """The notebook's text. labs: name of a lab's notebook, without its ending: the lab's cells."""
    files = {name[:2]: f"{name}.ipynb" for name in labs}
    listed = "\n".join(f"- [{title(cells, name)}]({name}.ipynb)" for name, cells in labs.items())
    cells = [
        _cell(new_markdown_cell, WELCOME),
        _cell(new_code_cell, CARD),
        _cell(new_markdown_cell, link_labs(WAYS, files)),
        _cell(new_markdown_cell, f"## The labs, as a plain list\n\n{listed}"),
    ]
    cells[1].metadata = {"jupyter": {"source_hidden": True}}
    notebook = new_notebook(cells=cells, metadata=METADATA)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n"


def title(cells: list[Cell], otherwise: str) -> str:
    """A lab's first heading."""
    text = "\n".join(cell.notebook.source for cell in cells if not cell.code)
    heading = re.search(r"^# +(.+)$", text, re.M)
    return heading[1].strip() if heading else otherwise


def _cell(make, source: str):
    cell = make(source)
    cell["id"] = hashlib.sha1(source.encode()).hexdigest()[:8]
    return cell
