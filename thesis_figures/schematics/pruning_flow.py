"""Thesis fig 1.3: pruning builds a new network and copies into it; the old one is never changed."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesis_figures import style
from thesis_figures.schematics.shapes import LINE, THIN, arrow, canvas, channel, label, panel, rectangle

KEPT = (
    (True, False, True, True),
    (True, True, False, True, False),
    (False, True, True, False, True, True),
)
"""An example of a plan: of each layer, from the first, the channels that stay."""
STEPS = (
    ("1  plan", "rank |γ| of all layers\nat once; the plan lists\nthe channels that stay"),
    ("2  build", "make a new, narrower\nbackbone of the\nplanned widths"),
    ("3  copy", "copy weights, γ, β and\nstatistics of what stays,\noutputs and inputs alike"),
    ("4  drop", "drop the old model; the\nnew one gets new BN\nstatistics and fine-tuning"),
)
PANEL, GAP = 41.5, 4.6
SIDE, STEP = 3.4, 4.4
TALL = 15.5
"""From one layer to the next."""
RISE = 6.6
"""From a layer of the new network up to the same of the old one."""


def draw() -> Figure:
    """Four panels: plan, build, copy, drop. Each row of squares is a layer, each square a channel."""
    figure, ax = canvas(78)
    for i, (title, text) in enumerate(STEPS):
        x = 1.5 + i * (PANEL + GAP)
        panel(ax, x, 1.5, PANEL, 75, title)
        label(ax, x + PANEL / 2, 10.5, text)
        if i:
            arrow(ax, (x - GAP + 0.3, 44), (x - 0.3, 44))
        for j, kept in enumerate(KEPT):
            _layer(ax, x + PANEL / 2, 59.5 - j * TALL, kept, title)
    return figure


def _layer(ax: Axes, centre: float, y: float, kept: tuple[bool, ...], step: str) -> None:
    """One layer: the old network's row above, the new one's below, each where the step knows of it."""
    old = [centre + (i - len(kept) / 2) * STEP for i in range(len(kept))]
    new = [centre + (i - sum(kept) / 2) * STEP for i in range(sum(kept))]
    for left, stays in zip(old, kept, strict=True):
        if step.endswith("drop"):
            rectangle(ax, left, y, SIDE, SIDE, edge=style.GREY, dashed=True)
        else:
            channel(ax, left, y, SIDE, stays)
    if step.endswith("drop"):
        ends = (old[0] - 1.2, old[-1] + SIDE + 1.2)
        ax.plot(ends, (y + SIDE / 2, y + SIDE / 2), color=style.ORANGE, lw=1.4, zorder=3)
    if step.endswith("plan"):
        return
    for left in new:
        rectangle(ax, left, y - RISE, SIDE, SIDE, fill="white" if step.endswith("build") else style.BLUE, line=LINE)
    if step.endswith("copy"):
        sources = [left for left, stays in zip(old, kept, strict=True) if stays]
        for start, end in zip(sources, new, strict=True):
            ends = (start + SIDE / 2, end + SIDE / 2)
            ax.plot(ends, (y - 0.2, y - RISE + SIDE + 0.2), color=style.BLACK, lw=THIN, zorder=3)
