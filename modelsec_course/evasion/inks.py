"""What a printer can print, and what a camera can see of it: penalties on a sticker's print."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course import validation

__all__ = ["INKS", "non_printability", "printed", "total_variation"]

INKS = torch.tensor(  # of an imagined matt printer: paper, black, red, yellow, green, blue, cyan, magenta
    [
        [0.93, 0.93, 0.91],
        [0.10, 0.10, 0.11],
        [0.75, 0.12, 0.16],
        [0.93, 0.80, 0.12],
        [0.10, 0.50, 0.27],
        [0.12, 0.22, 0.55],
        [0.10, 0.60, 0.75],
        [0.72, 0.16, 0.47],
    ],
    device="cpu",
)


def total_variation(ink: Tensor) -> Tensor:
    """How rough each print is, (n,): the mean over its cells of the step to the cells on the right and below.

    ink: (n, 3, cells, cells). A camera cannot resolve what is fine, and a printer smears it.
    Source: Sharif, Bhagavatula, Bauer & Reiter, 2016, "Accessorize to a Crime", equation 5.
    """
    _prints(ink)
    down, right = ink.diff(dim=2)[..., :-1], ink.diff(dim=3)[..., :-1, :]
    return (down**2 + right**2 + 1e-8).sqrt().mean((1, 2, 3))


def non_printability(ink: Tensor, inks: Tensor = INKS) -> Tensor:
    """How far each print is from what a printer prints, (n,): the mean over its cells of Π distance to each ink.

    ink: (n, 3, cells, cells) in [0, 1].  inks: (k, 3). It is 0 exactly where every cell has an ink's colour.
    Source: Sharif, Bhagavatula, Bauer & Reiter, 2016, "Accessorize to a Crime", equation 6.
    """
    return _distances(ink, inks).prod(1).mean((1, 2))


def printed(ink: Tensor, inks: Tensor = INKS) -> Tensor:
    """The print as it comes out: each cell in the ink that is nearest to its colour, shaped like `ink`."""
    nearest = _distances(ink, inks).argmin(1)
    return inks.to(ink)[nearest].permute(0, 3, 1, 2)


def _distances(ink: Tensor, inks: Tensor) -> Tensor:
    """(n, k, cells, cells)."""
    _prints(ink)
    validation.tensor("inks", inks)
    if inks.dim() != 2 or inks.shape[1] != 3 or not len(inks):
        raise ValueError(f"inks must be colours (k, 3), but their shape is {tuple(inks.shape)}")
    apart = ink[:, None] - inks.to(ink)[None, :, :, None, None]
    return (apart**2).sum(2).add(1e-12).sqrt()


def _prints(ink: Tensor) -> None:
    validation.tensor("ink", ink)
    if ink.dim() != 4 or ink.shape[1] != 3 or not ink.is_floating_point():
        raise ValueError(f"ink must be floats (n, 3, cells, cells), but they are {ink.dtype} {tuple(ink.shape)}")
