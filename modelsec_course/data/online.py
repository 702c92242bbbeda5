"""Real data sets that are fetched when a learner asks for them, and kept: every lab runs without them."""

from __future__ import annotations

import hashlib
import importlib
import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import fetch_olivetti_faces
from torch import Tensor

from modelsec_course.data.cache import kept
from modelsec_course.data.dataset import Dataset, register

__all__: list[str] = []

BREASTMNIST_SHA256 = "3a22d2a4625e7dd8903f0f59030e81a3d0c222bece2e5e10927456cb50efdec1"  # of breastmnist.npz, version 2


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


@register("breastmnist")
def breastmnist() -> Dataset:
    """Ultrasound pictures of breasts: 28×28 grey pictures in [0, 1], shape (n, 1, 28, 28), 624 and 156.

    Label 0 is malignant, 1 is benign or normal. The 78 pictures that MedMNIST sets apart for validation end the
    training set. Fetched once (0.6 MB) by the medmnist package, which the course does not install; its SHA-256 is
    checked, and the tensors are kept in the user's cache folder.
    Raises ModuleNotFoundError without the package, ConnectionError without a network, ValueError for another file.
    """
    rows = kept("breastmnist", _ultrasound)  # 28·28 pixels and the label
    pictures, labels = rows[:, :-1].reshape(-1, 1, 28, 28).float() / 255, rows[:, -1].long()
    return Dataset(
        "breastmnist",
        *(part for chosen in (slice(624), slice(624, None)) for part in (pictures[chosen], labels[chosen])),
        classes=("malignant", "benign or normal"),
        provenance="BreastMNIST of MedMNIST v2, J. Yang et al., 2023, Scientific Data 10; pictures: W. Al-Dhabyani, "
        "M. Gomaa, H. Khaled and A. Fahmy, 2020, Dataset of Breast Ultrasound Images, Data in Brief 28.",
        licence="CC BY 4.0",
    )


def _ultrasound() -> Tensor:
    """uint8 (780, 785): training, validation and test rows of pixels, each with its label."""
    try:
        medmnist = importlib.import_module("medmnist")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'BreastMNIST is fetched by the medmnist package: pip install medmnist, or use data.load("tumours")',
            name="medmnist",
        ) from error
    with tempfile.TemporaryDirectory() as home:
        try:
            medmnist.BreastMNIST(split="train", root=home, download=True)
        except (RuntimeError, OSError) as error:  # the package calls any failure a RuntimeError
            raise ConnectionError(
                'BreastMNIST could not be fetched: go online and repeat, or use data.load("tumours")'
            ) from error
        content = (Path(home) / "breastmnist.npz").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != BREASTMNIST_SHA256:
        raise ValueError(
            f"breastmnist.npz has the SHA-256 {found[:12]}…, not {BREASTMNIST_SHA256[:12]}…: it was changed on its way "
            'or is another version, so it is not read; repeat, or use data.load("tumours")'
        )
    arrays = np.load(io.BytesIO(content), allow_pickle=False)
    parts = ("train", "val", "test")
    pixels = np.concatenate([arrays[f"{part}_images"].reshape(-1, 28 * 28) for part in parts])
    labels = np.concatenate([arrays[f"{part}_labels"].reshape(-1, 1) for part in parts])
    return torch.from_numpy(np.concatenate([pixels, labels], 1).astype(np.uint8))
