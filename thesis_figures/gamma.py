"""Thesis fig 4.2: where the BatchNorm scales of a sparse network lie, and what the cut takes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bcnn_prune.records import NEAR_ZERO, RunRecord
from thesis_figures import style

BINS = 50


def draw(record: RunRecord) -> Figure:
    """Histogram and cumulative distribution of |γ|, the last layer (the classifier's width) apart from the others.

    Bars within NEAR_ZERO of zero are black; the line is the first cut's threshold."""
    style.apply()
    layers = list(record.scales)
    groups = {
        f"{layers[0]} to {layers[-2]}": np.concatenate([record.scales[layer] for layer in layers[:-1]]),
        f"{layers[-1]}, the last layer": np.asarray(record.scales[layers[-1]]),
    }
    figure = Figure(figsize=(style.WIDE, 4.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True)
    highest = max(values.max() for values in groups.values())
    threshold = record.steps[0].threshold if record.steps else None
    for row, (name, values) in zip(axes, groups.items(), strict=True):
        _histogram(row[0], values, highest)
        _cumulative(row[1], values)
        for ax in row:
            ax.set_title(f"{name} ({len(values):,} channels)")
            if threshold is not None:
                ax.axvline(threshold, color=style.ORANGE, linestyle="--", label=f"threshold {threshold:.3g}")
    for ax in axes[-1]:
        ax.set_xlabel("|γ|, BatchNorm scale")
    axes[0][0].legend(frameon=False)
    share = 0 if threshold is None else 1 - record.steps[0].spec.channels / record.spec.channels
    figure.suptitle(f"{record.data.name}: BN scales after sparse training (seed {record.seed}); {share:.0%} are cut")
    return figure


def _histogram(ax: Axes, values: NDArray[np.float64], highest: float) -> None:
    at_zero = values < NEAR_ZERO
    edges = np.linspace(0, highest, BINS + 1)
    heights, _, _ = ax.hist(values[~at_zero], list(edges), color=style.BLUE, edgecolor="white", linewidth=0.3)
    ax.bar(
        0,
        at_zero.sum(),
        bottom=np.asarray(heights)[0],
        width=edges[1],
        align="edge",
        color=style.BLACK,
        label=f"|γ| < {NEAR_ZERO:g}: {at_zero.mean():.0%}",
    )
    ax.set_ylabel("channels")


def _cumulative(ax: Axes, values: NDArray[np.float64]) -> None:
    ordered = np.sort(values)
    ax.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), where="post", color=style.BLUE)
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("share of channels")
