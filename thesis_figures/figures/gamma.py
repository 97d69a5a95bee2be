"""Thesis fig 4.2: where the BatchNorm scales of a sparse network lie, and what the cut takes."""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from bcnn_prune.records import NEAR_ZERO, RunRecord
from thesis_figures import style
from thesis_figures.analysis.runs import Runs
from thesis_figures.figures import panels

BINS = 50
OUTLIER = 1.25
"""Times the 99 % quantile of |γ|, where the axis ends at the latest: a few far out would squeeze all others."""
BELOW_LEGEND = 0.65
"""Share of an axis' height that bars may fill below the legend in the upper right."""
CUT_SHARES = 0.2
"""Grid of the cumulative distribution: where the curve crosses it is the threshold of a 20, 40, 60, 80 % cut."""


def draw(record: RunRecord) -> Figure:
    """Histogram and cumulative distribution of |γ|, the last layer (the classifier's width) apart from the others.

    Bars within NEAR_ZERO of zero are black; the line is the first cut's threshold, where it ranked these scales. Raises
    ValueError for a record without scales: of a run without sparse training, or without BatchNorm."""
    if not record.scales:
        raise ValueError(f"{record.experiment} on {record.data.name}, seed {record.seed}, has no BN scales to draw")
    style.apply()
    layers = list(record.scales)
    groups = {
        f"{layers[0]} to {layers[-2]}": pooled([record], layers[:-1]),
        f"{layers[-1]}, the last layer": pooled([record], layers[-1:]),
    }
    figure = Figure(figsize=(style.WIDE, 4.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True)
    highest = reach(pooled([record]))
    threshold = record.steps[0].threshold if ranked_by_scale(record) else None
    for row, (name, values) in zip(axes, groups.items(), strict=True):
        _histogram(row[0], values, highest, f"|γ| < {NEAR_ZERO:g}: {style.share((values < NEAR_ZERO).mean())}")
        _cumulative(row[1], values)
        for ax in row:
            ax.set_title(f"{name} ({len(values):,} channels)")
            if threshold is not None:
                ax.axvline(threshold, color=style.ORANGE, linestyle="--", label=f"threshold {threshold:.3g}")
    for ax in axes[-1]:
        ax.set_xlabel("|γ|, BatchNorm scale")
    for ax in axes[:, 0]:
        ax.legend(frameon=False, loc="upper right")
    share = 1 - record.steps[0].spec.channels / record.spec.channels if record.steps else 0
    figure.suptitle(
        f"{record.data.name}: BN scales after sparse training (seed {record.seed}); {style.share(share)} are cut"
    )
    return figure


def ranked_by_scale(record: RunRecord) -> bool:
    """True where the first cut put one threshold to the scales that the record holds: soft pruning trains on before it
    cuts, and other criteria, rules and allocations have thresholds of their own, or one a layer."""
    told = record.settings
    rule = told.get("rule", "mean" if record.experiment == "compress" else None)
    one_threshold = (
        told.get("criterion") in (None, "bn-scale")
        and rule in (None, "thesis", "raw")
        and told.get("allocation") in (None, "ranking")
    )
    return bool(record.steps) and record.experiment != "soft" and one_threshold


def draw_sets(networks: Mapping[str, Runs]) -> Figure:
    """A row a data set: the histogram of all seeds together, and the cumulative distribution of each seed."""
    style.apply()
    figure = Figure(figsize=(style.WIDE, 0.6 + 1.7 * len(networks)), layout="constrained")
    axes = figure.subplots(len(networks), 2, sharex=True, squeeze=False)
    highest = max(reach(pooled(runs)) for runs in networks.values())
    for (left, right), (label, runs) in zip(axes, networks.items(), strict=True):
        values = pooled(runs)
        at_zero = int((values < NEAR_ZERO).sum())
        name = f"|γ| < {NEAR_ZERO:g}: {at_zero:,} of {len(values):,} ({style.share(at_zero / len(values))})"
        _histogram(left, values, highest, name)
        for i, record in enumerate(runs):
            look = panels.look(i)
            _cumulative(right, pooled([record]), look.colour, look.line, f"seed {record.seed}")
        right.yaxis.set_major_locator(MultipleLocator(CUT_SHARES))
        right.grid(axis="y", linewidth=0.4)
        left.legend(frameon=False, loc="upper right", fontsize=8)
        right.legend(frameon=False, loc="lower right", fontsize=8)
        left.set_title(f"{label}: all seeds together, {panels.seeds([len(runs)])}", fontsize=8.5)
        right.set_title(f"{label}: each seed", fontsize=8.5)
    for ax in axes[-1]:
        ax.set_xlabel("|γ|, BatchNorm scale")
    return figure


def pooled(runs: Iterable[RunRecord], layers: Iterable[str] | None = None) -> NDArray[np.float64]:
    """|γ| of the layers (all of them, if None), of all runs together."""
    return np.concatenate([np.asarray(r.scales[layer]) for r in runs for layer in (layers or r.scales)])


def reach(values: NDArray[np.float64]) -> float:
    """Upper end of an axis of |γ|: the largest value, unless that is an outlier."""
    return float(min(values.max(), OUTLIER * np.quantile(values, 0.99)))


def beyond(values: NDArray[np.float64], highest: float) -> str:
    """Text on the values beyond the end of an axis, `highest`; empty if there are none."""
    count = int((values > highest).sum())
    return f"{count:,} larger, up to {values.max():.2f}" if count else ""


def _histogram(ax: Axes, values: NDArray[np.float64], highest: float, at_zero_label: str) -> None:
    at_zero = values < NEAR_ZERO
    edges = np.linspace(0, highest, BINS + 1)
    below = np.zeros(BINS)
    below[0] = at_zero.sum()  # in black, from the axis up, so that its top is its count
    ax.bar(0, below[0], width=edges[1], align="edge", color=style.BLACK, label=at_zero_label)
    counts, *_ = ax.hist(
        values[~at_zero], list(edges), bottom=below, color=style.BLUE, edgecolor="white", linewidth=0.3
    )
    ax.set_ylim(top=max(ax.get_ylim()[1], np.max(counts[BINS // 3 :]) / BELOW_LEGEND))
    ax.set_xlim(-0.03 * highest, 1.03 * highest)
    ax.text(0.98, 0.1, beyond(values, highest), ha="right", fontsize=panels.SMALL, transform=ax.transAxes)
    ax.set_ylabel("channels")


def _cumulative(
    ax: Axes,
    values: NDArray[np.float64],
    colour: str = style.BLUE,
    line: panels.Line = "-",
    label: str | None = None,
) -> None:
    ordered = np.sort(values)
    shares = np.arange(1, len(ordered) + 1) / len(ordered)
    ax.step(ordered, shares, where="post", color=colour, linestyle=line, label=label, linewidth=1.3)
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("share of channels")
