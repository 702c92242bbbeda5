"""The course in a real browser: JupyterLab as the learner's command starts it, and Debian's Chromium.

One server serves the session, from a copy of the course, so that the learner's own work/ is never touched. The browser
lives as long as one test file: while it does, its event loop would be in the way of the notebook tests.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from labpage import SHOTS, LabPage, Server

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180  # seconds: for a slow machine, not for a usual one
SETTINGS = {  # of this learner: every cell is laid out, and nothing is saved behind the test's back
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    "docmanager-extension/plugin": '{"autosave": false}',
}


def chromium() -> str | None:
    """The browser to use: CHROMIUM, or what is on the path."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


def environment(home: Path) -> dict[str, str]:
    """A new user's: no settings, kernels or progress of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "MODELSEC", "MPL"))}
    folders = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "run"}
    kept |= {f"JUPYTER_{name}": str(home / folder) for name, folder in folders.items()}
    return kept | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "MODELSEC_HOME": str(home / "progress"),
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """`modelsec lab --no-browser --port N` in a copy of the course."""
    if chromium() is None:
        pytest.skip("no browser: install chromium, or name one in CHROMIUM")
    base = tmp_path_factory.mktemp("e2e")
    course, home = base / "course", base / "home"
    for part in ("modelsec_course", "notebooks"):
        unwanted = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(ROOT / part, course / part, ignore=unwanted)
    for name, setting in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(setting)
    env = environment(home)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(course), env.get("PYTHONPATH")]))  # the kernels' course too
    log = base / "lab.log"
    command = [sys.executable, "-m", "modelsec_course", "lab", "--no-browser", "--port", "8890"]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=course, env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Server(address(process, log), course / "work", home, log)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address(process: subprocess.Popen, log: Path) -> str:
    """What the command prints for the learner to open: http://127.0.0.1:PORT/lab/tree/NOTEBOOK?token=…"""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        said = log.read_text()
        if found := re.search(r"http://127\.0\.0\.1:\d+/\S+\?token=\w+", said):
            return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}", pytrace=False)


@pytest.fixture(scope="module")
def browser(server):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
        )
        yield running
        running.close()


@pytest.fixture(scope="module")
def new_page(browser, server, pytestconfig):
    """`new_page("00_start_here.ipynb")`: a LabPage on the learner's copy, its kernel ready."""
    opened, shots = [], pytestconfig.getoption("shots")

    def make(name: str) -> LabPage:
        opened.append(LabPage(browser, server, name, patience=PATIENCE, shots=shots))
        return opened[-1].open()

    yield make
    for page in opened:
        page.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    page = next((value for value in getattr(item, "funcargs", {}).values() if isinstance(value, LabPage)), None)
    if report.failed and page:
        report.sections.append(("JupyterLab", page.server.log.read_text()[-3000:]))
        report.sections.append(("browser", "\n".join(page.errors + page.console)))
        SHOTS.mkdir(exist_ok=True)
        page.page.screenshot(path=SHOTS / f"FAILED {re.sub(r'[^-.=+ _0-9a-zA-Z]+', ' ', item.name)}.png")
    return report
