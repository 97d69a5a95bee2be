"""Background, foreground and light: clutter that does not depend on the class.

Far things are made small and enlarged again, which blurs them like a lens does."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from data_prep.synthetic.canvas import Canvas, Pose, smooth
from data_prep.synthetic.colour import Colour, hsv, mix

_PICTURE = Pose(x=0.0, y=0.0, size=1.0)
"""Coordinates of the whole picture: 0 to 1 from the upper left."""

_FAR_SIDE = 120


def street(side: int, rng: Generator, ground: float) -> Canvas:
    """A road that begins a little above `ground` (share of the height), and houses and trees far behind."""
    hue, value = _pick(rng, 0.57, 0.6, 0.09), rng.uniform(0.75, 1)
    top = hsv(hue + rng.uniform(-0.03, 0.03), rng.uniform(0.1, 0.45), value)
    far = _backdrop(top, mix(top, (255, 250, 240), rng.uniform(0.3, 0.8)))
    hue, far_ground = rng.random(), ground + 0.02
    for _ in range(int(rng.integers(4, 9))):
        x, width, height = rng.uniform(-0.1, 1), rng.uniform(0.08, 0.28), rng.uniform(0.1, 0.55)
        if rng.random() < 0.5:
            wall = hsv(hue + rng.uniform(-0.15, 0.15), rng.uniform(0.05, 0.3), rng.uniform(0.4, 0.85))
            far.fill([(x, ground - height), (x + width, ground - height), (x + width, 1), (x, 1)], wall)
        else:
            tree = hsv(rng.uniform(0.2, 0.42), rng.uniform(0.25, 0.6), rng.uniform(0.3, 0.65))
            far.ellipse((x + width / 2, far_ground - height / 3), width / 2, height / 3, tree)
    canvas = _blurred(far, side, softness=40)
    road = hsv(rng.random(), rng.uniform(0, 0.12), rng.uniform(0.3, 0.75))
    kerb = ground - rng.uniform(0.02, 0.1)
    canvas.shade(_slab(kerb, 1.05), mix(road, (255, 255, 255), 0.12), mix(road, (0, 0, 0), 0.25))
    canvas.fill(_slab(kerb - 0.015, kerb), mix(road, (255, 255, 255), rng.uniform(0, 0.45)))
    if rng.random() < 0.6:
        start, line = rng.uniform(-0.3, 0), ground + rng.uniform(0.16, 0.24)
        for x in (start, start + 0.4, start + 0.8, start + 1.2):
            canvas.fill(
                [(x, line), (x + 0.22, line), (x + 0.2, line + 0.025), (x - 0.03, line + 0.025)], (225, 222, 205)
            )
    return canvas


def sky(side: int, rng: Generator) -> Canvas:
    """An open sky with clouds, and now and then hills at the bottom."""
    hue, value = _pick(rng, 0.56, 0.58, 0.6, 0.62, 0.08), rng.uniform(0.7, 1)
    top = hsv(hue + rng.uniform(-0.02, 0.02), rng.uniform(0.1, 0.6), value)
    far = _backdrop(top, mix(top, (255, 248, 235), rng.uniform(0.3, 0.85)))
    for _ in range(int(rng.integers(0, 6))):
        x, y, tone = rng.uniform(0, 1), rng.uniform(0, 0.9), int(rng.integers(205, 256))
        for _ in range(4):
            puff = (x + rng.uniform(-0.13, 0.13), y + rng.uniform(-0.03, 0.03))
            far.ellipse(puff, rng.uniform(0.06, 0.14), rng.uniform(0.025, 0.07), (tone, tone, tone))
    if rng.random() < 0.45:
        land = hsv(rng.uniform(0.08, 0.45), rng.uniform(0.15, 0.5), rng.uniform(0.35, 0.7))
        horizon = rng.uniform(0.78, 0.92)
        ridge = [(x / 6, horizon + rng.uniform(-0.08, 0.02)) for x in range(-1, 8)]
        far.fill([(-0.2, 1.1), *ridge, (1.2, 1.1)], land)
    return _blurred(far, side, softness=32)


def thicket(side: int, rng: Generator) -> Canvas:
    """Foliage, bark, water or sky out of focus."""
    hue, spread = _pick(rng, 0.28, 0.32, 0.12, 0.55, 0.95, 0.2), rng.uniform(0.02, 0.08)
    value = rng.uniform(0.4, 0.85)
    first, second = (hsv(hue + rng.uniform(-spread, spread), rng.uniform(0.15, 0.45), value) for _ in range(2))
    far = _backdrop(first, mix(second, (255, 255, 255), rng.uniform(0, 0.3)))
    for _ in range(int(rng.integers(8, 20))):
        tone = min(1.0, max(0.15, value + rng.uniform(-0.22, 0.22)))
        colour = hsv(hue + rng.uniform(-2, 2) * spread, rng.uniform(0.1, 0.5), tone)
        far.disc((rng.random(), rng.random()), rng.uniform(0.04, 0.17), colour)
    return _blurred(far, side, softness=20)


def foliage(canvas: Canvas, rng: Generator, leaves: int) -> None:
    """Leaves near the lens, along the edges of the picture where they hide no more than a tip of the object."""
    edge = canvas.posed(_PICTURE)
    for _ in range(leaves):
        along, depth = rng.uniform(0, 1), rng.uniform(-0.05, 0.06)
        x, y = ((along, depth), (along, 1 - depth), (depth, along), (1 - depth, along))[rng.integers(4)]
        reach, turn = rng.uniform(0.05, 0.1), rng.uniform(-1, 1)
        colour = hsv(rng.uniform(0.17, 0.4), rng.uniform(0.3, 0.75), rng.uniform(0.3, 0.75))
        rise, waist = reach * turn, reach / 2.5
        edge.fill(smooth([(x - reach, y - rise), (x, y - waist), (x + reach, y + rise), (x, y + waist)], 4), colour)


def roadside(canvas: Canvas, rng: Generator) -> None:
    """Foreground of a road: sometimes a post, sometimes a shrub, which may hide a part."""
    near = canvas.posed(_PICTURE)
    if rng.random() < 0.3:
        x, width, tone = rng.uniform(0.05, 0.95), rng.uniform(0.008, 0.018), int(rng.integers(60, 130))
        for left, shade in ((x - width, tone), (x + width / 3, tone // 2)):
            near.fill([(left, -0.05), (x + width, -0.05), (x + width, 1.05), (left, 1.05)], (shade,) * 3)
    if rng.random() < 0.45:
        x, hue = rng.uniform(0, 1), rng.uniform(0.2, 0.4)
        for _ in range(7):
            leaf = hsv(hue + rng.uniform(-0.04, 0.04), rng.uniform(0.35, 0.6), rng.uniform(0.25, 0.55))
            near.disc((x + rng.uniform(-0.14, 0.14), rng.uniform(0.9, 1.05)), rng.uniform(0.05, 0.12), leaf)


def haze(canvas: Canvas, rng: Generator) -> None:
    """Thin cloud before the object."""
    veil = Canvas(Image.new("RGB", (_FAR_SIDE, _FAR_SIDE)), _PICTURE)
    for _ in range(int(rng.integers(0, 4))):
        centre, density = (rng.random(), rng.random()), int(rng.integers(90, 210))
        veil.ellipse(centre, rng.uniform(0.1, 0.25), rng.uniform(0.03, 0.08), (density,) * 3, rng.uniform(-15, 15))
    mask = _blurred(veil, canvas.image.width, softness=14).image.getchannel(0)
    canvas.image.paste((244, 246, 250), (0, 0), mask)


def finished(canvas: Canvas, side: int, rng: Generator) -> NDArray[np.uint8]:
    """The picture at its final side, under uneven light and with the camera's noise: side × side × 3."""
    small = canvas.image.resize((side, side), Image.Resampling.BOX)
    lamps = rng.integers(98, 158, size=(2, 2)).astype(np.uint8)
    light = Image.fromarray(lamps).resize((side, side), Image.Resampling.BILINEAR, (0.5, 0.5, 1.5, 1.5))
    grain = int(rng.integers(1, 9))
    noise = rng.integers(-grain, grain + 1, size=(side, side, 3))
    lit = (np.asarray(small, dtype=np.int64) * np.asarray(light, dtype=np.int64)[..., None] >> 7) + noise
    return lit.clip(0, 255).astype(np.uint8)


def _backdrop(top: Colour, bottom: Colour) -> Canvas:
    canvas = Canvas(Image.new("RGB", (_FAR_SIDE, _FAR_SIDE)), _PICTURE)
    canvas.shade(_slab(-0.05, 1.05), top, bottom)
    return canvas


def _blurred(far: Canvas, side: int, softness: int) -> Canvas:
    """The backdrop at `side`, after it went through `softness` pixels a side: the fewer, the softer."""
    small = far.image.resize((softness, softness), Image.Resampling.BILINEAR)
    return Canvas(small.resize((side, side), Image.Resampling.BICUBIC), _PICTURE)


def _pick(rng: Generator, *options: float) -> float:
    return options[rng.integers(len(options))]


def _slab(top: float, bottom: float) -> list[tuple[float, float]]:
    return [(-0.05, top), (1.05, top), (1.05, bottom), (-0.05, bottom)]
