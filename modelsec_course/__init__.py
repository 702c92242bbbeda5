"""Model Security: attack and defend machine-learning models, in code small enough to read."""

__version__ = "0.1.0"
