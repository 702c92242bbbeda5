"""Trained victims, ready in milliseconds: `load("digits-cnn")`."""

from modelsec_course.zoo.recipes import RECIPES
from modelsec_course.zoo.shelf import build, load, names, verify

__all__ = ["RECIPES", "build", "load", "names", "verify"]
