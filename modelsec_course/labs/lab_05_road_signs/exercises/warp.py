"""A homography: what a flat thing looks like from elsewhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from modelsec_course import evasion, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_tensor

PERSPECTIVE = torch.tensor([[[0.8, 0.1, 0.1], [-0.1, 0.9, 0.05], [0.3, 0.15, 1.0]]], device="cpu")


def _pictures(n: int = 2, side: int = 16) -> Tensor:
    return torch.rand(n, 3, side, side, generator=runtime.generator(0))


def _moved(right: float, down: float, n: int = 2) -> Tensor:
    move = torch.eye(3, device="cpu").repeat(n, 1, 1)
    move[:, 0, 2], move[:, 1, 2] = right, down
    return move


def _identity(warp):
    """The identity changes nothing"""
    x = _pictures()
    expect_close(warp(x, _moved(0, 0)), x, 1e-4, "the picture")


def _shift(warp):
    """A shift to the right moves the picture to the right, and one down moves it down"""
    x = _pictures()
    for right, down, pad in ((4, 0, (4, 0, 0, 0)), (0, 2, (0, 0, 2, 0))):
        want = F.pad(x, pad)[..., : x.shape[2], : x.shape[3]]
        got = warp(x, _moved(right * 2 / 16, down * 2 / 16))
        where = f"shifted by {right} pixels to the right and {down} down"
        aside = (
            ""
            if bool((got - want).abs().max() < 1e-3) or not torch.allclose(got, _away(x, right, down))
            else (": it moved the other way. Each pixel of the result asks where it came from: that is the inverse")
        )
        expect((got - want).abs().max() < 1e-3, f"the picture, {where}, is not where it should be{aside}")


def _away(x: Tensor, right: int, down: int) -> Tensor:
    return F.pad(x, (0, right, 0, down))[..., down:, right:]


def _perspective(warp):
    """Perspective: what is farther away is smaller"""
    x = _pictures(1, 32)
    expect_close(warp(x, PERSPECTIVE), evasion.warp(x, PERSPECTIVE), 1e-3, "a picture seen obliquely")


def _any_scale(warp):
    """A homography times any number is the same homography"""
    x = _pictures(1)
    expect_close(warp(x, -2.5 * PERSPECTIVE), warp(x, PERSPECTIVE), 1e-3, "with the matrix times −2.5, the picture")


def _each_its_own(warp):
    """Each picture is moved by its own matrix"""
    x, matrices = _pictures(), torch.cat([PERSPECTIVE, _moved(0.25, 0, 1)])
    each = torch.cat([evasion.warp(x[i : i + 1], matrices[i : i + 1]) for i in range(2)])
    expect_close(warp(x, matrices), each, 1e-3, "two pictures with two different matrices:")


def _there_and_back(warp):
    """A warp and its inverse bring the picture back"""
    side = torch.linspace(-1, 1, 64)
    hill = torch.exp(-6 * (side[:, None] ** 2 + side**2)) * (1.2 + torch.sin(4 * side[:, None]))
    x = hill.expand(1, 3, -1, -1).contiguous()
    back = warp(warp(x, PERSPECTIVE), torch.linalg.inv(PERSPECTIVE))
    expect_close(back, x, 0.08, "there and back, the picture")


def warp(pictures, homography):
    return evasion.warp(pictures, homography)


def _shaped(result, args: tuple, kwargs: dict) -> None:
    expect_tensor(result, argument(args, kwargs, 0, "pictures").shape, "the result, shaped like the pictures")


def _grid(x: Tensor) -> Tensor:
    side = x.shape[-1]
    ticks = (torch.arange(side) + 0.5) * 2 / side - 1
    down, right = torch.meshgrid(ticks, ticks, indexing="ij")
    return torch.stack([right, down, torch.ones_like(down)], -1).view(1, -1, 3)


def _warp_wrong(x, homography, inverse=True, divide=True, swap=False, align=False, padding="zeros", mode="bilinear"):
    matrix = torch.linalg.inv(homography) if inverse else homography
    points = _grid(x) @ matrix.mT
    points = points[..., :2] / points[..., 2:] if divide else points[..., :2]
    points = (points.flip(-1) if swap else points).view(len(x), x.shape[2], x.shape[3], 2)
    return F.grid_sample(x, points, align_corners=align, padding_mode=padding, mode=mode)


def _warp_solved(pictures, homography):
    """Another form: solve for the points, one picture after the other."""
    done = []
    for picture, matrix in zip(pictures, homography, strict=True):
        source = torch.linalg.solve(matrix, _grid(pictures)[0].T)
        points = torch.stack([source[0] / source[2], source[1] / source[2]], 1)
        points = points.view(1, picture.shape[1], picture.shape[2], 2)
        done.append(F.grid_sample(picture[None], points, align_corners=False))
    return torch.cat(done)


EXERCISE = Exercise(
    "05.warp",
    title="A sign seen from elsewhere",
    reference=warp,
    properties=[_identity, _shift, _perspective, _any_scale, _each_its_own, _there_and_back],
    hints=[
        "Each pixel of the result must know where in the picture it comes from: multiply `grid` by the **inverse**, "
        "`grid @ torch.linalg.inv(homography).mT`.",
        "That gives (u, v, w). The point is (u / w, v / w): `points[..., :2] / points[..., 2:]`.",
        "`F.grid_sample(pictures, points.view(n, side, side, 2), align_corners=False)` reads the pictures there.",
    ],
    returns=_shaped,
    second=_warp_solved,
    mutants={
        "forgets the inverse": lambda x, matrix: _warp_wrong(x, matrix, inverse=False),
        "forgets to divide by the last coordinate": lambda x, matrix: _warp_wrong(x, matrix, divide=False),
        "swaps right and down": lambda x, matrix: _warp_wrong(x, matrix, swap=True),
        "takes the outermost pixels' centres for the corners": lambda x, matrix: _warp_wrong(x, matrix, align=True),
        "smears the edge outwards": lambda x, matrix: _warp_wrong(x, matrix, padding="border"),
        "transposes the matrix": lambda x, matrix: _warp_wrong(x, matrix.mT.contiguous()),
        "moves every picture by the first one's matrix": lambda x, matrix: _warp_wrong(x, matrix[:1].expand_as(matrix)),
        "does nothing": lambda x, matrix: x.clone(),
    },
)
