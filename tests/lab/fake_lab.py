"""Where the small lab for the engine's tests lies, and how it is forgotten."""

import sys
from pathlib import Path

from modelsec_course import labs

FAKE = str(Path(__file__).parent / "fake")


def forget(number):
    for name in [name for name in sys.modules if name.startswith(f"{labs.__name__}.lab_{number}_")]:
        del sys.modules[name]
