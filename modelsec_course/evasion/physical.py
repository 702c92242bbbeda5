"""What the world does to a picture, as functions with a gradient, and attacks that hold for the average of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import validation
from modelsec_course.data.signs.light import blurred, coarseness
from modelsec_course.evasion.norms import per_input, repeated

__all__ = ["Expectation", "blur", "distance", "eot", "light", "per_picture", "warp"]

Transform = Callable[[Tensor, int], Tensor]


def warp(pictures: Tensor, homography: Tensor, size: int | None = None) -> Tensor:
    """The pictures as seen after a homography, (n, channels, size, size): 0 where a picture ends.

    pictures: (n, channels, h, w), or one for all homographies, (1, channels, h, w).  homography: (n, 3, 3), from points
    (u, v, 1) of a picture's plane to the result's, up to scale, as `signs.homography` gives it; both planes are
    [-1, 1]², v downwards.  size: of the result, in pixels (default: h). Every pixel of the result looks where it comes
    from, so it needs the inverse; between pixels it interpolates. Differentiable in both.
    Raises ValueError for a homography that has no inverse.
    Source: Hartley & Zisserman, 2004, "Multiple View Geometry in Computer Vision", section 2.3.
    """
    _pictures(pictures)
    validation.tensor("homography", homography)
    n = len(homography)
    if homography.shape != (n, 3, 3) or len(pictures) not in (1, n):
        shape = tuple(homography.shape)
        raise ValueError(f"homography must be ({len(pictures)}, 3, 3), one for each picture, but its shape is {shape}")
    size = pictures.shape[2] if size is None else size
    validation.count("size", size)
    inverse, singular = torch.linalg.inv_ex(homography)
    if singular.any():
        raise ValueError("homography must have an inverse: it squeezes the plane into a line or a point")
    centres = (torch.arange(size, device=pictures.device, dtype=pictures.dtype) + 0.5) * (2 / size) - 1
    down, right = torch.meshgrid(centres, centres, indexing="ij")
    seen = torch.stack([right, down, torch.ones_like(down)], -1).view(1, -1, 3) @ inverse.to(pictures.dtype).mT
    points = (seen[..., :2] / seen[..., 2:]).nan_to_num(nan=9.0).view(n, size, size, 2)
    return F.grid_sample(pictures.expand(n, -1, -1, -1), points, align_corners=False)


def light(pictures: Tensor, gain: float | Tensor, warmth: float | Tensor = 0.0) -> Tensor:
    """The pictures under another light: every pixel times `gain`, red more and blue less by the share `warmth`.

    pictures: (n, 3, h, w) in [0, 1].  gain: at least 0, 1 changes nothing; warmth: -1 to 1; each one number or (n,).
    What is brighter than white stays white, as on a sensor.
    """
    _pictures(pictures)
    gain, warmth = (_each(name, v, pictures) for name, v in (("gain", gain), ("warmth", warmth)))
    if pictures.shape[1] != 3 or (gain < 0).any() or (warmth.abs() > 1).any():
        raise ValueError("light needs colour pictures (n, 3, h, w), gain of at least 0 and warmth from -1 to 1")
    return (pictures * gain * torch.cat([1 + warmth, torch.ones_like(warmth), 1 - warmth], 1)).clamp(0, 1)


def blur(pictures: Tensor, sigma: float | Tensor) -> Tensor:
    """Gaussian blur of standard deviation `sigma`, in pixels, one number or (n,); 0 changes nothing."""
    _pictures(pictures)
    sigma = _each("sigma", sigma, pictures)
    if (sigma < 0).any():
        raise ValueError(f"sigma must be at least 0, but its least is {float(sigma.min()):.3g}")
    return blurred(pictures, sigma)


def distance(pictures: Tensor, times: float | Tensor) -> Tensor:
    """What is left from so many `times` as far away, cut out and enlarged to the same size: a coarser picture.

    times: at least 1, which changes nothing; one number or (n,).
    """
    _pictures(pictures)
    times = _each("times", times, pictures)
    if (times < 1).any():
        raise ValueError(f"times must be at least 1, but its least is {float(times.min()):.3g}: nothing gets sharper")
    return blurred(pictures, coarseness(times))


class Expectation(nn.Module):
    """What a model thinks of x on average over transformations: the mean log-probabilities of `samples` draws.

    transform(x, samples) -> pictures (samples · n, ...): first one of each input, then the next; it rolls its own dice,
    at every call anew. All draws are asked about in one batch.
    Source: Athalye, Engstrom, Ilyas & Kwok, 2018, "Synthesizing Robust Adversarial Examples", equation 1.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], transform: Transform, samples: int = 24) -> None:
        super().__init__()
        validation.function("model", model)
        validation.function("transform", transform, hint="transform(x, samples) returns pictures (samples · n, ...)")
        validation.count("samples", samples)
        self.model, self.transform, self.samples = model, transform, samples

    def forward(self, x: Tensor) -> Tensor:
        pictures = self.transform(x, self.samples)
        if len(pictures) != self.samples * len(x):
            expected = f"{self.samples} samples of {len(x)} inputs"
            raise ValueError(f"transform must return {expected}, but it returned {len(pictures)} pictures")
        return self.model(pictures).log_softmax(1).unflatten(0, (self.samples, len(x))).mean(0)


def eot(attack: Callable[..., Tensor], transform: Transform, *, samples: int = 24) -> Callable[..., Tensor]:
    """Expectation over transformations: `attack`, made to hold for the average of what may happen to its result.

    attack: any that follows the gradient, such as `pgd`.  transform, samples: as for `Expectation`; `per_picture`
    makes a transform of what changes pictures one by one.
    Returns an attack with the same options. Its model is the expectation, so each gradient is a mean over fresh draws,
    and costs `samples` of the model's own.
    Source: Athalye, Engstrom, Ilyas & Kwok, 2018, "Synthesizing Robust Adversarial Examples", section 2.1.
    """
    validation.function("attack", attack)
    validation.function("transform", transform, hint="transform(x, samples) returns pictures (samples · n, ...)")
    validation.count("samples", samples)

    def through(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, **options: object) -> Tensor:
        return attack(Expectation(model, transform, samples), x, y, **options)

    return through


def per_picture(change: Callable[[Tensor], Tensor]) -> Transform:
    """A transform for `eot` from change(pictures) -> pictures, which rolls dice for each picture of a batch."""
    validation.function("change", change)
    return lambda x, samples: change(repeated(x, samples))


def _pictures(pictures: Tensor) -> None:
    validation.tensor("pictures", pictures)
    if pictures.dim() != 4 or not pictures.is_floating_point():
        shape = tuple(pictures.shape)
        raise ValueError(f"pictures must be floats (n, channels, h, w), but are {pictures.dtype} with shape {shape}")


def _each(name: str, value: float | Tensor, pictures: Tensor) -> Tensor:
    """One number, or one for each picture, as (n or 1, 1, 1, 1)."""
    if not isinstance(value, Tensor):
        validation.number(name, value)
        return torch.full((1, 1, 1, 1), float(value), dtype=pictures.dtype, device=pictures.device)
    if value.numel() != 1 and value.shape != pictures.shape[:1]:
        raise ValueError(f"{name} must be one number or ({len(pictures)},), but has shape {tuple(value.shape)}")
    return per_input(value.to(pictures).reshape(-1), pictures)
