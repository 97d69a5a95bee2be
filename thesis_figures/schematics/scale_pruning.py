"""Thesis fig 3.6: structured pruning by the scales of a BatchNorm layer (network slimming, Liu et al. 2017)."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesis_figures import style
from thesis_figures.schematics.shapes import (
    DROPPED,
    LINE,
    SMALL,
    THIN,
    WIDTH,
    arrow,
    canvas,
    channel,
    label,
    panel,
    rectangle,
    row_of_boxes,
)

SCALES = (0.9, 0.03, 0.45, 0.7, 0.0, 0.3)
"""Drawn scales after training with L1: an example."""
THRESHOLD = 0.1
NEXT = 4
"""Channels of the next layer."""
STEPS = (
    "train with L1:\nloss + λ Σ |γ|",
    "rank |γ| of all\nlayers at once",
    "cut channels of\nthe smallest |γ|",
    "rebuild:\na narrower network",
    "fine-tune",
)
SIDE, STEP = 4.4, 6.6
PANEL, LONGEST = 87.5, 20.0


def draw() -> Figure:
    """A layer, its scales and the next layer, before and after the cut; below, the steps in order."""
    figure, ax = canvas(93)
    _layers(ax, 1.5, "trained with L1 on γ", SCALES)
    _layers(ax, WIDTH - 1.5 - PANEL, "after the cut", tuple(scale for scale in SCALES if scale >= THRESHOLD))
    arrow(ax, (PANEL + 2, 59), (WIDTH - 2 - PANEL, 59))
    middles = row_of_boxes(ax, 3, 11, 31, 12, STEPS, gap=5.5)
    arrow(ax, (middles[-1], 10.6), (middles[-1], 5), (middles[1], 5), (middles[1], 10.6), dashed=True)
    label(ax, (middles[1] + middles[-1]) / 2, 2.6, "iterative pruning: once more, with a larger share", SMALL)
    return figure


def _layers(ax: Axes, x: float, title: str, scales: tuple[float, ...]) -> None:
    panel(ax, x, 28, PANEL, 63.5, title)
    middle = 57.5
    rows = [middle + (len(scales) / 2 - i) * STEP - STEP / 2 for i in range(len(scales))]
    following = [middle + (NEXT / 2 - i) * 8.5 - 4.25 for i in range(NEXT)]
    for y, scale in zip(rows, scales, strict=True):
        kept = scale >= THRESHOLD
        channel(ax, x + 12, y - SIDE / 2, SIDE, kept)
        arrow(ax, (x + 12 + SIDE + 0.4, y), (x + 26.5, y), dashed=not kept)
        _scale(ax, x + 27, y, scale, kept)
        for end in following:
            colour, line = (style.BLACK, "-") if kept else (style.ORANGE, ":")
            ax.plot(
                (x + 27 + LONGEST * scale, x + 48.5, x + 68.6), (y, y, end), color=colour, ls=line, lw=THIN, zorder=1
            )
    for y in following:
        channel(ax, x + 69, y - SIDE / 2, SIDE, True)
    names = {14.2: "channels of\na convolution", 37: "|γ| of their\nBatchNorm", 71.2: "channels of\nthe next"}
    for at, name in names.items():
        label(ax, x + at, 32.5, name)


def _scale(ax: Axes, x: float, y: float, scale: float, kept: bool) -> None:
    """A bar on its base line."""
    ax.plot((x, x), (y - STEP / 2, y + STEP / 2), color=style.BLACK, lw=LINE, zorder=2)
    if kept:
        rectangle(ax, x, y - 1.7, LONGEST * scale, 3.4, fill=style.BLUE, edge=style.BLUE)
    else:
        rectangle(ax, x, y - 1.7, max(0.6, LONGEST * scale), 3.4, edge=style.ORANGE, hatch=DROPPED)
