"""A lab in the browser: what the tests do with it, in a learner's words."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ERROR = '[data-mime-type="application/vnd.jupyter.error"]'
SHOTS = Path(__file__).resolve().parent / "shots"
SHOWN = ".jp-NotebookPanel:not(.lm-mod-hidden)"
SHARP = ("00_", "01_")  # labs whose screenshots the documentation shows


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: the address it printed, the learner's folder and home, its log."""

    address: str
    work: Path
    home: Path
    log: Path

    @property
    def url(self) -> str:
        return self.address.partition("/lab")[0]

    @property
    def token(self) -> str:
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.address).query)["token"][0]

    def api(self, path: str, method: str = "GET"):
        """The answer of JupyterLab's own interface."""
        headers = {"Authorization": f"token {self.token}"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/api/{path}", method=method, headers=headers), timeout=60
        ) as answer:
            text = answer.read()
        return json.loads(text) if text else None


class LabPage:
    """A notebook open in JupyterLab. It notes every address the page asks for, and every error."""

    def __init__(self, browser, server: Server, name: str, *, patience: float, shots: bool = False):
        self.server, self.name, self.shots = server, name, shots
        self.sharp = name.startswith(SHARP)
        scale = 2 if self.sharp and shots else 1
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, device_scale_factor=scale)
        self.page = self.context.new_page()
        self.page.set_default_timeout(1000 * patience)
        self.asked, self.errors, self.console = [], [], []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.console.append(message.text) if message.type == "error" else None)
        self.notebook = self.page.locator(SHOWN)

    def open(self) -> LabPage:
        """By the address that the command printed, with this notebook's name in it; no tabs of another test."""
        name = urllib.parse.quote(self.name)
        self.page.goto(f"{self.server.url}/lab/workspaces/e2e/tree/{name}?reset&token={self.server.token}")
        self.notebook.locator(".jp-Notebook .jp-Cell").first.wait_for()
        self.idle()
        self.changed_by_opening = self.page.locator(".lm-TabBar-tab.jp-mod-current.jp-mod-dirty").count() > 0
        return self

    def close(self) -> None:
        """Close the page and stop its kernel: there may be many labs, and little memory."""
        self.context.close()
        for session in self.server.api("sessions"):
            if session["path"] == self.name:
                self.server.api(f"sessions/{session['id']}", "DELETE")

    def idle(self) -> None:
        """Wait for the kernel. The status bar tells; the indicator is "idle" even before there is a kernel."""
        self.page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle$")).wait_for()
        self.page.locator(f'{SHOWN} .jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()

    def menu(self, *names: str) -> None:
        """Choose an item: the menu's bar first, then each list."""
        for i, name in enumerate(names):
            self.page.locator(f".lm-{'Menu' if i else 'MenuBar'}-itemLabel:text-is({json.dumps(name)})").click()

    def run_all(self) -> None:
        """Run All, until every code cell that shows its code has its number, and the kernel rests."""
        self.menu("Run", "Run All Cells")
        self.page.wait_for_function(
            """shown => [...document.querySelectorAll(shown + ' .jp-CodeCell')].every(cell =>
                !cell.querySelector('.cm-content')  // folded
                || /\\[\\d+\\]/.test(cell.querySelector('.jp-InputPrompt').textContent)
                || !cell.querySelector('.cm-content').textContent.trim())""",
            arg=SHOWN,
        )
        self.idle()

    @property
    def cells(self):
        return self.notebook.locator(".jp-CodeCell")

    @property
    def outputs(self):
        return self.notebook.locator(".jp-OutputArea-output")

    @property
    def explorers(self):
        """The widgets of `explore`: controls above one picture and its description."""
        return self.outputs.locator(".widget-vbox:not(.msec-quiz):has(figure)")

    def run(self, cell, source: str | None = None) -> None:
        """Click into a cell, replace its source if one is given, and run it."""
        if not cell.locator(".cm-content").count():
            cell.locator(".jp-Placeholder-content").first.click()  # unfolds it
        prompt = cell.locator(".jp-InputPrompt").first
        before = prompt.inner_text()
        cell.locator(".cm-content").first.click()
        if source is not None:
            self.page.keyboard.press("ControlOrMeta+a")
            self.page.keyboard.insert_text(source)  # as pasted: no indentation or bracket is added by the editor
        self.page.keyboard.press("ControlOrMeta+Enter")
        self.page.wait_for_function(
            "([prompt, before]) => /\\d/.test(prompt.textContent) && prompt.textContent.trim() !== before",
            arg=[prompt.element_handle(), before.strip()],
        )
        self.idle()

    def evaluate(self, script: str):
        """What a function in JavaScript says of the notebook; it is given the notebook's selector."""
        return self.page.evaluate(script, SHOWN)

    def settle(self) -> None:
        """Wait until the page has kept its layout for two frames."""
        self.page.evaluate(
            """() => new Promise(done => { let before = '', same = 0;
                const look = () => { const now = [...document.querySelectorAll('.jp-OutputArea-output')]
                    .map(e => `${e.offsetWidth}x${e.offsetHeight}`).join();
                    same = now === before ? same + 1 : 0; before = now;
                    same > 1 ? done() : requestAnimationFrame(look) };
                look() })"""
        )

    def shot(self, *, alike: bool = False, **parts) -> None:
        """With --shots: keep pictures of parts of the page, by name, in both themes; in one, if labs have it alike."""
        if not self.shots:
            return
        SHOTS.mkdir(exist_ok=True)
        for theme in ("Dark", "Light") if self.sharp or not alike else ("Light",):
            self.theme(theme)
            for name, part in parts.items():
                part.screenshot(path=SHOTS / f"{self.name[:2]} {name.replace('_', ' ')} {theme.lower()}.png")

    def theme(self, name: str) -> None:
        """ "Light" or "Dark", through the menu as a learner changes it."""
        if self.page.locator(f'body[data-jp-theme-name="JupyterLab {name}"]').count():
            return
        self.menu("Settings", "Theme", f"JupyterLab {name}")
        self.page.locator(f'body[data-jp-theme-name="JupyterLab {name}"]').wait_for(state="attached")
