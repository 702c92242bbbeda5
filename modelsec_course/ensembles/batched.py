"""Shadow models: many networks of one architecture, each with training rows of its own, trained at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn
from tqdm.auto import tqdm

from modelsec_course import runtime, validation
from modelsec_course.ensembles.chunks import Architecture, Chunk, fresh, together
from modelsec_course.files import write_atomically

__all__ = ["MEMORY", "Shadows", "plan", "train"]

MEMORY = 2**29  # bytes that one chunk's weights, optimiser and activations may take
DRAWS = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)  # what one pass of many models cannot hold


@dataclass(frozen=True)
class Shadows:
    """Trained shadow models: `members` (models, n) says who was trained on which row. `len()` counts them."""

    architecture: Architecture = field(repr=False)
    members: Tensor = field(repr=False)
    weights: dict[str, Tensor] = field(repr=False)
    chunk: int

    def __len__(self) -> int:
        return len(self.members)

    def model(self, i: int) -> nn.Module:
        """Model i by itself, in eval mode."""
        net = fresh(self.architecture)
        net.load_state_dict({name: weight[i].cpu() for name, weight in self.weights.items()})
        return net.eval().to(next(iter(self.weights.values())).device)

    @torch.no_grad()
    def logits(self, x: Tensor, batch_size: int = 256) -> Tensor:
        """Every model's logits for every row of x: (models, n, classes)."""
        validation.tensor("x", x)
        validation.count("batch_size", batch_size)
        forward = together(fresh(self.architecture).eval())
        answers = []
        for start in range(0, len(self), self.chunk):
            some = {name: weight[start : start + self.chunk] for name, weight in self.weights.items()}
            k = len(next(iter(some.values())))
            parts = [forward(some, part.expand(k, *part.shape)) for part in x.split(batch_size)]
            answers.append(torch.cat(parts, 1))
        return torch.cat(answers)


def train(
    architecture: Architecture,
    x: Tensor,
    y: Tensor,
    members: Tensor,
    *,
    epochs: int = 30,
    lr: float = 2e-3,
    batch_size: int = 64,
    chunk: int | None = None,
    generator: torch.Generator | None = None,
    folder: Path | str | None = None,
    progress: bool = True,
) -> Shadows:
    """Train one network for each row of `members`, all of a chunk at once, with Adam on the cross-entropy.

    architecture() -> a fresh network, without batch norm or dropout.  x: (n, ...) inputs.  y: (n,) int64 labels.
    members: bool (models, n), the rows that each model is trained on.  batch_size: at most so many rows a step.
    chunk: models at once (default: as many as MEMORY bytes hold); it changes the speed, not the result.  generator:
    draws weights and batches (default: seed 0); model i depends on its own row only.  folder: finished chunks are kept
    there, so that the same call after an interruption goes on where it stopped.
    """
    chunks = plan(
        architecture, x, y, members, epochs=epochs, lr=lr, batch_size=batch_size, chunk=chunk, generator=generator
    )
    validation.flag("progress", progress)
    kept = []
    with tqdm(total=epochs * len(chunks), desc="models", unit="epoch", leave=False, disable=not progress) as bar:
        for part in chunks:
            path = None if folder is None else Path(folder) / f"{part.key}.safetensors"
            weights = _kept(path, x.device)
            if weights is None:
                weights = part.train(bar.update)
                if path:
                    write_atomically(path, serialise({k: w.cpu().contiguous() for k, w in weights.items()}))
            kept.append(weights)
    weights = {name: torch.cat([some[name] for some in kept]) for name in kept[0]}
    return Shadows(architecture, members, weights, len(chunks[0].seeds))


def plan(
    architecture: Architecture,
    x: Tensor,
    y: Tensor,
    members: Tensor,
    *,
    epochs: int = 30,
    lr: float = 2e-3,
    batch_size: int = 64,
    chunk: int | None = None,
    generator: torch.Generator | None = None,
) -> list[Chunk]:
    """The chunks of `train` with the same arguments, none of them trained yet: a scheduler may hand them to workers."""
    net = _checked(architecture, x, y, members)
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        validation.count(name, value)
    validation.positive("lr", lr)
    validation.randomness("generator", generator)
    if chunk is None:
        chunk = max(1, MEMORY // _bytes_per_model(net, x[:batch_size]))
    validation.count("chunk", chunk)
    generator = generator or runtime.generator(0)
    seeds = torch.randint(2**62, (len(members),), generator=generator, device=generator.device).cpu()
    steps = math.ceil(int(members.sum(1).max()) / batch_size)
    return [
        Chunk(architecture, x, y, some, own, steps, epochs, lr)
        for some, own in zip(members.split(chunk), seeds.split(chunk), strict=True)
    ]


def _kept(path: Path | None, device: torch.device) -> dict[str, Tensor] | None:
    try:
        return {name: weight.to(device) for name, weight in parse(path.read_bytes()).items()} if path else None
    except (FileNotFoundError, SafetensorError):  # not trained yet, or a damaged file: train it (again)
        return None


def _bytes_per_model(net: nn.Module, x: Tensor) -> int:
    """What training takes for one model: weights, gradients, two moments, and what is saved for the backward pass."""
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.nbytes) or t, lambda t: t):
        net(x)
    return 4 * sum(weight.nbytes for weight in net.parameters()) + sum(saved) + x.nbytes


def _checked(architecture: Architecture, x: Tensor, y: Tensor, members: Tensor) -> nn.Module:
    validation.function("architecture", architecture, hint="architecture() returns a fresh network")
    net = fresh(architecture)
    validation.module("architecture()", net)
    for layer in net.modules():
        if isinstance(layer, DRAWS):
            kind = type(layer).__name__
            raise ValueError(f"a shadow model cannot hold {kind}, whose state or dice all models of a pass would share")
    for name, value in (("x", x), ("y", y), ("members", members)):
        validation.tensor(name, value)
    validation.labels(y, x)
    validation.fits(net.to(x.device), x)
    classes = net(x[:1]).shape[1]
    if y.max() >= classes:
        raise ValueError(f"y holds the label {int(y.max())}, but the network knows only 0 to {classes - 1}")
    if members.dtype != torch.bool or members.dim() != 2 or members.shape[1] != len(x) or not len(members):
        got = f"{members.dtype} {tuple(members.shape)}"
        raise ValueError(f"members must be bool (models, {len(x)}), one row for each model, but it is {got}")
    if not members.any(1).all():
        raise ValueError(f"model {int(members.any(1).int().argmin())} has no member: each needs a row to train on")
    return net
