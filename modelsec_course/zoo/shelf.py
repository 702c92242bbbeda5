"""Storing and loading victims: safetensors files whose SHA-256 stands in a manifest. Nothing here unpickles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import nn

from modelsec_course import data, runtime, training, validation
from modelsec_course.files import write_atomically
from modelsec_course.zoo.recipes import RECIPES

__all__ = ["build", "load", "names", "verify"]

WEIGHTS = Path(__file__).parent / "weights"
MANIFEST = "manifest.json"


def names() -> tuple[str, ...]:
    """The victims that `load` knows."""
    return tuple(RECIPES)


def load(name: str, *, device: torch.device | str | None = None, folder: Path = WEIGHTS) -> nn.Module:
    """The trained victim `name` in eval mode, on `device` (default: runtime.device()).

    Raises ValueError when the file is not the one whose hash stands in the manifest: it is never parsed then.
    """
    validation.one_of("name", name, names())
    device = runtime.device() if device is None else validation.device("device", device)
    content = _read(name, folder)
    with torch.random.fork_rng(devices=[]):  # the weights that are drawn here are replaced at once
        net = RECIPES[name].architecture()
    net.load_state_dict(parse(content))
    return net.eval().to(device)


def verify(folder: Path = WEIGHTS) -> list[str]:
    """One sentence for each victim whose file is missing or not the one in the manifest; empty when all is well."""
    problems = []
    for name in names():
        try:
            _read(name, folder)
        except ValueError as error:
            problems.append(str(error))
    return problems


def build(only: Sequence[str] = (), *, folder: Path = WEIGHTS) -> dict[str, dict]:
    """Train the victims in `only` (default: all) anew and store them; returns the manifest.

    Each file is in place before the manifest names it, so an interrupted build can be repeated.
    """
    only = (only,) if isinstance(only, str) else tuple(only)
    for name in only:
        validation.one_of("only", name, names())
    folder.mkdir(parents=True, exist_ok=True)
    manifest = _manifest(folder) if (folder / MANIFEST).exists() else {}
    for name in only or names():
        recipe = RECIPES[name]
        with torch.random.fork_rng(devices=[]):
            net = recipe.architecture()
        recipe.train(net)
        content = serialise({key: value.contiguous() for key, value in net.state_dict().items()})
        write_atomically(folder / f"{name}.safetensors", content)
        manifest[name] = {"sha256": hashlib.sha256(content).hexdigest(), "summary": recipe.summary}
        if recipe.classifies:
            held_out = data.load(recipe.data)
            right = training.accuracy(net.eval(), held_out.x_test, held_out.y_test)
            manifest[name]["test_accuracy"] = round(right, 4)
        write_atomically(folder / MANIFEST, (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())
    return manifest


def _read(name: str, folder: Path) -> bytes:
    """The file's bytes, hashed before anybody parses them (and never read a second time)."""
    path = folder / f"{name}.safetensors"
    remedy = f"put it back with `git checkout` or make it again with `modelsec build zoo {name}`"
    try:
        content, expected = path.read_bytes(), _manifest(folder)[name]["sha256"]
    except (OSError, KeyError) as error:
        raise ValueError(f"the zoo's file or manifest entry for {name!r} is missing: {remedy}") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise ValueError(f"{path.name} is not the file that the zoo's manifest names (SHA-256 differs): {remedy}")
    return content


def _manifest(folder: Path) -> dict[str, dict]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except ValueError as error:  # neither JSON nor UTF-8
        raise ValueError(f"the zoo's {MANIFEST} is damaged: put it back with `git checkout`") from error
    if not isinstance(manifest, dict) or not all(isinstance(entry, dict) for entry in manifest.values()):
        raise ValueError(f"the zoo's {MANIFEST} is no table of victims: put it back with `git checkout`")
    return manifest
