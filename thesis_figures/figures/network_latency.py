"""Does time follow parameters or multiply-adds? Networks by both, with the rank correlation of each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox
from scipy.stats import spearmanr

from bcnn_prune.records import Cost
from bcnn_prune.records.network_latency import LAYOUTS, CpuTimes, Timed
from thesis_figures import style
from thesis_figures.figures import panels

QUANTITIES: dict[str, Callable[[Cost], float]] = {
    "million parameters": lambda cost: cost.params / 1e6,
    "million multiply-adds of an image": lambda cost: cost.macs / 1e6,
}
LOOKS = {"contiguous": ("o", "white"), "channels-last": ("s", style.BLACK)}
"""Marker and filling, which distinguish the layouts in black and white."""
NEAR = 7
# Places for a name around its point: offset in points, and how it is aligned there.
PLACES = [
    (x, y, across, along)
    for far in (NEAR, 13, 20, 28, 36, 46)
    for x, y, across, along in (
        *((far, 0, "left", "center"), (-far, 0, "right", "center"), (0, far, "center", "bottom")),
        *((0, -far, "center", "top"), (far, far, "left", "bottom"), (-far, far, "right", "bottom")),
        *((far, -far, "left", "top"), (-far, -far, "right", "top")),
    )
]
HEAVIER = "thesis table 4.7"
"""Source of networks whose last BN had a penalty of its own."""
NAME = 6.5
"""Points."""


def draw(times: CpuTimes) -> Figure:
    """Both layouts of a network are joined by a line; quartiles are bars."""
    style.apply()
    figure = Figure(figsize=(style.WIDE, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, (name, quantity) in zip(axes, QUANTITIES.items(), strict=True):
        _points(ax, times.networks, quantity)
        ax.set_xlabel(name, fontsize=8)
        rank = ", ".join(f"{correlation(times, quantity, layout):.2f} {layout}" for layout in LAYOUTS)
        ax.set_title(f"Spearman's ρ: {rank} (n = {len(times.networks)})", fontsize=7.5)
    axes[0].set_ylabel(f"ms of a batch of {times.batch} on the CPU", fontsize=8)
    machine = f"{times.provenance['cpu']}, {times.provenance['threads']} threads"
    cut = "−x %: channels cut; last layer: with a heavier penalty there"
    panels.legend(figure, 2, f"{cut}; median and quartiles, fp32, {times.side} px, {machine}")
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call] # settles the layout, which names must know
    for ax, quantity in zip(axes, QUANTITIES.values(), strict=True):
        _names(ax, times.networks, quantity)
    return figure


def correlation(times: CpuTimes, quantity: Callable[[Cost], float], layout: str) -> float:
    """Spearman's rank correlation of a quantity of cost and the median time."""
    x = [quantity(network.cost) for network in times.networks]
    return float(spearmanr(x, [network.latency[layout].median_ms for network in times.networks]).statistic)


def _points(ax: Axes, networks: Sequence[Timed], quantity: Callable[[Cost], float]) -> None:
    x = [quantity(network.cost) for network in networks]
    for layout, (marker, filling) in LOOKS.items():
        latencies = [network.latency[layout] for network in networks]
        middle = np.array([latency.median_ms for latency in latencies])
        below, above = ([getattr(latency, f"{end}_quartile_ms") for latency in latencies] for end in ("lower", "upper"))
        ax.errorbar(
            x,
            middle,
            yerr=[middle - below, above - middle],
            color=style.BLACK,
            marker=marker,
            markerfacecolor=filling,
            markersize=4.5,
            elinewidth=0.8,
            capsize=1.5,
            linestyle="none",
            label=layout,
        )
    for cost, network in zip(x, networks, strict=True):
        ax.plot(
            [cost, cost],
            [network.latency[layout].median_ms for layout in LAYOUTS],
            color=style.GREY,
            linewidth=0.8,
            zorder=0,
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.margins(0.16)
    ax.tick_params(labelsize=panels.SMALL)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _name(network: Timed) -> str:
    """The network's name; of two that were cut from the same one, the one with a heavier last penalty says so."""
    return f"{network.network}, last layer" if network.source == HEAVIER else network.network


def _names(ax: Axes, networks: Sequence[Timed], quantity: Callable[[Cost], float]) -> None:
    """Each network's name at the first place about its points where it covers neither a point nor another name."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    renderer, pixels = figure.canvas.get_renderer(), figure.dpi / 72  # type: ignore[attr-defined]
    centres = [
        ax.transData.transform((quantity(network.cost), network.latency[layout].median_ms))
        for network in networks
        for layout in LAYOUTS
    ]
    taken = [Bbox.from_bounds(x - 4 * pixels, y - 4 * pixels, 8 * pixels, 8 * pixels) for x, y in centres]
    for network in networks:
        middle = np.sqrt(np.prod([network.latency[layout].median_ms for layout in LAYOUTS]))
        point = (quantity(network.cost), float(middle))
        for x, y, across, along in PLACES:
            place: dict[str, Any] = {"xy": point, "xytext": (x, y), "textcoords": "offset points"}
            text = ax.annotate(_name(network), **place, ha=across, va=along, fontsize=NAME)
            text.set_in_layout(False)
            box = text.get_window_extent(renderer)
            inside = ax.bbox.contains(box.x0, box.y0) and ax.bbox.contains(box.x1, box.y1)
            if inside and not box.count_overlaps(taken):
                taken.append(box)
                if max(abs(x), abs(y)) > NEAR:
                    line = ax.annotate("", **place, arrowprops={"arrowstyle": "-", "lw": 0.4, "color": style.GREY})
                    line.set_in_layout(False)
                break
            text.remove()
        else:
            raise ValueError(f"no room for the name {network.network}: draw the figure larger")
