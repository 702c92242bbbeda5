"""Real data sets that are fetched when a learner asks for them, and kept: every lab runs without them."""

from __future__ import annotations

import tempfile

import torch
from sklearn.datasets import fetch_olivetti_faces
from torch import Tensor

from modelsec_course.data.cache import kept
from modelsec_course.data.dataset import Dataset, register

__all__: list[str] = []


@register("olivetti")
def olivetti() -> Dataset:
    """Photographs of 40 real people: 64×64 grey pictures in [0, 1], shape (n, 1, 64, 64), 280 and 120.

    Fetched once (4 MB; scikit-learn checks the SHA-256) and kept in the user's cache folder, so a broken download is
    simply repeated. Raises ConnectionError without a network: `load("faces")` is the rendered set that needs none.
    """
    pictures = kept("olivetti", _download).float() / 255  # ten of each person, in order
    people = torch.arange(400) // 10
    for_training = torch.arange(400) % 10 < 7
    return Dataset(
        "olivetti",
        *(part[chosen] for chosen in (for_training, ~for_training) for part in (pictures, people)),
        classes=tuple(f"person {k}" for k in range(40)),
        provenance="The Database of Faces, AT&T Laboratories Cambridge, 1992-1994; F. Samaria and A. Harter, 1994, "
        "Parameterisation of a Stochastic Model for Human Face Identification.",
        licence="free to use with credit to AT&T Laboratories Cambridge; pictures of real people",
    )


def _download() -> Tensor:
    """uint8 (400, 1, 64, 64). The folder goes away again: the copy in it is a pickle, and is never read."""
    with tempfile.TemporaryDirectory() as home:
        try:
            pictures, _ = fetch_olivetti_faces(data_home=home, return_X_y=True)
        except OSError as error:
            raise ConnectionError(
                f'the Olivetti faces could not be fetched ({error}): go online and repeat, or use data.load("faces")'
            ) from error
    return (torch.tensor(pictures) * 255).round().to(torch.uint8).view(400, 1, 64, 64)
