"""JupyterLab on the learner's copies: this machine only, behind a token, with the course's settings as defaults."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from modelsec_course.copies import Copies
from modelsec_course.language import fill_in

SETTINGS = Path(__file__).resolve().parent / "jupyter"  # a Jupyter config folder; its labconfig/ holds the defaults
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def launch(root: Path, number: str | None, given: dict[str, object], rest: list[str]) -> None:
    """Bring work/ up to date and serve it until the user stops it.

    number: the lab to open, or None.  given: server options, None for Jupyter's own default.  rest: passed on as it is.
    """
    if not any((root / "notebooks").glob("*.ipynb")):
        sys.exit(f"{root} has no notebooks: run this in a clone of the course, installed with `pip install -e .`.")
    copies = Copies(root / "notebooks", root / "work")
    for sentence in copies.refresh():
        print(sentence)
    fill_in(root / "work")
    options = server_options(root / "work", copies.to_open(number), given, rest)
    # First on the path, so that the course's defaults win over a site's; the user's own settings win over both.
    path = [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, path))

    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(argv=options)


def server_options(work: Path, notebook: str, given: dict[str, object], rest: list[str]) -> list[str]:
    """JupyterLab's command line. An option in `rest` replaces the course's own: Jupyter refuses one given twice.

    The token is the random one that Jupyter makes at each start: only that one does it print with the address.
    """
    options = {
        "--ServerApp.root_dir": work,
        "--LabApp.default_url": f"/lab/tree/{notebook}",
        "--LabApp.extension_manager": "readonly",  # the other kind asks the package index what there is
        "--LabApp.workspaces_dir": work / ".workspaces",  # open tabs: apart from those of the user's other projects
        **given,
    }
    taken = {option.partition("=")[0] for option in rest}
    here_only = options.get("--ServerApp.ip") in LOOPBACK and not taken & {"--ServerApp.ip", "--LabApp.ip"}
    if here_only and hasattr(os, "geteuid") and os.geteuid() == 0:
        options["--ServerApp.allow_root"] = True
    kept = [f"{name}={value}" for name, value in options.items() if value is not None and name not in taken]
    return [*kept, *rest]
