"""Perched birds from the side. Seven parts define the class; plumage colours, branch, light and pose are random."""

from collections.abc import Mapping

from numpy.random import Generator

from data_prep.synthetic.canvas import Canvas, Point, any_pose, smooth
from data_prep.synthetic.colour import INK, Colour, against, hsv, mix, paint
from data_prep.synthetic.scene import foliage, thicket

PARTS = {
    "beak": ("cone-billed", "needle-billed", "hook-billed", "broad-billed"),
    "crest": ("smooth", "spiked", "fanned"),
    "tail": ("long", "fork", "short"),
    "wing": ("plain", "barred", "spotted"),
    "head": ("plain", "capped", "masked"),
    "breast": ("plain", "bibbed", "streaked"),
    "legs": ("short", "long"),
}

_BACK = [(0.50, -0.30), (0.10, -0.36), (-0.34, -0.16), (-0.58, -0.02)]
_BELLY = [(-0.42, 0.16), (-0.10, 0.30), (0.26, 0.27), (0.46, 0.02)]
_WING = [(0.20, -0.16), (0.18, 0.08), (-0.08, 0.19), (-0.46, 0.14), (-0.74, 0.10), (-0.44, -0.06), (-0.10, -0.18)]
_FORK = [(-0.44, -0.10), (-1.02, -0.14), (-0.98, -0.02), (-0.66, 0.10), (-0.96, 0.36), (-0.88, 0.46), (-0.36, 0.16)]
_HEAD: Point = (0.36, -0.42)
_SKULL = 0.235
# Seen from the centre of the head.
_HOOK = [(0.12, -0.12), (0.34, -0.08), (0.42, 0.08), (0.37, 0.26), (0.30, 0.10), (0.14, 0.10)]
_BROAD = [(0.10, -0.17), (0.40, -0.16), (0.66, 0.03), (0.64, 0.14), (0.14, 0.13)]
_CAP = [(0.22, -0.08), (0.12, -0.21), (-0.08, -0.23), (-0.23, -0.06), (0.0, -0.07)]
_MASK = [(0.23, -0.08), (0.23, 0.09), (-0.05, 0.13), (-0.24, 0.02), (-0.04, -0.09)]


def draw(side: int, kinds: Mapping[str, str], rng: Generator) -> Canvas:
    """A bird of these kinds on a branch, everything else at random from `rng`."""
    pose = any_pose(rng, sizes=(0.37, 0.48), angle=12, height=0.54)
    canvas = thicket(side, rng).posed(pose)
    coat = paint(rng)
    belly = mix(coat, (250, 246, 236), rng.uniform(0.35, 0.7))
    mark = against(belly, rng)
    foot = 0.66 if kinds["legs"] == "long" else 0.44
    _branch(canvas, foot, rng)
    _legs(canvas, foot, rng)
    _tail(canvas, kinds["tail"], coat)
    _crest(canvas, kinds["crest"], coat)
    canvas.shade(smooth([*_BACK, *_BELLY]), mix(coat, (255, 255, 255), 0.08), belly)
    _breast(canvas, kinds["breast"], mark)
    _beak(canvas, kinds["beak"], rng)
    canvas.ellipse(_HEAD, _SKULL, _SKULL, coat)
    _face(canvas, kinds["head"], coat, rng)
    _wing(canvas, kinds["wing"], coat, rng)
    foliage(canvas, rng, leaves=int(rng.integers(0, 6)))
    return canvas


def _at_head(outline: list[Point]) -> list[Point]:
    return [(_HEAD[0] + x, _HEAD[1] + y) for x, y in outline]


def _beak(canvas: Canvas, kind: str, rng: Generator) -> None:
    horn = hsv(rng.uniform(0.04, 0.14), rng.uniform(0.3, 0.9), rng.uniform(0.75, 1.0))
    dark = mix(horn, INK, 0.45)
    if kind == "cone-billed":
        canvas.fill(_at_head([(0.16, -0.12), (0.44, 0.03), (0.16, 0.14)]), horn)
        canvas.fill(_at_head([(0.16, 0.03), (0.44, 0.03), (0.16, 0.14)]), dark)
    if kind == "needle-billed":
        canvas.fill(_at_head([(0.18, -0.05), (0.72, 0.03), (0.18, 0.07)]), dark)
    if kind == "hook-billed":
        canvas.fill(smooth(_at_head(_HOOK)), horn)
        canvas.fill(_at_head([(0.14, 0.07), (0.29, 0.10), (0.20, 0.17)]), dark)
    if kind == "broad-billed":
        canvas.fill(smooth(_at_head(_BROAD)), horn)
        canvas.fill(_at_head([(0.50, -0.11), (0.66, 0.02), (0.65, 0.13), (0.50, 0.13)]), INK)


