"""Sensitivity: val accuracy of a network with one layer alone cut, as a map of layers and widths."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bcnn_prune.records.sensitivity import Sensitivity
from thesis_figures.analysis import sets
from thesis_figures.analysis.runs import Runs
from thesis_figures.figures import panels


def draw(shown: sets.Sets) -> Figure:
    """One panel per set, with a row per layer and a column per width: the change of accuracy in points, mean over
    seeds."""
    figure, columns = panels.columns(shown, 3.6)
    found = {label: sets.of(records, "sensitivity")[0] for label, records in shown.items()}
    values = [changes(runs) for runs in found.values()]
    lowest, highest = (
        min(float(points.min()) for points in values),
        max(0.0, *(float(points.max()) for points in values)),
    )
    for (label, runs), (ax,) in zip(found.items(), columns, strict=True):
        layers, cut = tuple(_first(runs).widths), shares(runs)
        image = ax.imshow(changes(runs), cmap="viridis", vmin=lowest, vmax=highest, aspect="auto")
        ax.set_yticks(range(len(layers)), layers if ax is columns[0][0] else [""] * len(layers))
        ax.set_xticks(range(len(cut)), [f"{100 * share:.3g}" for share in cut])
        ax.set_xlabel("width of the one layer, %", fontsize=8)
        panels.title(ax, label, {len(runs)})
    bar = figure.colorbar(image, ax=[ax for (ax,) in columns], shrink=0.8)
    bar.set_label("val accuracy, change in points", fontsize=8)
    bar.ax.tick_params(labelsize=panels.SMALL)
    return figure


def shares(runs: Runs) -> tuple[float, ...]:
    """The widths of the map, as shares of the widest layer, in which all of them differ."""
    widths = _first(runs).widths
    widest = max(widths, key=lambda layer: (len(widths[layer]), runs[0].spec.width_of[layer]))
    return tuple(width / runs[0].spec.width_of[widest] for width in widths[widest])


def changes(runs: Runs) -> NDArray[np.float64]:
    """Points of accuracy, one row per layer: at the measured width that is nearest to each share."""
    rows = [[_row(runs, seed, layer) for layer in _first(runs).widths] for seed in range(len(runs))]
    mean: NDArray[np.float64] = np.mean(rows, axis=0)
    return mean


def _row(runs: Runs, seed: int, layer: str) -> list[float]:
    found, width = runs[seed].sensitivity, runs[seed].spec.width_of[layer]
    assert found is not None
    measured = np.array(found.widths[layer]) / width
    return [-100 * found.losses(layer)[int(np.abs(measured - share).argmin())] for share in shares(runs)]


def _first(runs: Runs) -> Sensitivity:
    found = runs[0].sensitivity
    assert found is not None
    return found
