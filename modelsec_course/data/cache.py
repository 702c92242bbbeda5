"""Tensors that were made or fetched once are kept in the user's cache folder: making them again would take a while."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import platformdirs
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from modelsec_course.files import write_atomically

__all__ = ["folder", "kept"]


def folder() -> Path:
    """Where they are kept: MODELSEC_CACHE, or the user's cache folder."""
    return Path(os.environ.get("MODELSEC_CACHE") or platformdirs.user_cache_dir("modelsec-course"))


def kept(name: str, make: Callable[[], Tensor]) -> Tensor:
    """The pictures of this name, uint8: from the cache if they are there unharmed, else made and put there.

    Of several processes that ask at once, one makes them. Where nothing can be written, each does so for itself.
    """
    path = folder() / f"{name}.safetensors"
    with ExitStack() as stack:
        found = _read(path)
        if found is None:
            writable = _locked(path, stack)
            found = _read(path)  # somebody else may have made them meanwhile
            if found is None:
                found = make()
                if writable:
                    _write(path, found)
    return found


def _locked(path: Path, stack: ExitStack) -> bool:
    """Whether the file is ours to write, until the stack is left."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stack.enter_context(FileLock(path.with_suffix(".lock")))
    except (OSError, NotImplementedError):  # a folder or a disk that cannot be written to, or one without locks
        return False
    return True


def _write(path: Path, pictures: Tensor) -> None:
    try:
        write_atomically(path, save({"pictures": pictures}, {"sha256": _digest(pictures)}))
    except OSError:  # a full disk: the pictures are there all the same
        return


def _read(path: Path) -> Tensor | None:
    """The pictures, or None if the file is missing or damaged."""
    try:
        with safe_open(path, "pt") as file:
            pictures, stated = file.get_tensor("pictures"), (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    return pictures if stated == _digest(pictures) else None


def _digest(pictures: Tensor) -> str:
    return hashlib.sha256(pictures.contiguous().numpy()).hexdigest()
