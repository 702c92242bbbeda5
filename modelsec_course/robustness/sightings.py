"""What a driving system makes of an approach: a sign hidden, or one that appears, and defences between the frames.

`readings` are int64 (n, frames): the class read in each frame of n drives, or NOTHING; `read` makes them from the
frames of `signs.approach`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import validation
from modelsec_course.models import frozen
from modelsec_course.statistics import clopper_pearson

__all__ = ["NOTHING", "OnTheMap", "Rate", "appeared", "hidden", "rate", "read", "soft_votes", "votes"]

NOTHING = -1
NEVER = -1e4  # the logarithm of a probability that is 0 in floats, but whose gradients are not NaN


class Rate(NamedTuple):
    """A counted share, and the ends of its 95 % interval."""

    share: float
    low: float
    high: float


def rate(flags: Tensor) -> Rate:
    """The share of drives (n,) bool for which something holds, with its exact interval (Clopper & Pearson, 1934)."""
    validation.tensor("flags", flags)
    if flags.dtype != torch.bool or flags.dim() != 1 or not len(flags):
        raise ValueError(f"flags must be bool (n,), n at least 1, but they are {flags.dtype} {tuple(flags.shape)}")
    hits = int(flags.sum())
    return Rate(hits / len(flags), *clopper_pearson(hits, len(flags)))


def read(model: Callable[[Tensor], Tensor], frames: Tensor, *, batch_size: int = 512) -> Tensor:
    """The class that the model reads in each frame, (n, frames): frames are (n, frames, channels, height, width)."""
    _pictures(frames)
    validation.count("batch_size", batch_size)
    validation.fits(model, frames)
    with frozen(model), torch.no_grad():
        said = [model(some).argmax(1) for some in frames.flatten(0, 1).split(batch_size)]
    return torch.cat(said).view(frames.shape[:2])


def hidden(readings: Tensor, signs: Tensor, *, memory: bool = True) -> Tensor:
    """Whether the sign that stands there is lost on the system, (n,) bool.

    signs: (n,) the true classes.  memory: the system keeps every sign that it has once read until it has passed, so a
    sign is hidden only where every frame missed it; without memory, where the last frame did.
    Source: Wang et al., 2025, "Revisiting Physical-World Adversarial Attack on Traffic Sign Recognition: A Commercial
    Systems Perspective", NDSS: there SysHA.
    """
    seen = _seen(readings, signs)
    validation.flag("memory", memory)
    return ~(seen.any(1) if memory else seen[:, -1])


def appeared(readings: Tensor, signs: Tensor, *, memory: bool = True) -> Tensor:
    """Whether the system believes in a sign that does not stand there, (n,) bool.

    signs: (n,) the class that the attacker wants to be read; it must not be the true one.  memory: one frame is enough,
    since what was once read is kept; without memory, the last frame must be the one.
    Source: Wang et al., 2025, as for `hidden`: there SysAA.
    """
    return ~hidden(readings, signs, memory=memory)


def votes(readings: Tensor, *, window: int, needed: int | None = None) -> Tensor:
    """A defence: in each frame, the class that `needed` of the last `window` frames read, else NOTHING. (n, frames)

    needed: more than half of the window, so that no two classes can have it (default: the smallest such number). Before
    the window is full, the frames that are missing count as NOTHING.
    It makes it harder to appear, and easier to hide: a class that is read now and then is no longer believed.
    """
    _checked(readings)
    needed = _majority(window, needed)
    padded = F.pad(readings, (window - 1, 0), value=NOTHING).unfold(1, window, 1)
    agreeing = (padded[..., None] == padded[..., None, :]).sum(3)
    most, where = agreeing.masked_fill(padded == NOTHING, 0).max(2)
    return torch.where(most >= needed, padded.gather(2, where[..., None]).squeeze(2), NOTHING)


def soft_votes(logits: Tensor, *, window: int) -> Tensor:
    """The vote that an attacker climbs: log of the mean probability over the last `window` frames.

    logits: (n, frames, classes).  Returns (n, frames − window + 1, classes): one for each full window, differentiable.
    """
    validation.tensor("logits", logits)
    if logits.dim() != 3 or not logits.is_floating_point():
        raise ValueError(f"logits must be floats (n, frames, classes), but are {logits.dtype} {tuple(logits.shape)}")
    validation.count("window", window)
    if window > logits.shape[1]:
        raise ValueError(f"window must be at most the {logits.shape[1]} frames there are, but it is {window}")
    logp = logits.log_softmax(2).unfold(1, window, 1)
    return logp.logsumexp(3) - torch.tensor(float(window), device=logits.device, dtype=logits.dtype).log()


class OnTheMap(nn.Module):
    """A defence: what the map says can stand here weighs in, as Bayes has it: log p(sign | picture) + log p(sign).

    model: answers pictures with logits, trained on all signs equally often.  prior: (classes,) at least 0: how often
    each sign stands at such a place; 0 means never, and such a sign is never read.
    It cannot miss what it does not expect: a sign that is hidden stays hidden, and any sign that is plausible here may
    still be made to appear.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], prior: Tensor) -> None:
        super().__init__()
        validation.function("model", model)
        validation.tensor("prior", prior)
        if (
            prior.dim() != 1
            or not prior.is_floating_point()
            or not (prior >= 0).all()
            or not 0 < prior.sum() < torch.inf
        ):
            raise ValueError(f"prior must be (classes,) floats, none below 0, not all 0, but it is {prior}")
        self.model = model
        self.register_buffer("log_prior", (prior / prior.sum()).log().clamp(min=NEVER))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).log_softmax(1) + self.log_prior.to(x.device)


def _majority(window: int, needed: int | None) -> int:
    validation.count("window", window)
    if needed is None:
        return window // 2 + 1
    validation.count("needed", needed, low=window // 2 + 1, hint="more than half of the window, or two classes may win")
    if needed > window:
        raise ValueError(f"needed must be at most window = {window}, but it is {needed}")
    return needed


def _seen(readings: Tensor, signs: Tensor) -> Tensor:
    _checked(readings)
    validation.labels(signs, readings, "signs")
    return readings == signs[:, None]


def _checked(readings: Tensor) -> None:
    validation.tensor("readings", readings)
    if readings.dim() != 2 or readings.dtype != torch.int64 or not readings.numel():
        raise ValueError(f"readings must be int64 (n, frames), but are {readings.dtype} {tuple(readings.shape)}")


def _pictures(frames: Tensor) -> None:
    validation.tensor("frames", frames)
    if frames.dim() != 5 or not frames.numel():
        raise ValueError(f"frames must be (n, frames, channels, height, width), but have shape {tuple(frames.shape)}")
