"""JupyterLab on the learner's copies: this machine only, behind a token, with the course's settings as defaults."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from modelsec_course.app.copies import START, Copies
from modelsec_course.app.language import fill_in

SETTINGS = Path(__file__).resolve().parent / "jupyter"  # a Jupyter config folder; its labconfig/ holds the defaults
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PATIENCE = 60  # seconds for the start page's card; without it the page is a list of links


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
    page = draw(root / "work" / START) if copies.untouched(START) else None
    # First on the path, so that the course's defaults win over a site's; the user's own settings win over both.
    path = [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, path))
    serve(options, page if number is None else None)


def draw(page: Path) -> subprocess.Popen:
    """Draw the start page's card in a process of its own: the labs it counts import PyTorch, the server need not."""
    command = [sys.executable, "-m", "modelsec_course.app.welcome", str(page)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def serve(options: list[str], first: subprocess.Popen | None = None) -> None:
    """Run JupyterLab. Once `first` has ended it says its address, last and alone, and opens the browser."""
    from jupyterlab.labapp import LabApp

    class QuietLab(LabApp):
        @classmethod
        def initialize_server(cls, *args, **kwargs):
            server = super().initialize_server(*args, **kwargs)
            address = server.local_url if server.ip in LOOPBACK else server.public_url
            token = server.identity_provider.token
            # Jupyter's own words about the address fill half a screen.
            server.log.addFilter(lambda record: not (token and token in record.getMessage()))
            wanted, server.open_browser = server.open_browser and not server.sock, False  # not before the card is drawn

            async def tell() -> None:
                deadline = time.monotonic() + PATIENCE
                while first and first.poll() is None and time.monotonic() < deadline:
                    await asyncio.sleep(0.05)
                print(f"The course is open at {address} (Ctrl-C stops it)", flush=True)
                if wanted:
                    server.launch_browser()

            server.io_loop.add_callback(tell)  # the port is taken by then: nobody else gets it while the card is drawn
            return server

    QuietLab.launch_instance(argv=options)


def server_options(work: Path, notebook: str, given: dict[str, object], rest: list[str]) -> list[str]:
    """JupyterLab's command line. An option in `rest` replaces the course's own: Jupyter refuses one given twice.

    The token is the random one that Jupyter makes at each start.
    """
    options = {
        "--ServerApp.root_dir": work,
        "--LabApp.default_url": f"/lab/tree/{notebook}",
        "--LabApp.extension_manager": "readonly",  # the other kind asks the package index what there is
        "--LabApp.workspaces_dir": work / ".workspaces",  # open tabs: apart from those of the user's other projects
        "--LanguageServerManager.autodetect": False,  # nineteen warnings about servers that nobody needs here
        "--Application.log_level": logging.getLevelName(logging.ERROR),
        "--ServerApp.answer_yes": True,  # Ctrl-C stops it, without a question that nobody sees
        **given,
    }
    taken = {option.partition("=")[0] for option in rest}
    here_only = options.get("--ServerApp.ip") in LOOPBACK and not taken & {"--ServerApp.ip", "--LabApp.ip"}
    if here_only and hasattr(os, "geteuid") and os.geteuid() == 0:
        options["--ServerApp.allow_root"] = True
    kept = [f"{name}={value}" for name, value in options.items() if value is not None and name not in taken]
    return [*kept, *rest]
