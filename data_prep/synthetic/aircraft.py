"""Aircraft from the side. Seven parts define the class; livery, sky, light and pose are random."""

from collections.abc import Mapping

from numpy.random import Generator

from data_prep.synthetic.canvas import Canvas, Point, any_pose, smooth
from data_prep.synthetic.colour import INK, PAPER, RUBBER, Colour, against, mix, paint
from data_prep.synthetic.scene import haze, sky

PARTS = {
    "engine": ("glider", "wing-jet", "tail-jet", "propeller"),
    "tail": ("fin", "t-tail", "twin-tail"),
    "wing": ("swept", "straight", "delta"),
    "nose": ("round", "needle", "dark"),
    "windows": ("dotted", "banded", "blank"),
    "back": ("slim", "humped", "radome"),
    "gear": ("airborne", "wheeled", "floats"),
}

# The near wing, seen from slightly above: corners from the root's leading edge to its trailing edge.
_WINGS: dict[str, list[Point]] = {
    "swept": [(0.22, 0.02), (-0.40, 0.50), (-0.56, 0.50), (-0.22, 0.04)],
    "straight": [(0.28, 0.03), (0.12, 0.50), (-0.08, 0.50), (-0.08, 0.03)],
    "delta": [(0.34, 0.06), (-0.48, 0.46), (-0.60, 0.44), (-0.64, 0.06)],
}
_ROUND: list[Point] = [(0.66, -0.17), (0.86, -0.10), (0.92, 0.02), (0.82, 0.13), (0.62, 0.17)]
_NEEDLE: list[Point] = [(0.48, -0.17), (0.70, -0.12), (0.86, -0.03), (1.10, 0.07), (0.84, 0.10), (0.56, 0.17)]
_NOSES = {"round": _ROUND, "needle": _NEEDLE, "dark": _ROUND}
_STRUT: Colour = (110, 112, 120)
_GREY: Colour = (196, 200, 206)


def draw(side: int, kinds: Mapping[str, str], rng: Generator) -> Canvas:
    """An aircraft of these kinds in the sky, everything else at random from `rng`."""
    pose = any_pose(rng, sizes=(0.36, 0.47), angle=14, height=0.5)
    canvas = sky(side, rng).posed(pose)
    skin = mix(PAPER, paint(rng), 0.75 if rng.random() < 0.35 else rng.uniform(0, 0.15))
    livery = paint(rng)
    metal = mix(skin, (90, 96, 106), rng.uniform(0.25, 0.5))
    _far_wing(canvas, kinds["wing"], metal)
    _gear(canvas, kinds["gear"], livery)
    _tail(canvas, kinds["tail"], livery, metal)
    _fuselage(canvas, kinds, skin, livery, rng)
    if kinds["engine"] == "tail-jet":
        _jet(canvas, (-0.58, -0.12), metal)
    _near_wing(canvas, kinds, metal, rng)
    haze(canvas, rng)
    return canvas


def _fuselage(canvas: Canvas, kinds: Mapping[str, str], skin: Colour, livery: Colour, rng: Generator) -> None:
    light, dark = mix(skin, (255, 255, 255), 0.35), mix(skin, (30, 34, 44), 0.3)
    if kinds["back"] == "humped":
        canvas.fill(smooth([(0.74, -0.12), (0.52, -0.30), (0.10, -0.29), (-0.12, -0.12)]), light)
        canvas.fill([(0.60, -0.24), (0.50, -0.27), (0.46, -0.19), (0.62, -0.19)], INK)
    if kinds["back"] == "radome":
        canvas.fill([(0.04, -0.12), (0.12, -0.12), (0.06, -0.33), (0.0, -0.33)], dark)
        canvas.ellipse((0.03, -0.36), 0.33, 0.075, mix(livery, INK, 0.35))
        canvas.fill([(-0.30, -0.37), (0.36, -0.37), (0.36, -0.34), (-0.30, -0.34)], PAPER)
    hull = [(-0.5, -0.17), *_NOSES[kinds["nose"]], (-0.4, 0.17), (-0.98, -0.06), (-0.98, -0.14)]
    canvas.shade(smooth(hull, 4), light, dark)
    if rng.random() < 0.6:
        low = rng.uniform(0.07, 0.10)
        canvas.fill([(-0.55, low), (0.58, low), (0.58, low + 0.045), (-0.45, low + 0.045)], livery)
    if kinds["nose"] == "dark":
        canvas.fill(smooth([(0.70, 0.155), (0.76, -0.02), (0.84, -0.11), (0.925, 0.02), (0.82, 0.13)]), INK)
    cockpit = 0.52 if kinds["nose"] == "needle" else 0.60
    canvas.fill([(cockpit, -0.14), (cockpit + 0.10, -0.13), (cockpit + 0.16, -0.05), (cockpit, -0.05)], INK)
    _windows(canvas, kinds["windows"], against(skin, rng))


