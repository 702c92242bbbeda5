"""The look that every card, panel and board of a lab shares: one stylesheet, and text that is always escaped."""

from __future__ import annotations

import html
import re

from modelsec_course.lab.words import NBSP, tidy

# Colours follow JupyterLab's theme; the fallbacks inherit, so that they also sit on any other page, light or dark.
# `.msec.msec` outweighs JupyterLab's own rules for lists, tables and code in outputs.
STYLE = """<style>
.msec{--ink:var(--jp-content-font-color1,inherit);--soft:var(--jp-content-font-color2,inherit);
--line:var(--jp-border-color2,rgba(127,127,127,.4));--wash:var(--jp-layout-color1,rgba(127,127,127,.06));
--inset:var(--jp-layout-color2,rgba(127,127,127,.12));
--good:var(--jp-success-color1,#2e7d32);--bad:var(--jp-error-color1,#d32f2f);--wait:var(--jp-warn-color1,#b26a00);
--calm:var(--jp-brand-color1,#1976d2);--tone:var(--calm);
color:var(--ink);font-family:var(--jp-content-font-family,system-ui,sans-serif);
font-size:var(--jp-content-font-size1,14px);line-height:1.5;max-width:52rem;box-sizing:border-box;
margin:.4rem 0;padding:.7rem 1rem .8rem;border:1px solid var(--line);border-left:5px solid var(--tone);
border-radius:6px;background:var(--wash);overflow-wrap:anywhere}
.msec.msec *{box-sizing:border-box}.msec.msec>:last-child,.msec.msec dd>:last-child{margin-bottom:0}
.msec.msec dd>:first-child{margin-top:0}
.msec.good{--tone:var(--good)}.msec.bad{--tone:var(--bad)}.msec.wait{--tone:var(--wait)}.msec.plain{--tone:var(--soft)}
.msec.msec p{margin:.35rem 0}.msec.msec .soft{color:var(--soft)}
.msec.msec .head{font-weight:600;font-size:1.05em;margin:0}
.msec.msec .title{font-size:1.45em;font-weight:600;line-height:1.25;margin:.1rem 0 .5rem}
.msec.msec .tag{display:inline-block;border:1px solid var(--tone);border-radius:1em;padding:0 .6em;margin-left:.5em;
font-size:.85em;font-weight:600;white-space:nowrap}
.msec.msec ul{margin:.4rem 0;padding-left:1.3em}.msec.msec ul.rows{list-style:none;padding-left:0}
.msec.msec ul.rows>li{padding:.18rem 0 .18rem 1.7em;text-indent:-1.7em}.msec.msec ul.rows>li>*{text-indent:0}
.msec.msec .icon{display:inline-block;width:1.7em;font-weight:700;text-indent:0}
.msec.msec pre,.msec.msec code{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:.92em;
color:inherit;background:transparent;padding:0}
.msec.msec :not(pre)>code{padding:0 .3em;border-radius:3px;background:var(--inset)}
.msec.msec pre{margin:.3rem 0;padding:.45rem .7rem;border:1px solid var(--line);border-radius:4px;line-height:1.45;
background:var(--inset);white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;max-height:22rem;
overflow:auto}
.msec.msec details{margin:.35rem 0 0}
.msec.msec summary{cursor:pointer;font-weight:600;width:fit-content;border-radius:3px}
.msec.msec summary:focus-visible{outline:2px solid var(--calm);outline-offset:2px}
.msec.msec dl{padding:0;overflow:visible;display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;
gap:.3rem 1.1rem;margin:.6rem 0 0}
.msec.msec dl dt{float:none;width:auto;padding:0;margin:0;font-weight:600;color:var(--soft)}
.msec.msec dl dd{margin:0;padding:0;width:auto}
.msec.msec summary.plain{font-weight:400}
.msec.msec a{color:var(--jp-content-link-color,#1976d2)}
.msec.msec.bare{border:0;padding:0;background:transparent}
.msec.msec table{border-collapse:collapse;margin:0;font-size:1em;border:0;table-layout:auto;
font-variant-numeric:tabular-nums}
.msec.msec caption{caption-side:bottom;text-align:left;color:var(--ink);padding:.4rem 0 0}
.msec.msec thead tr:nth-child(n){border:0;border-bottom:2px solid var(--line);background:transparent}
.msec.msec tbody tr:nth-child(n){border:0;border-bottom:1px solid var(--line);background:transparent}
.msec.msec tbody tr.marked:nth-child(n){background:var(--inset)}.msec.msec tr.marked>*{font-weight:700}
.msec.msec :is(td,th){padding:.25rem 1.1rem .25rem .3rem;text-align:left;vertical-align:baseline;color:var(--ink);
max-width:none;white-space:normal;font-weight:400;overflow-wrap:normal}
.msec.msec thead th{font-weight:600;color:var(--soft);vertical-align:bottom}
.msec.msec .right{text-align:right}.msec.msec tbody .right{white-space:nowrap}
.msec.msec progress{accent-color:var(--tone);width:11rem;height:.8rem;vertical-align:middle;margin-right:.6em}
</style>"""

# Text outside a card.
PROSE = (
    "color:var(--jp-content-font-color1,inherit);font-family:var(--jp-content-font-family,system-ui,sans-serif);"
    "font-size:var(--jp-content-font-size1,14px);line-height:1.5"
)


def esc(text: object) -> str:
    return html.escape(str(text))


def rich(text: str) -> str:
    """HTML of a little Markdown: paragraphs, `- ` lists, fenced code, `code`, **bold**. Everything else is escaped."""
    parts = re.split(r"```[^\n]*\n(.*?)\n?```", text.strip(), flags=re.DOTALL)
    return "".join(f"<pre>{esc(part)}</pre>" if i % 2 else _blocks(part) for i, part in enumerate(parts))


def inline(text: str) -> str:
    """HTML of one line: `code` and **bold**, the rest escaped."""
    pieces = re.split(r"`([^`]+)`", text)
    return "".join(f"<code>{esc(p)}</code>" if i % 2 else _bold(esc(tidy(p))) for i, p in enumerate(pieces))


def plain(text: str) -> str:
    """The text without the marks of `code` and **bold**, its spaces all of the ordinary kind."""
    return tidy(text).replace(NBSP, " ").replace("**", "").replace("`", "")


def box(body: str, *, tone: str = "", label: str = "", live: bool = False) -> str:
    """A card. `live` makes a screen reader announce it as it appears."""
    role = 'role="status"' if live else 'role="group"'
    name = f' aria-label="{esc(label)}"' if label else ""
    return f'{STYLE}<div class="msec {tone}" {role}{name}>{body}</div>'


def facts(rows: list[tuple[str, str]]) -> str:
    """A two-column list of (plain text, HTML)."""
    return "<dl>" + "".join(f"<dt>{esc(term)}</dt><dd>{what}</dd>" for term, what in rows) + "</dl>"


def clip(text: str, limit: int, note: str = "… (cut)") -> str:
    return text if len(text) <= limit else text[:limit] + note


class Card:
    """Something a notebook shows: `html()` for the page, `text()` for a terminal or a screen reader in text mode."""

    def html(self) -> str:
        raise NotImplementedError

    def text(self) -> str:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return self.text()


def _bold(escaped: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)


def _blocks(text: str) -> str:
    out = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        if lines and all(line.startswith("- ") for line in lines):
            out.append("<ul>" + "".join(f"<li>{inline(line[2:])}</li>" for line in lines) + "</ul>")
        elif lines:
            out.append(f"<p>{inline(' '.join(lines))}</p>")
    return "".join(out)
