"""Double masking: a proof that no patch of a given size, anywhere in the picture, changes the answer.

One mask of a set that covers every place hides the patch, whatever is on it. So a model that answers right under every
two masks of the set cannot be moved by a patch. Source of all of it: Xiang, Mahloujifar & Mittal, 2022, "PatchCleanser:
Certifiably Robust Defense against Adversarial Patches for Any Image Classifier", USENIX Security.

What is proved is about the digital picture: one square of at most the given side, its edges along the picture's. It
says nothing of two stickers, of a larger patch (one that is near is larger in the picture), of a changed angle or
light, or of a drive: each of its frames needs a proof of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import runtime, validation
from modelsec_course.models import frozen
from modelsec_course.training import Loss

__all__ = ["certified", "covers", "cut_outs", "double_masking", "mask_set"]

GREY = 0.5  # what a mask shows
Model = Callable[[Tensor], Tensor]


def mask_set(size: int, patch: int, per_axis: int) -> Tensor:
    """(K, size, size) bool, True where a mask hides: squares on a grid such that any patch lies within one of them.

    size: of the picture, in pixels.  patch: side of the patch, in pixels, to be covered wherever it is.  per_axis: how
    many masks there may be along each axis, so K ≤ per_axis². More masks are smaller ones, which hide less of the sign,
    and cost more: up to K(K + 1)/2 pictures for one certificate.
    With stride s = ⌈(size − patch + 1) / per_axis⌉ a mask has the side patch + s − 1, the least that covers.
    Source: Xiang et al., 2022, section 3.2, equations 1 and 2.
    """
    validation.count("size", size)
    validation.count("patch", patch)
    if patch > size:
        raise ValueError(f"patch must be at most the picture's size, {size} pixels, but it is {patch}")
    validation.count("per_axis", per_axis)
    stride = -(-(size - patch + 1) // per_axis)
    side = patch + stride - 1
    starts = [*range(0, size - side, stride), size - side]
    at = torch.arange(size, device="cpu")
    bands = torch.stack([(at >= start) & (at < start + side) for start in starts])
    return (bands[:, None, :, None] & bands[None, :, None, :]).flatten(0, 1)


def covers(masks: Tensor, patch: int) -> bool:
    """Whether a patch × patch square lies within one of the masks (K, height, width) wherever in the picture it is."""
    _masks(masks)
    validation.count("patch", patch)
    if patch > min(masks.shape[1:]):
        raise ValueError(f"patch must be at most {min(masks.shape[1:])} pixels, but it is {patch}")
    shown = F.max_pool2d((~masks).float()[:, None], patch, stride=1)  # 1 where the mask leaves some of the square
    return bool((shown == 0).any(0).all())


def double_masking(model: Model, x: Tensor, masks: Tensor, *, fill: float = GREY, batch_size: int = 512) -> Tensor:
    """The class of each picture, (n,), by double masking.

    Under one mask most answers agree. Where all do, that is the class. A mask under which the answer is another, and
    stays it whichever second mask is added, has hidden a patch: its answer is the class.
    x: (n, channels, height, width).  masks: (K, height, width) bool, as from `mask_set`.  fill: what a mask shows.
    Costs K pictures for each one, and up to K² where masks disagree.
    Source: Xiang et al., 2022, algorithm 1.
    """
    ask = _masked(model, x, masks, fill, batch_size)
    everywhere = torch.arange(len(x), device=x.device)
    with frozen(model), torch.inference_mode():
        alone = torch.stack([ask(everywhere, mask) for mask in masks], 1)
        votes = (alone[:, :, None] == alone[:, None]).sum(2)
        chosen = alone.gather(1, votes.argmax(1)[:, None]).squeeze(1)
        odd, decided = alone != chosen[:, None], torch.zeros_like(chosen, dtype=torch.bool)
        for one, mask in enumerate(masks):
            these = (odd[:, one] & ~decided).nonzero()[:, 0]
            for other in range(len(masks)):
                if other != one:  # two masks that win say the same: together they hide the same
                    these = these[ask(these, mask | masks[other]) == alone[these, one]]
            chosen[these], decided[these] = alone[these, one], True
    return chosen


def certified(
    model: Model, x: Tensor, y: Tensor, masks: Tensor, *, fill: float = GREY, batch_size: int = 512
) -> Tensor:
    """Whether it is proved, (n,) bool, that `double_masking` reads y whatever a patch that the masks cover shows.

    It is where the answer is y under every two masks of the set. A picture costs K(K + 1)/2 answers, or as many as it
    takes to find a wrong one.
    x: (n, channels, height, width), without a patch.  y: (n,) int64.  masks, fill: those of `double_masking`.
    It proves nothing about the model alone, nor against what the first lines of this file name.
    Source: Xiang et al., 2022, theorem 1.
    """
    ask = _masked(model, x, masks, fill, batch_size)
    validation.labels(y, x)
    left = torch.arange(len(x), device=x.device)
    pairs = [(one, one + step) for step in range(len(masks)) for one in range(len(masks) - step)]
    with frozen(model), torch.inference_mode():
        for one, other in pairs:  # single masks first: they hide the least, and cost the same
            left = left[ask(left, masks[one] | masks[other]) == y[left]]
    return torch.zeros_like(y, dtype=torch.bool).index_fill(0, left, True)


def cut_outs(
    count: int = 2,
    *,
    sides: tuple[int, int] = (4, 14),
    fill: float = GREY,
    generator: torch.Generator | None = None,
) -> Loss:
    """Training for double masking: cross-entropy on the batch with `count` random squares of each picture hidden.

    sides: the least and the greatest side of a square, in pixels.  fill: what it shows.  generator: draws the squares
    (default: seed 0).  Returns loss(model, x, y) -> scalar, for x (batch, channels, height, width).
    Source: DeVries & Taylor, 2017, "Improved Regularization of Convolutional Neural Networks with Cutout".
    """
    validation.count("count", count)
    validation.span("sides", sides)
    for side in sides:
        validation.count("sides", side)
    validation.number("fill", fill)
    validation.randomness("generator", generator)
    generator = generator or runtime.generator(0)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        for _ in range(count):
            x = x.masked_fill(_squares(x, sides, generator), fill)
        return F.cross_entropy(model(x), y)

    return loss


def _squares(x: Tensor, sides: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(n, 1, height, width) bool: a square somewhere in each picture."""
    if sides[1] > min(x.shape[2:]):
        raise ValueError(f"sides must be at most {min(x.shape[2:])}, the picture's, but the greatest is {sides[1]}")
    draws = torch.rand(3, len(x), 1, generator=generator, device=generator.device).to(x.device)
    side = sides[0] + (draws[0] * (sides[1] - sides[0] + 1)).long()
    bands = []
    for draw, length in zip(draws[1:], x.shape[2:], strict=True):
        start = (draw * (length - side + 1)).long()
        at = torch.arange(length, device=x.device)
        bands.append((at >= start) & (at < start + side))
    return (bands[0][:, :, None] & bands[1][:, None])[:, None]


