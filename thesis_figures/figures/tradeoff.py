"""Accuracy against size or time: test accuracy by parameters, multiply-adds or CPU time, for all pruning flows."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bcnn_prune.records import Cost, RunRecord
from thesis_figures import style
from thesis_figures.analysis import sets
from thesis_figures.analysis.runs import FLOWS, Runs, Spread, flow_of, known_first, tested
from thesis_figures.figures import panels

LEVELS: dict[str, tuple[panels.Line, str, str]] = {
    "dense": ("-", "dense, not pruned", style.BLACK),
    "control": ((0, (6, 3)), "control of one-shot", style.GREY),
}
"""Line style, name in the legend and colour of each horizontal line."""
CLOSE = 0.05
"""Accuracy below the unpruned networks down to which the upper row shows cuts."""


@dataclass(frozen=True)
class Quantity:
    """A quantity of the x axis."""

    name: str
    of_cost: Callable[[Cost], float] | None
    """None: CPU time as a share of the dense network's, timed in turn with it; known of a run's last cut only."""

    def of_steps(self, record: RunRecord) -> list[float]:
        """One value a cut that has one, the last ones of the run."""
        if self.of_cost:
            return [self.of_cost(step.cost) for step in record.steps]
        if "pruned" not in record.latency:
            return []
        return [record.latency["pruned"].median_ms / record.latency["dense"].median_ms]

    def unpruned(self, record: RunRecord) -> float:
        return self.of_cost(record.cost) if self.of_cost else 1.0


QUANTITIES = {
    "parameters": Quantity("million parameters", lambda cost: cost.params / 1e6),
    "multiply-adds": Quantity("million multiply-adds", lambda cost: cost.macs / 1e6),
    "cpu-time": Quantity("CPU time (dense: 1)", None),
}


def draw(shown: sets.Sets, quantity: Quantity) -> Figure:
    """Above near the unpruned networks, below the whole range; open markers are each flow's own control."""
    figure, columns = panels.columns(shown, 5.2, rows=2, sharex="col", tall=(3, 2))
    counts, drawn = set[int](), set[str]()
    occurring = filter(None, (flow_of(record) for records in shown.values() for record in records))
    names = known_first([*FLOWS, *occurring], FLOWS)  # each of the thesis' flows has its look, also where it is missing
    for (label, records), (near, whole) in zip(shown.items(), columns, strict=True):
        levels = unpruned_levels(records)
        flows = {name: found for name in names if (found := _flow(sets.of_flow(records, name), quantity))}
        values = [value for flow in flows.values() for value in (*flow.y, *flow.controls)]
        lowest = _ranges(near, whole, list(levels.values()), values)
        for ax, visible in ((near, lowest), (whole, 0.0)):
            for name, flow in flows.items():
                _draw_flow(ax, flow, panels.look(names.index(name)), name, visible)
            for network, value in levels.items():
                panels.level(ax, value, *LEVELS[network])
        _x_axis(whole, quantity)
        panels.title(near, label, {value.n for value in values})
        counts |= {value.n for value in values}
        drawn |= set(flows)
    for ax, text in zip(columns[0], ("near the unpruned", "whole range"), strict=True):
        ax.set_ylabel(f"test accuracy\n({text})", fontsize=8)
    last_only = not quantity.of_cost and any(flow.startswith("iterative") for flow in drawn)
    note = "; of iterative pruning the last cut" if last_only else ""
    panels.legend(figure, 3, f"{panels.bars(counts)}; open: the flow's control, not pruned{note}")
    return figure


def points(groups: Sequence[Runs], quantity: Quantity) -> tuple[list[Spread], list[Spread]]:
    """x and test accuracy of every cut of every group, each over seeds."""
    x, y = list[Spread](), list[Spread]()
    for runs in groups:
        values_of = [(record, values) for record in runs if (values := quantity.of_steps(record))]
        if values_of:
            x += panels.spreads([values for _, values in values_of])
            finals = [[step.final for step in record.steps][-len(values) :] for record, values in values_of]
            y += map(panels.accuracy, zip(*finals, strict=True))
    return x, y


def unpruned(records: Sequence[RunRecord], network: str) -> Spread | None:
    """Test accuracy of a network that was not cut, over seeds. Of one seed, networks that were trained apart are
    averaged first, each once."""
    by_seed = tested(records, network)
    if len(by_seed) == len(next(iter(by_seed), [])) == 1:
        return panels.accuracy(by_seed[0])
    means = [statistics.fmean(found.accuracy for found in of_seed) for of_seed in by_seed]
    return Spread.of(means) if means else None


def unpruned_levels(records: Sequence[RunRecord]) -> dict[str, Spread]:
    """Of a data set, the dense network and the control that one-shot runs are set against; without such runs, the dense
    network of the flows, and without flows that of all runs."""
    plain = [record for record in records if flow_of(record) == "one-shot"]
    flows = [record for record in records if flow_of(record)]
    levels = {"dense": unpruned(plain or flows or records, "dense"), "control": unpruned(plain, "control")}
    return {network: value for network, value in levels.items() if value}


@dataclass(frozen=True)
class _Flow:
    """The points of a flow."""

    x: Sequence[Spread]
    y: Sequence[Spread]
    control_x: float
    controls: Sequence[Spread]
    """One, or none where the flow has no control."""


def _flow(groups: Sequence[Runs], quantity: Quantity) -> _Flow | None:
    x, y = points(groups, quantity)
    if not x:
        return None
    records = [record for runs in groups for record in runs]
    control = unpruned(records, "control")
    return _Flow(x, y, quantity.unpruned(records[0]), [control] if control else [])


def _draw_flow(ax: Axes, flow: _Flow, look: panels.Look, name: str, lowest: float) -> None:
    """The flow's curve and its control; points below `lowest` have no bars, which alone would be visible."""
    y = [value if value.mean >= lowest else replace(value, deviation=None) for value in flow.y]
    panels.curve(ax, flow.x, y, look, name)
    for control in flow.controls:
        ax.errorbar(
            flow.control_x,
            control.mean,
            yerr=control.deviation or 0.0,
            color=look.colour,
            marker=look.marker,
            markerfacecolor="white",
            markersize=4.5,
            elinewidth=0.8,
            capsize=1.5,
            linestyle="none",
        )


def _ranges(near: Axes, whole: Axes, levels: Sequence[Spread], values: Sequence[Spread]) -> float:
    """Set both y ranges; returns where the upper one begins."""
    bars = [(v.mean, v.deviation or 0.0) for v in (*levels, *values)]
    whole.set_ylim(0, min(1.03, 1.2 * max(mean + sd for mean, sd in bars)))
    floor = min((value.mean for value in levels or values), default=0) - CLOSE
    bars = [(mean, sd) for mean, sd in bars if mean >= floor]
    lowest, highest = min(mean - sd for mean, sd in bars), max(mean + sd for mean, sd in bars)
    margin = max(0.004, 0.07 * (highest - lowest))
    near.set_ylim(lowest - margin, highest + margin)
    near.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    whole.axhspan(lowest - margin, highest + margin, color=style.PALE, zorder=-1, linewidth=0)
    return lowest - margin


def _x_axis(ax: Axes, quantity: Quantity) -> None:
    if quantity.of_cost:
        panels.log_axis(ax, quantity.name)
    else:
        ax.set_xlabel(quantity.name, fontsize=8)
