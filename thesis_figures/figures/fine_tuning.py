"""Fine-tuning at equal cost: accuracy over all epochs that a network has seen, by way to select and learning rate."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bcnn_prune.records import RunRecord
from thesis_figures import style
from thesis_figures.analysis.equal_cost import (
    AS_LONG,
    BySeed,
    Comparison,
    Way,
    common_tunings,
    of_one_base,
)
from thesis_figures.analysis.runs import Spread
from thesis_figures.analysis.sets import Sets
from thesis_figures.figures import panels
from thesis_figures.figures.equal_cost import INTERVAL, accuracy

PHASES = ("dense", "sparse", "fine-tune")
DENSE = panels.Look(style.BLACK, "", "-")
Curves = Mapping[tuple[Way, float], Mapping[int, BySeed]]
"""Networks by total epochs, of each way and learning rate of fine-tuning; the rate is 0 where each length had a single
one."""


def differ(records: Sequence[RunRecord], budget: float) -> bool:
    """Whether a way to select was fine-tuned for several lengths at one rate."""
    return bool(_curves(of_one_base(records), budget))


def draw(shown: Sets, budget: float) -> Figure:
    """A panel for each set, a line for each way at one budget, and for each rate where a length had several, by the
    fine-tunings that most sets had; and one for the dense network that trained as long."""
    figure, columns = panels.columns(shown, 3.2)
    all_of = [of_one_base(records) for records in shown.values()]
    tunings = common_tunings([[one.tuning for one in found if budget in one.budgets] for found in all_of])
    compared = [[one for one in found if one.tuning in tunings] for found in all_of]
    of_each = [_curves(found, budget) for found in compared]
    lines = sorted({line for curves in of_each for line in curves}, key=_place)
    for label, found, curves, (ax,) in zip(shown, compared, of_each, columns, strict=True):
        for (way, rate), by_epochs in curves.items():
            named = f"{way.label}, rate {rate:g}" if rate else way.label
            _curve(ax, by_epochs, panels.look(lines.index((way, rate))), named)
        dense = {one.record.recipes[AS_LONG].epochs: one.seeds(AS_LONG) for one in found if one.seeds(AS_LONG)}
        _curve(ax, dict(sorted(dense.items())), DENSE, "dense, trained as long")
        ax.set_ylim(0, min(1, ax.get_ylim()[1]))
        panels.percent(ax)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.set_xlabel("epochs in all", fontsize=8)
        panels.title(ax, label, {len(seeds) for by_epochs in curves.values() for seeds in by_epochs.values()})
    columns[0][0].set_ylabel("test accuracy", fontsize=8)
    rates = ", ".join(f"{epochs} epochs at {rate:g}" for epochs, rate in tunings)
    heading = (
        f"at {style.share(budget)} of the multiply-adds, fine-tuned for {rates}; mean over seeds; bars: {INTERVAL}"
    )
    panels.legend(figure, 2, panels.folded(figure, heading))
    return figure


def _curves(found: Sequence[Comparison], budget: float) -> Curves:
    """The ways that were fine-tuned for several lengths, at one rate or each at one of its own."""
    by_way: dict[Way, dict[float, dict[int, BySeed]]] = {}
    for comparison in found:
        for way, networks in comparison.networks.items():
            if way.budget == budget and way.name != "uniform":
                by_rate, epochs = by_way.setdefault(way, {}), _epochs(comparison)
                line = by_rate.setdefault(comparison.tuning[1], {})
                line[epochs] = {**networks, **line.get(epochs, {})}
    curves: dict[tuple[Way, float], Mapping[int, BySeed]] = {}
    for way, by_rate in by_way.items():
        points = [point for line in by_rate.values() for point in line.items()]
        lines = {0.0: dict(points)} if len(points) == len(dict(points)) else by_rate
        if any(len(line) > 1 for line in lines.values()):
            curves |= {(way, rate): dict(sorted(line.items())) for rate, line in lines.items()}
    return {key: curves[key] for key in sorted(curves, key=_place)}


def _place(key: tuple[Way, float]) -> tuple[object, float]:
    way, rate = key
    return way.place, rate


def _curve(ax: Axes, by_epochs: Mapping[int, BySeed], look: panels.Look, label: str) -> None:
    x = [Spread(float(epochs), None, 1) for epochs in by_epochs]
    panels.curve(ax, x, [accuracy(list(networks.values())) for networks in by_epochs.values()], look, label)


def _epochs(comparison: Comparison) -> int:
    return sum(comparison.record.recipes[phase].epochs for phase in PHASES)
