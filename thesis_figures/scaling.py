"""What training costs by the size of the network: the points measured, the formula fitted to them, and beyond.

An image costs a + b × its multiply-adds, in seconds; so an epoch costs images × (a + b × multiply-adds)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cattrs.preconf.json import make_converter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import nnls

from thesis_figures import style

BEYOND = 16
"""How far the formula is drawn beyond the points that it was fitted to, as a factor."""
JSON = make_converter(forbid_extra_keys=True)
BACKWARD = 3  # a training step in forward passes: the backward pass computes two products for each one


@dataclass(frozen=True)
class Point:
    """One network, one side, one batch size: what an image took, training and being evaluated."""

    width: float
    """Channels as a multiple of VGG-16's."""
    side: int
    """Pixels."""
    batch: int
    """Images of a training step."""
    macs: int
    """Multiply-adds of one image, forward."""
    training: tuple[float, ...]
    """Seconds of each timed step, by image."""
    evaluating: tuple[float, ...]
    """Seconds of each timed evaluation, by image."""
    held_out: bool
    """Whether the formula was fitted without it."""


@dataclass(frozen=True)
class Formula:
    """Seconds of an image by its multiply-adds: those of a training step, or of a forward pass."""

    an_image: float
    """Seconds, whatever the network."""
    a_mac: float
    """Seconds."""

    def __call__(self, macs: float) -> float:
        return self.an_image + self.a_mac * macs


@dataclass(frozen=True)
class Bill:
    """What a grid of runs costs on one kind of machine, by arithmetic."""

    grid: str
    machine: str
    extrapolated: bool
    """Whether nothing of this machine was measured."""
    runs: int
    phases: int
    """Trained once each, however many runs share them."""
    epochs: int
    """Of all phases."""
    images: int
    """Of the training split of a set; the mean where sets are several."""
    side: int
    macs: int
    """Of one image, forward; the largest where sets are several."""
    an_image: float
    """Seconds of a training image."""
    seconds: float
    """From the first run's start to the last one's end."""
    chain: float
    """Seconds of the longest chain of runs that build on one another: more machines do not end sooner."""


@dataclass(frozen=True)
class Measured:
    """Every point of one machine, and what follows from them for grids."""

    points: tuple[Point, ...]
    bills: tuple[Bill, ...]
    provenance: Mapping[str, str]

    def training(self) -> Formula:
        """By the multiply-adds of a training step: forward and backward."""
        shown = self.fitted()
        return fitted([BACKWARD * point.macs for point in shown], [median(point.training) for point in shown])

    def evaluating(self) -> Formula:
        shown = self.fitted()
        return fitted([point.macs for point in shown], [median(point.evaluating) for point in shown])

    def fitted(self) -> list[Point]:
        return [point for point in self.points if not point.held_out]

    def held_out(self) -> list[Point]:
        return [point for point in self.points if point.held_out]


def fitted(macs: Sequence[float], seconds: Sequence[float]) -> Formula:
    """The formula with the least sum of squared relative errors; neither number is below zero."""
    x, y = np.asarray(macs, dtype=float), np.asarray(seconds, dtype=float)
    unit = x.max()  # or else the two columns differ by ten orders of magnitude
    an_image, a_unit = nnls(np.stack([1 / y, x / unit / y], axis=1), np.ones_like(y))[0]
    return Formula(float(an_image), float(a_unit / unit))


def median(values: Sequence[float]) -> float:
    return float(np.median(values))


def read(path: Path) -> Measured:
    """Raises ValueError that names a file which holds no points."""
    try:
        return JSON.loads(path.read_text(encoding="utf-8"), Measured)
    except Exception as error:
        raise ValueError(f"{path}: no points of python -m experiments.scaling: {error}") from error


def draw(path: Path) -> Figure:
    """Left: training. Right: evaluation. Time of an image by its multiply-adds.

    The formula is dashed beyond what it was fitted to; crosses are grids' networks, where nothing was measured."""
    measured = read(path)
    style.apply()
    figure = Figure(figsize=(style.WIDE, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, measured, [point.training for point in measured.points], measured.training(), BACKWARD)
    _panel(right, measured, [point.evaluating for point in measured.points], measured.evaluating(), 1)
    _grids(left, measured.bills)
    left.set_xlabel("G multiply-adds of an image, forward and backward", fontsize=8)
    right.set_xlabel("G multiply-adds of an image, forward", fontsize=8)
    left.set_ylabel("milliseconds an image", fontsize=8)
    left.set_title("training", fontsize=8.5)
    right.set_title("evaluation", fontsize=8.5)
    handles = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
    title = f"{measured.provenance['cpu']}, {measured.provenance['threads']} threads; median and quartiles over steps"
    small: dict[str, Any] = {"ncols": 3, "fontsize": 7, "title_fontsize": 7, "frameon": False}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", title=title, **small)
    return figure


def _panel(ax: Axes, measured: Measured, times: list[tuple[float, ...]], formula: Formula, passes: int) -> None:
    for held_out, fill in ((False, style.BLUE), (True, "white")):
        at = [i for i, point in enumerate(measured.points) if point.held_out == held_out]
        if at:
            lower, middle, upper = 1e3 * np.array([np.quantile(times[i], (0.25, 0.5, 0.75)) for i in at]).T
            x = [passes * measured.points[i].macs / 1e9 for i in at]
            label = "measured, held out" if held_out else "measured, formula fitted to"
            look: dict[str, Any] = {"color": style.BLUE, "markerfacecolor": fill, "markersize": 5, "elinewidth": 1}
            ax.errorbar(x, middle, [middle - lower, upper - middle], fmt="o", label=label, **look)
    macs = [passes * point.macs for point in measured.fitted()]
    least, most = float(min(macs)), float(max(macs))
    for start, end, line in ((least, most, "-"), (least / BEYOND, least, "--"), (most, most * BEYOND, "--")):
        x = [float(value) for value in np.geomspace(start, end, 100)]
        label = "a + b × multiply-adds" + (", extrapolated" if line == "--" else "")
        ax.plot([1e-9 * v for v in x], [1e3 * formula(v) for v in x], line, color=style.BLACK, linewidth=1, label=label)
    ax.set(xscale="log", yscale="log")
    ax.tick_params(labelsize=8)


def _grids(ax: Axes, bills: Sequence[Bill]) -> None:
    """Where the networks of the grids stand on machines that nobody measured."""
    marks = dict.fromkeys((BACKWARD * bill.macs, bill.an_image) for bill in bills if bill.extrapolated)
    if marks:
        x, y = np.array(list(marks)).T
        label = "extrapolated: a GPU as assumed"
        ax.plot(x / 1e9, 1e3 * y, "x", color=style.ORANGE, markersize=5, label=label)
