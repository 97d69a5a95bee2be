"""Draw shapes on a picture: points in an object's coordinates, placed by a pose.

Coordinates are rounded to whole pixels of the oversampled picture, so that a last bit of a sine cannot
change an image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator
from PIL import Image, ImageDraw

from data_prep.synthetic.colour import Colour

Point = tuple[float, float]
"""x to the right, y down; objects live between -1 and 1, facing right, so that +x is the front."""


@dataclass(frozen=True)
class Pose:
    """Position, size and orientation of an object in the picture."""

    x: float = 0.5
    """Centre, as a share of the side."""
    y: float = 0.5
    size: float = 0.5
    """One unit of the object, as a share of the side."""
    angle: float = 0.0
    """Degrees, nose down."""
    lean: float = 0.0
    """Shear: how far a point one unit up moves forward."""
    stretch: float = 1.0
    """Height of the object relative to its length."""
    mirrored: bool = False


def any_pose(rng: Generator, sizes: tuple[float, float], angle: float, height: float) -> Pose:
    """A pose of any such size, up to `angle` degrees either way, mirrored or not.

    It stands as far from the middle and from `height` (share of the side) as the frame allows."""
    size = rng.uniform(*sizes)
    room = 0.54 - 1.08 * size
    return Pose(
        x=0.5 + rng.uniform(-room, room),
        y=height + 0.8 * rng.uniform(-room, room),
        size=size,
        angle=rng.uniform(-angle, angle),
        lean=rng.uniform(-0.12, 0.12),
        stretch=rng.uniform(0.95, 1.15),
        mirrored=bool(rng.random() < 0.5),
    )


class Canvas:
    """A picture, and the pose of the next shapes."""

    def __init__(self, image: Image.Image, pose: Pose) -> None:
        self.image = image
        self.pose = pose
        self._draw = ImageDraw.Draw(image)
        angle = math.radians(pose.angle)
        unit = pose.size * image.width
        mirror = -1.0 if pose.mirrored else 1.0
        self._xx, self._xy = unit * mirror * math.cos(angle), -unit * mirror * math.sin(angle)
        self._yx, self._yy = unit * math.sin(angle), unit * math.cos(angle)
        self._x, self._y = pose.x * image.width, pose.y * image.height

    def posed(self, pose: Pose) -> "Canvas":
        """A canvas that shares this picture, with another pose."""
        return Canvas(self.image, pose)

    def fill(self, outline: Sequence[Point], colour: Colour) -> None:
        """A polygon of one colour."""
        self._draw.polygon(self._pixels(outline), fill=colour)

    def shade(self, outline: Sequence[Point], top: Colour, bottom: Colour) -> None:
        """A polygon whose colour runs from its upper edge in the picture to its lower."""
        pixels = self._pixels(outline)
        across, down = zip(*pixels, strict=True)
        left, right, high, low = min(across), max(across) + 1, min(down), max(down) + 1
        mask = Image.new("L", (right - left, low - high))
        ImageDraw.Draw(mask).polygon([(x - left, y - high) for x, y in pixels], fill=255)
        ends = Image.new("RGB", (1, 2), top)
        ends.putpixel((0, 1), bottom)
        self.image.paste(ends.resize(mask.size, Image.Resampling.BILINEAR), (left, high), mask)

    def ellipse(self, centre: Point, across: float, down: float, colour: Colour, tilt: float = 0.0) -> None:
        """A filled ellipse of half axes `across` and `down`, turned by `tilt` degrees."""
        self.fill(oval(centre, across, down, tilt), colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """A filled circle (an ellipse under a pose that stretches)."""
        self.fill(oval(centre, radius, radius), colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """A line of `width` units through the points, at least one pixel wide."""
        pixels = max(1, round(width * self.pose.size * self.image.width))
        self._draw.line(self._pixels(points), fill=colour, width=pixels, joint="curve")

    def _pixels(self, points: Sequence[Point]) -> list[tuple[int, int]]:
        lean, stretch = self.pose.lean, self.pose.stretch
        return [
            (
                round(self._x + self._xx * (x - lean * y) + self._xy * y * stretch),
                round(self._y + self._yx * (x - lean * y) + self._yy * y * stretch),
            )
            for x, y in points
        ]


def oval(centre: Point, across: float, down: float, tilt: float = 0.0) -> list[Point]:
    """The outline of an ellipse, turned by `tilt` degrees."""
    cosine, sine = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    return [
        (centre[0] + across * c * cosine - down * s * sine, centre[1] + across * c * sine + down * s * cosine)
        for c, s in _CIRCLE
    ]


def smooth(corners: Sequence[Point], steps: int = 5) -> list[Point]:
    """A closed curve through the corners (Catmull-Rom), as an outline with `steps` points from each to the next."""
    curve, count = [], len(corners)
    for i in range(count):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = (corners[(i + k) % count] for k in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            a, d = t * (t * (2 - t) - 1) / 2, t * t * (t - 1) / 2
            c = t * (t * (4 - 3 * t) + 1) / 2
            b = 1 - a - c - d
            curve.append((a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy))
    return curve


_CIRCLE = [(math.cos(2 * math.pi * i / 28), math.sin(2 * math.pi * i / 28)) for i in range(28)]
