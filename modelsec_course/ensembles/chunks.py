"""Networks that are trained together: one forward pass, one backward pass and one optimiser for all of them."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from modelsec_course import models, runtime

__all__ = ["Architecture", "Chunk", "fresh", "together"]

Architecture = Callable[[], nn.Module]
POINTWISE, POOLING = (nn.ReLU, nn.Tanh, nn.GELU), (nn.MaxPool2d, nn.AvgPool2d)


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
        """A hash of what the weights depend on: data, seeds, settings, the layers as they print, and buffers."""
        net = fresh(self.architecture)
        digest = hashlib.sha256(repr((net, self.steps, self.epochs, self.lr)).encode())
        for part in (self.x, self.y, self.members, self.seeds, *net.buffers()):
            digest.update(repr((tuple(part.shape), part.dtype)).encode())
            digest.update(part.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]

    def train(self, on_epoch: Callable[[], object] = lambda: None) -> dict[str, Tensor]:
        """The trained weights by name, each (models, ...); on_epoch() is called after each epoch."""
        draws = [runtime.generator(seed) for seed in self.seeds.tolist()]
        nets = [models.initialise(fresh(self.architecture), draw).to(self.x.device) for draw in draws]
        weights, buffers = stack_module_state(nets)
        weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        forward = together(nets[0])
        optimiser = torch.optim.Adam(weights.values(), self.lr, fused=True)
        for _ in range(self.epochs):
            for rows, share in self.batches(draws):
                logits = forward(weights | buffers, self.x[rows])  # (models, batch, classes)
                losses = F.cross_entropy(logits.movedim(2, 1), self.y[rows], reduction="none")  # (models, batch)
                optimiser.zero_grad(set_to_none=True)
                (losses * share).sum().backward()  # each model's own mean: no gradient crosses over
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
        order = torch.zeros(len(draws), int(sizes.max()), dtype=torch.int64, device="cpu")
        for place, mine, draw in zip(order, self.members.cpu(), draws, strict=True):
            mine = mine.nonzero().flatten()
            place[: len(mine)] = mine[torch.randperm(len(mine), generator=draw, device=draw.device)]
        for step in range(self.steps):
            start, end = step * sizes // self.steps, (step + 1) * sizes // self.steps
            at = start + torch.arange(int((end - start).max()), device="cpu")
            share = (at < end) / (end - start).clamp_min(1)
            yield order.gather(1, at.clamp_max(order.shape[1] - 1)).to(self.x.device), share.to(self.x.device)


def together(net: nn.Module) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    """forward(weights, x) of many models like `net`: (models, batch, ...) to logits (models, batch, classes)."""
    skeleton = copy.deepcopy(net).to("meta")
    layers = list(skeleton.named_children()) if isinstance(skeleton, nn.Sequential) else [("", skeleton)]

    def forward(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        x = x.transpose(0, 1)  # (batch, models, ...): a model's channels stand beside the next one's
        for name, layer in layers:
            start = f"{name}." if name else ""
            own = {key.removeprefix(start): weight for key, weight in weights.items() if key.startswith(start)}
            x = _layer(layer, own, x)
        return x.transpose(0, 1)

    return forward


def _layer(layer: nn.Module, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """One layer of all models, (batch, models, ...) to the same: by hand where that is faster, else by vmap."""
    models = x.shape[1]
    if type(layer) in POINTWISE:
        return layer(x)
    if type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1):
        return x.flatten(2)
    if type(layer) is nn.Linear and x.dim() == 3 and "bias" in weights:
        # The batch comes last, so that the gradient arrives in the weights' own layout.
        return torch.baddbmm(weights["bias"][:, :, None], weights["weight"], x.permute(1, 2, 0)).permute(2, 0, 1)
    if type(layer) in POOLING:
        return layer(_beside(x)).unflatten(1, (models, -1))
    if type(layer) is nn.Conv2d and layer.groups == 1 and layer.padding_mode == "zeros" and "bias" in weights:
        kernels, options = (weights["weight"].flatten(0, 1), weights["bias"].flatten()), (layer.padding, layer.dilation)
        return F.conv2d(_beside(x), *kernels, layer.stride, *options, groups=models).unflatten(1, (models, -1))
    return vmap(lambda own, rows: functional_call(layer, own, (rows,)), in_dims=(0, 1), out_dims=1)(weights, x)


def _beside(x: Tensor) -> Tensor:
    """(batch, models, channels, h, w) to (batch, models · channels, h, w), in the layout in which that is fast."""
    return x.flatten(1, 2).contiguous(memory_format=torch.channels_last)


def fresh(architecture: Architecture) -> nn.Module:
    """A network whose weights, drawn here without touching anybody's dice, are to be replaced at once."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        return architecture()
