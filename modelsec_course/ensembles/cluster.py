"""Shadow models on many machines: each chunk of `batched` becomes a task for Dask (the extra "cluster").

Whoever reaches a Dask scheduler can run code on its workers, and so does whoever asks it to train: see
docs/beyond-one-machine.md before you bind one to anything but loopback.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor
from tqdm.auto import tqdm

from modelsec_course import runtime, validation
from modelsec_course.ensembles import batched
from modelsec_course.ensembles.chunks import Architecture, Chunk
from modelsec_course.files import write_atomically

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["train"]


def train(
    architecture: Architecture,
    x: Tensor,
    y: Tensor,
    members: Tensor,
    *,
    cluster: str | Client | None = None,
    workers: int = 2,
    chunk: int = 16,
    folder: Path | str | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
    **options: Any,
) -> batched.Shadows:
    """The shadow models of `ensembles.train` with the same arguments and chunk, trained by the workers of a cluster.

    cluster: a scheduler's address ("tcp://host:8786"), a distributed.Client of yours, or None for `workers` processes
    on this machine that listen on loopback only.  chunk: models in one task; make it small enough that every worker
    gets several.  folder: here, on this machine, finished chunks are kept as they come in: the same call after an
    interruption, or `ensembles.train`, goes on where it stopped.  options: epochs, lr, batch_size.
    A worker that is lost costs the chunks it was at; Dask gives them to another. Workers train on the kind of device
    that x is on, and need this course, with the same PyTorch for the same weights.
    """
    validation.count("workers", workers)
    validation.count("chunk", chunk)
    validation.flag("progress", progress)
    validation.randomness("generator", generator)
    generator = generator or runtime.generator(0)
    plan = batched.plan(architecture, x, y, members, chunk=chunk, generator=generator.clone_state(), **options)
    with contextlib.ExitStack() as stack:
        folder = Path(folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="modelsec-")))
        todo = {path: part for part in plan if not (path := folder / f"{part.key}.safetensors").exists()}
        bar = tqdm(total=len(plan), initial=len(plan) - len(todo), desc="shadow models", unit="chunk",
                   leave=False, disable=not progress)  # fmt: skip
        stack.enter_context(bar)
        if todo:
            client = stack.enter_context(_connected(cluster, workers))
            for path, content in _trained(client, todo):
                write_atomically(path, content)
                bar.update()
        return batched.train(
            architecture, x, y, members, chunk=chunk, folder=folder, generator=generator, progress=False, **options
        )


@contextlib.contextmanager
def _connected(cluster: str | Client | None, workers: int) -> Iterator[Client]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError('a cluster needs Dask: pip install "modelsec-course[cluster]"') from error
    if isinstance(cluster, Client):
        yield cluster
    elif isinstance(cluster, str):
        with Client(cluster) as client:
            yield client
    elif cluster is None:
        here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        with LocalCluster(n_workers=workers, threads_per_worker=1, **here) as local, Client(local) as client:
            yield client
    else:
        raise TypeError(f"cluster must be a scheduler's address, a distributed.Client or None, but it is {cluster!r}")


def _trained(client: Client, todo: dict[Path, Chunk]) -> Iterator[tuple[Path, bytes]]:
    """(path, file) of each chunk as it comes in. The data are a task's result, so that no lost worker loses them."""
    from distributed import as_completed

    first = next(iter(todo.values()))
    data = client.submit(bytes, serialise({"x": _plain(first.x), "y": _plain(first.y)}), pure=False)
    paths = {}
    for path, part in todo.items():
        own = serialise({"members": _plain(part.members), "seeds": _plain(part.seeds)})
        settings = (part.steps, part.epochs, part.lr, part.x.device.type)
        paths[client.submit(_work, part.architecture, data, own, settings, pure=False)] = path
    try:
        for future in as_completed(list(paths)):
            yield paths.pop(future), future.result()
    finally:
        client.cancel(list(paths))  # after an error or an interruption nobody waits for the rest


def _work(architecture: Architecture, data: bytes, own: bytes, settings: Sequence[Any]) -> bytes:
    """What a worker does: plain bytes in, plain bytes out."""
    steps, epochs, lr, device = settings
    parts = {name: tensor.to(device) for name, tensor in (parse(data) | parse(own)).items()}
    weights = Chunk(architecture, **parts, steps=steps, epochs=epochs, lr=lr).train()
    return serialise({name: _plain(weight) for name, weight in weights.items()})


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()