def _crest(canvas: Canvas, kind: str, coat: Colour) -> None:
    x, y = _HEAD
    feather = mix(coat, INK, 0.3)
    if kind == "spiked":
        canvas.fill([(x + 0.12, y - 0.19), (x - 0.42, y - 0.42), (x - 0.22, y - 0.02)], feather)
    if kind == "fanned":
        for dx, dy in ((-0.27, -0.36), (-0.10, -0.44), (0.08, -0.44), (0.24, -0.36)):
            canvas.line([(x + dx * 0.3, y - 0.12), (x + dx, y + dy)], 0.05, feather)
            canvas.disc((x + dx, y + dy), 0.06, feather)


def _tail(canvas: Canvas, kind: str, coat: Colour) -> None:
    dark = mix(coat, INK, 0.4)
    if kind == "long":
        canvas.fill([(-0.40, -0.06), (-1.08, 0.28), (-1.02, 0.44), (-0.36, 0.14)], dark)
    if kind == "fork":
        canvas.fill(_FORK, dark)
    if kind == "short":
        canvas.fill([(-0.42, -0.06), (-0.72, -0.08), (-0.80, 0.14), (-0.66, 0.28), (-0.36, 0.16)], dark)


def _wing(canvas: Canvas, kind: str, coat: Colour, rng: Generator) -> None:
    ground = mix(coat, INK, rng.uniform(0.25, 0.4))
    mark = against(ground, rng)
    canvas.shade(smooth(_WING), mix(ground, (255, 255, 255), 0.1), ground)
    if kind == "barred":
        for x in (0.02, -0.22):
            canvas.fill([(x + 0.06, -0.15), (x + 0.13, -0.13), (x - 0.03, 0.15), (x - 0.12, 0.14)], mark)
    if kind == "spotted":
        for x, y in ((0.06, -0.07), (-0.02, 0.09), (-0.18, -0.08), (-0.24, 0.07), (-0.42, 0.04)):
            canvas.disc((x, y), 0.062, mark)


def _face(canvas: Canvas, kind: str, coat: Colour, rng: Generator) -> None:
    mark = against(coat, rng)
    if kind == "capped":
        canvas.fill(smooth(_at_head(_CAP)), mark)
    if kind == "masked":
        canvas.fill(smooth(_at_head(_MASK)), mark)
    eye = (_HEAD[0] + 0.10, _HEAD[1] - 0.01)
    canvas.disc(eye, 0.06, (250, 248, 240))
    canvas.disc(eye, 0.042, (20, 18, 18))


def _breast(canvas: Canvas, kind: str, mark: Colour) -> None:
    if kind == "bibbed":
        canvas.fill(smooth([(0.53, -0.30), (0.50, -0.04), (0.30, 0.02), (0.18, -0.22)]), mark)
    if kind == "streaked":
        for x, y in ((0.38, -0.10), (0.28, 0.04), (0.40, 0.04), (0.14, 0.20), (0.26, 0.17), (0.0, 0.24)):
            canvas.ellipse((x, y), 0.035, 0.07, mark, tilt=25)


def _branch(canvas: Canvas, foot: float, rng: Generator) -> None:
    bark = hsv(rng.uniform(0.05, 0.11), rng.uniform(0.2, 0.5), rng.uniform(0.25, 0.55))
    slope, thick = rng.uniform(-0.12, 0.12), rng.uniform(0.05, 0.09)
    upper = [(-2.4, foot - 1.5 * slope), (0.0, foot), (2.4, foot + 1.5 * slope)]
    lower = [(x, y + thick * (2 + 0.3 * x)) for x, y in reversed(upper)]
    canvas.shade([*upper, *lower], mix(bark, (255, 255, 255), 0.2), mix(bark, (0, 0, 0), 0.3))


def _legs(canvas: Canvas, foot: float, rng: Generator) -> None:
    shank = hsv(rng.uniform(0.03, 0.12), rng.uniform(0.2, 0.7), rng.uniform(0.3, 0.7))
    for x in (-0.02, 0.14):
        canvas.line([(x, 0.22), (x + 0.03, foot)], 0.045, shank)
        canvas.line([(x - 0.04, foot + 0.01), (x + 0.12, foot + 0.01)], 0.045, shank)
