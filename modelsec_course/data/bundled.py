"""Real data sets that come with scikit-learn, so that they are there without a network."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split

from modelsec_course.data.dataset import Dataset, register


@register("digits")
def digits() -> Dataset:
    """Handwritten digits: 8×8 grey pictures in [0, 1], shape (n, 1, 8, 8). 1,437 for training, 360 for testing."""
    pictures, labels = load_digits(return_X_y=True)
    return Dataset(
        "digits",
        *_split(pictures.reshape(-1, 1, 8, 8) / 16, labels, test_size=360),
        classes=tuple("0123456789"),
        provenance="Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, 1998, UCI repository.",
        licence="CC BY 4.0",
    )


@register("tumours")
def tumours() -> Dataset:
    """Breast cancer Wisconsin (diagnostic): 30 measurements of cell nuclei in their own units, shape (n, 30).

    426 records for training, 143 for testing; label 0 is malignant, 1 is benign.
    """
    bunch = load_breast_cancer()
    return Dataset(
        "tumours",
        *_split(bunch.data, bunch.target, test_size=0.25),
        classes=tuple(map(str, bunch.target_names)),
        features=tuple(map(str, bunch.feature_names)),
        provenance="Breast Cancer Wisconsin (Diagnostic), W. Wolberg, O. Mangasarian, N. Street and W. Street, 1993, "
        "UCI repository.",
        licence="CC BY 4.0",
    )


def _split(x: np.ndarray, y: np.ndarray, test_size: int | float) -> tuple[torch.Tensor, ...]:
    """x_train, y_train, x_test, y_test by a stratified split that never changes."""
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=test_size, random_state=0, stratify=y)
    pairs = ((x_train, y_train), (x_test, y_test))
    return tuple(t for x, y in pairs for t in (torch.tensor(x, dtype=torch.float32), torch.tensor(y)))
