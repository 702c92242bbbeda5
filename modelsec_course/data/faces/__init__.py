"""Rendered faces: people who do not exist, photographed in many poses, expressions and lights."""

from __future__ import annotations

from modelsec_course.data.dataset import Dataset, register
from modelsec_course.data.faces.camera import photograph
from modelsec_course.data.faces.groups import PRIVATE, PUBLIC, STRANGERS, people, pictures
from modelsec_course.data.faces.identity import invent

__all__ = ["PRIVATE", "PUBLIC", "STRANGERS", "invent", "people", "photograph", "pictures"]


@register("faces")
def faces() -> Dataset:
    """The private people: 32×32 grey pictures in [0, 1], shape (n, 1, 32, 32), of 100 invented persons.

    1,200 for training, 800 for testing, as many of each person. `data.faces.pictures` has the others.
    """
    return Dataset(
        "faces",
        *pictures("train"),
        *pictures("test"),
        classes=tuple(f"person {i}" for i in range(PRIVATE)),
        provenance="Drawings of people who do not exist, by this course's own renderer.",
        licence="CC BY 4.0",
    )
