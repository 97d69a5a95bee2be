"""Latency gain of pruned networks on a CPU: speed-up over the unpruned network, eager, in every runtime."""

from collections.abc import Sequence
from itertools import chain
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from bcnn_prune.records.latency import DENSE, NetworkTimes, RuntimeRecord
from thesis_figures import style
from thesis_figures.analysis import variants
from thesis_figures.figures import panels

LOOKS = (
    {1: (style.BLUE, "o", style.BLUE), 8: (style.BLUE, "s", "white")},
    {1: (style.ORANGE, "^", style.ORANGE), 8: (style.ORANGE, "D", "white")},
)
"""By machine and batch size: colour, marker and its inside."""


def draw(records: Sequence[RuntimeRecord]) -> Figure:
    """A panel a network: a row a way, a marker a machine and batch size at the median, with bars to the quartiles."""
    shown = [network for record in records for network in record.networks if network.multiple == 1]
    networks = list(dict.fromkeys(network.network for network in shown))
    ways = [way for way in variants.ways(chain(*(network.times.ways for network in shown))) if way != DENSE]
    columns = 2 if len(networks) in (2, 4) else min(3, len(networks))
    rows = -(-len(networks) // columns)
    style.apply()
    high = 0.15 + 0.06 * len(records)
    figure = Figure(figsize=(style.WIDE, 0.9 + rows * (0.6 + high * len(ways))), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat
    for ax, name in zip(grid, networks, strict=False):
        _panel(ax, name, records, ways)
    for i, ax in enumerate(figure.axes):
        if i >= len(networks):
            ax.set_axis_off()
        elif i + columns >= len(networks):  # nothing below
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("times as fast as unpruned, eager", fontsize=panels.SMALL)
    first = figure.axes[0]
    first.set_yticks(range(len(ways)), [variants.label(way) for way in ways])
    first.set_ylim(len(ways) - 0.4, -0.6)
    first.set_xscale("log")
    low, high = first.get_xlim()
    first.set_xlim(min(low, 0.8), max(high, 12))
    for ax in figure.axes:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(labelsize=panels.SMALL)
    machines = "\n".join(map(variants.machine, records))
    panels.legend(figure, 2, f"median and quartiles over rounds\n{machines}")
    return figure


def _panel(ax: Axes, name: str, records: Sequence[RuntimeRecord], ways: list[str]) -> None:
    found = {
        i: network
        for i, record in enumerate(records)
        for network in record.networks
        if (network.network, network.multiple) == (name, 1)
    }
    counts = ", ".join(dict.fromkeys(map(_counts, found.values())))
    ax.set_title(f"{fill(name, 26)}\nn = {counts}", fontsize=8)
    ax.axvline(1, color=style.BLACK, linewidth=0.8, zorder=0)
    ax.grid(axis="x", color=style.GREY, linewidth=0.3, alpha=0.6)
    series = [(i, batch) for i in range(len(records)) for batch in LOOKS[0]]
    for place, (i, batch) in enumerate(series):
        if i not in found or not (timings := variants.timings(found[i], batch)):
            continue
        colour, marker, inside = LOOKS[i % len(LOOKS)][batch]
        speed_ups = {way: timing.speed_up for way, timing in timings.items() if way in ways}
        median = [ratio.median for ratio in speed_ups.values()]
        ax.errorbar(
            median,
            [ways.index(way) + 0.8 * ((place + 0.5) / len(series) - 0.5) for way in speed_ups],
            xerr=[
                [ratio.median - ratio.lower_quartile for ratio in speed_ups.values()],
                [ratio.upper_quartile - ratio.median for ratio in speed_ups.values()],
            ],
            color=colour,
            marker=marker,
            markerfacecolor=inside,
            markersize=3.5,
            linestyle="none",
            elinewidth=0.9,
            capsize=1.5,
            label=f"batch {batch}" if len(records) == 1 else f"batch {batch}: {variants.processor(records[i])}",
        )


def _counts(network: NetworkTimes) -> str:
    """Rounds by batch size."""
    rounds = {timing.latency.batch: timing.latency.rounds for timing in network.times.ways[DENSE]}
    return ", ".join(f"{count} (batch {batch})" for batch, count in rounds.items())
