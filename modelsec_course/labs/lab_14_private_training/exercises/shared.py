"""What lab 14's exercises share."""

from __future__ import annotations

from torch import Tensor

Gradients = dict[str, Tensor]
