"""Drawing in the square [-1, 1]² (y points down), at high resolution, with Pillow."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

FINE, STORED = 512, 128  # pixels across while drawing, and across a texture
RED, BLUE, YELLOW, GREEN = (190, 24, 36), (0, 84, 158), (248, 190, 18), (16, 150, 84)
WHITE, BLACK, GREY = (244, 245, 242), (26, 26, 28), (118, 120, 124)
Points = list[tuple[float, float]]
Colour = tuple[int, int, int]


class Canvas:
    """Filled shapes in the square [-1, 1]² on a transparent picture."""

    def __init__(self) -> None:
        self.picture = Image.new("RGBA", (FINE, FINE))
        self.pen = ImageDraw.Draw(self.picture)

    def disc(self, radius: float, colour: Colour, x: float = 0.0, y: float = 0.0) -> None:
        corners = [(x - radius, y - radius), (x + radius, y + radius)]
        self.pen.ellipse(self._pixels(corners), fill=colour)

    def bar(self, left: float, top: float, right: float, bottom: float, colour: Colour, rounded: float = 0.0) -> None:
        self.pen.rounded_rectangle(self._pixels([(left, top), (right, bottom)]), FINE / 2 * rounded, colour)

    def stroke(self, points: Points, colour: Colour, width: float, butt: bool = False) -> None:
        """A line with round ends and joints, or with square ones (`butt`)."""
        self.pen.line(self._pixels(points), colour, round(FINE / 2 * width))
        for x, y in points if not butt else []:
            self.disc(width / 2, colour, x, y)

    def polygon(self, points: Points, colour: Colour, rounded: float = 0.0) -> None:
        self.pen.polygon(self._pixels(points), colour)
        if rounded:
            self.stroke([*points, points[0]], colour, 2 * rounded)

    def arrow(self, tip: tuple[float, float], angle: float, colour: Colour, size: float = 0.48) -> None:
        """An arrow head whose tip points along `angle` (degrees, clockwise from the right)."""
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        corners = ((0, 0), (-size, 0.72 * size), (-size, -0.72 * size))
        self.polygon([(tip[0] + c * u - s * v, tip[1] + s * u + c * v) for u, v in corners], colour)

    def write(self, text: str, colour: Colour, height: float, glyph: float, width: float) -> None:
        """`text` in the middle: half its `height`, the width of a `glyph`, the `width` of a stroke."""
        widths = [0.6 * glyph if letter == "1" else glyph for letter in text]
        left = -(sum(widths) + 1.5 * width * (len(text) - 1)) / 2
        for letter, wide in zip(text, widths, strict=True):
            for line in GLYPHS[letter]:
                self.stroke([(left + wide / 2 + glyph * u, height * v) for u, v in line], colour, width)
            left += wide + 1.5 * width

    def texture(self) -> Tensor:
        """(4, STORED, STORED) in [0, 1]: red, green, blue and opacity."""
        pixels = torch.frombuffer(bytearray(self.picture.tobytes()), dtype=torch.uint8).view(FINE, FINE, 4)
        rgb, opacity = (pixels.permute(2, 0, 1) / 255).split([3, 1])
        shrunk = F.avg_pool2d(torch.cat([rgb * opacity, opacity]), FINE // STORED)  # so no colour seeps in from outside
        return torch.cat([shrunk[:3] / shrunk[3:].clamp(min=1e-6), shrunk[3:]]).clamp(0, 1)

    @staticmethod
    def _pixels(points: Points) -> Points:
        return [(FINE / 2 * (1 + x), FINE / 2 * (1 + y)) for x, y in points]


def arc(x: float, y: float, width: float, height: float, start: float, stop: float) -> Points:
    """Points on an ellipse, from angle `start` to `stop` (degrees, clockwise from the right)."""
    angles = [math.radians(start + (stop - start) * i / 40) for i in range(41)]
    return [(x + width * math.cos(angle), y + height * math.sin(angle)) for angle in angles]


def regular(corners: int, radius: float, turn: float, y: float = 0.0) -> Points:
    """A regular polygon around (0, y) whose first corner is at angle `turn`."""
    angles = [math.radians(turn + 360 * i / corners) for i in range(corners)]
    return [(radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


GLYPHS = {  # strokes within [-0.5, 0.5] × [-1, 1]
    "0": [arc(0, -0.5, 0.5, 0.5, 180, 360) + arc(0, 0.5, 0.5, 0.5, 0, 180) + [(-0.5, -0.5)]],
    "1": [[(-0.25, -0.62), (0.12, -1), (0.12, 1)]],
    "2": [[*arc(0, -0.5, 0.5, 0.5, 180, 400), (-0.5, 1), (0.5, 1)]],
    "3": [arc(0, -0.5, 0.45, 0.5, 200, 450), arc(0, 0.5, 0.5, 0.5, 270, 520)],
    "5": [[(0.42, -1), (-0.38, -1), *arc(0, 0.38, 0.5, 0.62, 215, 510)]],
    "8": [arc(0, -0.5, 0.42, 0.5, 0, 360), arc(0, 0.5, 0.5, 0.5, 0, 360)],
    "S": [arc(0, -0.5, 0.5, 0.5, 335, 90) + arc(0, 0.5, 0.5, 0.5, 270, 515)],
    "T": [[(-0.5, -1), (0.5, -1)], [(0, -1), (0, 1)]],
    "P": [[(-0.45, 1), (-0.45, -1), *arc(0, -0.45, 0.5, 0.55, 270, 450), (-0.45, 0.1)]],
}
GLYPHS["O"] = GLYPHS["0"]


def prohibition(c: Canvas, face: Colour = WHITE) -> None:
    """A red ring around a white or other `face`."""
    c.disc(0.97, WHITE)
    c.disc(0.94, RED)
    c.disc(0.71, face)


def order(c: Canvas) -> None:
    """A blue disc."""
    c.disc(0.97, WHITE)
    c.disc(0.91, BLUE)


def square(c: Canvas) -> None:
    """A blue square."""
    c.bar(-0.93, -0.93, 0.93, 0.93, WHITE, 0.12)
    c.bar(-0.87, -0.87, 0.87, 0.87, BLUE, 0.08)


def triangle(c: Canvas, turn: float = -90) -> None:
    """A white triangle with a red border, pointing along `turn`."""
    y = 0.22 if turn < 0 else -0.22
    for radius, colour, rounded in ((1.02, WHITE, 0.1), (1.02, RED, 0.07), (0.66, WHITE, 0.04)):
        c.polygon(regular(3, radius, turn, y), colour, rounded)


def walker(c: Canvas, x: float, y: float, limbs: list[Points]) -> None:
    """A head at (x, y) and, seen from there, a back, two legs and arms."""
    c.disc(0.1, BLACK, x, y)
    for points, width in zip(limbs, (0.17, 0.1, 0.1, 0.08, 0.08), strict=False):
        c.stroke([(x + u, y + v) for u, v in points], BLACK, width)
