"""The method in one picture (after thesis figs 1.3 and 3.6): the network above, the pruning flow below."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from thesis_figures import style

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels and convolutions of VGG-16
KEPT, DROPPED = style.BLUE, "#d9d9d9"


def draw() -> Figure:
    """Upper row: image to classes. Lower row: train with L1 on γ, cut, rebuild, recalibrate, fine-tune."""
    style.apply()
    figure = Figure(figsize=(style.WIDE, 3.9), layout="constrained")
    ax = figure.subplots()
    ax.set(xlim=(0, 100), ylim=(0, 54), aspect="equal")
    ax.axis("off")
    _network(ax)
    _flow(ax)
    return figure


def _network(ax: Axes) -> None:
    _box(ax, 2, 34, 9, 9, "image")
    x = 15.0
    _arrow(ax, (11.4, 38.5), (x - 0.4, 38.5))
    for channels, convs in STAGES:
        for _ in range(convs):
            ax.add_patch(Rectangle((x, 38.5 - 2 - channels / 80), 1.5, 4 + channels / 40, color=style.BLUE, lw=0))
            x += 2.0
        x += 0.9
    ax.text(29.5, 49.5, "VGG-16 with BatchNorm: 13 convolutions, 4,224 scales γ", ha="center", va="center", fontsize=8)
    _arrow(ax, (x - 0.6, 38.5), (x + 2.6, 38.5))
    x += 3
    _box(ax, x, 33, 15, 11, "bilinear pooling\n$P = XX^{T}/HW$\n$\\mathrm{sign}(P)\\sqrt{|P|}$, L2")
    _arrow(ax, (x + 15.4, 38.5), (x + 18.6, 38.5))
    _box(ax, x + 19, 34, 19, 9, "one linear classifier\nfrom C × C features")
    ax.text(x + 28.5, 46.3, "64–78 % of all parameters:\nshrinks with the square of C", ha="center", fontsize=7)


def _flow(ax: Axes) -> None:
    steps = (
        ("1  train dense,\nthen with L1 on γ", (0.95, 0.04, 0.5, 0.0, 0.72, 0.3), None),
        ("2  rank all |γ|,\ncut the lowest", (0.95, 0.04, 0.5, 0.0, 0.72, 0.3), 0.1),
        ("3  rebuild narrower:\ncopy what stays", (0.95, 0.5, 0.72, 0.3), None),
        ("4  recompute BN\nstatistics", (0.95, 0.5, 0.72, 0.3), None),
        ("5  fine-tune,\nevaluate once on test", (1.0, 0.62, 0.8, 0.4), None),
    )
    for i, (text, scales, threshold) in enumerate(steps):
        x = 1.0 + i * 20
        _box(ax, x, 2, 17.5, 22, "")
        ax.text(x + 8.75, 20, text, ha="center", va="center", fontsize=7.5)
        _bars(ax, x + 8.75, scales, threshold)
        if i:
            _arrow(ax, (x - 2.3, 13), (x - 0.2, 13))


def _bars(ax: Axes, centre: float, scales: tuple[float, ...], threshold: float | None) -> None:
    start = centre - len(scales) * 1.1
    for j, scale in enumerate(scales):
        colour = DROPPED if threshold is not None and scale < threshold else KEPT
        ax.add_patch(Rectangle((start + j * 2.2 + 0.2, 4.5), 1.8, max(0.35, 10 * scale), color=colour, lw=0))
    ax.plot([start, start + len(scales) * 2.2], [4.4, 4.4], color=style.BLACK, linewidth=0.6)
    if threshold is not None:
        y = 4.5 + 10 * threshold
        ax.plot(
            [start - 0.6, start + len(scales) * 2.2 + 0.6], [y, y], color=style.ORANGE, linestyle="--", linewidth=1.2
        )


def _box(ax: Axes, x: float, y: float, width: float, height: float, text: str) -> None:
    patch = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0.2,rounding_size=1", fc="white", ec=style.GREY)
    ax.add_patch(patch)
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=8)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=8, color=style.BLACK, linewidth=0.8))
