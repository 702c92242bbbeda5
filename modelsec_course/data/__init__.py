"""Data sets. `load(name)` returns tensors; nothing here uses the network."""

from modelsec_course.data import bundled, faces, signs  # noqa: F401 (each registers its sets)
from modelsec_course.data.dataset import Dataset, load, names, register

__all__ = ["Dataset", "load", "names", "register"]
