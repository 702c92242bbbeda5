"""Data sets. `load(name)` returns tensors; only a real set that has to be fetched uses the network, once."""

from modelsec_course.data import bundled, faces, online, payments, signs  # noqa: F401 (each registers its sets)
from modelsec_course.data.dataset import Dataset, load, names, register

__all__ = ["Dataset", "load", "names", "register"]
