"""Differential privacy: mechanisms, accounting, private training, auditing."""

__all__: list[str] = []
