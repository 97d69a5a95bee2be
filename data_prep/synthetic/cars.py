"""Cars from the side. Seven parts define the class; paint, glass, light and pose are random."""

from collections.abc import Mapping

from numpy.random import Generator

from data_prep.synthetic.canvas import Canvas, Point, any_pose
from data_prep.synthetic.colour import INK, PAPER, RUBBER, Colour, against, hsv, mix, paint
from data_prep.synthetic.scene import roadside, street

PARTS = {
    "body": ("saloon", "estate", "coupé", "pickup"),
    "wheels": ("disc", "spoked", "ringed"),
    "glass": ("open", "pillared", "panelled"),
    "front": ("wedge", "upright", "bull-bar"),
    "rear": ("plain", "winged", "spare-wheel"),
    "roof": ("bare", "railed", "boxed"),
    "flank": ("plain", "striped", "clad"),
}

# Corners of the cabin from the foot of the windscreen over the roof to its rear end.
_CABINS: dict[str, list[Point]] = {
    "saloon": [(0.50, -0.08), (0.24, -0.46), (-0.30, -0.46), (-0.58, -0.08)],
    "estate": [(0.50, -0.08), (0.24, -0.46), (-0.80, -0.46), (-0.90, -0.08)],
    "coupé": [(0.44, -0.08), (0.10, -0.43), (-0.14, -0.43), (-0.88, -0.08)],
    "pickup": [(0.54, -0.08), (0.32, -0.46), (-0.08, -0.46), (-0.12, -0.08)],
}
_NOSES: dict[str, list[Point]] = {
    "wedge": [(0.46, -0.10), (0.97, 0.13), (0.97, 0.28)],
    "upright": [(0.46, -0.12), (0.88, -0.12), (0.95, -0.06), (0.95, 0.28)],
    "bull-bar": [(0.46, -0.10), (0.74, -0.06), (0.88, 0.04), (0.90, 0.28)],
}
_WHEELS = (-0.56, 0.56)


def draw(side: int, kinds: Mapping[str, str], rng: Generator) -> Canvas:
    """A car of these kinds in a street, everything else at random from `rng`."""
    pose = any_pose(rng, sizes=(0.35, 0.46), angle=8, height=0.53)
    scene = street(side, rng, ground=pose.y + 0.3 * pose.size)
    canvas = scene.posed(pose)
    coat = paint(rng)
    canvas.ellipse((0.0, 0.47), 1.02, 0.07, (30, 30, 36))
    _rear(canvas, kinds, coat)
    _body(canvas, kinds, coat, rng)
    _roof(canvas, kinds, rng)
    _front(canvas, kinds)
    for x in _WHEELS:
        _wheel(canvas, kinds["wheels"], (x, 0.29), 0.215, rng)
    roadside(canvas, rng)
    return canvas


def _body(canvas: Canvas, kinds: Mapping[str, str], coat: Colour, rng: Generator) -> None:
    high, low = mix(coat, (255, 255, 255), 0.25), mix(coat, (0, 0, 0), 0.3)
    cabin = _CABINS[kinds["body"]]
    canvas.shade(cabin, high, coat)
    _glass(canvas, kinds["glass"], cabin, coat, rng)
    nose = _NOSES[kinds["front"]]
    shell = [(-0.90, -0.10), *nose, (0.85, 0.33), (-0.88, 0.33), (-0.95, 0.22), (-0.94, -0.04)]
    canvas.shade(shell, high, low)
    if kinds["body"] == "pickup":
        canvas.fill([(-0.86, -0.06), (-0.16, -0.06), (-0.16, -0.10), (-0.86, -0.10)], INK)
    if kinds["flank"] == "striped":
        colour = against(coat, rng)
        canvas.fill([(-0.945, 0.02), (0.80, 0.02), (0.84, 0.12), (-0.95, 0.12)], colour)
    if kinds["flank"] == "clad":
        dark = rng.integers(40, 75)
        canvas.fill([(-0.95, 0.17), (0.93, 0.17), (0.93, 0.33), (-0.92, 0.33)], (int(dark), int(dark), int(dark) + 4))
    for x in _WHEELS:
        canvas.disc((x, 0.28), 0.255, INK)


