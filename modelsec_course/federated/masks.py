"""Fixed point, and masks that two parties agree on: what secure aggregation is built from."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from modelsec_course import validation
from modelsec_course.federated.sharing import PRIME

__all__ = ["MODULUS", "agreed_mask", "decode", "encode", "expand", "key_pair", "pairwise_masks"]

MODULUS = 2**32  # sums are taken modulo this, so that a mask, uniform over it, hides a vector perfectly
BASE = 3
EXPONENT = 2**256  # secrets below this: in Diffie–Hellman, twice as many bits as the strength wanted are enough


def encode(vectors: Tensor, clients: int, bits: int = 16) -> Tensor:
    """Fixed point: each number, rounded to a multiple of 2⁻ᵇⁱᵗˢ, as an int64 in [0, MODULUS).

    vectors: floating point, of any shape.  clients: how many of them will be added up. Raises ValueError if a sum of so
    many could leave the range, for it would come back as another number.
    """
    validation.tensor("vectors", vectors)
    validation.count("clients", clients)
    validation.count("bits", bits)
    if not vectors.isfinite().all():
        raise ValueError("vectors must be finite, but they hold infinity or NaN")
    scaled = (vectors.double() * 2**bits).round()
    if vectors.numel() and clients * scaled.abs().max() >= MODULUS // 2:
        most = MODULUS / 2 ** (bits + 1) / clients
        raise ValueError(f"a sum of {clients} vectors may leave the range: clip each to ±{most:g}, or use fewer bits")
    return scaled.long() % MODULUS


def decode(total: Tensor, bits: int = 16) -> Tensor:
    """The numbers behind a sum of encoded vectors modulo MODULUS, float64."""
    validation.tensor("total", total)
    signed = (total + MODULUS // 2) % MODULUS - MODULUS // 2
    return signed.double() / 2**bits


def key_pair(dice: random.Random) -> tuple[int, int]:
    """(secret, public) for Diffie–Hellman: public = BASE^secret modulo PRIME.

    This group is easy to read and too weak to use: a product takes X25519 from a library.
    """
    secret = dice.randrange(2, EXPONENT)
    return secret, pow(BASE, secret, PRIME)


def expand(seed: int, length: int) -> Tensor:
    """`length` numbers in [0, MODULUS), int64, that look random to who does not know the seed (SHAKE-256)."""
    stream = hashlib.shake_256(seed.to_bytes(66, "little")).digest(4 * length)
    return torch.from_numpy(np.frombuffer(stream, dtype="<u4").astype(np.int64))


def agreed_mask(secret: int, public: int, length: int) -> Tensor:
    """The mask that the owner of `secret` shares with the owner of `public`: both compute it, nobody else can."""
    return expand(pow(public, secret, PRIME), length)


def pairwise_masks(secrets: Sequence[int], publics: Sequence[int], length: int) -> Tensor:
    """Each client's sum of masks, (clients, length): + for partners with a higher number, − for lower ones.

    All of them add up to 0 modulo MODULUS, for each pair's mask is added once and subtracted once.
    """
    total = torch.zeros(len(secrets), length, dtype=torch.int64, device="cpu")
    for u in range(len(secrets)):
        for v in range(u + 1, len(secrets)):
            mask = agreed_mask(secrets[u], publics[v], length)
            total[u] += mask
            total[v] -= mask
    return total % MODULUS
