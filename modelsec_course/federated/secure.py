"""Secure aggregation: a server adds up vectors none of which it sees, and clients may drop out half way."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modelsec_course import runtime, validation
from modelsec_course.federated.masks import MODULUS, agreed_mask, decode, encode, expand, key_pair, pairwise_masks
from modelsec_course.federated.sharing import recover, share

__all__ = ["SecureSum", "secure_sum"]


@dataclass(frozen=True)
class SecureSum:
    """What the server has after a round.

    total: (d,) float64, the sum of the survivors' vectors.  received: int64 (survivors, d) in [0, MODULUS), what each
    of them sent: uniform noise.  survivors: their numbers.
    """

    total: Tensor
    received: Tensor
    survivors: tuple[int, ...]


def secure_sum(
    vectors: Tensor,
    *,
    dropped: Collection[int] = (),
    threshold: int | None = None,
    bits: int = 16,
    generator: torch.Generator | None = None,
) -> SecureSum:
    """The sum of clients' vectors by double masking, as exact as fixed point is.

    1. Each client publishes two Diffie–Hellman keys' public halves and gives everybody a Shamir share of one secret key
       and of a number of its own.  2. It sends its vector, plus the masks it has with each partner, plus one mask from
       its own number.  3. For a client that `dropped` before sending, the survivors hand in shares of the key, whose
       masks are then taken off; for one that sent, shares of its number. Never both for one client: with both the
       server could read its vector, even if it only *said* that a late client had dropped.
    vectors: (clients, d) floating point.  threshold: how many must survive (default: two thirds, rounded up).
    bits: behind the point.  generator: draws keys here so that a lab repeats; real ones come from the system's dice.
    Raises ValueError if fewer than `threshold` survive. Simplified: one process plays all parties, shares are not
    encrypted between clients, nobody signs, everybody follows the protocol, the group is too weak to use.
    Source: Bonawitz et al., 2017, "Practical Secure Aggregation for Privacy-Preserving Machine Learning".
    """
    survivors = _checked(vectors, dropped, threshold)
    clients, length = vectors.shape
    threshold = -(-2 * clients // 3) if threshold is None else threshold
    if len(survivors) < threshold:
        raise ValueError(
            f"{len(survivors)} of {clients} clients survive, but {threshold} are needed: start a new round"
        )
    validation.randomness("generator", generator)
    draw = generator or runtime.generator(0)
    dice = random.Random(int(torch.randint(2**62, (1,), generator=draw, device=draw.device)))
    secrets, publics = zip(*(key_pair(dice) for _ in range(clients)), strict=True)
    own = [key_pair(dice)[0] for _ in range(clients)]
    of_keys, of_own = ([share(s, clients, threshold, dice) for s in group] for group in (secrets, own))

    noise = torch.stack([expand(seed, length) for seed in own])
    masked = encode(vectors, clients, bits).cpu() + pairwise_masks(secrets, publics, length) + noise
    received = masked[list(survivors)] % MODULUS

    holders = [u + 1 for u in survivors]
    total = received.sum(0)
    for u in range(clients):
        handed_in = of_own if u in survivors else of_keys
        recovered = recover({h: handed_in[u][h] for h in holders})
        total -= expand(recovered, length) if u in survivors else -_with(recovered, u, publics, survivors, length)
    return SecureSum(decode(total % MODULUS, bits).to(vectors.device), received.to(vectors.device), survivors)


def _with(secret: int, u: int, publics: Sequence[int], partners: Collection[int], length: int) -> Tensor:
    """What client u adds for its partners: + the mask for those with a higher number, − for lower ones."""
    return sum((1 if v > u else -1) * agreed_mask(secret, publics[v], length) for v in partners)


def _checked(vectors: Tensor, dropped: Collection[int], threshold: int | None) -> tuple[int, ...]:
    validation.tensor("vectors", vectors)
    if vectors.dim() != 2 or not vectors.is_floating_point() or len(vectors) < 2:
        got = f"{vectors.dtype} {tuple(vectors.shape)}"
        raise ValueError(f"vectors must be floating point (clients, d) of at least two clients, but it is {got}")
    if not set(dropped) <= set(range(len(vectors))):
        raise ValueError(f"dropped must name clients from 0 to {len(vectors) - 1}, but it is {sorted(dropped)}")
    if threshold is not None:
        validation.count("threshold", threshold)
        if threshold > len(vectors):
            raise ValueError(f"threshold must be at most {len(vectors)}, the number of clients, but it is {threshold}")
    return tuple(u for u in range(len(vectors)) if u not in set(dropped))
