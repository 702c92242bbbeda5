"""A server in a process of its own: what crosses over is bytes, and the secret key is not among them."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

from modelsec_course.encryption.ckks import Model, Server
from modelsec_course.encryption.planning import Plan

__all__ = ["ServerProcess"]

PUBLIC, SCORE, STOP = b"public", b"score", b"stop"
DONE, FAILED = b"done", b"failed"
PATIENCE = 120.0  # seconds for an answer


class ServerProcess:
    """`Server` as another process, which is started anew and shares no memory with the client.

    >>> with ServerProcess(model, plan) as server:
    ...     server.introduce(client.public())
    ...     answers = server.answer(client.encrypt(rows))
    """

    def __init__(self, model: Model, plan: Plan, *, layout: str = "columns") -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit the client's memory, and the key in it
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, model, plan, layout), daemon=True)
        self._process.start()
        theirs.close()
        self.seconds = 0.0  # of processor time that the last answer took the server

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid

    def introduce(self, public: bytes) -> None:
        """Send the client's public context."""
        self._ask(PUBLIC, public)

    def answer(self, ciphertexts: Sequence[bytes]) -> list[bytes]:
        """Send ciphertexts, receive encrypted scores."""
        took, *answers = self._ask(SCORE, *ciphertexts)
        self.seconds = int(took) / 1e9
        return answers

    def close(self) -> None:
        """Stop the process. To be called twice does no harm."""
        if self._process.is_alive():
            with contextlib.suppress(OSError):  # it may have gone already
                _send(self._pipe, STOP)
            self._process.join(10)
            self._process.kill()
            self._process.join()
        self._pipe.close()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _ask(self, *frames: bytes) -> list[bytes]:
        if self._pipe.closed:
            raise RuntimeError("the server is closed: start another one")
        try:
            _send(self._pipe, *frames)
            if not self._pipe.poll(PATIENCE):
                raise TimeoutError(f"the server has not answered for {PATIENCE:.0f} seconds")
            verdict, *answer = _receive(self._pipe)
        except TimeoutError:
            raise
        except (EOFError, OSError) as error:
            raise RuntimeError("the server's process has ended: start another one") from error
        if verdict == FAILED:
            raise ValueError(answer[0].decode())
        return answer


def _serve(pipe: Connection, model: Model, plan: Plan, layout: str) -> None:
    server = None
    while True:
        try:
            order, *frames = _receive(pipe)
        except EOFError:  # the client has gone
            return
        if order == STOP:
            return
        try:
            if order == PUBLIC:
                server = Server(model, frames[0], plan, layout=layout)
                _send(pipe, DONE)
            elif server is None:
                raise ValueError("introduce(client.public()) comes first")
            else:
                start = time.process_time_ns()
                answers = server.answer(frames)
                _send(pipe, DONE, str(time.process_time_ns() - start).encode(), *answers)
        except Exception as error:
            _send(pipe, FAILED, str(error).encode())


def _send(pipe: Connection, *frames: bytes) -> None:
    """A count, and so many frames: bytes alone, since an object that is received is a pickle that is loaded."""
    pipe.send_bytes(str(len(frames)).encode())
    for frame in frames:
        pipe.send_bytes(frame)


def _receive(pipe: Connection) -> list[bytes]:
    return [pipe.recv_bytes() for _ in range(int(pipe.recv_bytes()))]
