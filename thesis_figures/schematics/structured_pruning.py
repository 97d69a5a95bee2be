"""Thesis fig 2.2: structured pruning. A filter goes, and with it everything that read its channel."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesis_figures import style
from thesis_figures.schematics.shapes import DROPPED, SMALL, WIDTH, arrow, canvas, label, panel, rectangle

INPUTS, CHANNELS, OUTPUTS, LAST = 4, 5, 4, 6
"""Channels before, between and after the two convolutions that are drawn, and of the last layer."""
GONE, LAST_GONE = 1, 3
"""The channel cut between the convolutions, and the one cut from the last layer."""
CELL = 4.4
LEFT_PANEL, HEIGHT = 113.0, 46.5


def draw() -> Figure:
    """Above, two convolutions and the bilinear features, what a cut removes hatched; below, what is left."""
    figure, ax = canvas(100)
    for y, cut in ((52, False), (1.5, True)):
        panel(ax, 1.5, y, LEFT_PANEL, HEIGHT, "after the cut" if cut else "a convolution and the next")
        _convolutions(ax, y, _channels(CHANNELS, GONE, cut))
        right = LEFT_PANEL + 5.5
        panel(ax, right, y, WIDTH - right - 1.5, HEIGHT, "after the cut" if cut else "bilinear features")
        _features(ax, (right + WIDTH - 1.5) / 2, y, _channels(LAST, LAST_GONE, cut))
    for x in (1.5 + LEFT_PANEL / 2, (LEFT_PANEL + 5.5 + WIDTH - 1.5) / 2):
        arrow(ax, (x, 51.7), (x, 48.3))
    return figure


def _channels(count: int, gone: int, cut: bool) -> list[bool]:
    """Channels that are left, and those of them that the cut removes."""
    return [i == gone for i in range(count) if not (cut and i == gone)]


def _convolutions(ax: Axes, y: float, channels: list[bool]) -> None:
    middle, gone = y + 23.5, "cut" if any(channels) else ""
    centres = (23.0, 58.0, 93.0)
    _matrix(ax, centres[0], middle, channels, [False] * INPUTS)
    _matrix(ax, centres[1], middle, channels, [False])
    _matrix(ax, centres[2], middle, [False] * OUTPUTS, channels)
    names = (
        f"{len(channels)} filters of\n{INPUTS} kernels 3 × 3",
        f"{len(channels)} channels,\nBN and ReLU",
        f"{OUTPUTS} filters of\n{len(channels)} kernels 3 × 3",
    )
    for centre, name in zip(centres, names, strict=True):
        label(ax, centre, y + 5, name)
    arrow(ax, (centres[0] + 13, middle), (centres[1] - 5, middle))
    arrow(ax, (centres[1] + 5, middle), (centres[2] - 15, middle))
    if gone:
        top = middle + len(channels) / 2 * CELL
        row = top - (GONE + 0.5) * CELL
        label(ax, centres[1] + 4, row, "its channel", SMALL, ha="left", colour=style.ORANGE)
        label(ax, centres[0] + 11, row, "a filter", SMALL, ha="left", colour=style.ORANGE)
        label(ax, centres[2], middle + OUTPUTS / 2 * CELL + 2.6, "what read it", SMALL, colour=style.ORANGE)


def _features(ax: Axes, centre: float, y: float, channels: list[bool]) -> None:
    _matrix(ax, centre, y + 24, channels, channels)
    width, gone = len(channels), sum(channels)
    text = f"{width} × {width} = {width**2} features"
    if gone:
        text += f":\na channel takes {width**2 - (width - gone) ** 2} of them along"
    label(ax, centre, y + 5, text)


def _matrix(ax: Axes, centre: float, middle: float, rows: list[bool], columns: list[bool]) -> None:
    """Square cells, those in a row or a column that goes hatched."""
    left, top = centre - len(columns) / 2 * CELL, middle + len(rows) / 2 * CELL
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            x, y = left + j * CELL, top - (i + 1) * CELL
            if row or column:
                rectangle(ax, x, y, CELL, CELL, edge=style.ORANGE, hatch=DROPPED)
            else:
                rectangle(ax, x, y, CELL, CELL, fill=style.SKY)
