"""What a smaller network still can: test accuracy by parameters, multiply-adds or CPU time, for all pruning flows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from bcnn_prune.records import Cost, RunRecord
from thesis_figures import panels, sets, style
from thesis_figures.runs import FLOWS, Runs, Spread

LEVELS: dict[str, tuple[panels.Line, str, str]] = {
    "dense": ("-", "dense, not pruned", style.BLACK),
    "control": ((0, (6, 3)), "control of one-shot", style.GREY),
}
"""Line style, name in the legend and colour of what stands as a line across."""
CLOSE = 0.05
"""How far below the unpruned networks a cut may lie to be shown in the upper row."""


@dataclass(frozen=True)
class Quantity:
    """What stands on the x axis."""

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
    for (label, records), (near, whole) in zip(shown.items(), columns, strict=True):
        levels, shown_values = _levels(records), list[Spread]()
        for ax in (near, whole):
            for i, name in enumerate(FLOWS):
                groups = sets.of_flow(records, name)
                shown_values += _flow(ax, groups, quantity, panels.look(i), name)
            for network, value in levels.items():
                panels.level(ax, value, *LEVELS[network])
        _ranges(near, whole, list(levels.values()), shown_values)
        _x_axis(whole, quantity)
        panels.title(near, label, {value.n for value in shown_values})
    for ax, text in zip(columns[0], ("near the unpruned", "whole range"), strict=True):
        ax.set_ylabel(f"test accuracy\n({text})", fontsize=8)
    note = "" if quantity.of_cost else "; of iterative pruning the last cut"
    panels.legend(figure, 3, f"mean ± 1 standard deviation over seeds; open: the flow's control, not pruned{note}")
    return figure


def points(groups: Sequence[Runs], quantity: Quantity) -> tuple[list[Spread], list[Spread]]:
    """x and test accuracy of every cut of every group, each over seeds."""
    x, y = list[Spread](), list[Spread]()
    for runs in groups:
        found = [quantity.of_steps(record) for record in runs]
        finals = [[s.final.accuracy for s in r.steps][-len(v) :] for r, v in zip(runs, found, strict=True) if v]
        if finals:
            x += panels.spreads([values for values in found if values])
            y += panels.spreads(finals)
    return x, y


def unpruned(records: Sequence[RunRecord], network: str) -> Spread | None:
    """Test accuracy of a network that was not cut, over seeds; the runs of one seed averaged first."""
    by_seed: dict[int, list[float]] = {}
    for record in records:
        if network in record.test:
            by_seed.setdefault(record.seed, []).append(record.test[network].accuracy)
    return Spread.of([sum(found) / len(found) for found in by_seed.values()]) if by_seed else None


def _levels(records: Sequence[RunRecord]) -> dict[str, Spread]:
    flows = [record for record in records if any(belongs(record) for belongs in FLOWS.values())]
    plain = list(filter(FLOWS["one-shot"], records))
    found = {"dense": unpruned(flows, "dense"), "control": unpruned(plain, "control")}
    return {network: value for network, value in found.items() if value}


def _flow(ax: Axes, groups: Sequence[Runs], quantity: Quantity, look: panels.Look, name: str) -> list[Spread]:
    """Draw a flow's curve and its control; returns the accuracies of both."""
    x, y = points(groups, quantity)
    if not x:
        return []
    panels.curve(ax, x, y, look, name)
    records = [record for runs in groups for record in runs]
    control = unpruned(records, "control")
    if control is None:
        return y
    ax.errorbar(
        quantity.unpruned(records[0]),
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
    return [*y, control]


def _ranges(near: Axes, whole: Axes, levels: Sequence[Spread], values: Sequence[Spread]) -> None:
    bars = [(v.mean, v.deviation or 0.0) for v in (*levels, *values)]
    whole.set_ylim(0, min(1.03, 1.2 * max(mean + sd for mean, sd in bars)))
    floor = min((value.mean for value in levels or values), default=0) - CLOSE
    bars = [(mean, sd) for mean, sd in bars if mean >= floor]
    lowest, highest = min(mean - sd for mean, sd in bars), max(mean + sd for mean, sd in bars)
    margin = max(0.004, 0.07 * (highest - lowest))
    near.set_ylim(lowest - margin, highest + margin)
    near.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    whole.axhspan(lowest - margin, highest + margin, color=style.PALE, zorder=-1, linewidth=0)


def _x_axis(ax: Axes, quantity: Quantity) -> None:
    ax.set_xlabel(quantity.name, fontsize=8)
    if quantity.of_cost:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
