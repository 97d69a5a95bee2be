"""Thesis fig 4.3: one-shot, iterative and soft pruning side by side."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesis_figures import style
from thesis_figures.schematics.shapes import arrow, box, canvas, channel, label, panel

SCALES = (0.8, 0.15, 0.5, 0.3, 0.05, 0.9, 0.1, 0.65, 0.2, 0.4)
"""|γ| of ten channels after training with L1: an example."""
LATER = (0.8, 0.02, 0.55, 0.35, 0.25, 0.9, 0.04, 0.65, 0.03, 0.1)
"""The same ten in a later epoch of soft pruning: one that was zero has grown, another has shrunk."""
SHARE = 0.4
"""Share of the channels that one-shot and soft pruning cut in the drawing."""
SHARES = (0.2, 0.4, 0.6, 0.8)
"""Shares of the original channels that are cut after each step of iterative pruning."""
TITLES = ("one-shot: p = 20, 40, 60 or 80 %", "iterative: 20, 40, 60, 80 %", "soft: p = 20, 40 or 60 %")
PANEL, GAP, BOX = 57.4, 3.85, 49.4
TOP, HEIGHT, STEP = 88.5, 15.5, 20.2
SIDE = 3.4


def draw() -> Figure:
    """Three columns, each from above; ten squares are the channels, hatched when they go or are set to zero."""
    figure, ax = canvas(116)
    lefts = [1.5 + i * (PANEL + GAP) for i in range(3)]
    for x, title in zip(lefts, TITLES, strict=True):
        panel(ax, x, 1.5, PANEL, 113, title)
    _one_shot(ax, lefts[0] + 4)
    _iterative(ax, lefts[1] + 4)
    _soft(ax, lefts[2] + 4)
    return figure


def _kept(scales: tuple[float, ...], share: float) -> list[bool]:
    """False for the lowest `share` of the scales."""
    ranks = np.argsort(np.argsort(scales))
    return [bool(rank >= round(share * len(scales))) for rank in ranks]


def _step(ax: Axes, x: float, row: int, text: str, channels: list[bool], fill: str = "white") -> None:
    """A box in the given row, its channels below its text."""
    y = TOP - row * STEP
    box(ax, x, y, BOX, HEIGHT, fill=fill)
    label(ax, x + BOX / 2, y + HEIGHT - 4.9, text)
    start = x + BOX / 2 - len(channels) * 4.2 / 2 + 0.4
    for i, kept in enumerate(channels):
        channel(ax, start + i * 4.2, y + 2, SIDE, kept)


def _down(ax: Axes, x: float, row: int) -> None:
    """An arrow from the box of a row to the next."""
    y = TOP - row * STEP
    arrow(ax, (x + BOX / 2, y - 0.3), (x + BOX / 2, y - STEP + HEIGHT + 0.3))


def _one_shot(ax: Axes, x: float) -> None:
    kept = _kept(SCALES, SHARE)
    _step(ax, x, 0, "train with L1 on γ", [True] * len(SCALES))
    _down(ax, x, 0)
    _step(ax, x, 1, f"rank |γ|; mark the lowest p %\n(here {style.share(SHARE)})", kept)
    _down(ax, x, 1)
    _step(ax, x, 2, "cut them all at once", [True] * sum(kept))
    _down(ax, x, 2)
    _step(ax, x, 3, "fine-tune", [True] * sum(kept), style.PALE_BLUE)


def _iterative(ax: Axes, x: float) -> None:
    _step(ax, x, 0, "train with L1 on γ", [True] * len(SCALES))
    before = 0.0
    for row, gone in enumerate(SHARES, start=1):
        left = sum(_kept(SCALES, gone))
        part = (gone - before) / (1 - before)
        text = f"cut {style.share(part)} of what is left, retrain;\n{style.share(gone)} of all are gone"
        _down(ax, x, row - 1)
        _step(ax, x, row, text, [True] * left, style.PALE_BLUE)
        before = gone


def _soft(ax: Axes, x: float) -> None:
    first, later = _kept(SCALES, SHARE), _kept(LATER, SHARE)
    _step(ax, x, 0, "train with L1 on γ", [True] * len(SCALES))
    _down(ax, x, 0)
    _step(ax, x, 1, "train an epoch; then set γ and β\nof the lowest p % to zero", first)
    _down(ax, x, 1)
    _step(ax, x, 2, "train all on, zeros may grow;\nset the lowest p % to zero", later)
    middle, foot = x + BOX / 2, TOP - 3 * STEP
    arrow(ax, (middle, foot + STEP - 0.3), (middle, foot + HEIGHT - 2.6))
    label(ax, middle, foot + HEIGHT / 2, "the same at every epoch's end …")
    arrow(ax, (middle, foot + 2.6), (middle, foot - STEP + HEIGHT + 0.3))
    _step(ax, x, 4, "take the best epoch; hard rebuild\nwithout its zeros", [True] * sum(later), style.PALE_BLUE)
