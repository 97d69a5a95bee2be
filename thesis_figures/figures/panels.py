"""Panels, one per data set, that figures share: axes, titles with n, lines over seeds, the legend."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, StrMethodFormatter

from bcnn_prune.records import Evaluation
from thesis_figures import style
from thesis_figures.analysis.runs import Spread
from thesis_figures.analysis.sets import Sets

SMALL = 7.0
"""Points: ticks and legends."""
LETTERS = 20
"""Of this size, on an inch."""


Share = Literal["row", "col"] | bool
Line = str | tuple[float, tuple[float, ...]]
"""A line style of matplotlib."""


@dataclass(frozen=True)
class Look:
    """A colour, a marker and a line style."""

    colour: str
    marker: str
    line: Line


LOOKS = (
    Look(style.BLUE, "o", "-"),
    Look(style.ORANGE, "s", "--"),
    Look(style.GREEN, "^", "-."),
    Look(style.PURPLE, "D", ":"),
    Look(style.BLACK, "v", (0, (5, 1, 1, 1, 1, 1))),
    Look(style.SKY, "P", (0, (1, 1))),
)
"""Of these six, colour, marker or line alone identifies a curve."""
MORE_MARKERS = "X<>phd"


def look(i: int) -> Look:
    """The i-th look. Six more have markers of their own and the colour of one and the line of another of the first six;
    then looks begin again."""
    i %= 2 * len(LOOKS)
    if i < len(LOOKS):
        return LOOKS[i]
    i -= len(LOOKS)
    return Look(LOOKS[i].colour, MORE_MARKERS[i], LOOKS[i - 1].line)


def columns(
    sets: Sets,
    height: float,
    rows: int = 1,
    sharex: Share = False,
    sharey: Share = False,
    tall: Sequence[float] = (),
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a column of `rows` axes for each set; the axes are returned column by column."""
    style.apply()
    figure = Figure(figsize=(style.WIDE, height), layout="constrained")
    grid = figure.subplots(
        rows, len(sets), squeeze=False, sharex=sharex, sharey=sharey, height_ratios=tall or [1] * rows
    )
    for ax in grid.flat:
        ax.tick_params(labelsize=SMALL)
    return figure, [list(column) for column in grid.T]


def title(ax: Axes, label: str, counts: Collection[int]) -> None:
    """The set's label, folded where it is long, and the number of seeds from fewest to most where they differ."""
    place = ax.get_subplotspec()
    inches = style.WIDE / (place.get_gridspec().ncols if place else 1)
    ax.set_title(f"{fill(label, int(0.6 * LETTERS * inches))}\n{seeds(counts)}", fontsize=8.5)


def seeds(counts: Collection[int]) -> str:
    """n = 3 seeds, or n = 1 to 3 seeds where the counts differ."""
    fewest, most = min(counts, default=0), max(counts, default=0)
    n = f"{most}" if fewest == most else f"{fewest} to {most}"
    return f"n = {n} seed{'s' if most != 1 else ''}"


def accuracy(evaluations: Sequence[Evaluation]) -> Spread:
    """Mean and standard deviation over seeds; of one seed, the binomial standard error of its count instead."""
    spread = Spread.of([evaluation.accuracy for evaluation in evaluations])
    if spread.n > 1:
        return spread
    return replace(spread, deviation=(spread.mean * (1 - spread.mean) / evaluations[0].images) ** 0.5)


def bars(counts: Collection[int], drawn: str = "bars") -> str:
    """Explanation of error bars (or of another mark: `drawn`) for these numbers of seeds."""
    parts = ["mean ± 1 standard deviation over seeds"] if max(counts, default=0) > 1 else []
    parts += [f"{drawn} of one seed: ± 1 standard error of its count of images"] if min(counts, default=0) == 1 else []
    return "; ".join(parts)


def curve(ax: Axes, x: Sequence[Spread], y: Sequence[Spread], look: Look, label: str, *, hollow: bool = False) -> None:
    """Means, joined in their order, with bars of their deviations both ways."""
    ax.errorbar(
        [value.mean for value in x],
        [value.mean for value in y],
        xerr=[value.deviation or 0.0 for value in x],
        yerr=[value.deviation or 0.0 for value in y],
        color=look.colour,
        marker=look.marker,
        linestyle=look.line,
        label=label,
        markersize=4,
        linewidth=1.2,
        elinewidth=0.8,
        capsize=1.5,
        markerfacecolor="white" if hollow else look.colour,
        markeredgecolor=look.colour if hollow else "white",
        markeredgewidth=0.8 if hollow else 0.4,
    )


def level(ax: Axes, value: Spread, line: Line, label: str, colour: str = style.BLACK, *, upright: bool = False) -> None:
    """A line across the axes at a mean, with a band of ± 1 standard deviation."""
    draw, span = (ax.axvline, ax.axvspan) if upright else (ax.axhline, ax.axhspan)
    draw(value.mean, color=colour, linestyle=line, linewidth=0.9, label=label, zorder=1)
    if value.deviation:
        span(
            value.mean - value.deviation, value.mean + value.deviation, color=colour, alpha=0.13, linewidth=0, zorder=0
        )


def folded(figure: Figure, text: str) -> str:
    """A text of SMALL letters in lines that are no wider than the figure."""
    return fill(text, int(LETTERS * figure.get_figwidth()))


def legend(figure: Figure, ncols: int, heading: str) -> None:
    """One legend below all axes, each name once, in the order in which the panels brought them."""
    named = dict[str, Artist]()
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    made = figure.legend(
        handles=list(named.values()),
        labels=list(named),
        loc="outside lower center",
        ncols=ncols,
        frameon=False,
        fontsize=SMALL,
        title="\n".join(folded(figure, line) for line in heading.splitlines()),
        title_fontsize=SMALL,
        handlelength=3.2,
    )
    made.get_title().set_multialignment("center")


def row_legend(row: Sequence[Axes]) -> None:
    """A legend at the right of a row of axes, each name once."""
    handles = {label: handle for ax in row for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    row[-1].legend(
        handles.values(),
        handles,
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        fontsize=SMALL,
        handlelength=2.4,
    )


def percent(ax: Axes, axis: str = "y") -> None:
    """Tick labels of a share in per cent."""
    getattr(ax, f"{axis}axis").set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.6g} %"))


def log_axis(ax: Axes, quantity: str) -> None:
    """A logarithmic x axis of a quantity, with ticks also where it spans little."""
    ax.set_xlabel(quantity, fontsize=8)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    steps: tuple[float, ...] = (1, 2, 5) if high > 3 * low else (1, 1.2, 1.5, 2, 3, 5, 7)
    if high < 1.7 * low:
        steps = (1, 1.1, 1.2, 1.3, 1.5, 1.7, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high > 20 * low else steps))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def spreads(table: Sequence[Sequence[float]]) -> list[Spread]:
    """The spread of each column; rows are seeds."""
    return [Spread.of(column) for column in np.asarray(table, dtype=float).T.tolist()]