def _windows(canvas: Canvas, kind: str, glass: Colour) -> None:
    if kind == "dotted":
        for i in range(6):
            canvas.ellipse((0.40 - 0.165 * i, -0.055), 0.05, 0.062, glass)
    if kind == "banded":
        canvas.fill([(0.46, -0.11), (0.46, 0.0), (-0.50, 0.0), (-0.50, -0.11)], glass)


def _tail(canvas: Canvas, kind: str, livery: Colour, metal: Colour) -> None:
    dark = mix(livery, INK, 0.35)
    if kind == "fin":
        canvas.shade([(-0.52, -0.13), (-0.84, -0.52), (-1.02, -0.52), (-0.94, -0.10)], livery, dark)
        canvas.fill([(-0.70, -0.08), (-1.02, 0.08), (-1.12, 0.08), (-0.96, -0.08)], metal)
    if kind == "t-tail":
        canvas.shade([(-0.60, -0.13), (-0.82, -0.50), (-1.00, -0.50), (-0.94, -0.10)], livery, dark)
        canvas.fill([(-0.60, -0.56), (-0.64, -0.47), (-1.16, -0.47), (-1.18, -0.53)], metal)
    if kind == "twin-tail":
        canvas.shade([(-0.50, -0.13), (-0.56, -0.46), (-0.70, -0.46), (-0.70, -0.13)], dark, dark)
        canvas.shade([(-0.80, -0.12), (-0.88, -0.48), (-1.04, -0.48), (-0.98, -0.10)], livery, dark)


def _far_wing(canvas: Canvas, kind: str, metal: Colour) -> None:
    canvas.fill([(x - 0.04, -0.10 - 0.55 * y) for x, y in _WINGS[kind]], mix(metal, INK, 0.25))


def _near_wing(canvas: Canvas, kinds: Mapping[str, str], metal: Colour, rng: Generator) -> None:
    root, tip, end, back = _WINGS[kinds["wing"]]
    middle = ((root[0] + tip[0]) / 2, (root[1] + tip[1]) / 2)
    if kinds["engine"] == "wing-jet":
        _jet(canvas, (middle[0] + 0.12, middle[1] + 0.06), metal)
    canvas.shade([root, tip, end, back], mix(metal, (255, 255, 255), 0.3), metal)
    canvas.line([root, tip], 0.03, mix(metal, (255, 255, 255), 0.6))
    if kinds["engine"] == "propeller":
        x, y = middle[0], middle[1] + 0.02
        canvas.ellipse((x - 0.04, y), 0.17, 0.07, mix(metal, INK, 0.5))
        canvas.ellipse((x + 0.14, y), 0.035, 0.24, mix(PAPER, (120, 122, 130), rng.uniform(0, 0.4)))
        canvas.disc((x + 0.15, y), 0.05, INK)


def _jet(canvas: Canvas, centre: Point, metal: Colour) -> None:
    x, y = centre
    canvas.shade(
        smooth(
            [(x + 0.17, y - 0.095), (x + 0.17, y + 0.095), (x - 0.12, y + 0.075), (x - 0.22, y), (x - 0.12, y - 0.08)],
            4,
        ),
        mix(metal, (255, 255, 255), 0.5),
        mix(metal, INK, 0.45),
    )
    canvas.ellipse((x + 0.165, y), 0.05, 0.10, INK)


def _gear(canvas: Canvas, kind: str, livery: Colour) -> None:
    if kind == "wheeled":
        for x in (0.58, -0.14):
            canvas.line([(x, 0.12), (x, 0.38)], 0.05, _STRUT)
            canvas.disc((x, 0.40), 0.085, RUBBER)
            canvas.disc((x, 0.40), 0.035, _GREY)
    if kind == "floats":
        for x in (0.40, -0.22):
            canvas.line([(x, 0.12), (x + 0.04, 0.42)], 0.045, _STRUT)
        boat = [(0.74, 0.36), (0.66, 0.47), (0.20, 0.52), (-0.62, 0.42), (-0.60, 0.38)]
        canvas.shade(boat, mix(livery, (255, 255, 255), 0.5), mix(livery, INK, 0.4))
