"""Shadow models: many networks of one architecture, each with training rows of its own, trained at once."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from tqdm.auto import tqdm

from modelsec_course import models, runtime, validation
from modelsec_course.files import write_atomically

__all__ = ["MEMORY", "Chunk", "Shadows", "plan", "train"]

MEMORY = 2**29  # bytes that one chunk's weights, optimiser and activations may take
Architecture = Callable[[], nn.Module]
DRAWS = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)  # what one pass of many models cannot hold


@dataclass(frozen=True)
class Chunk:
    """Models that are trained together, with all that a worker needs to do it. The same chunk gives the same weights.

    members: bool (models, n).  seeds: int64 (models,), one for each model's weights and batches.  steps: batches an
    epoch.
    """

    architecture: Architecture = field(repr=False)
    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    members: Tensor = field(repr=False)
    seeds: Tensor
    steps: int
    epochs: int
    lr: float

    @property
    def key(self) -> str:
        """A hash of everything that the weights depend on."""
        digest = hashlib.sha256(repr((_fresh(self.architecture), self.steps, self.epochs, self.lr)).encode())
        for part in (self.x, self.y, self.members, self.seeds):
            digest.update(repr((tuple(part.shape), part.dtype)).encode())
            digest.update(part.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]

    def train(self, on_epoch: Callable[[], object] = lambda: None) -> dict[str, Tensor]:
        """The trained weights by name, each (models, ...); on_epoch() is called after each epoch."""
        draws = [runtime.generator(seed) for seed in self.seeds.tolist()]
        nets = [models.initialise(_fresh(self.architecture), draw).to(self.x.device) for draw in draws]
        weights, buffers = stack_module_state(nets)
        weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        forward = together(nets[0])
        optimiser = torch.optim.Adam(weights.values(), self.lr, fused=True)
        for _ in range(self.epochs):
            for rows, share in self.batches(draws):
                logits = forward(weights | buffers, self.x[rows])  # (models, batch, classes)
                losses = F.cross_entropy(logits.flatten(0, 1), self.y[rows].flatten(), reduction="none")
                optimiser.zero_grad(set_to_none=True)
                (losses * share.flatten()).sum().backward()  # each model's own mean: no gradient crosses over
                optimiser.step()
            on_epoch()
        trained = {name: weight.detach() for name, weight in (weights | buffers).items()}
        if not all(weight.isfinite().all() for weight in trained.values()):
            raise FloatingPointError(f"a shadow model's weights are no longer finite: use an lr below {self.lr}")
        return trained

    def batches(self, draws: list[torch.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: rows of x (models, batch), and what each adds to its model's mean loss, 0 where a batch is short.

        Every model goes once through its own members, in `steps` batches whose sizes differ by at most one.
        """
        sizes = self.members.sum(1).cpu()[:, None]
        order = torch.zeros(len(draws), int(sizes.max()), dtype=torch.int64)
        for place, mine, draw in zip(order, self.members.cpu(), draws, strict=True):
            mine = mine.nonzero().flatten()
            place[: len(mine)] = mine[torch.randperm(len(mine), generator=draw)]
        for step in range(self.steps):
            start, end = step * sizes // self.steps, (step + 1) * sizes // self.steps
            at = start + torch.arange(int((end - start).max()))
            share = (at < end) / (end - start).clamp_min(1)
            yield order.gather(1, at.clamp_max(order.shape[1] - 1)).to(self.x.device), share.to(self.x.device)


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
        net = _fresh(self.architecture)
        net.load_state_dict({name: weight[i].cpu() for name, weight in self.weights.items()})
        return net.eval().to(next(iter(self.weights.values())).device)

    @torch.no_grad()
    def logits(self, x: Tensor, batch_size: int = 256) -> Tensor:
        """Every model's logits for every row of x: (models, n, classes)."""
        validation.tensor("x", x)
        validation.count("batch_size", batch_size)
        forward = together(_fresh(self.architecture).eval())
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
    with tqdm(total=epochs * len(chunks), desc="shadow models", unit="epoch", leave=False, disable=not progress) as bar:
        for part in chunks:
            path = None if folder is None else Path(folder) / f"{part.key}.safetensors"
            weights = _kept(path, x.device)
            if weights is None:
                weights = part.train(bar.update)
                if path:
                    write_atomically(path, serialise({k: w.cpu().contiguous() for k, w in weights.items()}))
            kept.append(weights)
    together = {name: torch.cat([weights[name] for weights in kept]) for name in kept[0]}
    return Shadows(architecture, members, together, len(chunks[0].seeds))


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
        chunk = max(1, MEMORY // _bytes_per_model(net.to(x.device), x[:batch_size]))
    validation.count("chunk", chunk)
    generator = generator or runtime.generator(0)
    seeds = torch.randint(2**62, (len(members),), generator=generator, device=generator.device).cpu()
    steps = math.ceil(int(members.sum(1).max()) / batch_size)
    return [
        Chunk(architecture, x, y, some, own, steps, epochs, lr)
        for some, own in zip(members.split(chunk), seeds.split(chunk), strict=True)
    ]


def together(net: nn.Module) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    """forward(weights, x) of many models like `net`: (models, batch, ...) to logits (models, batch, classes)."""
    skeleton = copy.deepcopy(net).to("meta")
    return vmap(lambda weights, x: functional_call(skeleton, weights, (x,)))


def _fresh(architecture: Architecture) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # the weights that are drawn here are replaced at once
        return architecture()


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
    net = _fresh(architecture)
    validation.module("architecture()", net)
    for layer in net.modules():
        if isinstance(layer, DRAWS):
            kind = type(layer).__name__
            raise ValueError(f"a shadow model cannot hold {kind}, whose state or dice all models of a pass would share")
    for name, value in (("x", x), ("y", y), ("members", members)):
        validation.tensor(name, value)
    validation.labels(y, x)
    if members.dtype != torch.bool or members.dim() != 2 or members.shape[1] != len(x) or not len(members):
        got = f"{members.dtype} {tuple(members.shape)}"
        raise ValueError(f"members must be bool (models, {len(x)}), one row for each model, but it is {got}")
    if not members.any(1).all():
        raise ValueError(f"model {int(members.any(1).int().argmin())} has no member: each needs a row to train on")
    return net
