"""Thesis fig 3.3: a 3 × 3 convolution with padding and a 2 × 2 max-pool, worked out on one small map."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from thesis_figures import style
from thesis_figures.schematics.shapes import SMALL, TITLE, arrow, canvas, label, number, number_grid, rectangle

Map = NDArray[np.int64]

INPUT: Map = np.array([[3, 1, 0, 2], [0, 2, 4, 1], [1, 5, 2, 0], [2, 0, 1, 3]])
KERNEL: Map = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
"""An edge filter (Sobel): numbers small enough to follow."""
SHOWN = (1, 2)
"""Row and column of the output whose sum is written out."""
CELL, MIDDLE = 6.0, 37.0


def convolved(image: Map, kernel: Map) -> Map:
    """Cross-correlation, which networks call convolution: the kernel is not flipped; zeros pad the image."""
    windows = sliding_window_view(np.pad(image, kernel.shape[0] // 2), kernel.shape)
    sums: Map = np.einsum("ijkl,kl->ij", windows, kernel)
    return sums


def pooled(image: Map) -> Map:
    """The largest of each 2 × 2 values."""
    rows, columns = image.shape
    largest: Map = image.reshape(rows // 2, 2, columns // 2, 2).max(axis=(1, 3))
    return largest


def draw() -> Figure:
    """Input in its border of zeros, kernel, output, and the pooled output; one of each sum is written out."""
    figure, ax = canvas(68)
    padded, output = np.pad(INPUT, 1), convolved(INPUT, KERNEL)
    inner = np.pad(np.ones_like(INPUT, dtype=bool), 1)
    _map(ax, 25, padded, np.where(inner, "white", "#e4e4e4"), "input, zeros around")
    _map(ax, 72, KERNEL, np.full(KERNEL.shape, "white"), "kernel")
    quarters = np.kron([[0, 1], [1, 0]], np.ones((2, 2), dtype=np.int64)).astype(bool)
    _map(ax, 117, output, np.where(quarters, style.PALE_BLUE, "white"), "output")
    _map(ax, 169, pooled(output), np.where(quarters[::2, ::2], style.PALE_BLUE, "white"), "pooled")
    label(ax, 53, MIDDLE, "∗", 12)
    arrow(ax, (84.5, MIDDLE), (101.5, MIDDLE))
    arrow(ax, (132.5, MIDDLE), (159.5, MIDDLE))
    label(ax, 146, MIDDLE + 4.5, "2 × 2 max-pool", SMALL)
    row, column = SHOWN
    _frame(ax, 25, padded.shape, SHOWN, 3)
    _frame(ax, 117, output.shape, SHOWN, 1)
    label(ax, 7, 9.5, f"framed: {_sum(padded[row : row + 3, column : column + 3], int(output[SHOWN]))}", ha="left")
    first = ", ".join(number(value) for value in output[:2, :2].flatten().tolist())
    label(ax, 7, 4, f"pooled, upper left: max({first}) = {number(int(pooled(output)[0, 0]))}", ha="left")
    return figure


def _sum(window: Map, result: int) -> str:
    terms = [
        f"{number(value)}·{number(weight) if weight >= 0 else f'({number(weight)})'}"
        for value, weight in zip(window.flatten().tolist(), KERNEL.flatten().tolist(), strict=True)
    ]
    return f"{' + '.join(terms)} = {number(result)}"


def _corner(centre: float, shape: tuple[int, ...]) -> tuple[float, float]:
    return centre - shape[1] / 2 * CELL, MIDDLE - shape[0] / 2 * CELL


def _map(ax: Axes, centre: float, values: Map, fills: NDArray[np.str_], name: str) -> None:
    x, y = _corner(centre, values.shape)
    number_grid(ax, x, y, values, CELL, fills)
    label(ax, centre, 61, name, TITLE, va="baseline", bold=True)
    label(ax, centre, y - 3.2, f"{values.shape[0]} × {values.shape[1]}", SMALL)


def _frame(ax: Axes, centre: float, shape: tuple[int, ...], place: tuple[int, int], cells: int) -> None:
    x, y = _corner(centre, shape)
    side = cells * CELL
    top = y + (shape[0] - place[0]) * CELL
    rectangle(ax, x + place[1] * CELL, top - side, side, side, fill="none", edge=style.ORANGE, line=2)