def _masked(model: Model, x: Tensor, masks: Tensor, fill: float, batch_size: int) -> Callable[[Tensor, Tensor], Tensor]:
    """ask(rows, mask): what the model answers to these pictures behind this mask."""
    validation.tensor("x", x)
    if x.dim() != 4 or not x.is_floating_point():
        raise ValueError(f"x must be floats (n, channels, height, width), but is {x.dtype} {tuple(x.shape)}")
    validation.fits(model, x)
    _masks(masks)
    if masks.shape[1:] != x.shape[2:] or masks.device != x.device:
        raise ValueError(
            f"masks must fit x, {tuple(x.shape[2:])} on {x.device}, but they are {tuple(masks.shape[1:])} on "
            f"{masks.device}: mask_set(size, ...).to(x.device) makes them"
        )
    validation.number("fill", fill)
    validation.count("batch_size", batch_size)
    x = x.contiguous(memory_format=torch.channels_last)  # in which convolutions are fastest

    def ask(rows: Tensor, mask: Tensor) -> Tensor:
        said = [model(x[some].masked_fill(mask, fill)).argmax(1) for some in rows.split(batch_size) if len(some)]
        return torch.cat(said) if said else rows

    return ask


def _masks(masks: Tensor) -> None:
    validation.tensor("masks", masks)
    if masks.dim() != 3 or masks.dtype != torch.bool or not len(masks):
        raise ValueError(f"masks must be bool (K, height, width), but they are {masks.dtype} {tuple(masks.shape)}")
