"""Thesis fig 2.1: unstructured pruning and the sparse storage that it needs (Han et al. 2016, Deep Compression).

Each non-zero is stored with its gap to the one before. A gap that the bits cannot hold is bridged by a filler zero."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from thesis_figures import style
from thesis_figures.schematics.shapes import EDGE, SMALL, TITLE, arrow, canvas, label, number, rectangle

WEIGHTS = np.array(
    [[0, 0, 1.7, -0.4], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0.9, 0, -2.1]],
)
"""A layer's weights after unstructured pruning: an example with one gap that three bits cannot hold."""
BITS = 3
WEIGHT_BITS = 32


@dataclass(frozen=True)
class Entry:
    """One stored weight, `gap` places after the one before (the first counts from just before the array)."""

    gap: int
    value: float


def encode(values: NDArray[np.float64], bits: int) -> list[Entry]:
    """The entries that encode a flat array, fillers included; every gap is 1 to 2^bits, stored less one."""
    longest, entries, before = 2**bits, list[Entry](), -1
    for place in np.flatnonzero(values).tolist():
        while place - before > longest:
            entries.append(Entry(longest, 0.0))
            before += longest
        entries.append(Entry(place - before, float(values[place])))
        before = place
    return entries


def decode(entries: list[Entry], length: int) -> NDArray[np.float64]:
    """The flat array of `length` that the entries encode."""
    values = np.zeros(length)
    for place, entry in zip(places(entries), entries, strict=True):
        values[place] = entry.value
    return values


def places(entries: list[Entry]) -> list[int]:
    """Position of each entry in the array."""
    return [int(place) for place in np.cumsum([entry.gap for entry in entries], dtype=np.int64) - 1]


CELL, LEFT, ROW = 8.2, 46.0, 46.0
ENTRY_WIDTH, ENTRY_HEIGHT = 16.0, 7.0


def draw() -> Figure:
    """The pruned matrix, the same row by row with the gaps as jumps, what is stored, and what it costs.

    Fillers are dashed."""
    figure, ax = canvas(72.5)
    entries = encode(WEIGHTS.flatten(), BITS)
    _matrix(ax)
    _unrolled(ax, entries)
    _stored(ax, entries)
    return figure


def _cell(ax: Axes, x: float, y: float, text: str, fill: str = "white", dashed: bool = False) -> None:
    rectangle(ax, x, y, CELL, CELL, fill=fill, dashed=dashed)
    label(ax, x + CELL / 2, y + CELL / 2, text)


def _matrix(ax: Axes) -> None:
    label(ax, 2, 67, "pruned weights", TITLE, ha="left", va="baseline", bold=True)
    for row, values in enumerate(WEIGHTS):
        for column, value in enumerate(values):
            x, y = 2 + column * CELL, 55.5 - row * CELL
            _cell(ax, x, y, number(value) if value else "", style.PALE_BLUE if value else "white")


def _unrolled(ax: Axes, entries: list[Entry]) -> None:
    label(ax, LEFT, 67, "row by row, with the gap to each stored entry", TITLE, ha="left", va="baseline", bold=True)
    filled = dict(zip(places(entries), entries, strict=True))
    for place, value in enumerate(WEIGHTS.flatten()):
        x = LEFT + place * CELL
        filler = place in filled and not value
        fill = style.PALE_BLUE if value else style.PALE_ORANGE if filler else "white"
        _cell(ax, x, ROW, number(value) if value else "0" if filler else "", fill, filler)
        label(ax, x + CELL / 2, ROW - 2.6, f"{place}", SMALL, colour=EDGE)
    before = -1
    for place, entry in filled.items():
        start, end = (LEFT + (index + 0.5) * CELL for index in (before, place))
        _jump(ax, start, end, f"+{entry.gap}", style.BLACK if entry.value else style.ORANGE)
        before = place


def _jump(ax: Axes, start: float, end: float, text: str, colour: str) -> None:
    foot, top = ROW + CELL + 0.4, ROW + CELL + 4.6
    arrow(ax, (start + 1, foot), (start + 1, top), (end - 1, top), (end - 1, foot), colour=colour)
    label(ax, (start + end) / 2, top + 2.3, text, colour=colour)


def _stored(ax: Axes, entries: list[Entry]) -> None:
    label(ax, LEFT, 34.5, f"stored: {len(entries)} entries", TITLE, ha="left", bold=True)
    rows = {
        "gap": [f"{entry.gap}" for entry in entries],
        f"gap − 1 in {BITS} bits": [f"{entry.gap - 1:0{BITS}b}" for entry in entries],
        f"value in {WEIGHT_BITS} bits": [number(entry.value) for entry in entries],
    }
    for row, (name, texts) in enumerate(rows.items()):
        y = 23.5 - row * ENTRY_HEIGHT
        label(ax, LEFT - 2.5, y + ENTRY_HEIGHT / 2, name, ha="right")
        for column, (text, entry) in enumerate(zip(texts, entries, strict=True)):
            x = LEFT + column * ENTRY_WIDTH
            fill = style.PALE_BLUE if entry.value else style.PALE_ORANGE
            rectangle(ax, x, y, ENTRY_WIDTH, ENTRY_HEIGHT, fill=fill, dashed=not entry.value)
            label(ax, x + ENTRY_WIDTH / 2, y + ENTRY_HEIGHT / 2, text)
    bottom = 23.5 - 2 * ENTRY_HEIGHT
    for column, entry in enumerate(entries):
        if not entry.value:
            x = LEFT + (column + 0.5) * ENTRY_WIDTH
            label(ax, x, bottom - 3, f"filler: {BITS} bits reach no further than {2**BITS}", SMALL, colour=style.ORANGE)
    right = LEFT + len(entries) * ENTRY_WIDTH + 6
    dense, sparse = WEIGHTS.size * WEIGHT_BITS, len(entries) * (BITS + WEIGHT_BITS)
    label(ax, right, 27, f"all weights: {WEIGHTS.size} × {WEIGHT_BITS} = {dense} bits", ha="left")
    label(ax, right, 20, f"stored: {len(entries)} × ({BITS} + {WEIGHT_BITS}) = {sparse} bits", ha="left")
    label(ax, right, 11.5, "but no faster, unless software or\nhardware is made for the gaps", ha="left")
