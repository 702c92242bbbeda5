"""Real data sets that come with scikit-learn, so that they are there without a network."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
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


@register("diabetes")
def diabetes() -> Dataset:
    """Diabetes patients: ten measurements in their own units, shape (n, 10), and a number to predict.

    294 records for training, 148 for testing, with the same share of both sexes. y: how far the disease has progressed
    after a year, 25 to 346. The column "sex" holds 1 or 2; the source does not say which is which.
    """
    bunch = load_diabetes(scaled=False)
    sex = bunch.data[:, bunch.feature_names.index("sex")]
    return Dataset(
        "diabetes",
        *_split(bunch.data, bunch.target.astype(np.float32), test_size=148, stratify=sex),
        classes=(),
        features=("age (years)", "sex", "body mass index", "blood pressure", "total cholesterol", "LDL", "HDL",
                  "total cholesterol / HDL", "log triglycerides", "blood sugar"),
        provenance="B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, 2004, Least Angle Regression.",
        licence="none stated by the source; distributed with scikit-learn under BSD-3-Clause",
    )  # fmt: skip


def _split(x: np.ndarray, y: np.ndarray, test_size: int | float, stratify=None) -> tuple[torch.Tensor, ...]:
    """x_train, y_train, x_test, y_test by a split that never changes, stratified by y or by `stratify`."""
    parts = train_test_split(x, y, test_size=test_size, random_state=0, stratify=y if stratify is None else stratify)
    x_train, x_test, y_train, y_test = parts
    pairs = ((x_train, y_train), (x_test, y_test))
    return tuple(t for x, y in pairs for t in (torch.tensor(x, dtype=torch.float32), torch.tensor(y)))
