"""Thesis fig 3.5: VGG-16 with BatchNorm, the trunk of the bilinear CNN."""

from itertools import groupby
from math import log2

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bcnn_prune.layers import MaxPool
from bcnn_prune.spec import ModelSpec
from thesis_figures import style
from thesis_figures.schematics.shapes import SMALL, arrow, canvas, cuboid, label, rectangle

SPEC = ModelSpec.of("vgg16", classes=100)
SIDE = 224
"""Pixels of the image."""
MIDDLE, CAPTIONS, NAMES, KEY = 47.5, 80.5, 14.5, 4.5
"""Heights on the page."""
GAP, POOL = 6.4, 2.6


def draw() -> Figure:
    """Every convolution a block, as high as its map on a log scale and thicker the more channels it has."""
    figure, ax = canvas(87)
    side, x = SIDE, 12.0 + _rise(SIDE) / 2
    pooled = {step.x.maker for step in SPEC.steps(SIDE) if isinstance(step.layer, MaxPool)}
    label(ax, 4, MIDDLE, f"image, 3 × {SIDE} × {SIDE}", rotation=90)
    arrow(ax, (7, MIDDLE), (11.7, MIDDLE))
    for _, stage in groupby(SPEC.layers, key=lambda layer: layer.split("_")[0]):
        layers = list(stage)
        x, middle = _stage(ax, x, side, layers)
        label(ax, middle, CAPTIONS, f"{SPEC.width_of[layers[-1]]} channels\n{side} × {side}")
        if layers[-1] in pooled:
            side //= 2
            _block(ax, x, side, POOL, style.ORANGE)
            x += POOL + GAP + _rise(side)
    arrow(ax, (x + 1.6, MIDDLE), (x + 6.4, MIDDLE))
    label(ax, x + 9.5, MIDDLE, "bilinear pooling", rotation=90)
    for left, fill, text in (
        (22, style.SKY, "3 × 3 convolution, BatchNorm, ReLU"),
        (90, style.ORANGE, "2 × 2 max-pool (none after the last stage)"),
    ):
        rectangle(ax, left, KEY - 1.6, 3.2, 3.2, fill=fill)
        label(ax, left + 5, KEY, text, ha="left")
    return figure


def _stage(ax: Axes, x: float, side: int, layers: list[str]) -> tuple[float, float]:
    """The convolutions of one stage from `x` on; returns where they end and the middle of them."""
    start = x
    for layer in layers:
        thick = log2(SPEC.width_of[layer]) ** 2 / 8.4
        _block(ax, x, side, thick, style.SKY)
        label(ax, x + thick / 2 - _rise(side) / 2, NAMES, layer, SMALL, rotation=90)
        x += thick
    return x, (start + x) / 2


def _height(side: int) -> float:
    return 9 * log2(side) - 26


def _block(ax: Axes, x: float, side: int, thick: float, fill: str) -> None:
    """A block from `x` on, its middle on the axis of the whole."""
    height, rise = _height(side), _rise(side)
    cuboid(ax, x - rise / 2, MIDDLE - (height + rise) / 2, thick, height, 2 * rise, fill)


def _rise(side: int) -> float:
    """Offset of a block's far end, up and to the right of its near end."""
    return 0.15 * _height(side)
