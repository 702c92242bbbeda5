"""Where a learner's function runs: stopped in time, its output caught and capped, random state and figures put back."""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import io
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch


class OutOfTime(BaseException):
    """Not an Exception: a learner's `except Exception` must not swallow it."""


class Shield:
    """While it is up, OutOfTime waits: tidying up after the learner's function is not to be cut short."""

    up = False

    def __enter__(self):
        self.up = True

    def __exit__(self, *exception):
        self.up = False


SHIELD = Shield()


class Printed(io.StringIO):
    """Text that stops growing."""

    def __init__(self, limit: int = 4000):
        super().__init__()
        self.room: int | None = limit

    def write(self, text: str) -> int:
        if self.room is not None:
            super().write(text[: self.room])
            self.room = self.room - len(text) if len(text) <= self.room else None
            if self.room is None:
                super().write("\n… (cut)")
        return len(text)


def limited(call: Callable[[], None], seconds: float) -> None:
    """Run `call`; raise OutOfTime if it is not done after `seconds`, even where a bare `except:` swallows that."""
    on_main = threading.current_thread() is threading.main_thread()
    (_by_signal if on_main and hasattr(signal, "setitimer") else _in_thread)(call, max(seconds, 0.05))


def _by_signal(call: Callable[[], None], seconds: float) -> None:
    armed, fired = True, 0

    def fire(signum, frame):
        nonlocal fired
        if not armed:
            return
        if SHIELD.up:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            return
        fired += 1
        # One that is swallowed is followed by others after ever different microseconds, until one lands between
        # the learner's `except:` and the next `try:`.
        signal.setitimer(signal.ITIMER_REAL, 0.1 if fired < 3 else (fired % 50 + 1) * 4e-6)
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, fire)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            call()
        finally:
            armed = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if fired:  # swallowed, and then done after all
        raise OutOfTime


def _in_thread(call: Callable[[], None], seconds: float, patience: float = 3.0) -> None:
    """Where there is no alarm (Windows, other threads): a thread of its own, abandoned if it cannot be stopped."""
    raised: list[BaseException] = []

    def work():
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    except KeyboardInterrupt:
        _stop(thread, patience)
        raise
    if thread.is_alive():
        _stop(thread, patience)
        raise OutOfTime
    if raised:
        raise raised[0]


def _stop(thread: threading.Thread, patience: float) -> None:
    end = time.monotonic() + patience
    while thread.is_alive() and time.monotonic() < end:
        if not SHIELD.up:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(OutOfTime))
        thread.join(0.02)


@contextlib.contextmanager
def quiet(limit: int = 4000) -> Iterator[Printed]:
    """Catch what is printed or displayed, and put random state, figures and torch's modes back afterwards."""
    printed = Printed(limit)
    with contextlib.ExitStack() as stack:
        stack.enter_context(random_state())
        stack.enter_context(figures_apart())
        stack.enter_context(torch.set_grad_enabled(True))
        stack.enter_context(_displays_into(printed))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        yield printed


@contextlib.contextmanager
def random_state(seed: int = 0) -> Iterator[None]:
    """A known random state inside, so that a verdict does not depend on luck; the old one afterwards."""
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate(), torch.get_default_dtype()
    devices = torch.cuda.get_rng_state_all() if cuda else None
    torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(kept[0]), np.random.set_state(kept[1]), random.setstate(kept[2])
        torch.set_default_dtype(kept[3])
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)


@contextlib.contextmanager
def figures_apart() -> Iterator[None]:
    """pyplot without any open figure inside; the figures that were open, and the active one, afterwards."""
    if "matplotlib.pyplot" not in sys.modules:
        yield
        return
    import matplotlib
    from matplotlib._pylab_helpers import Gcf

    kept, Gcf.figs = Gcf.figs, type(Gcf.figs)()
    try:
        with matplotlib.rc_context():
            yield
    finally:
        Gcf.destroy_all()
        Gcf.figs = kept


@contextlib.contextmanager
def _displays_into(printed: Printed) -> Iterator[None]:
    """`display()` and `plt.show()` do not pass through stdout: write their plain text to `printed`."""
    from IPython import get_ipython
    from IPython.core.displaypub import CapturingDisplayPublisher

    class Publisher(CapturingDisplayPublisher):
        def publish(self, data, *args, **kwargs):
            printed.write(data.get("text/plain", "") + "\n")

        def clear_output(self, wait=False):
            pass

    shell = get_ipython()
    if shell is None:
        yield
        return
    kept, shell.display_pub = shell.display_pub, Publisher()
    try:
        yield
    finally:
        shell.display_pub = kept