def _glass(canvas: Canvas, kind: str, cabin: list[Point], coat: Colour, rng: Generator) -> None:
    tint = hsv(rng.uniform(0.5, 0.65), rng.uniform(0.1, 0.4), rng.uniform(0.15, 0.32))
    middle_x = sum(x for x, _ in cabin) / 4
    pane = [(middle_x + (x - middle_x) * 0.85, -0.24 + (y + 0.24) * 0.72) for x, y in cabin]
    canvas.shade(pane, tint, mix(tint, (200, 220, 240), 0.3))
    front, back = pane[1][0], pane[2][0]
    if kind == "pillared":
        for share in (0.3, 0.72) if back < -0.25 else (0.45,):
            x = front + (back - front) * share
            canvas.fill([(x - 0.045, -0.45), (x + 0.045, -0.45), (x + 0.055, -0.07), (x - 0.055, -0.07)], coat)
    if kind == "panelled":
        x = front + (back - front) * 0.5
        canvas.fill([(x, -0.42), (pane[2][0], -0.42), (pane[3][0] - 0.02, -0.08), (x - 0.02, -0.08)], coat)


def _front(canvas: Canvas, kinds: Mapping[str, str]) -> None:
    lamp: Colour = (255, 247, 205)
    if kinds["front"] == "wedge":
        canvas.fill([(0.72, 0.04), (0.93, 0.13), (0.95, 0.20), (0.74, 0.14)], lamp)
    if kinds["front"] == "upright":
        canvas.disc((0.84, 0.02), 0.11, INK)
        canvas.disc((0.84, 0.02), 0.085, lamp)
        canvas.fill([(0.91, -0.06), (0.97, -0.06), (0.97, 0.24), (0.91, 0.24)], (196, 198, 202))
    if kinds["front"] == "bull-bar":
        canvas.ellipse((0.82, 0.08), 0.06, 0.06, lamp)
        canvas.line([(0.86, -0.12), (1.02, -0.12), (1.02, 0.30), (0.84, 0.30)], 0.065, RUBBER)
        canvas.line([(0.88, 0.16), (1.02, 0.16)], 0.065, RUBBER)


def _rear(canvas: Canvas, kinds: Mapping[str, str], coat: Colour) -> None:
    high = -0.46 if kinds["body"] == "estate" else -0.10
    if kinds["rear"] == "winged":
        dark = mix(coat, (0, 0, 0), 0.45)
        canvas.line([(-0.78, high + 0.04), (-0.84, high - 0.12)], 0.06, dark)
        canvas.fill([(-1.04, high - 0.19), (-0.66, high - 0.11), (-0.66, high - 0.05), (-1.04, high - 0.10)], dark)
    if kinds["rear"] == "spare-wheel":
        canvas.ellipse((-1.0, 0.02), 0.10, 0.20, RUBBER)
        canvas.ellipse((-1.02, 0.02), 0.05, 0.10, (185, 187, 192))


def _roof(canvas: Canvas, kinds: Mapping[str, str], rng: Generator) -> None:
    (front, high), (back, _) = _CABINS[kinds["body"]][1:3]
    if back > -0.25:
        front, back = front + 0.04, back - 0.08
    if kinds["roof"] == "railed":
        canvas.line([(front, high), (front, high - 0.10), (back, high - 0.10), (back, high)], 0.05, INK)
        canvas.line([((front + back) / 2, high), ((front + back) / 2, high - 0.10)], 0.05, INK)
    if kinds["roof"] == "boxed":
        tone = int(rng.integers(205, 250))
        canvas.line([(front - 0.08, high), (front - 0.08, high - 0.06)], 0.05, INK)
        canvas.line([(back + 0.08, high), (back + 0.08, high - 0.06)], 0.05, INK)
        box = [(front + 0.02, high - 0.05), (front - 0.04, high - 0.16), (front - 0.12, high - 0.20)]
        box += [(back + 0.02, high - 0.20), (back - 0.02, high - 0.16), (back - 0.02, high - 0.05)]
        canvas.shade(box, (tone, tone, tone), (tone - 60, tone - 60, tone - 55))


def _wheel(canvas: Canvas, kind: str, centre: Point, radius: float, rng: Generator) -> None:
    x, y = centre
    metal = mix(PAPER, (150, 152, 158), rng.uniform(0, 0.6))
    canvas.disc(centre, radius, RUBBER)
    if kind == "disc":
        canvas.disc(centre, 0.72 * radius, metal)
    if kind == "ringed":
        canvas.disc(centre, 0.88 * radius, metal)
        canvas.disc(centre, 0.56 * radius, RUBBER)
    if kind == "spoked":
        turn = rng.uniform(-0.2, 0.2)
        for dx, dy in ((0.75, 0.75 * turn), (-0.75 * turn, 0.75)):
            ends = [(x - dx * radius, y - dy * radius), (x + dx * radius, y + dy * radius)]
            canvas.line(ends, 0.30 * radius, metal)
