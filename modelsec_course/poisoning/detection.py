"""Looking for poison: odd rows in a network's activations, odd triggers in a network; and a repair."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from torch import Tensor, nn

from modelsec_course import runtime, training, validation
from modelsec_course.models import frozen

__all__ = ["Clusters", "Inversion", "activation_clusters", "activations", "anomaly_index", "fine_prune",
           "invert_triggers", "spectral_scores"]  # fmt: skip


class Clusters(NamedTuple):
    """small: bool (n,), the rows of the smaller cluster.  silhouette: how well the two stand apart, −1 to 1."""

    small: Tensor
    silhouette: float


class Inversion(NamedTuple):
    """For each class the smallest trigger found that sends inputs to it.

    masks, patterns: (classes, height, width) in [0, 1].  sizes: (classes,), the L1 length of each mask.
    """

    masks: Tensor
    patterns: Tensor
    sizes: Tensor


@torch.no_grad()
def activations(model: nn.Sequential, x: Tensor) -> Tensor:
    """What the last layer of the model sees: (n, features)."""
    _sequential(model)
    with frozen(model):
        return model[:-1](x)


def spectral_scores(features: Tensor) -> Tensor:
    """How far each row (n, d) lies from the mean along the direction of largest spread, squared: (n,).

    Take the activations of all rows that bear one label; poison often *is* that direction.
    Source: Tran, Li & Madry, 2018, "Spectral Signatures in Backdoor Attacks".
    """
    centred = _rows(features)
    centred = centred - centred.mean(0)
    top = torch.linalg.svd(centred, full_matrices=False).Vh[0]
    return (centred @ top).square()


def activation_clusters(
    features: Tensor, *, components: int = 10, generator: torch.Generator | None = None
) -> Clusters:
    """Split rows (n, d) in two by k-means on their principal components; the smaller half is under suspicion.

    Take the activations of all rows that bear one label. components: how many are kept.
    Source: Chen et al., 2018, "Detecting Backdoor Attacks on Deep Neural Networks by Activation Clustering".
    """
    rows = _rows(features)
    validation.count("components", components)
    validation.randomness("generator", generator)
    generator = generator or runtime.generator(0)
    centred = rows - rows.mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:components]
    reduced = (centred @ axes.T).cpu().numpy()
    seed = int(torch.randint(2**31 - 1, (1,), generator=generator, device=generator.device))
    halves = KMeans(2, n_init=10, random_state=seed).fit_predict(reduced)
    small = halves == (halves.mean() <= 0.5)  # the label of the smaller one
    return Clusters(torch.as_tensor(small, device=rows.device), float(silhouette_score(reduced, halves)))


def invert_triggers(
    model: Callable[[Tensor], Tensor], x: Tensor, *, classes: int, steps: int = 200, lr: float = 0.1,
    reached: float = 0.9,
) -> Inversion:  # fmt: skip
    """For each class, the smallest mask and pattern that send at least `reached` of x to it.

    x: (n, channels, height, width) clean inputs in [0, 1].  steps, lr: of Adam, for all classes at once. The weight of
    the mask's length grows while the goal is reached and shrinks while it is not. A class that never gets there keeps
    the whole picture. A class with a backdoor has a smaller mask than on a clean network, if its trigger is small.
    Source: Wang et al., 2019, "Neural Cleanse: Identifying and Mitigating Backdoor Attacks in Neural Networks".
    """
    _check_inversion(model, x, classes, steps, lr, reached)
    shape, n = x.shape[-2:], len(x)
    raw = torch.zeros(2, classes, 1, 1, *shape, dtype=x.dtype, device=x.device)  # mask and pattern before the sigmoid
    raw[0] = -2
    raw.requires_grad_()
    optimiser, weight = torch.optim.Adam([raw], lr), x.new_full((classes,), 1e-2)
    labels = torch.arange(classes, device=x.device).repeat_interleave(n)
    best = torch.stack([torch.ones_like(raw[0]), torch.zeros_like(raw[0])]).detach()
    with frozen(model), torch.enable_grad():
        for _ in range(steps):
            mask, pattern = raw.sigmoid()
            logits = model(((1 - mask) * x + mask * pattern).flatten(0, 1))  # (classes · n, classes)
            goal = F.cross_entropy(logits, labels, reduction="none").view(classes, n).mean(1)
            hits = (logits.argmax(1) == labels).view(classes, n).to(x).mean(1) >= reached
            length = mask.sum((1, 2, 3, 4))
            better = hits & (length < best[0].sum((1, 2, 3, 4)))
            best[:, better] = torch.stack([mask, pattern]).detach()[:, better]
            weight = torch.where(hits, weight * 1.1, weight / 1.2).clamp(1e-4, 5)
            optimiser.zero_grad()
            (goal + weight * length).sum().backward()
            optimiser.step()
    masks, patterns = best[:, :, 0, 0]
    return Inversion(masks, patterns, masks.sum((1, 2)))


def anomaly_index(sizes: Tensor) -> Tensor:
    """How many robust standard deviations each class's trigger is *smaller* than the median one: like sizes (classes,).

    The usual verdict is "backdoor" above 2. With ten classes the spread is a poor estimate, so that accuses clean
    networks and passes poisoned ones: rather compare each class's size with that of clean networks of your own.
    Source: Wang et al., 2019, "Neural Cleanse: Identifying and Mitigating Backdoor Attacks in Neural Networks".
    """
    validation.tensor("sizes", sizes)
    if sizes.dim() != 1 or len(sizes) < 3:
        raise ValueError(f"sizes must be one length for each of three or more classes, but has {tuple(sizes.shape)}")
    below = sizes.median() - sizes
    return below / (1.4826 * below.abs().median()).clamp_min(1e-12)


def fine_prune(
    model: nn.Sequential, x: Tensor, y: Tensor, *, share: float = 0.3, epochs: int = 10, lr: float = 2e-3,
    generator: torch.Generator | None = None,
) -> nn.Sequential:  # fmt: skip
    """A repaired copy: the units that clean data use least are cut off, then all is trained on clean data.

    model: its last layer is linear.  x, y: clean inputs (n, ...) and labels (n,).  share: of the units before the last
    layer, those with the smallest mean activation on x; they stay off.  epochs, lr: of the training after that.
    Source: Liu, Dolan-Gavitt & Garg, 2018, "Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural
    Networks".
    """
    _sequential(model)
    validation.number("share", share, low=0.0, high=1.0)
    repaired = copy.deepcopy(model)
    activity = activations(repaired, x).mean(0)
    alive = torch.ones_like(activity)
    alive[activity.argsort()[: int(share * len(activity))]] = 0
    last = repaired[-1]
    with torch.no_grad():
        last.weight.mul_(alive)
    hook = last.register_forward_pre_hook(lambda layer, inputs: (inputs[0] * alive,))  # no gradient to what is off
    if epochs:
        training.fit(repaired, x, y, epochs=epochs, lr=lr, generator=generator, progress=False)
    hook.remove()
    return repaired


def _rows(features: Tensor) -> Tensor:
    validation.tensor("features", features)
    if features.dim() != 2 or len(features) < 3 or not features.is_floating_point():
        raise ValueError(
            f"features must be floats (n, d) of three rows or more, but are {features.dtype} {tuple(features.shape)}"
        )
    return features.detach()


def _sequential(model: nn.Sequential) -> None:
    if not isinstance(model, nn.Sequential) or not isinstance(model[-1], nn.Linear):
        raise TypeError("model must be an nn.Sequential that ends in a linear layer, whose inputs are looked at")


def _check_inversion(model: Callable, x: Tensor, classes: int, steps: int, lr: float, reached: float) -> None:
    validation.tensor("x", x)
    validation.fits(model, x)
    if x.dim() != 4 or not len(x):
        raise ValueError(f"x must be pictures (n, channels, height, width), but its shape is {tuple(x.shape)}")
    validation.count("classes", classes, low=2)
    validation.count("steps", steps)
    validation.positive("lr", lr)
    validation.number("reached", reached, low=0.0, high=1.0)
