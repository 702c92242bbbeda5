"""Where the course computes, how it draws random numbers, and how large its experiments are."""

from __future__ import annotations

import os
from typing import TypeVar

import torch

from modelsec_course import validation

T = TypeVar("T")
__all__ = ["device", "generator", "pick"]


def device() -> torch.device:
    """The best device here: cuda, else mps, else cpu. The environment variable MODELSEC_DEVICE overrules it."""
    wanted = os.environ.get("MODELSEC_DEVICE")
    if wanted:
        try:
            torch.empty(0, device=wanted)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"MODELSEC_DEVICE is {wanted!r}, which this machine cannot use: unset it") from error
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def generator(seed: int, on: torch.device | str = "cpu") -> torch.Generator:
    """A source of random numbers of its own, so that no result depends on what ran before.

    seed: a whole number, at least 0.  on: the device that draws. Numbers drawn on the CPU and moved are the same
    on every accelerator, so that is the default.
    """
    validation.count("seed", seed, low=0)
    if seed >= 2**63:
        raise ValueError(f"seed must be below 2**63, but it is {seed}")
    return torch.Generator(device=validation.device("on", on)).manual_seed(seed)


def pick(*, cpu: T, gpu: T) -> T:
    """The size of an experiment for this machine: `cpu` on a processor, `gpu` on an accelerator."""
    return cpu if device().type == "cpu" else gpu
