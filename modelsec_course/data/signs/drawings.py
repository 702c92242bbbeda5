"""The signs themselves, drawn once, at high resolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from modelsec_course.data.signs.canvas import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    RED,
    WHITE,
    YELLOW,
    Canvas,
    arc,
    order,
    prohibition,
    regular,
    square,
    triangle,
    walker,
)

__all__ = ["CLASSES", "templates"]


def _stop(c: Canvas) -> None:
    c.polygon(regular(8, 0.99, 22.5), WHITE)
    c.polygon(regular(8, 0.92, 22.5), RED)
    c.write("STOP", WHITE, 0.28, 0.24, 0.11)


def _priority_road(c: Canvas) -> None:
    for radius, colour in ((0.93, GREY), (0.91, WHITE), (0.6, YELLOW)):
        c.polygon(regular(4, radius, 0), colour, 0.05)


def _no_entry(c: Canvas) -> None:
    c.disc(0.97, WHITE)
    c.disc(0.93, RED)
    c.bar(-0.7, -0.18, 0.7, 0.18, WHITE)


def _limit(c: Canvas, number: str) -> None:
    prohibition(c)
    c.write(number, BLACK, *((0.34, 0.34, 0.15) if len(number) == 2 else (0.29, 0.26, 0.12)))


def _no_overtaking(c: Canvas) -> None:
    prohibition(c)
    for x, colour in ((-0.29, RED), (0.29, BLACK)):
        c.polygon([(x - 0.15, -0.24), (x + 0.15, -0.24), (x + 0.22, 0.02), (x - 0.22, 0.02)], colour, 0.02)
        c.polygon([(x - 0.11, -0.19), (x + 0.11, -0.19), (x + 0.15, -0.03), (x - 0.15, -0.03)], WHITE)
        c.bar(x - 0.25, -0.01, x + 0.25, 0.2, colour, 0.06)
        for side in (-0.16, 0.16):
            c.bar(x + side - 0.06, 0.15, x + side + 0.06, 0.31, colour, 0.03)
            c.disc(0.04, WHITE, x + side, 0.08)


def _end_of_limits(c: Canvas) -> None:
    c.disc(0.97, GREY)
    c.disc(0.93, WHITE)
    for offset in (-0.3, -0.15, 0, 0.15, 0.3):
        half, across = math.sqrt(0.44 - offset**2 / 2), offset / math.sqrt(2)
        c.stroke([(across - half, across + half), (across + half, across - half)], BLACK, 0.075, butt=True)


def _no_stopping(c: Canvas) -> None:
    prohibition(c, BLUE)
    for s in (-1, 1):
        c.stroke([(-0.53, -0.53 * s), (0.53, 0.53 * s)], RED, 0.21, butt=True)


def _turn(c: Canvas, side: int) -> None:
    order(c)
    path = [(-0.34, 0.58), (-0.34, 0.18), *arc(-0.04, 0.18, 0.3, 0.3, 180, 270), (0.24, -0.12)]
    c.stroke([(side * x, y) for x, y in path], WHITE, 0.24)
    c.arrow((side * 0.7, -0.12), 90 - 90 * side, WHITE)


def _straight_on(c: Canvas) -> None:
    order(c)
    c.stroke([(0, 0.62), (0, -0.2)], WHITE, 0.25)
    c.arrow((0, -0.76), -90, WHITE)


def _keep_right(c: Canvas) -> None:
    order(c)
    c.stroke([(-0.44, -0.44), (0.12, 0.12)], WHITE, 0.25)
    c.arrow((0.55, 0.55), 45, WHITE, 0.54)


def _roundabout(c: Canvas) -> None:
    order(c)
    for start in (-85, 35, 155):
        path = arc(0, 0, 0.5, 0.5, start, start + 62)
        c.stroke(path, WHITE, 0.17)
        end = math.radians(start + 98)
        c.arrow((0.5 * math.cos(end), 0.5 * math.sin(end)), start + 168, WHITE, 0.36)


def _cycle_path(c: Canvas) -> None:
    order(c)
    for x in (-0.4, 0.4):
        c.stroke(arc(x, 0.22, 0.26, 0.26, 0, 360), WHITE, 0.075)
    c.stroke([(-0.4, 0.22), (-0.2, -0.16), (0.26, -0.16), (0, 0.22), (-0.4, 0.22)], WHITE, 0.075)
    c.stroke([(0, 0.22), (-0.26, -0.28)], WHITE, 0.075)
    c.stroke([(-0.36, -0.3), (-0.16, -0.3)], WHITE, 0.09)
    c.stroke([(0.4, 0.22), (0.2, -0.36), (0.38, -0.36)], WHITE, 0.075)


def _pedestrian_crossing(c: Canvas) -> None:
    square(c)
    c.polygon(regular(3, 0.9, -90, 0.22), WHITE, 0.02)
    for x in (-0.5, -0.26, -0.02, 0.22, 0.46):
        c.polygon([(x - 0.05, 0.6), (x + 0.07, 0.6), (0.8 * x + 0.07, 0.46), (0.8 * x - 0.03, 0.46)], BLACK)
    legs = [[(0, 0.42), (-0.08, 0.62), (-0.2, 0.8)], [(0, 0.42), (0.14, 0.58), (0.18, 0.8)]]
    arms = [[(0, 0.17), (-0.16, 0.3), (-0.2, 0.42)], [(0, 0.17), (0.14, 0.32), (0.25, 0.38)]]
    walker(c, 0.02, -0.34, [[(-0.01, 0.18), (0, 0.42)], *legs, *arms])


def _roadworks(c: Canvas) -> None:
    triangle(c)
    legs = [[(-0.1, 0.4), (0.02, 0.56), (-0.04, 0.78)], [(-0.12, 0.4), (-0.2, 0.58), (-0.32, 0.78)]]
    walker(c, -0.1, -0.18, [[(0, 0.16), (-0.1, 0.38)], *legs, [(0.02, 0.16), (0.17, 0.32), (0.1, 0.42)]])
    c.stroke([(-0.16, 0.1), (0.22, 0.44)], BLACK, 0.055)
    c.polygon([(0.1, 0.6), (0.2, 0.46), (0.33, 0.4), (0.46, 0.5), (0.56, 0.6)], BLACK, 0.02)


def _danger(c: Canvas) -> None:
    triangle(c)
    c.polygon([(-0.09, -0.24), (0.09, -0.24), (0.06, 0.26), (-0.06, 0.26)], BLACK, 0.03)
    c.disc(0.11, BLACK, 0, 0.47)


def _traffic_lights(c: Canvas) -> None:
    triangle(c)
    c.bar(-0.18, -0.3, 0.18, 0.63, BLACK, 0.12)
    for y, colour in ((-0.13, RED), (0.165, YELLOW), (0.46, GREEN)):
        c.disc(0.13, colour, 0, y)


def _uneven_road(c: Canvas) -> None:
    triangle(c)
    humps = arc(-0.28, 0.4, 0.27, 0.36, 180, 360) + arc(0.28, 0.4, 0.27, 0.36, 180, 360)
    c.polygon([(-0.56, 0.52), (-0.56, 0.4), *humps, (0.56, 0.4), (0.56, 0.52)], BLACK, 0.02)


def _parking(c: Canvas) -> None:
    square(c)
    c.write("P", WHITE, 0.5, 0.52, 0.23)


SIGNS: dict[str, Callable[[Canvas], None]] = {
    "stop": _stop,
    "give way": partial(triangle, turn=90),
    "priority road": _priority_road,
    "no entry": _no_entry,
    "no vehicles": prohibition,
    **{f"limit {number}": partial(_limit, number=number) for number in ("30", "50", "80", "120")},
    "no overtaking": _no_overtaking,
    "end of limits": _end_of_limits,
    "no stopping": _no_stopping,
    "turn right": partial(_turn, side=1),
    "turn left": partial(_turn, side=-1),
    "straight on": _straight_on,
    "keep right": _keep_right,
    "roundabout": _roundabout,
    "cycle path": _cycle_path,
    "pedestrian crossing": _pedestrian_crossing,
    "parking": _parking,
    "roadworks": _roadworks,
    "danger": _danger,
    "traffic lights": _traffic_lights,
    "uneven road": _uneven_road,
}
CLASSES = tuple(SIGNS)


def templates() -> Tensor:
    """(24, 4, 128, 128) in [0, 1]: red, green, blue and opacity of each sign in `CLASSES`, face on, on the CPU."""
    return _drawn().clone()


@cache
def _drawn() -> Tensor:
    textures = []
    for draw in SIGNS.values():
        canvas = Canvas()
        draw(canvas)
        textures.append(canvas.texture())
    return torch.stack(textures)
