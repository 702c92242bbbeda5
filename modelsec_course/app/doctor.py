"""What is installed, what is amiss, and what to do about it."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "torchvision", "jupyterlab", "ipykernel", "ipywidgets", "matplotlib", "nbval")
WIDGETS = "@jupyter-widgets/jupyterlab-manager"
SET_UP = "run `python3 course.py setup`"


def examine(root: Path) -> int:
    """Print a line for each thing looked at, then a verdict; returns 1 when something is wrong."""
    facts, problems = findings(root)
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name:<{width}}  {fact}")
    print()
    for problem in problems:
        print(f"PROBLEM  {problem}")
    print(f"{len(problems)} to mend." if problems else "All is well: `python3 course.py lab` opens the course.")
    return int(bool(problems))


def findings(root: Path) -> tuple[dict[str, str], list[str]]:
    """({what: how it is}, [a sentence for each problem, with its remedy])."""
    facts = {"Python": f"{platform.python_version()}  {sys.executable}", "course": str(root)}
    problems = []
    for name in PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "missing"
            problems.append(f"{name} is not installed: {SET_UP}.")
    if facts["ipykernel"].partition(".")[0] not in ("6", "missing"):
        problems.append(
            f"ipykernel {facts['ipykernel']} draws the figures of widgets in the wrong place: "
            f"{SET_UP}, or `pip install 'ipykernel<7'`."
        )
    facts["widgets"] = widget_manager()
    if facts["widgets"] == "missing":
        problems.append(f"JupyterLab has no widget manager, so sliders would not show: {SET_UP}.")
    facts["device"], broken = attempt("modelsec_course.runtime", "device")
    problems += [f"No device to compute on ({broken}): {SET_UP}."] * bool(broken)
    facts["cores"] = str(os.cpu_count())
    free = shutil.disk_usage(root).free / 1e9
    facts["free disk"] = f"{free:.1f} GB"
    if free < 1:
        problems.append(f"Only {free:.1f} GB of disk are free: free some, or notebooks may not save.")
    broken_weights, broken = attempt("modelsec_course.zoo", "verify")
    found = broken_weights if isinstance(broken_weights, list) else []
    facts["trained models"] = broken or (f"{len(found)} damaged" if found else "as published")
    problems += [f"The trained models cannot be read ({broken}): {SET_UP}."] * bool(broken)
    return {name: str(fact) for name, fact in facts.items()}, problems + found


def attempt(module: str, function: str) -> tuple[object, str]:
    """(what the function returns, ""), or ("unknown", why it could not be asked)."""
    try:
        return getattr(importlib.import_module(module), function)(), ""
    except Exception as error:  # a doctor reports what is broken, whatever it is
        return "unknown", f"{type(error).__name__}: {error}"


def widget_manager() -> str:
    from jupyter_core.paths import jupyter_path

    found = any((Path(folder) / WIDGETS / "package.json").is_file() for folder in jupyter_path("labextensions"))
    return "shown by JupyterLab" if found else "missing"
