"""Who a person is: some fifty numbers that stay the same from picture to picture. Nobody real has been measured."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["STYLES", "People", "invent"]

People = dict[str, Tensor]  # trait -> (n,), float32

# How hair is worn. volume: height above the skull, in head sizes.  line, rise, slant: the hairline's y at the middle,
# its change towards both sides and from left to right.  width: of the hair behind the head, in head widths (0: none).
# length: y down to which it falls.  wave: how curly its outline is.  gap: the bald share of the head's middle.
FIELDS = ("volume", "line", "rise", "slant", "width", "length", "wave", "gap", "bun", "tails")
STYLES = {
    "bald": (-0.30, -1.50, 0.00, 0.00, 0.00, -1.00, 0.0, 0.0, 0, 0),
    "cropped": (0.05, -0.43, 0.22, 0.00, 0.00, -1.00, 0.0, 0.0, 0, 0),
    "receding": (0.03, -0.54, 0.36, 0.00, 0.00, -1.00, 0.0, 0.0, 0, 0),
    "parted": (0.10, -0.36, 0.10, 0.23, 0.00, -1.00, 0.3, 0.0, 0, 0),
    "quiff": (0.20, -0.47, 0.28, 0.00, 0.00, -1.00, 0.6, 0.0, 0, 0),
    "fringe": (0.09, -0.20, 0.10, 0.00, 1.16, 0.22, 0.2, 0.0, 0, 0),
    "bob": (0.09, -0.56, 0.62, 0.05, 1.26, 0.36, 0.2, 0.0, 0, 0),
    "long": (0.08, -0.56, 0.60, 0.00, 1.26, 1.20, 0.5, 0.0, 0, 0),
    "long fringe": (0.08, -0.22, 0.12, 0.04, 1.24, 1.20, 0.4, 0.0, 0, 0),
    "swept": (0.11, -0.30, 0.05, -0.34, 1.10, 0.10, 0.5, 0.0, 0, 0),
    "cloud": (0.14, -0.38, 0.15, 0.00, 1.62, 0.16, 1.4, 0.0, 0, 0),
    "curls": (0.12, -0.36, 0.20, 0.00, 1.36, 0.50, 2.2, 0.0, 0, 0),
    "bun": (0.04, -0.46, 0.28, 0.00, 0.00, -1.00, 0.0, 0.0, 1, 0),
    "pigtails": (0.05, -0.34, 0.22, 0.00, 0.00, -1.00, 0.3, 0.0, 0, 1),
    "sides only": (0.06, 0.00, 0.00, 0.00, 0.00, -1.00, 0.8, 0.8, 0, 0),
}
BEARDLESS = ("fringe", "bob", "long", "long fringe", "bun", "pigtails")

BEARDS = (0.50, 0.60, 0.78, 0.89)  # where stubble, full beards, goatees and moustaches begin, of numbers in [0, 1]
GLASSES = (0.68, 0.85)  # round, square

# Lowest and highest value of each trait. The head is about 0.9 wide and 1.3 high, y points down, 0 is its middle.
RANGES = {
    "skin": (0.42, 0.98), "width": (0.40, 0.55), "height": (0.56, 0.70), "jaw": (1.75, 3.0), "chin": (0.78, 1.02),
    "ear": (0.07, 0.125), "neck": (0.55, 0.80), "cheek": (0, 1),
    "eye_x": (0.155, 0.235), "eye_y": (-0.10, 0.03), "eye_w": (0.075, 0.125), "eye_h": (0.030, 0.072),
    "eye_tilt": (-0.22, 0.22), "iris": (0.05, 0.45),
    "brow_gap": (0.095, 0.165), "brow": (0.010, 0.040), "brow_w": (0.09, 0.15), "brow_tilt": (-0.30, 0.25),
    "brow_arch": (0, 0.06), "brow_dark": (0.3, 0.95),
    "nose": (0.17, 0.30), "nose_w": (0.05, 0.115), "nose_side": (0.3, 1),
    "mouth_w": (0.10, 0.22), "mouth_gap": (0.115, 0.19), "lip": (0.016, 0.052), "lip_dark": (0.50, 0.85),
    "mouth_bend": (-0.025, 0.05),
    "curl": (5, 11), "phase": (0, 50), "beard_dense": (0.75, 0.95),
    "lens": (0.105, 0.15), "frame": (0.014, 0.030), "frame_dark": (0.03, 0.35), "mole_x": (-0.28, 0.28),
    "mole_y": (0.02, 0.36),
}  # fmt: skip


def invent(n: int, seed: int) -> People:
    """n people; the same seed always gives the same ones, and other seeds give others."""
    draw = torch.Generator().manual_seed(seed)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=draw, device="cpu")

    def some(share: float) -> Tensor:
        return (torch.rand(n, generator=draw, device="cpu") < share).float()

    people = {trait: between(*ends) for trait, ends in RANGES.items()}
    style = torch.randint(len(STYLES), (n,), generator=draw, device="cpu")
    table = torch.tensor(list(STYLES.values()), device="cpu")[style]
    people |= dict(zip((f"hair_{field}" for field in FIELDS), table.unbind(1), strict=True))
    people["hair_volume"] *= between(0.7, 1.35)
    people["hair_line"] += between(-0.05, 0.05)
    people["hair_slant"] *= 1 - 2 * some(0.5)
    people["hair_width"] *= between(0.95, 1.06)
    people["hair"] = torch.where(some(0.3) > 0, between(0.55, 0.92), between(0.03, 0.34))
    people["freckles"], people["wrinkles"] = some(0.15) * between(0.5, 1), some(0.25) * between(0.4, 1)
    people["mole"], people["earrings"] = some(0.2), some(0.2)
    beardless = torch.tensor([name in BEARDLESS for name in STYLES], device="cpu")[style]
    people["beard"] = _kind(between(0, 1), BEARDS).masked_fill(beardless, 0)
    people["glasses"] = _kind(between(0, 1), GLASSES)
    return people


def _kind(drawn: Tensor, ends: tuple[float, ...]) -> Tensor:
    """0 below the first end, 1 below the second, and so on."""
    return torch.bucketize(drawn, torch.tensor(ends, device="cpu")).float()
