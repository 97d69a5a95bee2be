"""The few shapes that all drawings are made of. Every length is in millimetres of the printed page."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle
from matplotlib.path import Path
from numpy.typing import NDArray

from thesis_figures import style

WIDTH = style.WIDE * 25.4
TITLE, TEXT, SMALL = 8.0, 7.4, 6.6
"""Points."""
LINE, THIN = 0.9, 0.6
"""Points."""
EDGE = "#555555"
DROPPED = "////"
"""The hatch of whatever a cut removes."""

Point = tuple[float, float]
Across = Literal["left", "center", "right"]
Upright = Literal["top", "center", "baseline", "bottom"]


def canvas(height: float) -> tuple[Figure, Axes]:
    """An empty page of the text's width, and axes that measure it in millimetres from the lower left."""
    style.apply()
    figure = Figure(figsize=(style.WIDE, height / 25.4))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(0, height), autoscale_on=False)
    ax.axis("off")
    return figure, ax


def label(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    size: float = TEXT,
    *,
    ha: Across = "center",
    va: Upright = "center",
    colour: str = style.BLACK,
    bold: bool = False,
    rotation: float = 0,
) -> None:
    """Text at a point."""
    weight = "bold" if bold else "normal"
    ax.text(x, y, text, ha=ha, va=va, fontsize=size, color=colour, weight=weight, rotation=rotation, linespacing=1.25)


def box(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    text: str = "",
    *,
    fill: str = "white",
    dashed: bool = False,
    size: float = TEXT,
) -> None:
    """A rounded box with text in its middle; `x`, `y` is its lower left corner."""
    line = "--" if dashed else "-"
    corners = "round,pad=0,rounding_size=1.4"
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=corners, fc=fill, ec=EDGE, lw=LINE, ls=line, zorder=1))
    if text:
        label(ax, x + width / 2, y + height / 2, text, size)


def panel(ax: Axes, x: float, y: float, width: float, height: float, title: str, fill: str = style.PALE) -> None:
    """A ground with its title in the upper left corner, to put boxes on."""
    corners = "round,pad=0,rounding_size=2"
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=corners, fc=fill, ec="none", zorder=0))
    label(ax, x + 3, y + height - 5.4, title, TITLE, ha="left", va="baseline", bold=True)


def arrow(ax: Axes, *points: Point, dashed: bool = False, colour: str = style.BLACK) -> None:
    """An arrow through the points, its head at the last."""
    path = Path(np.asarray(points))
    line = (0, (3, 2)) if dashed else "-"
    head = FancyArrowPatch(
        path=path, arrowstyle="-|>", mutation_scale=8, color=colour, lw=LINE, ls=line, joinstyle="miter", zorder=2
    )
    ax.add_patch(head)


def row_of_boxes(
    ax: Axes, x: float, y: float, width: float, height: float, texts: Sequence[str], *, gap: float = 5
) -> list[float]:
    """Boxes from left to right with an arrow from each to the next; returns the x of each one's middle."""
    lefts = [x + i * (width + gap) for i in range(len(texts))]
    for left, text in zip(lefts, texts, strict=True):
        box(ax, left, y, width, height, text)
        if left > x:
            arrow(ax, (left - gap + 0.5, y + height / 2), (left - 0.4, y + height / 2))
    return [left + width / 2 for left in lefts]


def rectangle(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    fill: str = "white",
    edge: str = EDGE,
    hatch: str | None = None,
    line: float = THIN,
    dashed: bool = False,
) -> None:
    """A rectangle; `x`, `y` is its lower left corner."""
    dashes = "--" if dashed else "-"
    ax.add_patch(Rectangle((x, y), width, height, fc=fill, ec=edge, hatch=hatch, lw=line, ls=dashes, zorder=1.5))


def channel(ax: Axes, x: float, y: float, side: float, kept: bool, fill: str = style.SKY) -> None:
    """One channel, a filled square, or a hatched one where the cut takes it."""
    if kept:
        rectangle(ax, x, y, side, side, fill=fill)
    else:
        rectangle(ax, x, y, side, side, edge=style.ORANGE, hatch=DROPPED)


def scales(
    ax: Axes, centre: float, y: float, heights: Sequence[float], *, tall: float, wide: float, threshold: float = 0
) -> None:
    """Bars of BN scales 0 to 1 on a base line, `tall` for 1 and `wide` each; those below the threshold are hatched."""
    start = centre - len(heights) * wide / 2
    for i, height in enumerate(heights):
        kept = height >= threshold
        bar = (start + (i + 0.1) * wide, y, 0.8 * wide, max(0.4, tall * height))
        if kept:
            rectangle(ax, *bar, fill=style.BLUE, edge=style.BLUE)
        else:
            rectangle(ax, *bar, edge=style.ORANGE, hatch=DROPPED)
    ax.plot([start, start + len(heights) * wide], [y, y], color=style.BLACK, lw=THIN, zorder=3)
    if threshold:
        level = y + tall * threshold
        ends = [start - 0.6, start + len(heights) * wide + 0.6]
        ax.plot(ends, [level, level], color=style.ORANGE, ls="--", lw=1.2, zorder=3)


def cuboid(ax: Axes, x: float, y: float, width: float, height: float, depth: float, fill: str = style.SKY) -> None:
    """A block seen from the front and above: the front's lower left corner at `x`, `y`, `depth` drawn at 45°."""
    rise = depth * 0.5
    right, top = x + width, y + height
    roof = [(x, top), (right, top), (right + rise, top + rise), (x + rise, top + rise)]
    flank = [(right, y), (right, top), (right + rise, top + rise), (right + rise, y + rise)]
    rectangle(ax, x, y, width, height, fill=fill, edge=EDGE)
    for corners, light in ((roof, 0.55), (flank, 0.25)):
        ax.add_patch(Polygon(corners, closed=True, fc=_lighter(fill, light), ec=EDGE, lw=THIN, zorder=1.5))


def _lighter(colour: str, share: float) -> tuple[float, ...]:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return tuple((channels + (1 - channels) * share).tolist())


def number_grid(ax: Axes, x: float, y: float, values: NDArray[np.int64], side: float, fills: NDArray[np.str_]) -> None:
    """A matrix in square cells, its first row at the top and `x`, `y` its lower left corner."""
    rows, columns = values.shape
    for row in range(rows):
        for column in range(columns):
            left, bottom = x + column * side, y + (rows - 1 - row) * side
            rectangle(ax, left, bottom, side, side, fill=str(fills[row, column]))
            label(ax, left + side / 2, bottom + side / 2, number(values[row, column]), SMALL)


def number(value: float) -> str:
    """As few digits as it takes, with a true minus sign."""
    return f"{value:g}".replace("-", "−")


def picture(ax: Axes, x: float, y: float, side: float, pixels: NDArray[np.uint8]) -> None:
    """A square image with a thin frame; `x`, `y` is its lower left corner."""
    ax.imshow(pixels, extent=(x, x + side, y, y + side), zorder=1, aspect="auto")
    rectangle(ax, x, y, side, side, fill="none", edge=EDGE)
