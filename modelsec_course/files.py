"""Writing a file so that a reader, or a power cut, meets the old one or the new one and never half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, text: str | bytes) -> None:
    """Put `text` (UTF-8, line ends as they are) in place of whatever `path` held; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp's 0600 would hide a lab from a classroom's other accounts
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
